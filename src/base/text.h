// Text: NUL-terminated UTF-8 unless a size is given. Nothing here depends on the locale.
#ifndef BASE_TEXT_H
#define BASE_TEXT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

// Copies at most `capacity - 1` bytes and ends with NUL. false when it did not fit (the start is copied all the same).
bool text_copy(char *to, size_t capacity, const char *from);
bool text_copy_n(char *to, size_t capacity, const char *from, size_t size);

// The whole of `text` (spaces around allowed) as a number. false when it is not one or does not fit; *out is left alone
// then.
bool text_to_i64(const char *text, size_t size, int64_t *out);
bool text_to_u64(const char *text, size_t size, uint64_t *out);
bool text_to_double(const char *text, size_t size, double *out); // finite, decimal point, at most 64 characters

// Moves *text and *size past the white space and NULs at both ends.
void text_trim(const char **text, size_t *size);

// Bytes of the valid UTF-8 character at `text`, 0 when it is none (RFC 3629: no surrogates, no overlong forms). size is
// above 0.
size_t text_utf8_length(const char *text, size_t size);
bool text_is_utf8(const char *text, size_t size);

// What does not show as itself: the control characters U+0000 to U+001F and U+007F to U+009F, which move a terminal's
// cursor or its colours; the marks, embeddings, overrides and isolates of the bidirectional algorithm; separators of
// lines and paragraphs; what takes no place (soft hyphen, zero width space and no-break space, word joiner, invisible
// operators, annotations, tags); and what is no character (U+FFFE of each plane and its like). The joiners U+200C and
// U+200D are none: scripts need them. `size` is text_utf8_length's.
bool text_is_control(const char *character, size_t size);
// Does a character show that is neither space of some width nor one of those? What is no UTF-8 shows nothing.
bool text_is_visible(const char *text, size_t size);
// The same, and nothing else is in it: text of one line that shows as it is.
bool text_is_plain(const char *text, size_t size);
// Would a reader take them for the same? Spaces and what takes no place do not count, and ASCII letters fold.
bool text_looks_alike(const char *a, const char *b);

// Makes bytes fit to show in a log, message or terminal: valid UTF-8 but control characters stays, all else becomes
// \xNN; cut with "..." when it does not fit. Returns `out`.
const char *text_show(char *out, size_t capacity, const void *data, size_t size);

bool text_starts(const char *text, const char *prefix);
bool text_same_fold(const char *a, const char *b); // ASCII letters fold

// "HOST:PORT" or ":PORT" or "[v6]:PORT". false when it is not of that form, the port is 0 or past 65535, or the host
// does not fit.
bool text_host_port(const char *text, char *host, size_t capacity, uint16_t *port);
// The other way round, as it stands in a URL and is read by text_host_port: "HOST:PORT", with brackets around an IPv6
// address. Cut when it does not fit. Returns `out`.
const char *text_show_host_port(char *out, size_t capacity, const char *host, uint16_t port);

// How many characters must be changed, added or removed to make b of a (Levenshtein), for "did you mean"; SIZE_MAX for
// a text longer than TEXT_DISTANCE_MAX.
enum { TEXT_DISTANCE_MAX = 127 };
size_t text_distance(const char *a, const char *b);

// `out` has 2 * size + 1 characters.
void text_hex(char *out, const void *data, size_t size);
// The number of bytes written to `out`, at most `capacity`; false for an odd length, a foreign character or too little
// room.
bool text_unhex(const char *text, void *out, size_t capacity, size_t *size);

#endif
