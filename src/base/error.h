// Errors as values: a fallible function returns bool or a pointer and takes `struct error *err` last. The caller owns
// the value, on its stack; reporting never allocates. A function that fails sets *err once, with the offending value
// and what to do; it never reads *err, and leaves it alone on success. `err` is never NULL.
#ifndef BASE_ERROR_H
#define BASE_ERROR_H

#include <stdbool.h>
#include <stdint.h>

// One row per code: name, short text, HTTP status, DIMSE status (PS3.7 Annex C, PS3.4 Annex B.2.3 for storage).
#define ERROR_CODES(X)                                                                                                 \
    X(NONE, "no error", 200, 0x0000)                                                                                   \
    X(USAGE, "wrong use", 400, 0x0110)                                                                                 \
    X(BAD_VALUE, "value not acceptable", 400, 0x0115)                                                                  \
    X(BAD_DATA, "data cannot be understood", 400, 0xC000)                                                              \
    X(MISMATCH, "data set does not match its SOP class or message", 409, 0xA900)                                       \
    X(DUPLICATE, "exists already", 409, 0x0111)                                                                        \
    X(CONFLICT, "state does not allow it", 409, 0x0110)                                                                \
    X(NOT_FOUND, "not found", 404, 0x0112)                                                                             \
    X(LOGIN, "login needed", 401, 0x0124)                                                                              \
    X(FORBIDDEN, "not authorised", 403, 0x0124)                                                                        \
    X(UNSUPPORTED, "not supported", 415, 0x0122)                                                                       \
    X(LIMIT, "past a limit", 413, 0xA700)                                                                              \
    X(FULL, "no space left", 507, 0xA700)                                                                              \
    X(BUSY, "busy, try again", 503, 0xA700)                                                                            \
    X(TIMEOUT, "took too long", 504, 0x0110)                                                                           \
    X(CLOSED, "connection closed", 502, 0x0110)                                                                        \
    X(PROTOCOL, "protocol violated", 502, 0x0110)                                                                      \
    X(IO, "input/output failed", 500, 0x0110)                                                                          \
    X(DAMAGED, "what was stored is damaged", 500, 0x0110)                                                              \
    X(MEMORY, "out of memory", 503, 0xA700)                                                                            \
    X(CANCELLED, "cancelled", 503, 0xFE00)                                                                             \
    X(INTERNAL, "a defect in this program", 500, 0x0110)

enum error_code {
#define X(name, text, http, dimse) ERROR_##name,
    ERROR_CODES(X)
#undef X
        ERROR_CODE_COUNT
};

enum { ERROR_MESSAGE_SIZE = 448 };

struct error {
    enum error_code code;
    char message[ERROR_MESSAGE_SIZE]; // UTF-8, cut at a character border, control characters replaced
};

// Sets *err and returns false, so that a caller can write `return error_set(err, ERROR_NOT_FOUND, "...")`.
bool error_set(struct error *err, enum error_code code, const char *format, ...) __attribute__((format(printf, 3, 4)));

// Like error_set, with ": " and the text of errno value `number` behind the message. ENOSPC, EDQUOT and EFBIG become
// ERROR_FULL, ENOMEM ERROR_MEMORY, ENOENT ERROR_NOT_FOUND, EACCES and EPERM ERROR_FORBIDDEN, ETIMEDOUT ERROR_TIMEOUT,
// all else ERROR_IO.
bool error_errno(struct error *err, int number, const char *format, ...) __attribute__((format(printf, 3, 4)));

// Puts "TEXT: " before the message, to say where a lower error came from. Returns false.
bool error_prefix(struct error *err, const char *format, ...) __attribute__((format(printf, 2, 3)));

const char *error_name(enum error_code code); // "NOT_FOUND"
const char *error_text(enum error_code code); // "not found"
int error_http(enum error_code code);
uint16_t error_dimse(enum error_code code);

#endif
