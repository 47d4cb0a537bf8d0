// The request target: "/path?name=value&..." taken apart and decoded in place. Everything is looked at after decoding,
// once, so that no spelling of a path means another path later.
#include "http/internal.h"

#include <string.h>

#include "base/text.h"

static int hex_digit(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    if (c >= 'a' && c <= 'f')
        return c - 'a' + 10;
    if (c >= 'A' && c <= 'F')
        return c - 'A' + 10;
    return -1;
}

// false for a bad escape, NUL, or bytes that are not UTF-8.
static bool decode(char *text, bool plus_is_space)
{
    char *to = text;
    for (const char *from = text; *from; from++) {
        char c = *from;
        if (c == '%') {
            int high = hex_digit(from[1]);
            int low = high < 0 ? -1 : hex_digit(from[2]);
            if (low < 0 || high * 16 + low == 0)
                return false;
            c = (char)(high * 16 + low);
            from += 2;
        } else if (c == '+' && plus_is_space) {
            c = ' ';
        }
        *to++ = c;
    }
    *to = '\0';
    return text_is_utf8(text, (size_t)(to - text));
}

static bool is_dot_segment(const char *segment)
{
    size_t size = strcspn(segment, "/");
    return (size == 1 && segment[0] == '.') || (size == 2 && segment[0] == '.' && segment[1] == '.');
}

static bool path_is_plain(const char *path)
{
    if (path[0] != '/')
        return false;
    for (const char *p = path; *p; p++) {
        if ((unsigned char)*p < 0x20 || *p == 0x7F || *p == '\\')
            return false;
        if (*p == '/' && (p[1] == '/' || is_dot_segment(p + 1)))
            return false;
    }
    return true;
}

static bool add_parameter(struct http_request *request, char *text, struct error *err)
{
    if (request->query_count == HTTP_QUERY_MAX)
        return error_set(err, ERROR_BAD_VALUE, "more than %d query parameters", HTTP_QUERY_MAX);
    char *value = strchr(text, '=');
    if (value)
        *value++ = '\0';
    else
        value = text + strlen(text);
    if (!decode(text, true) || !decode(value, true))
        return error_set(err, ERROR_BAD_VALUE, "query parameter %zu has a bad escape or is not UTF-8",
                         request->query_count + 1);
    request->query[request->query_count++] = (struct http_pair){text, value};
    return true;
}

static bool parse_query(struct http_request *request, char *query, struct error *err)
{
    while (query) {
        char *next = strchr(query, '&');
        if (next)
            *next++ = '\0';
        if (*query && !add_parameter(request, query, err))
            return false;
        query = next;
    }
    return true;
}

bool http_target_parse(struct http_request *request, struct error *err)
{
    char *path = request->target;
    char *query = strchr(path, '?');
    if (query)
        *query++ = '\0';
    if (strchr(path, '#') || !decode(path, false) || !path_is_plain(path))
        return error_set(err, ERROR_BAD_VALUE,
                         "the path is not acceptable: it must begin with '/' and have no bad escape, "
                         "control character, backslash, empty or dot segment");
    request->path = path;
    return parse_query(request, query, err);
}
