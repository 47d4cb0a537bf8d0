// GET /api/conflicts: objects that came under a SOP Instance UID which was there already, with something else in them,
// and what a person says of each. GET /api/flagged: objects that were stored although something is wrong with them.
#include "service/internal.h"

#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/text.h"

const char *const service_flag_words[ARCHIVE_FLAG_BITS] = {"uid",   "charset",   "pixels", "conflict",    "identity",
                                                           "level", "rejection", "series", "unidentified"};

static json_t *flags_to_json(unsigned flags)
{
    json_t *list = json_array();
    for (size_t i = 0; i < ARCHIVE_FLAG_BITS; i++)
        if (flags >> i & 1)
            json_array_append_new(list, json_string(service_flag_words[i]));
    return list;
}

static json_t *to_json(const struct archive_object *object)
{
    char received[CLOCK_RFC3339_SIZE], digest[2 * HASH_SIZE + 1];
    text_hex(digest, object->digest, HASH_SIZE);
    return json_pack("{s:s, s:s, s:s, s:s, s:s, s:I, s:s, s:o}", "study", object->study, "series", object->series,
                     "instance", object->sop_instance, "transferSyntax", object->transfer_syntax, "received",
                     clock_rfc3339(received, object->received_ns), "bytes", (json_int_t)object->size, "sha256", digest,
                     "flags", flags_to_json(object->flags));
}

static json_t *differences_to_json(const struct archive_difference *differences, size_t count)
{
    json_t *list = json_array();
    for (size_t i = 0; i < count; i++) {
        const struct dicom_attribute *attribute = dicom_attribute(differences[i].tag);
        char tag[9];
        snprintf(tag, sizeof tag, "%08X", (unsigned)differences[i].tag);
        json_array_append_new(list, json_pack("{s:s, s:s, s:s, s:s}", "tag", tag, "attribute",
                                              attribute ? attribute->keyword : tag, "object", differences[i].said,
                                              "known", differences[i].known));
    }
    return list;
}

// ---- parts of a list

// ?limit=N&offset=N.
static bool read_page(struct http_request *request, struct archive_page *out, struct error *err)
{
    const char *limit = http_query(request, "limit"), *offset = http_query(request, "offset");
    *out = (struct archive_page){0};
    return (!limit || service_read_count("limit", limit, &out->limit, err)) &&
           (!offset || service_read_count("offset", offset, &out->offset, err));
}

// ---- conflicts

static json_t *time_or_null(int64_t time_ns)
{
    char text[CLOCK_RFC3339_SIZE];
    return time_ns > 0 ? json_string(clock_rfc3339(text, time_ns)) : json_null();
}

static json_t *conflict_to_json(const struct archive_conflict *conflict)
{
    static const char *const kinds[] = {[ARCHIVE_OTHER_ATTRIBUTES] = "attributes",
                                        [ARCHIVE_OTHER_PIXELS] = "pixels",
                                        [ARCHIVE_NOT_COMPARED] = "not compared",
                                        [ARCHIVE_OTHER_MEANING] = "meaning"};
    static const char *const states[] = {[ARCHIVE_OPEN] = "open", [ARCHIVE_KEPT] = "kept", [ARCHIVE_TAKEN] = "taken"};
    json_t *json = to_json(&conflict->newer);
    json_t *more = json_pack(
        "{s:I, s:s, s:s, s:s, s:s, s:s, s:o, s:o, s:o}", "id", (json_int_t)conflict->newer.id, "kind",
        kinds[conflict->kind], "state", states[conflict->decision], "how", conflict->how, "from", conflict->from,
        "decidedBy", conflict->decided_by, "decided", time_or_null(conflict->decided_ns), "differences",
        differences_to_json(conflict->differences, conflict->difference_count), "served", to_json(&conflict->served));
    json_object_update(json, more);
    json_decref(more);
    return json;
}

// ?state=open (as without it) or all.
static bool read_state(struct http_request *request, bool *all, struct error *err)
{
    const char *state = http_query(request, "state");
    *all = state && strcmp(state, "all") == 0;
    return !state || *all || strcmp(state, "open") == 0 ||
           error_set(err, ERROR_BAD_VALUE, "state is '%.20s'; give open or all", state);
}

void api_conflicts(void *payload, struct http_request *request)
{
    struct service *service = payload;
    struct archive_conflict *conflicts;
    struct archive_page page;
    struct error err;
    bool all;
    size_t count = 0;
    if (!read_state(request, &all, &err) || !read_page(request, &page, &err) ||
        !archive_conflicts(service->archive, service_scope(request), http_query(request, "study"), all, &page,
                           http_arena(request), &conflicts, &count, &err)) {
        http_reply_error(request, &err);
        return;
    }
    service_tell_total(request, page.total);
    json_t *list = json_array();
    for (size_t i = 0; i < count; i++)
        json_array_append_new(list, conflict_to_json(&conflicts[i]));
    service_reply_json(request, 200, list);
}

// What another patient or study loses, or keeps, is told of it too.
static void tell_other(struct service *service, struct http_request *request, const char *by, const char *detail,
                       const struct archive_conflict *conflict)
{
    const struct archive_object *other = &conflict->before, *newer = &conflict->newer;
    if (strcmp(other->study, newer->study) == 0 && strcmp(other->patient_id, newer->patient_id) == 0 &&
        strcmp(other->issuer, newer->issuer) == 0)
        return;
    const struct access_record record = {.event = ACCESS_EVENT_JUDGED,
                                         .success = true,
                                         .actor = by,
                                         .address = http_address(request),
                                         .patient = other->patient_id,
                                         .study = other->study,
                                         .detail = detail};
    access_audit(service->access, &record, clock_now_ns());
}

// For the audit trail: a line for each patient and study.
static void tell(struct service *service, struct http_request *request, const char *by, const char *word,
                 const struct archive_conflict *conflict)
{
    char detail[2 * DICOM_UID_SIZE];
    snprintf(detail, sizeof detail, "conflict %lld %s: %s", (long long)conflict->newer.id, word,
             conflict->newer.sop_instance);
    tell_other(service, request, by, detail, conflict);
    service_about(request, &(struct service_about){.by = by,
                                                   .patient = conflict->newer.patient_id,
                                                   .study = conflict->newer.study,
                                                   .detail = detail});
}

static bool read_decision(struct http_request *request, const json_t *body, int64_t *id, const char **by,
                          struct error *err)
{
    const char *text = http_path_part(request, "id");
    if (!text_to_i64(text, strlen(text), id))
        return error_set(err, ERROR_NOT_FOUND, "there is no conflict '%.20s'", text);
    *by = service_by(request, body, err);
    return *by != NULL;
}

// Who says so is who is logged in, else the name typed.
static void decide(struct service *service, struct http_request *request, enum archive_decision decision,
                   const char *word)
{
    struct archive_conflict now;
    struct error err;
    int64_t id = 0;
    const char *by = NULL;
    json_t *body = service_read_json(request, "by", &err);
    if (body && read_decision(request, body, &id, &by, &err) &&
        archive_decide(service->archive, service_scope(request), id, decision, by, clock_now_ns(), http_arena(request),
                       &now, &err)) {
        tell(service, request, by, word, &now);
        service_reply_json(request, 200, conflict_to_json(&now));
    } else {
        http_reply_error(request, &err);
    }
    json_decref(body);
}

void api_conflict_keep(void *payload, struct http_request *request)
{
    decide(payload, request, ARCHIVE_KEPT, "kept");
}

void api_conflict_take(void *payload, struct http_request *request)
{
    decide(payload, request, ARCHIVE_TAKEN, "taken");
}

void api_study_flags(void *payload, struct http_request *request)
{
    struct service *service = payload;
    struct error err;
    const char *flags[ARCHIVE_STUDY_FLAGS];
    size_t count;
    if (!archive_study_flags(service->archive, service_scope(request), http_path_part(request, "study"),
                             http_arena(request), flags, &count, &err)) {
        http_reply_error(request, &err);
        return;
    }
    json_t *list = json_array();
    for (size_t i = 0; i < count; i++)
        json_array_append_new(list, json_string(flags[i]));
    service_reply_json(request, 200, list);
}

// ---- flagged

// ?flag=WORD, for one kind only. 0: any.
static bool read_flag(struct http_request *request, unsigned *out, struct error *err)
{
    const char *word = http_query(request, "flag");
    *out = 0;
    for (size_t i = 0; word && i < ARCHIVE_FLAG_BITS; i++)
        if (strcmp(service_flag_words[i], word) == 0)
            *out = 1U << i;
    return !word || *out != 0 ||
           error_set(err, ERROR_BAD_VALUE,
                     "flag is '%.20s'; give uid, charset, pixels, conflict, identity, level, rejection, series or "
                     "unidentified, or leave it out",
                     word);
}

void api_flagged(void *payload, struct http_request *request)
{
    struct service *service = payload;
    struct archive_flagged *flagged;
    struct archive_page page;
    struct error err;
    unsigned flag;
    size_t count = 0;
    if (!read_flag(request, &flag, &err) || !read_page(request, &page, &err) ||
        !archive_flagged(service->archive, service_scope(request), flag, &page, http_arena(request), &flagged, &count,
                         &err)) {
        http_reply_error(request, &err);
        return;
    }
    service_tell_total(request, page.total);
    json_t *list = json_array();
    for (size_t i = 0; i < count; i++) {
        json_t *one = to_json(&flagged[i].object);
        json_object_set_new(one, "differences",
                            differences_to_json(flagged[i].differences, flagged[i].difference_count));
        json_array_append_new(list, one);
    }
    service_reply_json(request, 200, list);
}
