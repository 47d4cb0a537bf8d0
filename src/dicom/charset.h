// Specific character sets (PS3.3 C.12.1.1.2) to UTF-8. ISO 2022 escapes are split here and each piece is given to
// iconv, since glibc's own ISO-2022 converters fail on DICOM's use of IR 149 and IR 58. At a line end, at a backslash
// and (in PN) at '^' and '=' the initial set is in force again (PS3.5 section 6.1.2.5.3).
#ifndef DICOM_CHARSET_H
#define DICOM_CHARSET_H

#include "base/arena.h"
#include "dicom/dicom.h"

// True when every term of `charset`, the value of (0008,0005), is one that is known here; "" and NULL are.
bool dicom_charset_is_known(const char *charset);

// `charset` is the value of (0008,0005) as it stands ("ISO 2022 IR 6\\ISO 2022 IR 87", "GB18030", "" or NULL for the
// default repertoire). What cannot be converted (unknown set, cut escape, wrong bytes) becomes U+FFFD, byte for byte:
// text is never lost silently and never an error. The result is NUL-terminated in `arena`; NUL bytes inside become
// U+FFFD. NULL when the arena is full. In GB18030 and GBK a second byte of 5CH is no backslash: whole elements are
// converted, and split at backslashes afterwards.
char *dicom_charset_to_utf8(const char *charset, const uint8_t *text, size_t size, enum dicom_vr vr,
                            struct arena *arena);

#endif
