// Words, names and the API's form of findings and results.
#include "finding/finding.h"

#include <ctype.h>
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/text.h"
#include "finding/object.h"

enum { MEANING_MAX = 200, LABEL_MAX = 200 };

static const char *const urgencies[] = {"routine", "urgent", "stat"};
static const char *const states[] = {"unverified", "accepted", "rejected", "superseded"};
static const char *const outcomes[] = {"positive", "negative", "not analysed", "failed"};
static const char *const standings[] = {"current", "superseded", "withdrawn"};

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

const char *finding_outcome_text(enum finding_outcome outcome)
{
    return (unsigned)outcome < sizeof outcomes / sizeof *outcomes ? outcomes[outcome] : "";
}

bool finding_is_answer(enum finding_outcome outcome)
{
    return outcome == FINDING_POSITIVE || outcome == FINDING_NEGATIVE;
}

const char *finding_standing_text(enum finding_standing standing)
{
    return (unsigned)standing < sizeof standings / sizeof *standings ? standings[standing] : "";
}

// ---- names of a result

void finding_result_id(char out[FINDING_ID_SIZE], const char *job, const char *volume)
{
    if (*volume)
        object_hex(out, FINDING_ID_SIZE, (const char *const[]){job, volume, NULL});
    else
        text_copy(out, FINDING_ID_SIZE, job);
}

// ---- for people

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
    const char *side = object_text(finding->side), *label = object_text(finding->label_text);
    char *what = without_capital(object_text(finding->concept.meaning), arena);
    if (!what)
        return NULL;
    return arena_printf(arena, "Suspected %s%s%s, %.1f mL%s%.*s", what, *side ? ", " : "", side, finding->volume_ml,
                        *label ? "; " : "", LABEL_MAX, label);
}

static json_t *code_to_json(const struct finding_code *code)
{
    if (!code->value || !*code->value)
        return json_null();
    return json_pack("{s:s, s:s, s:s}", "value", code->value, "scheme", object_text(code->scheme), "meaning",
                     object_text(code->meaning));
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
    json_t *json = json_string(object_text(finding_sentence(finding, &arena)));
    arena_free(&arena);
    return json;
}

struct text_member {
    const char *key, *text;
};
struct member {
    const char *key;
    json_t *value; // taken
};

// NULL: no memory.
static json_t *to_object(const struct text_member *texts, size_t text_count, const struct member *values,
                         size_t value_count)
{
    json_t *json = json_object();
    int failed = json ? 0 : -1;
    for (size_t i = 0; i < text_count; i++)
        failed |= json_object_set_new(json, texts[i].key, json_string(object_text(texts[i].text)));
    for (size_t i = 0; i < value_count; i++)
        failed |= json_object_set_new(json, values[i].key, values[i].value);
    if (!failed)
        return json;
    json_decref(json);
    return NULL;
}

json_t *finding_to_json(const struct finding *finding)
{
    const struct text_member texts[] = {
        {"id", finding->id},
        {"result", finding->result},
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
    const struct member values[] = {
        {"concept", code_to_json(&finding->concept)},
        {"site", code_to_json(&finding->site)},
        {"volumeMl", json_real(finding->volume_ml)},
        {"score", json_real(finding->score)},
        {"centroidMm", point_to_json(finding->centroid_mm)},
        {"boxMm",
         json_pack("{s:o, s:o}", "low", point_to_json(finding->low_mm), "high", point_to_json(finding->high_mm))},
        {"segment", json_integer(finding->segment)},
        {"version", json_integer(finding->version)},
        {"judged", time_to_json(finding->judged_ns)},
        {"made", time_to_json(finding->made_ns)},
        {"sentence", sentence_to_json(finding)},
    };
    return to_object(texts, sizeof texts / sizeof *texts, values, sizeof values / sizeof *values);
}

static bool is_rejected(const struct finding_result *result, const struct finding *findings, size_t count)
{
    size_t own = 0, rejected = 0;
    for (size_t i = 0; i < count; i++)
        if (strcmp(findings[i].result, result->id) == 0) {
            own++;
            rejected += findings[i].state == FINDING_REJECTED;
        }
    return own > 0 && rejected == own;
}

const char *finding_result_said(const struct finding_result *result, const struct finding *findings, size_t count)
{
    if (result->outcome == FINDING_POSITIVE && is_rejected(result, findings, count))
        return "positive, rejected by a reader";
    if (result->outcome == FINDING_NEGATIVE && result->standing == FINDING_CURRENT && result->is_earlier)
        return "only an earlier answer";
    if (result->outcome == FINDING_NEGATIVE && result->standing == FINDING_CURRENT && !result->told)
        return "nothing found so far; images may still come";
    return finding_outcome_text(result->outcome);
}

const char *finding_result_images(const struct finding_result *result)
{
    return result->is_earlier ? "earlier" : "present";
}

const char *finding_result_reason(const struct finding_result *result)
{
    bool is_earlier = result->is_earlier && result->standing == FINDING_CURRENT && finding_is_answer(result->outcome);
    return is_earlier ? OBJECT_EARLIER : object_text(result->reason);
}

json_t *finding_result_to_json(const struct finding_result *result)
{
    const struct text_member texts[] = {
        {"id", result->id},
        {"topic", result->topic},
        {"job", result->job},
        {"study", result->study},
        {"series", result->series},
        {"volume", result->volume},
        {"patientId", result->patient_id},
        {"issuer", result->issuer},
        {"modality", result->modality},
        {"model", result->model},
        {"modelVersion", result->model_version},
        {"modelDigest", result->model_digest},
        {"label", result->label_text},
        {"outcome", finding_outcome_text(result->outcome)},
        {"standing", finding_standing_text(result->standing)},
        {"reason", finding_result_reason(result)},
        {"images", finding_result_images(result)},
        {"notes", result->notes},
        {"digest", result->digest},
        {"seg", result->seg_instance},
        {"sr", result->sr_instance},
    };
    const struct member values[] = {
        {"concept", code_to_json(&result->concept)},       {"objects", json_integer(result->objects)},
        {"voxels", json_integer(result->voxels)},          {"calibrated", json_boolean(result->calibrated)},
        {"coverageMm", json_integer(result->coverage_mm)}, {"told", json_boolean(result->told)},
        {"revision", json_integer(result->revision)},      {"made", time_to_json(result->made_ns)},
        {"changed", time_to_json(result->changed_ns)},
    };
    return to_object(texts, sizeof texts / sizeof *texts, values, sizeof values / sizeof *values);
}
