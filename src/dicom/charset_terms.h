// What the terms of Specific Character Set mean. For charset.c.
#ifndef DICOM_CHARSET_TERMS_H
#define DICOM_CHARSET_TERMS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

// A coded character set that can stand in G0 (bytes below 80H) or G1 (above). Two-byte sets are given to iconv in the
// EUC encoding that holds them.
struct charset_set {
    unsigned ir; // its ISO-IR number, by which DICOM's defined terms name it
    const char *iconv;
    unsigned place; // 0: G0, 1: G1
    bool wide;
    uint8_t prefix;     // byte that EUC puts before each character
    const char *escape; // what designates it, behind ESC (PS3.3 tables C.12-3 and C.12-4)
};

enum { CHARSET_IR_ASCII = 6, CHARSET_IR_KATAKANA = 13 };

// The set of an ISO-IR number; NULL: none of DICOM's.
const struct charset_set *charset_set_by_ir(unsigned ir);
// The set whose escape stands at `text`, behind ESC; NULL: none.
const struct charset_set *charset_set_by_escape(const char *text, size_t size);
// Latin-1 and the two that differ from it in a few letters: no text in them looks like UTF-8, since its bytes from 80H
// to BFH are signs there.
bool charset_set_is_latin1(const struct charset_set *set);

// One term. Either an encoding in which everything is, for iconv, or a set of ISO 2022; neither: the term is unknown.
struct charset_term {
    const char *encoding;
    const struct charset_set *set;
};

struct charset_term charset_term(const char *text, size_t size); // without white space around it

#endif
