#include "http/client.h"

#include <curl/curl.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/text.h"

#define MAX_DATE INT64_C(9000000000) // whose nanoseconds fit, by far

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

// `details` are libcurl's words for this failure, where it has some.
static bool report(CURLcode code, const struct http_call *call, const char *details, const struct buffer *out,
                   struct error *err)
{
    if (out->failed)
        return buffer_check(out, "the answer", err);
    const char *why = *details ? details : curl_easy_strerror(code);
    switch (code) {
    case CURLE_OPERATION_TIMEDOUT:
        return error_set(err, ERROR_TIMEOUT, "%s did not answer in time", call->url);
    case CURLE_COULDNT_RESOLVE_HOST:
        return error_set(err, ERROR_NOT_FOUND, "%s: the host's name is not known", call->url);
    case CURLE_PEER_FAILED_VERIFICATION:
        return error_set(err, ERROR_FORBIDDEN, "%s shows a certificate that does not count (%s)", call->url, why);
    case CURLE_SSL_CONNECT_ERROR:
        return error_set(err, ERROR_PROTOCOL, "no TLS with %s (%s)", call->url, why);
    case CURLE_SSL_CACERT_BADFILE:
        return error_set(err, ERROR_BAD_VALUE, "%s holds no certificates of authorities",
                         call->authorities_text ? "the text" : call->authorities);
    default:
        return error_set(err, ERROR_CLOSED, "%s does not answer (%s); is the server running there?", call->url,
                         curl_easy_strerror(code));
    }
}

static void set_identity(CURL *curl, const struct http_call *call)
{
    if (call->user) {
        curl_easy_setopt(curl, CURLOPT_HTTPAUTH, (long)CURLAUTH_BASIC);
        curl_easy_setopt(curl, CURLOPT_USERNAME, call->user);
        curl_easy_setopt(curl, CURLOPT_PASSWORD, call->password);
    }
    if (call->authorities_text) {
        struct curl_blob text = {(void *)(uintptr_t)call->authorities_text, strlen(call->authorities_text),
                                 CURL_BLOB_COPY};
        curl_easy_setopt(curl, CURLOPT_CAINFO_BLOB, &text);
        curl_easy_setopt(curl, CURLOPT_CAPATH, NULL); // the system's do not count beside them
    } else if (call->authorities) {
        curl_easy_setopt(curl, CURLOPT_CAINFO, call->authorities);
        curl_easy_setopt(curl, CURLOPT_CAPATH, NULL);
    }
    curl_easy_setopt(curl, CURLOPT_SSLVERSION, (long)CURL_SSLVERSION_TLSv1_2);
}

// Its seconds since 1970; 0 for what is none.
static void read_date(CURL *curl, int64_t *out)
{
    struct curl_header *header;
    time_t seconds = curl_easy_header(curl, "Date", 0, CURLH_HEADER, -1, &header) == CURLHE_OK
                         ? curl_getdate(header->value, NULL)
                         : -1;
    *out = seconds > 0 && seconds < MAX_DATE ? (int64_t)seconds * CLOCK_SECOND : 0;
}

bool http_client_call(const struct http_call *call, int *status, struct buffer *out, struct error *err)
{
    struct upload upload = {call->fd, 0, call->size};
    char type[128], token[256], details[CURL_ERROR_SIZE] = "";
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
    if (call->connect_ns)
        curl_easy_setopt(curl, CURLOPT_CONNECTTIMEOUT_MS, (long)(call->connect_ns / 1000000));
    curl_easy_setopt(curl, CURLOPT_ERRORBUFFER, details);
    set_identity(curl, call);
    curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, take);
    curl_easy_setopt(curl, CURLOPT_WRITEDATA, out);
    set_body(curl, call, &upload);
    curl_easy_setopt(curl, CURLOPT_HTTPHEADER, headers);
    curl_easy_setopt(curl, CURLOPT_CUSTOMREQUEST, call->method);
    CURLcode result = curl_easy_perform(curl);
    curl_easy_getinfo(curl, CURLINFO_RESPONSE_CODE, &code);
    if (call->date_ns)
        read_date(curl, call->date_ns);
    curl_slist_free_all(headers);
    curl_easy_cleanup(curl);
    *status = (int)code;
    return result == CURLE_OK || report(result, call, details, out, err);
}
