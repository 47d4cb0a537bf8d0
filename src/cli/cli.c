#include "cli/cli.h"

#include <dirent.h>
#include <errno.h>
#include <jansson.h>
#include <stdarg.h>
#include <grp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <sys/stat.h>

#include "base/clock.h"
#include "base/file.h"
#include "base/text.h"
#include "http/client.h"

enum { WALK_DEPTH = 64, PATH_SIZE = 4096, CALL_SECONDS = 120, TOKEN_SIZE = 128 };

// Whose token is in which file: --token, $HILUM_TOKEN_FILE, or that of a server whose data are here.
static const char *token_file;

int cli_fail(const struct error *err)
{
    fprintf(stderr, "hilum: %s\n", err->message);
    return CLI_FAILED;
}

int cli_usage(const char *format, ...)
{
    va_list args;
    fprintf(stderr, "hilum: ");
    va_start(args, format);
    vfprintf(stderr, format, args);
    va_end(args);
    fprintf(stderr, "; see --help\n");
    return CLI_USAGE;
}

// ---- options

static const struct cli_option *find_option(const struct cli_option *options, const char *word, size_t size)
{
    for (; options->name; options++)
        if (strlen(options->name) == size && strncmp(options->name, word, size) == 0)
            return options;
    return NULL;
}

static void print_help(const struct cli_command *command, const struct cli_option *options)
{
    printf("hilum %s %s\n\n%s\n", command->name, command->arguments, command->help);
    for (const struct cli_option *option = options; option->name; option++) {
        char left[64];
        snprintf(left, sizeof left, "--%s %s", option->name, option->value_name ? option->value_name : "");
        printf("%s  %-28s %s\n", option == options ? "\n" : "", left, option->help);
    }
    if (find_option(options, "server", strlen("server")))
        printf("  %-28s %s\n", "--token FILE",
               "where the server needs a login: the file with a token ($HILUM_TOKEN_FILE, else "
               "hilum-data/token, else /var/lib/hilum/token)");
}

bool cli_options(int *argc, char **argv, const struct cli_command *command, const struct cli_option *options,
                 int *status)
{
    int kept = 1;
    bool only_arguments = false;
    char help[] = "--help";
    for (int i = 1; i < *argc; i++) {
        char *word = argv[i];
        if (only_arguments || word[0] != '-' || !word[1]) {
            argv[kept++] = word;
            continue;
        }
        if (strcmp(word, "-h") == 0)
            word = help;
        if (word[1] != '-') {
            *status = cli_usage("%s has no option %.40s; its options begin with two hyphens", command->name, word);
            return false;
        }
        word += 2;
        only_arguments = *word == '\0';
        if (only_arguments)
            continue;
        size_t size = strcspn(word, "=");
        const struct cli_option *option = find_option(options, word, size);
        if (strncmp(word, "token", size) == 0 && size == strlen("token") &&
            find_option(options, "server", strlen("server"))) {
            if (!word[size] && i + 1 == *argc) {
                *status = cli_usage("--token takes a value");
                return false;
            }
            token_file = word[size] ? word + size + 1 : argv[++i];
            continue;
        }
        if (strcmp(word, "help") == 0) {
            print_help(command, options);
            *status = CLI_DONE;
            return false;
        }
        if (!option || (!option->value_name && word[size]) || (option->value_name && !word[size] && i + 1 == *argc)) {
            *status = option ? cli_usage("--%s takes %s value", option->name, option->value_name ? "a" : "no")
                             : cli_usage("%s has no option --%s", command->name, word);
            return false;
        }
        if (!option->value_name)
            *option->flag = true;
        else
            *option->value = word[size] ? word + size + 1 : argv[++i];
    }
    *argc = kept;
    argv[kept] = NULL;
    return true;
}

// ---- the server

static bool judge(int status, struct buffer *out, struct error *err)
{
    buffer_byte(out, '\0');
    if (!buffer_check(out, "the server's answer", err))
        return false;
    if (status >= 200 && status < 300)
        return true;
    json_t *problem = json_loads((const char *)out->data, 0, NULL);
    const char *detail = json_string_value(json_object_get(problem, "detail"));
    error_set(err,
              status == 404   ? ERROR_NOT_FOUND
              : status == 401 ? ERROR_LOGIN
              : status == 415 ? ERROR_UNSUPPORTED
                              : ERROR_CONFLICT,
              "%s (HTTP %d)", detail ? detail : "the server refused", status);
    json_decref(problem);
    return false;
}

// Only to this machine, or over TLS: elsewhere everybody on the way would have it.
static bool may_have_token(const char *server)
{
    static const char *const hosts[] = {"http://127.", "http://localhost", "http://[::1]", "https://"};
    for (size_t i = 0; i < sizeof hosts / sizeof *hosts; i++)
        if (text_starts(server, hosts[i]))
            return true;
    return false;
}

// Of a server whose data are here, else of the package's.
static const char *first_token(void)
{
    static const char *const paths[] = {"hilum-data/token", "/var/lib/hilum/token"};
    for (size_t i = 0; i < sizeof paths / sizeof *paths; i++)
        if (access(paths[i], R_OK) == 0)
            return paths[i];
    return NULL;
}

// Who came without a token is told where one is.
static bool refused_without_token(const struct http_call *request, struct error *err)
{
    if (err->code == ERROR_LOGIN && !request->token)
        error_set(
            err, ERROR_LOGIN,
            "the server needs a login: name the file with a token, --token FILE or HILUM_TOKEN_FILE. The server's "
            "own is DATA/token (of the package /var/lib/hilum/token), which root and its user can read");
    return false;
}

// The token in `out`, or "" where there is none; false: the file that was named cannot be read.
static bool read_token(const char *server, char out[TOKEN_SIZE], struct error *err)
{
    const char *named = token_file ? token_file : getenv("HILUM_TOKEN_FILE");
    const char *path = named ? named : first_token();
    struct buffer file;
    *out = '\0';
    if (!path)
        return true;
    if (!may_have_token(server))
        return !named || error_set(err, ERROR_USAGE,
                                   "a token is not sent to %.80s, where others could read it: use "
                                   "https",
                                   server);
    buffer_init(&file, TOKEN_SIZE - 1);
    bool read = file_read(path, &file, err);
    if (read) {
        buffer_byte(&file, '\0');
        read = !file.failed || error_set(err, ERROR_BAD_VALUE, "%.200s is longer than any token", path);
    }
    if (read)
        text_copy_n(out, TOKEN_SIZE, (const char *)file.data, strcspn((const char *)file.data, "\r\n "));
    buffer_free(&file);
    return read || !named;
}

static bool call(const char *server, const char *path, struct http_call *request, struct buffer *out, struct error *err)
{
    char url[2048], token[TOKEN_SIZE];
    int status;
    if (!read_token(server, token, err))
        return false;
    request->token = *token ? token : NULL;
    size_t length = strlen(server);
    while (length > 0 && server[length - 1] == '/')
        length--;
    int size = length < sizeof url ? snprintf(url, sizeof url, "%.*s%s", (int)length, server, path) : -1;
    if (size < 0 || (size_t)size >= sizeof url)
        return error_set(err, ERROR_USAGE, "the server's URL is too long");
    request->url = url;
    request->timeout_ns = CALL_SECONDS * CLOCK_SECOND;
    return http_client_call(request, &status, out, err) &&
           (judge(status, out, err) || refused_without_token(request, err));
}

bool cli_call(const char *server, const char *method, const char *path, const void *body, size_t size,
              struct buffer *out, struct error *err)
{
    struct http_call request = {
        .method = method, .type = body ? "application/json" : NULL, .body = body, .fd = -1, .size = size};
    return call(server, path, &request, out, err);
}

bool cli_call_file(const char *server, const char *path, int fd, unsigned long long size, struct buffer *out,
                   struct error *err)
{
    struct http_call request = {.method = "POST", .type = "application/dicom", .fd = fd, .size = size};
    return call(server, path, &request, out, err);
}

// ---- files

void cli_complain(const char *path, const char *words, const char *reason)
{
    char shown_path[PATH_SIZE], shown_reason[ERROR_MESSAGE_SIZE];
    fprintf(stderr, "hilum: %s%s: %s\n", text_show(shown_path, sizeof shown_path, path, strlen(path)), words,
            text_show(shown_reason, sizeof shown_reason, reason, strlen(reason)));
}

struct walk {
    bool (*each)(const char *path, void *payload, struct error *err);
    void *payload;
    size_t *unreadable; // or NULL
};

// A folder being walked through, and the one that it was met in.
struct folder {
    dev_t device;
    ino_t inode;
    int depth;
    const struct folder *outer;
};

static bool pass_over(const struct walk *walk, const char *path, const char *reason)
{
    if (walk->unreadable) {
        ++*walk->unreadable;
        cli_complain(path, "", reason);
    }
    return true;
}

static bool visit(const struct walk *walk, const char *path, const struct folder *outer, struct error *err);

static int by_name(const struct dirent **a, const struct dirent **b)
{
    return strcmp((*a)->d_name, (*b)->d_name);
}

static int visible(const struct dirent *entry)
{
    return strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0;
}

static bool visit_folder(const struct walk *walk, const char *path, const struct folder *folder, struct error *err)
{
    struct dirent **entries;
    char inner[PATH_SIZE];
    int count = scandir(path, &entries, visible, by_name);
    if (count < 0)
        return pass_over(walk, path, strerror(errno));
    bool ok = true;
    for (int i = 0; i < count; i++) {
        int size = snprintf(inner, sizeof inner, "%s/%s", path, entries[i]->d_name);
        free(entries[i]);
        if (ok)
            ok = size > 0 && (size_t)size < sizeof inner ? visit(walk, inner, folder, err)
                                                         : pass_over(walk, inner, "the path is too long");
    }
    free(entries);
    return ok;
}

static bool is_inside(const struct folder *outer, const struct stat *status)
{
    while (outer && (outer->device != status->st_dev || outer->inode != status->st_ino))
        outer = outer->outer;
    return outer != NULL;
}

static bool visit(const struct walk *walk, const char *path, const struct folder *outer, struct error *err)
{
    struct stat status;
    if (stat(path, &status) != 0)
        return pass_over(walk, path, strerror(errno));
    if (S_ISREG(status.st_mode))
        return walk->each(path, walk->payload, err);
    if (!S_ISDIR(status.st_mode))
        return pass_over(walk, path, "it is neither a file nor a folder");
    if (is_inside(outer, &status))
        return true; // a link back: its files are met without it
    struct folder folder = {status.st_dev, status.st_ino, outer ? outer->depth + 1 : 0, outer};
    if (folder.depth >= WALK_DEPTH)
        return pass_over(walk, path, "too deep inside other folders");
    return visit_folder(walk, path, &folder, err);
}

bool cli_walk(char *const *paths, bool (*each)(const char *path, void *payload, struct error *err), void *payload,
              size_t *unreadable, struct error *err)
{
    struct walk walk = {each, payload, unreadable};
    for (; *paths; paths++)
        if (!visit(&walk, *paths, NULL, err))
            return false;
    return true;
}

bool cli_become_owner(const char *folder, struct error *err)
{
    struct stat status;
    if (geteuid() != 0 || stat(folder, &status) != 0 || status.st_uid == 0)
        return true;
    return (setgroups(0, NULL) == 0 && setgid(status.st_gid) == 0 && setuid(status.st_uid) == 0) ||
           error_errno(err, errno, "cannot become uid %u, who owns %s", (unsigned)status.st_uid, folder);
}
