// Who: Patient and Device.
#include "fhir/build.h"

static json_t *representation_of(struct build *build, const char *code)
{
    json_t *extension = build_object(build);
    build_put_text(build, extension, "url", "http://hl7.org/fhir/StructureDefinition/iso21090-EN-representation");
    build_put_text(build, extension, "valueCode", code);
    return extension;
}

// A name without parts is none, whatever is said of it.
static json_t *name_of(struct build *build, const struct fhir_name *parts)
{
    json_t *name = build_object(build), *given = build_array(build);
    build_put_text(build, name, "family", parts->family);
    build_add(build, given, build_text(build, "given", parts->given));
    build_add(build, given, build_text(build, "given", parts->middle));
    build_put(build, name, "given", given);
    build_put_one(build, name, "prefix", build_text(build, "prefix", parts->prefix));
    build_put_one(build, name, "suffix", build_text(build, "suffix", parts->suffix));
    if (parts->representation && json_object_size(name) > 0)
        build_put_one(build, name, "extension", representation_of(build, parts->representation));
    return name;
}

json_t *fhir_patient(const struct fhir_patient *patient, struct error *err)
{
    struct build build;
    build_begin(&build, "Patient", patient->id, err);
    json_t *identifiers = build_array(&build), *names = build_array(&build);
    for (size_t i = 0; i < patient->identifier_count; i++)
        build_add(&build, identifiers, build_identifier(&build, &patient->identifiers[i]));
    for (size_t i = 0; i < patient->name_count; i++)
        build_add(&build, names, name_of(&build, &patient->names[i]));
    build_put(&build, build.root, "identifier", identifiers);
    build_put(&build, build.root, "name", names);
    build_put_text(&build, build.root, "gender", patient->gender);
    build_put_date(&build, build.root, "birthDate", patient->birth_date);
    return build_end(&build);
}

json_t *fhir_device(const struct fhir_device *device, struct error *err)
{
    struct build build;
    build_begin(&build, "Device", device->id, err);
    build_put_one(&build, build.root, "identifier", build_identifier(&build, &device->identifier));
    build_put_text(&build, build.root, "status", "active");
    build_put_text(&build, build.root, "manufacturer", device->manufacturer);
    if (device->name) {
        json_t *name = build_object(&build);
        build_put_text(&build, name, "name", device->name);
        build_put_text(&build, name, "type", "model-name");
        build_put_one(&build, build.root, "deviceName", name);
    }
    build_put(&build, build.root, "type", build_concept(&build, &device->type));
    if (device->version) {
        json_t *version = build_object(&build);
        build_put_text(&build, version, "value", device->version);
        build_put_one(&build, build.root, "version", version);
    }
    build_put_one(&build, build.root, "note", build_note(&build, device->note));
    return build_end(&build);
}
