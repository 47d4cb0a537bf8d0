// The way in: source -> lane and parser in one pass -> identity -> seal and sync -> rows and event.
#include "archive/internal.h"

#include <inttypes.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "archive/rows.h"
#include "base/log.h"
#include "base/reader.h"
#include "base/text.h"
#include "dicom/charset.h"
#include "dicom/part10.h"
#include "image/image.h"

enum {
    ARENA_MAX = 32 << 20,     // the index attributes of one object
    INDEXED_VALUE_MAX = 4096, // longer values are no keys
    FILE_BLOCK = 128 << 10,
};

struct archive_writer {
    struct archive *archive;
    struct store_lane *lane; // NULL after a failed sync, until the next object
    struct arena arena;      // of one object
};

struct archive_writer *archive_writer_open(struct archive *archive, struct error *err)
{
    struct archive_writer *writer = calloc(1, sizeof *writer);
    if (!writer) {
        error_set(err, ERROR_MEMORY, "no memory for a writer");
        return NULL;
    }
    writer->archive = archive;
    arena_init(&writer->arena, ARENA_MAX);
    return writer;
}

static void close_lane(struct archive_writer *writer)
{
    struct error told; // by the store's alarm
    store_lane_close(writer->lane, &told);
    writer->lane = NULL;
}

void archive_writer_close(struct archive_writer *writer)
{
    if (!writer)
        return;
    close_lane(writer);
    arena_free(&writer->arena);
    free(writer);
}

// ---- one pass over the bytes

struct tee {
    struct source from;
    struct store_lane *lane;
    bool broken; // the source or the disk failed: *err is theirs, not the parser's
};

static bool tee_next(void *payload, const uint8_t **data, size_t *size, struct error *err)
{
    struct tee *tee = payload;
    if (tee->from.next(tee->from.payload, data, size, err) &&
        (*size == 0 || store_record_write(tee->lane, *data, *size, err)))
        return true;
    tee->broken = true;
    return false;
}

static bool drain(struct tee *tee, struct error *err)
{
    const uint8_t *data;
    size_t size;
    do {
        if (!tee_next(tee, &data, &size, err))
            return false;
    } while (size > 0);
    return true;
}

// ---- what the object says of itself

static bool is_pixels(dicom_tag tag)
{
    return tag == 0x7FE00010 || tag == 0x7FE00008 || tag == 0x7FE00009;
}

// Bytes before the first pixel data element; of a deflated data set all, since offsets are those of the inflated one.
static uint64_t header_size_of(const struct dicom_dataset *dataset, const struct dicom_transfer_syntax *syntax,
                               uint64_t size)
{
    for (size_t i = 0; i < dataset->count && !syntax->deflated; i++)
        if (is_pixels(dataset->elements[i].tag))
            return dataset->elements[i].tag_offset;
    return size;
}

static struct dicom_parse_options indexing(const char *charset)
{
    return (struct dicom_parse_options){
        .value_max = INDEXED_VALUE_MAX, .depth_max = 0, .charset = charset, .check_text = true};
}

static bool uid_is_standard(const char *uid)
{
    return dicom_uid_is_valid(uid, strlen(uid));
}

static unsigned flags_of(const struct dicom_dataset *dataset, const struct rows_object *object, struct arena *arena)
{
    struct image_format format;
    struct error ignored;
    unsigned flags = 0;
    if (!uid_is_standard(object->study) || !uid_is_standard(object->series) || !uid_is_standard(object->sop_instance) ||
        !uid_is_standard(object->sop_class))
        flags |= ARCHIVE_FLAG_UID;
    if (dataset->unreadable || !dicom_charset_is_known(dicom_text(dataset, 0x00080005, arena)))
        flags |= ARCHIVE_FLAG_CHARSET;
    if (!image_describe(dataset, &format, &ignored) && ignored.code != ERROR_NOT_FOUND)
        flags |= ARCHIVE_FLAG_PIXELS;
    if (!*object->values[COLUMNS_PATIENT_patient_id])
        flags |= ARCHIVE_FLAG_NO_ID;
    return flags;
}

// Why a note of another system rejects images, as people read it (PS3.16 CID 7011; IHE RAD TF-2 4.66.4). NULL: `note`
// is a Key Object Selection of another kind.
static const char *rejection_of(const struct dicom_dataset *note, struct arena *arena)
{
    static const struct {
        const char *code, *reason;
    } titles[] = {{"113001", "for quality reasons, 113001"},
                  {"113037", "for patient safety reasons, 113037"},
                  {"113038", "for an incorrect worklist entry, 113038"},
                  {"113039", "since their retention has expired, 113039"}};
    const struct dicom_dataset *title = dicom_item(note, 0x0040A043, 0);
    const char *code = title ? dicom_text(title, 0x00080100, arena) : NULL;
    const char *scheme = title ? dicom_text(title, 0x00080102, arena) : NULL;
    for (size_t i = 0; code && scheme && strcmp(scheme, "DCM") == 0 && i < sizeof titles / sizeof *titles; i++)
        if (strcmp(titles[i].code, code) == 0)
            return titles[i].reason;
    return NULL;
}

// Reads a note again, for the items of its sequences; the pass that stores an object keeps none of those.
static bool find_rejection(struct rows_object *object, const struct reader *reader, struct error *err)
{
    const struct dicom_parse_options options = {
        .value_max = INDEXED_VALUE_MAX, .depth_max = 1, .charset = object->charset};
    const struct dicom_dataset *note;
    uint8_t block[FILE_BLOCK / 8];
    struct source_reader source = {*reader, 0, block, sizeof block};
    if (object->is_own || strcmp(object->sop_class, "1.2.840.10008.5.1.4.1.1.88.59") != 0)
        return true;
    if (!dicom_parse(source_from_reader(&source), dicom_transfer_syntax_or_default(object->transfer_syntax), &options,
                     object->arena, &note, err))
        return false;
    object->rejection = rejection_of(note, object->arena);
    if (object->rejection)
        object->flags |= ARCHIVE_FLAG_REJECTION;
    return true;
}

// What has pixels but says something about other images: nobody reads it for itself.
static bool is_image(const struct dicom_dataset *dataset, const char *sop_class)
{
    static const char *const others[] = {
        "1.2.840.10008.5.1.4.1.1.66.4",  // Segmentation
        "1.2.840.10008.5.1.4.1.1.66.7",  // Label Map Segmentation
        "1.2.840.10008.5.1.4.1.1.30",    // Parametric Map
        "1.2.840.10008.5.1.4.1.1.481.2", // RT Dose
    };
    bool image = dicom_find(dataset, 0x00280010) != NULL;
    for (size_t i = 0; i < sizeof others / sizeof *others; i++)
        image = image && strcmp(sop_class, others[i]) != 0;
    return image;
}

static bool require_uid(const char *uid, const char *name, struct error *err)
{
    char shown[80];
    if (archive_uid_is_usable(uid))
        return true;
    return error_set(err, ERROR_MISMATCH, "%s is %s%s; the sender must give each object one of digits and dots", name,
                     *uid ? "" : "missing", text_show(shown, sizeof shown, uid, strlen(uid)));
}

static bool check_identity(const struct rows_object *object, const struct archive_origin *origin, struct error *err)
{
    if (!require_uid(object->sop_instance, "SOP Instance UID (0008,0018)", err) ||
        !require_uid(object->sop_class, "SOP Class UID (0008,0016)", err) ||
        !require_uid(object->study, "Study Instance UID (0020,000D)", err) ||
        !require_uid(object->series, "Series Instance UID (0020,000E)", err))
        return false;
    if (origin->sop_instance && strcmp(origin->sop_instance, object->sop_instance) != 0)
        return error_set(err, ERROR_MISMATCH, "SOP Instance UID is %s in the data set but %s in the message",
                         object->sop_instance, origin->sop_instance);
    if (origin->sop_class && strcmp(origin->sop_class, object->sop_class) != 0)
        return error_set(err, ERROR_MISMATCH, "SOP Class UID is %s in the data set but %s in the message",
                         object->sop_class, origin->sop_class);
    return true;
}

static const char *text_or_empty(const struct dicom_dataset *dataset, dicom_tag tag, struct arena *arena)
{
    const char *text = dicom_text(dataset, tag, arena);
    return text ? text : "";
}

// The value of one column: number columns are binary in the object, and an issuer may be the source's.
static const char *value_of(const struct dicom_dataset *dataset, size_t column, const struct archive_origin *origin,
                            struct arena *arena)
{
    int64_t number;
    const char *text = text_or_empty(dataset, columns[column].tag, arena);
    if (columns[column].match == COLUMNS_NUMBER && dicom_integer(dataset, columns[column].tag, 0, &number))
        return arena_printf(arena, "%" PRId64, number);
    return column == COLUMNS_PATIENT_issuer && !*text && origin->issuer ? arena_strdup(arena, origin->issuer) : text;
}

static bool describe(const struct dicom_dataset *dataset, const struct archive_origin *origin, struct arena *arena,
                     struct rows_object *out, struct error *err)
{
    int64_t frames;
    for (size_t i = 0; i < COLUMNS_FROM_OBJECT; i++) {
        out->values[i] = value_of(dataset, i, origin, arena);
        bool is_name = columns[i].match == COLUMNS_NAME;
        if (!out->values[i] || (is_name && !columns_name_keys(out->values[i], arena, &out->names[i])))
            return error_set(err, ERROR_LIMIT, "the attributes do not fit into %d bytes", ARENA_MAX);
    }
    out->study = out->values[COLUMNS_STUDY_uid];
    out->series = out->values[COLUMNS_SERIES_uid];
    out->sop_instance = out->values[COLUMNS_INSTANCE_uid];
    out->sop_class = out->values[COLUMNS_INSTANCE_class];
    out->charset = origin->charset ? origin->charset : "";
    out->frames = dicom_integer(dataset, 0x00280008, 0, &frames) && frames > 0 && frames <= IMAGE_FRAMES_MAX
                      ? (uint32_t)frames
                      : 1;
    out->is_image = is_image(dataset, out->sop_class);
    out->is_own = strcmp(origin->how, "job") == 0;
    out->newest = origin->newest;
    out->labels = origin->labels ? origin->labels : "";
    out->flags = flags_of(dataset, out, arena);
    out->arena = arena;
    return true;
}

// ---- rows

static struct store_event_detail event_detail(const struct rows_object *object, const struct archive_origin *origin)
{
    return (struct store_event_detail){.series = object->series,
                                       .sop_class = object->sop_class,
                                       .from = origin->calling,
                                       .how = origin->how,
                                       .association = origin->association ? origin->association : origin->calling,
                                       .is_image = object->is_image};
}

static char *make_meta(const struct rows_object *object, const struct archive_origin *origin, struct arena *arena)
{
    json_t *meta =
        json_pack("{s:s, s:s, s:s, s:s, s:s, s:s, s:s, s:s, s:I}", "sop_class", object->sop_class, "sop_instance",
                  object->sop_instance, "transfer_syntax", object->transfer_syntax, "how", origin->how, "called",
                  origin->called, "calling", origin->calling, "address", origin->address, "issuer",
                  origin->issuer ? origin->issuer : "", "received_ns", (json_int_t)object->received_ns);
    if (meta && *object->charset)
        json_object_set_new(meta, "charset", json_string(object->charset));
    if (meta && origin->preamble)
        json_object_set_new(meta, "preamble", json_string(origin->preamble));
    if (meta && *object->labels)
        json_object_set_new(meta, "labels", json_string(object->labels));
    if (meta && origin->newest)
        json_object_set_new(meta, "versions", json_string("newest"));
    char *text = meta ? json_dumps(meta, JSON_COMPACT) : NULL;
    char *copy = text ? arena_strdup(arena, text) : NULL;
    free(text);
    json_decref(meta);
    return copy;
}

// Sealed and synced, but the rows say no, or say that it is there already: the record is put down.
static bool withdraw(struct archive_writer *writer, const struct rows_object *object, struct error *err)
{
    struct error second;
    if (store_record_withdraw(writer->archive->store, &object->record, &second))
        return true;
    log_error("archive", "storing stops: cannot withdraw a record: %s", second.message);
    return error_set(err, ERROR_FULL, "storing has stopped: %s", second.message);
}

static bool seal(struct archive_writer *writer, struct rows_object *object, const struct archive_origin *origin,
                 struct error *err)
{
    char *meta = make_meta(object, origin, &writer->arena);
    object->event = event_detail(object, origin);
    if (!meta) {
        store_record_drop(writer->lane);
        return error_set(err, ERROR_MISMATCH, "a UID or title of the object is not text");
    }
    if (!store_record_seal(writer->lane, meta, strlen(meta), &object->record, err)) {
        close_lane(writer);
        return false;
    }
    if (object->header_size > object->record.size)
        object->header_size = object->record.size;
    const struct reader reader = store_record_reader(writer->lane);
    if (!archive_commit_rows(writer->archive, object, &reader, err)) {
        struct error second;
        withdraw(writer, object, &second);
        return false;
    }
    // Another association stored the same object between the look before the seal and the commit.
    return object->outcome != ARCHIVE_SAME || object->is_mended || withdraw(writer, object, err);
}

// Of an object that is there already: that its sender's studies have labels holds all the same.
static bool write_labels(struct database *db, void *payload, struct error *err)
{
    const struct rows_object *object = payload;
    bool changed;
    return access_study_label(db, object->study, object->labels, &changed, err);
}

// The same object needs no second sync: what is in the rows was synced before them.
static bool finish(struct archive_writer *writer, struct rows_object *object, const struct archive_origin *origin,
                   struct error *err)
{
    const struct reader reader = store_record_reader(writer->lane);
    store_record_digest(writer->lane, object->record.digest);
    bool ok = find_rejection(object, &reader, err) && archive_settle(writer->archive, object, &reader, err);
    if (ok && archive_needs_record(object))
        return seal(writer, object, origin, err);
    store_record_drop(writer->lane);
    return ok && (!*object->labels || store_write(writer->archive->store, STORE_DURABLE, write_labels, object, err));
}

static void report(const struct rows_object *object, struct archive_stored *out)
{
    out->outcome = object->outcome;
    out->is_set_aside = object->outcome == ARCHIVE_SAME && object->is_set_aside;
    out->flags = object->flags;
    out->size = object->record.size;
    text_copy(out->study, sizeof out->study, object->study);
    text_copy(out->series, sizeof out->series, object->series);
    text_copy(out->sop_instance, sizeof out->sop_instance, object->sop_instance);
    text_copy(out->sop_class, sizeof out->sop_class, object->sop_class);
    text_copy(out->patient_id, sizeof out->patient_id, object->values[COLUMNS_PATIENT_patient_id]);
}

static bool begin(struct archive_writer *writer, struct error *err)
{
    if (writer->lane && (store_lane_size(writer->lane) > ARCHIVE_LANE_MAX || store_lane_is_used_up(writer->lane)))
        close_lane(writer);
    if (!writer->lane)
        writer->lane = store_lane_open(writer->archive->store, err);
    return writer->lane && store_record_begin(writer->lane, err);
}

// Why bytes are refused, and what is needed to make sense of them: they are a bare data set, and their sender may have
// the object still.
static void quarantine(struct archive_writer *writer, const char *why, const char *transfer_syntax,
                       const struct archive_origin *origin)
{
    char text[1024];
    snprintf(text, sizeof text, "%s\ntransfer syntax %s\n%s from %s at %s\nSOP class %s\nSOP instance %s", why,
             transfer_syntax, origin->how, *origin->calling ? origin->calling : "-",
             *origin->address ? origin->address : "-", origin->sop_class ? origin->sop_class : "-",
             origin->sop_instance ? origin->sop_instance : "-");
    store_record_quarantine(writer->lane, text);
}

// Parses what flows into the lane. On a refusal by the parser the rest still flows there, and all of it goes to the
// quarantine.
static bool take_in(struct archive_writer *writer, struct source source, const char *transfer_syntax,
                    const struct archive_origin *origin, const struct dicom_dataset **dataset, struct error *err)
{
    const struct dicom_parse_options options = indexing(origin->charset);
    const struct dicom_transfer_syntax *syntax = dicom_transfer_syntax_or_default(transfer_syntax);
    struct tee tee = {.from = source, .lane = writer->lane};
    struct error refusal;
    if (dicom_parse((struct source){.next = tee_next, .payload = &tee}, syntax, &options, &writer->arena, dataset,
                    &refusal))
        return true;
    if (!tee.broken && refusal.code == ERROR_BAD_DATA && drain(&tee, err))
        quarantine(writer, refusal.message, transfer_syntax, origin);
    store_record_drop(writer->lane);
    *err = refusal;
    return false;
}

bool archive_put(struct archive_writer *writer, struct source source, const char *transfer_syntax,
                 const struct archive_origin *origin, int64_t now_ns, struct archive_stored *out, struct error *err)
{
    const struct dicom_transfer_syntax *syntax = dicom_transfer_syntax_or_default(transfer_syntax);
    const struct dicom_dataset *dataset;
    struct rows_object object = {.transfer_syntax = transfer_syntax, .received_ns = now_ns};
    arena_reset(&writer->arena);
    if (!begin(writer, err) || !take_in(writer, source, transfer_syntax, origin, &dataset, err))
        return false;
    object.header_size = header_size_of(dataset, syntax, UINT64_MAX);
    if (!describe(dataset, origin, &writer->arena, &object, err) || !check_identity(&object, origin, err)) {
        store_record_drop(writer->lane);
        return false;
    }
    if (!finish(writer, &object, origin, err))
        return false;
    report(&object, out);
    if (object.rejection && object.outcome != ARCHIVE_SAME)
        log_warning("archive", "note %s of %s rejects images of study %s (%s): it is kept, nothing is hidden",
                    out->sop_instance, *origin->calling ? origin->calling : origin->how, out->study, object.rejection);
    return true;
}

// ---- again, after a crash: the record is there, its rows are not

struct again {
    struct archive *archive;
    struct rows_object object;
    struct archive_origin origin; // texts are the meta tree's
    const char *syntax;
    uint8_t block[FILE_BLOCK];
    struct arena arena;
};

static bool read_meta(struct again *again, const json_t *meta, struct error *err)
{
    json_int_t received;
    again->origin.charset = json_string_value(json_object_get(meta, "charset"));
    if (json_unpack((json_t *)meta, "{s:s, s:s, s:s, s:s, s:s, s:I}", "transfer_syntax", &again->syntax, "calling",
                    &again->origin.calling, "issuer", &again->origin.issuer, "how", &again->origin.how, "called",
                    &again->origin.called, "received_ns", &received) != 0)
        return error_set(err, ERROR_BAD_DATA, "the record's meta text cannot be read");
    again->origin.labels = json_string_value(json_object_get(meta, "labels"));
    const char *versions = json_string_value(json_object_get(meta, "versions"));
    again->origin.newest = versions && strcmp(versions, "newest") == 0;
    again->object.transfer_syntax = again->syntax;
    again->object.received_ns = received;
    return true;
}

static bool read_again(struct again *again, const struct reader *reader, struct error *err)
{
    const struct dicom_parse_options options = indexing(again->origin.charset);
    const struct dicom_transfer_syntax *syntax = dicom_transfer_syntax_or_default(again->syntax);
    const struct dicom_dataset *dataset;
    struct source_reader source = {*reader, 0, again->block, FILE_BLOCK};
    if (!dicom_parse(source_from_reader(&source), syntax, &options, &again->arena, &dataset, err) ||
        !describe(dataset, &again->origin, &again->arena, &again->object, err))
        return false;
    again->object.header_size = header_size_of(dataset, syntax, reader->size);
    again->object.event = event_detail(&again->object, &again->origin);
    again->object.is_rebuilt = again->archive->rebuild != NULL;
    return true;
}

static bool put_again(struct again *again, struct error *err)
{
    const struct store_record *record = &again->object.record;
    struct archive *archive = again->archive;
    int fd;
    if (!store_acquire(archive->store, record->place.container, &fd, err))
        return false;
    const struct reader reader = reader_from_fd(fd, record->place.offset + STORE_RECORD_HEADER, record->size);
    bool ok = read_again(again, &reader, err) && find_rejection(&again->object, &reader, err) &&
              archive_settle(archive, &again->object, &reader, err) &&
              (!archive_needs_record(&again->object) || archive_commit_rows(archive, &again->object, &reader, err));
    store_release(archive->store, record->place.container);
    return ok;
}

bool archive_put_again(struct archive *archive, const struct store_record *record, const char *meta_text,
                       size_t meta_size, struct error *err)
{
    json_t *meta = json_loadb(meta_text, meta_size, 0, NULL);
    struct again *again = calloc(1, sizeof *again);
    bool ok = again != NULL || error_set(err, ERROR_MEMORY, "no memory to read a record again");
    if (ok) {
        again->archive = archive;
        again->object.record = *record;
        arena_init(&again->arena, ARENA_MAX);
        ok = read_meta(again, meta, err) && put_again(again, err);
        arena_free(&again->arena);
    }
    free(again);
    json_decref(meta);
    return ok;
}

// ---- files

static bool refuse_directory(const struct dicom_meta *meta, struct error *err)
{
    return !dicom_meta_is_directory(meta) ||
           error_set(err, ERROR_UNSUPPORTED, "a DICOMDIR only lists other files; import the files themselves");
}

enum { PREAMBLE_TEXT_SIZE = 2 * DICOM_PREAMBLE_SIZE + 1 };

// A file may be a DICOM file and another one (a TIFF, a program) at once by its preamble. NULL when it says nothing.
static const char *preamble_text(const struct dicom_meta *meta, const uint8_t *file, char out[PREAMBLE_TEXT_SIZE])
{
    static const uint8_t zeros[DICOM_PREAMBLE_SIZE];
    if (!meta->has_preamble || memcmp(file, zeros, sizeof zeros) == 0)
        return NULL;
    text_hex(out, file, DICOM_PREAMBLE_SIZE);
    return out;
}

bool archive_put_file(struct archive_writer *writer, int fd, uint64_t size, const struct archive_origin *origin,
                      int64_t now_ns, struct archive_stored *out, struct error *err)
{
    enum { HEAD = DICOM_META_SIZE_MAX + DICOM_PREAMBLE_SIZE + 4 };
    struct dicom_meta meta;
    struct archive_origin file_origin = *origin;
    char preamble[PREAMBLE_TEXT_SIZE];
    size_t head = size < HEAD ? (size_t)size : HEAD;
    uint8_t *block = malloc(FILE_BLOCK);
    if (!block)
        return error_set(err, ERROR_MEMORY, "no memory to read a file");
    bool ok = file_pread(fd, block, head, 0, err) && dicom_meta_parse(block, head, &meta, err) &&
              refuse_directory(&meta, err);
    if (ok) {
        file_origin.preamble = preamble_text(&meta, block, preamble);
        struct source_reader file = {reader_from_fd(fd, meta.data_offset, size - meta.data_offset), 0, block,
                                     FILE_BLOCK};
        // What the meta information says of class and instance is not asked: in real files it is often another's.
        ok = archive_put(writer, source_from_reader(&file), meta.transfer_syntax, &file_origin, now_ns, out, err);
    }
    free(block);
    return ok;
}
