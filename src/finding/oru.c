// ORU^R01 of HL7 2.5.1: MSH, PID, OBR, then OBX for the study and, with the segment's number as sub-ID, for each part
// of what was found. A receiver keeps an observation by its item and sub-ID (OBX-3, OBX-4): what it was told under one
// that is not said any more is taken back.
#include <stdio.h>
#include <string.h>

#include "base/text.h"
#include "finding/finding.h"
#include "finding/moment.h"
#include "finding/object.h"
#include "hl7/hl7.h"

enum {
    NUMBER_SIZE = 32,
    SCRATCH_MAX = 4 << 20,
};

// Components of an OBX-3 or CWE.
struct code {
    const char *value, *meaning, *system;
};
static const struct code study_code = {"113014", "DICOM Study", "DCM"};
static const struct code finding_item = {"121071", "Finding", "DCM"};
static const struct code site_item = {"363698007", "Finding Site", "SCT"};
static const struct code side_item = {"272741003", "Laterality", "SCT"};
static const struct code volume_item = {"118565006", "Volume", "SCT"};
static const struct code certainty_item = {"111012", "Certainty of Finding", "DCM"};
static const struct code text_item = {"59776-5", "Procedure findings", "LN"};
static const struct code millilitre = {"mL", "milliliter", "UCUM"};
static const struct code percent = {"%", "percent", "UCUM"};

// What one OBX says; its status is that of the message.
struct observation {
    const char *type;
    const struct code *item;
    const char *sub_id;
    const char *value[4]; // components, NULL-ended
    const struct code *unit;
    const char *flag;                    // OBX-8
    const char *probability;             // OBX-9
    const struct finding_result *result; // whose model is the device; NULL: none
};

enum { OBSERVATIONS_OF_A_FINDING = 6 };

// In the order that they are said in.
struct observations {
    struct observation *list;
    size_t count;
};

struct oru {
    struct hl7_writer writer;
    const struct finding_study *study;
    const struct finding_result *result;
    const struct finding_receiver *receiver;
    const char *status;              // OBR-25, and OBX-11 of what stands
    bool older_stands;               // a look without an answer takes nothing back: what was told before holds
    char observed[MOMENT_TEXT_SIZE]; // time of the study
    struct arena arena;
    unsigned set; // OBX-1
};

// The reason too: a look that failed may fail in another way the next time.
void finding_oru_control(char out[21], const struct finding_result *result, int64_t after)
{
    char revision[NUMBER_SIZE], follows[NUMBER_SIZE];
    snprintf(revision, sizeof revision, "%lld", (long long)result->revision);
    snprintf(follows, sizeof follows, "%lld", (long long)after);
    object_hex(out, 21,
               (const char *const[]){"oru", result->id, revision, finding_standing_text(result->standing),
                                     finding_outcome_text(result->outcome), object_text(result->reason),
                                     after ? follows : NULL, NULL});
}

// ---- forms

static void put_observed_of(struct oru *oru)
{
    const struct finding_study *study = oru->study;
    struct moment moment;
    moment_of(study->study_date, study->study_time, study->zone, 0, &moment);
    moment_hl7(oru->observed, &moment);
}

// What a receiver can take for a value.
static struct finding_study values_of(const struct finding_study *study)
{
    struct finding_study out = object_readable_study(study);
    const char **texts[] = {&out.patient_id, &out.issuer,      &out.patient_name,
                            &out.accession,  &out.description, &out.referring};
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++)
        *texts[i] = hl7_value(*texts[i]);
    return out;
}

// XPN, or with an id (also an empty one) XCN: a repetition for each way in which the name is written. Which it is
// (table 4000) is said where there are others than the alphabetic, which is what a name is when nothing is said.
static void put_person(struct hl7_writer *writer, unsigned field, const char *id, const char *name)
{
    static const char *const representations[OBJECT_NAME_GROUPS] = {"A", "I", "P"};
    enum { XPN_REPRESENTATION = 8, XCN_REPRESENTATION = 15 };
    const size_t last = id ? XCN_REPRESENTATION : XPN_REPRESENTATION;
    struct object_name group;
    bool only = !object_name(name, OBJECT_IDEOGRAPHIC, &group) && !object_name(name, OBJECT_PHONETIC, &group);
    bool first = true;
    for (unsigned i = 0; i < OBJECT_NAME_GROUPS; i++) {
        if (!object_name(name, i, &group))
            continue;
        const char *const *p = group.parts;
        const char *components[XCN_REPRESENTATION + 1] = {object_text(id),  p[OBJECT_FAMILY], p[OBJECT_GIVEN],
                                                          p[OBJECT_MIDDLE], p[OBJECT_SUFFIX], p[OBJECT_PREFIX]};
        const char **c = id ? components : components + 1;
        for (size_t k = id ? 6 : 5; !only && k < last; k++)
            c[k] = k + 1 == last ? representations[i] : "";
        if (first)
            hl7_components(writer, field, c);
        else
            hl7_repeat(writer, c);
        first = false;
    }
}

// ---- segments

static void put_patient(struct oru *oru)
{
    struct hl7_writer *writer = &oru->writer;
    const struct finding_study *study = oru->study;
    const char *issuer = object_text(study->issuer), *sex = moment_sex(study->sex);
    char born[DICOM_DATE_SIZE];
    dicom_date(born, study->birth_date);
    hl7_segment(writer, "PID");
    hl7_field(writer, 1, "1");
    if (*object_text(study->patient_id)) // CX.1 is required (2.A.14)
        hl7_components(writer, 3, (const char *const[]){object_text(study->patient_id), "", "", issuer, "PI", NULL});
    put_person(writer, 5, NULL, study->patient_name);
    hl7_field(writer, 7, born);
    hl7_field(writer, 8, *sex ? sex : "U");
}

static void put_request(struct oru *oru, const char *issued)
{
    struct hl7_writer *writer = &oru->writer;
    const struct finding_study *study = oru->study;
    const char *accession = object_text(study->accession), *modality = object_text(study->modality);
    hl7_segment(writer, "OBR");
    hl7_field(writer, 1, "1");
    hl7_field(writer, 3, oru->receiver->filler_is_accession && *accession ? accession : oru->result->topic);
    hl7_components(
        writer, 4,
        (const char *const[]){"18748-4", "Diagnostic imaging study", "LN", "", object_text(study->description), NULL});
    hl7_field(writer, 7, oru->observed);
    put_person(writer, 16, "", study->referring);
    hl7_field(writer, 18, accession);
    hl7_field(writer, 22, issued);
    hl7_field(writer, 24, *modality ? modality : "RAD");
    hl7_field(writer, 25, oru->status);
}

// Of the result as a whole: why it was taken back, or why there is none, or what was looked at.
static void put_note(struct oru *oru)
{
    const struct finding_result *result = oru->result;
    const char *text = result->standing == FINDING_WITHDRAWN
                           ? arena_printf(&oru->arena, "Withdrawn: %s", object_text(result->reason))
                       : finding_is_answer(result->outcome) ? object_looked_at(result, &oru->arena)
                                                            : object_text(result->reason);
    if (oru->older_stands)
        text = arena_printf(&oru->arena, "This was said of an earlier look, and stands. The newer look: %s: %s",
                            finding_outcome_text(result->outcome), object_text(result->reason));
    else if (result->is_earlier && result->standing == FINDING_CURRENT && text)
        text = arena_printf(&oru->arena, "This is " OBJECT_EARLIER ". %s", text);
    hl7_segment(&oru->writer, "NTE");
    hl7_field(&oru->writer, 1, "1");
    hl7_field(&oru->writer, 2, "L");
    hl7_formatted(&oru->writer, 3, text);
}

static void put_code(struct hl7_writer *writer, unsigned field, const struct code *code)
{
    if (code)
        hl7_components(writer, field, (const char *const[]){code->value, code->meaning, code->system, NULL});
}

static void put_observation(struct oru *oru, const struct observation *o, const char *status)
{
    struct hl7_writer *writer = &oru->writer;
    char set[NUMBER_SIZE];
    snprintf(set, sizeof set, "%u", ++oru->set);
    hl7_segment(writer, "OBX");
    hl7_field(writer, 1, set);
    hl7_field(writer, 2, o->type);
    put_code(writer, 3, o->item);
    hl7_field(writer, 4, o->sub_id);
    if (strcmp(o->type, "TX") == 0)
        hl7_formatted(writer, 5, o->value[0]);
    else
        hl7_components(writer, 5, o->value);
    put_code(writer, 6, o->unit);
    hl7_field(writer, 8, o->flag);
    hl7_field(writer, 9, o->probability);
    hl7_field(writer, 11, status);
    hl7_field(writer, 14, oru->observed);
    if (o->result)
        hl7_components(writer, 18,
                       (const char *const[]){o->result->model, object_text(o->result->model_version), NULL});
}

// ---- what a result says

// Under one accession number several results meet, so their sub-IDs are told apart there.
static const char *sub_id_of(struct oru *oru, const struct finding_result *result, int64_t segment)
{
    if (oru->receiver->filler_is_accession)
        return arena_printf(&oru->arena, "%.8s.%lld", result->topic, (long long)segment);
    return arena_printf(&oru->arena, "%lld", (long long)segment);
}

static void add_coded(struct observations *to, struct observation o, const struct code *item,
                      const struct finding_code *code)
{
    o.type = "CWE";
    o.item = item;
    o.value[0] = object_text(code->value);
    o.value[1] = object_text(code->meaning);
    o.value[2] = object_text(code->scheme);
    to->list[to->count++] = o;
}

static void add_text(struct observations *to, struct observation o, const char *text)
{
    o.type = "TX";
    o.item = &text_item;
    o.value[0] = text;
    to->list[to->count++] = o;
}

static bool add_number(struct oru *oru, struct observations *to, struct observation o, const struct code *item,
                       const struct code *unit, double value)
{
    o.type = "NM";
    o.item = item;
    o.unit = unit;
    o.value[0] = arena_printf(&oru->arena, "%.1f", value);
    to->list[to->count++] = o;
    return o.value[0] != NULL;
}

// false: no memory.
static bool add_finding(struct oru *oru, const struct finding_result *result, const struct finding *finding,
                        struct observations *to)
{
    const struct finding_code *side = object_side(finding->side);
    const char *line = object_line(finding, &oru->arena);
    struct observation o = {.sub_id = sub_id_of(oru, result, finding->segment), .flag = "A", .result = result};
    struct observation first = o;
    bool ok = line && o.sub_id;
    if (result->calibrated)
        first.probability = arena_printf(&oru->arena, "%.2f", finding->score);
    add_coded(to, first, &finding_item, &finding->concept);
    if (*object_text(finding->site.value))
        add_coded(to, o, &site_item, &finding->site);
    if (side)
        add_coded(to, o, &side_item, side);
    ok = add_number(oru, to, o, &volume_item, &millilitre, finding->volume_ml) && ok;
    if (result->calibrated)
        ok = add_number(oru, to, o, &certainty_item, &percent, finding->score * 100) && ok;
    add_text(to, o, line);
    return ok;
}

// That nothing stands, or nothing can be said.
static bool add_nothing(struct oru *oru, const struct finding_result *result, struct observations *to)
{
    const char *text = finding_is_answer(result->outcome)
                           ? object_nothing(result, &oru->arena)
                           : arena_printf(&oru->arena, "%s %s: %s", result->model,
                                          finding_outcome_text(result->outcome), result->reason);
    const struct observation o = {.sub_id = sub_id_of(oru, result, 1),
                                  .flag = result->outcome == FINDING_NEGATIVE ? "N" : NULL,
                                  .result = result};
    add_text(to, o, text);
    return text && o.sub_id;
}

// Those of the findings that stand; of `past` ones all, for any may have been told.
static bool collect(struct oru *oru, const struct finding_result *result, const struct finding *findings, size_t count,
                    bool past, struct observations *to, struct error *err)
{
    to->count = 0;
    to->list = arena_calloc(&oru->arena, count * OBSERVATIONS_OF_A_FINDING + 1, sizeof *to->list);
    bool ok = to->list != NULL;
    for (size_t i = 0; ok && i < count; i++)
        if (past || object_stands(&findings[i]))
            ok = add_finding(oru, result, &findings[i], to);
    if (ok && to->count == 0 && (past || result->standing == FINDING_CURRENT))
        ok = add_nothing(oru, result, to);
    return ok || error_set(err, ERROR_LIMIT, "%zu findings do not fit into a message", count);
}

static bool has(const struct observations *all, const struct observation *o)
{
    for (size_t i = 0; i < all->count; i++)
        if (all->list[i].item == o->item && strcmp(all->list[i].sub_id, o->sub_id) == 0)
            return true;
    return false;
}

static bool put_observations(struct oru *oru, const struct finding *findings, size_t count,
                             const struct finding_said *before, struct error *err)
{
    const struct observation study = {
        .type = "ST", .item = &study_code, .value = {object_text(oru->study->study), NULL}};
    const char *gone = oru->result->standing == FINDING_WITHDRAWN ? "W" : "D";
    struct observations now = {0}, past = {0};
    put_observation(oru, &study, "O");
    // Said again: a receiver that keeps the last message of a filler number would else have none of it.
    const struct finding_said said =
        oru->older_stands ? *before : (struct finding_said){oru->result, findings, count, false};
    if (!collect(oru, said.result, said.findings, said.count, false, &now, err) ||
        (before && !collect(oru, before->result, before->findings, before->count, true, &past, err)))
        return false;
    for (size_t i = 0; i < now.count; i++)
        put_observation(oru, &now.list[i], oru->status);
    for (size_t i = 0; i < past.count; i++)
        if (!has(&now, &past.list[i]))
            put_observation(oru, &past.list[i], gone);
    return true;
}

// ---- the whole

static bool check_status(const char *status, struct error *err)
{
    static const char *const allowed[] = {"R", "P", "F"}; // of tables 0085 and 0123
    char shown[32];
    for (size_t i = 0; status && i < sizeof allowed / sizeof *allowed; i++)
        if (strcmp(status, allowed[i]) == 0)
            return true;
    return error_set(err, ERROR_BAD_VALUE, "a result's status is R, P or F, not \"%s\"",
                     text_show(shown, sizeof shown, object_text(status), strlen(object_text(status))));
}

static bool check_control(const char *control, struct error *err)
{
    size_t size = strlen(object_text(control));
    return (size > 0 && size <= HL7_CONTROL_OWN_MAX) ||
           error_set(err, ERROR_BAD_VALUE, "a message's control ID has 1 to %d characters, not \"%.64s\"",
                     HL7_CONTROL_OWN_MAX, object_text(control));
}

static const char *status_of(const struct oru *oru, const struct finding_said *before)
{
    if (!finding_is_answer(oru->result->outcome) && !oru->older_stands)
        return "X";
    return before && before->final ? "C" : oru->receiver->status;
}

// A positive of the topic that a look without an answer did not take back.
static bool older_stands(const struct finding_result *result, const struct finding_said *before)
{
    return before && !finding_is_answer(result->outcome) && before->result->standing == FINDING_CURRENT &&
           strcmp(before->result->id, result->id) != 0;
}

// Many modalities write an empty name as "^^^^".
static bool is_name(const char *name)
{
    struct object_name group;
    for (unsigned i = 0; i < OBJECT_NAME_GROUPS; i++)
        if (object_name(name, i, &group))
            return true;
    return false;
}

bool finding_names_somebody(const struct finding_study *study)
{
    const struct finding_study values = values_of(study);
    return *object_text(values.patient_id) || is_name(values.patient_name) || *object_text(values.accession);
}

bool finding_to_oru(const struct finding_study *study, const struct finding_result *result,
                    const struct finding *findings, size_t count, const struct finding_said *before,
                    const struct finding_receiver *receiver, int64_t created_ns, struct buffer *out, struct error *err)
{
    const struct finding_study values = values_of(study);
    struct oru oru = {.writer = {.out = out},
                      .study = &values,
                      .result = result,
                      .receiver = receiver,
                      .older_stands = older_stands(result, before)};
    char issued[HL7_TIME_SIZE];
    int64_t sent_ns = created_ns > result->changed_ns ? created_ns : result->changed_ns;
    if (!check_status(receiver->status, err) || !check_control(receiver->control, err))
        return false;
    oru.status = status_of(&oru, before);
    put_observed_of(&oru);
    arena_init(&oru.arena, SCRATCH_MAX);
    hl7_write_header(&oru.writer, &(struct hl7_header){"HILUM", "", receiver->application, receiver->facility,
                                                       FINDING_ORU_TYPE, receiver->control, "P", sent_ns});
    put_patient(&oru);
    put_request(&oru, hl7_time(issued, result->changed_ns));
    put_note(&oru);
    bool ok = put_observations(&oru, findings, count, before, err);
    hl7_end(&oru.writer);
    arena_free(&oru.arena);
    return ok && buffer_check(out, "an HL7 message", err);
}
