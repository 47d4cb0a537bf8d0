#include "finding/object.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/hash.h"
#include "base/log.h"
#include "base/text.h"
#include "finding/moment.h"

enum {
    SCRATCH_MAX = 1 << 20,
    LO_MAX = 64,
    SH_MAX = 16,
    UTF8_MAX = 4,
    TEXT_SIZE = 64,   // of a date, time or zone as it came
    SERIAL_SIZE = 17, // of the model's digest: enough to tell packages apart
};

// ---- UIDs

void object_uid(char out[DICOM_UID_SIZE], const char *key, const char *purpose)
{
    uint8_t digest[HASH_SIZE];
    char text[256];
    int size = snprintf(text, sizeof text, "%.128s %.64s", object_text(key), purpose);
    hash_of(text, (size_t)size, digest);
    dicom_uid_from_digest(out, digest);
}

void object_hex(char *out, size_t size, const char *const texts[])
{
    uint8_t digests[OBJECT_HEX_TEXTS_MAX][HASH_SIZE], digest[HASH_SIZE];
    char hex[2 * HASH_SIZE + 1];
    size_t count = 0;
    for (; texts[count] && count < OBJECT_HEX_TEXTS_MAX; count++)
        hash_of(texts[count], strlen(texts[count]), digests[count]);
    hash_of(digests, count * HASH_SIZE, digest);
    text_hex(hex, digest, sizeof digest);
    text_copy(out, size, hex);
}

// Revision 0 has no number in it: so objects of a program without revisions are of revision 0.
void object_instance_uid(char out[DICOM_UID_SIZE], const char *result, const char *purpose, int64_t revision)
{
    char text[64];
    snprintf(text, sizeof text, "%.24s %lld", purpose, (long long)revision);
    object_uid(out, result, revision > 0 ? text : purpose);
}

void object_series_uid(char out[DICOM_UID_SIZE], const char *result, const char *purpose, int64_t revision)
{
    char text[64];
    snprintf(text, sizeof text, "%.24s series", purpose);
    object_instance_uid(out, result, text, revision);
}

bool object_find_series(const struct finding_result *result, const char *purpose, const char *instance,
                        char out[DICOM_UID_SIZE])
{
    char uid[DICOM_UID_SIZE];
    for (int64_t revision = result->revision; revision >= 0; revision--) {
        object_instance_uid(uid, result->id, purpose, revision);
        if (strcmp(uid, instance) != 0)
            continue;
        object_series_uid(out, result->id, purpose, revision);
        return true;
    }
    return false;
}

int64_t object_series_number(const char *series_uid)
{
    enum { LOWEST = 1000000000 };
    uint8_t digest[HASH_SIZE];
    uint32_t number = 0;
    hash_of(series_uid, strlen(series_uid), digest);
    for (size_t i = 0; i < sizeof number; i++)
        number = number << 8 | digest[i];
    return LOWEST + number % LOWEST;
}

void object_tracking_uid(char out[DICOM_UID_SIZE], const struct finding *finding)
{
    char purpose[48];
    snprintf(purpose, sizeof purpose, "tracking %lld", (long long)finding->segment);
    object_uid(out, finding->result, purpose);
}

void object_device_uid(char out[DICOM_UID_SIZE], const char *model_digest)
{
    object_uid(out, model_digest, "device");
}

const char *object_tracking_text(char out[DICOM_UID_SIZE], const struct finding *finding)
{
    snprintf(out, DICOM_UID_SIZE, "%.40s %lld", object_text(finding->model), (long long)finding->segment);
    return out;
}

void finding_seg_uid(char out[DICOM_UID_SIZE], const char *result, int64_t revision)
{
    object_instance_uid(out, result, "seg", revision);
}

void finding_sr_uid(char out[DICOM_UID_SIZE], const char *result, int64_t revision)
{
    object_instance_uid(out, result, "sr", revision);
}

void finding_rejection_uid(char out[DICOM_UID_SIZE], const char *result, int64_t revision)
{
    object_instance_uid(out, result, "rejection", revision);
}

// ---- codes

const struct finding_code *object_side(const char *side)
{
    static const struct {
        const char *side;
        struct finding_code code;
    } rows[] = {
        {"left", {"7771000", "SCT", "Left"}},
        {"right", {"24028007", "SCT", "Right"}},
        {"midline", {"261129000", "SCT", "Midline"}},
    };
    for (size_t i = 0; side && i < sizeof rows / sizeof *rows; i++)
        if (strcmp(rows[i].side, side) == 0)
            return &rows[i].code;
    return NULL;
}

void object_write_code_in(struct dicom_writer *writer, const struct finding_code *code)
{
    bool is_long = strlen(code->value) > SH_MAX;
    if (!is_long)
        dicom_write_text(writer, 0x00080100, code->value);
    dicom_write_text(writer, 0x00080102, code->scheme);
    dicom_write_text(writer, 0x00080104, code->meaning);
    if (is_long)
        dicom_write_text(writer, 0x00080119, code->value);
}

void object_write_code(struct dicom_writer *writer, dicom_tag tag, const struct finding_code *code)
{
    dicom_write_sequence(writer, tag);
    dicom_write_item(writer);
    object_write_code_in(writer, code);
    dicom_write_item_end(writer);
    dicom_write_sequence_end(writer);
}

void object_write_reference(struct dicom_writer *writer, const char *sop_class, const char *instance)
{
    dicom_write_text(writer, 0x00081150, sop_class);
    dicom_write_text(writer, 0x00081155, instance);
}

// ---- text

void object_write_cut(struct object *object, dicom_tag tag, const char *text, size_t most)
{
    char cut[LO_MAX * UTF8_MAX + 1];
    size_t used = 0, left = strlen(text), length;
    for (size_t i = 0; i < most && i < LO_MAX && left > 0; i++, text += length, left -= length) {
        length = text_utf8_length(text, left);
        bool is_plain = length > 1 || (length == 1 && (unsigned char)*text >= ' ' && *text != 0x7F && *text != '\\');
        if (length == 0)
            length = 1;
        if (is_plain)
            memcpy(cut + used, text, length);
        else
            cut[used] = ' ';
        used += is_plain ? length : 1;
    }
    cut[used] = '\0';
    dicom_write_text(&object->writer, tag, cut);
}

char *object_line(const struct finding *finding, struct arena *arena)
{
    const char *sentence = finding_sentence(finding, arena);
    if (!sentence)
        return NULL;
    if (finding->state != FINDING_ACCEPTED)
        return arena_printf(arena, "%s; %s", sentence, finding_state_text(finding->state));
    return arena_printf(arena, "%s; accepted by %s (name as typed)", sentence, object_text(finding->judged_by));
}

char *object_looked_at(const struct finding_result *r, struct arena *arena)
{
    const char *notes = object_text(r->notes), *volume = object_text(r->volume);
    return arena_printf(arena, "Looked at: %lld images%s%s, %lld voxels%s%s", (long long)r->objects,
                        *volume ? " of " : "", volume, (long long)r->voxels, *notes ? "; " : "", notes);
}

char *object_nothing(const struct finding_result *r, struct arena *arena)
{
    const char *what = object_text(r->concept.meaning), *label = object_text(r->label_text),
               *looked_at = object_looked_at(r, arena);
    if (!looked_at)
        return NULL;
    return arena_printf(arena, "%s by %s %s%s%s. %s. This does not exclude disease. Label: %s",
                        r->outcome == FINDING_NEGATIVE ? "Nothing was found" : "A reviewer rejected all that was found",
                        r->model, object_text(r->model_version), *what ? ", which looks for: " : "", what, looked_at,
                        *label ? label : "research use only");
}

// Cut between two characters.
static void copy_name(char to[OBJECT_NAME_SIZE], const char *text, size_t size)
{
    if (size >= OBJECT_NAME_SIZE)
        for (size = OBJECT_NAME_SIZE - 1; size > 0 && ((unsigned char)text[size] & 0xC0) == 0x80;)
            size--;
    text_copy_n(to, OBJECT_NAME_SIZE, text, size);
}

bool object_name(const char *name, enum object_name_group group, struct object_name *out)
{
    const char *at = object_text(name);
    for (unsigned i = 0; i < group && *at; i++)
        at += strcspn(at, "=") + (at[strcspn(at, "=")] == '=');
    copy_name(out->copy, at, strcspn(at, "="));
    bool there = false;
    char *part = out->copy;
    for (size_t i = 0; i < OBJECT_NAME_PARTS; i++) {
        out->parts[i] = part;
        there |= object_says(part, strcspn(part, "^"));
        part += strcspn(part, "^");
        if (*part)
            *part++ = '\0';
    }
    return there;
}

bool object_says(const char *text, size_t size)
{
    for (const char *end = text + size; text < end;) {
        size_t run = 0;
        while (text + run < end && text[run] != '"')
            run++;
        if (run > 0 && text_is_visible(text, run))
            return true;
        text += run + 1;
    }
    return false;
}

const char *object_readable(const char *text)
{
    return text && (strstr(text, "\xEF\xBF\xBD") || !object_says(text, strlen(text))) ? "" : text;
}

struct finding_study object_readable_study(const struct finding_study *study)
{
    struct finding_study out = *study;
    const char **texts[] = {&out.patient_id, &out.issuer,      &out.patient_name,
                            &out.accession,  &out.description, &out.referring};
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++)
        *texts[i] = object_readable(*texts[i]);
    return out;
}

// `text`, or in `room` another form of it, or "" where it is not what the tag is for.
static const char *proper(dicom_tag tag, const char *text, char room[DICOM_TIME_SIZE])
{
    switch (tag) {
    case 0x00080020:
    case 0x00100030:
        dicom_date(room, text);
        return room;
    case 0x00080030:
        dicom_time(room, text);
        return room;
    case 0x00100040:
        return moment_sex(text);
    default:
        return text;
    }
}

static const char *source_text(struct object *object, dicom_tag tag, char room[DICOM_TIME_SIZE])
{
    arena_reset(&object->scratch);
    return proper(tag, object_readable(dicom_text(object->context->source, tag, &object->scratch)), room);
}

void object_copy(struct object *object, dicom_tag tag)
{
    char room[DICOM_TIME_SIZE];
    dicom_write_text(&object->writer, tag, source_text(object, tag, room));
}

void object_copy_some(struct object *object, dicom_tag tag)
{
    char room[DICOM_TIME_SIZE];
    const char *text = source_text(object, tag, room);
    if (text && *text)
        dicom_write_text(&object->writer, tag, text);
}

// ---- head and middle

static bool is_finite(const struct finding *finding)
{
    return isfinite(finding->volume_ml) && isfinite(finding->score);
}

static bool check_finding(const struct finding *finding, size_t index, struct error *err)
{
    if (finding->segment != (int64_t)index + 1)
        return error_set(err, ERROR_BAD_VALUE, "finding %zu has segment number %lld; they count from 1", index + 1,
                         (long long)finding->segment);
    if (!finding->concept.value || !*finding->concept.value || !finding->concept.scheme || !finding->concept.meaning)
        return error_set(err, ERROR_BAD_VALUE, "finding %zu has no code that says what it is", index + 1);
    return is_finite(finding) || error_set(err, ERROR_BAD_VALUE, "finding %zu has volume %g and score %g", index + 1,
                                           finding->volume_ml, finding->score);
}

bool object_begin(struct object *object, const struct finding_context *context, const struct finding *findings,
                  size_t count, struct buffer *out, struct error *err)
{
    *object = (struct object){.context = context};
    if (!dicom_text_copy(context->source, 0x0020000D, object->study, sizeof object->study) ||
        !dicom_text_copy(context->source, 0x0020000E, object->series, sizeof object->series) || !*object->study ||
        !*object->series)
        return error_set(err, ERROR_BAD_VALUE, "the source image names no study or no series");
    if (count > OBJECT_FINDINGS_MAX)
        return error_set(err, ERROR_LIMIT, "%zu findings; an object takes %d", count, OBJECT_FINDINGS_MAX);
    for (size_t i = 0; i < count; i++)
        if (!check_finding(&findings[i], i, err))
            return false;
    dicom_writer_init(&object->writer, out, false);
    arena_init(&object->scratch, SCRATCH_MAX);
    return true;
}

bool object_check_slices(const struct finding_context *context, struct error *err)
{
    size_t slices = context->geometry->slices;
    return (slices > 0 && slices <= IMAGE_SLICES_MAX) ||
           error_set(err, ERROR_BAD_VALUE, "a result on %zu slices cannot be written", slices);
}

void object_drop(struct object *object)
{
    arena_free(&object->scratch);
}

bool object_end(struct object *object, const char *what, struct error *err)
{
    object_drop(object);
    return buffer_check(object->writer.out, what, err);
}

void object_tell_left_out(const struct finding_context *context)
{
    static const dicom_tag tags[] = {0x0020000D, 0x00100020, 0x00100030, 0x00100040,
                                     0x00080020, 0x00080030, 0x00080201};
    const char *texts[sizeof tags / sizeof *tags];
    struct arena arena;
    arena_init(&arena, SCRATCH_MAX);
    for (size_t i = 0; i < sizeof tags / sizeof *tags; i++)
        texts[i] = dicom_text(context->source, tags[i], &arena);
    const struct finding_study study = {
        .birth_date = texts[2], .sex = texts[3], .study_date = texts[4], .study_time = texts[5], .zone = texts[6]};
    const char *left_out = finding_left_out(&study, &arena);
    if (left_out && *left_out)
        log_warning("finding", "study %s of patient %s: what is none is left out of the report: %s",
                    object_text(texts[0]), object_text(texts[1]), left_out);
    arena_free(&arena);
}

void object_time_of(const struct dicom_dataset *source, int64_t time_ns, struct object_time *out)
{
    char date[TEXT_SIZE], time[TEXT_SIZE], zone[TEXT_SIZE];
    struct moment moment;
    dicom_text_copy(source, 0x00080020, date, sizeof date);
    dicom_text_copy(source, 0x00080030, time, sizeof time);
    dicom_text_copy(source, 0x00080201, zone, sizeof zone);
    moment_of(date, time, zone, time_ns, &moment);
    clock_dicom_date(out->date, time_ns + clock_zone_ns(moment.zone));
    clock_dicom_time(out->time, time_ns + clock_zone_ns(moment.zone));
    clock_zone_text(out->zone, moment.zone);
}

void object_write_head(struct object *object, const struct object_kind *kind)
{
    struct dicom_writer *writer = &object->writer;
    const struct finding_context *context = object->context;
    char uid[DICOM_UID_SIZE], series[256];
    struct object_time at;
    object_time_of(context->source, context->time_ns, &at);
    object_instance_uid(uid, context->result->id, kind->purpose, context->result->revision);
    dicom_write_text(writer, 0x00080005, "ISO_IR 192");
    if (kind->image_type)
        dicom_write_text(writer, 0x00080008, kind->image_type);
    dicom_write_text(writer, 0x00080016, kind->sop_class);
    dicom_write_text(writer, 0x00080018, uid);
    object_copy(object, 0x00080020);
    dicom_write_text(writer, 0x00080021, at.date);
    dicom_write_text(writer, 0x00080023, at.date);
    object_copy(object, 0x00080030);
    dicom_write_text(writer, 0x00080031, at.time);
    dicom_write_text(writer, 0x00080033, at.time);
    object_copy(object, 0x00080050);
    dicom_write_text(writer, 0x00080060, kind->modality);
    dicom_write_text(writer, 0x00080070, OBJECT_MANUFACTURER);
    object_copy(object, 0x00080090);
    dicom_write_text(writer, 0x00080201, at.zone);
    object_copy_some(object, 0x00081030);
    snprintf(series, sizeof series, "%s: %.200s", kind->title, object_text(context->result->label_text));
    object_write_cut(object, 0x0008103E, series, LO_MAX);
    object_write_cut(object, 0x00081090, context->result->model, LO_MAX);
}

// Identity removed needs a method (PS3.3 C.7.1.1); a source that tells it in codes only is pointed to.
static void write_deidentified(struct object *object)
{
    char removed[17];
    if (!dicom_text_copy(object->context->source, 0x00120062, removed, sizeof removed) || strcmp(removed, "YES") != 0)
        return;
    dicom_write_text(&object->writer, 0x00120062, removed);
    arena_reset(&object->scratch);
    const char *method = dicom_text(object->context->source, 0x00120063, &object->scratch);
    dicom_write_text(&object->writer, 0x00120063, method && *method ? method : "As the source images say");
}

void object_write_middle(struct object *object, const struct object_kind *kind)
{
    static const dicom_tag if_there[] = {0x00101010, 0x00101020, 0x00101030}; // age, size, weight
    struct dicom_writer *writer = &object->writer;
    const struct finding_result *result = object->context->result;
    char uid[DICOM_UID_SIZE], serial[SERIAL_SIZE];
    object_copy(object, 0x00100010);
    object_copy(object, 0x00100020);
    object_copy_some(object, 0x00100021);
    object_copy(object, 0x00100030);
    object_copy(object, 0x00100040);
    for (size_t i = 0; i < sizeof if_there / sizeof *if_there; i++)
        object_copy_some(object, if_there[i]);
    write_deidentified(object);
    text_copy(serial, sizeof serial, object_text(result->model_digest));
    dicom_write_text(writer, 0x00181000, *serial ? serial : "unknown");
    object_write_cut(object, 0x00181020, object_text(result->model_version), LO_MAX);
    dicom_write_text(writer, 0x0020000D, object->study);
    object_series_uid(uid, result->id, kind->purpose, result->revision);
    dicom_write_text(writer, 0x0020000E, uid);
    object_copy(object, 0x00200010);
    dicom_write_integer(writer, 0x00200011, object_series_number(uid));
    dicom_write_integer(writer, 0x00200013, 1);
}
