// What names are matched by: upper case, accents kept, component delimiters '^' to spaces, runs of spaces to one. A
// name may be written in up to three ways at once (PS3.5 section 6.2.1: alphabetic, ideographic and phonetic groups,
// apart by '='); each way is a key of its own, so that a person is found by any of them.
#include "archive/columns.h"

#include <ctype.h>
#include <string.h>

#include "base/text.h"

// Small letters outside ASCII that names are written with (Latin, Greek, Cyrillic, full-width), as Unicode maps them to
// capitals of as many bytes in UTF-8.
static const struct {
    uint16_t first, last, step;
    int16_t to_upper;
} letters[] = {
    {0x00E0, 0x00F6, 1, -32}, {0x00F8, 0x00FE, 1, -32}, {0x00FF, 0x00FF, 1, 121}, {0x0101, 0x012F, 2, -1},
    {0x0133, 0x0137, 2, -1},  {0x013A, 0x0148, 2, -1},  {0x014B, 0x0177, 2, -1},  {0x017A, 0x017E, 2, -1},
    {0x01A1, 0x01A1, 1, -1},  {0x01B0, 0x01B0, 1, -1},  {0x03AC, 0x03AC, 1, -38}, {0x03AD, 0x03AF, 1, -37},
    {0x03B1, 0x03C1, 1, -32}, {0x03C2, 0x03C2, 1, -31}, {0x03C3, 0x03CB, 1, -32}, {0x03CC, 0x03CC, 1, -64},
    {0x03CD, 0x03CE, 1, -63}, {0x0430, 0x044F, 1, -32}, {0x0450, 0x045F, 1, -80}, {0x0491, 0x0491, 1, -1},
    {0x1E01, 0x1E95, 2, -1},  {0x1EA1, 0x1EFF, 2, -1},  {0xFF41, 0xFF5A, 1, -32},
};

static uint32_t upper(uint32_t c)
{
    for (size_t i = 0; i < sizeof letters / sizeof *letters; i++)
        if (c >= letters[i].first && c <= letters[i].last && (c - letters[i].first) % letters[i].step == 0)
            return (uint32_t)((int32_t)c + letters[i].to_upper);
    return c;
}

// One character of `length` bytes, above ASCII, to upper case.
static void put_upper(char *to, const char *from, size_t length)
{
    uint8_t bytes[4] = {0};
    memcpy(bytes, from, length);
    if (length == 2) {
        uint32_t c = upper((bytes[0] & 0x1Fu) << 6 | (bytes[1] & 0x3Fu));
        bytes[0] = (uint8_t)(0xC0 | c >> 6);
        bytes[1] = (uint8_t)(0x80 | (c & 0x3F));
    } else if (length == 3) {
        uint32_t c = upper((bytes[0] & 0x0Fu) << 12 | (bytes[1] & 0x3Fu) << 6 | (bytes[2] & 0x3Fu));
        bytes[0] = (uint8_t)(0xE0 | c >> 12);
        bytes[1] = (uint8_t)(0x80 | (c >> 6 & 0x3F));
        bytes[2] = (uint8_t)(0x80 | (c & 0x3F));
    }
    memcpy(to, bytes, length);
}

char *columns_name_key(const char *group, size_t size, struct arena *arena)
{
    char *key = arena_strndup(arena, group, size);
    if (!key)
        return NULL;
    char *to = key;
    for (const char *from = key; *from;) {
        size_t length = text_utf8_length(from, strlen(from));
        length = length > 0 ? length : 1;
        char c = *from == '^' ? ' ' : (char)toupper((unsigned char)*from);
        if (length > 1) {
            put_upper(to, from, length);
            to += length;
        } else if (c != ' ' || (to > key && to[-1] != ' ')) {
            *to++ = c;
        }
        from += length;
    }
    while (to > key && to[-1] == ' ')
        to--;
    *to = '\0';
    return key;
}

bool columns_name_keys(const char *name, struct arena *arena, struct columns_name_keys *out)
{
    *out = (struct columns_name_keys){0};
    while (out->count < COLUMNS_NAME_GROUPS) {
        size_t size = strcspn(name, "=");
        char *key = columns_name_key(name, size, arena);
        if (!key)
            return false;
        if (*key)
            out->keys[out->count++] = key;
        if (!name[size])
            break;
        name += size + 1;
    }
    return true;
}
