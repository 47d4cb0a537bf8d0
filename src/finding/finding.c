#include "finding/finding.h"

#include <ctype.h>
#include <string.h>

#include "base/clock.h"

enum { MEANING_MAX = 200, LABEL_MAX = 200 };

static const char *const urgencies[] = {"routine", "urgent", "stat"};
static const char *const states[] = {"unverified", "accepted", "rejected", "superseded"};

const char *finding_urgency_text(enum finding_urgency urgency)
{
    return (unsigned)urgency < sizeof urgencies / sizeof *urgencies ? urgencies[urgency] : "";
}

bool finding_urgency_parse(const char *text, enum finding_urgency *out)
{
    for (size_t i = 0; text && i < sizeof urgencies / sizeof *urgencies; i++) {
        if (strcmp(urgencies[i], text) != 0)
            continue;
        *out = (enum finding_urgency)i;
        return true;
    }
    return false;
}

const char *finding_state_text(enum finding_state state)
{
    return (unsigned)state < sizeof states / sizeof *states ? states[state] : "";
}

static const char *text_or_empty(const char *text)
{
    return text ? text : "";
}

// In the middle of a sentence a word begins small, an acronym does not.
static char *without_capital(const char *text, struct arena *arena)
{
    char *copy = arena_strndup(arena, text, strnlen(text, MEANING_MAX));
    if (copy && isupper((unsigned char)copy[0]) && islower((unsigned char)copy[1]))
        copy[0] = (char)tolower((unsigned char)copy[0]);
    return copy;
}

char *finding_sentence(const struct finding *finding, struct arena *arena)
{
    const char *side = text_or_empty(finding->side), *label = text_or_empty(finding->label_text);
    char *what = without_capital(text_or_empty(finding->concept.meaning), arena);
    if (!what)
        return NULL;
    return arena_printf(arena, "Suspected %s%s%s, %.1f mL (score %.2f)%s%.*s", what, *side ? ", " : "", side,
                        finding->volume_ml, finding->score, *label ? "; " : "", LABEL_MAX, label);
}

static json_t *code_to_json(const struct finding_code *code)
{
    if (!code->value || !*code->value)
        return json_null();
    return json_pack("{s:s, s:s, s:s}", "value", code->value, "scheme", text_or_empty(code->scheme), "meaning",
                     text_or_empty(code->meaning));
}

static json_t *point_to_json(const double mm[3])
{
    return json_pack("[f, f, f]", mm[0], mm[1], mm[2]);
}

static json_t *time_to_json(int64_t time_ns)
{
    char text[CLOCK_RFC3339_SIZE];
    return time_ns ? json_string(clock_rfc3339(text, time_ns)) : json_null();
}

static json_t *sentence_to_json(const struct finding *finding)
{
    struct arena arena;
    arena_init(&arena, 16 << 10);
    json_t *json = json_string(text_or_empty(finding_sentence(finding, &arena)));
    arena_free(&arena);
    return json;
}

json_t *finding_to_json(const struct finding *finding)
{
    const struct {
        const char *key, *text;
    } texts[] = {
        {"id", finding->id},
        {"job", finding->job},
        {"study", finding->study},
        {"series", finding->series},
        {"model", finding->model},
        {"modelVersion", finding->model_version},
        {"label", finding->label_text},
        {"side", finding->side},
        {"seg", finding->seg_instance},
        {"sr", finding->sr_instance},
        {"urgency", finding_urgency_text(finding->urgency)},
        {"state", finding_state_text(finding->state)},
        {"judgedBy", finding->judged_by},
        {"comment", finding->comment},
    };
    const struct {
        const char *key;
        json_t *value; // taken
    } values[] = {
        {"concept", code_to_json(&finding->concept)},
        {"site", code_to_json(&finding->site)},
        {"volumeMl", json_real(finding->volume_ml)},
        {"score", json_real(finding->score)},
        {"centroidMm", point_to_json(finding->centroid_mm)},
        {"boxMm",
         json_pack("{s:o, s:o}", "low", point_to_json(finding->low_mm), "high", point_to_json(finding->high_mm))},
        {"segment", json_integer(finding->segment)},
        {"judged", time_to_json(finding->judged_ns)},
        {"made", time_to_json(finding->made_ns)},
        {"sentence", sentence_to_json(finding)},
    };
    json_t *json = json_object();
    int failed = json ? 0 : -1;
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++)
        failed |= json_object_set_new(json, texts[i].key, json_string(text_or_empty(texts[i].text)));
    for (size_t i = 0; i < sizeof values / sizeof *values; i++)
        failed |= json_object_set_new(json, values[i].key, values[i].value);
    if (!failed)
        return json;
    json_decref(json);
    return NULL;
}
