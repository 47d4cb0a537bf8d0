// The vocabulary: is a word said, is a part of the body meant.
#include "model/words.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/text.h"
#include "model/words_fold.h"
#include "model/words_table.h"

enum { PARTS_MAX = 128, NAMES_MAX = 4096, BETWEEN_MAX = 4 };

// A text is compared in both its normal forms, without umlauts and with them written as two letters: "Schaedel" and
// "Schädel" are the same in one of them, "Schadel" and "Schädel" in the other.
enum { FORMS = 2 };

struct list {            // of normal forms
    char **items[FORMS]; // owned
    size_t count;
};

struct model_words {
    char *parts[PARTS_MAX];    // owned: names as they stand in the table, or the site's
    size_t within[PARTS_MAX];  // index of the larger part, PARTS_MAX none
    bool holds_all[PARTS_MAX]; // of the body
    size_t part_count;
    struct list names;
    size_t part_of[NAMES_MAX]; // of each name
    struct list heads, owners_before, owners_after, owners_of, genitives, sides, phrases;
};

// A text in its normal forms.
struct said {
    char forms[FORMS][WORDS_NORMAL_SIZE];
};

static void read_said(const char *text, struct said *out)
{
    for (int form = 0; form < FORMS; form++)
        words_normal(text, form == 1, out->forms[form]);
}

// ---- lists

static bool list_add(struct list *list, const char *text, size_t size, struct error *err)
{
    char word[MODEL_WORD_MAX + 1];
    struct said said;
    if (list->count == NAMES_MAX)
        return error_set(err, ERROR_LIMIT, "the vocabulary has more than %d names", NAMES_MAX);
    text_copy_n(word, sizeof word, text, size);
    read_said(word, &said);
    for (int form = 0; form < FORMS; form++) {
        char **items = reallocarray(list->items[form], list->count + 1, sizeof *items);
        if (items)
            list->items[form] = items;
        if (!items || !(items[list->count] = strdup(said.forms[form]))) {
            if (form > 0)
                free(list->items[0][list->count]);
            return error_set(err, ERROR_MEMORY, "no memory for the vocabulary");
        }
    }
    list->count++;
    return true;
}

static bool list_read(struct list *list, const char *text, struct error *err)
{
    size_t left = strlen(text), size;
    const char *item;
    while (words_next_item(&text, &left, &item, &size))
        if (!list_add(list, item, size, err))
            return false;
    return true;
}

static void list_free(struct list *list)
{
    for (int form = 0; form < FORMS; form++) {
        for (size_t i = 0; i < list->count; i++)
            free(list->items[form][i]);
        free(list->items[form]);
    }
}

static bool is_in(const struct list *list, int form, const char *word, size_t size)
{
    for (size_t i = 0; i < list->count; i++)
        if (strlen(list->items[form][i]) == size && memcmp(list->items[form][i], word, size) == 0)
            return true;
    return false;
}

// ---- where a word stands in a normal form, as " word " with its spaces

// The size of the list's longest item that `text` starts with; 0 none.
static size_t starts_with(const struct list *list, int form, const char *text)
{
    size_t longest = 0;
    for (size_t i = 0; i < list->count; i++) {
        size_t size = strlen(list->items[form][i]);
        if (size > longest && strncmp(text, list->items[form][i], size) == 0)
            longest = size;
    }
    return longest;
}

static bool ends_with(const struct list *list, int form, const char *text, size_t size)
{
    for (size_t i = 0; i < list->count; i++) {
        size_t item = strlen(list->items[form][i]);
        if (item <= size && memcmp(text + size - item, list->items[form][i], item) == 0)
            return true;
    }
    return false;
}

// "head of the left femur": behind the head.
static bool is_owned_behind(const struct model_words *words, int form, const char *behind)
{
    bool genitive = false;
    if (starts_with(&words->owners_after, form, behind))
        return true;
    for (int between = 0; between <= BETWEEN_MAX; between++) {
        size_t of = starts_with(&words->genitives, form, behind), side = starts_with(&words->sides, form, behind);
        if (genitive && starts_with(&words->owners_of, form, behind))
            return true;
        genitive = genitive || of > 0;
        if (of == 0 && side == 0)
            return false;
        behind += (of > side ? of : side) - 1; // both words share the space between them
    }
    return false;
}

static size_t first_word_size(const char *text)
{
    return (size_t)(strchr(text + 1, ' ') - text) + 1;
}

static const char *last_word(const char *text, size_t size)
{
    const char *at = text + size - 2;
    while (*at != ' ')
        at--;
    return at;
}

static bool is_in_phrase(const struct model_words *words, int form, const char *text, const char *place, size_t size)
{
    for (size_t i = 0; i < words->phrases.count; i++) {
        const char *phrase = words->phrases.items[form][i];
        size_t phrase_size = strlen(phrase);
        for (const char *at = text; phrase_size > size && (at = strstr(at, phrase)) && at <= place; at++)
            if (at + phrase_size >= place + size)
                return true;
    }
    return false;
}

// Is it a part of a longer term that means something else?
static bool means_else(const struct model_words *words, int form, const char *text, const char *place, size_t size)
{
    const char *last = last_word(place, size);
    if (is_in(&words->heads, form, place, first_word_size(place)) &&
        ends_with(&words->owners_before, form, text, (size_t)(place - text) + 1))
        return true;
    return (is_in(&words->heads, form, last, (size_t)(place + size - last)) &&
            is_owned_behind(words, form, place + size - 1)) ||
           is_in_phrase(words, form, text, place, size);
}

static bool says_form(const struct model_words *words, int form, const char *text, const char *word)
{
    size_t size = strlen(word);
    bool stem = size > 3 && strcmp(word + size - 3, " * ") == 0;
    char asked[WORDS_NORMAL_SIZE];
    text_copy_n(asked, sizeof asked, word, stem ? size - 3 : size);
    if (!asked[0] || !asked[1])
        return false;
    for (const char *at = text; (at = strstr(at, asked)); at++) {
        const char *end = strchr(at + strlen(asked) - 1, ' ');
        if (!means_else(words, form, text, at, (size_t)(end - at) + 1))
            return true;
    }
    return false;
}

static bool says(const struct model_words *words, const struct said *text, const struct said *word)
{
    return says_form(words, 0, text->forms[0], word->forms[0]) || says_form(words, 1, text->forms[1], word->forms[1]);
}

static bool says_name(const struct model_words *words, const struct said *text, size_t name)
{
    return says_form(words, 0, text->forms[0], words->names.items[0][name]) ||
           says_form(words, 1, text->forms[1], words->names.items[1][name]);
}

bool model_words_says(const struct model_words *words, const char *description, const char *word)
{
    struct said text, asked;
    read_said(description, &text);
    read_said(word, &asked);
    return says(words, &text, &asked);
}

// ---- parts of the body

struct parts {
    bool has[PARTS_MAX];
    size_t count;
};

static void parts_add(struct parts *parts, size_t part)
{
    parts->count += !parts->has[part];
    parts->has[part] = true;
}

// The parts that the text is a name of.
static void parts_named(const struct model_words *words, const char *name, struct parts *out)
{
    struct said said;
    *out = (struct parts){0};
    read_said(name, &said);
    for (size_t i = 0; i < words->names.count; i++)
        if (strcmp(said.forms[0], words->names.items[0][i]) == 0 ||
            strcmp(said.forms[1], words->names.items[1][i]) == 0)
            parts_add(out, words->part_of[i]);
}

// The parts whose names the text says.
static void parts_said(const struct model_words *words, const char *text, struct parts *out)
{
    struct said said;
    *out = (struct parts){0};
    read_said(text, &said);
    for (size_t i = 0; i < words->names.count; i++)
        if (!out->has[words->part_of[i]] && says_name(words, &said, i))
            parts_add(out, words->part_of[i]);
}

static bool is_within(const struct model_words *words, size_t part, const struct parts *asked)
{
    for (size_t depth = 0; part < PARTS_MAX && depth < PARTS_MAX; depth++, part = words->within[part])
        if (asked->has[part])
            return true;
    return false;
}

// Does it hold one of the asked parts, as EXTREMITY holds KNEE?
static bool is_larger(const struct model_words *words, size_t part, const struct parts *asked)
{
    struct parts one = {.count = 1};
    one.has[part] = true;
    if (words->holds_all[part])
        return true;
    for (size_t i = 0; i < words->part_count; i++)
        if (asked->has[i] && is_within(words, i, &one))
            return true;
    return false;
}

static bool description_says(const struct model_words *words, const char *description, const struct parts *asked)
{
    struct said said;
    read_said(description, &said);
    for (size_t i = 0; i < words->names.count; i++)
        if (is_within(words, words->part_of[i], asked) && says_name(words, &said, i))
            return true;
    return false;
}

enum examined { IS_PART, IS_OTHER, IS_OPEN }; // open: names none, or a larger one

static enum examined examine(const struct model_words *words, const char *body_part_examined,
                             const struct parts *wanted)
{
    struct parts examined;
    bool larger = false;
    parts_said(words, body_part_examined, &examined);
    for (size_t i = 0; i < words->part_count; i++) {
        if (examined.has[i] && is_within(words, i, wanted))
            return IS_PART;
        larger = larger || (examined.has[i] && is_larger(words, i, wanted));
    }
    return examined.count == 0 || larger ? IS_OPEN : IS_OTHER;
}

bool model_words_is_part(const struct model_words *words, const char *body_part_examined, const char *description,
                         const char *asked)
{
    struct parts wanted;
    parts_named(words, asked, &wanted);
    if (wanted.count == 0) // no part that is known: the word alone
        return model_words_says(words, body_part_examined, asked) || model_words_says(words, description, asked);
    enum examined examined = examine(words, body_part_examined, &wanted);
    return examined == IS_PART || (examined == IS_OPEN && description_says(words, description, &wanted));
}

bool model_words_is_other(const struct model_words *words, const char *body_part_examined, const char *asked)
{
    struct parts wanted;
    parts_named(words, asked, &wanted);
    return wanted.count > 0 && examine(words, body_part_examined, &wanted) == IS_OTHER;
}

// ---- opening

static bool add_name(struct model_words *words, size_t part, const char *name, size_t size, struct error *err)
{
    if (!list_add(&words->names, name, size, err))
        return false;
    words->part_of[words->names.count - 1] = part;
    return true;
}

static bool add_names(struct model_words *words, size_t part, const char *names, struct error *err)
{
    size_t left = strlen(names), size;
    const char *name;
    while (words_next_item(&names, &left, &name, &size))
        if (!add_name(words, part, name, size, err))
            return false;
    return true;
}

static size_t find_part(const struct model_words *words, const char *part)
{
    for (size_t i = 0; i < words->part_count; i++)
        if (strcmp(words->parts[i], part) == 0)
            return i;
    return PARTS_MAX;
}

static bool add_part(struct model_words *words, const char *part, const char *within, struct error *err)
{
    size_t i = words->part_count;
    if (i == PARTS_MAX)
        return error_set(err, ERROR_LIMIT, "the vocabulary has more than %d parts of the body", PARTS_MAX);
    words->within[i] = *within ? find_part(words, within) : PARTS_MAX;
    words->holds_all[i] = strcmp(within, "*") == 0;
    words->parts[i] = strdup(part);
    words->part_count += words->parts[i] != NULL;
    return words->parts[i] ? add_name(words, i, part, strlen(part), err)
                           : error_set(err, ERROR_MEMORY, "no memory for the vocabulary");
}

static bool read_tables(struct model_words *words, struct error *err)
{
    for (const struct words_part *row = words_parts; row->part; row++)
        if (!add_part(words, row->part, row->within, err) || !add_names(words, words->part_count - 1, row->names, err))
            return false;
    return list_read(&words->heads, words_heads, err) && list_read(&words->owners_before, words_owners_before, err) &&
           list_read(&words->owners_after, words_owners_after, err) &&
           list_read(&words->owners_of, words_owners_of, err) && list_read(&words->genitives, words_genitives, err) &&
           list_read(&words->sides, words_sides, err) && list_read(&words->phrases, words_phrases, err);
}

// ---- a site's synonyms

static bool take_word(const char *text, size_t size, const char *entry, char out[MODEL_WORD_MAX + 1], struct error *err)
{
    char normal[WORDS_NORMAL_SIZE];
    if (size == 0 || size > MODEL_WORD_MAX)
        return error_set(err, ERROR_BAD_VALUE,
                         "synonyms: '%.80s' has an empty name or one of more than %d bytes; write \"HEAD = CCT, "
                         "Neurokranium; CHEST = Thx\"",
                         entry, MODEL_WORD_MAX);
    text_copy_n(out, MODEL_WORD_MAX + 1, text, size);
    words_normal(out, false, normal);
    return normal[1] || error_set(err, ERROR_BAD_VALUE, "synonyms: '%.64s' holds no letter or digit", out);
}

// The part that the site names, by any of its names; a new one when it is not known.
static bool part_of_site(struct model_words *words, const char *name, size_t *out, struct error *err)
{
    struct parts named;
    parts_named(words, name, &named);
    if (named.count > 1)
        return error_set(err, ERROR_BAD_VALUE, "synonyms: '%.64s' names %zu parts of the body; name one", name,
                         named.count);
    for (*out = 0; *out < words->part_count; (*out)++)
        if (named.has[*out])
            return true;
    return add_part(words, name, "", err);
}

static bool read_entry(struct model_words *words, const char *entry, size_t *site_names, struct error *err)
{
    char word[MODEL_WORD_MAX + 1];
    const char *equals = strchr(entry, '='), *at = entry, *item;
    size_t size = equals ? (size_t)(equals - entry) : 0, left, part = 0;
    text_trim(&at, &size);
    if (!take_word(at, size, entry, word, err) || !part_of_site(words, word, &part, err))
        return false;
    at = equals + 1;
    left = strlen(at);
    do {
        size = 0;
        words_next_item(&at, &left, &item, &size);
        if (!take_word(item, size, entry, word, err))
            return false;
        if ((*site_names)++ == MODEL_SITE_NAMES_MAX)
            return error_set(err, ERROR_BAD_VALUE, "synonyms: more than %d names", MODEL_SITE_NAMES_MAX);
        if (!add_name(words, part, word, strlen(word), err))
            return false;
    } while (left > 0);
    return true;
}

static bool read_synonyms(struct model_words *words, const char *synonyms, struct error *err)
{
    char *copy, *save = NULL;
    size_t site_names = 0;
    bool ok = true;
    if (strlen(synonyms) > MODEL_SYNONYMS_MAX)
        return error_set(err, ERROR_BAD_VALUE, "synonyms: more than %d bytes", MODEL_SYNONYMS_MAX);
    copy = strdup(synonyms);
    if (!copy)
        return error_set(err, ERROR_MEMORY, "no memory for the vocabulary");
    for (char *entry = strtok_r(copy, ";", &save); ok && entry; entry = strtok_r(NULL, ";", &save)) {
        const char *text = entry;
        size_t size = strlen(entry);
        text_trim(&text, &size);
        ok = size == 0 || read_entry(words, entry, &site_names, err);
    }
    free(copy);
    return ok;
}

struct model_words *model_words_open(const char *synonyms, struct error *err)
{
    struct model_words *words = calloc(1, sizeof *words);
    bool ok = words ? read_tables(words, err) && read_synonyms(words, synonyms, err)
                    : error_set(err, ERROR_MEMORY, "no memory for the vocabulary");
    if (ok)
        return words;
    model_words_close(words);
    return NULL;
}

void model_words_close(struct model_words *words)
{
    if (!words)
        return;
    struct list *const lists[] = {&words->names,     &words->heads,     &words->owners_before, &words->owners_after,
                                  &words->owners_of, &words->genitives, &words->sides,         &words->phrases};
    for (size_t i = 0; i < sizeof lists / sizeof *lists; i++)
        list_free(lists[i]);
    for (size_t i = 0; i < words->part_count; i++)
        free(words->parts[i]);
    free(words);
}
