#include "dimse_pdu.h"

#include <stdlib.h>
#include <string.h>

#include "base/bytes.h"
#include "base/clock.h"
#include "dimse_association.h"

enum { STANDARD_CAPACITY = DIMSE_PDU_HEADER + DIMSE_PDU_OFFERED + DIMSE_LOOKAHEAD };

// A row per type: the event, what its length may be, and the only state that needs its content (0: any).
static const struct pdu_form {
    enum dimse_event event;
    uint32_t least;
    uint32_t most;
    enum dimse_state needed_in;
} forms[] = {
    [DIMSE_PDU_ASSOCIATE_RQ] = {DIMSE_EVT6_RQ_PDU, 68, DIMSE_REQUEST_SIZE_MAX, DIMSE_STA2_AWAIT_REQUEST},
    [DIMSE_PDU_ASSOCIATE_AC] = {DIMSE_EVT3_AC_PDU, 68, DIMSE_REQUEST_SIZE_MAX, DIMSE_STA5_AWAIT_ANSWER},
    [DIMSE_PDU_ASSOCIATE_RJ] = {DIMSE_EVT4_RJ_PDU, 4, 4, DIMSE_STA5_AWAIT_ANSWER},
    [DIMSE_PDU_DATA_TF] = {DIMSE_EVT10_DATA_PDU, DIMSE_PDV_HEADER, DIMSE_PDU_OFFERED, DIMSE_STA6_ESTABLISHED},
    [DIMSE_PDU_RELEASE_RQ] = {DIMSE_EVT12_RELEASE_RQ_PDU, 4, 4, 0},
    [DIMSE_PDU_RELEASE_RP] = {DIMSE_EVT13_RELEASE_RP_PDU, 4, 4, 0},
    [DIMSE_PDU_ABORT] = {DIMSE_EVT16_ABORT_PDU, 4, 4, 0},
};

static int64_t deadline_in(const struct dimse_association *a, int64_t wait_ns)
{
    return a->artim_deadline_ns != 0 ? a->artim_deadline_ns : clock_monotonic_ns() + wait_ns;
}

// After this the peer's bytes are at in_start and `need` of them fit.
static void make_room(struct dimse_association *a, size_t need)
{
    size_t have = a->in_end - a->in_start;
    bool fits = a->in_capacity - a->in_start >= need && a->in_capacity - a->in_end >= DIMSE_LOOKAHEAD;
    if (a->in_start == 0 || (fits && have > 0))
        return;
    memmove(a->in, a->in + a->in_start, have);
    a->in_start = 0;
    a->in_end = have;
}

// Receives until `need` bytes are there, and whatever else comes with them.
static enum wire_result fill(struct dimse_association *a, size_t need, int64_t deadline_ns)
{
    if (a->in_end - a->in_start >= need)
        return WIRE_OK;
    make_room(a, need);
    while (a->in_end - a->in_start < need) {
        size_t got = 0;
        struct error err = {0};
        enum wire_result result =
            a->wire.receive(a->wire.payload, a->in + a->in_end, a->in_capacity - a->in_end, deadline_ns, &got, &err);
        if (result == WIRE_BROKEN)
            dimse_fail(a, err.code, "%s", err.message);
        if (result != WIRE_OK)
            return result;
        a->in_end += got;
        if (a->state == DIMSE_STA13_AWAIT_CLOSE) {
            if (got > a->linger_left)
                return WIRE_TIMEOUT;
            a->linger_left -= got;
        }
    }
    return WIRE_OK;
}

static enum wire_result drop_skipped(struct dimse_association *a, int64_t deadline_ns)
{
    while (a->skip > 0) {
        enum wire_result result = fill(a, 1, deadline_ns);
        if (result != WIRE_OK)
            return result;
        size_t have = a->in_end - a->in_start;
        size_t dropped = have < a->skip ? have : (size_t)a->skip;
        a->in_start += dropped;
        a->skip -= dropped;
    }
    return WIRE_OK;
}

static enum dimse_event ended(struct dimse_association *a, enum wire_result result, const char *while_waiting)
{
    if (result == WIRE_TIMEOUT) {
        dimse_fail(a, ERROR_TIMEOUT, "the peer took too long to send %s", while_waiting);
        return a->artim_deadline_ns != 0 ? DIMSE_EVT18_ARTIM : DIMSE_EVT15_ABORT_REQUEST;
    }
    dimse_fail(a, ERROR_CLOSED, "the peer closed the connection instead of sending %s", while_waiting);
    return DIMSE_EVT17_CLOSED;
}

static enum dimse_event invalid(struct dimse_association *a, enum dimse_abort_reason reason)
{
    a->abort_reason = reason;
    return DIMSE_EVT19_INVALID_PDU;
}

// PS3.8 section 9.3.5: presentation data values fill the PDU exactly.
static bool values_fill(const uint8_t *pdu, size_t size)
{
    while (size > 0) {
        if (size < DIMSE_PDV_HEADER)
            return false;
        uint32_t length = bytes_u32be(pdu);
        if (length < 2 || length > size - 4)
            return false;
        pdu += 4 + (size_t)length;
        size -= 4 + (size_t)length;
    }
    return true;
}

static bool grow(struct dimse_association *a, size_t size)
{
    if (size + DIMSE_LOOKAHEAD <= a->in_capacity)
        return true;
    uint8_t *grown = realloc(a->in, size + DIMSE_LOOKAHEAD);
    if (grown == NULL)
        return false;
    a->in = grown;
    a->in_capacity = size + DIMSE_LOOKAHEAD;
    return true;
}

// The PDU whose header was read is `length` bytes in the stream from here.
static enum dimse_event keep(struct dimse_association *a, const struct pdu_form *form, uint32_t length,
                             int64_t deadline_ns)
{
    if (!grow(a, length)) {
        a->skip = length;
        dimse_fail(a, ERROR_MEMORY, "no memory for a PDU of %u bytes", length);
        return DIMSE_EVT15_ABORT_REQUEST;
    }
    enum wire_result result = fill(a, length, deadline_ns);
    if (result != WIRE_OK)
        return ended(a, result, "the rest of a PDU");
    a->pdu = a->in + a->in_start;
    a->pdu_size = length;
    a->pdu_at = 0;
    a->in_start += length;
    if (form->event == DIMSE_EVT10_DATA_PDU && !values_fill(a->pdu, length)) {
        a->pdu_size = 0;
        dimse_fail(a, ERROR_PROTOCOL, "presentation data values do not fill their PDU of %u bytes", length);
        return invalid(a, DIMSE_ABORT_INVALID_PARAMETER);
    }
    return form->event;
}

// What speaks so, by its first bytes; NULL: nobody knows.
static const char *foreign_words(const uint8_t *header)
{
    static const struct {
        const char *begin, *words;
    } known[] = {{"GET /", DIMSE_SPEAKS_HTTP},  {"POST /", DIMSE_SPEAKS_HTTP}, {"PUT /", DIMSE_SPEAKS_HTTP},
                 {"HEAD /", DIMSE_SPEAKS_HTTP}, {"OPTION", DIMSE_SPEAKS_HTTP}, {"DELETE", DIMSE_SPEAKS_HTTP},
                 {"CONNEC", DIMSE_SPEAKS_HTTP}, {"PRI * ", DIMSE_SPEAKS_HTTP}, {"\x16\x03", DIMSE_SPEAKS_TLS}};
    for (size_t i = 0; i < sizeof known / sizeof *known; i++)
        if (memcmp(header, known[i].begin, strlen(known[i].begin)) == 0)
            return known[i].words;
    return NULL;
}

enum dimse_event dimse_pdu_receive(struct dimse_association *a, int64_t wait_ns)
{
    a->pdu_size = a->pdu_at = 0;
    int64_t deadline_ns = deadline_in(a, wait_ns);
    enum wire_result result = drop_skipped(a, deadline_ns);
    if (result == WIRE_OK)
        result = fill(a, 1, deadline_ns);
    if (result != WIRE_OK)
        return ended(a, result, "a PDU");
    deadline_ns = deadline_in(a, a->timers.transfer_ns);
    result = fill(a, DIMSE_PDU_HEADER, deadline_ns);
    if (result != WIRE_OK)
        return ended(a, result, "a PDU's header");
    uint8_t type = a->in[a->in_start];
    uint32_t length = bytes_u32be(a->in + a->in_start + 2);
    a->in_start += DIMSE_PDU_HEADER;
    if (type == 0 || type > DIMSE_PDU_ABORT) {
        a->skip = length;
        const char *foreign =
            a->state == DIMSE_STA2_AWAIT_REQUEST ? foreign_words(a->in + a->in_start - DIMSE_PDU_HEADER) : NULL;
        if (foreign)
            dimse_fail(a, ERROR_PROTOCOL, "%s", foreign);
        else
            dimse_fail(a, ERROR_PROTOCOL, "PDU type 0x%02X does not exist", type);
        return invalid(a, DIMSE_ABORT_UNRECOGNIZED_PDU);
    }
    const struct pdu_form *form = &forms[type];
    if (length < form->least || length > form->most) {
        a->skip = length;
        dimse_fail(a, ERROR_PROTOCOL, "a PDU of type %u has length %u, not %u to %u", type, length, form->least,
                   form->most);
        return invalid(a, DIMSE_ABORT_INVALID_PARAMETER);
    }
    if (a->state == DIMSE_STA13_AWAIT_CLOSE || (form->needed_in != 0 && form->needed_in != a->state)) {
        a->skip = length;
        return form->event;
    }
    return keep(a, form, length, deadline_ns);
}

bool dimse_pdu_shrink(struct dimse_association *a)
{
    a->pdu = NULL;
    a->pdu_size = a->pdu_at = 0;
    if (a->in_capacity == STANDARD_CAPACITY)
        return true;
    size_t have = a->in_end - a->in_start; // at most DIMSE_LOOKAHEAD: grow left no more room
    uint8_t *in = malloc(STANDARD_CAPACITY);
    if (in == NULL)
        return false;
    if (have > 0)
        memcpy(in, a->in + a->in_start, have);
    free(a->in);
    a->in = in;
    a->in_capacity = STANDARD_CAPACITY;
    a->in_start = 0;
    a->in_end = have;
    return true;
}
