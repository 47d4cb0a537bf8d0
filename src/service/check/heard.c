// What others were heard to say by the way: another protocol than ours at one of our ports, and what time it is with
// them. In memory, for who looks why they do not talk.
#include "service/check/check.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/text.h"

enum { FOREIGN_MAX = 64, CLOCKS_MAX = 64 }; // past them the one heard of longest ago goes
#define TELL_AGAIN_NS (60 * CLOCK_SECOND)

static const struct {
    const char *speaks, *remedy;
} foreign_words[] = {
    [HEARD_HTTP_AT_DICOM] = {"HTTP to our DICOM port",
                             "on its side: the port of http.listen or http.tls_listen in place of the DICOM port"},
    [HEARD_TLS_AT_DICOM] = {"TLS to our DICOM port without TLS",
                            "on its side: the port of dicom.tls_listen; or on this side: configure it"},
    [HEARD_PLAIN_AT_TLS] = {"without TLS to our DICOM port of TLS",
                            "on its side: switch TLS on; or the port of dicom.listen, where its entry says plain: "
                            "accepted"},
    [HEARD_DICOM_AT_HTTP] = {"DICOM to our HTTP port",
                             "on its side: the port of dicom.listen (often 104 or 11112) in place of the HTTP port"},
    [HEARD_TLS_AT_HTTP] = {"TLS to our HTTP port without TLS",
                           "on its side: http:// in place of https://, or the port of http.tls_listen"},
    [HEARD_DICOM_AT_HTTPS] = {"DICOM to our HTTPS port", "on its side: the port of dicom.listen or dicom.tls_listen "
                                                         "(often 104, 11112 or 2762) in place of the HTTPS port"},
    [HEARD_HTTP_AT_HTTPS] = {"HTTP without TLS to our HTTPS port", "on its side: https:// in place of http://"},
};

struct heard {
    pthread_mutex_t lock;
    struct heard_foreign foreign[FOREIGN_MAX];
    size_t foreign_count;
    struct heard_clock clocks[CLOCKS_MAX];
    size_t clock_count;
    int64_t tell_ns[HEARD_END]; // monotonic: when the next line of this kind may be logged
    uint64_t untold[HEARD_END];
};

struct heard *heard_open(struct error *err)
{
    struct heard *heard = calloc(1, sizeof *heard);
    if (!heard) {
        error_set(err, ERROR_MEMORY, "no memory for what is heard");
        return NULL;
    }
    pthread_mutex_init(&heard->lock, NULL);
    return heard;
}

void heard_close(struct heard *heard)
{
    if (!heard)
        return;
    pthread_mutex_destroy(&heard->lock);
    free(heard);
}

// ---- another protocol

const char *heard_speaks(enum heard_kind kind)
{
    return foreign_words[kind].speaks;
}

// With the lock.
static struct heard_foreign *row_of(struct heard *heard, enum heard_kind kind, const char *address)
{
    struct heard_foreign *oldest = heard->foreign;
    for (size_t i = 0; i < heard->foreign_count; i++) {
        struct heard_foreign *row = &heard->foreign[i];
        if (row->kind == kind && strcmp(row->address, address) == 0)
            return row;
        if (row->last_ns < oldest->last_ns)
            oldest = row;
    }
    struct heard_foreign *row = heard->foreign_count < FOREIGN_MAX ? &heard->foreign[heard->foreign_count++] : oldest;
    *row = (struct heard_foreign){.kind = kind};
    text_copy(row->address, sizeof row->address, address);
    return row;
}

void heard_foreign(struct heard *heard, enum heard_kind kind, const char *address)
{
    int64_t now_ns = clock_monotonic_ns();
    uint64_t untold = 0;
    pthread_mutex_lock(&heard->lock);
    struct heard_foreign *row = row_of(heard, kind, address);
    row->count++;
    row->last_ns = clock_now_ns();
    bool tells = now_ns >= heard->tell_ns[kind];
    if (tells) {
        untold = heard->untold[kind];
        heard->untold[kind] = 0;
        heard->tell_ns[kind] = now_ns + TELL_AGAIN_NS;
    } else {
        heard->untold[kind]++;
    }
    pthread_mutex_unlock(&heard->lock);
    if (tells)
        log_warning("service", "%s speaks %s; %s (%" PRIu64 " more since it was told last)", address,
                    foreign_words[kind].speaks, foreign_words[kind].remedy, untold);
}

bool heard_foreign_at(struct heard *heard, size_t index, struct heard_foreign *out)
{
    pthread_mutex_lock(&heard->lock);
    bool there = index < heard->foreign_count;
    if (there)
        *out = heard->foreign[index];
    pthread_mutex_unlock(&heard->lock);
    return there;
}

void check_foreign(struct check *check, const struct heard_foreign *foreign)
{
    char when[CLOCK_RFC3339_SIZE];
    check->names.error =
        arena_printf(check->arena, "%s spoke %s %" PRIu64 " times, last at %s", foreign->address,
                     foreign_words[foreign->kind].speaks, foreign->count, clock_rfc3339(when, foreign->last_ns));
    check_say(check, "calls", CHECK_FAILED, "{error}", foreign_words[foreign->kind].remedy);
}

// ---- what time it is

void heard_time(struct heard *heard, const char *who, int64_t said_ns, int64_t ours_ns)
{
    pthread_mutex_lock(&heard->lock);
    size_t at = 0, oldest = 0;
    while (at < heard->clock_count && strcmp(heard->clocks[at].who, who) != 0) {
        if (heard->clocks[at].ours_ns < heard->clocks[oldest].ours_ns)
            oldest = at;
        at++;
    }
    if (at == CLOCKS_MAX)
        at = oldest;
    else if (at == heard->clock_count)
        heard->clock_count++;
    heard->clocks[at] = (struct heard_clock){.said_ns = said_ns, .ours_ns = ours_ns};
    text_copy(heard->clocks[at].who, sizeof heard->clocks[at].who, who);
    pthread_mutex_unlock(&heard->lock);
}

bool heard_clock_at(struct heard *heard, size_t index, struct heard_clock *out)
{
    pthread_mutex_lock(&heard->lock);
    bool there = index < heard->clock_count;
    if (there)
        *out = heard->clocks[index];
    pthread_mutex_unlock(&heard->lock);
    return there;
}

void check_clock_of(struct check *check, const struct heard_clock *heard, bool ours_is_synchronised)
{
    char theirs[CLOCK_RFC3339_SIZE], ours[CLOCK_RFC3339_SIZE];
    int64_t off_ns = heard->said_ns - heard->ours_ns;
    bool off = off_ns > HEARD_CLOCK_OFF_NS || off_ns < -HEARD_CLOCK_OFF_NS;
    check->names.error =
        arena_printf(check->arena, "%s said that it was %s (MSH-7) when it was %s here: %" PRId64 " s %s", heard->who,
                     clock_rfc3339(theirs, heard->said_ns), clock_rfc3339(ours, heard->ours_ns),
                     (off_ns < 0 ? -off_ns : off_ns) / CLOCK_SECOND, off_ns < 0 ? "behind" : "ahead");
    if (!off)
        check_say(check, "clock of others", CHECK_OK, "{error}", "");
    else
        check_say(check, "clock of others", CHECK_WARNING, "{error}",
                  ours_is_synchronised
                      ? "on its side: let its clock be synchronised, and MSH-7 say its zone; ours is"
                      : "on this side: nothing synchronises our clock, so it may be ours that is wrong: chrony or "
                        "systemd-timesyncd; or on its side, likewise");
}
