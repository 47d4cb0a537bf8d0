#include "support.h"

#include <dirent.h>
#include <stdio.h>
#include <string.h>

#include "access/access.h"
#include "dicom/writer.h"
#include "store/database.h"
#include "support/folder.h"

enum { PIXELS = 4096 };

const struct archive_origin usual_origin = {
    .how = "c-store", .called = "HILUM", .calling = "CT1", .address = "127.0.0.1", .issuer = ""};

void place_start(struct place *place)
{
    place->store = store_open(&(struct store_options){.folder = place->folder}, &place->err);
    assert_ok(place->store && store_migrate(place->store, &access_migration, &place->err), place->err);
    place->decoder = image_decoder_open(false, &place->err);
    assert_ok(place->decoder != NULL, place->err);
    place->archive = archive_open(place->store, place->decoder, &place->err);
    assert_ok(place->archive != NULL, place->err);
    place->writer = archive_writer_open(place->archive, &place->err);
    assert_ok(place->writer != NULL, place->err);
}

void place_stop(struct place *place)
{
    archive_writer_close(place->writer);
    archive_close(place->archive);
    image_decoder_close(place->decoder);
    store_close(place->store);
}

void place_open(struct place *place)
{
    *place = (struct place){0};
    folder_make(place->folder, sizeof place->folder);
    arena_init(&place->arena, 64 << 20);
    place_start(place);
}

void place_reopen(struct place *place)
{
    place_stop(place);
    place_start(place);
}

void place_close(struct place *place)
{
    place_stop(place);
    arena_free(&place->arena);
    folder_delete(place->folder);
}

size_t place_files(struct place *place, const char *part, const char *ending)
{
    char path[PLACE_PATH + 32];
    struct dirent *entry;
    size_t count = 0;
    snprintf(path, sizeof path, "%s/%s", place->folder, part);
    DIR *folder = opendir(path);
    while (folder && (entry = readdir(folder))) {
        const char *dot = strrchr(entry->d_name, '.');
        count += dot && strcmp(dot, ending) == 0;
    }
    if (folder)
        closedir(folder);
    return count;
}

// ---- objects

static void text(struct dicom_writer *w, dicom_tag tag, const char *value, const char *usual)
{
    if (!value)
        value = usual;
    if (strcmp(value, "-") != 0)
        dicom_write_text(w, tag, value);
}

void object_write(const struct object *o, struct buffer *out)
{
    struct dicom_writer w;
    uint8_t pixels[PIXELS];
    memset(pixels, o->fill, sizeof pixels);
    buffer_init(out, 1 << 20);
    dicom_writer_init(&w, out, o->implicit);
    text(&w, 0x00080005, o->charset, "ISO_IR 192");
    text(&w, 0x00080016, o->class, "1.2.840.10008.5.1.4.1.1.7");
    text(&w, 0x00080018, o->instance, "1.2.3.4.5");
    text(&w, 0x00080020, o->date, "20260115");
    text(&w, 0x00080030, o->time, "103059.25");
    text(&w, 0x00080050, o->accession, "A1");
    text(&w, 0x00080060, o->modality, "CT");
    text(&w, 0x00080090, o->referring, "Ref^Doc");
    text(&w, 0x00080201, o->zone, "-");
    text(&w, 0x00081030, o->study_description, "CT [head]");
    text(&w, 0x0008103E, o->series_description, "Axial");
    text(&w, 0x00100010, o->patient_name, "Müller^Jörg");
    text(&w, 0x00100020, o->patient_id, "P1");
    text(&w, 0x00100021, o->issuer, "-");
    text(&w, 0x00100030, o->birth, "19500505");
    text(&w, 0x00100040, o->sex, "-");
    text(&w, 0x0020000D, o->study, "1.2.3");
    text(&w, 0x0020000E, o->series, "1.2.3.4");
    text(&w, 0x00200011, o->series_number, "7");
    text(&w, 0x00200013, o->instance_number, "1");
    text(&w, 0x00200052, o->frame_of_reference, "-");
    if (o->pixels) {
        dicom_write_integer(&w, 0x00280002, 1);
        dicom_write_text(&w, 0x00280004, "MONOCHROME2");
        dicom_write_integer(&w, 0x00280010, 64);
        dicom_write_integer(&w, 0x00280011, 64);
        dicom_write_integer(&w, 0x00280100, 8);
        dicom_write_integer(&w, 0x00280101, o->stored ? o->stored : 8);
        dicom_write_integer(&w, 0x00280102, 7);
        dicom_write_integer(&w, 0x00280103, 0);
        dicom_write_bytes(&w, 0x7FE00010, DICOM_VR_OW, pixels, sizeof pixels);
    }
}

bool bytes_put(struct place *place, const void *data, size_t size, const char *syntax,
               const struct archive_origin *origin, struct archive_stored *out)
{
    struct source_memory memory = {data, size};
    return archive_put(place->writer, source_from_memory(&memory), syntax, origin, 1000, out, &place->err);
}

bool object_put(struct place *place, const struct object *object, struct archive_stored *out)
{
    struct buffer data;
    object_write(object, &data);
    assert_ok(buffer_check(&data, "a data set", &place->err), place->err);
    bool ok = bytes_put(place, data.data, data.size, object->implicit ? DICOM_TS_IMPLICIT : DICOM_TS_EXPLICIT,
                        &usual_origin, out);
    buffer_free(&data);
    return ok;
}

const char *field(const struct archive_row *row, dicom_tag tag)
{
    for (size_t i = 0; i < row->count; i++)
        if (row->fields[i].tag == tag)
            return row->fields[i].text;
    return "";
}

struct archive_row *find(struct place *p, enum archive_level level, dicom_tag tag, const char *value, size_t wanted)
{
    struct archive_query query = {.level = level, .matches = {{tag, value}}, .match_count = 1};
    struct archive_row *rows;
    size_t count;
    bool more;
    assert_ok(archive_find(p->archive, ACCESS_ALL, &query, &p->arena, &rows, &count, &more, &p->err), p->err);
    assert_int_equal(count, wanted);
    return rows;
}

const char *shown(struct place *p, const char *column)
{
    char query[128];
    bool row;
    struct database *db = store_read_begin(p->store, &p->err);
    assert_non_null(db);
    snprintf(query, sizeof query, "SELECT %s FROM study_shown", column);
    struct sql *sql = sql_prepare_made(db, query, &p->err);
    assert_non_null(sql);
    assert_ok(sql_step(sql, &row, &p->err), p->err);
    assert_true(row);
    const char *text = arena_strdup(&p->arena, sql_text(sql, 0));
    assert_ok(sql_step(sql, &row, &p->err), p->err);
    assert_false(row);
    sql_done(sql);
    store_read_end(p->store, db);
    return text;
}

size_t find_count(struct place *place, enum archive_level level, dicom_tag tag, const char *value)
{
    struct archive_query query = {.level = level, .matches = {{tag, value}}, .match_count = 1};
    struct archive_row *rows;
    size_t count;
    bool more;
    assert_ok(archive_find(place->archive, ACCESS_ALL, &query, &place->arena, &rows, &count, &more, &place->err),
              place->err);
    return count;
}
