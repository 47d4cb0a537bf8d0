// Members of JSON objects by table: how rules and HL7 targets are read, refused and written.
#include "flow/internal.h"

#include <string.h>

#include "base/text.h"

// It stands in logs, lists and messages: no control characters.
static bool take_text(const json_t *value, char *out, size_t capacity)
{
    const char *text = json_string_value(value);
    if (!text || strlen(text) != json_string_length(value))
        return false;
    for (const char *c = text; *c; c++)
        if ((unsigned char)*c < ' ' || *c == 0x7F)
            return false;
    return text_copy(out, capacity, text);
}

static bool read_names(const json_t *value, const struct field *field, char *base, const char *what, struct error *err)
{
    size_t i;
    json_t *name;
    size_t *count = (size_t *)(void *)(base + field->count);
    if (!json_is_array(value))
        return error_set(err, ERROR_BAD_VALUE, "%s: '%s' must be a list of at most %d names", what, field->name,
                         FLOW_TARGETS_MAX);
    if (json_array_size(value) > FLOW_TARGETS_MAX)
        return error_set(err, ERROR_BAD_VALUE,
                         "%s: '%s' has %zu names, at most %d are served; name the others in a second rule", what,
                         field->name, json_array_size(value), FLOW_TARGETS_MAX);
    *count = json_array_size(value);
    json_array_foreach(value, i, name)
    {
        if (json_string_length(name) == 0 ||
            !take_text(name, base + field->offset + i * field->capacity, field->capacity))
            return error_set(err, ERROR_BAD_VALUE, "%s: '%s' must be a list of names of at most %zu characters", what,
                             field->name, field->capacity - 1);
    }
    return true;
}

static bool read_field(const json_t *value, const struct field *field, char *base, const char *what, struct error *err)
{
    char *at = base + field->offset;
    switch (field->type) {
    case FIELD_TEXT:
        if (take_text(value, at, field->capacity))
            return true;
        return error_set(err, ERROR_BAD_VALUE, "%s: '%s' must be one line of text of at most %zu characters", what,
                         field->name, field->capacity - 1);
    case FIELD_NUMBER:
        if (!json_is_number(value) || json_number_value(value) < 0)
            return error_set(err, ERROR_BAD_VALUE, "%s: '%s' must be a number, 0 or more", what, field->name);
        *(double *)(void *)at = json_number_value(value);
        return true;
    case FIELD_INTEGER:
    case FIELD_COUNT:
        if (!json_is_integer(value) || json_integer_value(value) < (field->type == FIELD_COUNT ? 0 : -1000000) ||
            json_integer_value(value) > 1000000)
            return error_set(err, ERROR_BAD_VALUE, "%s: '%s' must be a whole number of at most 1000000", what,
                             field->name);
        if (field->type == FIELD_COUNT)
            *(uint32_t *)(void *)at = (uint32_t)json_integer_value(value);
        else
            *(int64_t *)(void *)at = json_integer_value(value);
        return true;
    case FIELD_BOOLEAN:
        if (!json_is_boolean(value))
            return error_set(err, ERROR_BAD_VALUE, "%s: '%s' must be true or false", what, field->name);
        *(bool *)at = json_is_true(value);
        return true;
    case FIELD_NAMES:
        return read_names(value, field, base, what, err);
    }
    return false;
}

static const struct field *find_field(const struct field *fields, const char *name)
{
    for (; fields->name; fields++)
        if (strcmp(fields->name, name) == 0)
            return fields;
    return NULL;
}

bool field_version(const json_t *json, int64_t *out, const char *what, struct error *err)
{
    const json_t *version = json_object_get(json, "version");
    *out = json_integer_value(version);
    return !version || (json_is_integer(version) && *out >= 0) ||
           error_set(err, ERROR_BAD_VALUE, "%s: 'version' must be a whole number, 0 or more", what);
}

bool fields_read(const json_t *json, const struct field *fields, void *out, const char *what, struct error *err)
{
    const char *name;
    json_t *value;
    if (!json_is_object(json))
        return error_set(err, ERROR_BAD_VALUE, "%s must be a JSON object", what);
    json_object_foreach((json_t *)(uintptr_t)json, name, value)
    {
        const struct field *field = find_field(fields, name);
        if (!field)
            return error_set(err, ERROR_BAD_VALUE, "%s has no member '%.40s'", what, name);
        if (!read_field(value, field, out, what, err))
            return false;
    }
    return true;
}

static json_t *write_field(const struct field *field, const char *base)
{
    const char *at = base + field->offset;
    json_t *list;
    switch (field->type) {
    case FIELD_TEXT:
        return json_string(at);
    case FIELD_NUMBER:
        return json_real(*(const double *)(const void *)at);
    case FIELD_COUNT:
        return json_integer(*(const uint32_t *)(const void *)at);
    case FIELD_INTEGER:
        return json_integer(*(const int64_t *)(const void *)at);
    case FIELD_BOOLEAN:
        return json_boolean(*(const bool *)at);
    case FIELD_NAMES:
        break;
    }
    list = json_array();
    for (size_t i = 0; i < *(const size_t *)(const void *)(base + field->count); i++)
        json_array_append_new(list, json_string(at + i * field->capacity));
    return list;
}

json_t *fields_write(const struct field *fields, const void *from)
{
    json_t *json = json_object();
    for (; fields->name; fields++)
        json_object_set_new(json, fields->name, write_field(fields, from));
    return json;
}
