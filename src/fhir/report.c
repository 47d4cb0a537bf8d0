// What is said: Observation and DiagnosticReport.
#include "fhir/build.h"

static const struct fhir_concept IMAGING = {
    .coding = {{"http://terminology.hl7.org/CodeSystem/observation-category", "imaging", "Imaging"}}};
static const struct fhir_concept RADIOLOGY = {
    .coding = {{"http://terminology.hl7.org/CodeSystem/v2-0074", "RAD", "Radiology"}}};
static const struct fhir_concept IMAGING_REPORT = {.coding = {{FHIR_LOINC, "18748-4", "Diagnostic imaging study"}}};

// value[x]: the first that is there.
static void put_value(struct build *build, json_t *object, const struct fhir_quantity *quantity,
                      const struct fhir_concept *concept, const char *text)
{
    json_t *value = build_quantity(build, quantity);
    const char *key = "valueQuantity";
    if (!value) {
        value = build_concept(build, concept);
        key = "valueCodeableConcept";
    }
    if (!value) {
        value = build_text(build, "valueString", text);
        key = "valueString";
    }
    build_put(build, object, key, value);
}

static json_t *component_of(struct build *build, const struct fhir_component *component)
{
    json_t *object = build_object(build), *code = build_concept(build, &component->code);
    build_require(build, code != NULL, "the code of a component");
    build_put(build, object, "code", code);
    put_value(build, object, &component->quantity, &component->concept, component->text);
    return object;
}

json_t *fhir_observation(const struct fhir_observation *o, struct error *err)
{
    struct build build;
    build_begin(&build, "Observation", o->id, err);
    json_t *root = build.root, *code = build_concept(&build, &o->code);
    build_require(&build, code != NULL, "the code of an Observation");
    build_put_security(&build, o->asserter);
    build_put_one(&build, root, "identifier", build_identifier(&build, &o->identifier));
    build_put_text(&build, root, "status", build_status(o->status));
    build_put_one(&build, root, "category", build_concept(&build, &IMAGING));
    build_put(&build, root, "code", code);
    build_put(&build, root, "subject", build_reference(&build, &o->subject));
    build_put_date(&build, root, "effectiveDateTime", o->effective);
    build_put_instant(&build, root, "issued", o->issued_ns);
    put_value(&build, root, &o->quantity, &o->concept, o->text);
    build_put_one(&build, root, "interpretation", build_concept(&build, &o->interpretation));
    build_put_one(&build, root, "note", build_note(&build, o->note));
    build_put(&build, root, "bodySite", build_concept(&build, &o->body_site));
    build_put(&build, root, "method", build_concept(&build, &o->method));
    build_put(&build, root, "device", build_reference(&build, &o->device));
    build_put_one(&build, root, "derivedFrom", build_reference(&build, &o->derived_from));
    json_t *components = build_array(&build);
    for (size_t i = 0; i < o->component_count; i++)
        build_add(&build, components, component_of(&build, &o->components[i]));
    build_put(&build, root, "component", components);
    return build_end(&build);
}

// ---- the report's text

enum { NARRATIVE_MAX = 1 << 20 };

static void put_markup(struct buffer *out, const char *text)
{
    for (; *text; text++) {
        switch (*text) {
        case '<':
            buffer_text(out, "&lt;");
            break;
        case '>':
            buffer_text(out, "&gt;");
            break;
        case '&':
            buffer_text(out, "&amp;");
            break;
        case '\n':
            buffer_text(out, "<br/>");
            break;
        default:
            buffer_byte(out, (uint8_t)*text);
        }
    }
}

static void put_paragraph(struct buffer *out, const json_t *text)
{
    if (!text)
        return;
    buffer_text(out, "<p>");
    put_markup(out, json_string_value(text));
    buffer_text(out, "</p>");
}

// Narrative of the conclusion and the note; none when both are absent.
static void put_narrative(struct build *build, const json_t *conclusion, const json_t *note)
{
    struct buffer out;
    struct error ignored;
    if (!conclusion && !note)
        return;
    buffer_init(&out, NARRATIVE_MAX);
    buffer_text(&out, "<div xmlns=\"http://www.w3.org/1999/xhtml\">");
    put_paragraph(&out, conclusion);
    put_paragraph(&out, note);
    buffer_text(&out, "</div>");
    buffer_byte(&out, '\0');
    build_require(build, buffer_check(&out, "a narrative", &ignored), "a text of less than 1 MiB");
    json_t *text = build_object(build);
    build_put_text(build, text, "status", "generated");
    build_put_text(build, text, "div", build->failed ? NULL : (const char *)out.data);
    build_put(build, build->root, "text", text);
    buffer_free(&out);
}

static void put_conclusion(struct build *build, const struct fhir_report *report)
{
    json_t *conclusion = build_text(build, "conclusion", report->conclusion);
    json_t *note = build_text(build, "note", report->note);
    put_narrative(build, conclusion, note);
    if (conclusion && note)
        build_put(build, build->root, "conclusion",
                  build_made(build, json_sprintf("%s\n%s", json_string_value(conclusion), json_string_value(note))));
    else
        build_put(build, build->root, "conclusion", json_incref(conclusion ? conclusion : note));
    json_decref(conclusion);
    json_decref(note);
}

json_t *fhir_report(const struct fhir_report *report, struct error *err)
{
    struct build build;
    build_begin(&build, "DiagnosticReport", report->id, err);
    json_t *root = build.root, *code = build_concept(&build, &report->code), *results = build_array(&build);
    build_put_security(&build, report->asserter);
    build_put_one(&build, root, "identifier", build_identifier(&build, &report->identifier));
    build_put_one(&build, root, "basedOn", build_reference(&build, &report->based_on));
    build_put_text(&build, root, "status", build_status(report->status));
    build_put_one(&build, root, "category", build_concept(&build, &RADIOLOGY));
    build_put(&build, root, "code", code ? code : build_concept(&build, &IMAGING_REPORT));
    build_put(&build, root, "subject", build_reference(&build, &report->subject));
    build_put_date(&build, root, "effectiveDateTime", report->effective);
    build_put_instant(&build, root, "issued", report->issued_ns);
    build_put_one(&build, root, "resultsInterpreter", build_reference(&build, &report->interpreter));
    for (size_t i = 0; i < report->result_count; i++)
        build_add(&build, results, build_reference(&build, &report->results[i]));
    build_put(&build, root, "result", results);
    build_put_one(&build, root, "imagingStudy", build_reference(&build, &report->imaging_study));
    put_conclusion(&build, report);
    return build_end(&build);
}
