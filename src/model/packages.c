// What is installed is one table, replaced as a whole.
#include "model/packages.h"

#include <dirent.h>
#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/log.h"
#include "base/text.h"

enum { PATH_SIZE = 4096 };

struct table {
    struct model_package *packages[MODEL_PACKAGES_MAX]; // a share in each
    size_t count;
};

struct model_packages {
    char *folder;             // owned
    pthread_mutex_t scanning; // one scan at a time
    pthread_mutex_t lock;     // of `table`
    struct table table;
};

// ---- one scan

struct scan {
    const struct table *before;
    struct table table;
    json_t *refused; // or NULL
};

static void refuse(struct scan *scan, const char *folder, const char *why)
{
    log_error("model", "package %s is not installed: %s", folder, why);
    if (scan->refused)
        json_array_append_new(scan->refused, json_sprintf("%s is not installed: %s", folder, why));
}

static struct model_package *find_name(const struct table *table, const char *name)
{
    for (size_t i = 0; i < table->count; i++)
        if (strcmp(model_package_name(table->packages[i]), name) == 0)
            return table->packages[i];
    return NULL;
}

static struct model_package *find_folder(const struct table *table, const char *folder)
{
    for (size_t i = 0; i < table->count; i++)
        if (strcmp(model_package_folder(table->packages[i]), folder) == 0)
            return table->packages[i];
    return NULL;
}

static bool is_same(const struct model_package *a, const struct model_package *b)
{
    return strcmp(model_package_digest(a), model_package_digest(b)) == 0;
}

// Takes the share in the package.
static void add(struct scan *scan, struct model_package *package, const char *folder)
{
    const struct model_package *first = find_name(&scan->table, model_package_name(package));
    char why[ERROR_MESSAGE_SIZE];
    if (!first && scan->table.count < MODEL_PACKAGES_MAX) {
        scan->table.packages[scan->table.count++] = package;
        return;
    }
    if (first)
        snprintf(why, sizeof why, "%s is named %s too", model_package_folder(first), model_package_name(package));
    else
        snprintf(why, sizeof why, "there are %d already", MODEL_PACKAGES_MAX);
    refuse(scan, folder, why);
    model_package_close(package);
}

static void look_at(struct scan *scan, const char *folder)
{
    struct error err;
    struct model_package *package = model_package_open(folder, &err);
    if (!package)
        refuse(scan, folder, err.message);
    struct model_package *known =
        package ? find_name(scan->before, model_package_name(package)) : find_folder(scan->before, folder);
    if (known && (!package || is_same(known, package))) {
        model_package_close(package);
        package = model_package_share(known);
    }
    if (package)
        add(scan, package, folder);
}

static bool is_package(const char *folder)
{
    char path[PATH_SIZE];
    int size = snprintf(path, sizeof path, "%s/manifest.json", folder);
    return size > 0 && (size_t)size < sizeof path && access(path, F_OK) == 0;
}

static int visible(const struct dirent *entry)
{
    return entry->d_name[0] != '.';
}

static int by_name(const struct dirent **a, const struct dirent **b)
{
    return strcmp((*a)->d_name, (*b)->d_name);
}

static bool look_through(struct scan *scan, const char *folder, struct error *err)
{
    struct dirent **entries;
    char inner[PATH_SIZE];
    int count = scandir(folder, &entries, visible, by_name);
    if (count < 0 && errno == ENOMEM)
        return error_set(err, ERROR_MEMORY, "no memory to list %s", folder);
    if (count < 0) {
        log_warning("model", "there is no folder of model packages at %s", folder);
        return true;
    }
    for (int i = 0; i < count; i++) {
        int size = snprintf(inner, sizeof inner, "%s/%s", folder, entries[i]->d_name);
        if (size > 0 && (size_t)size < sizeof inner && is_package(inner))
            look_at(scan, inner);
        free(entries[i]);
    }
    free(entries);
    return true;
}

// ---- what changed

static void tell(const struct table *before, const struct table *after)
{
    for (size_t i = 0; i < after->count; i++) {
        const struct model_package *package = after->packages[i];
        const struct model_package *old = find_name(before, model_package_name(package));
        if (!old)
            log_info("model", "%s %s is installed", model_package_name(package), model_package_version(package));
        else if (old != package)
            log_info("model", "%s %s (%.12s) is installed in place of %s (%.12s)", model_package_name(package),
                     model_package_version(package), model_package_digest(package), model_package_version(old),
                     model_package_digest(old));
    }
    for (size_t i = 0; i < before->count; i++)
        if (!find_name(after, model_package_name(before->packages[i])))
            log_warning("model", "%s is not installed any more", model_package_name(before->packages[i]));
}

static void close_table(struct table *table)
{
    for (size_t i = 0; i < table->count; i++)
        model_package_close(table->packages[i]);
}

bool model_packages_rescan(struct model_packages *packages, json_t *refused, struct error *err)
{
    pthread_mutex_lock(&packages->scanning);
    struct table before = packages->table;
    struct scan scan = {.before = &before, .refused = refused};
    bool ok = look_through(&scan, packages->folder, err);
    if (ok) {
        tell(&before, &scan.table);
        pthread_mutex_lock(&packages->lock);
        packages->table = scan.table;
        pthread_mutex_unlock(&packages->lock);
    }
    close_table(ok ? &before : &scan.table);
    pthread_mutex_unlock(&packages->scanning);
    return ok;
}

// ---- the table

struct model_packages *model_packages_open(const char *folder, struct error *err)
{
    struct model_packages *packages = calloc(1, sizeof *packages);
    char *copy = strdup(folder);
    if (!packages || !copy) {
        free(packages);
        free(copy);
        error_set(err, ERROR_MEMORY, "no memory for model packages");
        return NULL;
    }
    packages->folder = copy;
    pthread_mutex_init(&packages->scanning, NULL);
    pthread_mutex_init(&packages->lock, NULL);
    if (model_packages_rescan(packages, NULL, err))
        return packages;
    model_packages_close(packages);
    return NULL;
}

void model_packages_close(struct model_packages *packages)
{
    if (!packages)
        return;
    close_table(&packages->table);
    pthread_mutex_destroy(&packages->lock);
    pthread_mutex_destroy(&packages->scanning);
    free(packages->folder);
    free(packages);
}

const char *model_packages_folder(const struct model_packages *packages)
{
    return packages->folder;
}

struct model_package *model_packages_find(struct model_packages *packages, const char *name)
{
    pthread_mutex_lock(&packages->lock);
    struct model_package *found = find_name(&packages->table, name);
    if (found)
        model_package_share(found);
    pthread_mutex_unlock(&packages->lock);
    return found;
}

size_t model_packages_list(struct model_packages *packages, struct model_package *out[MODEL_PACKAGES_MAX])
{
    pthread_mutex_lock(&packages->lock);
    size_t count = packages->table.count;
    for (size_t i = 0; i < count; i++)
        out[i] = model_package_share(packages->table.packages[i]);
    pthread_mutex_unlock(&packages->lock);
    return count;
}
