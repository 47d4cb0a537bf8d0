// Folding: case and accents of Latin, Greek and Cyrillic letters, and where words begin and end.
#include "model/words_fold.h"

#include <stdint.h>
#include <string.h>

#include "base/text.h"

// ---- letters

// The plain letter of U+00C0 to U+024F and of U+1E00 to U+1EFF; '?' has none and stays what it is.
static const char latin[] = "aaaaaaaceeeeiiiidnooooo ouuuuytsaaaaaaaceeeeiiiidnooooo ouuuuyty"
                            "aaaaaaccccccccddddeeeeeeeeeegggggggghhhhiiiiiiiiiiiijjkkklllllll"
                            "lllnnnnnn?nnoooooooorrrrrrssssssssttttttuuuuuuuuuuuuwwyyyzzzzzzs"
                            "????????????????????????????????oo?????????????uu???????????????"
                            "????dddlllnnnaaiioouuuuuuuuuu?aaaa????ggkkoooo??jdddgg??nnaa????"
                            "aaaaeeeeiiiioooorrrruuuusstt??hh??????aaeeooooooooyy????????????"
                            "????????????????";
static const char latin_more[] = "aabbbbbbccddddddddddeeeeeeeeeeffgghhhhhhhhhhiiiikkkkkkllllllllmm"
                                 "mmmmnnnnnnnnoooooooopppprrrrrrrrssssssssssttttttttuuuuuuuuuuvvvv"
                                 "wwwwwwwwwwxxxxyyzzzzzzhtwyas??s?aaaaaaaaaaaaaaaaaaaaaaaaeeeeeeee"
                                 "eeeeeeeeiiiioooooooooooooooooooooooouuuuuuuuuuuuuuyyyyyyyy??????";

// Letters whose plain form is no shift of theirs.
static const struct {
    uint16_t from, to;
} odd_letters[] = {
    {0x0386, 0x03B1}, {0x0388, 0x03B5}, {0x0389, 0x03B7}, {0x038A, 0x03B9}, {0x038C, 0x03BF}, {0x038E, 0x03C5},
    {0x038F, 0x03C9}, {0x0390, 0x03B9}, {0x03AA, 0x03B9}, {0x03AB, 0x03C5}, {0x03AC, 0x03B1}, {0x03AD, 0x03B5},
    {0x03AE, 0x03B7}, {0x03AF, 0x03B9}, {0x03B0, 0x03C5}, {0x03C2, 0x03C3}, {0x03CA, 0x03B9}, {0x03CB, 0x03C5},
    {0x03CC, 0x03BF}, {0x03CD, 0x03C5}, {0x03CE, 0x03C9}, {0x0400, 0x0435}, {0x0401, 0x0435}, {0x0403, 0x0433},
    {0x0407, 0x0456}, {0x040C, 0x043A}, {0x040D, 0x0438}, {0x040E, 0x0443}, {0x0419, 0x0438}, {0x0439, 0x0438},
    {0x0450, 0x0435}, {0x0451, 0x0435}, {0x0453, 0x0433}, {0x0457, 0x0456}, {0x045C, 0x043A}, {0x045D, 0x0438},
    {0x045E, 0x0443}, {0x0490, 0x0491},
};

// Letters that are written with two, and those written with an e behind when there are no umlauts.
static const struct {
    uint16_t from;
    bool umlaut; // only when they are asked for
    const char *to;
} double_letters[] = {
    {0x00DF, false, "ss"}, {0x1E9E, false, "ss"}, {0x00C6, false, "ae"}, {0x00E6, false, "ae"}, {0x0152, false, "oe"},
    {0x0153, false, "oe"}, {0x00DE, false, "th"}, {0x00FE, false, "th"}, {0x00C4, true, "ae"},  {0x00E4, true, "ae"},
    {0x00D6, true, "oe"},  {0x00F6, true, "oe"},  {0x00DC, true, "ue"},  {0x00FC, true, "ue"},  {0x00D8, true, "oe"},
    {0x00F8, true, "oe"},  {0x00C5, true, "aa"},  {0x00E5, true, "aa"},
};

static const char *double_letter(uint32_t letter, bool umlauts)
{
    for (size_t i = 0; i < sizeof double_letters / sizeof *double_letters; i++)
        if (double_letters[i].from == letter && (umlauts || !double_letters[i].umlaut))
            return double_letters[i].to;
    return NULL;
}

static uint32_t plain(uint32_t c)
{
    char base = '?';
    for (size_t i = 0; i < sizeof odd_letters / sizeof *odd_letters; i++)
        if (odd_letters[i].from == c)
            return odd_letters[i].to;
    if (c >= 0x00C0 && c < 0x0250)
        base = latin[c - 0x00C0];
    else if (c >= 0x1E00 && c < 0x1F00)
        base = latin_more[c - 0x1E00];
    if (base != '?')
        return (uint32_t)base;
    if ((c >= 'A' && c <= 'Z') || (c >= 0x0391 && c <= 0x03A9) || (c >= 0x0410 && c <= 0x042F))
        return c + 0x20;
    return c >= 0x0402 && c <= 0x040F ? c + 0x50 : c;
}

static bool is_upper(uint32_t c)
{
    return (c >= 'A' && c <= 'Z') || (c >= 0x00C0 && c <= 0x00DE) || (c >= 0x0386 && c <= 0x03AB) ||
           (c >= 0x0400 && c <= 0x042F);
}

// ---- kinds of characters

enum kind {
    APART,      // between words
    LETTER,     // of a script with spaces between words
    DIGIT,      //
    ALONE,      // a word of its own
    MARK,       // an accent on the letter before
    SIGN_AT_END // a sign that ends a word, or stands between words
};

static const struct {
    uint32_t low, high;
    enum kind kind;
} kinds[] = {
    {'0', '9', DIGIT},         {'A', 'Z', LETTER},      {'a', 'z', LETTER},       {'+', '+', ALONE},
    {'|', '|', ALONE},         {'*', '*', SIGN_AT_END}, {'-', '-', SIGN_AT_END},  {0x0000, 0x00A9, APART},
    {0x00AA, 0x00AA, LETTER},  {0x00AB, 0x00B4, APART}, {0x00B5, 0x00B5, LETTER}, {0x00B6, 0x00B9, APART},
    {0x00BA, 0x00BA, LETTER},  {0x00BB, 0x00BF, APART}, {0x00D7, 0x00D7, APART},  {0x00F7, 0x00F7, APART},
    {0x0300, 0x036F, MARK},    {0x0E00, 0x0EFF, ALONE}, // Thai, Lao
    {0x0F00, 0x0FFF, ALONE},                            // Tibetan
    {0x1000, 0x109F, ALONE},                            // Myanmar
    {0x1780, 0x17FF, ALONE},                            // Khmer
    {0x2000, 0x2BFF, APART},                            // punctuation and symbols
    {0x2E80, 0x2FFF, ALONE},                            // CJK radicals
    {0x3000, 0x3004, APART},   {0x3005, 0x3007, ALONE}, {0x3008, 0x3030, APART},  {0x3031, 0x9FFF, ALONE}, // kana, CJK
    {0x1100, 0x11FF, ALONE},                                                                               // Hangul
    {0xAC00, 0xD7FF, ALONE},                                                                               //
    {0xF900, 0xFAFF, ALONE},   // CJK compatibility
    {0xFF66, 0xFF9F, ALONE},   // half-width kana
    {0x20000, 0x3FFFF, ALONE}, // CJK extensions
    {0x80, 0x10FFFF, LETTER},
};

static enum kind kind_of(uint32_t c)
{
    size_t i = 0;
    while (c < kinds[i].low || c > kinds[i].high)
        i++;
    return kinds[i].kind;
}

// ---- words

struct folding {
    char *out;
    size_t size;
    bool umlauts;
    enum kind before;     // of the character before
    unsigned small_count; // of small letters just before
    uint32_t last;        // the character before, as it came
};

static void end_word(struct folding *f)
{
    if (f->out[f->size - 1] != ' ')
        f->out[f->size++] = ' ';
}

static void put_character(struct folding *f, uint32_t c)
{
    if (c < 0x80) {
        f->out[f->size++] = (char)c;
    } else if (c < 0x800) {
        f->out[f->size++] = (char)(0xC0 | c >> 6);
        f->out[f->size++] = (char)(0x80 | (c & 0x3F));
    } else {
        if (c >= 0x10000) {
            f->out[f->size++] = (char)(0xF0 | c >> 18);
            f->out[f->size++] = (char)(0x80 | (c >> 12 & 0x3F));
        } else {
            f->out[f->size++] = (char)(0xE0 | c >> 12);
        }
        f->out[f->size++] = (char)(0x80 | (c >> 6 & 0x3F));
        f->out[f->size++] = (char)(0x80 | (c & 0x3F));
    }
}

static void put_letter(struct folding *f, uint32_t c)
{
    const char *two = double_letter(c, f->umlauts);
    bool upper = is_upper(c);
    // "HeadRoutine", but not "cCT".
    if (f->before == DIGIT || (upper && f->small_count > 1))
        end_word(f);
    if (two)
        for (; *two; two++)
            f->out[f->size++] = *two;
    else
        put_character(f, plain(c));
    f->small_count = upper ? 0 : f->small_count + 1;
}

// An umlaut of two characters.
static void put_mark(struct folding *f, uint32_t c)
{
    if (f->umlauts && c == 0x0308 && strchr("aouAOU", (int)(f->last & 0x7F)) && f->last < 0x80)
        f->out[f->size++] = 'e';
}

static void put(struct folding *f, uint32_t c, bool ends)
{
    enum kind kind = kind_of(c);
    if (kind == SIGN_AT_END && (f->before != LETTER || !ends))
        kind = APART;
    if (kind == LETTER) {
        put_letter(f, c);
    } else if (kind == MARK) {
        put_mark(f, c);
        return;
    } else {
        f->small_count = 0;
        if (kind != DIGIT || f->before != DIGIT)
            end_word(f);
        if (kind != APART)
            put_character(f, c);
        if (kind == ALONE || kind == SIGN_AT_END)
            end_word(f);
    }
    f->before = kind;
    f->last = c;
}

// The full-width forms of ASCII are ASCII.
static uint32_t take(const char **text, size_t *left)
{
    size_t size = text_utf8_length(*text, *left);
    const unsigned char *p = (const unsigned char *)*text;
    uint32_t c = p[0];
    if (size == 0)
        size = 1, c = ' ';
    else if (size > 1)
        c &= 0xFFu >> (size + 1);
    for (size_t i = 1; i < size; i++)
        c = c << 6 | (p[i] & 0x3F);
    *text += size;
    *left -= size;
    return c >= 0xFF01 && c <= 0xFF5E ? c - 0xFF01 + 0x21 : c;
}

static bool ends_word(const char *text, size_t left)
{
    return left == 0 || strchr(" ,;/_)]^|", *text) != NULL;
}

void words_normal(const char *text, bool umlauts, char *out)
{
    struct folding f = {.out = out, .umlauts = umlauts};
    size_t left = strnlen(text, WORDS_TEXT_MAX);
    out[f.size++] = ' ';
    while (left > 0) {
        uint32_t c = take(&text, &left);
        put(&f, c, ends_word(text, left));
    }
    end_word(&f);
    out[f.size] = '\0';
}

// ---- lists of texts

bool words_next_item(const char **list, size_t *left, const char **item, size_t *size)
{
    if (*left == 0)
        return false;
    const char *comma = memchr(*list, ',', *left);
    *item = *list;
    *size = comma ? (size_t)(comma - *list) : *left;
    *left -= *size + (comma ? 1 : 0);
    *list += *size + (comma ? 1 : 0);
    text_trim(item, size);
    return true;
}

// The longest of the list that is in the text; NULL none.
static char *find_longest(char *normal, const char *list, size_t *longest)
{
    char word[WORDS_ITEM_SIZE], item_normal[WORDS_NORMAL_SIZE], *found = NULL;
    size_t left = strlen(list), size;
    const char *item;
    *longest = 0;
    while (words_next_item(&list, &left, &item, &size)) {
        text_copy_n(word, sizeof word, item, size);
        words_normal(word, false, item_normal);
        char *at = strlen(item_normal) > *longest ? strstr(normal, item_normal) : NULL;
        found = at ? at : found;
        *longest = at ? strlen(item_normal) : *longest;
    }
    return found;
}

bool words_strike(char *normal, const char *list)
{
    size_t size;
    char *at;
    bool struck = false;
    for (; (at = find_longest(normal, list, &size)); struck = true)
        memset(at + 1, '|', size - 2);
    return struck;
}
