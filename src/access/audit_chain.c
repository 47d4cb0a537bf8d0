#include "access/audit_chain.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "access/audit_walk.h"
#include "base/file.h"
#include "base/text.h"

// Opens file `segment` at its end, as chain->safe says.
static bool open_segment(struct access_chain *chain, uint64_t segment, struct error *err)
{
    char path[ACCESS_PATH_SIZE];
    if (!access_segment_path(path, chain->folder, segment, err))
        return false;
    int fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
    if (fd < 0)
        return error_errno(err, errno, "cannot open %s", path);
    if (!file_sync_folder(chain->folder, err)) {
        close(fd);
        return false;
    }
    if (chain->fd >= 0)
        close(chain->fd);
    chain->fd = fd;
    chain->segment = segment;
    return true;
}

static bool next_segment(struct access_chain *chain, struct error *err)
{
    if (!open_segment(chain, chain->segment + 1, err))
        return false;
    chain->safe.size = 0;
    chain->safe.first = true;
    chain->dirty = true; // a failed start before us may have left bytes
    return true;
}

// A new chain in a new file; `found` says why. On failure the old one stays as it was.
static bool begin_again(struct access_chain *chain, uint64_t last, const char *why, char *found, struct error *err)
{
    struct access_chain_place safe = chain->safe;
    uint64_t segment = chain->segment;
    chain->segment = last;
    chain->safe = (struct access_chain_place){0};
    if (!next_segment(chain, err)) {
        chain->segment = segment;
        chain->safe = safe;
        return false;
    }
    snprintf(found, ERROR_MESSAGE_SIZE, ACCESS_BROKEN_WORDS "%.150s", why);
    return true;
}

static const struct access_key *key_of(const struct access_chain *chain)
{
    return chain->key.there ? &chain->key : NULL;
}

// A file has one key or none: with another one the next file is begun. What a crash left behind its last line would not
// be cut later.
static bool change_key(struct access_chain *chain, const struct access_walk *walk, struct error *err)
{
    if (chain->safe.first || strcmp(walk->key_name, chain->key.name) == 0)
        return true;
    if (ftruncate(chain->fd, (off_t)chain->safe.size) != 0 || fsync(chain->fd) != 0)
        return error_errno(err, errno, "cannot cut the audit file back");
    return next_segment(chain, err);
}

// Takes up the place behind the last sound line of the last file.
static bool take_up(struct access_chain *chain, const struct access_walk *walk, uint64_t last, char *found,
                    struct error *err)
{
    chain->safe = (struct access_chain_place){.seq = walk->seq, .size = walk->size, .first = walk->size == 0};
    memcpy(chain->safe.value, walk->value, HASH_SIZE);
    chain->unanchored = walk->behind;
    if (!open_segment(chain, last, err))
        return false;
    if (walk->torn == 0)
        return change_key(chain, walk, err);
    snprintf(found, ERROR_MESSAGE_SIZE, "%llu bytes of an unfinished line were cut off (the last stop was not clean)",
             (unsigned long long)walk->torn);
    chain->dirty = true;
    return change_key(chain, walk, err);
}

static bool resume(struct access_chain *chain, uint64_t last, const struct store_audit_head *anchored, char *found,
                   struct error *err)
{
    struct access_walk walk;
    struct error broken;
    bool sound = access_walk_last(&walk, chain->folder, last, key_of(chain), anchored, &broken) ||
                 (walk.torn > 0 && walk.segment == last);
    if (sound && access_walk_reached(&walk, &broken))
        return take_up(chain, &walk, last, found, err);
    if (broken.code != ERROR_BAD_DATA) {
        *err = broken;
        return false;
    }
    chain->broken = true;
    return begin_again(chain, last, broken.message, found, err);
}

static bool lost_key(struct access_chain *chain, uint64_t last, char *found, struct error *err)
{
    char why[ERROR_MESSAGE_SIZE];
    snprintf(why, sizeof why, "its key %.60s is gone: put it back and restart, or make one: hilum audit key",
             chain->key.path);
    chain->broken = true;
    return begin_again(chain, last, why, found, err);
}

static bool open_last(struct access_chain *chain, const struct store_audit_head *anchored, char *found,
                      struct error *err)
{
    uint64_t last;
    if (!access_segment_last(chain->folder, &last, err))
        return false;
    if (anchored->segment > last) // and its number does not come again
        last = anchored->segment;
    bool has_had_one = false;
    if (!chain->key.there && !access_walk_has_key(chain->folder, &has_had_one, err))
        return false;
    if (has_had_one)
        return lost_key(chain, last, found, err);
    if (!chain->key.there && !access_key_make(&chain->key, last + 1, err))
        return false;
    return last > 0 ? resume(chain, last, anchored, found, err) : next_segment(chain, err);
}

bool access_chain_open(struct access_chain *chain, const char *folder, const char *key_path,
                       const struct store_audit_head *anchored, char *found, struct error *err)
{
    found[0] = '\0';
    *chain = (struct access_chain){.fd = -1, .segment_max = ACCESS_SEGMENT_MAX};
    buffer_init(&chain->batch, ACCESS_BATCH_MAX);
    access_line_host(chain->host, sizeof chain->host);
    chain->folder = strdup(folder);
    chain->hash = hash_new();
    bool ok = chain->folder && chain->hash ? true : error_set(err, ERROR_MEMORY, "no memory for the audit trail");
    ok = ok && file_make_folders(folder, 0700, err) && access_key_read(&chain->key, folder, key_path, err) &&
         open_last(chain, anchored, found, err);
    if (!ok) {
        access_chain_close(chain);
        return false;
    }
    chain->next = chain->safe;
    return true;
}

// ---- while it is open

// What is wrong with the file, or "".
static bool look(const struct access_chain *chain, char what[ERROR_MESSAGE_SIZE], struct error *err)
{
    char path[ACCESS_PATH_SIZE];
    struct stat own, named;
    unsigned long long segment = chain->segment, line = chain->head.line;
    what[0] = '\0';
    if (!access_segment_path(path, chain->folder, chain->segment, err))
        return false;
    if (fstat(chain->fd, &own) != 0)
        return error_errno(err, errno, "cannot look at audit file %llu", segment);
    if (stat(path, &named) != 0 && errno == ENOENT)
        snprintf(what, ERROR_MESSAGE_SIZE, "audit-%08llu.log, up to line %llu, was removed", segment, line);
    else if (own.st_nlink == 0 || own.st_dev != named.st_dev || own.st_ino != named.st_ino)
        snprintf(what, ERROR_MESSAGE_SIZE, "audit-%08llu.log, up to line %llu, was replaced", segment, line);
    else if (!chain->dirty && (uint64_t)own.st_size != chain->safe.size)
        snprintf(what, ERROR_MESSAGE_SIZE, "audit-%08llu.log, up to line %llu, has %lld bytes, and %llu were written",
                 segment, line, (long long)own.st_size, (unsigned long long)chain->safe.size);
    return true;
}

bool access_chain_look(struct access_chain *chain, char *found, struct error *err)
{
    char what[ERROR_MESSAGE_SIZE];
    found[0] = '\0';
    if (!look(chain, what, err))
        return false;
    if (what[0] == '\0')
        return true;
    if (!begin_again(chain, chain->segment, what, found, err))
        return false;
    chain->next = chain->safe;
    return true;
}

bool access_chain_next_file(struct access_chain *chain, struct error *err)
{
    if (!chain->safe.first && !next_segment(chain, err))
        return false;
    chain->next = chain->safe;
    return true;
}

void access_chain_close(struct access_chain *chain)
{
    if (chain->fd >= 0)
        close(chain->fd);
    chain->fd = -1;
    buffer_free(&chain->batch);
    hash_free(chain->hash);
    free(chain->folder);
    chain->hash = NULL;
    chain->folder = NULL;
}

// Puts the digits where access_line_write left them out.
static void seal(struct access_chain *chain, size_t start, size_t value_at)
{
    char digits[ACCESS_CHAIN_DIGITS + 1];
    struct buffer *batch = &chain->batch;
    size_t without_end = batch->size - 1 - start;
    access_key_start(key_of(chain), chain->hash);
    hash_add(chain->hash, chain->next.value, HASH_SIZE);
    hash_add(chain->hash, batch->data + start, without_end);
    access_key_end(key_of(chain), chain->hash, chain->next.value);
    text_hex(digits, chain->next.value, HASH_SIZE);
    uint8_t *at = batch->data + value_at;
    memmove(at + ACCESS_CHAIN_DIGITS, at, batch->size - value_at);
    memcpy(at, digits, ACCESS_CHAIN_DIGITS);
    batch->size += ACCESS_CHAIN_DIGITS;
}

bool access_chain_add(struct access_chain *chain, const struct access_record *record, int64_t time_ns, uint64_t count)
{
    char previous[ACCESS_CHAIN_DIGITS + 1];
    struct buffer *batch = &chain->batch;
    if (!buffer_reserve(batch, ACCESS_LINE_MAX)) {
        batch->failed = false; // what is in it stays good
        return false;
    }
    struct access_line line = {.record = record,
                               .time_ns = time_ns,
                               .count = count,
                               .seq = chain->next.seq + 1,
                               .host = chain->host,
                               .process = (long)getpid()};
    if (chain->next.first) {
        text_hex(previous, chain->next.value, HASH_SIZE);
        line.previous = previous;
        line.key = chain->key.there ? chain->key.name : NULL;
    }
    size_t start = batch->size;
    size_t value_at = access_line_write(batch, &line);
    seal(chain, start, value_at);
    chain->next.size += batch->size - start;
    chain->next.seq++;
    chain->next.first = false;
    return true;
}

static bool write_batch(struct access_chain *chain, struct error *err)
{
    if (chain->dirty && ftruncate(chain->fd, (off_t)chain->safe.size) != 0)
        return error_errno(err, errno, "cannot cut the audit file back");
    chain->dirty = true;
    if (!file_pwrite(chain->fd, chain->batch.data, chain->batch.size, chain->safe.size, err))
        return error_prefix(err, "audit file %llu", (unsigned long long)chain->segment);
    if (!file_sync(chain->fd, "the audit file", err))
        return false;
    chain->dirty = false;
    return true;
}

static void set_head(struct access_chain *chain)
{
    chain->head = (struct store_audit_head){.segment = chain->segment, .line = chain->safe.seq};
    memcpy(chain->head.value, chain->safe.value, HASH_SIZE);
}

bool access_chain_commit(struct access_chain *chain, struct error *err)
{
    bool ok = chain->batch.size == 0 || write_batch(chain, err);
    buffer_clear(&chain->batch);
    if (!ok) {
        // A failed sync may have dropped pages: only writing them again makes them sure.
        if (ftruncate(chain->fd, (off_t)chain->safe.size) == 0)
            chain->dirty = false;
        chain->next = chain->safe;
        return false;
    }
    chain->unanchored += chain->next.seq - chain->safe.seq;
    chain->written += chain->next.seq - chain->safe.seq;
    chain->safe = chain->next;
    set_head(chain);
    if (chain->safe.size >= chain->segment_max) {
        struct error later;
        // A folder that is full today is no failure of what was written; the file grows on until it works.
        if (next_segment(chain, &later))
            chain->next = chain->safe;
    }
    return true;
}
