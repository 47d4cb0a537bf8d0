// Admission of associations: who it is (titles, address, entry), then how many there are already.
#include "access/access_internal.h"

#include <netdb.h>
#include <string.h>
#include <sys/socket.h>

#include "base/clock.h"
#include "base/text.h"

#define RESOLVE_AGAIN_NS (60 * CLOCK_SECOND)

const char *access_answer_words(enum access_answer answer)
{
    static const char *const texts[] = {
        [ACCESS_ADMITTED] = "admitted",
        [ACCESS_CALLED_UNKNOWN] = "called AE title is none of ours",
        [ACCESS_CALLING_UNKNOWN] = "no peer entry for this title and address",
        [ACCESS_NOT_PLAIN] = "the peer's entry does not say plain: accepted",
        [ACCESS_NOT_TLS] = "the peer's entry says tls: required, and it came without",
        [ACCESS_CERTIFICATE] = "the peer's certificate does not count",
        [ACCESS_PEER_LIMIT] = "too many associations of this title and address",
        [ACCESS_TOTAL_LIMIT] = "too many associations in all",
    };
    return texts[answer];
}

bool access_address_is_loopback(const char *address)
{
    char canonical[ACCESS_ADDRESS_SIZE];
    bool numeric;
    access_canonical(canonical, address, &numeric);
    return numeric && (text_starts(canonical, "127.") || strcmp(canonical, "::1") == 0);
}

// ---- the entry

static void keep_address(struct access_known *known, const struct sockaddr *address, socklen_t size)
{
    char text[ACCESS_ADDRESS_SIZE];
    bool numeric;
    if (known->count == ACCESS_RESOLVED_MAX ||
        getnameinfo(address, size, text, sizeof text, NULL, 0, NI_NUMERICHOST) != 0)
        return;
    access_canonical(known->addresses[known->count++], text, &numeric);
}

void access_resolve(struct access_known *known)
{
    struct addrinfo *list = NULL;
    known->count = 0;
    if (getaddrinfo(known->peer.host, NULL, &(struct addrinfo){.ai_socktype = SOCK_STREAM}, &list) != 0)
        return;
    for (struct addrinfo *at = list; at; at = at->ai_next)
        keep_address(known, at->ai_addr, at->ai_addrlen);
    freeaddrinfo(list);
}

// Threads' clocks were read at slightly different times; only one that was set back makes an answer old from the other
// side.
static bool stale(const struct access_known *known, int64_t now_ns)
{
    int64_t age = now_ns - known->resolved_ns;
    return !known->numeric && (!known->resolved || age >= RESOLVE_AGAIN_NS || age <= -RESOLVE_AGAIN_NS);
}

// With access->lock. The first by name whose title is `title` and whose name must be looked up again.
static bool find_stale(struct access *access, const char *title, int64_t now_ns, size_t *index)
{
    for (*index = 0; *index < access->known_count; ++*index) {
        const struct access_known *known = &access->known[*index];
        if (strcmp(known->peer.title, title) == 0 && stale(known, now_ns))
            return true;
    }
    return false;
}

// Looks names up on this association's thread, without the lock. At most once a minute for an entry, so that it costs
// the others nothing.
static void resolve_title(struct access *access, const char *title, int64_t now_ns)
{
    size_t index;
    pthread_mutex_lock(&access->lock);
    bool wanted = find_stale(access, title, now_ns, &index);
    pthread_mutex_unlock(&access->lock);
    if (!wanted)
        return;
    pthread_mutex_lock(&access->resolve_lock);
    pthread_mutex_lock(&access->lock);
    while (find_stale(access, title, now_ns, &index)) {
        struct access_known copy = access->known[index];
        uint64_t version = access->known_version;
        pthread_mutex_unlock(&access->lock);
        access_resolve(&copy);
        copy.resolved = true;
        copy.resolved_ns = now_ns;
        pthread_mutex_lock(&access->lock);
        if (version == access->known_version)
            access->known[index] = copy;
    }
    pthread_mutex_unlock(&access->lock);
    pthread_mutex_unlock(&access->resolve_lock);
}

static bool matches(const struct access_known *known, const char *title, const char *address)
{
    if (strcmp(known->peer.title, title) != 0)
        return false;
    if (known->numeric)
        return strcmp(known->peer.host, address) == 0;
    for (size_t i = 0; i < known->count; i++)
        if (strcmp(known->addresses[i], address) == 0)
            return true;
    return false;
}

// How may it come that has this entry? Over TLS with the right certificate; plain where the entry allows it, and from
// this machine.
static enum access_answer check_wire(const struct access_peer *peer, bool loopback, const struct tls_peer *shown,
                                     struct error *why)
{
    if (shown)
        return tls_judge(shown, peer->certificate, why) ? ACCESS_ADMITTED : ACCESS_CERTIFICATE;
    if (peer->tls)
        return ACCESS_NOT_TLS;
    return loopback || peer->plain_accepted ? ACCESS_ADMITTED : ACCESS_NOT_PLAIN;
}

// What an entry asks of the wire or puts on what comes must not be got round by another entry of the same address.
static int strictness(const struct access_known *known)
{
    return 4 * known->peer.tls + 2 * (known->peer.puts[0] != '\0') + known->numeric;
}

// With access->lock. The strictest of those that match; NULL: none does.
static const struct access_known *find_entry(const struct access *access, const char *title, const char *address)
{
    const struct access_known *found = NULL;
    for (size_t i = 0; i < access->known_count; i++) {
        const struct access_known *known = &access->known[i];
        if (matches(known, title, address) && (!found || strictness(known) > strictness(found)))
            found = known;
    }
    return found;
}

// With access->lock. Any user of this machine can call from loopback, so a title whose entry wants TLS or puts labels
// is that entry's there too.
static bool title_is_free(const struct access *access, const char *title, const char *address, struct error *why)
{
    for (size_t i = 0; i < access->known_count; i++) {
        const struct access_peer *peer = &access->known[i].peer;
        if (strcmp(peer->title, title) != 0 || (!peer->tls && !peer->puts[0]))
            continue;
        return error_set(why, ERROR_FORBIDDEN,
                         "the title %s is that of the entry %s at %.60s, which %s: from %s it needs an entry of its "
                         "own, or another title",
                         title, peer->name, peer->host, peer->tls ? "wants TLS" : "puts labels on what it sends",
                         address);
    }
    return true;
}

// With access->lock. The entry, or one made up for loopback.
static enum access_answer identify(const struct access *access, const char *title, const char *address,
                                   const struct tls_peer *shown, struct access_ticket *ticket, struct error *why)
{
    struct access_peer *out = &ticket->peer;
    bool loopback = access_address_is_loopback(address);
    const struct access_known *known = find_entry(access, title, address);
    if (known) {
        *out = known->peer;
        ticket->labels = known->labels;
        return check_wire(out, loopback, shown, why);
    }
    if (!loopback || !title_is_free(access, title, address, why))
        return ACCESS_CALLING_UNKNOWN;
    *out = (struct access_peer){.rights = ACCESS_STORE | ACCESS_FIND | ACCESS_GET};
    text_copy(out->title, sizeof out->title, title);
    text_copy(out->host, sizeof out->host, address);
    return ACCESS_ADMITTED;
}

// ---- the counts

static struct access_count *find_count(struct access *access, const char *title, const char *address)
{
    for (size_t i = 0; i < access->count_rows; i++)
        if (strcmp(access->counts[i].title, title) == 0 && strcmp(access->counts[i].address, address) == 0)
            return &access->counts[i];
    return NULL;
}

static struct access_count *add_count(struct access *access, const char *title, const char *address)
{
    struct access_count *row = &access->counts[access->count_rows++];
    *row = (struct access_count){0};
    text_copy(row->title, sizeof row->title, title);
    text_copy(row->address, sizeof row->address, address);
    return row;
}

static bool has_entry(const struct access_peer *peer)
{
    return peer->name[0] != '\0';
}

// With access->lock.
static enum access_answer count_in(struct access *access, const struct access_ticket *ticket)
{
    const struct access_peer *peer = &ticket->peer;
    uint32_t most = peer->associations_max ? peer->associations_max : ACCESS_ASSOCIATIONS_PER_PEER;
    struct access_count *row = find_count(access, peer->title, ticket->address);
    if (row && row->count >= most)
        return ACCESS_PEER_LIMIT;
    if (!has_entry(peer) && access->without_entry >= ACCESS_ASSOCIATIONS_WITHOUT_ENTRY)
        return ACCESS_PEER_LIMIT;
    if (access->total >= ACCESS_ASSOCIATIONS_ALL)
        return ACCESS_TOTAL_LIMIT;
    if (!row)
        row = add_count(access, peer->title, ticket->address);
    row->count++;
    access->total++;
    access->without_entry += !has_entry(peer);
    return ACCESS_ADMITTED;
}

void access_leave(struct access *access, const struct access_ticket *ticket)
{
    pthread_mutex_lock(&access->lock);
    struct access_count *row = find_count(access, ticket->peer.title, ticket->address);
    if (row) {
        if (--row->count == 0)
            *row = access->counts[--access->count_rows];
        access->total--;
        access->without_entry -= !has_entry(&ticket->peer);
    }
    pthread_mutex_unlock(&access->lock);
}

// ---- both

// Titles come padded with spaces.
static bool clean_title(char out[ACCESS_TITLE_SIZE], const char *title)
{
    size_t size = strnlen(title, 4 * ACCESS_TITLE_SIZE);
    text_trim(&title, &size);
    return access_title_fits(title, size) && text_copy_n(out, ACCESS_TITLE_SIZE, title, size);
}

static bool is_ours(const char *const *titles, const char *called)
{
    char clean[ACCESS_TITLE_SIZE];
    if (!clean_title(clean, called))
        return false;
    for (; *titles; titles++)
        if (strcmp(*titles, clean) == 0)
            return true;
    return false;
}

static enum access_answer admit(struct access *access, const char *title, const struct tls_peer *shown, int64_t now_ns,
                                struct access_ticket *ticket)
{
    struct error why = {.code = ERROR_NONE};
    resolve_title(access, title, now_ns);
    pthread_mutex_lock(&access->lock);
    enum access_answer answer = identify(access, title, ticket->address, shown, ticket, &why);
    if (why.code != ERROR_NONE)
        text_copy(ticket->why, sizeof ticket->why, why.message);
    if (answer == ACCESS_ADMITTED)
        answer = count_in(access, ticket);
    // One without an entry may show any certificate.
    if (answer == ACCESS_ADMITTED && shown && has_entry(&ticket->peer))
        text_copy(ticket->certificate, sizeof ticket->certificate, shown->fingerprint);
    pthread_mutex_unlock(&access->lock);
    return answer;
}

static void audit_refusal(struct access *access, const char *calling, const struct access_ticket *ticket,
                          int64_t now_ns)
{
    access_audit(access,
                 &(struct access_record){.event = ACCESS_EVENT_ASSOCIATION,
                                         .success = false,
                                         .actor = calling,
                                         .address = ticket->address,
                                         .patient = "",
                                         .study = "",
                                         .detail = ticket->why},
                 now_ns);
}

enum access_answer access_admit(struct access *access, const char *const *titles, const char *called,
                                const char *calling, const char *address, const struct tls_peer *shown, int64_t now_ns,
                                struct access_ticket *ticket)
{
    char title[ACCESS_TITLE_SIZE];
    bool numeric;
    enum access_answer answer;
    *ticket = (struct access_ticket){0};
    access_canonical(ticket->address, address, &numeric);
    if (!is_ours(titles, called))
        answer = ACCESS_CALLED_UNKNOWN;
    else if (!clean_title(title, calling))
        answer = ACCESS_CALLING_UNKNOWN;
    else
        answer = admit(access, title, shown, now_ns, ticket);
    if (answer != ACCESS_ADMITTED && !ticket->why[0])
        text_copy(ticket->why, sizeof ticket->why, access_answer_words(answer));
    if (answer != ACCESS_ADMITTED)
        audit_refusal(access, calling, ticket, now_ns);
    access_note_call(access, called, calling, ticket, answer, now_ns);
    return answer;
}
