#include "base/error.h"

#include <errno.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include "base/text.h"

static const struct {
    const char *name;
    const char *text;
    int http;
    uint16_t dimse;
} rows[ERROR_CODE_COUNT] = {
#define X(name, text, http, dimse) {#name, text, http, dimse},
    ERROR_CODES(X)
#undef X
};

// Ends the message at a character border and makes control characters harmless for a log line.
static void tidy(char *message)
{
    size_t size = strlen(message);
    if (size == ERROR_MESSAGE_SIZE - 1) {
        while (size > 0 && ((unsigned char)message[size - 1] & 0xC0) == 0x80)
            size--;
        if (size > 0 && (unsigned char)message[size - 1] >= 0xC0)
            size--;
        message[size] = '\0';
    }
    size_t length;
    for (char *p = message; *p; p += length) {
        length = text_utf8_length(p, strlen(p));
        length = length > 0 ? length : 1;
        if (text_is_control(p, length))
            memset(p, '?', length);
    }
}

bool error_set(struct error *err, enum error_code code, const char *format, ...)
{
    va_list args;
    err->code = code;
    va_start(args, format);
    vsnprintf(err->message, sizeof err->message, format, args);
    va_end(args);
    tidy(err->message);
    return false;
}

static enum error_code code_of_errno(int number)
{
    switch (number) {
    case ENOSPC:
    case EDQUOT:
    case EFBIG:
        return ERROR_FULL;
    case ENOMEM:
        return ERROR_MEMORY;
    case ENOENT:
        return ERROR_NOT_FOUND;
    case EACCES:
    case EPERM:
        return ERROR_FORBIDDEN;
    case ETIMEDOUT:
        return ERROR_TIMEOUT;
    default:
        return ERROR_IO;
    }
}

bool error_errno(struct error *err, int number, const char *format, ...)
{
    va_list args;
    char reason[96];
    err->code = code_of_errno(number);
    va_start(args, format);
    vsnprintf(err->message, sizeof err->message, format, args);
    va_end(args);
    size_t used = strlen(err->message);
    // The GNU strerror_r, which is thread-safe and may or may not use the buffer.
    snprintf(err->message + used, sizeof err->message - used, ": %s", strerror_r(number, reason, sizeof reason));
    tidy(err->message);
    return false;
}

bool error_prefix(struct error *err, const char *format, ...)
{
    char old[ERROR_MESSAGE_SIZE];
    va_list args;
    memcpy(old, err->message, sizeof old);
    va_start(args, format);
    vsnprintf(err->message, sizeof err->message, format, args);
    va_end(args);
    size_t used = strlen(err->message);
    snprintf(err->message + used, sizeof err->message - used, ": %s", old);
    tidy(err->message);
    return false;
}

const char *error_name(enum error_code code)
{
    return rows[code].name;
}

const char *error_text(enum error_code code)
{
    return rows[code].text;
}

int error_http(enum error_code code)
{
    return rows[code].http;
}

uint16_t error_dimse(enum error_code code)
{
    return rows[code].dimse;
}
