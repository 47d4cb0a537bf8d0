#include "access/audit_walk.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "access/audit_chain.h"
#include "base/text.h"

bool access_segment_path(char path[ACCESS_PATH_SIZE], const char *folder, uint64_t segment, struct error *err)
{
    int size = snprintf(path, ACCESS_PATH_SIZE, "%s/audit-%08llu.log", folder, (unsigned long long)segment);
    if (size > 0 && size < ACCESS_PATH_SIZE)
        return true;
    return error_set(err, ERROR_LIMIT, "path of the audit folder too long: %.100s...", folder);
}

// "audit-00000007.log" -> 7; 0 for any other name.
static uint64_t segment_of(const char *name)
{
    uint64_t number;
    size_t size = strlen(name);
    if (size < 18 || !text_starts(name, "audit-") || strcmp(name + size - 4, ".log") != 0)
        return 0;
    if (strspn(name + 6, "0123456789") != size - 10 || !text_to_u64(name + 6, size - 10, &number))
        return 0;
    return number;
}

static int compare(const void *a, const void *b)
{
    const uint64_t *left = a;
    const uint64_t *right = b;
    return *left < *right ? -1 : *left > *right;
}

struct segments {
    uint64_t *numbers; // owned
    size_t count, capacity;
};

static bool segments_add(struct segments *segments, uint64_t number, struct error *err)
{
    if (segments->count == ACCESS_SEGMENTS_MAX)
        return error_set(err, ERROR_LIMIT, "more than %d audit files: move the oldest away", ACCESS_SEGMENTS_MAX);
    if (segments->count == segments->capacity) {
        size_t capacity = segments->capacity ? segments->capacity * 2 : 64;
        uint64_t *numbers = realloc(segments->numbers, capacity * sizeof *numbers);
        if (!numbers)
            return error_set(err, ERROR_MEMORY, "no memory for the names of the audit files");
        segments->numbers = numbers;
        segments->capacity = capacity;
    }
    segments->numbers[segments->count++] = number;
    return true;
}

// In ascending order.
static bool segments_list(const char *folder, struct segments *segments, struct error *err)
{
    *segments = (struct segments){0};
    DIR *dir = opendir(folder);
    if (!dir)
        return error_errno(err, errno, "cannot open the audit folder %s", folder);
    bool ok = true;
    for (struct dirent *entry; ok && (entry = readdir(dir));) {
        uint64_t number = segment_of(entry->d_name);
        ok = number == 0 || segments_add(segments, number, err);
    }
    closedir(dir);
    if (segments->count > 0)
        qsort(segments->numbers, segments->count, sizeof *segments->numbers, compare);
    return ok;
}

bool access_segment_last(const char *folder, uint64_t *last, struct error *err)
{
    struct segments segments;
    bool ok = segments_list(folder, &segments, err);
    *last = ok && segments.count > 0 ? segments.numbers[segments.count - 1] : 0;
    free(segments.numbers);
    return ok;
}

// ---- one line

struct chain_element {
    uint64_t seq;
    bool has_previous;
    char key[ACCESS_KEY_NAME_SIZE]; // ""
    uint8_t previous[HASH_SIZE], value[HASH_SIZE];
    size_t value_at; // where its digits are in the line
};

static bool take_text(const char **at, const char *end, const char *text)
{
    size_t size = strlen(text);
    if ((size_t)(end - *at) < size || memcmp(*at, text, size) != 0)
        return false;
    *at += size;
    return true;
}

// The digits as text_hex writes them and no others: a changed case is a changed byte.
static bool take_digest(const char **at, const char *end, uint8_t out[HASH_SIZE])
{
    char digits[ACCESS_CHAIN_DIGITS + 1], again[ACCESS_CHAIN_DIGITS + 1];
    size_t size;
    if (end - *at < ACCESS_CHAIN_DIGITS)
        return false;
    text_copy_n(digits, sizeof digits, *at, ACCESS_CHAIN_DIGITS);
    if (!text_unhex(digits, out, HASH_SIZE, &size) || size != HASH_SIZE)
        return false;
    text_hex(again, out, HASH_SIZE);
    *at += ACCESS_CHAIN_DIGITS;
    return memcmp(digits, again, ACCESS_CHAIN_DIGITS) == 0;
}

static bool take_key(const char **at, const char *end, char out[ACCESS_KEY_NAME_SIZE])
{
    out[0] = '\0';
    if (!take_text(at, end, ACCESS_CHAIN_KEY))
        return true;
    if (end - *at < ACCESS_KEY_NAME_SIZE)
        return false;
    text_copy_n(out, ACCESS_KEY_NAME_SIZE, *at, ACCESS_KEY_NAME_SIZE - 1);
    *at += ACCESS_KEY_NAME_SIZE - 1;
    return strspn(out, "0123456789abcdef") == ACCESS_KEY_NAME_SIZE - 1;
}

static bool take_chain(const char *line, size_t size, struct chain_element *out)
{
    const char *end = line + size;
    const char *at = memmem(line, size, ACCESS_CHAIN_START, strlen(ACCESS_CHAIN_START));
    if (!at)
        return false;
    at += strlen(ACCESS_CHAIN_START);
    const char *digits = at;
    while (at < end && *at >= '0' && *at <= '9')
        at++;
    if (!text_to_u64(digits, (size_t)(at - digits), &out->seq))
        return false;
    out->has_previous = take_text(&at, end, ACCESS_CHAIN_PREVIOUS);
    out->key[0] = '\0';
    if (out->has_previous && (!take_digest(&at, end, out->previous) || !take_key(&at, end, out->key)))
        return false;
    if (!take_text(&at, end, ACCESS_CHAIN_VALUE))
        return false;
    out->value_at = (size_t)(at - line);
    return take_digest(&at, end, out->value) && take_text(&at, end, ACCESS_CHAIN_END);
}

static void value_of(const struct access_key *key, const uint8_t previous[HASH_SIZE], const char *line, size_t size,
                     size_t value_at, struct hash *hash, uint8_t out[HASH_SIZE])
{
    size_t behind = value_at + ACCESS_CHAIN_DIGITS;
    access_key_start(key, hash);
    hash_add(hash, previous, HASH_SIZE);
    hash_add(hash, line, value_at);
    hash_add(hash, line + behind, size - behind);
    access_key_end(key, hash, out);
}

// What was found so far, the sentence, and the line.
static bool add_to_digest(struct access_walk *walk, const char *sentence)
{
    struct hash *hash = hash_new();
    if (!hash)
        return false;
    hash_start(hash);
    hash_add(hash, walk->damage.digest, HASH_SIZE);
    hash_add(hash, sentence, strlen(sentence));
    if (walk->text)
        hash_add(hash, walk->text, walk->text_size);
    hash_end(hash, walk->damage.digest);
    hash_free(hash);
    return true;
}

// true: the walk goes on.
static bool wrong(struct access_walk *walk, uint64_t segment, struct error *err)
{
    struct access_damage *damage = &walk->damage;
    walk->wrongs++;
    if (!walk->wrong)
        return false;
    if (!add_to_digest(walk, err->message))
        return error_set(err, ERROR_MEMORY, "no memory to check the audit files");
    damage->segment = segment;
    if (damage->places < ACCESS_PLACES_SHOWN)
        text_copy(damage->said[damage->places], ERROR_MESSAGE_SIZE, err->message);
    damage->places++;
    return true;
}

static uint64_t known_in(const struct access_knowns *knowns, const uint8_t digest[HASH_SIZE])
{
    for (size_t i = 0; i < knowns->count; i++)
        if (memcmp(knowns->items[i].digest, digest, HASH_SIZE) == 0)
            return knowns->items[i].segment;
    return 0;
}

// All that is wrong with a file was found.
static void tell_damage(struct access_walk *walk)
{
    if (walk->damage.places == 0)
        return;
    walk->damage.known_in = known_in(walk->knowns, walk->damage.digest);
    walk->wrong(walk->payload, &walk->damage);
    walk->damage = (struct access_damage){0};
}

static bool broken(struct access_walk *walk, const char *what, struct error *err)
{
    error_set(err, ERROR_BAD_DATA, "audit-%08llu.log line %llu: %s", (unsigned long long)walk->segment,
              (unsigned long long)walk->line, what);
    return wrong(walk, walk->segment, err);
}

// Whether the line is the trail's own and begins with these words; no other's text can hold the element.
static bool says(const char *line, size_t size, const char *words)
{
    char element[160];
    int length = snprintf(element, sizeof element,
                          "csd-code=\"110134\" codeSystemName=\"DCM\" originalText=\"Audit "
                          "Recording Started\"/><EventOutcomeDescription>%s",
                          words);
    return length > 0 && memmem(line, size, element, (size_t)length) != NULL;
}

static void join(struct access_walk *walk, const struct chain_element *chain)
{
    if (chain->has_previous)
        memcpy(walk->value, chain->previous, HASH_SIZE);
    walk->seq = chain->seq - 1;
    walk->joined = true;
}

// A chain that the trail says to begin anew: the break is told by that line (access_walk_break), once.
static bool begins_anew(const struct access_walk *walk, const struct chain_element *chain, const char *line,
                        size_t size)
{
    static const uint8_t nothing[HASH_SIZE];
    return walk->line == 1 && chain->has_previous && memcmp(chain->previous, nothing, HASH_SIZE) == 0 &&
           says(line, size, ACCESS_BROKEN_WORDS);
}

static bool check_joint(struct access_walk *walk, const struct chain_element *chain, struct error *err)
{
    if (chain->has_previous != (walk->line == 1) &&
        !broken(walk, "only the first line of a file names a previous value, and it must", err))
        return false;
    if (!walk->joined)
        join(walk, chain);
    bool continues = !chain->has_previous || memcmp(chain->previous, walk->value, HASH_SIZE) == 0;
    if (!continues && !broken(walk, "does not continue the file before it", err))
        return false;
    if (continues && chain->seq != walk->seq + 1 && !broken(walk, "lines are missing before it", err))
        return false;
    join(walk, chain);
    return true;
}

static bool check_anchored(struct access_walk *walk, const struct chain_element *chain, struct error *err)
{
    const struct store_audit_head *anchored = &walk->anchored;
    walk->behind += walk->reached;
    if (anchored->segment != walk->segment || anchored->line != chain->seq)
        return true;
    walk->reached = true;
    return memcmp(anchored->value, chain->value, HASH_SIZE) == 0 ||
           broken(walk, "is not the line that was there: the trail was written anew", err);
}

// A file of after the key must have it: without this, whoever lacks it could write one anew as of the time before.
static bool check_key(struct access_walk *walk, const struct chain_element *chain, struct error *err)
{
    if (walk->line != 1)
        return true;
    text_copy(walk->key_name, sizeof walk->key_name, chain->key);
    bool must = walk->key && walk->segment >= walk->key->from;
    return !must || strcmp(chain->key, walk->key->name) == 0 ||
           broken(walk, *chain->key ? "has another key" : "is without the key that files of its time have", err);
}

static bool check_value(struct access_walk *walk, const struct chain_element *chain, const char *line, size_t size,
                        struct hash *hash, struct error *err)
{
    uint8_t value[HASH_SIZE];
    const struct access_key *key = *walk->key_name ? walk->key : NULL;
    if (*walk->key_name && (!key || strcmp(walk->key_name, key->name) != 0)) {
        walk->unchecked++;
        return true;
    }
    value_of(key, walk->value, line, size, chain->value_at, hash, value);
    return memcmp(value, chain->value, HASH_SIZE) == 0 ||
           broken(walk, "does not match its chain value: it, or what is before it, was changed", err);
}

static bool check_line(struct access_walk *walk, const char *line, size_t size, struct hash *hash, struct error *err)
{
    struct chain_element chain;
    uint64_t wrongs = walk->wrongs;
    walk->line++;
    walk->lines++;
    walk->text = line;
    walk->text_size = size;
    if (!take_chain(line, size, &chain))
        return broken(walk, "holds no chain value", err);
    walk->joined = walk->joined && !begins_anew(walk, &chain, line, size);
    if (!check_joint(walk, &chain, err))
        return false;
    if (!check_key(walk, &chain, err) || !check_value(walk, &chain, line, size, hash, err))
        return false;
    if (!check_anchored(walk, &chain, err))
        return false;
    memcpy(walk->value, chain.value, HASH_SIZE);
    walk->seq = chain.seq;
    walk->sound_lines += walk->wrongs == wrongs;
    walk->size += size + 1;
    return true;
}

// ---- files

struct window {
    int fd;
    char *data; // of 2 * ACCESS_LINE_MAX bytes
    size_t from, size;
};

// Reads more behind what is there. *end: the file has no more.
static bool fill(struct window *window, bool *end, struct error *err)
{
    memmove(window->data, window->data + window->from, window->size);
    window->from = 0;
    for (;;) {
        ssize_t got = read(window->fd, window->data + window->size, 2 * ACCESS_LINE_MAX - window->size);
        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0)
            return error_errno(err, errno, "cannot read an audit file");
        *end = got == 0;
        window->size += (size_t)got;
        return true;
    }
}

// A power cut may keep the later pages of a turn that was not synced and lose an earlier one, which is zeros then; no
// line has one. What is behind the anchored line is cut there; one who goes on is told of it.
static bool is_unfinished(const struct access_walk *walk, const char *line, size_t size)
{
    return !walk->wrong && memchr(line, '\0', size) != NULL;
}

static bool end_unfinished(struct access_walk *walk, int fd, struct error *err)
{
    struct stat status;
    if (fstat(fd, &status) != 0)
        return error_errno(err, errno, "cannot tell the size of an audit file");
    walk->line++;
    walk->lines++;
    walk->text = NULL;
    walk->torn = (uint64_t)status.st_size - walk->size;
    return broken(walk, "has bytes that never reached the disk", err);
}

static bool check_lines(struct access_walk *walk, struct window *window, struct hash *hash, struct error *err)
{
    for (;;) {
        char *line = window->data + window->from;
        char *stop = memchr(line, '\n', window->size);
        if (stop) {
            size_t size = (size_t)(stop - line);
            if (is_unfinished(walk, line, size))
                return end_unfinished(walk, window->fd, err);
            if (!check_line(walk, line, size, hash, err))
                return false;
            window->from += size + 1;
            window->size -= size + 1;
            continue;
        }
        bool end = false;
        bool room = window->size < ACCESS_LINE_MAX;
        if (room && !fill(window, &end, err))
            return false;
        if (room && !end)
            continue;
        if (window->size == 0)
            return true;
        if (!end && is_unfinished(walk, line, window->size))
            return end_unfinished(walk, window->fd, err);
        walk->line++;
        walk->lines++;
        walk->torn = end ? window->size : 0;
        walk->text = NULL;
        // One who goes on looks while others write.
        if (walk->torn > 0 && walk->wrong)
            return true;
        return broken(walk, end ? "has no line end (a crash leaves one such; the next start cuts it)" : "is too long",
                      err);
    }
}

static bool is_missing(struct access_walk *walk, uint64_t segment, struct error *err)
{
    error_set(err, ERROR_BAD_DATA, "audit-%08llu.log is missing", (unsigned long long)segment);
    walk->joined = false;
    walk->text = NULL;
    if (!wrong(walk, segment, err))
        return false;
    tell_damage(walk);
    return true;
}

static bool check_segment(struct access_walk *walk, const char *folder, uint64_t segment, struct error *err)
{
    char path[ACCESS_PATH_SIZE];
    walk->segment = segment;
    walk->line = 0;
    walk->size = 0;
    walk->key_name[0] = '\0';
    if (!access_segment_path(path, folder, segment, err))
        return false;
    struct hash *hash = hash_new();
    struct window window = {.data = malloc(2 * ACCESS_LINE_MAX), .fd = open(path, O_RDONLY | O_CLOEXEC)};
    bool ok = true;
    if (window.fd < 0)
        ok = errno == ENOENT ? is_missing(walk, segment, err) : error_errno(err, errno, "cannot open %s", path);
    else if (!hash || !window.data)
        ok = error_set(err, ERROR_MEMORY, "no memory to check the audit files");
    else
        ok = check_lines(walk, &window, hash, err);
    if (window.fd >= 0)
        close(window.fd);
    free(window.data);
    hash_free(hash);
    return ok;
}

static bool exists(const char *folder, uint64_t segment)
{
    char path[ACCESS_PATH_SIZE];
    struct error ignored;
    return segment > 0 && access_segment_path(path, folder, segment, &ignored) && access(path, F_OK) == 0;
}

static bool walk_range(struct access_walk *walk, const char *folder, uint64_t from, uint64_t last,
                       const struct access_key *key, const struct store_audit_head *anchored, struct error *err)
{
    *walk = (struct access_walk){.joined = from == 1, .key = key, .anchored = *anchored};
    bool ok = true;
    for (uint64_t segment = from; ok && segment <= last; segment++)
        ok = check_segment(walk, folder, segment, err);
    return ok;
}

// Alone a file tells nothing when it is empty, and not whether it continues the one before it.
static bool begins_a_chain(const struct access_walk *walk, bool whole)
{
    bool sound = whole || walk->torn > 0;
    return sound && walk->seq == walk->lines - (whole ? 0 : 1) && walk->seq > 0;
}

bool access_walk_last(struct access_walk *walk, const char *folder, uint64_t last, const struct access_key *key,
                      const struct store_audit_head *anchored, struct error *err)
{
    uint64_t from = anchored->segment > 0 && anchored->segment < last ? anchored->segment : last;
    bool whole = walk_range(walk, folder, from, last, key, anchored, err);
    if (from < last || !exists(folder, last - 1) || begins_a_chain(walk, whole))
        return whole;
    return walk_range(walk, folder, last - 1, last, key, anchored, err);
}

bool access_walk_reached(const struct access_walk *walk, struct error *err)
{
    const struct store_audit_head *anchored = &walk->anchored;
    return anchored->segment == 0 || walk->reached ||
           error_set(err, ERROR_BAD_DATA,
                     "line %llu of the chain, in audit-%08llu.log, is missing: the end was cut off",
                     (unsigned long long)anchored->line, (unsigned long long)anchored->segment);
}

// The first line of a file, in `line`; "" where there is none.
static bool first_line(const char *folder, uint64_t segment, char line[ACCESS_LINE_MAX], size_t *size,
                       struct error *err)
{
    char path[ACCESS_PATH_SIZE];
    *size = 0;
    if (!access_segment_path(path, folder, segment, err))
        return false;
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    ssize_t got = fd >= 0 ? pread(fd, line, ACCESS_LINE_MAX, 0) : 0;
    int number = errno;
    if (fd >= 0)
        close(fd);
    if (got < 0 || (fd < 0 && number != ENOENT))
        return error_errno(err, number, "cannot read %s", path);
    const char *end = memchr(line, '\n', (size_t)got);
    *size = end ? (size_t)(end - line) : 0;
    return true;
}

const struct access_tale_words access_tales[ACCESS_TALES] = {
    [ACCESS_TALE_BREAK] = {ACCESS_BROKEN_WORDS, "the break in the audit chain is known: ", "trail"},
    [ACCESS_TALE_OLDER] = {ACCESS_OLDER_WORDS, "that the database is an older copy is known: ", NULL},
    [ACCESS_TALE_MISSING] = {ACCESS_MISSING_WORDS, "that lines may be missing is known: ", "missing lines"},
};

static void describe(char out[ERROR_MESSAGE_SIZE], uint64_t segment, const char *line, size_t size, const char *words)
{
    const char *from = memmem(line, size, words, strlen(words));
    const char *end = from ? memchr(from, '<', (size_t)(line + size - from)) : NULL;
    snprintf(out, ERROR_MESSAGE_SIZE, "audit-%08llu.log: %.*s", (unsigned long long)segment,
             end ? (int)(end - from) : 0, from ? from : "");
}

static void take_tale(struct access_standing *out, uint64_t segment, const char *line, size_t size)
{
    for (int i = 0; i < ACCESS_TALES; i++) {
        char *text = out->text[i];
        if (says(line, size, access_tales[i].known))
            text[0] = '\0';
        else if (text[0] == '\0' && says(line, size, access_tales[i].found))
            describe(text, segment, line, size, access_tales[i].found);
    }
}

static bool find_tales(const char *folder, const struct segments *segments, struct access_standing *out,
                       struct error *err)
{
    char *line = malloc(ACCESS_LINE_MAX);
    bool ok = line || error_set(err, ERROR_MEMORY, "no memory to look at the audit files");
    *out = (struct access_standing){0};
    for (size_t i = 0; ok && i < segments->count; i++) {
        size_t size;
        ok = first_line(folder, segments->numbers[i], line, &size, err);
        if (ok)
            take_tale(out, segments->numbers[i], line, size);
    }
    free(line);
    return ok;
}

bool access_walk_standing(const char *folder, struct access_standing *out, struct error *err)
{
    struct segments segments;
    bool ok = segments_list(folder, &segments, err) && find_tales(folder, &segments, out, err);
    free(segments.numbers);
    return ok;
}

static bool begins_with_break(const char *folder, uint64_t segment, bool *is_break, struct error *err)
{
    struct access_standing standing;
    const struct segments one = {.numbers = &segment, .count = 1};
    bool ok = find_tales(folder, &one, &standing, err);
    *is_break = ok && standing.text[ACCESS_TALE_BREAK][0] != '\0';
    return ok;
}

// The files that are missing before this one. What is gone where the trail says that it was broken is told by that.
static bool check_gap(struct access_walk *walk, const char *folder, uint64_t from, uint64_t number, struct error *err)
{
    bool is_break = false, ok = from >= number || begins_with_break(folder, number, &is_break, err);
    for (uint64_t gap = from; ok && !is_break && gap < number; gap++)
        ok = is_missing(walk, gap, err);
    return ok;
}

// Files from the front may have been moved to an archive; their successor then says what it continues.
static bool walk_files(struct access_walk *walk, const char *folder, const struct segments *segments, struct error *err)
{
    bool ok = true;
    for (size_t i = 0; ok && i < segments->count; i++) {
        uint64_t number = segments->numbers[i];
        if (i == 0)
            walk->joined = number == 1;
        ok = check_gap(walk, folder, i > 0 ? segments->numbers[i - 1] + 1 : number, number, err);
        uint64_t wrongs = walk->wrongs;
        ok = ok && check_segment(walk, folder, number, err);
        walk->sound_files += walk->wrongs == wrongs;
        tell_damage(walk);
    }
    walk->text = NULL;
    ok = ok && (access_walk_reached(walk, err) || wrong(walk, walk->anchored.segment, err));
    tell_damage(walk);
    return ok;
}

bool access_walk_all(struct access_walk *walk, const char *folder, struct error *err)
{
    struct segments segments;
    bool ok = segments_list(folder, &segments, err) && walk_files(walk, folder, &segments, err);
    walk->files = segments.count;
    walk->first = segments.count > 0 ? segments.numbers[0] : 0;
    free(segments.numbers);
    return ok;
}

static bool has_key(const char *folder, const struct segments *segments, char *line, bool *out, struct error *err)
{
    bool ok = true;
    for (size_t i = segments->count; ok && !*out && i-- > 0;) {
        struct chain_element chain;
        size_t size;
        ok = first_line(folder, segments->numbers[i], line, &size, err);
        *out = ok && size > 0 && take_chain(line, size, &chain) && *chain.key;
    }
    return ok;
}

bool access_walk_has_key(const char *folder, bool *out, struct error *err)
{
    struct segments segments;
    char *line = malloc(ACCESS_LINE_MAX);
    *out = false;
    bool ok = line || error_set(err, ERROR_MEMORY, "no memory to look at the audit files");
    if (ok) {
        ok = segments_list(folder, &segments, err) && has_key(folder, &segments, line, out, err);
        free(segments.numbers);
    }
    free(line);
    return ok;
}

bool access_audit_verify(const char *folder, uint64_t *lines, struct error *err)
{
    struct access_key key;
    *lines = 0;
    if (!access_key_read(&key, folder, NULL, err))
        return false;
    struct access_walk walk = {.key = key.there ? &key : NULL};
    bool ok = access_walk_all(&walk, folder, err);
    *lines = walk.lines;
    return ok;
}

// ---- what persons know of

static bool knowns_add(struct access_knowns *knowns, const struct access_known_damage *known, struct error *err)
{
    if (knowns->count == knowns->capacity) {
        size_t capacity = knowns->capacity ? knowns->capacity * 2 : 64;
        struct access_known_damage *items = realloc(knowns->items, capacity * sizeof *items);
        if (!items)
            return error_set(err, ERROR_MEMORY, "no memory for what is known of the audit files");
        knowns->items = items;
        knowns->capacity = capacity;
    }
    knowns->items[knowns->count++] = *known;
    return true;
}

static bool take_known(const char *line, struct access_known_damage *out)
{
    size_t size = strlen(line);
    if (!says(line, size, ACCESS_KNOWN_WORDS))
        return false;
    const char *digest = strstr(line, ACCESS_KNOWN_WORDS) + strlen(ACCESS_KNOWN_WORDS);
    return take_digest(&digest, line + size, out->digest);
}

// Past the limit nothing is taken as known.
static bool knowns_read(const char *folder, uint64_t segment, struct access_knowns *knowns, struct error *err)
{
    char path[ACCESS_PATH_SIZE], line[ACCESS_LINE_MAX];
    struct access_known_damage known = {.segment = segment};
    if (!access_segment_path(path, folder, segment, err))
        return false;
    FILE *file = fopen(path, "re");
    if (!file)
        return errno == ENOENT || error_errno(err, errno, "cannot open %s", path);
    bool ok = true;
    while (ok && knowns->count < ACCESS_KNOWNS_MAX && fgets(line, sizeof line, file) && take_known(line, &known))
        ok = knowns_add(knowns, &known, err);
    fclose(file);
    return ok;
}

static bool knowns_list(const char *folder, struct access_knowns *knowns, struct error *err)
{
    struct segments segments;
    bool ok = segments_list(folder, &segments, err);
    for (size_t i = 0; ok && i < segments.count; i++)
        ok = knowns_read(folder, segments.numbers[i], knowns, err);
    free(segments.numbers);
    return ok;
}

static void take_standing(struct access_audit_check *check, const struct access_standing *standing, bool unwritten)
{
    text_copy(check->broken, sizeof check->broken, standing->text[ACCESS_TALE_BREAK]);
    text_copy(check->older, sizeof check->older, standing->text[ACCESS_TALE_OLDER]);
    text_copy(check->missing, sizeof check->missing, standing->text[ACCESS_TALE_MISSING]);
    if (unwritten && !check->missing[0])
        text_copy(check->missing, sizeof check->missing,
                  "records wait that could not be written: they are lost if the server ends before it can write them");
}

bool access_audit_new_key(const char *folder, const char *path, struct error *err)
{
    struct access_key key;
    uint64_t last;
    if (!access_key_read(&key, folder, path, err) || !access_segment_last(folder, &last, err))
        return false;
    if (key.there)
        return error_set(err, ERROR_CONFLICT, "%s is a key already; what has it can only be checked with it", key.path);
    return access_key_make(&key, last + 1, err);
}

bool access_audit_check(const char *folder, struct access_audit_check *check, struct error *err)
{
    struct access_knowns knowns = {0};
    struct access_standing standing;
    struct access_key key;
    if (!access_key_read(&key, folder, check->key, err))
        return false;
    struct access_walk walk = {
        .wrong = check->wrong, .payload = check->payload, .knowns = &knowns, .key = key.there ? &key : NULL};
    bool ok = store_anchored_audit_of(folder, &walk.anchored, err) && knowns_list(folder, &knowns, err) &&
              access_walk_all(&walk, folder, err) && access_walk_standing(folder, &standing, err);
    free(knowns.items);
    if (!ok)
        return false;
    take_standing(check, &standing, walk.anchored.unwritten);
    check->lines = walk.lines;
    check->unchecked = walk.unchecked;
    check->has_key = key.there;
    check->files = walk.files;
    check->sound_lines = walk.sound_lines;
    check->sound_files = walk.sound_files;
    check->first = walk.first;
    check->anchored = walk.anchored.segment > 0;
    return true;
}
