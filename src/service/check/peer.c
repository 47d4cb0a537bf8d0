// The check of a system that we call, or that calls us.
#include "service/check/check.h"

#include <inttypes.h>
#include <string.h>

#include "base/clock.h"
#include "base/text.h"
#include "finding/finding.h"
#include "queue/queue.h"

static const struct {
    const char *uid, *words;
} sent[] = {{FINDING_SEG_CLASS, "Segmentation (findings' masks)"},
            {FINDING_SR_CLASS, "Comprehensive 3D SR (reports)"},
            {FINDING_KEY_CLASS, "Key Object Selection (key images)"}};
enum { SENT = sizeof sent / sizeof *sent };

// ---- reach and TLS

static bool call_tls(struct check *check, const struct check_target *to, struct error *err)
{
    struct tls_target target = {to->host, to->port, service_tls_side(check->service->tls, TLS_CLIENT, err),
                                to->fingerprint};
    struct wire wire;
    if (!target.tls)
        return false;
    bool ok = tls_connect(&wire, &target, check->deadline_ns, NULL, err);
    tls_release(target.tls);
    if (ok)
        tls_finish(&wire, clock_monotonic_ns() + CLOCK_SECOND / 10);
    return ok;
}

static bool call_plain(struct check *check, const struct check_target *to, struct error *err)
{
    struct wire wire;
    int fd = wire_connect(to->host, to->port, check->deadline_ns, err);
    if (fd < 0 || !wire_socket(&wire, fd, err))
        return false;
    wire.close(wire.payload);
    return true;
}

bool check_reach(struct check *check, const struct check_target *to)
{
    struct error err;
    if (!call_plain(check, to, &err)) {
        check_fail(check, "reach", &err);
        return false;
    }
    check_say(check, "reach", CHECK_OK, "{address} takes connections", "");
    if (!to->tls)
        return true;
    if (!call_tls(check, to, &err)) {
        check_fail(check, "tls", &err);
        return false;
    }
    check_say(check, "tls", CHECK_OK, "TLS with a certificate that counts", "");
    return true;
}

// ---- what else speaks there, once DICOM was not understood

// Each question has this long, and an association half of what is left, so that there is time for them.
static int64_t probe_deadline_ns(const struct check *check)
{
    int64_t soon_ns = clock_monotonic_ns() + 2 * CLOCK_SECOND;
    return soon_ns < check->deadline_ns ? soon_ns : check->deadline_ns;
}

static bool speaks_tls(struct check *check, const struct access_peer *peer)
{
    const struct tls_options options = {.side = TLS_CLIENT, .judged_later = true};
    struct error ignored;
    struct wire wire;
    int64_t deadline_ns = probe_deadline_ns(check);
    struct tls *tls = tls_open(&options, &ignored);
    int fd = tls ? wire_connect(peer->host, peer->port, deadline_ns, &ignored) : -1;
    bool ok = fd >= 0 && tls_wire(&wire, fd, tls, peer->host, deadline_ns, NULL, &ignored);
    if (ok)
        wire.close(wire.payload);
    tls_release(tls);
    return ok;
}

static bool speaks_http(struct check *check, const struct access_peer *peer)
{
    static const char question[] = "GET / HTTP/1.0\r\n\r\n", answer[] = "HTTP/1.";
    char got[sizeof answer] = "";
    struct iovec part = {.iov_base = (void *)(uintptr_t)question, .iov_len = sizeof question - 1};
    struct error ignored;
    struct wire wire;
    size_t size = 0;
    int64_t deadline_ns = probe_deadline_ns(check);
    int fd = wire_connect(peer->host, peer->port, deadline_ns, &ignored);
    if (fd < 0 || !wire_socket(&wire, fd, &ignored))
        return false;
    if (wire.send(wire.payload, &part, 1, deadline_ns, &ignored) == WIRE_OK)
        wire.receive(wire.payload, (uint8_t *)got, sizeof got - 1, deadline_ns, &size, &ignored);
    wire.close(wire.payload);
    return size == sizeof answer - 1 && memcmp(got, answer, size) == 0;
}

static void fail_association(struct check *check, const struct access_peer *peer, const struct error *err)
{
    bool understood = err->code == ERROR_FORBIDDEN || err->code == ERROR_BUSY;
    if (!understood && !peer->tls && speaks_tls(check, peer))
        check_fail(check, "tls there", err);
    else if (!understood && !peer->tls && speaks_http(check, peer))
        check_fail(check, "http", err);
    else
        check_fail(check, "title", err);
}

// ---- the association

static void tell_classes(struct check *check, const struct dimse_association *association)
{
    struct buffer taken, refused;
    buffer_init(&taken, 1 << 10);
    buffer_init(&refused, 1 << 10);
    for (size_t i = 0; i < SENT; i++) {
        struct buffer *to = dimse_context_for(association, sent[i].uid, NULL) ? &taken : &refused;
        buffer_printf(to, "%s%s", to->size ? ", " : "", sent[i].words);
    }
    buffer_byte(&taken, '\0');
    buffer_byte(&refused, '\0');
    check->names.error = (const char *)(refused.size > 1 ? refused.data : taken.data);
    if (refused.size > 1)
        check_say(check, "classes", CHECK_FAILED, "{name} does not take what is sent to it: {error}",
                  "on the side of {name}: allow these storage classes from AE title {ours}, in Explicit VR Little "
                  "Endian; or on this side: a rule that does not send them there");
    else
        check_say(check, "classes", CHECK_OK, "{name} takes {error}", "");
    buffer_free(&taken);
    buffer_free(&refused);
}

static void tell_echo(struct check *check, struct dimse_association *association)
{
    uint16_t status = 0;
    struct error err;
    if (!dimse_echo(association, &status, &err)) {
        check_fail(check, "answer", &err);
    } else if (status != 0) {
        error_set(&err, ERROR_CONFLICT, "status %04XH", status);
        check_fail(check, "answer", &err);
    } else {
        check_say(check, "answer", CHECK_OK, "{name} answers C-ECHO", "");
    }
}

static void call(struct check *check, const struct access_peer *peer)
{
    struct dimse_proposal proposals[1 + SENT] = {service_echo};
    bool target = peer->rights & ACCESS_TARGET;
    int64_t left_ns = (check->deadline_ns - clock_monotonic_ns()) / 2;
    const struct dimse_timers timers = {left_ns, left_ns, left_ns, CLOCK_SECOND};
    struct error err;
    for (size_t i = 0; i < SENT; i++)
        proposals[1 + i] = (struct dimse_proposal){sent[i].uid, {DICOM_TS_EXPLICIT}};
    struct dimse_association *association =
        dimse_service_call(check->service, peer, proposals, target ? 1 + SENT : 1, &timers, &err);
    if (!association) {
        fail_association(check, peer, &err);
        return;
    }
    check_say(check, "title", CHECK_OK, "{name} knows itself as {title}, and us as {ours}", "");
    if (target)
        tell_classes(check, association);
    size_t before = json_array_size(check->steps);
    tell_echo(check, association);
    const char *state = json_string_value(json_object_get(json_array_get(check->steps, before), "state"));
    if (state && strcmp(state, "ok") == 0)
        dimse_release(association, &err);
    else
        dimse_close(association);
}

// ---- who calls us

static const struct {
    const char *said, *remedy;
} refusals[] = {
    [ACCESS_CALLED_UNKNOWN] = {"it called another AE title than ours: {error}; we are called {ours}",
                               "on the side of {name}: enter {ours} as the called AE title (AE titles are "
                               "case-sensitive)"},
    [ACCESS_CALLING_UNKNOWN] = {"no entry has its title and address: {error}",
                                "on this side: `hilum peer add` with just this title and address; or on its side: the "
                                "calling AE title that is entered here"},
    [ACCESS_NOT_PLAIN] = {"it came without TLS, and its entry does not allow that: {error}",
                          "on the side of {name}: switch TLS on; or on this side: `hilum peer add {name} --plain`"},
    [ACCESS_NOT_TLS] = {"it came without TLS, and its entry requires it: {error}",
                        "on the side of {name}: switch TLS on, to the port of dicom.tls_listen"},
    [ACCESS_CERTIFICATE] = {"its certificate does not count: {error}",
                            "on the side of {name}: the certificate that is entered here; or on this side: add its "
                            "authority to tls.authorities, or enter its fingerprint once you have compared it"},
    [ACCESS_PEER_LIMIT] = {"it has as many associations at once as it may: {error}",
                           "on this side: `hilum peer add {name} --limit N`; or on its side: fewer at once"},
    [ACCESS_TOTAL_LIMIT] = {"all places for associations were taken: {error}",
                            "on the side of whoever keeps them: end associations that are not used"},
};

static void tell_refusal(struct check *check, const struct access_caller *caller)
{
    char when[CLOCK_RFC3339_SIZE];
    check->names.error =
        arena_printf(check->arena, "%s at %s called %s %" PRIu64 " times, last at %s", caller->title, caller->address,
                     caller->called, caller->refused, clock_rfc3339(when, caller->refused_ns));
    check_say(check, "calls", CHECK_FAILED, refusals[caller->answer].said, refusals[caller->answer].remedy);
}

void check_caller(struct check *check, const struct access_caller *caller)
{
    tell_refusal(check, caller);
}

// Several entries may share an address, so the title tells; who calls by a title of no entry is a connection by
// himself.
static bool is_from(const struct access_caller *caller, const struct access_peer *peer)
{
    return strcmp(caller->peer, peer->name) == 0 || strcmp(caller->title, peer->title) == 0;
}

static const struct access_caller *last_admitted(const struct access_caller *callers, size_t count, const char *name)
{
    for (size_t i = 0; i < count; i++)
        if (callers[i].admitted_ns && strcmp(callers[i].peer, name) == 0)
            return &callers[i];
    return NULL;
}

// A refusal before its last success is over.
static void tell_calls(struct check *check, const struct access_peer *peer)
{
    struct access_caller *callers;
    struct error err;
    char when[CLOCK_RFC3339_SIZE];
    size_t count = 0;
    if (!access_callers(check->service->access, check->arena, &callers, &count, &err)) {
        check_fail(check, "calls", &err);
        return;
    }
    const struct access_caller *admitted = last_admitted(callers, count, peer->name);
    for (size_t i = 0; i < count; i++)
        if (is_from(&callers[i], peer) && callers[i].refused_ns > (admitted ? admitted->admitted_ns : 0)) {
            tell_refusal(check, &callers[i]);
            return;
        }
    check->names.error = admitted ? clock_rfc3339(when, admitted->admitted_ns) : "";
    if (admitted)
        check_say(check, "calls", CHECK_OK, "its last association was let in at {error}", "");
    else
        check_say(check, "calls", CHECK_UNKNOWN, "it has not called since this server started",
                  "on the side of {name}: send a C-ECHO to {ours}, then check again");
}

// Two senders of which one has no issuer: their patients' IDs are of one space.
static void tell_issuer(struct check *check, const struct access_peer *peer)
{
    struct access_peer *peers;
    struct error err;
    size_t count = 0, senders = 0;
    if (*peer->issuer)
        return;
    if (!access_peer_list(check->service->access, check->arena, &peers, &count, &err)) {
        check_fail(check, "issuer", &err);
        return;
    }
    for (size_t i = 0; i < count; i++)
        senders += (peers[i].rights & ACCESS_STORE) != 0;
    if (senders > 1)
        check_say(check, "issuer", CHECK_WARNING,
                  "{name} sends and has no issuer, and others send too: two sites' patient IDs would merge",
                  "on this side: `hilum peer add {name} --issuer` with the name of whoever gives out its patient IDs");
}

void check_deliveries(struct check *check, const char *kind, const char *target)
{
    struct queue_delivery_count *counts;
    struct error err;
    size_t count = 0;
    struct database *db = store_read_begin(check->service->store, &err);
    bool ok = db && queue_delivery_counts(db, check->arena, &counts, &count, &err);
    store_read_end(check->service->store, db);
    if (!ok)
        check_fail(check, "deliveries", &err);
    for (size_t i = 0; i < count; i++) {
        if (strcmp(counts[i].kind, kind) != 0 || strcmp(counts[i].target, target) != 0 || counts[i].count == 0)
            continue;
        check->names.error = arena_printf(check->arena, "%" PRId64, counts[i].count);
        if (counts[i].state == QUEUE_DELIVERY_DEAD)
            check_say(
                check, "deliveries", CHECK_WARNING, "{error} deliveries to {name} were given up",
                "on this side: Operation (or /api/deliveries?state=dead) says why; mend it, then send them again");
        else if (counts[i].state == QUEUE_DELIVERY_WAITING)
            check_say(check, "deliveries", CHECK_OK, "{error} deliveries to {name} wait", "");
    }
}

// A sender need not listen: that nothing does is no fault of who is only called by nobody.
void check_peer(struct check *check, const struct access_peer *peer)
{
    const struct check_target to = {peer->host, peer->port, peer->tls, peer->certificate};
    if (peer->rights & ACCESS_TARGET) {
        bool reached = check_reach(check, &to);
        if (reached && !dimse_service_may_call(peer))
            check_say(check, "TLS", CHECK_FAILED,
                      "its entry allows neither TLS nor that it is spoken with without, so nothing is sent to {name}",
                      "on this side: give the entry of {name} tls: required, or plain: accepted where the network "
                      "between may hear what is said");
        else if (reached)
            call(check, peer);
        if (check->test_object && reached)
            check_test_object(check, peer);
        else if (check->test_object)
            check_say(check, "test object", CHECK_UNKNOWN, "no test object was sent: {name} was not reached", "");
        check_deliveries(check, "dicom", peer->name);
    }
    if (peer->rights & (ACCESS_STORE | ACCESS_FIND | ACCESS_GET))
        tell_calls(check, peer);
    if (peer->rights & ACCESS_STORE)
        tell_issuer(check, peer);
}

// No message: each that is harmless is one too many in a production record.
void check_hl7(struct check *check, const struct flow_hl7_target *target)
{
    char fingerprint[TLS_FINGERPRINT_SIZE] = "";
    if (*target->certificate)
        tls_fingerprint(target->certificate, fingerprint);
    const struct check_target to = {target->host, target->port, strcmp(target->tls, "required") == 0, fingerprint};
    if (check_reach(check, &to))
        check_say(check, "answer", CHECK_UNKNOWN,
                  "no message is sent for a check; the next delivery shows whether {name} answers", "");
    struct heard_clock heard;
    for (size_t i = 0; heard_clock_at(check->service->heard, i, &heard); i++)
        if (strcmp(heard.who, target->name) == 0)
            check_clock_of(check, &heard, check_synchronised() == CHECK_OK);
    check_deliveries(check, "hl7", target->name);
}
