#include "dimse_negotiate.h"

#include <stdio.h>
#include <string.h>

#include "base/bytes.h"
#include "base/text.h"

enum {
    ITEM_APPLICATION = 0x10,
    ITEM_CONTEXT_RQ = 0x20,
    ITEM_CONTEXT_AC = 0x21,
    ITEM_ABSTRACT = 0x30,
    ITEM_TRANSFER = 0x40,
    ITEM_USER = 0x50,
    ITEM_MAXIMUM_LENGTH = 0x51,
    ITEM_IMPLEMENTATION_UID = 0x52,
    ITEM_IMPLEMENTATION_VERSION = 0x55,
    ITEM_USER_IDENTITY = 0x58,
    IDENTITY_JWT = 5, // PS3.7 Table D.3-14
    FIXED_SIZE = 68,  // before the items
    TITLE_SIZE = 16,
};

struct item {
    uint8_t type;
    const uint8_t *value;
    size_t size;
};

struct items {
    const uint8_t *at;
    size_t left;
};

// false when an item is cut or longer than what holds it.
static bool next_item(struct items *items, struct item *out)
{
    if (items->left < 4)
        return false;
    size_t size = bytes_u16be(items->at + 2);
    if (size > items->left - 4)
        return false;
    *out = (struct item){.type = items->at[0], .value = items->at + 4, .size = size};
    items->at += 4 + size;
    items->left -= 4 + size;
    return true;
}

static bool malformed(struct dimse_association *a, const char *what)
{
    a->abort_reason = DIMSE_ABORT_INVALID_PARAMETER;
    dimse_fail(a, ERROR_PROTOCOL, "the association's PDU has a malformed %s", what);
    return false;
}

// The first reason stays.
static void refuse(struct dimse_association *a, uint16_t reason, const char *why)
{
    if (a->reject[0] != 0)
        return;
    a->reject[0] = DIMSE_REJECT_PERMANENT;
    a->reject[1] = (uint8_t)(reason >> 8);
    a->reject[2] = (uint8_t)reason;
    dimse_fail(a, ERROR_FORBIDDEN, "association rejected: %s", why);
}

// Trimmed; false, with "" in `out`, when it is no UID.
static bool read_uid(char out[DICOM_UID_SIZE], const struct item *item)
{
    const char *text = (const char *)item->value;
    size_t size = item->size;
    text_trim(&text, &size);
    out[0] = '\0';
    return dicom_uid_is_valid(text, size) && text_copy_n(out, DICOM_UID_SIZE, text, size);
}

// PS3.5 AE: printable ASCII but backslash, not blank. What looks like a way up a folder tree is no title either.
static bool read_title(char out[DICOM_AE_SIZE], const uint8_t *field)
{
    const char *text = (const char *)field;
    size_t size = TITLE_SIZE;
    text_trim(&text, &size);
    bool fit = size > 0;
    for (size_t i = 0; i < size; i++)
        fit = fit && text[i] >= ' ' && text[i] <= '~' && text[i] != '\\';
    text_copy_n(out, DICOM_AE_SIZE, text, fit ? size : 0);
    return fit && strstr(out, "../") == NULL && strstr(out, "/..") == NULL;
}

struct dimse_context *dimse_add_context(struct dimse_association *a, uint8_t id)
{
    struct dimse_request *request = &a->request;
    if (request->contexts == NULL)
        request->contexts = arena_calloc(&a->arena, DIMSE_CONTEXTS_MAX, sizeof *request->contexts);
    if (request->contexts == NULL || request->context_count == DIMSE_CONTEXTS_MAX)
        return NULL;
    struct dimse_context *context = &request->contexts[request->context_count++];
    context->id = id;
    context->result = DIMSE_CONTEXT_ABSTRACT_UNSUPPORTED;
    a->context_of[id] = (uint8_t)request->context_count;
    return context;
}

bool dimse_reserve_syntaxes(struct dimse_association *a, struct dimse_context *context, size_t count)
{
    context->proposed = arena_calloc(&a->arena, count > 0 ? count : 1, DICOM_UID_SIZE);
    return context->proposed != NULL;
}

static size_t count_syntaxes(struct items items)
{
    size_t count = 0;
    struct item item;
    while (items.left > 0 && next_item(&items, &item))
        count += item.type == ITEM_TRANSFER;
    return count < DIMSE_SYNTAXES_MAX ? count : DIMSE_SYNTAXES_MAX;
}

static bool read_context(struct dimse_association *a, const struct item *item)
{
    if (item->size < 4)
        return malformed(a, "presentation context");
    uint8_t id = item->value[0];
    if (id % 2 == 0 || a->context_of[id] != 0) {
        refuse(a, DIMSE_REJECT_PROVIDER_NO_REASON, "a presentation context identifier is even or used twice");
        return true;
    }
    struct items items = {.at = item->value + 4, .left = item->size - 4};
    struct dimse_context *context = dimse_add_context(a, id);
    if (context == NULL || !dimse_reserve_syntaxes(a, context, count_syntaxes(items)))
        return malformed(a, "list of presentation contexts: too long");
    bool named = false;
    struct item part;
    while (items.left > 0) {
        if (!next_item(&items, &part))
            return malformed(a, "presentation context");
        if (part.type == ITEM_ABSTRACT) {
            read_uid(context->abstract, &part);
            named = true;
        } else if (part.type == ITEM_TRANSFER && context->proposed_count < DIMSE_SYNTAXES_MAX &&
                   read_uid(context->proposed[context->proposed_count], &part)) {
            context->proposed_count++;
        }
    }
    return named || malformed(a, "presentation context: no abstract syntax");
}

// PS3.7 section D.3.3.7: type, 1 byte, two texts with their lengths. A name is passed over, as the standard allows an
// acceptor that asks for none. A token is a claim that we have no key to check: who sends one wants it checked.
static bool read_identity(struct dimse_association *a, const struct item *part)
{
    if (part->size < 6)
        return malformed(a, "user identity");
    size_t first = bytes_u16be(part->value + 2);
    if (first > part->size - 6)
        return malformed(a, "user identity");
    size_t second = bytes_u16be(part->value + 4 + first);
    if (second > part->size - 6 - first)
        return malformed(a, "user identity");
    if (part->value[0] == IDENTITY_JWT)
        refuse(a, DIMSE_REJECT_NO_REASON, "a JSON Web Token, which cannot be verified here");
    return true;
}

static bool read_user_part(struct dimse_association *a, const struct item *part)
{
    struct dimse_request *request = &a->request;
    switch (part->type) {
    case ITEM_MAXIMUM_LENGTH:
        if (part->size != 4)
            return malformed(a, "maximum length");
        request->peer_pdu_max = bytes_u32be(part->value);
        if (request->peer_pdu_max == 0 || request->peer_pdu_max > DIMSE_PDU_SENT_MAX)
            request->peer_pdu_max = DIMSE_PDU_SENT_MAX;
        return true;
    case ITEM_IMPLEMENTATION_UID:
        read_uid(request->implementation_uid, part);
        return true;
    case ITEM_IMPLEMENTATION_VERSION:
        text_show(request->implementation_version, sizeof request->implementation_version, part->value, part->size);
        return true;
    case ITEM_USER_IDENTITY:
        return a->requestor || read_identity(a, part);
    default: // other negotiations are not taken up, which the standard allows by not answering them
        return true;
    }
}

static bool read_user(struct dimse_association *a, const struct item *item)
{
    struct items items = {.at = item->value, .left = item->size};
    struct item part;
    while (items.left > 0) {
        if (!next_item(&items, &part))
            return malformed(a, "user information item");
        if (!read_user_part(a, &part))
            return false;
    }
    return true;
}

static bool read_request_items(struct dimse_association *a, bool *known_application)
{
    struct items items = {.at = a->pdu + FIXED_SIZE, .left = a->pdu_size - FIXED_SIZE};
    struct item item;
    char uid[DICOM_UID_SIZE];
    while (items.left > 0) {
        if (!next_item(&items, &item))
            return malformed(a, "item");
        if (item.type == ITEM_APPLICATION)
            *known_application = read_uid(uid, &item) && strcmp(uid, DIMSE_APPLICATION_CONTEXT) == 0;
        else if (item.type == ITEM_CONTEXT_RQ && !read_context(a, &item))
            return false;
        else if (item.type == ITEM_USER && !read_user(a, &item))
            return false;
    }
    return true;
}

bool dimse_read_request(struct dimse_association *a)
{
    bool version_1 = (bytes_u16be(a->pdu) & 1) != 0;
    memcpy(a->titles, a->pdu + 4, sizeof a->titles);
    bool called = read_title(a->request.called, a->pdu + 4);
    bool calling = read_title(a->request.calling, a->pdu + 4 + TITLE_SIZE);
    bool application = false;
    a->request.peer_pdu_max = DIMSE_PEER_PDU_ASSUMED;
    if (!version_1)
        refuse(a, DIMSE_REJECT_PROTOCOL_VERSION, "protocol version not supported");
    if (!called)
        refuse(a, DIMSE_REJECT_CALLED_UNKNOWN, "the called AE title is blank or has characters that no title has");
    if (!calling)
        refuse(a, DIMSE_REJECT_CALLING_UNKNOWN, "the calling AE title is blank or has characters that no title has");
    if (!read_request_items(a, &application))
        return false;
    if (!application)
        refuse(a, DIMSE_REJECT_APPLICATION_CONTEXT, "application context name not supported");
    if (a->request.context_count == 0)
        refuse(a, DIMSE_REJECT_PROVIDER_NO_REASON, "no presentation context");
    if (a->request.peer_pdu_max < DIMSE_PDU_LEAST)
        refuse(a, DIMSE_REJECT_PROVIDER_NO_REASON, "the maximum length is too small");
    return true;
}

static bool read_answered_context(struct dimse_association *a, const struct item *item)
{
    if (item->size < 4)
        return malformed(a, "presentation context");
    size_t index = a->context_of[item->value[0]];
    if (index == 0)
        return malformed(a, "presentation context: one that was not proposed");
    struct dimse_context *context = &a->request.contexts[index - 1];
    context->result = item->value[2] <= DIMSE_CONTEXT_TRANSFER_UNSUPPORTED ? (enum dimse_context_result)item->value[2]
                                                                           : DIMSE_CONTEXT_NO_REASON;
    context->transfer[0] = '\0';
    if (context->result != DIMSE_CONTEXT_ACCEPTED)
        return true;
    struct items items = {.at = item->value + 4, .left = item->size - 4};
    struct item part;
    if (!next_item(&items, &part) || part.type != ITEM_TRANSFER || !read_uid(context->transfer, &part))
        return malformed(a, "presentation context: accepted without a transfer syntax");
    for (size_t i = 0; i < context->proposed_count; i++) {
        if (strcmp(context->proposed[i], context->transfer) == 0)
            return true;
    }
    return malformed(a, "presentation context: accepted with a transfer syntax that was not proposed");
}

bool dimse_read_answer(struct dimse_association *a)
{
    struct items items = {.at = a->pdu + FIXED_SIZE, .left = a->pdu_size - FIXED_SIZE};
    struct item item;
    a->request.peer_pdu_max = DIMSE_PEER_PDU_ASSUMED;
    for (size_t i = 0; i < a->request.context_count; i++)
        a->request.contexts[i].result = DIMSE_CONTEXT_NO_REASON;
    while (items.left > 0) {
        if (!next_item(&items, &item))
            return malformed(a, "item");
        if (item.type == ITEM_CONTEXT_AC && !read_answered_context(a, &item))
            return false;
        if (item.type == ITEM_USER && !read_user(a, &item))
            return false;
    }
    if (a->request.peer_pdu_max < DIMSE_PDU_LEAST)
        return malformed(a, "maximum length: too small");
    return true;
}

// ---- writing

static void write_item(struct buffer *out, uint8_t type, const void *value, size_t size)
{
    buffer_byte(out, type);
    buffer_byte(out, 0);
    buffer_u16be(out, (uint16_t)size);
    buffer_append(out, value, size);
}

static void write_text(struct buffer *out, uint8_t type, const char *text)
{
    write_item(out, type, text, strlen(text));
}

// Starts an item whose length is filled in by end_item. Returns where.
static size_t begin_item(struct buffer *out, uint8_t type)
{
    write_item(out, type, NULL, 0);
    return out->size;
}

static void end_item(struct buffer *out, size_t begun)
{
    if (!out->failed)
        bytes_put_u16be(out->data + begun - 2, (uint16_t)(out->size - begun));
}

static void write_head(struct buffer *out, uint8_t type, const uint8_t titles[64])
{
    static const uint8_t version[4] = {0, 1, 0, 0};
    buffer_byte(out, type);
    buffer_byte(out, 0);
    buffer_u32be(out, 0);
    buffer_append(out, version, sizeof version);
    buffer_append(out, titles, 64);
    write_text(out, ITEM_APPLICATION, DIMSE_APPLICATION_CONTEXT);
}

static void write_tail(struct buffer *out)
{
    uint8_t most[4];
    size_t user = begin_item(out, ITEM_USER);
    bytes_put_u32be(most, DIMSE_PDU_OFFERED);
    write_item(out, ITEM_MAXIMUM_LENGTH, most, sizeof most);
    write_text(out, ITEM_IMPLEMENTATION_UID, DICOM_IMPLEMENTATION_CLASS_UID);
    write_text(out, ITEM_IMPLEMENTATION_VERSION, DICOM_IMPLEMENTATION_VERSION);
    end_item(out, user);
    if (!out->failed)
        bytes_put_u32be(out->data + 2, (uint32_t)(out->size - DIMSE_PDU_HEADER));
}

void dimse_write_request(const struct dimse_association *a, struct buffer *out)
{
    write_head(out, 1, a->titles);
    for (size_t i = 0; i < a->request.context_count; i++) {
        const struct dimse_context *context = &a->request.contexts[i];
        size_t begun = begin_item(out, ITEM_CONTEXT_RQ);
        buffer_append(out, (const uint8_t[4]){context->id}, 4);
        write_text(out, ITEM_ABSTRACT, context->abstract);
        for (size_t j = 0; j < context->proposed_count; j++)
            write_text(out, ITEM_TRANSFER, context->proposed[j]);
        end_item(out, begun);
    }
    write_tail(out);
}

void dimse_write_answer(const struct dimse_association *a, struct buffer *out)
{
    write_head(out, 2, a->titles);
    for (size_t i = 0; i < a->request.context_count; i++) {
        const struct dimse_context *context = &a->request.contexts[i];
        size_t begun = begin_item(out, ITEM_CONTEXT_AC);
        buffer_append(out, (const uint8_t[4]){context->id, 0, (uint8_t)context->result, 0}, 4);
        // Of a refused context the syntax has no meaning, but the item must be there.
        write_text(out, ITEM_TRANSFER,
                   context->result == DIMSE_CONTEXT_ACCEPTED ? context->transfer : DICOM_TS_IMPLICIT);
        end_item(out, begun);
    }
    write_tail(out);
}

// ---- PS3.8 Table 9-21

static const struct {
    uint8_t source;
    uint8_t reason;
    const char *text;
} reasons[] = {
    {1, 1, "no reason given"},
    {1, 2, "application context name not supported"},
    {1, 3, "calling AE title not recognized"},
    {1, 7, "called AE title not recognized"},
    {2, 1, "no reason given (ACSE)"},
    {2, 2, "protocol version not supported"},
    {3, 1, "temporary congestion"},
    {3, 2, "local limit exceeded"},
};

void dimse_reject_text(const uint8_t reject[3], char *out, size_t capacity)
{
    const char *how = reject[0] == DIMSE_REJECT_TRANSIENT ? "for now" : "permanently";
    for (size_t i = 0; i < sizeof reasons / sizeof reasons[0]; i++) {
        if (reasons[i].source == reject[1] && reasons[i].reason == reject[2]) {
            snprintf(out, capacity, "%s: %s", how, reasons[i].text);
            return;
        }
    }
    snprintf(out, capacity, "%s: source %u, reason %u", how, reject[1], reject[2]);
}
