#include "base/buffer.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/budget.h"
#include "base/bytes.h"
#include "base/text.h"

void buffer_init(struct buffer *buffer, size_t limit)
{
    *buffer = (struct buffer){.limit = limit};
}

static bool grow(struct buffer *buffer, size_t need)
{
    size_t capacity = buffer->capacity ? buffer->capacity : 256;
    while (capacity < need)
        capacity = capacity > buffer->limit / 2 ? buffer->limit : capacity * 2;
    uint64_t charged;
    if (!budget_take(capacity - buffer->capacity, &charged))
        return false;
    uint8_t *data = realloc(buffer->data, capacity);
    if (!data) {
        budget_give(charged);
        return false;
    }
    buffer->data = data;
    buffer->charged += charged;
    buffer->capacity = capacity;
    return true;
}

uint8_t *buffer_reserve(struct buffer *buffer, size_t size)
{
    if (buffer->failed)
        return NULL;
    if (size > buffer->limit || buffer->size > buffer->limit - size) {
        buffer->failed = true;
        return NULL;
    }
    if (buffer->size + size > buffer->capacity && !grow(buffer, buffer->size + size)) {
        buffer->failed = true;
        return NULL;
    }
    return buffer->data + buffer->size;
}

void buffer_append(struct buffer *buffer, const void *data, size_t size)
{
    if (size == 0)
        return;
    uint8_t *to = buffer_reserve(buffer, size);
    if (!to)
        return;
    memcpy(to, data, size);
    buffer->size += size;
}

void buffer_text(struct buffer *buffer, const char *text)
{
    buffer_append(buffer, text, strlen(text));
}

void buffer_byte(struct buffer *buffer, uint8_t byte)
{
    buffer_append(buffer, &byte, 1);
}

void buffer_printf(struct buffer *buffer, const char *format, ...)
{
    va_list args, again;
    va_start(args, format);
    va_copy(again, args);
    int size = vsnprintf(NULL, 0, format, args);
    va_end(args);
    uint8_t *to = size < 0 ? NULL : buffer_reserve(buffer, (size_t)size + 1);
    if (to) {
        vsnprintf((char *)to, (size_t)size + 1, format, again);
        buffer->size += (size_t)size;
    }
    va_end(again);
}

void buffer_u16le(struct buffer *buffer, uint16_t value)
{
    uint8_t bytes[2];
    bytes_put_u16le(bytes, value);
    buffer_append(buffer, bytes, sizeof bytes);
}

void buffer_u32le(struct buffer *buffer, uint32_t value)
{
    uint8_t bytes[4];
    bytes_put_u32le(bytes, value);
    buffer_append(buffer, bytes, sizeof bytes);
}

void buffer_u64le(struct buffer *buffer, uint64_t value)
{
    uint8_t bytes[8];
    bytes_put_u64le(bytes, value);
    buffer_append(buffer, bytes, sizeof bytes);
}

void buffer_u16be(struct buffer *buffer, uint16_t value)
{
    uint8_t bytes[2];
    bytes_put_u16be(bytes, value);
    buffer_append(buffer, bytes, sizeof bytes);
}

void buffer_u32be(struct buffer *buffer, uint32_t value)
{
    uint8_t bytes[4];
    bytes_put_u32be(bytes, value);
    buffer_append(buffer, bytes, sizeof bytes);
}

static void json_escape(struct buffer *buffer, uint8_t c)
{
    static const char short_from[] = "\b\f\n\r\t\"\\";
    static const char short_to[] = "bfnrt\"\\";
    const char *at = c ? strchr(short_from, c) : NULL;
    if (at) {
        buffer_byte(buffer, '\\');
        buffer_byte(buffer, (uint8_t)short_to[at - short_from]);
    } else {
        buffer_printf(buffer, "\\u%04x", c);
    }
}

static const uint8_t *after_plain_ascii(const uint8_t *p, const uint8_t *end)
{
    while (p < end && *p >= 0x20 && *p < 0x7F && *p != '"' && *p != '\\')
        p++;
    return p;
}

void buffer_json_string(struct buffer *buffer, const char *text, size_t size)
{
    const uint8_t *p = (const uint8_t *)text;
    const uint8_t *end = p + size;
    const uint8_t *plain = p; // what waits to be copied as it is
    buffer_byte(buffer, '"');
    while ((p = after_plain_ascii(p, end)) < end) {
        size_t length = text_utf8_length((const char *)p, (size_t)(end - p));
        bool control = (length == 1 || *p == 0xC2) && length > 0 && text_is_control((const char *)p, length);
        if (length > 0 && *p != '"' && *p != '\\' && !control) {
            p += length;
            continue;
        }
        buffer_append(buffer, plain, (size_t)(p - plain));
        if (length == 0)
            buffer_text(buffer, "\xEF\xBF\xBD");
        else
            json_escape(buffer,
                        p[length - 1]); // of a character that C2H begins the second byte is the character's number
        p += length > 0 ? length : 1;
        plain = p;
    }
    buffer_append(buffer, plain, (size_t)(p - plain));
    buffer_byte(buffer, '"');
}

void buffer_percent(struct buffer *buffer, const char *text)
{
    static const char plain[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789.-_~";
    for (; *text; text++)
        if (strchr(plain, *text))
            buffer_byte(buffer, (uint8_t)*text);
        else
            buffer_printf(buffer, "%%%02X", (unsigned)(uint8_t)*text);
}

void buffer_base64(struct buffer *buffer, const void *data, size_t size)
{
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    const uint8_t *p = data;
    if (size > SIZE_MAX / 2) {
        buffer->failed = true;
        return;
    }
    uint8_t *to = buffer_reserve(buffer, (size + 2) / 3 * 4);
    if (!to)
        return;
    buffer->size += (size + 2) / 3 * 4;
    for (; size >= 3; size -= 3, p += 3) {
        *to++ = (uint8_t)digits[p[0] >> 2];
        *to++ = (uint8_t)digits[(p[0] & 3) << 4 | p[1] >> 4];
        *to++ = (uint8_t)digits[(p[1] & 15) << 2 | p[2] >> 6];
        *to++ = (uint8_t)digits[p[2] & 63];
    }
    if (size == 0)
        return;
    uint8_t second = size == 2 ? p[1] : 0;
    *to++ = (uint8_t)digits[p[0] >> 2];
    *to++ = (uint8_t)digits[(p[0] & 3) << 4 | second >> 4];
    *to++ = size == 2 ? (uint8_t)digits[(second & 15) << 2] : (uint8_t)'=';
    *to++ = '=';
}

bool buffer_check(const struct buffer *buffer, const char *what, struct error *err)
{
    if (!buffer->failed)
        return true;
    if (budget_was_refused())
        return error_set(err, ERROR_BUSY, "%s waits: " BUDGET_USED_UP, what);
    return error_set(err, ERROR_LIMIT, "%s does not fit into %zu bytes", what, buffer->limit);
}

uint8_t *buffer_take(struct buffer *buffer, size_t *size)
{
    uint8_t *data = buffer->data;
    *size = buffer->size;
    budget_give(buffer->charged);
    buffer_init(buffer, buffer->limit);
    return data;
}

void buffer_clear(struct buffer *buffer)
{
    buffer->size = 0;
    buffer->failed = false;
}

void buffer_free(struct buffer *buffer)
{
    budget_give(buffer->charged);
    free(buffer->data);
    buffer_init(buffer, buffer->limit);
}
