// Nothing is deleted here but copies that an install made, and packages that another one of their name has followed.
//
// The folder is locked while one install looks, exchanges and hears what the server says. What is hidden is passed over
// by the server.
#include "cli/model_place.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/file.h"
#include "base/text.h"

#define HIDDEN ".installing-"

static bool join(char out[MODEL_PLACE_PATH], const char *folder, const char *name, struct error *err)
{
    int size = snprintf(out, MODEL_PLACE_PATH, "%s/%s", folder, name);
    return (size > 0 && size < MODEL_PLACE_PATH) ||
           error_set(err, ERROR_LIMIT, "the path %.80s/%.80s is too long", folder, name);
}

// ---- folders of plain files

// Calls `each` for every entry; false from it ends that.
static bool each_file(const char *folder,
                      bool (*each)(const char *path, const char *name, void *payload, struct error *err), void *payload,
                      struct error *err)
{
    char path[MODEL_PLACE_PATH];
    struct dirent *entry;
    bool ok = true;
    DIR *list = opendir(folder);
    if (!list)
        return error_errno(err, errno, "cannot list %s", folder);
    while (ok && (entry = readdir(list)))
        if (strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0)
            ok = join(path, folder, entry->d_name, err) && each(path, entry->d_name, payload, err);
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
    char to[MODEL_PLACE_PATH];
    struct buffer data;
    buffer_init(&data, MODEL_FILE_MAX);
    bool ok = join(to, payload, name, err) && file_read(path, &data, err) && write_file(to, &data, err);
    buffer_free(&data);
    return ok;
}

static bool is_plain(const char *path, const char *name, void *payload, struct error *err)
{
    struct stat info;
    (void)name;
    (void)payload;
    return (lstat(path, &info) == 0 && S_ISREG(info.st_mode)) ||
           error_set(err, ERROR_CONFLICT, "%s is no plain file", path);
}

static bool remove_file(const char *path, const char *name, void *payload, struct error *err)
{
    (void)name;
    (void)payload;
    return unlink(path) == 0 || error_errno(err, errno, "cannot remove %s", path);
}

// A link to a folder is none.
static bool is_folder(const char *path, struct error *err)
{
    struct stat info;
    if (lstat(path, &info) != 0)
        return error_errno(err, errno, "cannot look at %s", path);
    return S_ISDIR(info.st_mode) || error_set(err, ERROR_CONFLICT, "%s is %s, and no folder", path,
                                              S_ISLNK(info.st_mode) ? "a symbolic link" : "a file");
}

// Removes all or nothing, but for what the disk refuses.
static bool remove_folder(const char *folder, struct error *err)
{
    return is_folder(folder, err) && each_file(folder, is_plain, NULL, err) &&
           each_file(folder, remove_file, NULL, err) &&
           (rmdir(folder) == 0 || error_errno(err, errno, "cannot remove %s", folder));
}

// ---- what stands there

static bool is_same(const struct model_package *a, const struct model_package *b)
{
    return strcmp(model_package_digest(a), model_package_digest(b)) == 0;
}

// NULL with *err where it is not a package of the name, whole and nothing else.
static struct model_package *open_own(const char *path, const char *name, struct error *err)
{
    struct model_package *found = is_folder(path, err) ? model_package_open(path, err) : NULL;
    if (!found || strcmp(model_package_name(found), name) == 0)
        return found;
    error_set(err, ERROR_CONFLICT, "%s holds another package, %s %s", path, model_package_name(found),
              model_package_version(found));
    model_package_close(found);
    return NULL;
}

static bool look(struct model_place *place, const char *name, struct error *err)
{
    struct stat info;
    struct error why;
    if (lstat(place->path, &info) != 0)
        return errno == ENOENT || error_errno(err, errno, "cannot look at %s", place->path);
    place->standing = open_own(place->path, name, &why);
    return place->standing || error_set(err, ERROR_CONFLICT,
                                        "%s is not replaced, for it is no package of that name: %s. Move it elsewhere",
                                        place->path, why.message);
}

static bool lock(struct model_place *place, struct error *err)
{
    int64_t end = clock_monotonic_ns() + MODEL_PLACE_WAIT_S * CLOCK_SECOND;
    place->lock = open(place->models, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (place->lock < 0)
        return error_errno(err, errno, "cannot open %s", place->models);
    while (flock(place->lock, LOCK_EX | LOCK_NB) != 0) {
        if (errno != EWOULDBLOCK && errno != EINTR)
            return error_errno(err, errno, "cannot lock %s", place->models);
        if (clock_monotonic_ns() > end)
            return error_set(err, ERROR_CONFLICT, "another install has been at work on %s for %d s: wait for it",
                             place->models, MODEL_PLACE_WAIT_S);
        clock_sleep_ns(50 * CLOCK_MS);
    }
    return true;
}

bool model_place_open(struct model_place *place, const char *models, const struct model_package *package,
                      struct error *err)
{
    *place = (struct model_place){.lock = -1};
    if (*models != '/')
        return error_set(err, ERROR_UNSUPPORTED,
                         "the server says that its packages are at '%s', which is no whole path", models);
    if (!text_copy(place->models, sizeof place->models, models))
        return error_set(err, ERROR_LIMIT, "the path %.80s is too long", models);
    return join(place->path, models, model_package_name(package), err) && lock(place, err) &&
           look(place, model_package_name(package), err);
}

void model_place_close(struct model_place *place)
{
    model_package_close(place->standing);
    if (place->lock >= 0)
        close(place->lock);
}

// ---- the exchange

static bool make_aside(struct model_place *place, const char *name, struct error *err)
{
    char hidden[128];
    snprintf(hidden, sizeof hidden, HIDDEN "%.64s-XXXXXX", name);
    if (!join(place->aside, place->models, hidden, err))
        return false;
    if (mkdtemp(place->aside))
        return chmod(place->aside, 0755) == 0 || error_errno(err, errno, "cannot open %s to others", place->aside);
    place->aside[0] = '\0';
    return error_errno(err, errno, "cannot make a folder in %s", place->models);
}

static bool is_copy(const char *folder, const struct model_package *package, struct error *err)
{
    struct model_package *copy = open_own(folder, model_package_name(package), err);
    bool same = copy && is_same(copy, package);
    if (copy && !same)
        error_set(err, ERROR_CONFLICT, "package %s changed while it was copied", model_package_folder(package));
    model_package_close(copy);
    return same;
}

static bool move(const char *from, const char *to, unsigned how, struct error *err)
{
    return renameat2(AT_FDCWD, from, AT_FDCWD, to, how) == 0 ||
           error_errno(err, errno, "cannot put the package at %s", to);
}

bool model_place_undo(struct model_place *place, struct error *err)
{
    if (!place->put)
        return true;
    place->put = !(place->standing ? move(place->aside, place->path, RENAME_EXCHANGE, err)
                                   : move(place->path, place->aside, RENAME_NOREPLACE, err));
    return !place->put && remove_folder(place->aside, err) && file_sync_folder(place->models, err);
}

// What was looked at is what is set aside: anybody may have changed the folder since.
static bool exchange(struct model_place *place, struct error *err)
{
    struct error ignored;
    place->put = move(place->aside, place->path, place->standing ? RENAME_EXCHANGE : RENAME_NOREPLACE, err);
    if (!place->put || !place->standing || is_copy(place->aside, place->standing, err))
        return place->put;
    model_place_undo(place, &ignored);
    return false;
}

bool model_place_put(struct model_place *place, const struct model_package *package, struct error *err)
{
    struct error ignored;
    if (place->standing && is_same(place->standing, package))
        return true;
    if (!make_aside(place, model_package_name(package), err))
        return false;
    bool ok = each_file(model_package_folder(package), copy_file, place->aside, err) &&
              is_copy(place->aside, package, err) && file_sync_folder(place->aside, err) && exchange(place, err);
    if (!ok && !place->put)
        remove_folder(place->aside, &ignored);
    return ok && file_sync_folder(place->models, err);
}

// ---- what is left

bool model_place_is_served(const json_t *served, const struct model_package *package)
{
    size_t i;
    json_t *model;
    json_array_foreach((json_t *)(uintptr_t)served, i, model)
    {
        const char *digest = json_string_value(json_object_get(model, "digest"));
        if (digest && strcmp(digest, model_package_digest(package)) == 0)
            return true;
    }
    return false;
}

// Does the server run a package of that name from the place that is its own?
static bool is_followed(const struct model_place *place, const struct model_package *left, const json_t *served,
                        struct error *err)
{
    char path[MODEL_PLACE_PATH];
    const char *name = model_package_name(left);
    struct model_package *standing = join(path, place->models, name, err) ? open_own(path, name, err) : NULL;
    bool is = standing && model_place_is_served(served, standing);
    model_package_close(standing);
    return is || error_set(err, ERROR_CONFLICT, "it holds %s %s, and the server runs no package of that name from %s",
                           name, model_package_version(left), path);
}

static void clean(const struct model_place *place, const char *path, const json_t *served)
{
    char shown[2 * MODEL_PLACE_PATH];
    struct error err;
    struct model_package *left = is_folder(path, &err) ? model_package_open(path, &err) : NULL;
    bool ok = (!left || is_followed(place, left, served, &err)) && remove_folder(path, &err);
    model_package_close(left);
    if (!ok)
        fprintf(stderr,
                "warning: %s is left of an install that was ended, and is kept: %s. Move or remove it by hand\n",
                text_show(shown, sizeof shown, path, strlen(path)), err.message);
}

void model_place_clean(const struct model_place *place, const json_t *served)
{
    char path[MODEL_PLACE_PATH];
    struct error ignored;
    struct dirent *entry;
    DIR *list = opendir(place->models);
    while (list && (entry = readdir(list)))
        if (text_starts(entry->d_name, HIDDEN) && join(path, place->models, entry->d_name, &ignored))
            clean(place, path, served);
    if (list)
        closedir(list);
}
