#include "base/config.h"

#include <assert.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <yaml.h>

#include "base/text.h"

// ---- YAML to JSON

struct reading {
    yaml_parser_t parser;
    const char *name;
    size_t nodes;
    struct error *err;
};

static bool refuse(struct reading *r, const yaml_event_t *event, const char *what)
{
    return error_set(r->err, ERROR_BAD_VALUE, "%s:%zu: %s", r->name, event->start_mark.line + 1, what);
}

static bool next_event(struct reading *r, yaml_event_t *event)
{
    if (yaml_parser_parse(&r->parser, event))
        return true;
    return error_set(r->err, ERROR_BAD_VALUE, "%s:%zu: %s", r->name, r->parser.problem_mark.line + 1,
                     r->parser.problem ? r->parser.problem : "cannot be read as YAML");
}

static json_t *plain_scalar(const char *text, size_t size)
{
    int64_t integer;
    double real;
    if (size == 0 || (size == 1 && *text == '~') || (size == 4 && memcmp(text, "null", 4) == 0))
        return json_null();
    if ((size == 4 && memcmp(text, "true", 4) == 0) || (size == 5 && memcmp(text, "false", 5) == 0))
        return json_boolean(size == 4);
    if (text_to_i64(text, size, &integer))
        return json_integer(integer);
    if (text_to_double(text, size, &real))
        return json_real(real);
    return json_stringn(text, size);
}

static json_t *scalar(struct reading *r, const yaml_event_t *event)
{
    const char *text = (const char *)event->data.scalar.value;
    size_t size = event->data.scalar.length;
    if (event->data.scalar.anchor || event->data.scalar.tag) {
        refuse(r, event, "anchors and tags are not taken; write the value out");
        return NULL;
    }
    if (memchr(text, '\0', size)) { // what stands behind it would be lost without a word
        refuse(r, event, "text holds a NUL");
        return NULL;
    }
    json_t *value =
        event->data.scalar.style == YAML_PLAIN_SCALAR_STYLE ? plain_scalar(text, size) : json_stringn(text, size);
    if (!value)
        refuse(r, event, "text is not UTF-8");
    return value;
}

static json_t *node(struct reading *r, const yaml_event_t *event, int depth);

static json_t *list(struct reading *r, int depth)
{
    json_t *array = json_array();
    yaml_event_t event;
    while (array && next_event(r, &event)) {
        if (event.type == YAML_SEQUENCE_END_EVENT) {
            yaml_event_delete(&event);
            return array;
        }
        json_t *item = node(r, &event, depth + 1);
        yaml_event_delete(&event);
        if (!item || json_array_append_new(array, item) != 0)
            break;
    }
    json_decref(array);
    return NULL;
}

// One "key: value" of a mapping whose key event has been read.
static bool pair(struct reading *r, const yaml_event_t *key, json_t *object, int depth)
{
    yaml_event_t event;
    if (key->type != YAML_SCALAR_EVENT)
        return refuse(r, key, "a key must be a plain word");
    const char *name = (const char *)key->data.scalar.value;
    if (json_object_get(object, name))
        return error_set(r->err, ERROR_BAD_VALUE, "%s:%zu: key '%.60s' stands here a second time; keep one", r->name,
                         key->start_mark.line + 1, name);
    if (!next_event(r, &event))
        return false;
    json_t *value = node(r, &event, depth + 1);
    yaml_event_delete(&event);
    if (!value)
        return false;
    if (json_object_set_new(object, name, value) != 0)
        return refuse(r, key, "key is not UTF-8");
    return true;
}

static json_t *mapping(struct reading *r, int depth)
{
    json_t *object = json_object();
    yaml_event_t event;
    while (object && next_event(r, &event)) {
        bool end = event.type == YAML_MAPPING_END_EVENT;
        bool ok = end || pair(r, &event, object, depth);
        yaml_event_delete(&event);
        if (end)
            return object;
        if (!ok)
            break;
    }
    json_decref(object);
    return NULL;
}

static json_t *node(struct reading *r, const yaml_event_t *event, int depth)
{
    json_t *value = NULL;
    if (depth > CONFIG_DEPTH_MAX)
        refuse(r, event, "nested too deep");
    else if (++r->nodes > CONFIG_NODES_MAX)
        refuse(r, event, "too many values");
    else if (event->type == YAML_SCALAR_EVENT)
        return scalar(r, event);
    else if (event->type == YAML_ALIAS_EVENT)
        refuse(r, event, "aliases are not taken; write the value out");
    else if (event->type == YAML_SEQUENCE_START_EVENT && !event->data.sequence_start.anchor &&
             !event->data.sequence_start.tag)
        value = list(r, depth);
    else if (event->type == YAML_MAPPING_START_EVENT && !event->data.mapping_start.anchor &&
             !event->data.mapping_start.tag)
        value = mapping(r, depth);
    else
        refuse(r, event, "anchors and tags are not taken; write the value out");
    return value;
}

// The stream's events: start, then none or one document with one node, then end.
static json_t *document(struct reading *r)
{
    json_t *tree = NULL;
    bool seen = false;
    for (bool end = false; !end;) {
        yaml_event_t event;
        bool ok = true;
        if (!next_event(r, &event))
            break;
        if (event.type == YAML_STREAM_END_EVENT) {
            end = true;
        } else if (event.type == YAML_DOCUMENT_START_EVENT) {
            ok = !seen || refuse(r, &event, "a second document; keep one");
            seen = true;
        } else if (event.type != YAML_STREAM_START_EVENT && event.type != YAML_DOCUMENT_END_EVENT) {
            tree = node(r, &event, 0);
            ok = tree != NULL;
        }
        yaml_event_delete(&event);
        if (!ok)
            break;
        if (end)
            return tree ? tree : json_object();
    }
    json_decref(tree);
    return NULL;
}

json_t *config_parse(const char *text, size_t size, const char *name, struct error *err)
{
    struct reading r = {.name = name, .err = err};
    if (size > CONFIG_SIZE_MAX) {
        error_set(err, ERROR_LIMIT, "%s has %zu bytes, more than %d", name, size, CONFIG_SIZE_MAX);
        return NULL;
    }
    if (!yaml_parser_initialize(&r.parser)) {
        error_set(err, ERROR_MEMORY, "no memory to read %s", name);
        return NULL;
    }
    yaml_parser_set_input_string(&r.parser, (const unsigned char *)text, size);
    json_t *tree = document(&r);
    yaml_parser_delete(&r.parser);
    return tree;
}

// ---- tables

enum { PATH_MAX_SIZE = 128 };

static const struct config_key *find_key(const struct config_key *const *tables, const char *path)
{
    for (; *tables; tables++)
        for (const struct config_key *key = *tables; key->path; key++)
            if (strcmp(key->path, path) == 0)
                return key;
    return NULL;
}

static bool is_section(const struct config_key *const *tables, const char *path)
{
    size_t size = strlen(path);
    for (; *tables; tables++)
        for (const struct config_key *key = *tables; key->path; key++)
            if (strncmp(key->path, path, size) == 0 && key->path[size] == '.')
                return true;
    return false;
}

static size_t least(size_t a, size_t b)
{
    return a < b ? a : b;
}

// Levenshtein, for "did you mean"; both at most PATH_MAX_SIZE - 1 long.
static size_t distance(const char *a, const char *b)
{
    size_t row[PATH_MAX_SIZE];
    size_t n = strlen(b);
    for (size_t j = 0; j <= n; j++)
        row[j] = j;
    for (size_t i = 1; a[i - 1]; i++) {
        size_t diagonal = row[0];
        row[0] = i;
        for (size_t j = 1; j <= n; j++) {
            size_t change = diagonal + (a[i - 1] != b[j - 1]);
            diagonal = row[j];
            row[j] = least(change, least(row[j], row[j - 1]) + 1);
        }
    }
    return row[n];
}

static const char *nearest(const struct config_key *const *tables, const char *path)
{
    const char *best = "";
    size_t best_distance = SIZE_MAX;
    for (; *tables; tables++)
        for (const struct config_key *key = *tables; key->path; key++) {
            size_t d = distance(path, key->path);
            if (d < best_distance) {
                best_distance = d;
                best = key->path;
            }
        }
    return best;
}

static bool choice_has(const char *choices, const char *word)
{
    size_t size = strlen(word);
    for (const char *p = choices; p; p = strchr(p, '|') ? strchr(p, '|') + 1 : NULL)
        if (size > 0 && strncmp(p, word, size) == 0 && (p[size] == '|' || p[size] == '\0'))
            return true;
    return false;
}

static bool check_text(const struct config_key *key, const char *text, const char *name, struct error *err)
{
    char host[256];
    uint16_t port;
    if (key->type == CONFIG_HOST_PORT && *text && !text_host_port(text, host, sizeof host, &port))
        return error_set(err, ERROR_BAD_VALUE, "%s: %s is '%.80s'; give HOST:PORT", name, key->path, text);
    if (key->type == CONFIG_CHOICE && !choice_has(key->choices, text))
        return error_set(err, ERROR_BAD_VALUE, "%s: %s is '%.60s'; give one of %s", name, key->path, text,
                         key->choices);
    return true;
}

static bool check_value(const struct config_key *key, const json_t *value, const char *name, struct error *err)
{
    if (key->type == CONFIG_BOOLEAN)
        return json_is_boolean(value) ||
               error_set(err, ERROR_BAD_VALUE, "%s: %s must be true or false", name, key->path);
    if (key->type != CONFIG_INTEGER) {
        if (!json_is_string(value))
            return error_set(err, ERROR_BAD_VALUE, "%s: %s must be text; put it in quotes", name, key->path);
        return check_text(key, json_string_value(value), name, err);
    }
    int64_t number = json_integer_value(value);
    if (json_is_integer(value) && number >= key->least && number <= key->most)
        return true;
    return error_set(err, ERROR_BAD_VALUE, "%s: %s must be a whole number from %" PRId64 " to %" PRId64, name,
                     key->path, key->least, key->most);
}

static bool check_object(const json_t *object, const char *prefix, const struct config_key *const *tables,
                         const char *name, struct error *err)
{
    const char *word;
    json_t *value;
    json_object_foreach((json_t *)object, word, value)
    {
        char path[PATH_MAX_SIZE];
        int size = snprintf(path, sizeof path, "%s%s%s", prefix, *prefix ? "." : "", word);
        const struct config_key *key = find_key(tables, path);
        if (size < 0 || (size_t)size >= sizeof path || (!key && !(json_is_object(value) && is_section(tables, path))))
            return error_set(err, ERROR_BAD_VALUE, "%s: there is no key %s; did you mean %s?", name, path,
                             nearest(tables, path));
        if (key ? !check_value(key, value, name, err) : !check_object(value, path, tables, name, err))
            return false;
    }
    return true;
}

static json_t *lookup(const json_t *tree, const char *path)
{
    char word[PATH_MAX_SIZE];
    const json_t *at = tree;
    for (const char *dot; at && (dot = strchr(path, '.')); path = dot + 1) {
        text_copy_n(word, sizeof word, path, (size_t)(dot - path));
        at = json_object_get(at, word);
    }
    return at ? json_object_get(at, path) : NULL;
}

static bool put(json_t *tree, const char *path, json_t *value)
{
    char word[PATH_MAX_SIZE];
    for (const char *dot; (dot = strchr(path, '.')); path = dot + 1) {
        text_copy_n(word, sizeof word, path, (size_t)(dot - path));
        json_t *next = json_object_get(tree, word);
        if (!next) {
            next = json_object();
            json_object_set_new(tree, word, next);
        }
        tree = next;
    }
    return json_object_set_new(tree, path, value) == 0;
}

static json_t *standard_value(const struct config_key *key)
{
    bool text = key->type != CONFIG_INTEGER && key->type != CONFIG_BOOLEAN;
    return text ? json_string(key->standard) : plain_scalar(key->standard, strlen(key->standard));
}

bool config_complete(json_t *tree, const struct config_key *const *tables, const char *name, struct error *err)
{
    if (!json_is_object(tree))
        return error_set(err, ERROR_BAD_VALUE, "%s: the file must hold keys and values", name);
    if (!check_object(tree, "", tables, name, err))
        return false;
    for (const struct config_key *const *table = tables; *table; table++)
        for (const struct config_key *key = *table; key->path; key++)
            if (!lookup(tree, key->path) && !put(tree, key->path, standard_value(key)))
                return error_set(err, ERROR_MEMORY, "no memory for the configuration");
    return true;
}

const char *config_text(const json_t *tree, const char *path)
{
    const json_t *value = lookup(tree, path);
    assert(json_is_string(value));
    return json_string_value(value);
}

int64_t config_integer(const json_t *tree, const char *path)
{
    const json_t *value = lookup(tree, path);
    assert(json_is_integer(value));
    return json_integer_value(value);
}

bool config_boolean(const json_t *tree, const char *path)
{
    const json_t *value = lookup(tree, path);
    assert(json_is_boolean(value));
    return json_is_true(value);
}

// ---- schema and example

static json_t *schema_of(const struct config_key *key)
{
    static const char *const types[] = {"string", "integer", "boolean", "string", "string"};
    json_t *schema = json_pack("{s:s, s:s, s:o}", "type", types[key->type], "description", key->help, "default",
                               standard_value(key));
    if (key->type == CONFIG_INTEGER) {
        json_object_set_new(schema, "minimum", json_integer(key->least));
        json_object_set_new(schema, "maximum", json_integer(key->most));
    }
    if (key->type == CONFIG_CHOICE) {
        json_t *words = json_array();
        for (const char *p = key->choices; p; p = strchr(p, '|') ? strchr(p, '|') + 1 : NULL)
            json_array_append_new(words, json_stringn(p, strcspn(p, "|")));
        json_object_set_new(schema, "enum", words);
    }
    return schema;
}

void config_print_schema(struct buffer *out, const struct config_key *const *tables)
{
    json_t *root = json_pack("{s:s, s:s, s:b, s:{}}", "$schema", "https://json-schema.org/draft/2020-12/schema", "type",
                             "object", "additionalProperties", 0, "properties");
    for (; *tables; tables++)
        for (const struct config_key *key = *tables; key->path; key++) {
            char word[PATH_MAX_SIZE];
            const char *path = key->path;
            json_t *properties = json_object_get(root, "properties");
            for (const char *dot; (dot = strchr(path, '.')); path = dot + 1) {
                text_copy_n(word, sizeof word, path, (size_t)(dot - path));
                json_t *section = json_object_get(properties, word);
                if (!section) {
                    section = json_pack("{s:s, s:b, s:{}}", "type", "object", "additionalProperties", 0, "properties");
                    json_object_set_new(properties, word, section);
                }
                properties = json_object_get(section, "properties");
            }
            json_object_set_new(properties, path, schema_of(key));
        }
    char *text = json_dumps(root, JSON_INDENT(2));
    buffer_text(out, text ? text : "");
    buffer_byte(out, '\n');
    free(text);
    json_decref(root);
}

// Rows of one section stand together in their table, so a section's name is printed when it changes. Two levels are
// enough for the file.
void config_print_example(struct buffer *out, const struct config_key *const *tables)
{
    char section[PATH_MAX_SIZE] = "";
    for (; *tables; tables++)
        for (const struct config_key *key = *tables; key->path; key++) {
            const char *dot = strchr(key->path, '.');
            const char *word = dot ? dot + 1 : key->path;
            const char *indent = dot ? "  " : "";
            size_t size = dot ? (size_t)(dot - key->path) : 0;
            if (strlen(section) != size || strncmp(section, key->path, size) != 0) {
                text_copy_n(section, sizeof section, key->path, size);
                if (size > 0)
                    buffer_printf(out, "\n%s:\n", section);
            }
            json_t *value = standard_value(key);
            char *text = json_dumps(value, JSON_ENCODE_ANY);
            buffer_printf(out, "%s# %s\n%s%s: %s\n", indent, key->help, indent, word, text ? text : "");
            free(text);
            json_decref(value);
        }
}
