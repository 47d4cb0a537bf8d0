#include <stdio.h>
#include <string.h>

#include "fhir/build.h"

static json_t *sop_class(struct build *build, const char *uid)
{
    char urn[80];
    snprintf(urn, sizeof urn, "urn:oid:%.64s", uid);
    return build_coding(build, &(struct fhir_coding){"urn:ietf:rfc:3986", urn, NULL});
}

static json_t *modality(struct build *build, const char *code)
{
    return build_coding(build, &(struct fhir_coding){FHIR_DICOM, code, NULL});
}

static json_t *instance_of(struct build *build, const struct fhir_instance *instance)
{
    json_t *object = build_object(build);
    build_put_uid(build, object, "uid", instance->uid);
    build_require(build, fhir_is_id(instance->sop_class), "the SOP class of an instance");
    build_put(build, object, "sopClass", build->failed ? NULL : sop_class(build, instance->sop_class));
    build_put_integer(build, object, "number", instance->number);
    return object;
}

// Only a concept's coding: bodySite is a Coding in R4.
static json_t *site_of(struct build *build, const struct fhir_concept *site)
{
    return site->coding[0].code && *site->coding[0].code ? build_coding(build, &site->coding[0]) : NULL;
}

static json_t *series_of(struct build *build, const struct fhir_series *series)
{
    json_t *object = build_object(build);
    build_require(build, series->modality && *series->modality, "the modality of a series");
    build_put_uid(build, object, "uid", series->uid);
    build_put_integer(build, object, "number", series->number);
    build_put(build, object, "modality", modality(build, series->modality));
    build_put_text(build, object, "description", series->description);
    build_put_integer(build, object, "numberOfInstances", (int64_t)series->instance_count);
    build_put(build, object, "bodySite", site_of(build, &series->body_site));
    json_t *instances = build_array(build);
    for (size_t i = 0; series->instances && i < series->instance_count; i++)
        build_add(build, instances, instance_of(build, &series->instances[i]));
    build_put(build, object, "instance", instances);
    return object;
}

static bool seen_before(const struct fhir_series *series, size_t at)
{
    for (size_t i = 0; i < at; i++)
        if (series[i].modality && strcmp(series[i].modality, series[at].modality) == 0)
            return true;
    return false;
}

static void put_series(struct build *build, const struct fhir_imaging_study *study)
{
    json_t *all = build_array(build), *modalities = build_array(build);
    size_t instances = 0;
    for (size_t i = 0; i < study->series_count; i++) {
        build_add(build, all, series_of(build, &study->series[i]));
        if (build->failed)
            break;
        if (!seen_before(study->series, i))
            build_add(build, modalities, modality(build, study->series[i].modality));
        instances += study->series[i].instance_count;
    }
    build_put(build, build->root, "modality", modalities);
    build_put_integer(build, build->root, "numberOfSeries", (int64_t)study->series_count);
    build_put_integer(build, build->root, "numberOfInstances", (int64_t)instances);
    build_put(build, build->root, "series", all);
}

json_t *fhir_imaging_study(const struct fhir_imaging_study *study, struct error *err)
{
    struct build build;
    build_begin(&build, "ImagingStudy", study->id, err);
    build_require(&build, fhir_is_id(study->uid), "the study's UID");
    json_t *subject = build_reference(&build, &study->subject);
    build_require(&build, subject != NULL, "the subject of an ImagingStudy");
    json_t *identifiers = build_array(&build);
    struct fhir_identifier accession = {study->accession_system, study->accession, "ACSN"};
    build_add(&build, identifiers, study->uid ? build_uid_identifier(&build, study->uid) : NULL);
    build_add(&build, identifiers, build_identifier(&build, &accession));
    build_put(&build, build.root, "identifier", identifiers);
    build_put_text(&build, build.root, "status", "available");
    build_put(&build, build.root, "subject", subject);
    build_put_date(&build, build.root, "started", study->started);
    build_put(&build, build.root, "referrer",
              build_reference(&build, &(struct fhir_reference){.display = study->referrer}));
    build_put_text(&build, build.root, "description", study->description);
    put_series(&build, study);
    return build_end(&build);
}
