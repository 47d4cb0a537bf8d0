// The table of what is kept of an object, and when two values of it differ.
#include "archive/columns.h"

#include <string.h>

#define STUDY(column, tag, match, owner) {COLUMNS_STUDY, tag, "study." #column, COLUMNS_##match, COLUMNS_##owner},
#define PART(column, tag, match, owner) {COLUMNS_PART, tag, "study_patient." #column, COLUMNS_##match, COLUMNS_##owner},
#define PATIENT(column, tag, match, owner)                                                                             \
    {COLUMNS_PATIENT, tag, "study_patient." #column, COLUMNS_##match, COLUMNS_##owner},
#define SERIES(column, tag, match, owner) {COLUMNS_SERIES, tag, "series." #column, COLUMNS_##match, COLUMNS_##owner},
#define INSTANCE(column, tag, match, owner)                                                                            \
    {COLUMNS_INSTANCE, tag, "instance." #column, COLUMNS_##match, COLUMNS_##owner},

const struct columns_column columns[COLUMNS_COUNT] = {
    // clang-format off
    COLUMNS_OF_STUDY(STUDY)
    COLUMNS_OF_PART(PART)
    COLUMNS_OF_PATIENT(PATIENT)
    COLUMNS_OF_SERIES(SERIES)
    COLUMNS_OF_INSTANCE(INSTANCE)
    // clang-format on
    {COLUMNS_PATIENT, 0x00080061, "study_patient.modalities", COLUMNS_MODALITIES, COLUMNS_FREE},
    {COLUMNS_PATIENT, 0x00201206, "study_patient.series_count", COLUMNS_SHOWN, COLUMNS_FREE},
    {COLUMNS_PATIENT, 0x00201208, "study_patient.instance_count", COLUMNS_SHOWN, COLUMNS_FREE},
    {COLUMNS_SERIES, 0x00201209, "series.instance_count", COLUMNS_SHOWN, COLUMNS_FREE},
    {COLUMNS_INSTANCE, 0x00083002, "instance.syntax", COLUMNS_SHOWN, COLUMNS_FREE},
};

size_t columns_of(enum columns_table table, size_t *first)
{
    size_t end;
    *first = 0;
    while (columns[*first].table != table)
        ++*first;
    for (end = *first; end < COLUMNS_FROM_OBJECT && columns[end].table == table; end++)
        ;
    return end - *first;
}

enum archive_level columns_level(enum columns_table table)
{
    return table == COLUMNS_INSTANCE ? ARCHIVE_INSTANCE : table == COLUMNS_SERIES ? ARCHIVE_SERIES : ARCHIVE_STUDY;
}

bool archive_attribute(size_t index, struct archive_attribute *out)
{
    static const char *const matching[] = {
        [COLUMNS_TEXT] = "single value, wildcard",
        [COLUMNS_NAME] = "single value, wildcard, folded",
        [COLUMNS_UID] = "single value, list of UIDs",
        [COLUMNS_DATE] = "single value, range",
        [COLUMNS_TIME] = "single value, range",
        [COLUMNS_NUMBER] = "single value",
        [COLUMNS_MODALITIES] = "single value: of any series",
        [COLUMNS_SHOWN] = NULL,
    };
    if (index >= COLUMNS_COUNT)
        return false;
    const struct columns_column *column = &columns[index];
    *out = (struct archive_attribute){columns_level(column->table), column->tag, matching[column->match]};
    return true;
}

// ---- differences

#define UNREADABLE "\xEF\xBF\xBD" // U+FFFD: text in an unknown character set (ARCHIVE_FLAG_CHARSET)

// One way in which both are written, and not alike. What does not fit into memory is taken for different.
static bool names_differ(const char *a, const char *b)
{
    struct arena arena;
    bool differ = false;
    arena_init(&arena, 1 << 20);
    for (size_t group = 0; group < COLUMNS_NAME_GROUPS && !differ; group++) {
        size_t a_size = strcspn(a, "="), b_size = strcspn(b, "=");
        const char *a_key = columns_name_key(a, a_size, &arena), *b_key = columns_name_key(b, b_size, &arena);
        differ = !a_key || !b_key || (*a_key && *b_key && strcmp(a_key, b_key) != 0);
        a += a_size + (a[a_size] != '\0');
        b += b_size + (b[b_size] != '\0');
    }
    arena_free(&arena);
    return differ;
}

// "1950.05.05", as before 1993, is 19500505.
static bool dates_differ(const char *a, const char *b)
{
    for (;; a++, b++) {
        a += strcspn(a, "0123456789");
        b += strcspn(b, "0123456789");
        if (*a != *b)
            return true;
        if (!*a)
            return false;
    }
}

static size_t trim(const char **text)
{
    *text += strspn(*text, " ");
    size_t size = strlen(*text);
    while (size > 0 && (*text)[size - 1] == ' ')
        size--;
    return size;
}

bool columns_differ(const struct columns_column *column, const char *a, const char *b)
{
    if (strcmp(a, b) == 0)
        return false;
    size_t a_size = trim(&a), b_size = trim(&b);
    if (a_size == 0 || b_size == 0)
        return false;
    if (column->match == COLUMNS_NAME)
        return !strstr(a, UNREADABLE) && !strstr(b, UNREADABLE) && names_differ(a, b);
    if (column->match == COLUMNS_DATE)
        return dates_differ(a, b);
    return a_size != b_size || memcmp(a, b, a_size) != 0;
}
