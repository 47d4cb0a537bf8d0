#include "http/client.h"

#include <curl/curl.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/text.h"

static pthread_once_t once = PTHREAD_ONCE_INIT;

static void initialise(void)
{
    curl_global_init(CURL_GLOBAL_DEFAULT);
}

static size_t take(char *data, size_t unit, size_t count, void *payload)
{
    struct buffer *out = payload;
    buffer_append(out, data, unit * count);
    return out->failed ? 0 : unit * count;
}

struct upload {
    int fd;
    uint64_t offset, left;
};

static size_t give(char *to, size_t unit, size_t count, void *payload)
{
    struct upload *upload = payload;
    size_t want = unit * count < upload->left ? unit * count : (size_t)upload->left;
    ssize_t got = want > 0 ? pread(upload->fd, to, want, (off_t)upload->offset) : 0;
    if (got < 0)
        return CURL_READFUNC_ABORT;
    upload->offset += (uint64_t)got;
    upload->left -= (uint64_t)got;
    return (size_t)got;
}

static void set_body(CURL *curl, const struct http_call *call, struct upload *upload)
{
    if (!call->body && call->fd < 0)
        return;
    curl_easy_setopt(curl, CURLOPT_POST, 1L);
    curl_easy_setopt(curl, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)call->size);
    if (call->body) {
        curl_easy_setopt(curl, CURLOPT_POSTFIELDS, call->body);
        return;
    }
    curl_easy_setopt(curl, CURLOPT_READFUNCTION, give);
    curl_easy_setopt(curl, CURLOPT_READDATA, upload);
}

static bool report(CURLcode code, const struct http_call *call, const struct buffer *out, struct error *err)
{
    if (out->failed)
        return buffer_check(out, "the answer", err);
    if (code == CURLE_OPERATION_TIMEDOUT)
        return error_set(err, ERROR_TIMEOUT, "%s did not answer in time", call->url);
    return error_set(err, ERROR_CLOSED, "%s does not answer (%s); is the server running there?", call->url,
                     curl_easy_strerror(code));
}

bool http_client_call(const struct http_call *call, int *status, struct buffer *out, struct error *err)
{
    struct upload upload = {call->fd, 0, call->size};
    char type[128], token[256];
    long code = 0;
    pthread_once(&once, initialise);
    CURL *curl = curl_easy_init();
    if (!curl)
        return error_set(err, ERROR_MEMORY, "no memory for a request");
    snprintf(type, sizeof type, "Content-Type: %s", call->type ? call->type : "");
    struct curl_slist *headers = curl_slist_append(NULL, "Expect:");
    if (call->type)
        headers = curl_slist_append(headers, type);
    snprintf(token, sizeof token, "Authorization: Bearer %s", call->token ? call->token : "");
    if (call->token)
        headers = curl_slist_append(headers, token);
    curl_easy_setopt(curl, CURLOPT_URL, call->url);
    curl_easy_setopt(curl, CURLOPT_PROTOCOLS_STR, "http,https");
    curl_easy_setopt(curl, CURLOPT_NOSIGNAL, 1L);
    curl_easy_setopt(curl, CURLOPT_NOPROXY, "*");
    curl_easy_setopt(curl, CURLOPT_TIMEOUT_MS, (long)(call->timeout_ns / 1000000));
    curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, take);
    curl_easy_setopt(curl, CURLOPT_WRITEDATA, out);
    set_body(curl, call, &upload);
    curl_easy_setopt(curl, CURLOPT_HTTPHEADER, headers);
    curl_easy_setopt(curl, CURLOPT_CUSTOMREQUEST, call->method);
    CURLcode result = curl_easy_perform(curl);
    curl_easy_getinfo(curl, CURLINFO_RESPONSE_CODE, &code);
    curl_slist_free_all(headers);
    curl_easy_cleanup(curl);
    *status = (int)code;
    return result == CURLE_OK || report(result, call, out, err);
}
