#include "dicom/charset_terms.h"

#include <string.h>

#include "dicom/charset.h"

static const struct charset_set sets[] = {
    {6, NULL, 0, false, 0, "(B"},           {14, NULL, 0, false, 0, "(J"},
    {13, "CP932", 1, false, 0, ")I"},       {100, "ISO-8859-1", 1, false, 0, "-A"},
    {101, "ISO-8859-2", 1, false, 0, "-B"}, {109, "ISO-8859-3", 1, false, 0, "-C"},
    {110, "ISO-8859-4", 1, false, 0, "-D"}, {144, "ISO-8859-5", 1, false, 0, "-L"},
    {127, "ISO-8859-6", 1, false, 0, "-G"}, {126, "ISO-8859-7", 1, false, 0, "-F"},
    {138, "ISO-8859-8", 1, false, 0, "-H"}, {148, "ISO-8859-9", 1, false, 0, "-M"},
    {166, "TIS-620", 1, false, 0, "-T"},    {203, "ISO-8859-15", 1, false, 0, "-b"},
    {87, "EUC-JP", 0, true, 0, "$B"},       {159, "EUC-JP", 0, true, 0x8F, "$(D"},
    {149, "EUC-KR", 1, true, 0, "$)C"},     {58, "EUC-CN", 1, true, 0, "$)A"},
};

// Terms whose encoding is not ISO 2022, and names that senders take from elsewhere; folded as below. GB2312 in EUC is
// read as what holds it.
static const struct {
    const char *name;
    const char *iconv; // NULL: the set `ir`
    unsigned ir;
} names[] = {
    {"GB18030", "GB18030", 0},    {"GBK", "GBK", 0},
    {"UTF8", "UTF-8", 0},         {"UNICODE", "UTF-8", 0},
    {"UNICODEUTF8", "UTF-8", 0},  {"ISO10646", "UTF-8", 0},
    {"ISO10646UTF8", "UTF-8", 0}, {"GB180302000", "GB18030", 0},
    {"GB2312", "GB18030", 0},     {"GB231280", "GB18030", 0},
    {"EUCCN", "GB18030", 0},      {"ISO2022GB2312", "GB18030", 0},
    {"ISO2022GBK", "GBK", 0},     {"CP936", "GBK", 0},
    {"WINDOWS936", "GBK", 0},     {"BIG5", "BIG5", 0},
    {"CP950", "BIG5", 0},         {"SHIFTJIS", "CP932", 0},
    {"SJIS", "CP932", 0},         {"CP932", "CP932", 0},
    {"MS932", "CP932", 0},        {"WINDOWS31J", "CP932", 0},
    {"EUCJP", "EUC-JP", 0},       {"EUCKR", "CP949", 0},
    {"KSC5601", "CP949", 0},      {"KSX1001", "CP949", 0},
    {"CP949", "CP949", 0},        {"KOI8R", "KOI8-R", 0},
    {"WINDOWS1250", "CP1250", 0}, {"CP1250", "CP1250", 0},
    {"WINDOWS1251", "CP1251", 0}, {"CP1251", "CP1251", 0},
    {"WINDOWS1252", "CP1252", 0}, {"CP1252", "CP1252", 0},
    {"ASCII", NULL, 6},           {"USASCII", NULL, 6},
    {"ISO646", NULL, 6},          {"LATIN1", NULL, 100},
    {"ISOLATIN1", NULL, 100},     {"ISO88591", NULL, 100},
    {"LATIN2", NULL, 101},        {"ISO88592", NULL, 101},
    {"ISO88593", NULL, 109},      {"ISO88594", NULL, 110},
    {"ISO88595", NULL, 144},      {"ISO88596", NULL, 127},
    {"ISO88597", NULL, 126},      {"ISO88598", NULL, 138},
    {"ISO88599", NULL, 148},      {"ISO885911", NULL, 166},
    {"ISO885915", NULL, 203},     {"TIS620", NULL, 166},
};

enum { IR_UTF8 = 192, TERM_SIZE = 24, IR_DIGITS_MAX = 3 };

const struct charset_set *charset_set_by_ir(unsigned ir)
{
    for (size_t i = 0; i < sizeof sets / sizeof *sets; i++)
        if (sets[i].ir == ir)
            return &sets[i];
    return NULL;
}

const struct charset_set *charset_set_by_escape(const char *text, size_t size)
{
    for (size_t i = 0; i < sizeof sets / sizeof *sets; i++) {
        size_t length = strlen(sets[i].escape);
        if (length <= size && memcmp(text, sets[i].escape, length) == 0)
            return &sets[i];
    }
    return NULL;
}

bool charset_set_is_latin1(const struct charset_set *set)
{
    return set->ir == 100 || set->ir == 148 || set->ir == 203;
}

// Letters and digits alone, letters large: spellings differ in the rest ("ISO-IR 100", "ISO_IR_100", "iso ir100").
static bool fold(const char *text, size_t size, char out[TERM_SIZE])
{
    size_t used = 0;
    for (size_t i = 0; i < size; i++) {
        char c = text[i] >= 'a' && text[i] <= 'z' ? (char)(text[i] - 'a' + 'A') : text[i];
        if (c == ' ' || c == '_' || c == '-' || c == '.' || c == '/')
            continue;
        if (((c < 'A' || c > 'Z') && (c < '0' || c > '9')) || used + 1 == TERM_SIZE)
            return false;
        out[used++] = c;
    }
    out[used] = '\0';
    return true;
}

static bool skip(const char **text, const char *prefix)
{
    size_t size = strlen(prefix);
    if (strncmp(*text, prefix, size) != 0)
        return false;
    *text += size;
    return true;
}

// The number of "ISOIR100", "ISO2022IR100", "ISO202258" or "IR100"; 0 when it is none.
static unsigned ir_of(const char *folded)
{
    bool iso = skip(&folded, "ISO");
    if (iso && strlen(folded) > 4)
        skip(&folded, "2022");
    bool ir = skip(&folded, "IR");
    size_t digits = strspn(folded, "0123456789");
    unsigned number = 0;
    if ((!iso && !ir) || digits == 0 || digits > IR_DIGITS_MAX || folded[digits] != '\0')
        return 0;
    while (*folded)
        number = number * 10 + (unsigned)(*folded++ - '0');
    return number;
}

struct charset_term charset_term(const char *text, size_t size)
{
    char folded[TERM_SIZE];
    if (!fold(text, size, folded))
        return (struct charset_term){0};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        if (strcmp(names[i].name, folded) == 0)
            return (struct charset_term){names[i].iconv, names[i].iconv ? NULL : charset_set_by_ir(names[i].ir)};
    unsigned ir = ir_of(folded);
    if (ir == IR_UTF8)
        return (struct charset_term){.encoding = "UTF-8"};
    return (struct charset_term){.set = charset_set_by_ir(ir)};
}

bool dicom_charset_row(size_t index, struct dicom_charset_row *out)
{
    enum { SETS = sizeof sets / sizeof *sets, NAMES = sizeof names / sizeof *names };
    if (index < SETS)
        *out = (struct dicom_charset_row){.ir = sets[index].ir, .wide = sets[index].wide};
    else if (index == SETS)
        *out = (struct dicom_charset_row){.ir = IR_UTF8};
    else if (index <= SETS + NAMES)
        *out = (struct dicom_charset_row){.ir = names[index - SETS - 1].ir, .name = names[index - SETS - 1].name};
    return index <= SETS + NAMES;
}
