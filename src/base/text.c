#include "base/text.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

bool text_copy_n(char *to, size_t capacity, const char *from, size_t size)
{
    bool fits = size < capacity;
    if (!fits)
        size = capacity - 1;
    memcpy(to, from, size);
    to[size] = '\0';
    return fits;
}

bool text_copy(char *to, size_t capacity, const char *from)
{
    return text_copy_n(to, capacity, from, strlen(from));
}

static bool is_space(char c)
{
    return c == ' ' || (c >= '\t' && c <= '\r') || c == '\0';
}

void text_trim(const char **text, size_t *size)
{
    while (*size > 0 && is_space(**text)) {
        (*text)++;
        (*size)--;
    }
    while (*size > 0 && is_space((*text)[*size - 1]))
        (*size)--;
}

bool text_to_u64(const char *text, size_t size, uint64_t *out)
{
    uint64_t value = 0;
    text_trim(&text, &size);
    if (size > 0 && *text == '+') {
        text++;
        size--;
    }
    if (size == 0)
        return false;
    for (size_t i = 0; i < size; i++) {
        if (text[i] < '0' || text[i] > '9')
            return false;
        if (__builtin_mul_overflow(value, UINT64_C(10), &value) ||
            __builtin_add_overflow(value, (uint64_t)(text[i] - '0'), &value))
            return false;
    }
    *out = value;
    return true;
}

bool text_to_i64(const char *text, size_t size, int64_t *out)
{
    uint64_t value;
    text_trim(&text, &size);
    bool negative = size > 0 && *text == '-';
    if (negative) {
        text++;
        size--;
        if (size > 0 && *text == '+')
            return false;
    }
    if (size > 0 && is_space(*text))
        return false;
    if (!text_to_u64(text, size, &value) || value > (uint64_t)INT64_MAX + negative)
        return false;
    *out = negative ? (int64_t)(UINT64_C(0) - value) : (int64_t)value;
    return true;
}

bool text_to_double(const char *text, size_t size, double *out)
{
    char copy[65];
    char *end;
    text_trim(&text, &size);
    // strtod would take hexadecimal, "inf" and "nan" too.
    if (size == 0 || size >= sizeof copy)
        return false;
    for (size_t i = 0; i < size; i++)
        if (!memchr("0123456789+-.eE", text[i], 15))
            return false;
    text_copy_n(copy, sizeof copy, text, size);
    double value = strtod(copy, &end);
    if (*end != '\0' || !isfinite(value))
        return false;
    *out = value;
    return true;
}

size_t text_utf8_length(const char *text, size_t size)
{
    const uint8_t *p = (const uint8_t *)text;
    static const struct {
        uint8_t low, high, size, second_low, second_high;
    } forms[] = {
        {0x00, 0x7F, 1, 0, 0},       {0xC2, 0xDF, 2, 0x80, 0xBF}, {0xE0, 0xE0, 3, 0xA0, 0xBF},
        {0xE1, 0xEC, 3, 0x80, 0xBF}, {0xED, 0xED, 3, 0x80, 0x9F}, {0xEE, 0xEF, 3, 0x80, 0xBF},
        {0xF0, 0xF0, 4, 0x90, 0xBF}, {0xF1, 0xF3, 4, 0x80, 0xBF}, {0xF4, 0xF4, 4, 0x80, 0x8F},
    };
    for (size_t i = 0; i < sizeof forms / sizeof *forms; i++) {
        if (*p < forms[i].low || *p > forms[i].high)
            continue;
        if (forms[i].size > size)
            return 0;
        if (forms[i].size > 1 && (p[1] < forms[i].second_low || p[1] > forms[i].second_high))
            return 0;
        for (size_t k = 2; k < forms[i].size; k++)
            if ((p[k] & 0xC0) != 0x80)
                return 0;
        return forms[i].size;
    }
    return 0;
}

bool text_is_utf8(const char *text, size_t size)
{
    while (size > 0) {
        size_t length = text_utf8_length(text, size);
        if (length == 0)
            return false;
        text += length;
        size -= length;
    }
    return true;
}

// The number of a character as text_utf8_length measured it.
static uint32_t character_number(const char *character, size_t size)
{
    static const uint8_t first_bits[] = {0, 0x7F, 0x1F, 0x0F, 0x07};
    const uint8_t *p = (const uint8_t *)character;
    uint32_t number = p[0] & first_bits[size];
    for (size_t i = 1; i < size; i++)
        number = number << 6 | (p[i] & 0x3F);
    return number;
}

struct character_range {
    uint32_t first, last;
};

static bool is_among(uint32_t number, const struct character_range *ranges, size_t count)
{
    for (size_t i = 0; i < count; i++)
        if (number >= ranges[i].first && number <= ranges[i].last)
            return true;
    return false;
}

bool text_is_control(const char *character, size_t size)
{
    static const struct character_range ranges[] = {
        {0x0000, 0x001F}, {0x007F, 0x009F}, {0x00AD, 0x00AD},   {0x061C, 0x061C}, {0x180E, 0x180E},
        {0x200B, 0x200B}, {0x200E, 0x200F}, {0x2028, 0x202E},   {0x2060, 0x206F}, {0xFDD0, 0xFDEF},
        {0xFEFF, 0xFEFF}, {0xFFF9, 0xFFFB}, {0xE0000, 0xE007F},
    };
    if (size == 1 && (uint8_t)*character >= 0x20) // nearly all there is
        return *character == 0x7F;
    uint32_t number = character_number(character, size);
    return (number & 0xFFFE) == 0xFFFE || is_among(number, ranges, sizeof ranges / sizeof *ranges);
}

// Spaces, fillers, joiners and variation selectors: alone they show nothing.
static bool is_blank(const char *character, size_t size)
{
    static const struct character_range ranges[] = {
        {0x0020, 0x0020}, {0x00A0, 0x00A0}, {0x034F, 0x034F}, {0x115F, 0x1160},   {0x1680, 0x1680}, {0x17B4, 0x17B5},
        {0x180B, 0x180F}, {0x2000, 0x200D}, {0x202F, 0x202F}, {0x205F, 0x205F},   {0x2800, 0x2800}, {0x3000, 0x3000},
        {0x3164, 0x3164}, {0xFE00, 0xFE0F}, {0xFFA0, 0xFFA0}, {0xE0100, 0xE01EF},
    };
    return is_among(character_number(character, size), ranges, sizeof ranges / sizeof *ranges);
}

bool text_is_visible(const char *text, size_t size)
{
    while (size > 0) {
        size_t length = text_utf8_length(text, size);
        if (length == 0)
            return false;
        if (!text_is_control(text, length) && !is_blank(text, length))
            return true;
        text += length;
        size -= length;
    }
    return false;
}

bool text_is_plain(const char *text, size_t size)
{
    size_t length;
    for (size_t at = 0; at < size; at += length) {
        length = text_utf8_length(text + at, size - at);
        if (length == 0 || text_is_control(text + at, length))
            return false;
    }
    return text_is_visible(text, size);
}

const char *text_show(char *out, size_t capacity, const void *data, size_t size)
{
    const char *text = data;
    size_t used = 0;
    size_t cut = 0; // the last place where "..." still fits
    while (size > 0) {
        char escape[5];
        size_t length = text_utf8_length(text, size);
        bool plain = length > 0 && !text_is_control(text, length);
        size_t need = plain ? length : 4;
        if (used + 4 <= capacity)
            cut = used;
        if (used + need >= capacity) {
            text_copy(out + cut, capacity - cut, "...");
            return out;
        }
        snprintf(escape, sizeof escape, "\\x%02X", (unsigned char)*text);
        memcpy(out + used, plain ? text : escape, need);
        used += need;
        text += plain ? length : 1;
        size -= plain ? length : 1;
    }
    out[used] = '\0';
    return out;
}

bool text_starts(const char *text, const char *prefix)
{
    return strncmp(text, prefix, strlen(prefix)) == 0;
}

static unsigned char fold(char c)
{
    return (unsigned char)(c >= 'A' && c <= 'Z' ? c + ('a' - 'A') : c);
}

// Past what does not show; the size of the character there, 0 at the end. What is no UTF-8 counts byte by byte.
static size_t next_visible(const char **text)
{
    size_t length;
    for (; **text; *text += length) {
        length = text_utf8_length(*text, strlen(*text));
        if (length == 0)
            return 1;
        if (!text_is_control(*text, length) && !is_blank(*text, length))
            return length;
    }
    return 0;
}

bool text_looks_alike(const char *a, const char *b)
{
    for (;;) {
        size_t size = next_visible(&a), other = next_visible(&b);
        if (size != other || (size == 1 && fold(*a) != fold(*b)) || (size > 1 && memcmp(a, b, size) != 0))
            return false;
        if (size == 0)
            return true;
        a += size;
        b += size;
    }
}

bool text_same_fold(const char *a, const char *b)
{
    while (*a && fold(*a) == fold(*b)) {
        a++;
        b++;
    }
    return *a == '\0' && *b == '\0';
}

bool text_host_port(const char *text, char *host, size_t capacity, uint16_t *port)
{
    const char *colon = strrchr(text, ':');
    uint64_t number;
    if (!colon || !text_to_u64(colon + 1, strlen(colon + 1), &number) || number == 0 || number > 65535)
        return false;
    const char *from = text;
    size_t size = (size_t)(colon - text);
    if (size >= 2 && *from == '[' && from[size - 1] == ']') {
        from++;
        size -= 2;
    } else if (memchr(from, ':', size)) {
        return false;
    }
    if (!text_copy_n(host, capacity, from, size))
        return false;
    *port = (uint16_t)number;
    return true;
}

const char *text_show_host_port(char *out, size_t capacity, const char *host, uint16_t port)
{
    bool v6 = strchr(host, ':') != NULL;
    snprintf(out, capacity, "%s%s%s:%u", v6 ? "[" : "", host, v6 ? "]" : "", port);
    return out;
}

static size_t least(size_t a, size_t b)
{
    return a < b ? a : b;
}

size_t text_distance(const char *a, const char *b)
{
    size_t row[TEXT_DISTANCE_MAX + 1];
    size_t n = strlen(b);
    if (n > TEXT_DISTANCE_MAX || strlen(a) > TEXT_DISTANCE_MAX)
        return SIZE_MAX;
    for (size_t j = 0; j <= n; j++)
        row[j] = j;
    for (size_t i = 1; a[i - 1]; i++) {
        size_t diagonal = row[0];
        row[0] = i;
        for (size_t j = 1; j <= n; j++) {
            size_t change = diagonal + (a[i - 1] != b[j - 1]);
            diagonal = row[j];
            row[j] = least(change, least(row[j], row[j - 1]) + 1);
        }
    }
    return row[n];
}

void text_hex(char *out, const void *data, size_t size)
{
    const unsigned char *p = data;
    static const char digits[] = "0123456789abcdef";
    for (size_t i = 0; i < size; i++) {
        *out++ = digits[p[i] >> 4];
        *out++ = digits[p[i] & 15];
    }
    *out = '\0';
}

static int hex_digit(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    c = (char)fold(c);
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

bool text_unhex(const char *text, void *out, size_t capacity, size_t *size)
{
    unsigned char *to = out;
    size_t length = strlen(text);
    if (length % 2 != 0 || length / 2 > capacity)
        return false;
    for (size_t i = 0; i < length / 2; i++) {
        int high = hex_digit(text[2 * i]);
        int low = hex_digit(text[2 * i + 1]);
        if (high < 0 || low < 0)
            return false;
        to[i] = (unsigned char)(high << 4 | low);
    }
    *size = length / 2;
    return true;
}
