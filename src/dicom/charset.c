#include "dicom/charset.h"

#include <errno.h>
#include <iconv.h>
#include <string.h>

#include "base/text.h"

static const char replacement[] = "\xEF\xBF\xBD"; // U+FFFD
enum { ESC = 0x1B, REPLACEMENT_SIZE = 3 };

// A coded character set that can stand in G0 (bytes below 80H) or G1 (above). Two-byte sets are given to iconv in the
// EUC encoding that holds them.
struct set {
    unsigned ir; // its ISO-IR number, by which DICOM's defined terms name it
    const char *iconv;
    unsigned place; // 0: G0, 1: G1
    bool wide;
    uint8_t prefix;     // byte that EUC puts before each character
    const char *escape; // what designates it, behind ESC (PS3.3 tables C.12-3 and C.12-4)
};

static const struct set sets[] = {
    {6, NULL, 0, false, 0, "(B"},           {14, NULL, 0, false, 0, "(J"},
    {13, "SHIFT_JIS", 1, false, 0, ")I"},   {100, "ISO-8859-1", 1, false, 0, "-A"},
    {101, "ISO-8859-2", 1, false, 0, "-B"}, {109, "ISO-8859-3", 1, false, 0, "-C"},
    {110, "ISO-8859-4", 1, false, 0, "-D"}, {144, "ISO-8859-5", 1, false, 0, "-L"},
    {127, "ISO-8859-6", 1, false, 0, "-G"}, {126, "ISO-8859-7", 1, false, 0, "-F"},
    {138, "ISO-8859-8", 1, false, 0, "-H"}, {148, "ISO-8859-9", 1, false, 0, "-M"},
    {166, "TIS-620", 1, false, 0, "-T"},    {203, "ISO-8859-15", 1, false, 0, "-b"},
    {87, "EUC-JP", 0, true, 0, "$B"},       {159, "EUC-JP", 0, true, 0x8F, "$(D"},
    {149, "EUC-KR", 1, true, 0, "$)C"},     {58, "EUC-CN", 1, true, 0, "$)A"},
};

// Terms whose encoding is not ISO 2022: everything goes to iconv.
static const struct {
    const char *term;
    const char *iconv;
} whole_encodings[] = {{"ISO_IR 192", "UTF-8"}, {"GB18030", "GB18030"}, {"GBK", "GBK"}};

struct decoder {
    const uint8_t *at;
    const uint8_t *end;
    const struct set *now[2];   // in G0 and G1; NULL: nothing is designated
    const struct set *first[2]; // as the first value of Specific Character Set says
    bool person_name;
    char *out; // room for 3 bytes per byte of input
    size_t size;
    iconv_t converter; // the one used last
    const char *converter_name;
};

static const struct set *set_by_ir(unsigned ir)
{
    for (size_t i = 0; i < sizeof sets / sizeof *sets; i++)
        if (sets[i].ir == ir)
            return &sets[i];
    return NULL;
}

static void put(struct decoder *decoder, const void *data, size_t size)
{
    memcpy(decoder->out + decoder->size, data, size);
    decoder->size += size;
}

static void put_replacement(struct decoder *decoder, size_t count)
{
    for (size_t i = 0; i < count; i++)
        put(decoder, replacement, REPLACEMENT_SIZE);
}

static bool open_converter(struct decoder *decoder, const char *name)
{
    if (decoder->converter_name && strcmp(decoder->converter_name, name) == 0)
        return true;
    if (decoder->converter_name)
        iconv_close(decoder->converter);
    decoder->converter_name = NULL;
    decoder->converter = iconv_open("UTF-8", name);
    if (decoder->converter == (iconv_t)-1)
        return false;
    decoder->converter_name = name;
    return true;
}

// `bytes` in the encoding `name`; what is wrong is passed over in steps of `unit` bytes, each `lost` input bytes.
static void convert(struct decoder *decoder, const char *name, const uint8_t *bytes, size_t size, size_t unit,
                    size_t lost)
{
    char *in = (char *)(uintptr_t)bytes; // iconv does not write there
    if (!open_converter(decoder, name)) {
        put_replacement(decoder, size / unit * lost);
        return;
    }
    while (size > 0) {
        char *to = decoder->out + decoder->size;
        size_t room = size / unit * lost * REPLACEMENT_SIZE;
        size_t result = iconv(decoder->converter, &in, &size, &to, &room);
        decoder->size = (size_t)(to - decoder->out);
        if (result != (size_t)-1)
            return;
        iconv(decoder->converter, NULL, NULL, NULL, NULL);
        size_t skip = size < unit ? size : unit;
        put_replacement(decoder, lost);
        in += skip;
        size -= skip;
    }
}

// Text in an encoding without escapes. NULs are told apart here since iconv would pass them on.
static void decode_whole(struct decoder *decoder, const char *name)
{
    while (decoder->at < decoder->end) {
        size_t left = (size_t)(decoder->end - decoder->at);
        const uint8_t *nul = memchr(decoder->at, 0, left);
        size_t size = nul ? (size_t)(nul - decoder->at) : left;
        convert(decoder, name, decoder->at, size, 1, 1);
        if (nul)
            put_replacement(decoder, 1);
        decoder->at += size + (nul ? 1 : 0);
    }
}

static void reset(struct decoder *decoder)
{
    decoder->now[0] = decoder->first[0];
    decoder->now[1] = decoder->first[1];
}

static void decode_escape(struct decoder *decoder)
{
    const char *text = (const char *)decoder->at + 1;
    size_t left = (size_t)(decoder->end - decoder->at) - 1;
    for (size_t i = 0; i < sizeof sets / sizeof *sets; i++) {
        size_t size = strlen(sets[i].escape);
        if (size > left || memcmp(text, sets[i].escape, size) != 0)
            continue;
        decoder->now[sets[i].place] = &sets[i];
        decoder->at += 1 + size;
        return;
    }
    put_replacement(decoder, 1);
    decoder->at++;
}

static bool is_delimiter(const struct decoder *decoder, uint8_t c)
{
    return c < 0x20 || c == '\\' || (decoder->person_name && (c == '^' || c == '='));
}

static void decode_low(struct decoder *decoder)
{
    const uint8_t *from = decoder->at;
    while (decoder->at < decoder->end && *decoder->at < 0x80 && *decoder->at != ESC && *decoder->at != 0)
        if (is_delimiter(decoder, *decoder->at++))
            reset(decoder);
    put(decoder, from, (size_t)(decoder->at - from));
    if (decoder->at == from) { // NUL
        put_replacement(decoder, 1);
        decoder->at++;
    }
}

enum { WIDE_RUN = 64 };

static bool is_graphic(uint8_t c)
{
    return c > 0x20 && c < 0x7F;
}

// A run of two-byte characters in G0, or one byte that begins none.
static void decode_wide_low(struct decoder *decoder)
{
    const struct set *set = decoder->now[0];
    uint8_t euc[WIDE_RUN * 3];
    size_t size = 0, count = 0;
    while (count < WIDE_RUN && decoder->end - decoder->at >= 2 && is_graphic(decoder->at[0]) &&
           is_graphic(decoder->at[1])) {
        if (set->prefix)
            euc[size++] = set->prefix;
        euc[size++] = decoder->at[0] | 0x80;
        euc[size++] = decoder->at[1] | 0x80;
        decoder->at += 2;
        count++;
    }
    if (count > 0) {
        convert(decoder, set->iconv, euc, size, size / count, 2);
        return;
    }
    uint8_t c = *decoder->at++;
    bool delimiter = is_delimiter(decoder, c);
    if (delimiter)
        reset(decoder);
    if (c == 0 || (is_graphic(c) && !delimiter))
        put_replacement(decoder, 1);
    else
        put(decoder, &c, 1);
}

static void decode_high(struct decoder *decoder)
{
    const struct set *set = decoder->now[1];
    const uint8_t *from = decoder->at;
    while (decoder->at < decoder->end && *decoder->at >= 0x80)
        decoder->at++;
    size_t size = (size_t)(decoder->at - from);
    if (set)
        convert(decoder, set->iconv, from, size, 1, 1);
    else
        put_replacement(decoder, size);
}

static void decode_iso_2022(struct decoder *decoder)
{
    reset(decoder);
    while (decoder->at < decoder->end) {
        if (*decoder->at == ESC)
            decode_escape(decoder);
        else if (*decoder->at >= 0x80)
            decode_high(decoder);
        else if (decoder->now[0]->wide)
            decode_wide_low(decoder);
        else
            decode_low(decoder);
    }
}

// The number of "ISO_IR 100", "ISO 2022 IR 100" and of the misspellings that occur ("ISO-IR 100", "ISO IR 100"). 0 when
// it is none.
static unsigned term_ir(const char *term, size_t size)
{
    size_t at = size;
    unsigned ir = 0, scale = 1;
    while (at > 0 && term[at - 1] >= '0' && term[at - 1] <= '9' && scale < 1000) {
        ir += (unsigned)(term[--at] - '0') * scale;
        scale *= 10;
    }
    while (at > 0 && (term[at - 1] == ' ' || term[at - 1] == '-' || term[at - 1] == '_'))
        at--;
    bool named = at >= 5 && memcmp(term, "ISO", 3) == 0 && memcmp(term + at - 2, "IR", 2) == 0;
    return named ? ir : 0;
}

static const char *whole_encoding(const char *term, size_t size)
{
    for (size_t i = 0; i < sizeof whole_encodings / sizeof *whole_encodings; i++)
        if (strlen(whole_encodings[i].term) == size && memcmp(whole_encodings[i].term, term, size) == 0)
            return whole_encodings[i].iconv;
    return NULL;
}

bool dicom_charset_is_known(const char *charset)
{
    const char *term = charset ? charset : "";
    for (;;) {
        size_t step = strcspn(term, "\\"), size = step;
        const char *trimmed = term;
        text_trim(&trimmed, &size);
        if (size > 0 && !whole_encoding(trimmed, size) && !set_by_ir(term_ir(trimmed, size)))
            return false;
        if (term[step] == '\0')
            return true;
        term += step + 1;
    }
}

// What the first value puts into G0 and G1.
static void set_first(struct decoder *decoder, const char *term, size_t size)
{
    const struct set *set = set_by_ir(term_ir(term, size));
    decoder->first[0] = set_by_ir(6); // also for IR 13, whose 5CH is DICOM's delimiter
    decoder->first[1] = set && set->place == 1 ? set : NULL;
}

static bool is_plain(const uint8_t *text, size_t size)
{
    for (size_t i = 0; i < size; i++)
        if (text[i] == 0 || text[i] == ESC || text[i] >= 0x80)
            return false;
    return true;
}

char *dicom_charset_to_utf8(const char *charset, const uint8_t *text, size_t size, enum dicom_vr vr,
                            struct arena *arena)
{
    if (is_plain(text, size))
        return arena_strndup(arena, (const char *)text, size);
    if (size > SIZE_MAX / REPLACEMENT_SIZE - 1)
        return NULL;
    const char *term = charset ? charset : "";
    size_t term_size = strcspn(term, "\\");
    text_trim(&term, &term_size);
    const char *encoding = whole_encoding(term, term_size);
    if (encoding && strcmp(encoding, "UTF-8") == 0 && !memchr(text, 0, size) && text_is_utf8((const char *)text, size))
        return arena_strndup(arena, (const char *)text, size);
    struct decoder decoder = {.at = text, .end = text + size, .person_name = vr == DICOM_VR_PN};
    decoder.out = arena_alloc(arena, size * REPLACEMENT_SIZE + 1);
    if (!decoder.out)
        return NULL;
    if (encoding) {
        decode_whole(&decoder, encoding);
    } else {
        set_first(&decoder, term, term_size);
        decode_iso_2022(&decoder);
    }
    if (decoder.converter_name)
        iconv_close(decoder.converter);
    decoder.out[decoder.size] = 0;
    return decoder.out;
}
