#include "access/audit_key.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/random.h>
#include <unistd.h>

#include "base/buffer.h"
#include "base/file.h"
#include "base/text.h"

#define FORM "hilum-audit-key 1"

enum { FILE_MAX = 256 };

// RFC 2104: the key, which is shorter than a block, filled up with zeros.
static bool set(struct access_key *key, const char *digits, uint64_t from)
{
    static const char label[] = "hilum audit key";
    uint8_t bytes[HASH_SIZE], digest[HASH_SIZE], named[sizeof label - 1 + HASH_SIZE];
    size_t size;
    if (!text_unhex(digits, bytes, sizeof bytes, &size) || size != sizeof bytes)
        return false;
    for (size_t i = 0; i < ACCESS_KEY_BLOCK; i++) {
        uint8_t byte = i < sizeof bytes ? bytes[i] : 0;
        key->inner[i] = byte ^ 0x36;
        key->outer[i] = byte ^ 0x5C;
    }
    memcpy(named, label, sizeof label - 1);
    memcpy(named + sizeof label - 1, bytes, sizeof bytes);
    hash_of(named, sizeof named, digest);
    text_hex(key->name, digest, (sizeof key->name - 1) / 2);
    key->from = from;
    key->there = true;
    return true;
}

// "FORM DIGITS NUMBER\n", whole.
static bool parse(struct access_key *key, const char *text)
{
    char digits[2 * HASH_SIZE + 1];
    uint64_t from;
    if (!text_starts(text, FORM " "))
        return false;
    text += strlen(FORM " ");
    size_t size = strspn(text, "0123456789abcdef");
    if (!text_copy_n(digits, sizeof digits, text, size) || text[size] != ' ')
        return false;
    const char *number = text + size + 1, *end = number + strcspn(number, "\n");
    return strcmp(end, "\n") == 0 && text_to_u64(number, (size_t)(end - number), &from) && from > 0 &&
           set(key, digits, from);
}

bool access_key_read(struct access_key *key, const char *folder, const char *path, struct error *err)
{
    struct buffer text;
    *key = (struct access_key){.there = false};
    int size = path && *path ? snprintf(key->path, sizeof key->path, "%s", path)
                             : snprintf(key->path, sizeof key->path, "%s/audit-key", folder);
    if (size < 0 || (size_t)size >= sizeof key->path)
        return error_set(err, ERROR_LIMIT, "path of the audit trail's key too long: %.100s...", key->path);
    if (access(key->path, F_OK) != 0 && errno == ENOENT)
        return true;
    buffer_init(&text, FILE_MAX);
    bool ok = file_read(key->path, &text, err);
    buffer_byte(&text, '\0');
    if (ok && (text.failed || !parse(key, (const char *)text.data)))
        ok = error_set(err, ERROR_BAD_DATA, "%s holds no key of an audit trail", key->path);
    buffer_free(&text);
    return ok;
}

bool access_key_make(struct access_key *key, uint64_t from, struct error *err)
{
    uint8_t bytes[HASH_SIZE];
    char digits[2 * HASH_SIZE + 1], text[FILE_MAX];
    if (getrandom(bytes, sizeof bytes, 0) != (ssize_t)sizeof bytes)
        return error_errno(err, errno, "no random bytes for the audit trail's key");
    text_hex(digits, bytes, sizeof bytes);
    int size = snprintf(text, sizeof text, FORM " %s %" PRIu64 "\n", digits, from);
    return file_replace(key->path, text, (size_t)size, 0600, err) && set(key, digits, from);
}

void access_key_start(const struct access_key *key, struct hash *hash)
{
    hash_start(hash);
    if (key)
        hash_add(hash, key->inner, sizeof key->inner);
}

void access_key_end(const struct access_key *key, struct hash *hash, uint8_t out[HASH_SIZE])
{
    hash_end(hash, out);
    if (!key)
        return;
    hash_start(hash);
    hash_add(hash, key->outer, sizeof key->outer);
    hash_add(hash, out, HASH_SIZE);
    hash_end(hash, out);
}
