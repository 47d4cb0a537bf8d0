// Who is told what of a result.
//
//   PACS     the SEG and SR that say it now; and a rejection note for those of ours that it may know and that do not
//            stand any more: of an earlier result of the topic, or of what a reviewer has rejected. A positive stands
//            when a newer look has no answer, and so do its SEG and SR.
//   record   one message of the result as it is when it is sent (flow_report_message); and one more when its images are
//            others now and no job follows, or are the same again
//
// Targets are those that the rules named when the result was made, and all that may know something of the topic. What
// waits of the topic, but of what stands, is obsolete and is never sent. Messages of one study go to a target in order,
// and so do the documents of one topic.
#include "flow/internal.h"

#include <stdlib.h>
#include <string.h>

#include "base/text.h"

#define EARLIER "earlier" // ends the batch of a message that says so

enum { OBJECT_MAX = 512 << 20, SOURCE_VALUE_MAX = 64 << 10 };

bool flow_store_object(struct flow *flow, struct archive_writer *writer, const struct buffer *data, int64_t time_ns,
                       struct error *err)
{
    struct source_memory memory = {data->data, data->size};
    struct archive_stored stored;
    struct archive_origin origin = {.how = "job", .called = "", .calling = "HILUM", .address = "", .issuer = ""};
    (void)flow;
    return buffer_check(data, "an object of the results", err) &&
           archive_put(writer, source_from_memory(&memory), DICOM_TS_EXPLICIT, &origin, time_ns, &stored, err);
}

// ---- what is stale

// A rejection note's payload is the list of what it rejects.
static bool is_rejected(const struct queue_delivery *deliveries, size_t count, const char *instance)
{
    bool found = false;
    for (size_t i = 0; i < count && !found; i++)
        found = *deliveries[i].payload == '[' && queue_delivery_may_be_known(&deliveries[i]) &&
                strstr(deliveries[i].payload, instance) != NULL;
    return found;
}

static bool stands(const struct flow_telling *telling, const char *instance)
{
    const struct finding_result *older = telling->older;
    return strcmp(instance, telling->sr) == 0 || strcmp(instance, telling->seg) == 0 ||
           (older && (strcmp(instance, older->sr_instance) == 0 || strcmp(instance, older->seg_instance) == 0));
}

// An instance of ours that some PACS may know, that does not stand, and that no note has rejected.
static bool is_stale(const struct queue_delivery *deliveries, size_t count, size_t index,
                     const struct flow_telling *telling)
{
    const struct queue_delivery *delivery = &deliveries[index];
    if (strcmp(delivery->kind, "dicom") != 0 || *delivery->payload == '[' || !queue_delivery_may_be_known(delivery) ||
        stands(telling, delivery->subject) || is_rejected(deliveries, count, delivery->subject))
        return false;
    for (size_t i = 0; i < index; i++) // to one target is enough
        if (strcmp(deliveries[i].subject, delivery->subject) == 0 && is_stale(deliveries, count, i, telling))
            return false;
    return true;
}

static bool find_stale(struct database *db, const struct flow_telling *telling, struct arena *arena, const char ***out,
                       size_t *count, struct error *err)
{
    struct queue_delivery *deliveries;
    size_t delivery_count;
    *count = 0;
    if (!queue_delivery_of_topic(db, telling->result->topic, arena, &deliveries, &delivery_count, err))
        return false;
    *out = arena_calloc(arena, delivery_count, sizeof **out);
    if (!*out)
        return error_set(err, ERROR_LIMIT, "no memory for %zu deliveries", delivery_count);
    for (size_t i = 0; i < delivery_count; i++)
        if (is_stale(deliveries, delivery_count, i, telling))
            (*out)[(*count)++] = deliveries[i].subject;
    return true;
}

const char *flow_batch(const struct finding_result *result, struct arena *arena)
{
    return arena_printf(arena, "%s %lld %s", result->id, (long long)result->revision,
                        finding_standing_text(result->standing));
}

bool flow_telling_plan(struct flow *flow, const struct finding_result *result, const char *sr, const char *seg,
                       const struct finding_result *older, struct arena *arena, struct flow_telling *out,
                       struct error *err)
{
    const char **instances;
    *out = (struct flow_telling){.result = result, .sr = sr, .seg = seg, .older = older, .rejection = ""};
    out->batch = flow_batch(result, arena);
    struct database *db = store_read_begin(flow->options.store, err);
    bool ok = db && find_stale(db, out, arena, &instances, &out->stale_count, err);
    store_read_end(flow->options.store, db);
    if (!ok)
        return false;
    out->stale = arena_calloc(arena, out->stale_count, sizeof *out->stale);
    if (!out->batch || !out->stale)
        return error_set(err, ERROR_LIMIT, "no memory for what is told of a result");
    for (size_t i = 0; i < out->stale_count; i++) {
        struct archive_object *object;
        size_t count;
        if (!archive_objects(flow->options.archive, ACCESS_ALL, NULL, NULL, instances[i], arena, &object, &count, err))
            return false;
        out->stale[i] = (struct finding_object){object->sop_class, object->series, object->sop_instance};
    }
    return true;
}

// A note says whose objects it rejects: patient and study are those of the objects.
static bool read_source(struct flow *flow, const char *instance, struct arena *arena, const struct dicom_dataset **out,
                        struct error *err)
{
    struct archive_object *object;
    size_t count;
    return archive_objects(flow->options.archive, ACCESS_ALL, NULL, NULL, instance, arena, &object, &count, err) &&
           archive_header(flow->options.archive, object, SOURCE_VALUE_MAX, arena, out, err);
}

bool flow_telling_reject(struct flow *flow, struct flow_telling *telling, const struct finding_context *context,
                         struct archive_writer *writer, struct arena *arena, struct error *err)
{
    char instance[DICOM_UID_SIZE];
    struct buffer data;
    struct finding_result result = *telling->result;
    struct finding_context own = *context;
    if (telling->stale_count == 0)
        return true;
    if (!read_source(flow, telling->stale[0].sop_instance, arena, &own.source, err))
        return false;
    result.revision += result.standing != FINDING_CURRENT; // of what is taken back there is no further revision
    own.result = &result;
    finding_rejection_uid(instance, result.id, result.revision);
    telling->rejection = arena_strdup(arena, instance);
    if (!telling->rejection)
        return error_set(err, ERROR_LIMIT, "no memory for a rejection note");
    buffer_init(&data, OBJECT_MAX);
    bool ok =
        finding_to_rejection(&own, result.standing == FINDING_WITHDRAWN ? FINDING_FOR_SAFETY : FINDING_FOR_QUALITY,
                             telling->stale, telling->stale_count, &data, err) &&
        flow_store_object(flow, writer, &data, context->time_ns, err);
    buffer_free(&data);
    return ok;
}

// ---- deliveries

// A target's longest name, a batch (result, revision, standing) and a subject (a UID of ours, a control ID) fit into a
// delivery's key, and the other texts into their limits.
enum {
    REVISION_MAX = 20,
    STANDING_MAX = sizeof "superseded" - 1,
    BATCH_MAX = (FINDING_ID_SIZE - 1) + 1 + REVISION_MAX + 1 + STANDING_MAX,
};
_Static_assert((int)FLOW_NAME_SIZE == (int)ACCESS_NAME_SIZE, "names of peers and of HL7 targets are equally long");
_Static_assert(FLOW_NAME_SIZE + BATCH_MAX + 1 + (int)DICOM_UID_MAX <= (int)QUEUE_KEY_MAX, "a delivery's key");
_Static_assert((int)sizeof "study " + (int)DICOM_UID_SIZE <= (int)QUEUE_NAME_MAX &&
                   (int)BATCH_MAX <= (int)QUEUE_NAME_MAX &&
                   (int)sizeof " documents" + (int)FINDING_TOPIC_SIZE <= (int)QUEUE_NAME_MAX,
               "a delivery's sequence and batch");

struct tell {
    struct flow *flow;
    struct database *db;
    const struct flow_telling *telling;
    struct queue_delivery *earlier; // of the topic, newest first
    size_t earlier_count;
    int64_t now_ns;
    struct arena *arena;
};

static bool add(struct tell *tell, const char *target, const char *kind, const char *subject, const char *payload,
                const char *sequence, struct error *err)
{
    bool added;
    const struct flow_telling *telling = tell->telling;
    struct queue_delivery delivery = {.key = arena_printf(tell->arena, "%s %s %s", target, telling->batch, subject),
                                      .target = target,
                                      .kind = kind,
                                      .subject = subject,
                                      .payload = payload,
                                      .sequence = sequence,
                                      .topic = telling->result->topic,
                                      .batch = telling->batch,
                                      .study = telling->result->study,
                                      .result = telling->result->id};
    return delivery.key && sequence && payload ? queue_delivery_add(tell->db, &delivery, tell->now_ns, &added, err)
                                               : error_set(err, ERROR_LIMIT, "no memory for a delivery");
}

static bool may_know(const struct tell *tell, const char *kind, const char *target)
{
    for (size_t i = 0; i < tell->earlier_count; i++)
        if (strcmp(tell->earlier[i].kind, kind) == 0 && strcmp(tell->earlier[i].target, target) == 0 &&
            queue_delivery_may_be_known(&tell->earlier[i]))
            return true;
    return false;
}

static bool is_named(const json_t *names, const char *name)
{
    size_t i;
    json_t *value;
    json_array_foreach(names, i, value)
    {
        if (strcmp(json_string_value(value), name) == 0)
            return true;
    }
    return false;
}

typedef bool each_fn(struct tell *tell, const char *target, bool named, struct error *err);

// For those that the rules named, then for those that may know something and were not named.
static bool for_each_target(struct tell *tell, const char *kind, const char *names, each_fn *each, struct error *err)
{
    size_t i;
    json_t *name, *list = json_loads(names, 0, NULL);
    bool ok = true;
    json_array_foreach(list, i, name)
    {
        const char *copy = arena_strdup(tell->arena, json_string_value(name));
        ok = ok && copy && each(tell, copy, true, err);
    }
    for (i = 0; ok && i < tell->earlier_count; i++) {
        const struct queue_delivery *earlier = &tell->earlier[i];
        bool first = strcmp(earlier->kind, kind) == 0 && queue_delivery_may_be_known(earlier) &&
                     !is_named(list, earlier->target);
        for (size_t k = 0; k < i && first; k++)
            first = strcmp(tell->earlier[k].kind, kind) != 0 || strcmp(tell->earlier[k].target, earlier->target) != 0 ||
                    !queue_delivery_may_be_known(&tell->earlier[k]);
        if (first)
            ok = each(tell, earlier->target, false, err);
    }
    json_decref(list);
    return ok;
}

static const char *rejects_to_json(const struct flow_telling *telling, struct arena *arena)
{
    json_t *list = json_array();
    for (size_t i = 0; i < telling->stale_count; i++)
        json_array_append_new(list, json_string(telling->stale[i].sop_instance));
    char *text = json_dumps(list, JSON_COMPACT);
    const char *copy = text ? arena_strdup(arena, text) : NULL;
    free(text);
    json_decref(list);
    return copy;
}

// The note goes before the new document, and only to those who may know what it rejects.
static bool tell_pacs(struct tell *tell, const char *target, bool named, struct error *err)
{
    const struct flow_telling *telling = tell->telling;
    const char *documents = arena_printf(tell->arena, "%s documents", telling->result->topic);
    (void)named;
    if (*telling->rejection && may_know(tell, "dicom", target) &&
        !add(tell, target, "dicom", telling->rejection, rejects_to_json(telling, tell->arena), documents, err))
        return false;
    if (telling->result->standing != FINDING_CURRENT)
        return true;
    return (!*telling->seg || add(tell, target, "dicom", telling->seg, "", "", err)) &&
           (!*telling->sr || add(tell, target, "dicom", telling->sr, "", documents, err));
}

static bool add_message(struct tell *tell, const char *target, int64_t after, struct error *err)
{
    char control[21];
    const struct finding_result *result = tell->telling->result;
    finding_oru_control(control, result, after);
    const char *subject = arena_strdup(tell->arena, control);
    return subject ? add(tell, target, "hl7", subject, result->id, arena_printf(tell->arena, "study %s", result->study),
                         err)
                   : error_set(err, ERROR_LIMIT, "no memory for a delivery");
}

static bool wants_to_hear(struct tell *tell, const char *target, bool named, bool *wants, struct error *err)
{
    const struct finding_result *result = tell->telling->result;
    *wants = named || may_know(tell, "hl7", target);
    if (result->standing != FINDING_CURRENT)
        *wants = may_know(tell, "hl7", target);
    else if (result->outcome == FINDING_NOT_ANALYSED || result->outcome == FINDING_FAILED)
        return may_know(tell, "hl7", target) || flow_target_hears_all(tell->db, target, wants, err);
    return true;
}

static bool tell_record(struct tell *tell, const char *target, bool named, struct error *err)
{
    bool wants;
    return wants_to_hear(tell, target, named, &wants, err) && (!wants || add_message(tell, target, 0, err));
}

// A reviewer may have judged meanwhile what the older one says.
static bool older_is_as_planned(struct tell *tell, struct error *err)
{
    const struct finding_result *older = tell->telling->older;
    struct finding_result *now = NULL;
    return !older || (finding_result_get(tell->db, older->id, tell->arena, &now, err) &&
                      ((now && now->standing == FINDING_CURRENT && now->revision == older->revision) ||
                       error_set(err, ERROR_BUSY, "what was said before changed meanwhile; it is told anew")));
}

static bool is_as_planned(struct tell *tell, struct error *err)
{
    const struct flow_telling *telling = tell->telling;
    const char **stale;
    size_t count;
    return older_is_as_planned(tell, err) && find_stale(tell->db, telling, tell->arena, &stale, &count, err) &&
           (count == telling->stale_count ||
            error_set(err, ERROR_BUSY, "a delivery about the same went out meanwhile; it is told anew"));
}

// What is newer than all that waits of the topic, but for a positive that stands beside it.
static bool make_obsolete(const struct tell *tell, struct error *err)
{
    const struct flow_telling *telling = tell->telling;
    const char *beside = telling->older ? flow_batch(telling->older, tell->arena) : "";
    return beside ? queue_delivery_obsolete(tell->db, telling->result->topic, telling->batch, beside, err)
                  : error_set(err, ERROR_LIMIT, "no memory for what is told of a result");
}

bool flow_tell(struct flow *flow, struct database *db, const struct flow_telling *telling, int64_t now_ns,
               struct arena *arena, struct error *err)
{
    struct tell tell = {.flow = flow, .db = db, .telling = telling, .now_ns = now_ns, .arena = arena};
    const struct finding_result *result = telling->result;
    return is_as_planned(&tell, err) &&
           queue_delivery_of_topic(db, result->topic, arena, &tell.earlier, &tell.earlier_count, err) &&
           make_obsolete(&tell, err) && for_each_target(&tell, "dicom", result->send_to, tell_pacs, err) &&
           for_each_target(&tell, "hl7", result->hl7_to, tell_record, err);
}

// ---- that the images are others now, or the same again

// By its batch.
static bool says_earlier(const struct queue_delivery *message)
{
    static const char word[] = " " EARLIER;
    size_t size = strlen(message->batch), end = sizeof word - 1;
    return size > end && strcmp(message->batch + size - end, word) == 0;
}

// Is it the newest message to its target of what is or will be sent?
static bool is_last_message(const struct tell *tell, size_t index)
{
    const struct queue_delivery *message = &tell->earlier[index];
    if (strcmp(message->kind, "hl7") != 0 || queue_delivery_is_off(message))
        return false;
    for (size_t i = 0; i < index; i++)
        if (strcmp(tell->earlier[i].kind, "hl7") == 0 && !queue_delivery_is_off(&tell->earlier[i]) &&
            strcmp(tell->earlier[i].target, message->target) == 0)
            return false;
    return true;
}

// What waits says when it is sent how it is then; what a newer look has said holds.
bool flow_tell_images(struct flow *flow, struct database *db, const struct finding_result *result, int64_t now_ns,
                      struct arena *arena, struct error *err)
{
    struct flow_telling telling = {.result = result, .sr = "", .seg = "", .rejection = ""};
    struct tell tell = {.flow = flow, .db = db, .telling = &telling, .now_ns = now_ns, .arena = arena};
    telling.batch = arena_printf(arena, "%s %lld %s", result->id, (long long)result->revision,
                                 result->is_earlier ? EARLIER : "present");
    if (!telling.batch)
        return error_set(err, ERROR_LIMIT, "no memory for what is told of a result");
    if (!queue_delivery_of_topic(db, result->topic, arena, &tell.earlier, &tell.earlier_count, err))
        return false;
    for (size_t i = 0; i < tell.earlier_count; i++) {
        const struct queue_delivery *last = &tell.earlier[i];
        if (is_last_message(&tell, i) && queue_delivery_may_be_known(last) && strcmp(last->payload, result->id) == 0 &&
            says_earlier(last) != result->is_earlier && !add_message(&tell, last->target, last->id, err))
            return false;
    }
    return true;
}
