// The page's files: / and /assets/..., from the folder that `make` built them into.
#include "service/internal.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/text.h"

static const char *type_of(const char *name)
{
    static const char *const types[][2] = {
        {".html", "text/html; charset=utf-8"},
        {".js", "text/javascript; charset=utf-8"},
        {".css", "text/css; charset=utf-8"},
        {".svg", "image/svg+xml"},
        {".png", "image/png"},
        {".woff2", "font/woff2"},
        {".json", "application/json"},
    };
    const char *dot = strrchr(name, '.');
    for (size_t i = 0; dot && i < sizeof types / sizeof *types; i++)
        if (strcmp(dot, types[i][0]) == 0)
            return types[i][1];
    return "application/octet-stream";
}

static void close_file(void *payload)
{
    close(*(int *)payload);
}

// `name` has no dot segments: the http room refuses those. Links are not followed.
static bool send_file(struct service *service, struct http_request *request, const char *name, struct error *err)
{
    struct stat status;
    const char *path = arena_printf(http_arena(request), "%s/%s", service->page_folder, name);
    int *fd = arena_alloc(http_arena(request), sizeof *fd);
    if (!path || !fd)
        return error_set(err, ERROR_LIMIT, "no memory for a page");
    *fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
    if (*fd < 0)
        return error_set(err, ERROR_NOT_FOUND,
                         strcmp(name, "index.html") == 0 ? "the page is not built; run `make build`"
                                                         : "there is no file %.80s",
                         name);
    if (fstat(*fd, &status) != 0 || !S_ISREG(status.st_mode)) {
        close(*fd);
        return error_set(err, ERROR_NOT_FOUND, "there is no file %.80s", name);
    }
    const struct reader part = reader_from_fd(*fd, 0, (uint64_t)status.st_size);
    http_set_header(request, "Cache-Control",
                    strcmp(name, "index.html") == 0 ? "no-cache" : "public, max-age=31536000, immutable");
    http_reply_parts(request, 200, type_of(name), &part, 1, close_file, fd);
    return true;
}

void page_index(void *payload, struct http_request *request)
{
    struct error err;
    if (!send_file(payload, request, "index.html", &err))
        http_reply_error(request, &err);
}

void page_asset(void *payload, struct http_request *request)
{
    struct error err;
    const char *name = arena_printf(http_arena(request), "assets/%s", http_path_part(request, "path"));
    if (!name)
        error_set(&err, ERROR_LIMIT, "no memory for a page");
    if (!name || !send_file(payload, request, name, &err))
        http_reply_error(request, &err);
}
