// Routes: a table searched from the top.
#include "http/internal.h"

#include <assert.h>
#include <string.h>

static bool is_variable(const char *segment, size_t size)
{
    return size >= 2 && segment[0] == '{' && segment[size - 1] == '}';
}

static bool is_rest(const char *segment, size_t size)
{
    return is_variable(segment, size) && size > 5 && memcmp(segment + size - 4, "...}", 4) == 0;
}

static bool keep_part(struct http_request *request, const char *name, size_t name_size, const char *value, size_t size)
{
    assert(request->part_count < HTTP_PATH_PARTS_MAX);
    struct http_pair part = {
        arena_strndup(&request->arena, name, name_size),
        arena_strndup(&request->arena, value, size),
    };
    if (!part.name || !part.value)
        return false;
    request->parts[request->part_count++] = part;
    return true;
}

// Both begin after a '/'.
static bool match_segment(struct http_request *request, const char *pattern, size_t pattern_size, const char *path,
                          size_t size)
{
    if (is_variable(pattern, pattern_size))
        return size > 0 && keep_part(request, pattern + 1, pattern_size - 2, path, size);
    return size == pattern_size && memcmp(pattern, path, size) == 0;
}

static bool match(struct http_request *request, const char *pattern)
{
    const char *path = request->path;
    request->part_count = 0;
    while (*pattern == '/' && *path == '/') {
        pattern++;
        path++;
        size_t pattern_size = strcspn(pattern, "/");
        if (is_rest(pattern, pattern_size))
            return keep_part(request, pattern + 1, pattern_size - 5, path, strlen(path));
        size_t size = strcspn(path, "/");
        if (!match_segment(request, pattern, pattern_size, path, size))
            return false;
        pattern += pattern_size;
        path += size;
    }
    return *pattern == '\0' && *path == '\0';
}

static void allow_method(char allow[HTTP_ALLOW_SIZE], const char *method)
{
    const char *found = strstr(allow, method);
    size_t used = strlen(allow);
    if (found || used + strlen(method) + 3 > HTTP_ALLOW_SIZE)
        return;
    if (used > 0) {
        memcpy(allow + used, ", ", 2);
        used += 2;
    }
    memcpy(allow + used, method, strlen(method) + 1);
}

static bool find(struct http_request *request, const char *method, char allow[HTTP_ALLOW_SIZE])
{
    allow[0] = '\0';
    for (const struct http_route *route = request->connection->server->routes; route->method; route++) {
        if (!match(request, route->path))
            continue;
        if (strcmp(route->method, method) == 0) {
            request->route = route;
            return true;
        }
        if (strcmp(route->method, HTTP_WEBSOCKET) != 0)
            allow_method(allow, route->method);
        if (strcmp(route->method, "GET") == 0)
            allow_method(allow, "HEAD");
    }
    return false;
}

bool http_route_find(struct http_request *request, char allow[HTTP_ALLOW_SIZE])
{
    bool is_taken = strcmp(request->method, HTTP_WEBSOCKET) == 0; // a word of the table's, no method
    const char *method = strcmp(request->method, "HEAD") == 0 ? "GET" : is_taken ? "" : request->method;
    return (http_asks_upgrade(request) && find(request, HTTP_WEBSOCKET, allow)) || find(request, method, allow);
}
