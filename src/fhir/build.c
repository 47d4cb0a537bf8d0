#include "fhir/build.h"

#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/text.h"

void build_fail(struct build *build, enum error_code code, const char *what, const char *value)
{
    char shown[64];
    if (build->failed)
        return;
    build->failed = true;
    error_set(build->err, code, "FHIR %s \"%s\" is not allowed", what,
              text_show(shown, sizeof shown, value, strlen(value)));
}

static void out_of_memory(struct build *build)
{
    if (!build->failed)
        error_set(build->err, ERROR_MEMORY, "no memory for a FHIR resource");
    build->failed = true;
}

void build_require(struct build *build, bool there, const char *what)
{
    if (there || build->failed)
        return;
    build->failed = true;
    error_set(build->err, ERROR_BAD_VALUE, "a FHIR resource needs %s", what);
}

json_t *build_made(struct build *build, json_t *value)
{
    if (!value)
        out_of_memory(build);
    return value;
}

json_t *build_object(struct build *build)
{
    return build_made(build, json_object());
}

json_t *build_array(struct build *build)
{
    return build_made(build, json_array());
}

void build_begin(struct build *build, const char *type, const char *id, struct error *err)
{
    *build = (struct build){.err = err};
    build->root = build_object(build);
    build_put_text(build, build->root, "resourceType", type);
    if (!id)
        return;
    if (!fhir_is_id(id))
        build_fail(build, ERROR_BAD_VALUE, "id", id);
    build_put_text(build, build->root, "id", id);
}

json_t *build_end(struct build *build)
{
    if (!build->failed)
        return build->root;
    json_decref(build->root);
    return NULL;
}

static bool is_blank(const char *text)
{
    return !text || text[strspn(text, " \t\r\n")] == '\0';
}

json_t *build_text(struct build *build, const char *key, const char *text)
{
    if (is_blank(text))
        return NULL;
    size_t size = strlen(text);
    if (!text_is_utf8(text, size)) {
        build_fail(build, ERROR_BAD_VALUE, key, text);
        return NULL;
    }
    text_trim(&text, &size);
    char *copy = malloc(size + 1);
    if (!copy) {
        out_of_memory(build);
        return NULL;
    }
    text_copy_n(copy, size + 1, text, size);
    for (char *p = copy; *p; p++)
        if (((unsigned char)*p < 0x20 && !strchr("\t\r\n", *p)) || *p == 0x7F)
            *p = ' '; // R4 2.24.0.1: a string holds no control characters but these
    json_t *value = build_made(build, json_string(copy));
    free(copy);
    return value;
}

static bool is_empty(const json_t *value)
{
    return (json_is_array(value) && json_array_size(value) == 0) ||
           (json_is_object(value) && json_object_size(value) == 0);
}

void build_put(struct build *build, json_t *object, const char *key, json_t *value)
{
    if (!value || is_empty(value))
        json_decref(value);
    else if (json_object_set_new(object, key, value) != 0)
        out_of_memory(build);
}

void build_add(struct build *build, json_t *array, json_t *value)
{
    if (!value || is_empty(value))
        json_decref(value);
    else if (json_array_append_new(array, value) != 0)
        out_of_memory(build);
}

void build_put_one(struct build *build, json_t *object, const char *key, json_t *value)
{
    if (!value)
        return;
    json_t *array = build_array(build);
    build_add(build, array, value);
    build_put(build, object, key, array);
}

void build_put_text(struct build *build, json_t *object, const char *key, const char *text)
{
    build_put(build, object, key, build_text(build, key, text));
}

void build_put_integer(struct build *build, json_t *object, const char *key, int64_t value)
{
    if (value >= 0)
        build_put(build, object, key, build_made(build, json_integer(value)));
}

void build_put_instant(struct build *build, json_t *object, const char *key, int64_t time_ns)
{
    char text[CLOCK_RFC3339_SIZE];
    if (time_ns != 0)
        build_put_text(build, object, key, clock_rfc3339(text, time_ns));
}

void build_put_uid(struct build *build, json_t *object, const char *key, const char *uid)
{
    if (!fhir_is_id(uid))
        build_fail(build, ERROR_BAD_VALUE, key, uid ? uid : "");
    build_put_text(build, object, key, uid);
}

// Whether `text` has the form of `shape`, in which 0 stands for a digit.
static bool has_shape(const char *text, const char *shape)
{
    for (; *shape && *text; shape++, text++)
        if (*shape == '0' ? *text < '0' || *text > '9' : *text != *shape)
            return false;
    return !*shape && !*text;
}

static bool is_day(const char *text)
{
    int64_t year = 0, month = 1, day = 1;
    size_t size = strlen(text);
    text_to_i64(text, 4, &year);
    if (size >= 7)
        text_to_i64(text + 5, 2, &month);
    if (size >= 10)
        text_to_i64(text + 8, 2, &day);
    return clock_is_day(year, month, day);
}

// A time of day has a zone in FHIR, or it is left out.
static bool is_date(const char *text)
{
    static const char *const shapes[] = {"0000",
                                         "0000-00",
                                         "0000-00-00",
                                         "0000-00-00T00:00:00Z",
                                         "0000-00-00T00:00:00+00:00",
                                         "0000-00-00T00:00:00-00:00",
                                         "0000-00-00T00:00:00.000Z",
                                         "0000-00-00T00:00:00.000000Z"};
    for (size_t i = 0; i < sizeof shapes / sizeof *shapes; i++)
        if (has_shape(text, shapes[i]))
            return is_day(text);
    return false;
}

void build_put_date(struct build *build, json_t *object, const char *key, const char *date)
{
    if (is_blank(date))
        return;
    if (!is_date(date))
        build_fail(build, ERROR_BAD_VALUE, key, date);
    build_put_text(build, object, key, date);
}
