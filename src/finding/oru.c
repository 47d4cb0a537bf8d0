// ORU^R01 of HL7 2.5.1: MSH, PID, OBR, then OBX for the study and, with the finding's number as sub-ID, for each part
// of what was found.
#include <stdio.h>
#include <string.h>

#include "base/text.h"
#include "finding/finding.h"
#include "finding/object.h"
#include "hl7/hl7.h"

enum {
    SUBID_SIZE = 24,
    NUMBER_SIZE = 32,
    TIME_SIZE = 32,
    SCRATCH_MAX = 1 << 20,
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

struct oru {
    struct hl7_writer writer;
    const struct finding_study *study;
    const struct finding_result *result;
    const char *status;
    char observed[TIME_SIZE]; // time of the study, local as the scanner wrote it
    struct arena scratch;
    unsigned set; // OBX-1
};

// The reason too: a look that failed may fail in another way the next time.
void finding_oru_control(char out[21], const struct finding_result *result)
{
    char revision[NUMBER_SIZE];
    snprintf(revision, sizeof revision, "%lld", (long long)result->revision);
    object_hex(out, 21,
               (const char *const[]){"oru", result->id, revision, finding_standing_text(result->standing),
                                     finding_outcome_text(result->outcome), object_text(result->reason), NULL});
}

// ---- forms

// "20120914" and "151208.123456" to "20120914151208.1234"; parts that are no digits are left out.
static void join_time(char out[TIME_SIZE], const char *date, const char *time)
{
    static const char digits[] = "0123456789";
    size_t fraction = 0, whole = strspn(time, digits);
    *out = '\0';
    if (strlen(date) != 8 || strspn(date, digits) != 8)
        return;
    if (whole != 4 && whole != 6)
        whole = 0;
    if (whole == 6 && time[6] == '.')
        fraction = strspn(time + 7, digits);
    fraction = fraction > 4 ? 4 : fraction;
    snprintf(out, TIME_SIZE, "%s%.*s%s%.*s", date, (int)whole, time, fraction ? "." : "", (int)fraction,
             fraction ? time + 7 : "");
}

// XPN, or with an id (also an empty one) XCN.
static void put_person(struct hl7_writer *writer, unsigned field, const char *id, const char *name)
{
    char copy[OBJECT_NAME_SIZE];
    const char *p[OBJECT_NAME_PARTS];
    object_split_name(object_text(name), copy, p);
    const char *const with_id[] = {object_text(id), p[0], p[1], p[2], p[4], p[3], NULL};
    if (*object_text(name))
        hl7_components(writer, field, id ? with_id : with_id + 1);
}

// ---- segments

static void put_patient(struct oru *oru)
{
    struct hl7_writer *writer = &oru->writer;
    const struct finding_study *study = oru->study;
    const char *issuer = object_text(study->issuer), *sex = object_text(study->sex);
    hl7_segment(writer, "PID");
    hl7_field(writer, 1, "1");
    hl7_components(writer, 3, (const char *const[]){object_text(study->patient_id), "", "", issuer, "PI", NULL});
    put_person(writer, 5, NULL, study->patient_name);
    hl7_field(writer, 7, study->birth_date);
    hl7_field(writer, 8, *sex ? sex : "U");
}

static void put_request(struct oru *oru, const struct finding_receiver *receiver, const char *issued)
{
    struct hl7_writer *writer = &oru->writer;
    const struct finding_study *study = oru->study;
    const char *accession = object_text(study->accession), *modality = object_text(study->modality);
    hl7_segment(writer, "OBR");
    hl7_field(writer, 1, "1");
    hl7_field(writer, 3, receiver->filler_is_accession && *accession ? accession : oru->result->topic);
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

// What one OBX says beside its value.
struct observation {
    const char *type;
    const struct code *item;
    const char *sub_id;
    const struct code *unit;
    const char *flag;        // OBX-8
    const char *probability; // OBX-9
    const char *status;
};

static void put_code(struct hl7_writer *writer, unsigned field, const struct code *code)
{
    if (code)
        hl7_components(writer, field, (const char *const[]){code->value, code->meaning, code->system, NULL});
}

static void put_device(struct oru *oru)
{
    hl7_components(&oru->writer, 18,
                   (const char *const[]){oru->result->model, object_text(oru->result->model_version), NULL});
}

// `value` has one component, or is a code.
static void put_observation(struct oru *oru, const struct observation *o, const char *const *value)
{
    struct hl7_writer *writer = &oru->writer;
    char set[SUBID_SIZE];
    snprintf(set, sizeof set, "%u", ++oru->set);
    hl7_segment(writer, "OBX");
    hl7_field(writer, 1, set);
    hl7_field(writer, 2, o->type);
    put_code(writer, 3, o->item);
    hl7_field(writer, 4, o->sub_id);
    hl7_components(writer, 5, value);
    put_code(writer, 6, o->unit);
    hl7_field(writer, 8, o->flag);
    hl7_field(writer, 9, o->probability);
    hl7_field(writer, 11, o->status);
    hl7_field(writer, 14, oru->observed);
    if (o->sub_id)
        put_device(oru);
}

static void put_text(struct oru *oru, const struct observation *o, const char *text)
{
    put_observation(oru, o, (const char *const[]){text, NULL});
}

static void put_coded(struct oru *oru, const struct observation *o, const struct finding_code *code)
{
    put_observation(
        oru, o,
        (const char *const[]){object_text(code->value), object_text(code->meaning), object_text(code->scheme), NULL});
}

static void put_number(struct oru *oru, struct observation o, const struct code *item, const struct code *unit,
                       double value)
{
    char text[NUMBER_SIZE];
    snprintf(text, sizeof text, "%.1f", value);
    o.type = "NM";
    o.item = item;
    o.unit = unit;
    put_text(oru, &o, text);
}

static bool put_finding(struct oru *oru, const struct finding *finding, struct error *err)
{
    char sub_id[SUBID_SIZE], probability[NUMBER_SIZE];
    const struct finding_code *side = object_side(finding->side);
    arena_reset(&oru->scratch);
    const char *sentence = object_unverified(finding, &oru->scratch);
    if (!sentence)
        return error_set(err, ERROR_MEMORY, "no memory for the sentence of a finding");
    snprintf(sub_id, sizeof sub_id, "%lld", (long long)finding->segment);
    snprintf(probability, sizeof probability, "%.2f", finding->score);
    struct observation o = {"CWE",      &finding_item, sub_id, NULL, "A", oru->result->calibrated ? probability : NULL,
                            oru->status};
    put_coded(oru, &o, &finding->concept);
    o.probability = NULL;
    o.item = &site_item;
    if (*object_text(finding->site.value))
        put_coded(oru, &o, &finding->site);
    o.item = &side_item;
    if (side)
        put_coded(oru, &o, side);
    put_number(oru, o, &volume_item, &millilitre, finding->volume_ml);
    if (oru->result->calibrated)
        put_number(oru, o, &certainty_item, &percent, finding->score * 100);
    o.type = "TX";
    o.item = &text_item;
    put_text(oru, &o, sentence);
    return true;
}

static bool put_nothing(struct oru *oru, struct error *err)
{
    const struct observation o = {"TX", &text_item, "1", NULL, "N", NULL, oru->status};
    const char *text = object_nothing(oru->result, &oru->scratch);
    if (!text)
        return error_set(err, ERROR_MEMORY, "no memory for the sentence of a result");
    put_text(oru, &o, text);
    return true;
}

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

bool finding_to_oru(const struct finding_study *study, const struct finding_result *result,
                    const struct finding *findings, size_t count, const struct finding_said *before,
                    const struct finding_receiver *receiver, int64_t time_ns, struct buffer *out, struct error *err)
{
    struct oru oru = {.writer = {.out = out}, .study = study, .result = result, .status = receiver->status};
    char control[HL7_CONTROL_OWN_MAX + 1], issued[HL7_TIME_SIZE];
    bool ok = true;
    size_t standing = 0;
    (void)before;
    if (!check_status(receiver->status, err))
        return false;
    finding_oru_control(control, result);
    join_time(oru.observed, object_text(study->study_date), object_text(study->study_time));
    arena_init(&oru.scratch, SCRATCH_MAX);
    hl7_write_header(&oru.writer, &(struct hl7_header){"HILUM", "", receiver->application, receiver->facility,
                                                       "ORU^R01^ORU_R01", control, "P", time_ns});
    put_patient(&oru);
    put_request(&oru, receiver, hl7_time(issued, time_ns));
    put_text(&oru, &(struct observation){.type = "ST", .item = &study_code, .status = "O"}, object_text(study->study));
    for (size_t i = 0; ok && i < count; i++) {
        standing += object_stands(&findings[i]);
        ok = !object_stands(&findings[i]) || put_finding(&oru, &findings[i], err);
    }
    ok = ok && (standing > 0 || put_nothing(&oru, err));
    hl7_end(&oru.writer);
    arena_free(&oru.scratch);
    return ok && buffer_check(out, "an HL7 message", err);
}
