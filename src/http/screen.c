// What is refused before any handler sees it. The order of the checks is the order in http.h.
#include "http/internal.h"

#include <arpa/inet.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include "base/text.h"

bool http_refuse(struct http_request *request, int status, const char *format, ...)
{
    char detail[ERROR_MESSAGE_SIZE];
    va_list args;
    va_start(args, format);
    vsnprintf(detail, sizeof detail, format, args);
    va_end(args);
    request->refused = status;
    return error_set(&request->refusal, ERROR_BAD_VALUE, "%s", detail);
}

static bool refuse_and_close(struct http_request *request, const char *detail)
{
    request->close = true;
    return http_refuse(request, MHD_HTTP_BAD_REQUEST, "%s", detail);
}

static bool check_target(struct http_request *request)
{
    struct error err;
    if (!request->target)
        return http_refuse(request, MHD_HTTP_SERVICE_UNAVAILABLE, "out of memory");
    return http_target_parse(request, &err) || http_refuse(request, MHD_HTTP_BAD_REQUEST, "%s", err.message);
}

struct header_walk {
    unsigned lengths;
    unsigned encodings;
    unsigned hosts;
    bool malformed;
    bool hidden;
    const char *end; // of what was read so far
};

// libmicrohttpd hands on texts that end at a NUL, and hangs a line that goes on in the next on to its header's name.
// They lie in its buffer as they came, with NULs in place of line ends (one of a bare line feed, else two), so that
// what comes next shows where bytes were left out. A bare line feed is refused too: who reads it as no line end sees
// other headers (RFC 9112, section 2.2).
static bool is_next(const char *end, const char *next, ptrdiff_t line_ends)
{
    return next - end == 2 * line_ends;
}

static bool is_token(const char *name, size_t size)
{
    for (size_t i = 0; i < size; i++)
        if (name[i] <= ' ' || name[i] == 0x7F || strchr("()<>@,;:\\\"/[]?={}", name[i]))
            return false;
    return size > 0;
}

static bool is_field_value(const char *value, size_t size)
{
    for (size_t i = 0; i < size; i++)
        if (((unsigned char)value[i] < 0x20 && value[i] != '\t') || value[i] == 0x7F)
            return false;
    return true;
}

static enum MHD_Result look_at_header(void *payload, enum MHD_ValueKind kind, const char *name, size_t name_size,
                                      const char *value, size_t value_size)
{
    (void)kind;
    struct header_walk *walk = payload;
    walk->malformed |= !is_token(name, name_size) || !is_field_value(value, value_size);
    walk->hidden |= !is_next(walk->end, name, 1);
    walk->end = value + value_size;
    walk->lengths += text_same_fold(name, "Content-Length");
    walk->encodings += text_same_fold(name, "Transfer-Encoding");
    walk->hosts += text_same_fold(name, "Host");
    return MHD_YES;
}

// Whether the request line has parts between which nothing is left out.
static bool is_whole_line(const struct http_request *request)
{
    const char *target = request->method + strlen(request->method) + 1;
    return !request->target || request->version == target + strlen(request->target) + 1;
}

static bool check_headers(struct http_request *request)
{
    struct header_walk walk = {.end = request->version + strlen(request->version)};
    int count = MHD_get_connection_values_n(request->mhd, MHD_HEADER_KIND, look_at_header, &walk);
    const union MHD_ConnectionInfo *head =
        MHD_get_connection_info(request->mhd, MHD_CONNECTION_INFO_REQUEST_HEADER_SIZE);
    if (walk.hidden || !is_whole_line(request) ||
        (count > 0 && !is_next(walk.end, request->method + head->header_size, 2)))
        return refuse_and_close(request, "a NUL, more than one space in the request line, a line feed without its "
                                         "carriage return, or a header that goes on in the next line; send each "
                                         "header as one line of text");
    if (walk.malformed)
        return refuse_and_close(request, "a header with a space or control character where none may be");
    if (walk.hosts > 1)
        return refuse_and_close(request, "more than one Host");
    if (walk.lengths > 1)
        return refuse_and_close(request, "more than one Content-Length");
    if (walk.encodings > 1)
        return refuse_and_close(request, "more than one Transfer-Encoding");
    if (walk.lengths > 0 && walk.encodings > 0)
        return refuse_and_close(request, "both Content-Length and Transfer-Encoding");
    return true;
}

// libmicrohttpd takes the first of two lengths and what it makes of other forms is its own; a proxy before it may read
// them otherwise, and then the two disagree on where the next request begins.
static bool check_framing(struct http_request *request)
{
    uint64_t size;
    const char *encoding = http_header(request, "Transfer-Encoding");
    const char *length = http_header(request, "Content-Length");
    if (encoding && !text_same_fold(encoding, "chunked"))
        return refuse_and_close(request, "a Transfer-Encoding other than chunked");
    if (encoding && strcmp(request->version, MHD_HTTP_VERSION_1_1) != 0)
        return refuse_and_close(request, "a Transfer-Encoding before HTTP/1.1");
    if (length && (length[0] < '0' || length[0] > '9' || !text_to_u64(length, strlen(length), &size)))
        return refuse_and_close(request, "the Content-Length is not a number");
    return true;
}

enum { HOST_SIZE = 256 };

// The host of "HOST", "HOST:PORT" or "[V6]:PORT", without brackets. false for another form: answers repeat the Host in
// links.
static bool host_name(const char *authority, char host[HOST_SIZE])
{
    bool bracket = authority[0] == '[';
    authority += bracket;
    size_t size = strcspn(authority, bracket ? "]" : ":");
    if (bracket && authority[size] != ']')
        return false;
    const char *rest = authority + size + (bracket && authority[size] == ']');
    if (*rest == ':')
        rest += 1 + strspn(rest + 1, "0123456789");
    return *rest == '\0' && text_copy_n(host, HOST_SIZE, authority, size);
}

static bool is_address(const char *host)
{
    struct in6_addr address;
    return inet_pton(AF_INET, host, &address) == 1 || inet_pton(AF_INET6, host, &address) == 1;
}

static bool host_is_ours(const struct http_server *server, const char *host)
{
    if (is_address(host) || text_same_fold(host, "localhost"))
        return true;
    for (const char *const *name = server->hosts; name && *name; name++)
        if (strcmp(*name, "*") == 0 || text_same_fold(*name, host))
            return true;
    return false;
}

static bool check_host(struct http_request *request)
{
    char name[HOST_SIZE];
    char shown[80];
    const char *host = http_header(request, "Host");
    if (!host) // HTTP/1.0; no browser speaks that
        return true;
    if (!host_name(host, name))
        return http_refuse(request, MHD_HTTP_BAD_REQUEST,
                           "the Host '%s' is neither NAME nor ADDRESS, with or without "
                           ":PORT",
                           text_show(shown, sizeof shown, host, strlen(host)));
    if (host_is_ours(request->connection->server, name))
        return true;
    return http_refuse(request, MHD_HTTP_FORBIDDEN,
                       "the Host '%s' is not a name of this server: add it to http.names; where a proxy in front makes "
                       "it up, let it pass on the browser's (nginx: proxy_set_header Host $http_host)",
                       text_show(shown, sizeof shown, host, strlen(host)));
}

// "example:80" of "http://example:80" and the like: the length of what is before the scheme's own port.
static size_t without_port(const char *authority, const char *port)
{
    size_t size = strlen(authority);
    size_t port_size = strlen(port);
    if (size > port_size && strcmp(authority + size - port_size, port) == 0)
        return size - port_size;
    return size;
}

static bool same_authority(const char *a, const char *b, const char *port)
{
    char left[HOST_SIZE];
    char right[HOST_SIZE];
    return text_copy_n(left, sizeof left, a, without_port(a, port)) &&
           text_copy_n(right, sizeof right, b, without_port(b, port)) && text_same_fold(left, right);
}

// A page that came in the clear may be anybody's on the way, and is no page of ours for who asks over TLS. The other
// way round it may be a proxy that nobody has told us of.
static bool origin_is_host(const char *origin, const char *host, bool secure)
{
    static const struct {
        const char *scheme;
        const char *port;
    } schemes[] = {{"http://", ":80"}, {"https://", ":443"}};
    for (size_t i = secure ? 1 : 0; i < sizeof schemes / sizeof schemes[0]; i++)
        if (text_starts(origin, schemes[i].scheme))
            return same_authority(origin + strlen(schemes[i].scheme), host, schemes[i].port);
    return false; // "null", for one
}

static bool changes_state(const char *method)
{
    return strcmp(method, "GET") != 0 && strcmp(method, "HEAD") != 0 && strcmp(method, "OPTIONS") != 0;
}

// Whether the page is of this server under a Host that did not come: the same name at another port, or a name of ours.
// A page of elsewhere is nobody's mistake here, and gets no advice.
static bool is_changed_by_proxy(struct http_request *request, const char *origin, const char *host)
{
    char page[HOST_SIZE], came[HOST_SIZE];
    const char *authority = strstr(origin, "://");
    return authority && host_name(authority + 3, page) &&
           ((host_name(host, came) && text_same_fold(page, came)) ||
            (!is_address(page) && host_is_ours(request->connection->server, page)));
}

bool http_origin_is_ours(struct http_request *request)
{
    char shown[80], shown_host[80];
    const char *origin = http_header(request, "Origin");
    const char *host = http_header(request, "Host");
    if (!origin || (host && origin_is_host(origin, host, http_is_secure(request))))
        return true;
    host = host ? host : "";
    return http_refuse(request, MHD_HTTP_FORBIDDEN,
                       "a page of '%s' may not change anything here, or listen: the Host that came is '%s'%s",
                       text_show(shown, sizeof shown, origin, strlen(origin)),
                       text_show(shown_host, sizeof shown_host, host, strlen(host)),
                       is_changed_by_proxy(request, origin, host)
                           ? "; let the proxy in front pass on the browser's with its port (nginx: proxy_set_header "
                             "Host $http_host), and have its name in http.names"
                           : "");
}

static bool check_origin(struct http_request *request)
{
    return !changes_state(request->method) || http_origin_is_ours(request);
}

static bool check_route(struct http_request *request)
{
    char allow[HTTP_ALLOW_SIZE];
    char shown[80];
    if (http_route_find(request, allow))
        return true;
    if (!allow[0])
        return http_refuse(request, MHD_HTTP_NOT_FOUND, "nothing is at '%s'",
                           text_show(shown, sizeof shown, request->path, strlen(request->path)));
    http_set_header(request, "Allow", allow);
    return http_refuse(request, MHD_HTTP_METHOD_NOT_ALLOWED, "%s is not allowed here; %s are",
                       text_show(shown, sizeof shown, request->method, strlen(request->method)), allow);
}

static bool is_known(const char *names, const char *name)
{
    size_t size = strlen(name);
    for (; *names; names += strcspn(names, " "), names += strspn(names, " "))
        if (size > 0 && strcspn(names, " ") == size && memcmp(names, name, size) == 0)
            return true;
    return false;
}

// A parameter that is passed over (a name mistyped, a second value) would get an answer to another question than was
// asked.
static bool check_query(struct http_request *request)
{
    char shown[80];
    const char *known = request->route->query;
    for (size_t i = 0; known && i < request->query_count; i++) {
        const char *name = request->query[i].name;
        if (!is_known(known, name))
            return http_refuse(request, MHD_HTTP_BAD_REQUEST, "'%s' is no query parameter here; %s%s",
                               text_show(shown, sizeof shown, name, strlen(name)),
                               *known ? "known are: " : "there are none", known);
        if (http_query_repeats(request, i))
            return http_refuse(request, MHD_HTTP_BAD_REQUEST, "query parameter '%s' is given twice; give it once",
                               name);
    }
    return true;
}

static bool check_encoding(struct http_request *request)
{
    const char *encoding = http_header(request, "Content-Encoding");
    if (!encoding || text_same_fold(encoding, "identity"))
        return true;
    http_set_header(request, "Accept-Encoding", "identity");
    return http_refuse(request, MHD_HTTP_UNSUPPORTED_MEDIA_TYPE, "bodies are taken without Content-Encoding only");
}

static bool check_length(struct http_request *request)
{
    uint64_t size = 0;
    const char *length = http_header(request, "Content-Length");
    if (length)
        text_to_u64(length, strlen(length), &size);
    if (size <= request->route->body_max)
        return true;
    return http_refuse(request, MHD_HTTP_CONTENT_TOO_LARGE, "a body of %llu bytes; at most %llu are taken here",
                       (unsigned long long)size, (unsigned long long)request->route->body_max);
}

static bool check_stopping(struct http_request *request)
{
    if (!request->connection->server->stopping)
        return true;
    request->close = true;
    return http_refuse(request, MHD_HTTP_SERVICE_UNAVAILABLE, "the server is stopping");
}

bool http_screen(struct http_request *request)
{
    static bool (*const checks[])(struct http_request * request) = {
        check_headers, http_look_at_proxies, check_framing, check_target,   check_host,   check_origin,
        check_route,   http_screen_upgrade,  check_query,   check_encoding, check_length, check_stopping,
    };
    for (size_t i = 0; i < sizeof checks / sizeof checks[0]; i++)
        if (!checks[i](request))
            return false;
    return true;
}
