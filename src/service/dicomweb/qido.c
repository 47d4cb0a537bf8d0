// QIDO-RS (PS3.18 section 10.6).
#include "service/dicomweb/dicomweb.h"

#include <string.h>

#include "base/bytes.h"
#include "base/text.h"
#include "dicom/json.h"

enum {
    ANSWER_MAX = 64 << 20,
    ROWS_MAX = 128 << 20, // ARCHIVE_LIMIT_MAX instances with all that is indexed fit
    KEYWORD_SIZE = 80,    // longer than any in the dictionary
};

// ---- the request

// What one request asks for.
struct search {
    struct archive_query query;
    bool fuzzy;
};

static bool read_switch(const char *name, const char *value, bool *out, struct error *err)
{
    *out = strcmp(value, "true") == 0;
    return *out || strcmp(value, "false") == 0 ||
           error_set(err, ERROR_BAD_VALUE, "%s is '%.40s'; give true or false", name, value);
}

// "all", or attributes with commas between, those of sequences as "00400275.00400009". All that is indexed is always
// given, so they are only looked at.
static bool read_fields(const char *value, struct error *err)
{
    char shown[80];
    dicom_tag tag;
    for (const char *p = value; strcmp(value, "all") != 0; p++) {
        char name[KEYWORD_SIZE];
        size_t size = strcspn(p, ",.");
        if (!text_copy_n(name, sizeof name, p, size) || !dicom_tag_parse(name, &tag))
            return error_set(err, ERROR_BAD_VALUE, "includefield is '%s'; give 'all' or attributes' tags or keywords",
                             text_show(shown, sizeof shown, value, strlen(value)));
        p += size;
        if (!*p)
            break;
    }
    return true;
}

// One parameter: a word of the service, or an attribute to match.
static bool read_parameter(struct search *search, const char *name, const char *value, struct error *err)
{
    struct archive_query *query = &search->query;
    dicom_tag tag;
    if (strcmp(name, "limit") == 0)
        return service_read_count(name, value, &query->limit, err);
    if (strcmp(name, "offset") == 0)
        return service_read_count(name, value, &query->offset, err);
    if (strcmp(name, "includefield") == 0)
        return read_fields(value, err);
    if (strcmp(name, "fuzzymatching") == 0)
        return read_switch(name, value, &search->fuzzy, err);
    if (!dicom_tag_parse(name, &tag) || !archive_can_match(query->level, tag))
        return error_set(err, ERROR_BAD_VALUE, "'%.60s' is no attribute that %s can be searched by", name,
                         query->level == ARCHIVE_STUDY    ? "studies"
                         : query->level == ARCHIVE_SERIES ? "series"
                                                          : "instances");
    if (query->match_count == ARCHIVE_MATCHES_MAX)
        return error_set(err, ERROR_BAD_VALUE, "more than %d attributes to match", ARCHIVE_MATCHES_MAX);
    query->matches[query->match_count++] = (struct archive_match){tag, value};
    return true;
}

static bool read_search(struct http_request *request, struct search *search, struct error *err)
{
    for (size_t i = 0; i < http_query_count(request); i++) {
        const char *name, *value;
        http_query_at(request, i, &name, &value);
        if (strcmp(name, "includefield") != 0 && http_query_repeats(request, i))
            return error_set(err, ERROR_BAD_VALUE, "'%.60s' is given twice; give it once", name);
        if (!read_parameter(search, name, value, err))
            return false;
    }
    return true;
}

// ---- the answer: rows as data sets, so that one writer makes all DICOM JSON

static bool set_value(struct dicom_element *element, const char *text, struct arena *arena)
{
    int64_t number;
    if (element->vr != DICOM_VR_US && element->vr != DICOM_VR_UL) {
        element->value = (const uint8_t *)text;
        element->length = (uint32_t)strlen(text);
        return true;
    }
    uint8_t *bytes = arena_alloc(arena, 4);
    if (bytes && text_to_i64(text, strlen(text), &number)) {
        bytes_put_u32le(bytes, (uint32_t)number);
        element->length = element->vr == DICOM_VR_US ? 2 : 4;
    }
    element->value = bytes;
    return bytes != NULL;
}

static bool put(struct dicom_dataset *dataset, dicom_tag tag, const char *text, struct arena *arena)
{
    const struct dicom_attribute *attribute = dicom_attribute(tag);
    struct dicom_element *element = &dataset->elements[dataset->count++];
    *element = (struct dicom_element){.tag = tag, .vr = attribute ? attribute->vr : DICOM_VR_UN};
    return text && set_value(element, text, arena);
}

static const char *field(const struct archive_row *row, dicom_tag tag)
{
    for (size_t i = 0; i < row->count; i++)
        if (row->fields[i].tag == tag)
            return row->fields[i].text;
    return "";
}

static const char *retrieve_url(const struct archive_row *row, enum archive_level level, const char *base,
                                struct arena *arena)
{
    const char *study = field(row, 0x0020000D);
    if (level == ARCHIVE_STUDY)
        return arena_printf(arena, "%s/studies/%s", base, study);
    if (level == ARCHIVE_SERIES)
        return arena_printf(arena, "%s/studies/%s/series/%s", base, study, field(row, 0x0020000E));
    return arena_printf(arena, "%s/studies/%s/series/%s/instances/%s", base, study, field(row, 0x0020000E),
                        field(row, 0x00080018));
}

// Character set, availability and where to get it stand between the indexed attributes, in tag order.
static bool to_dataset(const struct archive_row *row, enum archive_level level, const char *base, struct arena *arena,
                       struct dicom_dataset *out)
{
    *out =
        (struct dicom_dataset){.sorted = true, .elements = arena_calloc(arena, row->count + 3, sizeof *out->elements)};
    const struct archive_field extra[] = {
        {0x00080005, "ISO_IR 192"}, {0x00080056, "ONLINE"}, {0x00081190, retrieve_url(row, level, base, arena)}};
    size_t next = 0;
    if (!out->elements)
        return false;
    for (size_t i = 0; i < row->count; i++) {
        for (; next < 3 && extra[next].tag < row->fields[i].tag; next++)
            if (!put(out, extra[next].tag, extra[next].text, arena))
                return false;
        if (!put(out, row->fields[i].tag, row->fields[i].text, arena))
            return false;
    }
    return true;
}

static bool write_rows(struct buffer *out, const struct archive_row *rows, size_t count, enum archive_level level,
                       const char *base, struct arena *arena, struct error *err)
{
    static const struct dicom_json_options options = {.inline_max = 0};
    buffer_byte(out, '[');
    for (size_t i = 0; i < count; i++) {
        struct dicom_dataset dataset;
        if (i > 0)
            buffer_byte(out, ',');
        if (!base || !to_dataset(&rows[i], level, base, arena, &dataset))
            return error_set(err, ERROR_LIMIT, "the answer does not fit into its memory; ask for fewer with limit");
        if (!dicom_json_write(out, &dataset, &options, arena, err))
            return false;
    }
    buffer_byte(out, ']');
    return buffer_check(out, "the answer", err);
}

static void warn(struct http_request *request, const struct search *search, bool more)
{
    if (more)
        http_set_header(request, "Warning", "299 hilum \"There are more results; ask for the next with offset\"");
    if (search->fuzzy)
        http_set_header(request, "Warning",
                        "299 hilum \"The fuzzymatching parameter is not supported. Only literal matching has been "
                        "performed.\"");
}

static void answer(struct service *service, struct http_request *request, enum archive_level level)
{
    struct search search = {.query.level = level};
    struct archive_query *query = &search.query;
    struct archive_row *rows;
    struct buffer body;
    struct arena rows_arena;
    struct error err;
    size_t count = 0;
    bool more = false;
    const char *type = dicomweb_json_type(request, &err);
    query->study = http_path_part(request, "study");
    query->series = http_path_part(request, "series");
    buffer_init(&body, ANSWER_MAX);
    arena_init(&rows_arena, ROWS_MAX);
    bool ok = type && read_search(request, &search, &err) &&
              archive_find(service->archive, service_scope(request), query, &rows_arena, &rows, &count, &more, &err) &&
              write_rows(&body, rows, count, level, dicomweb_base(request), &rows_arena, &err);
    arena_free(&rows_arena);
    if (!ok) {
        buffer_free(&body);
        dicomweb_reply_error(request, &err);
        return;
    }
    warn(request, &search, more);
    http_reply_buffer(request, 200, type, &body);
}

void qido_studies(void *payload, struct http_request *request)
{
    answer(payload, request, ARCHIVE_STUDY);
}

void qido_series(void *payload, struct http_request *request)
{
    answer(payload, request, ARCHIVE_SERIES);
}

void qido_instances(void *payload, struct http_request *request)
{
    answer(payload, request, ARCHIVE_INSTANCE);
}
