#include "support.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "access/access.h"
#include "base/file.h"
#include "dicom/part10.h"
#include "support/store.h"

// ---- files and programs

void ask_oracle(const char *const arguments[])
{
    run_script("src/finding/tests/oracle.py", arguments);
}

const char *scene_write(const struct buffer *dataset, const char *sop_class, const char *name)
{
    struct buffer file;
    struct dicom_meta meta = {.transfer_syntax = DICOM_TS_EXPLICIT};
    const char *path = temporary(name);
    snprintf(meta.sop_class, sizeof meta.sop_class, "%s", sop_class);
    snprintf(meta.sop_instance, sizeof meta.sop_instance, "2.25.1");
    struct source_memory memory = {dataset->data, dataset->size};
    struct arena arena;
    const struct dicom_dataset *parsed;
    struct error err;
    arena_init(&arena, 64 << 20);
    assert_ok(
        dicom_parse(source_from_memory(&memory), dicom_transfer_syntax(DICOM_TS_EXPLICIT), NULL, &arena, &parsed, &err),
        err);
    assert_true(dicom_text_copy(parsed, 0x00080018, meta.sop_instance, sizeof meta.sop_instance));
    arena_free(&arena);
    buffer_init(&file, 64 << 20);
    dicom_meta_write(&file, &meta);
    buffer_append(&file, dataset->data, dataset->size);
    save_file(path, file.data, file.size);
    buffer_free(&file);
    return path;
}

const char *scene_write_labels(const struct scene *scene)
{
    const char *path = temporary("labels.raw");
    save_file(path, scene->labels, image_voxels(&scene->geometry) * sizeof *scene->labels);
    return path;
}

// ---- scenes

static const struct dicom_dataset *read_header(struct arena *arena, const char *path)
{
    struct buffer file;
    struct dicom_meta meta;
    struct error err;
    const struct dicom_dataset *dataset;
    const struct dicom_parse_options options = {.value_max = 64 << 10, .depth_max = 4, .stop_at_pixels = true};
    buffer_init(&file, 1 << 20);
    assert_ok(file_read(path, &file, &err), err);
    assert_ok(dicom_meta_parse(file.data, file.size, &meta, &err), err);
    struct source_memory memory = {file.data + meta.data_offset, file.size - meta.data_offset};
    assert_ok(dicom_parse(source_from_memory(&memory), dicom_transfer_syntax_or_default(meta.transfer_syntax), &options,
                          arena, &dataset, &err),
              err);
    buffer_free(&file);
    return dataset;
}

// A ball of voxels with this label; what it covers goes into the finding.
static void draw(struct scene *scene, size_t index, const double center[3], double radius_mm)
{
    const struct image_geometry *g = &scene->geometry;
    struct finding *finding = &scene->findings[index];
    double middle[3];
    size_t count = 0;
    image_to_patient(g, center, middle);
    for (size_t i = 0; i < image_voxels(g); i++) {
        const double voxel[3] = {(double)(i / g->columns / g->rows), (double)(i / g->columns % g->rows),
                                 (double)(i % g->columns)};
        double at[3];
        image_to_patient(g, voxel, at);
        if (hypot(hypot(at[0] - middle[0], at[1] - middle[1]), at[2] - middle[2]) > radius_mm)
            continue;
        scene->labels[i] = (uint16_t)(index + 1);
        count++;
    }
    memcpy(finding->centroid_mm, middle, sizeof middle);
    for (size_t i = 0; i < 3; i++) {
        finding->low_mm[i] = middle[i] - radius_mm;
        finding->high_mm[i] = middle[i] + radius_mm;
    }
    finding->volume_ml = (double)count * image_voxel_ml(g);
}

static void describe(struct scene *scene, size_t index, const char *side, double score)
{
    scene->findings[index] =
        (struct finding){.id = arena_printf(&scene->arena, "%.32s-%zu", JOB, index + 1),
                         .result = JOB,
                         .job = JOB,
                         .study = dicom_text_at(scene->context.source, 0x0020000D, 0, &scene->arena),
                         .series = dicom_text_at(scene->context.source, 0x0020000E, 0, &scene->arena),
                         .model = "head-ct-hyperdense",
                         .model_version = "1.0.0",
                         .model_digest = JOB,
                         .label_text = LABEL,
                         .concept = {"1386000", "SCT", "Intracranial hemorrhage"},
                         .site = {"12738006", "SCT", "Brain"},
                         .side = side,
                         .score = score,
                         .segment = (int64_t)index + 1,
                         .seg_instance = scene->result.seg_instance,
                         .sr_instance = scene->result.sr_instance,
                         .urgency = FINDING_STAT,
                         .judged_by = "",
                         .comment = "",
                         .made_ns = INT64_C(1347635528123456000)};
}

static void read_series(struct scene *scene, const char *const *paths, size_t count)
{
    struct image_slice *slices = arena_calloc(&scene->arena, count, sizeof *slices);
    const struct dicom_dataset **headers = arena_calloc(&scene->arena, count, sizeof *headers);
    const char **instances = arena_calloc(&scene->arena, count, sizeof *instances);
    double(*positions)[3] = arena_calloc(&scene->arena, count, sizeof *positions);
    struct error err;
    for (size_t i = 0; i < count; i++) {
        headers[i] = read_header(&scene->arena, paths[i]);
        assert_ok(image_slice_read(headers[i], &slices[i], &err), err);
        slices[i].index = i;
    }
    assert_ok(image_geometry_of(slices, count, &scene->geometry, &err), err);
    for (size_t i = 0; i < count; i++) {
        memcpy(positions[i], slices[i].position_mm, sizeof positions[i]);
        instances[i] = dicom_text_at(headers[slices[i].index], 0x00080018, 0, &scene->arena);
    }
    scene->result = result_row(JOB);
    scene->result.objects = (int64_t)count;
    scene->result.voxels = (int64_t)image_voxels(&scene->geometry);
    scene->context = (struct finding_context){.source = headers[slices[0].index],
                                              .geometry = &scene->geometry,
                                              .slice_instances = instances,
                                              .slice_positions_mm = (const double(*)[3])positions,
                                              .slice_class = dicom_text_at(headers[0], 0x00080016, 0, &scene->arena),
                                              .result = &scene->result,
                                              .model_title = "Hyperdense region in the brain",
                                              .predecessor = "",
                                              .seg = scene->result.seg_instance,
                                              .time_ns = INT64_C(1347635528123456000)};
    scene->labels = calloc(image_voxels(&scene->geometry), sizeof *scene->labels);
    assert_non_null(scene->labels);
    describe(scene, 0, "left", 0.91);
    describe(scene, 1, "right", 0.5);
}

void scene_head(struct scene *scene)
{
    enum { FIRST = 40, SLICES = 20 };
    const char *made = head_ct(false), *paths[SLICES];
    *scene = (struct scene){0};
    arena_init(&scene->arena, 64 << 20);
    for (size_t i = 0; i < SLICES; i++) // from head to feet: sorting turns them
        paths[i] = arena_printf(&scene->arena, "%s/slice-%03zu.dcm", made, FIRST + SLICES - 1 - i);
    snprintf(scene->sources, sizeof scene->sources, "%s", made);
    read_series(scene, paths, SLICES);
    draw(scene, 0, (const double[3]){8, 120, 160}, 9);
    draw(scene, 1, (const double[3]){12, 140, 90}, 8);
}

void scene_oblique(struct scene *scene)
{
    enum { SLICES = 5 };
    const char *paths[SLICES];
    char made[TEMPORARY_SIZE];
    *scene = (struct scene){0};
    arena_init(&scene->arena, 64 << 20);
    snprintf(made, sizeof made, "%s", temporary("oblique"));
    ask_oracle((const char *const[]){"oblique", made, NULL});
    for (size_t i = 0; i < SLICES; i++)
        paths[i] = arena_printf(&scene->arena, "%s/%zu.dcm", made, i);
    snprintf(scene->sources, sizeof scene->sources, "%s", made);
    read_series(scene, paths, SLICES);
    scene->findings[1].side = "";
    draw(scene, 0, (const double[3]){2, 12, 9}, 5);
    draw(scene, 1, (const double[3]){3, 28, 20}, 6);
}

void scene_say(struct scene *scene, dicom_tag tag, const char *text)
{
    for (size_t i = 0; i < scene->context.source->count; i++) {
        struct dicom_element *element = &scene->context.source->elements[i];
        if (element->tag != tag)
            continue;
        element->value = (const uint8_t *)arena_strdup(&scene->arena, text);
        element->length = (uint32_t)strlen(text);
        return;
    }
    fail_msg("the source has no element %08X", (unsigned)tag);
}

void scene_free(struct scene *scene)
{
    free(scene->labels);
    arena_free(&scene->arena);
}

struct finding_study study_row(void)
{
    return (struct finding_study){.study = "1.2.840.99.1",
                                  .patient_id = "P|1&2",
                                  .issuer = "HOSP^A",
                                  .patient_name = "M\xC3\xBCller^J\xC3\xB6rg^Karl^Dr.^Jr.=\xE5\xB1\xB1^\xE7\x94\xB0",
                                  .birth_date = "19501231",
                                  .sex = "M",
                                  .accession = "ACC~7",
                                  .description = "CT head \\ without contrast",
                                  .study_date = "20120914",
                                  .study_time = "151208.123456",
                                  .referring = "House^Gregory"};
}

struct finding_result result_row(const char *job)
{
    static char seg[DICOM_UID_SIZE], sr[DICOM_UID_SIZE];
    finding_seg_uid(seg, job, 0);
    finding_sr_uid(sr, job, 0);
    return (struct finding_result){.id = job,
                                   .topic = "0123456789abcdef0123",
                                   .job = job,
                                   .study = "1.2.840.99.1",
                                   .series = "1.2.3",
                                   .volume = "",
                                   .patient_id = "17",
                                   .issuer = "Spital",
                                   .modality = "CT",
                                   .model = "head-ct-hyperdense",
                                   .model_version = "1.0.0",
                                   .model_digest = JOB,
                                   .label_text = LABEL,
                                   .concept = {"1386000", "SCT", "Intracranial hemorrhage"},
                                   .outcome = FINDING_POSITIVE,
                                   .reason = "",
                                   .notes = "",
                                   .objects = 20,
                                   .voxels = 5242880,
                                   .digest = JOB,
                                   .send_to = "[\"pacs\"]",
                                   .hl7_to = "[]",
                                   .calibrated = false,
                                   .told = true,
                                   .sr_instance = sr,
                                   .seg_instance = seg,
                                   .made_ns = INT64_C(1347635528123000000),
                                   .changed_ns = INT64_C(1347635528123000000)};
}

// ---- a store

void place_open(struct place *place)
{
    *place = (struct place){0};
    static const struct store_migration *const rooms[] = {&access_migration, &finding_migration, NULL};
    folder_make(place->folder, sizeof place->folder);
    arena_init(&place->arena, 16 << 20);
    place->store = open_store(place->folder, rooms, &place->err);
    assert_ok(place->store != NULL, place->err);
}

void place_close(struct place *place)
{
    store_close(place->store);
    arena_free(&place->arena);
    folder_delete(place->folder);
}
