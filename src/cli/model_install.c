// hilum model install: a package into the running server, without a restart.
//
// The files are copied under a hidden name beside the other packages, checked there, and put in place by one rename, so
// that the server never reads a half. What was there under the package's name is replaced, and said; jobs that run keep
// it. An older version over a newer one, or another package of the same version, is for --replace to say.
#include "cli/model_install.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/file.h"
#include "cli/cli.h"
#include "flow/flow.h"

enum { PATH_SIZE = 4096, ANSWER_MAX = 1 << 20 };

static bool join(char out[PATH_SIZE], const char *folder, const char *before, const char *name, struct error *err)
{
    int size = snprintf(out, PATH_SIZE, "%s/%s%s", folder, before, name);
    return (size > 0 && size < PATH_SIZE) ||
           error_set(err, ERROR_LIMIT, "the path %.80s/%.80s is too long", folder, name);
}

// ---- folders of plain files

// Calls `each` for every entry; false from it ends that.
static bool each_file(const char *folder,
                      bool (*each)(const char *path, const char *name, void *payload, struct error *err), void *payload,
                      struct error *err)
{
    char path[PATH_SIZE];
    struct dirent *entry;
    bool ok = true;
    DIR *list = opendir(folder);
    if (!list)
        return error_errno(err, errno, "cannot list %s", folder);
    while (ok && (entry = readdir(list)))
        if (strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0)
            ok = join(path, folder, "", entry->d_name, err) && each(path, entry->d_name, payload, err);
    closedir(list);
    return ok;
}

static bool write_file(const char *path, const struct buffer *data, struct error *err)
{
    int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0644);
    if (fd < 0)
        return error_errno(err, errno, "cannot make %s", path);
    bool ok = file_write_fd(fd, data->data, data->size, err) && file_sync(fd, path, err);
    close(fd);
    return ok;
}

static bool copy_file(const char *path, const char *name, void *payload, struct error *err)
{
    char to[PATH_SIZE];
    struct buffer data;
    buffer_init(&data, MODEL_FILE_MAX);
    bool ok = join(to, payload, "", name, err) && file_read(path, &data, err) && write_file(to, &data, err);
    buffer_free(&data);
    return ok;
}

static bool remove_file(const char *path, const char *name, void *payload, struct error *err)
{
    (void)name;
    (void)payload;
    return unlink(path) == 0 || error_errno(err, errno, "cannot remove %s", path);
}

static bool remove_folder(const char *folder, struct error *err)
{
    return each_file(folder, remove_file, NULL, err) &&
           (rmdir(folder) == 0 || error_errno(err, errno, "cannot remove %s", folder));
}

// ---- installing

static bool is_copy(const char *folder, const struct model_package *package, struct error *err)
{
    struct model_package *copy = model_package_open(folder, err);
    bool same = copy && strcmp(model_package_digest(copy), model_package_digest(package)) == 0;
    if (copy && !same)
        error_set(err, ERROR_CONFLICT, "package %s changed while it was copied", model_package_folder(package));
    model_package_close(copy);
    return same;
}

// What was at `to` is at `from` afterwards.
static bool put_in_place(const char *from, const char *to, bool *replaced, struct error *err)
{
    *replaced = renameat2(AT_FDCWD, from, AT_FDCWD, to, RENAME_EXCHANGE) == 0;
    return *replaced || (errno == ENOENT && rename(from, to) == 0) ||
           error_errno(err, errno, "cannot put the package at %s", to);
}

static bool copy_package(const struct model_package *package, const char *models, struct error *err)
{
    char hidden[PATH_SIZE], final[PATH_SIZE], mark[32];
    struct error ignored;
    bool replaced = false;
    snprintf(mark, sizeof mark, ".installing-%ld-", (long)getpid());
    if (!join(hidden, models, mark, model_package_name(package), err) ||
        !join(final, models, "", model_package_name(package), err))
        return false;
    if (mkdir(hidden, 0755) != 0)
        return error_errno(err, errno, "cannot make a folder in %s", models);
    bool ok = each_file(model_package_folder(package), copy_file, hidden, err) && is_copy(hidden, package, err) &&
              file_sync_folder(hidden, err) && put_in_place(hidden, final, &replaced, err) &&
              file_sync_folder(models, err);
    if (!ok || replaced)
        remove_folder(hidden, &ignored); // a hidden one is passed over by the server
    return ok;
}

// ---- the server

// NULL with *err; the caller's.
static json_t *ask(const char *server, const char *method, const char *path, struct error *err)
{
    struct buffer answer;
    buffer_init(&answer, ANSWER_MAX);
    bool post = strcmp(method, "POST") == 0;
    bool ok = cli_call(server, method, path, post ? "{}" : NULL, post ? 2 : 0, &answer, err);
    json_t *json = ok ? json_loads((const char *)answer.data, 0, NULL) : NULL;
    if (ok && !json)
        error_set(err, ERROR_PROTOCOL, "%s%s gave no JSON", server, path);
    buffer_free(&answer);
    return json;
}

static bool is_listed(const json_t *models, const struct model_package *package)
{
    size_t i;
    json_t *model;
    json_array_foreach((json_t *)(uintptr_t)models, i, model)
    {
        const char *digest = json_string_value(json_object_get(model, "digest"));
        if (digest && strcmp(digest, model_package_digest(package)) == 0)
            return true;
    }
    return false;
}

// The caller frees it. What becomes of the package's rule is in it.
static bool rescan(const char *server, const struct model_package *package, json_t **out, struct error *err)
{
    size_t i;
    json_t *answer = *out = ask(server, "POST", "/api/models/rescan", err), *sentence;
    if (!answer)
        return false;
    json_array_foreach(json_object_get(answer, "refused"), i, sentence)
    {
        if (json_is_string(sentence))
            fprintf(stderr, "warning: %s\n", json_string_value(sentence));
    }
    return is_listed(json_object_get(answer, "models"), package) ||
           error_set(err, ERROR_CONFLICT, "the server did not take %s: see its log", model_package_name(package));
}

// What the package takes the place of.
struct before {
    json_t *models;               // owned; the texts are its own
    const char *version, *digest; // NULL: none of its name is installed
};

static bool find_before(const char *server, const struct model_package *package, struct before *out, struct error *err)
{
    size_t i;
    json_t *model;
    out->models = ask(server, "GET", "/api/models", err);
    json_array_foreach(out->models, i, model)
    {
        const char *name = json_string_value(json_object_get(model, "name"));
        if (!name || strcmp(name, model_package_name(package)) != 0)
            continue;
        out->version = json_string_value(json_object_get(model, "version"));
        out->digest = json_string_value(json_object_get(model, "digest"));
        if (!out->version || !out->digest)
            return error_set(err, ERROR_PROTOCOL, "%s/api/models names no version and digest of %s", server, name);
    }
    return out->models != NULL;
}

// Nobody goes back, or changes what a version means, without saying so.
static bool may_follow(const struct model_package *package, const struct before *before, struct error *err)
{
    const char *version = model_package_version(package), *digest = model_package_digest(package);
    if (!before->version || strcmp(before->digest, digest) == 0)
        return true;
    int order = model_version_compare(version, before->version);
    if (!model_version_is_semantic(before->version)) // of an earlier program: it has no place in the order
        return true;
    return order > 0 || error_set(err, ERROR_CONFLICT,
                                  "%s %s (%.12s) is installed, and this is %s, %s (%.12s). %s, or give --replace",
                                  model_package_name(package), before->version, before->digest,
                                  order < 0 ? "an older one" : "another package of the same version", version, digest,
                                  order < 0 ? "Leave it" : "Raise its version");
}

static void tell(const struct model_package *package, const struct before *before, const json_t *answer)
{
    const char *name = model_package_name(package);
    const char *rule = json_string_value(json_object_get(json_object_get(answer, "rules"), name));
    printf("%s %s (%.12s) is installed", name, model_package_version(package), model_package_digest(package));
    if (before->version && strcmp(before->digest, model_package_digest(package)) == 0)
        printf(", as it was before");
    else if (before->version)
        printf(" in place of %s (%.12s)", before->version, before->digest);
    printf("\n%s\n", rule ? rule : "it brings no rule: enter one that names it (PUT /api/rules/NAME)");
}

static bool install(const char *server, const struct model_package *package, bool replace, struct error *err)
{
    struct before before = {0};
    json_t *status = ask(server, "GET", "/api/status", err), *answer = NULL;
    const char *models = json_string_value(json_object_get(status, "modelsFolder"));
    bool ok = status && (models || error_set(err, ERROR_UNSUPPORTED, "the server does not say where its packages are"));
    ok = ok && find_before(server, package, &before, err) && (replace || may_follow(package, &before, err)) &&
         copy_package(package, models, err) && rescan(server, package, &answer, err);
    if (ok)
        tell(package, &before, answer);
    json_decref(status);
    json_decref(before.models);
    json_decref(answer);
    return ok;
}

// What is no Semantic Version cannot be said to be older or newer than another. The server takes such a package still,
// for some may be installed.
static bool check_version(const char *folder, const char *version, struct error *err)
{
    return model_version_is_semantic(version) ||
           error_set(err, ERROR_BAD_VALUE,
                     "%s: manifest: version '%.64s' is none of Semantic Versioning 2.0.0; give three numbers, as 1.2.0",
                     folder, version);
}

static bool check_rule(const char *folder, const struct model_package *package, struct error *err)
{
    struct flow_rule rule;
    if (!*model_package_rule(package))
        return true;
    json_t *json = json_loads(model_package_rule(package), 0, NULL);
    bool ok = flow_rule_from_json(json, &rule, err) || error_prefix(err, "%s: its rule", folder);
    json_decref(json);
    return ok;
}

struct model_package *cli_model_open(const char *folder, struct error *err)
{
    struct model_package *package = model_package_open(folder, err);
    if (!package || (check_version(folder, model_package_version(package), err) && check_rule(folder, package, err)))
        return package;
    model_package_close(package);
    return NULL;
}

int cli_model_install(const char *server, const char *folder, bool replace)
{
    struct error err;
    struct model_package *package = cli_model_open(folder, &err);
    bool ok = package && install(server, package, replace, &err);
    model_package_close(package);
    return ok ? CLI_DONE : cli_fail(&err);
}
