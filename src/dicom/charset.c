#include "dicom/charset.h"

#include <iconv.h>
#include <string.h>

#include "base/text.h"
#include "dicom/charset_terms.h"

static const char replacement[] = "\xEF\xBF\xBD"; // U+FFFD
enum { ESC = 0x1B, REPLACEMENT_SIZE = 3, TERMS_MAX = 16 };

struct decoder {
    const uint8_t *at;
    const uint8_t *end;
    const struct charset_set *now[2];   // in G0 and G1; NULL: nothing is designated
    const struct charset_set *first[2]; // as the first value of Specific Character Set says
    bool person_name;
    char *out; // room for 3 bytes per byte of input
    size_t size;
    size_t lost;       // replacements in it
    iconv_t converter; // the one used last
    const char *converter_name;
};

static void put(struct decoder *decoder, const void *data, size_t size)
{
    memcpy(decoder->out + decoder->size, data, size);
    decoder->size += size;
}

static void put_replacement(struct decoder *decoder, size_t count)
{
    decoder->lost += count;
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
    const struct charset_set *set = charset_set_by_escape(text, (size_t)(decoder->end - decoder->at) - 1);
    decoder->at += 1 + (set ? strlen(set->escape) : 0);
    if (set)
        decoder->now[set->place] = set;
    else
        put_replacement(decoder, 1);
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
    const struct charset_set *set = decoder->now[0];
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

// Shift JIS has its two-byte characters where ISO_IR 13 has none; the second byte may be below 80H.
static bool begins_shift_jis(const struct decoder *decoder)
{
    uint8_t c = *decoder->at;
    return decoder->now[1]->ir == CHARSET_IR_KATAKANA && ((c > 0x80 && c < 0xA0) || (c >= 0xE0 && c < 0xFD)) &&
           decoder->end - decoder->at >= 2 && decoder->at[1] >= 0x40;
}

// ISO 8859 has no characters from 80H to 9FH. The controls that some put there are in no text, but in text that is in
// another set.
static bool is_control(const struct charset_set *set, uint8_t c)
{
    return c >= 0x80 && c < 0xA0 && !set->wide && set->ir != CHARSET_IR_KATAKANA;
}

static void decode_high(struct decoder *decoder)
{
    const struct charset_set *set = decoder->now[1];
    const uint8_t *from = decoder->at;
    if (!set || is_control(set, *from)) {
        decoder->at++;
        put_replacement(decoder, 1);
        return;
    }
    while (decoder->at < decoder->end && *decoder->at >= 0x80 && !is_control(set, *decoder->at))
        decoder->at += begins_shift_jis(decoder) ? 2 : 1;
    convert(decoder, set->iconv, from, (size_t)(decoder->at - from), 1, 1);
}

static void decode_iso_2022(struct decoder *decoder, const struct charset_set *first)
{
    decoder->first[0] = charset_set_by_ir(CHARSET_IR_ASCII); // also for IR 13, whose 5CH is DICOM's delimiter
    decoder->first[1] = first && first->place == 1 ? first : NULL;
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

// ---- what a character set says

struct terms {
    struct charset_term of[TERMS_MAX]; // an empty value is ASCII
    size_t count;                      // at least 1
    bool known;                        // all of them
};

static struct terms read_terms(const char *charset)
{
    struct terms terms = {.known = true};
    for (const char *at = charset ? charset : ""; terms.count < TERMS_MAX;) {
        size_t step = strcspn(at, "\\"), size = step;
        const char *text = at;
        text_trim(&text, &size);
        struct charset_term term =
            size > 0 ? charset_term(text, size) : (struct charset_term){.set = charset_set_by_ir(CHARSET_IR_ASCII)};
        terms.known = terms.known && (term.encoding || term.set);
        terms.of[terms.count++] = term;
        if (at[step] == '\0')
            break;
        at += step + 1;
    }
    return terms;
}

bool dicom_charset_is_known(const char *charset)
{
    return read_terms(charset).known;
}

// No more than the default repertoire, or nothing that is known.
static bool says_nothing(const struct terms *terms)
{
    for (size_t i = 0; i < terms->count; i++)
        if (terms->of[i].encoding || (terms->of[i].set && terms->of[i].set->ir != CHARSET_IR_ASCII))
            return false;
    return true;
}

static struct terms terms_of(const struct dicom_charset *charset)
{
    struct terms terms = read_terms(charset->said);
    return says_nothing(&terms) ? read_terms(charset->otherwise) : terms;
}

static bool is_utf8_term(const struct charset_term *term)
{
    return term->encoding && strcmp(term->encoding, "UTF-8") == 0;
}

// ---- how bytes can be read

struct input {
    const uint8_t *text;
    size_t size;
    bool utf8;   // valid, and not ISO 2022
    bool marked; // has U+FFFD
};

static struct input look_at(const uint8_t *text, size_t size)
{
    bool utf8 = !memchr(text, 0, size) && !memchr(text, ESC, size) && text_is_utf8((const char *)text, size);
    return (struct input){text, size, utf8, utf8 && memmem(text, size, replacement, REPLACEMENT_SIZE)};
}

// Where UTF-8 is taken at its word before what the terms say of it.
static bool is_utf8_first(const struct terms *terms)
{
    const struct charset_set *set = terms->of[0].set;
    return is_utf8_term(&terms->of[0]) || says_nothing(terms) || (set && charset_set_is_latin1(set));
}

// Without what was read before.
static void restart(struct decoder *decoder, const struct input *input)
{
    decoder->at = input->text;
    decoder->end = input->text + input->size;
    decoder->size = decoder->lost = 0;
}

static bool take_utf8(struct decoder *decoder, const struct input *input)
{
    restart(decoder, input);
    put(decoder, input->text, input->size);
    return !input->marked;
}

// True when nothing was lost.
static bool decode(struct decoder *decoder, const struct input *input, const struct charset_term *term)
{
    restart(decoder, input);
    if (term->encoding)
        decode_whole(decoder, term->encoding);
    else
        decode_iso_2022(decoder, term->set);
    return decoder->lost == 0;
}

static bool read_as(struct decoder *decoder, const struct input *input, const struct terms *terms)
{
    if (input->utf8 && is_utf8_first(terms))
        return take_utf8(decoder, input);
    if (decode(decoder, input, &terms->of[0]))
        return true;
    if (input->utf8)
        return take_utf8(decoder, input);
    for (size_t i = 1; i < terms->count; i++)
        if ((terms->of[i].encoding || terms->of[i].set) && decode(decoder, input, &terms->of[i]))
            return true;
    return decode(decoder, input, &terms->of[0]);
}

bool dicom_charset_is_plain(const uint8_t *text, size_t size)
{
    for (size_t i = 0; i < size; i++)
        if (text[i] == 0 || text[i] == ESC || text[i] >= 0x80)
            return false;
    return true;
}

char *dicom_charset_to_utf8(const struct dicom_charset *charset, enum dicom_vr vr, const uint8_t *text, size_t size,
                            struct arena *arena, bool *readable)
{
    bool well = true;
    char *out = NULL;
    if (dicom_charset_is_plain(text, size)) {
        out = arena_strndup(arena, (const char *)text, size);
    } else if (size <= SIZE_MAX / REPLACEMENT_SIZE - 1) {
        struct decoder decoder = {.person_name = vr == DICOM_VR_PN,
                                  .out = arena_alloc(arena, size * REPLACEMENT_SIZE + 1)};
        if (decoder.out) {
            const struct terms terms = terms_of(charset);
            const struct input input = look_at(text, size);
            well = read_as(&decoder, &input, &terms);
            decoder.out[decoder.size] = '\0';
        }
        if (decoder.converter_name)
            iconv_close(decoder.converter);
        out = decoder.out;
    }
    if (readable)
        *readable = well;
    return out;
}
