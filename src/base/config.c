#include "base/config.h"

#include <assert.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <yaml.h>

#include "base/file.h"
#include "base/text.h"

// ---- YAML to JSON

enum { PATH_MAX_SIZE = 128 };

struct reading {
    yaml_parser_t parser;
    const char *name;
    json_t *lines;
    char path[PATH_MAX_SIZE]; // of what is being read
    size_t path_size;
    size_t nodes;
    struct error *err;
};

// Goes down to `word`, which stands in `line` (from 0); the length of the path to come back to.
static size_t enter(struct reading *r, const char *word, size_t line)
{
    size_t before = r->path_size, room = sizeof r->path - before;
    int size = snprintf(r->path + before, room, "%s%s", before ? "." : "", word);
    if (size > 0 && (size_t)size < room) {
        r->path_size += (size_t)size;
        json_object_set_new(r->lines, r->path, json_integer((json_int_t)line + 1));
    }
    return before;
}

static void leave(struct reading *r, size_t before)
{
    r->path_size = before;
}

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
        char index[24];
        snprintf(index, sizeof index, "%zu", json_array_size(array));
        size_t before = enter(r, index, event.start_mark.line);
        json_t *item = node(r, &event, depth + 1);
        leave(r, before);
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
    size_t before = enter(r, name, key->start_mark.line);
    json_t *value = node(r, &event, depth + 1);
    leave(r, before);
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

bool config_parse(const char *text, size_t size, const char *name, struct config *out, struct error *err)
{
    struct reading r = {.name = name, .lines = json_object(), .err = err};
    *out = (struct config){.name = name, .lines = r.lines};
    if (size > CONFIG_SIZE_MAX)
        error_set(err, ERROR_LIMIT, "%s has %zu bytes, more than %d", name, size, CONFIG_SIZE_MAX);
    else if (!r.lines || !yaml_parser_initialize(&r.parser))
        error_set(err, ERROR_MEMORY, "no memory to read %s", name);
    else {
        yaml_parser_set_input_string(&r.parser, (const unsigned char *)text, size);
        out->tree = document(&r);
        yaml_parser_delete(&r.parser);
    }
    if (!out->tree)
        config_free(out);
    return out->tree != NULL;
}

bool config_read(const char *path, struct config *out, struct error *err)
{
    struct buffer text;
    *out = (struct config){0};
    buffer_init(&text, CONFIG_SIZE_MAX);
    bool ok = file_read(path, &text, err) && config_parse((const char *)text.data, text.size, path, out, err);
    buffer_free(&text);
    return ok;
}

void config_free(struct config *config)
{
    json_decref(config->tree);
    json_decref(config->lines);
    *config = (struct config){0};
}

// The line of the value, or of what it stands in: 0 of the command line, -1 when neither says.
static int64_t line_of(const struct config *config, const char *path)
{
    char at[PATH_MAX_SIZE];
    text_copy(at, sizeof at, path);
    for (;;) {
        const json_t *line = json_object_get(config->lines, at);
        char *dot = strrchr(at, '.');
        if (line)
            return json_integer_value(line);
        if (!dot)
            return -1;
        *dot = '\0';
    }
}

static void keep_fault(struct config_faults *faults, int64_t line, const struct error *err)
{
    size_t at = faults->count++;
    if (at > CONFIG_FAULTS_MAX)
        at = CONFIG_FAULTS_MAX;
    for (; at > 0 && faults->first[at - 1].line > line; at--)
        if (at < CONFIG_FAULTS_MAX)
            faults->first[at] = faults->first[at - 1];
    if (at < CONFIG_FAULTS_MAX)
        faults->first[at] = (struct config_fault){line, *err};
}

bool config_blame(const struct config *config, const char *path, struct error *err)
{
    int64_t line = line_of(config, path);
    if (line > 0)
        error_prefix(err, "%s:%" PRId64, config->name, line);
    else if (line < 0)
        error_prefix(err, "%s", config->name);
    if (config->faults)
        keep_fault(config->faults, line > 0 ? line : 0, err);
    return config->faults != NULL;
}

// ---- tables

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

static const char *nearest(const struct config_key *const *tables, const char *path)
{
    const char *best = "";
    size_t best_distance = SIZE_MAX;
    for (; *tables; tables++)
        for (const struct config_key *key = *tables; key->path; key++) {
            size_t d = text_distance(path, key->path);
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

static bool check_text(const struct config_key *key, const char *text, struct error *err)
{
    char host[256];
    uint16_t port;
    if (key->type == CONFIG_HOST_PORT && *text && !text_host_port(text, host, sizeof host, &port))
        return error_set(err, ERROR_BAD_VALUE, "%s is '%.80s'; give HOST:PORT", key->path, text);
    if (key->type == CONFIG_CHOICE && !choice_has(key->choices, text))
        return error_set(err, ERROR_BAD_VALUE, "%s is '%.60s'; give one of %s", key->path, text, key->choices);
    return true;
}

static bool check_number(const struct config_key *key, const json_t *value, struct error *err)
{
    int64_t number = json_integer_value(value);
    return (json_is_integer(value) && number >= key->least && number <= key->most) ||
           error_set(err, ERROR_BAD_VALUE, "%s must be a whole number from %" PRId64 " to %" PRId64, key->path,
                     key->least, key->most);
}

static bool check_value(const struct config_key *key, const json_t *value, struct error *err)
{
    switch (key->type) {
    case CONFIG_BOOLEAN:
        return json_is_boolean(value) || error_set(err, ERROR_BAD_VALUE, "%s must be true or false", key->path);
    case CONFIG_LIST:
        return json_is_array(value) ||
               error_set(err, ERROR_BAD_VALUE, "%s must be a list; [] is an empty one", key->path);
    case CONFIG_INTEGER:
        return check_number(key, value, err);
    default:
        return json_is_string(value) ? check_text(key, json_string_value(value), err)
                                     : error_set(err, ERROR_BAD_VALUE, "%s must be text; put it in quotes", key->path);
    }
}

static bool check_object(const struct config *config, json_t *object, const char *prefix,
                         const struct config_key *const *tables, struct error *err);

// One key, or a section of keys; a section without any may be empty ("http:").
static bool check_pair(const struct config *config, const char *path, json_t *value,
                       const struct config_key *const *tables, struct error *err)
{
    const struct config_key *key = find_key(tables, path);
    if (key)
        return check_value(key, value, err) || config_blame(config, path, err);
    if (is_section(tables, path) && (json_is_object(value) || json_is_null(value)))
        return json_is_null(value) || check_object(config, value, path, tables, err);
    error_set(err, ERROR_BAD_VALUE, "there is no key %s; did you mean %s?", path, nearest(tables, path));
    return config_blame(config, path, err);
}

static bool check_word(const struct config *config, const char *prefix, const char *word, json_t *value,
                       const struct config_key *const *tables, bool *is_section_of, struct error *err)
{
    char path[PATH_MAX_SIZE];
    int size = snprintf(path, sizeof path, "%s%s%s", prefix, *prefix ? "." : "", word);
    *is_section_of = false;
    if (size < 0 || (size_t)size >= sizeof path || strchr(word, '.')) {
        error_set(err, ERROR_BAD_VALUE, "there is no key '%.60s'; a key stands under its section, on its own line",
                  word);
        return config_blame(config, path, err);
    }
    *is_section_of = is_section(tables, path) && json_is_object(value);
    return check_pair(config, path, value, tables, err);
}

// What is wrong, and was kept as a fault, leaves its place to the standard.
static bool check_object(const struct config *config, json_t *object, const char *prefix,
                         const struct config_key *const *tables, struct error *err)
{
    const char *word;
    json_t *value;
    void *next;
    json_object_foreach_safe(object, next, word, value)
    {
        bool is_section_of;
        size_t before = config->faults ? config->faults->count : 0;
        if (!check_word(config, prefix, word, value, tables, &is_section_of, err))
            return false;
        if (config->faults && config->faults->count > before && !is_section_of)
            json_object_del(object, word);
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

// Takes the value. false: what should be a section is something else.
static bool put(json_t *tree, const char *path, json_t *value)
{
    char word[PATH_MAX_SIZE];
    for (const char *dot; tree && (dot = strchr(path, '.')); path = dot + 1) {
        text_copy_n(word, sizeof word, path, (size_t)(dot - path));
        json_t *next = json_object_get(tree, word);
        if (!next || json_is_null(next)) {
            next = json_object();
            if (json_object_set_new(tree, word, next) != 0)
                next = NULL;
        }
        tree = next;
    }
    return json_object_set_new(tree, path, value) == 0;
}

// It stands in no line.
void config_set(struct config *config, const char *path, const char *text)
{
    if (put(config->tree, path, json_string(text)))
        json_object_set_new(config->lines, path, json_integer(0));
}

static json_t *standard_value(const struct config_key *key)
{
    bool plain = key->type == CONFIG_INTEGER || key->type == CONFIG_BOOLEAN;
    return !plain ? json_string(key->standard) : plain_scalar(key->standard, strlen(key->standard));
}

bool config_complete(struct config *config, const struct config_key *const *tables, struct error *err)
{
    if (!json_is_object(config->tree))
        return error_set(err, ERROR_BAD_VALUE, "%s: the file must hold keys and values", config->name);
    if (!check_object(config, config->tree, "", tables, err))
        return false;
    for (const struct config_key *const *table = tables; *table; table++)
        for (const struct config_key *key = *table; key->path; key++)
            if (key->type != CONFIG_LIST && !lookup(config->tree, key->path) &&
                !put(config->tree, key->path, standard_value(key)))
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
    static const char *const types[] = {"string", "integer", "boolean", "string", "string", "array"};
    json_t *schema = json_pack("{s:s, s:s}", "type", types[key->type], "description", key->help);
    if (key->type != CONFIG_LIST)
        json_object_set_new(schema, "default", standard_value(key));
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

static void print_list(struct buffer *out, const struct config_key *key)
{
    buffer_printf(out, "\n# %s\n# %s:\n#   - %s\n", key->help, key->path, key->standard);
}

// Rows of one section stand together in their table, so a section's name is printed when it changes. Two levels are
// enough for the file.
void config_print_example(struct buffer *out, const struct config_key *const *tables)
{
    char section[PATH_MAX_SIZE] = "";
    for (; *tables; tables++)
        for (const struct config_key *key = *tables; key->path; key++) {
            if (key->type == CONFIG_LIST) {
                print_list(out, key);
                continue;
            }
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
