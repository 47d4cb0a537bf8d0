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

enum { PATH_SIZE = 4096, NAME_SIZE = 256 };

struct table {
    struct model_package *packages[MODEL_PACKAGES_MAX]; // a share in each
    size_t count;
};

struct model_packages {
    char *folder;             // owned
    pthread_mutex_t scanning; // one scan at a time
    pthread_mutex_t lock;     // of what follows
    struct table table;
    json_t *refused; // owned: sentences of the last scan
};

// ---- one scan

struct scan {
    const struct table *before;
    struct table table;
    char folders[MODEL_PACKAGES_MAX][NAME_SIZE]; // of each; a share of an earlier scan may have been read elsewhere
    bool doubtful[MODEL_PACKAGES_MAX];           // another one has its name and version: neither is run
    const char *root;
    json_t *refused;
};

static void say(struct scan *scan, const char *folder, const char *what, const char *why)
{
    char sentence[2 * PATH_SIZE], shown[4 * PATH_SIZE];
    int size = snprintf(sentence, sizeof sentence, "%s/%s %s: %s", scan->root, folder, what, why);
    log_error("model", "package %s", sentence);
    // a folder's name may be no UTF-8, which JSON cannot hold
    text_show(shown, sizeof shown, sentence, (size_t)size < sizeof sentence ? (size_t)size : sizeof sentence - 1);
    json_array_append_new(scan->refused, json_string(shown));
}

static void refuse(struct scan *scan, const char *folder, const char *why)
{
    say(scan, folder, "is not installed", why);
}

static size_t place_of(const struct table *table, const char *name)
{
    size_t i = 0;
    while (i < table->count && strcmp(model_package_name(table->packages[i]), name) != 0)
        i++;
    return i;
}

static struct model_package *find_name(const struct table *table, const char *name)
{
    size_t i = place_of(table, name);
    return i < table->count ? table->packages[i] : NULL;
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

// Of two with one name, which is run? Above 0: `b`, the later version, or, where the versions are equal, what was run
// before. What is no Semantic Version is earlier than any. 0: nobody can say.
static int prefer(const struct table *before, const struct model_package *a, const struct model_package *b)
{
    const char *version_a = model_package_version(a), *version_b = model_package_version(b);
    const struct model_package *known = find_name(before, model_package_name(a));
    int order = model_version_is_semantic(version_b) - model_version_is_semantic(version_a);
    if (is_same(a, b))
        return -1;
    if (order == 0)
        order = model_version_compare(version_b, version_a);
    if (order == 0 && known)
        order = is_same(known, b) - is_same(known, a);
    return order;
}

static void refuse_beside(struct scan *scan, const char *folder, const struct model_package *package,
                          const char *other_folder, const struct model_package *other)
{
    char why[ERROR_MESSAGE_SIZE];
    snprintf(why, sizeof why,
             "it holds %.64s %.32s, and %.64s holds %.32s, which is run; move the one that is not wanted elsewhere",
             model_package_name(package), model_package_version(package), other_folder, model_package_version(other));
    refuse(scan, folder, why);
}

static void refuse_in_doubt(struct scan *scan, const char *folder, const struct model_package *package,
                            const char *other_folder)
{
    char why[ERROR_MESSAGE_SIZE];
    snprintf(why, sizeof why,
             "it holds %.64s %.32s, and %.64s another package of that version: neither is run; move one elsewhere, "
             "then rescan",
             model_package_name(package), model_package_version(package), other_folder);
    refuse(scan, folder, why);
}

// Takes the share in the package.
static void set(struct scan *scan, size_t place, struct model_package *package, const char *folder)
{
    scan->table.packages[place] = package;
    scan->doubtful[place] = false;
    text_copy(scan->folders[place], sizeof scan->folders[place], folder);
}

// There is one of its name at `place`. Takes the share in the package.
static void choose(struct scan *scan, size_t place, struct model_package *package, const char *folder)
{
    struct model_package *first = scan->table.packages[place];
    int order = prefer(scan->before, first, package);
    if (order > 0) {
        refuse_beside(scan, scan->folders[place], first, folder, package);
        model_package_close(first);
        set(scan, place, package, folder);
        return;
    }
    if (order < 0)
        refuse_beside(scan, folder, package, scan->folders[place], first);
    else
        refuse_in_doubt(scan, folder, package, scan->folders[place]);
    scan->doubtful[place] = scan->doubtful[place] || order == 0;
    model_package_close(package);
}

// Takes the share in the package.
static void add(struct scan *scan, struct model_package *package, const char *folder)
{
    char why[ERROR_MESSAGE_SIZE];
    size_t place = place_of(&scan->table, model_package_name(package));
    if (place < scan->table.count) {
        choose(scan, place, package, folder);
    } else if (place < MODEL_PACKAGES_MAX) {
        scan->table.count++;
        set(scan, place, package, folder);
    } else {
        snprintf(why, sizeof why, "there are %d already", MODEL_PACKAGES_MAX);
        refuse(scan, folder, why);
        model_package_close(package);
    }
}

// What nobody can choose between is not run.
static void drop_doubtful(struct scan *scan)
{
    struct table kept = {.count = 0};
    for (size_t i = 0; i < scan->table.count; i++) {
        struct model_package *package = scan->table.packages[i];
        if (!scan->doubtful[i]) {
            kept.packages[kept.count++] = package;
            continue;
        }
        refuse_in_doubt(scan, scan->folders[i], package, "another folder");
        model_package_close(package);
    }
    scan->table = kept;
}

static void look_at(struct scan *scan, const char *path, const char *folder)
{
    struct error err;
    struct model_package *package = model_package_open(path, &err);
    struct model_package *known =
        package ? find_name(scan->before, model_package_name(package)) : find_folder(scan->before, path);
    if (!package && known)
        say(scan, folder, "is changed, and runs until the next start as it was installed: put it right, then rescan",
            err.message);
    else if (!package)
        refuse(scan, folder, err.message);
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

static bool look_through(struct scan *scan, struct error *err)
{
    struct dirent **entries;
    char inner[PATH_SIZE];
    int count = scandir(scan->root, &entries, visible, by_name);
    if (count < 0 && errno == ENOMEM)
        return error_set(err, ERROR_MEMORY, "no memory to list %s", scan->root);
    if (count < 0) {
        log_warning("model", "there is no folder of model packages at %s", scan->root);
        return true;
    }
    for (int i = 0; i < count; i++) {
        int size = snprintf(inner, sizeof inner, "%s/%s", scan->root, entries[i]->d_name);
        if (size > 0 && (size_t)size < sizeof inner && is_package(inner))
            look_at(scan, inner, entries[i]->d_name);
        free(entries[i]);
    }
    free(entries);
    drop_doubtful(scan);
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
    struct scan scan = {.before = &before, .root = packages->folder, .refused = json_array()};
    bool ok = look_through(&scan, err);
    if (ok) {
        tell(&before, &scan.table);
        pthread_mutex_lock(&packages->lock);
        packages->table = scan.table;
        json_decref(packages->refused);
        packages->refused = json_incref(scan.refused);
        pthread_mutex_unlock(&packages->lock);
        if (refused)
            json_array_extend(refused, scan.refused);
    }
    json_decref(scan.refused);
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
    json_decref(packages->refused);
    pthread_mutex_destroy(&packages->lock);
    pthread_mutex_destroy(&packages->scanning);
    free(packages->folder);
    free(packages);
}

const char *model_packages_folder(const struct model_packages *packages)
{
    return packages->folder;
}

void model_packages_refused(struct model_packages *packages, json_t *out)
{
    pthread_mutex_lock(&packages->lock);
    json_array_extend(out, packages->refused);
    pthread_mutex_unlock(&packages->lock);
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
