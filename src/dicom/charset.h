// Specific character sets (PS3.3 C.12.1.1.2) to UTF-8. ISO 2022 escapes are split here and each piece is given to
// iconv, since glibc's own ISO-2022 converters fail on DICOM's use of IR 149 and IR 58. At a line end, at a backslash
// and (in PN) at '^' and '=' the initial set is in force again (PS3.5 section 6.1.2.5.3).
//
// What senders write is not always what their text is in. What is told by the bytes is read all the same, and only
// that:
//   terms are known in the spellings that occur, "ISO IR 192", "UTF-8", "GB2312" (charset_terms.c);
//   valid UTF-8 beyond ASCII is UTF-8 where nothing, the default repertoire or Latin-1 is said, whose text does not
//   look so, and under every other set that does not explain the bytes; under ISO_IR 13 the bytes that it leaves free
//   are Shift JIS; a further set that is announced explains bytes that lack its escape.
// The rest becomes U+FFFD, and is told to be.
#ifndef DICOM_CHARSET_H
#define DICOM_CHARSET_H

#include "base/arena.h"
#include "dicom/dicom.h"

enum { DICOM_CHARSET_SIZE = 256 }; // room for a value of (0008,0005); a longer one is cut

// What a text is written in. Both are values of (0008,0005) as they stand ("ISO 2022 IR 6\\ISO 2022 IR 87", "GB18030");
// "" and NULL are the default repertoire.
struct dicom_charset {
    const char *said;      // by the data set
    const char *otherwise; // by who knows the sender: in force where the data set says no more than the default
                           // repertoire, or nothing that is known
};

// A term that is known: a set by its ISO-IR number ("ISO_IR 100", "ISO 2022 IR 100"; `wide`: two bytes a character, so
// with code extensions alone), or where `name` is not NULL a name, in capitals and without what stands between letters
// and digits ("GB18030", "LATIN1").
struct dicom_charset_row {
    unsigned ir; // 0: none
    bool wide;
    const char *name;
};
bool dicom_charset_row(size_t index, struct dicom_charset_row *out); // for who shows the table; false past the last

// True when every term of `charset` is one that is known here; "" and NULL are.
bool dicom_charset_is_known(const char *charset);

// True for what reads the same in every set: ASCII without NUL and ESC.
bool dicom_charset_is_plain(const uint8_t *text, size_t size);

// Unreadable bytes (unknown set, cut escape, wrong bytes, controls of C1 where the set has none) become U+FFFD, byte
// for byte, and *readable false; also where the text itself has U+FFFD. Text is never lost silently and never an error.
// The result is NUL-terminated in `arena`; NUL bytes inside become U+FFFD. NULL when the arena is full. In GB18030 and
// GBK a second byte of 5CH is no backslash: whole elements are converted, and split at backslashes afterwards.
// `readable` may be NULL.
char *dicom_charset_to_utf8(const struct dicom_charset *charset, enum dicom_vr vr, const uint8_t *text, size_t size,
                            struct arena *arena, bool *readable);

#endif
