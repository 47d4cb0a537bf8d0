#include "store/vault.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <sodium.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/bytes.h"
#include "base/file.h"
#include "base/hash.h"
#include "base/text.h"

static const char magic[8] = "HILUMBK1";

enum {
    HEADER = sizeof magic + crypto_secretstream_xchacha20poly1305_HEADERBYTES,
    SEALED = VAULT_PIECE + crypto_secretstream_xchacha20poly1305_ABYTES,
    LIST_MAX = 1 << 30,
    NAMES_MAX = 100000, // of lists
    PATH_SIZE = 80,     // of a name in the folder
};

// ---- the key

static bool key_from(const uint8_t bytes[BACKUP_KEY_SIZE], struct backup_key *out, struct error *err)
{
    static const char about[] = "hilum backup key";
    uint8_t digest[8];
    if (sodium_init() < 0)
        return error_set(err, ERROR_INTERNAL, "libsodium does not start");
    memcpy(out->bytes, bytes, sizeof out->bytes);
    uint8_t whole[crypto_generichash_BYTES];
    crypto_generichash(whole, sizeof whole, (const uint8_t *)about, sizeof about, bytes, BACKUP_KEY_SIZE);
    memcpy(digest, whole, sizeof digest);
    text_hex(out->name, digest, sizeof digest);
    return true;
}

static const char key_words[] = "hilum-backup-key-1 ";

bool backup_key_make(const char *path, struct backup_key *out, struct error *err)
{
    uint8_t bytes[BACKUP_KEY_SIZE];
    char line[sizeof key_words + 2 * BACKUP_KEY_SIZE + 2] = "", hex[2 * BACKUP_KEY_SIZE + 1];
    if (sodium_init() < 0)
        return error_set(err, ERROR_INTERNAL, "libsodium does not start");
    randombytes_buf(bytes, sizeof bytes);
    text_hex(hex, bytes, sizeof bytes);
    int size = snprintf(line, sizeof line, "%s%s\n", key_words, hex);
    int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (fd < 0)
        return errno == EEXIST
                   ? error_set(err, ERROR_DUPLICATE, "%s is there already: a key is never written over", path)
                   : error_errno(err, errno, "cannot make %s", path);
    bool ok = file_write_fd(fd, line, (size_t)size, err) && file_sync(fd, path, err);
    close(fd);
    ok = ok && key_from(bytes, out, err);
    if (!ok)
        unlink(path);
    sodium_memzero(bytes, sizeof bytes);
    sodium_memzero(line, sizeof line);
    sodium_memzero(hex, sizeof hex);
    return ok;
}

static bool parse_key(const struct buffer *text, struct backup_key *out)
{
    uint8_t bytes[BACKUP_KEY_SIZE];
    size_t size = text->size, got, words = sizeof key_words - 1;
    const char *at = (const char *)text->data;
    struct error ignored;
    text_trim(&at, &size);
    bool ok = size == words + 2 * sizeof bytes && memcmp(at, key_words, words) == 0;
    char hex[2 * BACKUP_KEY_SIZE + 1];
    if (ok)
        text_copy_n(hex, sizeof hex, at + words, 2 * sizeof bytes);
    ok = ok && text_unhex(hex, bytes, sizeof bytes, &got) && got == sizeof bytes && key_from(bytes, out, &ignored);
    sodium_memzero(bytes, sizeof bytes);
    return ok;
}

bool backup_key_read(const char *path, struct backup_key *out, struct error *err)
{
    struct buffer text;
    struct stat status;
    if (stat(path, &status) != 0)
        return error_errno(err, errno, "cannot read the backup key %s", path);
    if (S_ISREG(status.st_mode) && (status.st_mode & 077) != 0)
        return error_set(err, ERROR_FORBIDDEN, "others may read the backup key %s (mode %03o): chmod 600 it", path,
                         (unsigned)status.st_mode & 0777);
    buffer_init(&text, 4096);
    bool ok = file_read(path, &text, err) &&
              (parse_key(&text, out) ||
               error_set(err, ERROR_BAD_DATA, "%s is no backup key: a line \"%sDIGITS\" with %d hexadecimal digits",
                         path, key_words, 2 * BACKUP_KEY_SIZE));
    if (text.data)
        sodium_memzero(text.data, text.size);
    buffer_free(&text);
    return ok;
}

// ---- opening

static const char mark_file[] = "hilum-backups";

// Says whose backups these are: the form, and the name of the key.
static bool read_mark(const struct vault *vault, const struct backup_key *key, struct error *err)
{
    char text[128] = "", name[BACKUP_KEY_NAME_SIZE];
    int fd = openat(vault->fd, mark_file, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
    if (fd < 0)
        return errno == ENOENT ? error_set(err, ERROR_NOT_FOUND, "there are no backups in %.200s", vault->folder)
                               : error_errno(err, errno, "cannot open %.200s/%s", vault->folder, mark_file);
    ssize_t got = pread(fd, text, sizeof text - 1, 0);
    close(fd);
    if (got < 0)
        return error_errno(err, errno, "cannot read %.200s/%s", vault->folder, mark_file);
    if (sscanf(text, "hilum backups 1, key %16[0-9a-f]", name) != 1)
        return error_set(err, ERROR_BAD_DATA, "%.200s/%s is damaged, or of a newer program", vault->folder, mark_file);
    if (strcmp(name, key->name) != 0)
        return error_set(err, ERROR_FORBIDDEN, "the backups in %.200s are of key %s, and this is key %s", vault->folder,
                         name, key->name);
    return true;
}

static bool is_empty(int folder_fd)
{
    int fd = openat(folder_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *folder = fd >= 0 ? fdopendir(fd) : NULL;
    bool empty = folder != NULL;
    for (struct dirent *entry; folder && (entry = readdir(folder));)
        empty = empty && (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0 ||
                          strcmp(entry->d_name, "lost+found") == 0);
    if (folder)
        closedir(folder);
    return empty;
}

static bool begin(const struct vault *vault, const struct backup_key *key, struct error *err)
{
    char path[STORE_FOLDER_MAX + 64], text[64];
    if (faccessat(vault->fd, mark_file, F_OK, AT_SYMLINK_NOFOLLOW) == 0)
        return true;
    if (!is_empty(vault->fd))
        return error_set(err, ERROR_CONFLICT,
                         "%.200s holds other things than backups: name an empty folder, or a new one", vault->folder);
    snprintf(path, sizeof path, "%s/%s", vault->folder, mark_file);
    int size = snprintf(text, sizeof text, "hilum backups 1, key %s\n", key->name);
    return file_replace(path, text, (size_t)size, 0600, err);
}

static bool make_parts(const struct vault *vault, struct error *err)
{
    static const char *const parts[] = {"objects", "lists"};
    for (size_t i = 0; i < sizeof parts / sizeof *parts; i++)
        if (mkdirat(vault->fd, parts[i], 0700) != 0 && errno != EEXIST)
            return error_errno(err, errno, "cannot make %.200s/%s", vault->folder, parts[i]);
    return true;
}

static bool lock(struct vault *vault, struct error *err)
{
    vault->lock_fd = openat(vault->fd, "lock", O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (vault->lock_fd < 0)
        return error_errno(err, errno, "cannot open %.200s/lock", vault->folder);
    if (flock(vault->lock_fd, LOCK_EX | LOCK_NB) == 0)
        return true;
    return errno == EWOULDBLOCK
               ? error_set(err, ERROR_CONFLICT, "another backup is being written into %.200s", vault->folder)
               : error_errno(err, errno, "cannot lock %.200s", vault->folder);
}

static bool open_parts(struct vault *vault, const struct backup_key *key, enum vault_use use, struct error *err)
{
    int flags = O_RDONLY | O_DIRECTORY | O_CLOEXEC;
    if (use == VAULT_BEGIN && !file_make_folders(vault->folder, 0700, err))
        return false;
    vault->fd = open(vault->folder, flags);
    if (vault->fd < 0)
        return error_set(err, errno == ENOENT ? ERROR_NOT_FOUND : ERROR_IO,
                         "cannot open the folder of backups %.200s: %s", vault->folder, strerror(errno));
    if ((use == VAULT_BEGIN && !begin(vault, key, err)) || !read_mark(vault, key, err) ||
        (use != VAULT_READ && (!make_parts(vault, err) || !lock(vault, err))))
        return false;
    vault->objects_fd = openat(vault->fd, "objects", flags);
    vault->lists_fd = openat(vault->fd, "lists", flags);
    return (vault->objects_fd >= 0 && vault->lists_fd >= 0) ||
           error_errno(err, errno, "cannot open the folders in %.200s", vault->folder);
}

static void derive(struct vault *vault, const struct backup_key *key)
{
    static const char context[crypto_kdf_CONTEXTBYTES + 1] = "hilumbak";
    crypto_kdf_derive_from_key(vault->key, sizeof vault->key, 1, context, key->bytes);
    crypto_kdf_derive_from_key(vault->naming, sizeof vault->naming, 2, context, key->bytes);
}

bool vault_open(struct vault *vault, const char *folder, const struct backup_key *key, enum vault_use use,
                struct error *err)
{
    *vault = (struct vault){.folder = folder, .fd = -1, .objects_fd = -1, .lists_fd = -1, .lock_fd = -1};
    if (strlen(folder) > STORE_FOLDER_MAX)
        return error_set(err, ERROR_LIMIT, "the path of the folder of backups is longer than %d", STORE_FOLDER_MAX);
    vault->plain = malloc(VAULT_PIECE);
    vault->sealed = malloc(SEALED);
    vault->hash = hash_new();
    bool ok = (vault->plain && vault->sealed && vault->hash) || error_set(err, ERROR_MEMORY, "no memory for a backup");
    ok = ok && open_parts(vault, key, use, err);
    if (ok)
        derive(vault, key);
    else
        vault_close(vault);
    return ok;
}

void vault_close(struct vault *vault)
{
    const int descriptors[] = {vault->lists_fd, vault->objects_fd, vault->lock_fd, vault->fd};
    for (size_t i = 0; i < sizeof descriptors / sizeof *descriptors; i++)
        if (descriptors[i] >= 0)
            close(descriptors[i]);
    free(vault->plain);
    free(vault->sealed);
    hash_free(vault->hash);
    sodium_memzero(vault->key, sizeof vault->key);
    sodium_memzero(vault->naming, sizeof vault->naming);
    *vault = (struct vault){.fd = -1, .objects_fd = -1, .lists_fd = -1, .lock_fd = -1};
}

static bool goes_on(const struct vault *vault, struct error *err)
{
    return !vault->stop || !atomic_load(vault->stop) || error_set(err, ERROR_CANCELLED, "the backup was ended");
}

// ---- sealed files

static void name_of(const struct vault *vault, const uint8_t digest[HASH_SIZE], uint8_t name[VAULT_NAME_SIZE])
{
    crypto_generichash(name, VAULT_NAME_SIZE, digest, HASH_SIZE, vault->naming, sizeof vault->naming);
}

static void path_of(const uint8_t name[VAULT_NAME_SIZE], char out[PATH_SIZE])
{
    char hex[2 * VAULT_NAME_SIZE + 1];
    text_hex(hex, name, VAULT_NAME_SIZE);
    snprintf(out, PATH_SIZE, "%.2s/%s", hex, hex + 2);
}

static uint64_t sealed_size(uint64_t size)
{
    uint64_t pieces = size / VAULT_PIECE + 1; // the last one, which may be empty, says that it is the last
    return HEADER + size + pieces * crypto_secretstream_xchacha20poly1305_ABYTES;
}

// Bytes to be sealed: a file, or memory.
struct origin {
    int fd; // -1: `bytes`
    const uint8_t *bytes;
    uint64_t size;
};

static bool read_piece(const struct origin *origin, uint64_t at, void *out, size_t size, struct error *err)
{
    if (origin->fd >= 0)
        return file_pread(origin->fd, out, size, at, err);
    if (size > 0)
        memcpy(out, origin->bytes + at, size);
    return true;
}

static bool seal(struct vault *vault, const struct origin *origin, int out, const struct vault_tick *tick,
                 struct error *err)
{
    crypto_secretstream_xchacha20poly1305_state state;
    uint8_t header[HEADER];
    memcpy(header, magic, sizeof magic);
    crypto_secretstream_xchacha20poly1305_init_push(&state, header + sizeof magic, vault->key);
    bool ok = file_write_fd(out, header, sizeof header, err), last = false;
    for (uint64_t at = 0; ok && !last;) {
        size_t size = origin->size - at < VAULT_PIECE ? (size_t)(origin->size - at) : VAULT_PIECE;
        unsigned long long sealed;
        last = size < VAULT_PIECE;
        ok = goes_on(vault, err) && read_piece(origin, at, vault->plain, size, err);
        if (!ok)
            break;
        hash_add(vault->hash, vault->plain, size);
        crypto_secretstream_xchacha20poly1305_push(&state, vault->sealed, &sealed, vault->plain, size, NULL, 0,
                                                   last ? crypto_secretstream_xchacha20poly1305_TAG_FINAL : 0);
        ok = file_write_fd(out, vault->sealed, (size_t)sealed, err);
        at += size;
        if (tick && tick->more)
            tick->more(tick->payload, size);
    }
    sodium_memzero(&state, sizeof state);
    return ok;
}

// Where the opened bytes go: a file, memory, or nowhere.
struct target {
    int fd;                // -1: none
    struct buffer *buffer; // or NULL
};

static bool take(const struct target *target, const void *bytes, size_t size, struct error *err)
{
    if (target->fd >= 0)
        return file_write_fd(target->fd, bytes, size, err);
    if (!target->buffer)
        return true;
    buffer_append(target->buffer, bytes, size);
    return buffer_check(target->buffer, "a backup's list", err);
}

static bool damaged(struct error *err)
{
    return error_set(err, ERROR_DAMAGED, "it is cut, changed, or of another key");
}

static bool unseal_piece(struct vault *vault, crypto_secretstream_xchacha20poly1305_state *state, int in, uint64_t at,
                         size_t sealed, const struct target *target, bool *last, struct error *err)
{
    unsigned long long size;
    unsigned char tag;
    if (!file_pread(in, vault->sealed, sealed, at, err))
        return false;
    if (crypto_secretstream_xchacha20poly1305_pull(state, vault->plain, &size, &tag, vault->sealed, sealed, NULL, 0) !=
        0)
        return damaged(err);
    *last = tag == crypto_secretstream_xchacha20poly1305_TAG_FINAL;
    hash_add(vault->hash, vault->plain, (size_t)size);
    return take(target, vault->plain, (size_t)size, err);
}

static bool unseal(struct vault *vault, int in, uint64_t in_size, const struct target *target,
                   const struct vault_tick *tick, struct error *err)
{
    crypto_secretstream_xchacha20poly1305_state state;
    uint8_t header[HEADER];
    if (in_size < HEADER + crypto_secretstream_xchacha20poly1305_ABYTES)
        return damaged(err);
    if (!file_pread(in, header, sizeof header, 0, err))
        return false;
    if (memcmp(header, magic, sizeof magic) != 0 ||
        crypto_secretstream_xchacha20poly1305_init_pull(&state, header + sizeof magic, vault->key) != 0)
        return damaged(err);
    bool ok = true, last = false;
    for (uint64_t at = HEADER; ok && !last;) {
        size_t sealed = in_size - at < SEALED ? (size_t)(in_size - at) : SEALED;
        ok = goes_on(vault, err) && (sealed >= crypto_secretstream_xchacha20poly1305_ABYTES || damaged(err)) &&
             unseal_piece(vault, &state, in, at, sealed, target, &last, err);
        at += sealed;
        if (ok && tick && tick->more)
            tick->more(tick->payload, sealed - crypto_secretstream_xchacha20poly1305_ABYTES);
        if (ok && last && at != in_size)
            ok = damaged(err);
    }
    sodium_memzero(&state, sizeof state);
    return ok;
}

// ---- objects

static bool put_in_place(const struct vault *vault, const char *temporary, const uint8_t name[VAULT_NAME_SIZE],
                         uint64_t size, bool *is_new, struct error *err)
{
    char path[PATH_SIZE], part[3];
    path_of(name, path);
    text_copy_n(part, sizeof part, path, 2);
    *is_new = !vault_has(vault, name, size);
    if (!*is_new)
        return unlinkat(vault->objects_fd, temporary, 0) == 0 || error_errno(err, errno, "cannot remove %s", temporary);
    if (mkdirat(vault->objects_fd, part, 0700) != 0 && errno != EEXIST)
        return error_errno(err, errno, "cannot make %.200s/objects/%s", vault->folder, part);
    return renameat(vault->objects_fd, temporary, vault->objects_fd, path) == 0 ||
           error_errno(err, errno, "cannot name %.200s/objects/%s", vault->folder, path);
}

bool vault_put(struct vault *vault, int fd, uint64_t size, const struct vault_tick *tick, uint8_t name[VAULT_NAME_SIZE],
               bool *is_new, struct error *err)
{
    static const char temporary[] = "new.tmp"; // one writer has the folder
    const struct origin origin = {.fd = fd, .size = size};
    uint8_t digest[HASH_SIZE];
    int out = openat(vault->objects_fd, temporary, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (out < 0)
        return error_errno(err, errno, "cannot write into %.200s", vault->folder);
    hash_start(vault->hash);
    bool ok = seal(vault, &origin, out, tick, err);
    hash_end(vault->hash, digest);
    if (close(out) != 0 && ok) // a file system of the network may tell only now
        ok = error_errno(err, errno, "cannot write into %.200s", vault->folder);
    name_of(vault, digest, name);
    ok = ok && put_in_place(vault, temporary, name, size, is_new, err);
    if (!ok)
        unlinkat(vault->objects_fd, temporary, 0);
    return ok;
}

bool vault_has(const struct vault *vault, const uint8_t name[VAULT_NAME_SIZE], uint64_t size)
{
    char path[PATH_SIZE];
    struct stat status;
    path_of(name, path);
    return fstatat(vault->objects_fd, path, &status, AT_SYMLINK_NOFOLLOW) == 0 && S_ISREG(status.st_mode) &&
           (uint64_t)status.st_size == sealed_size(size);
}

static bool open_sealed(int folder_fd, const char *path, int *fd, uint64_t *size, struct error *err)
{
    struct stat status;
    *fd = openat(folder_fd, path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
    if (*fd < 0)
        return errno == ENOENT ? error_set(err, ERROR_NOT_FOUND, "it is not there")
                               : error_errno(err, errno, "cannot open it");
    if (fstat(*fd, &status) == 0 && S_ISREG(status.st_mode)) {
        *size = (uint64_t)status.st_size;
        return true;
    }
    close(*fd);
    return error_set(err, ERROR_DAMAGED, "it is no file");
}

bool vault_get(struct vault *vault, const uint8_t name[VAULT_NAME_SIZE], uint64_t size, int out,
               const struct vault_tick *tick, struct error *err)
{
    const struct target target = {.fd = out};
    uint8_t digest[HASH_SIZE], found[VAULT_NAME_SIZE];
    char path[PATH_SIZE];
    uint64_t there = 0;
    int in;
    path_of(name, path);
    if (!open_sealed(vault->objects_fd, path, &in, &there, err))
        return false;
    hash_start(vault->hash);
    bool ok = (there == sealed_size(size) || damaged(err)) && unseal(vault, in, there, &target, tick, err);
    hash_end(vault->hash, digest);
    close(in);
    name_of(vault, digest, found);
    return ok && (memcmp(found, name, sizeof found) == 0 || damaged(err));
}

// ---- lists

static void list_path(char out[PATH_SIZE], const char *name, const char *ending)
{
    snprintf(out, PATH_SIZE, "%.31s%s", name, ending);
}

bool vault_write_list(struct vault *vault, const char *name, const struct buffer *bytes, struct error *err)
{
    const struct origin origin = {.fd = -1, .bytes = bytes->data, .size = bytes->size};
    char path[PATH_SIZE], temporary[PATH_SIZE];
    list_path(path, name, ".list");
    list_path(temporary, name, ".tmp");
    int out = openat(vault->lists_fd, temporary, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (out < 0)
        return error_errno(err, errno, "cannot write into %.200s/lists", vault->folder);
    hash_start(vault->hash);
    bool ok = seal(vault, &origin, out, NULL, err);
    // All that was put since the last list, names and bytes, and this one: then its name.
    ok = ok && (syncfs(out) == 0 || error_errno(err, errno, "cannot sync %.200s", vault->folder));
    if (close(out) != 0 && ok)
        ok = error_errno(err, errno, "cannot write into %.200s/lists", vault->folder);
    ok = ok && (renameat(vault->lists_fd, temporary, vault->lists_fd, path) == 0 ||
                error_errno(err, errno, "cannot name %.200s/lists/%s", vault->folder, path));
    ok = ok && (fsync(vault->lists_fd) == 0 || error_errno(err, errno, "cannot sync %.200s/lists", vault->folder));
    if (!ok)
        unlinkat(vault->lists_fd, temporary, 0);
    return ok;
}

bool vault_read_list(struct vault *vault, const char *name, struct buffer *out, struct error *err)
{
    const struct target target = {.fd = -1, .buffer = out};
    char path[PATH_SIZE];
    uint64_t size = 0;
    int in;
    list_path(path, name, ".list");
    if (!open_sealed(vault->lists_fd, path, &in, &size, err))
        return error_prefix(err, "backup %.31s", name);
    buffer_init(out, LIST_MAX);
    hash_start(vault->hash);
    bool ok = unseal(vault, in, size, &target, NULL, err);
    close(in);
    if (!ok)
        buffer_free(out);
    return ok || error_prefix(err, "backup %.31s", name);
}

bool vault_remove_list(struct vault *vault, const char *name, struct error *err)
{
    char path[PATH_SIZE];
    list_path(path, name, ".list");
    return (unlinkat(vault->lists_fd, path, 0) == 0 && fsync(vault->lists_fd) == 0) ||
           error_errno(err, errno, "cannot remove %.200s/lists/%s", vault->folder, path);
}

static int compare_names(const void *a, const void *b)
{
    return strcmp(a, b);
}

// "NAME.list" of a name that fits.
static bool is_list(const char *file, char name[BACKUP_NAME_SIZE])
{
    const char *dot = strrchr(file, '.');
    return dot && strcmp(dot, ".list") == 0 && dot - file < BACKUP_NAME_SIZE &&
           text_copy_n(name, BACKUP_NAME_SIZE, file, (size_t)(dot - file));
}

static bool add_name(char (**names)[BACKUP_NAME_SIZE], size_t *count, const char *name, struct error *err)
{
    char(*grown)[BACKUP_NAME_SIZE] = *count < NAMES_MAX ? realloc(*names, (*count + 1) * sizeof **names) : NULL;
    if (!grown)
        return error_set(err, ERROR_LIMIT, "there are more than %zu backups", *count);
    *names = grown;
    text_copy(grown[(*count)++], BACKUP_NAME_SIZE, name);
    return true;
}

bool vault_lists(const struct vault *vault, char (**names)[BACKUP_NAME_SIZE], size_t *count, struct error *err)
{
    char name[BACKUP_NAME_SIZE];
    bool ok = true;
    int fd = openat(vault->lists_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *folder = fd >= 0 ? fdopendir(fd) : NULL;
    *names = NULL;
    *count = 0;
    if (!folder)
        return error_errno(err, errno, "cannot list %.200s/lists", vault->folder);
    for (struct dirent *entry; ok && (entry = readdir(folder));)
        if (is_list(entry->d_name, name))
            ok = add_name(names, count, name, err);
    closedir(folder);
    if (ok && *count > 0)
        qsort(*names, *count, sizeof **names, compare_names);
    if (!ok)
        free(*names);
    return ok;
}

// ---- what no list names any more

static int compare_objects(const void *a, const void *b)
{
    return memcmp(a, b, VAULT_NAME_SIZE);
}

static bool is_wanted(const char *part, const char *file, const uint8_t *names, size_t count)
{
    char hex[2 * VAULT_NAME_SIZE + 8];
    uint8_t name[VAULT_NAME_SIZE];
    size_t size;
    snprintf(hex, sizeof hex, "%s%.*s", part, 2 * VAULT_NAME_SIZE, file);
    return text_unhex(hex, name, sizeof name, &size) && size == sizeof name && count > 0 &&
           bsearch(name, names, count, VAULT_NAME_SIZE, compare_objects) != NULL;
}

static void sweep_part(const struct vault *vault, unsigned part, const uint8_t *names, size_t count, uint64_t *removed)
{
    char word[3];
    snprintf(word, sizeof word, "%02x", part);
    int fd = openat(vault->objects_fd, word, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
    DIR *folder = fd >= 0 ? fdopendir(fd) : NULL;
    for (struct dirent *entry; folder && (entry = readdir(folder));)
        if (entry->d_name[0] != '.' && !is_wanted(word, entry->d_name, names, count) &&
            unlinkat(dirfd(folder), entry->d_name, 0) == 0)
            ++*removed;
    if (folder)
        closedir(folder);
}

bool vault_sweep(struct vault *vault, const uint8_t *names, size_t count, uint64_t *removed, struct error *err)
{
    *removed = 0;
    for (unsigned part = 0; part < 256; part++) {
        if (!goes_on(vault, err))
            return false;
        sweep_part(vault, part, names, count, removed);
    }
    return true;
}
