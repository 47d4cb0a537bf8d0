#include "access/access_internal.h"
#include "access/allow.h"
#include "access/label_row.h"

#include <arpa/inet.h>
#include <stdlib.h>
#include <string.h>

#include "base/buffer.h"
#include "base/clock.h"
#include "base/text.h"
#include "dicom/charset.h"

enum { PEERS_MAX = 4096, LIST_BYTES = 8 << 20 };

static const struct {
    const char *word;
    enum access_right right;
} rights[] = {{"store", ACCESS_STORE}, {"find", ACCESS_FIND}, {"get", ACCESS_GET}, {"target", ACCESS_TARGET}};

enum { RIGHT_COUNT = sizeof rights / sizeof *rights };

const char *access_right_word(enum access_right right)
{
    for (size_t i = 0; i < RIGHT_COUNT; i++)
        if (rights[i].right == right)
            return rights[i].word;
    return "";
}

// ---- what a value may be

void access_canonical(char out[ACCESS_ADDRESS_SIZE], const char *address, bool *numeric)
{
    struct in_addr v4;
    struct in6_addr v6;
    *numeric = true;
    if (inet_pton(AF_INET, address, &v4) == 1) {
        inet_ntop(AF_INET, &v4, out, ACCESS_ADDRESS_SIZE);
    } else if (inet_pton(AF_INET6, address, &v6) == 1) {
        if (IN6_IS_ADDR_V4MAPPED(&v6))
            inet_ntop(AF_INET, v6.s6_addr + 12, out, ACCESS_ADDRESS_SIZE);
        else
            inet_ntop(AF_INET6, &v6, out, ACCESS_ADDRESS_SIZE);
    } else {
        *numeric = false;
        text_copy(out, ACCESS_ADDRESS_SIZE, address);
    }
}

bool access_title_fits(const char *title, size_t size)
{
    bool letters = false;
    if (size == 0 || size >= ACCESS_TITLE_SIZE)
        return false;
    for (size_t i = 0; i < size; i++) {
        if (title[i] < 0x20 || title[i] > 0x7E || strchr("\\/*?", title[i]))
            return false;
        letters = letters || (title[i] != '.' && title[i] != ' ');
    }
    return letters && title[0] != ' ' && title[size - 1] != ' ';
}

static bool made_of(const char *text, const char *more)
{
    for (; *text; text++) {
        bool plain = (*text >= 'a' && *text <= 'z') || (*text >= 'A' && *text <= 'Z') || (*text >= '0' && *text <= '9');
        if (!plain && !strchr(more, *text))
            return false;
    }
    return true;
}

static bool issuer_fits(const char *text)
{
    for (const char *p = text; *p; p++)
        if ((unsigned char)*p < 0x20 || *p == 0x7F || *p == '\\')
            return false;
    return text_is_utf8(text, strlen(text));
}

static bool refuse(struct error *err, const char *what, const char *value, const char *rule)
{
    char shown[100];
    return error_set(err, ERROR_BAD_VALUE, "peer: %s \"%s\" %s", what,
                     text_show(shown, sizeof shown, value, strlen(value)), rule);
}

static bool check(const struct access_peer *peer, struct error *err)
{
    if (!peer->name[0] || !made_of(peer->name, "._-") || strchr("._-", peer->name[0]))
        return refuse(err, "name", peer->name, "must be letters, digits and ._- behind a letter or digit");
    if (!access_title_fits(peer->title, strlen(peer->title)))
        return refuse(err, "title", peer->title, "is no AE title: 1 to 16 printable ASCII characters without \\ / * ?");
    if (!peer->host[0] || !made_of(peer->host, ".-:%_") || peer->host[0] == '-')
        return refuse(err, "host", peer->host, "is neither an address nor a name");
    if (peer->rights == 0 || peer->rights >= 1u << RIGHT_COUNT)
        return refuse(err, "rights", "", "must be at least one of store, find, get, target");
    if (peer->port == 0 && (peer->rights & ACCESS_TARGET))
        return refuse(err, "port", "0", "must be 1 to 65535 for a target");
    if (!issuer_fits(peer->issuer))
        return refuse(err, "issuer", peer->issuer, "must be UTF-8 without control characters and \\");
    if (!dicom_charset_is_known(peer->charset))
        return refuse(err, "charset", peer->charset, "is no Specific Character Set, such as ISO_IR 100 or GB18030");
    if (peer->certificate[0] && !peer->tls)
        return refuse(err, "certificate", peer->certificate, "is looked at with tls: required only");
    if (peer->associations_max > ACCESS_ASSOCIATIONS_ALL)
        return error_set(err, ERROR_BAD_VALUE, "peer: associations_max %u is above %d", peer->associations_max,
                         ACCESS_ASSOCIATIONS_ALL);
    return true;
}

// ---- JSON

static json_t *rights_to_json(unsigned value)
{
    json_t *array = json_array();
    for (size_t i = 0; i < RIGHT_COUNT; i++)
        if (value & rights[i].right)
            json_array_append_new(array, json_string(rights[i].word));
    return array;
}

json_t *access_peer_to_json(const struct access_peer *peer)
{
    return json_pack("{s:s, s:s, s:s, s:i, s:o, s:s, s:s, s:s, s:s, s:I, s:s, s:s, s:o, s:o, s:I}", "name", peer->name,
                     "title", peer->title, "host", peer->host, "port", (int)peer->port, "rights",
                     rights_to_json(peer->rights), "plain", peer->plain_accepted ? "accepted" : "refused", "tls",
                     peer->tls ? "required" : "no", "certificate", peer->certificate, "issuer", peer->issuer,
                     "associations_max", (json_int_t)peer->associations_max, "charset", peer->charset, "versions",
                     peer->newest ? "newest" : "first", "labels", access_names_to_json(peer->labels), "puts",
                     access_names_to_json(peer->puts), "version", (json_int_t)peer->version);
}

struct text_place {
    char *to;
    size_t capacity;
};

static bool text_from(const json_t *value, const char *key, struct text_place place, struct error *err)
{
    if (!json_is_string(value))
        return error_set(err, ERROR_BAD_VALUE, "peer: %s must be a text", key);
    if (strlen(json_string_value(value)) != json_string_length(value) ||
        !text_copy(place.to, place.capacity, json_string_value(value)))
        return error_set(err, ERROR_BAD_VALUE, "peer: %s \"%.100s\" must be at most %zu characters, without NUL", key,
                         json_string_value(value), place.capacity - 1);
    return true;
}

static bool number_from(const json_t *value, const char *key, json_int_t most, json_int_t *out, struct error *err)
{
    if (!json_is_integer(value) || json_integer_value(value) < 0 || json_integer_value(value) > most)
        return error_set(err, ERROR_BAD_VALUE, "peer: %s must be a whole number from 0 to %lld", key, (long long)most);
    *out = json_integer_value(value);
    return true;
}

static bool right_from(const json_t *word, unsigned *out, struct error *err)
{
    const char *text = json_is_string(word) ? json_string_value(word) : "";
    for (size_t i = 0; i < RIGHT_COUNT; i++) {
        if (strcmp(rights[i].word, text) != 0)
            continue;
        *out |= rights[i].right;
        return true;
    }
    return refuse(err, "right", text, "is none of store, find, get, target");
}

static bool rights_from(const json_t *value, unsigned *out, struct error *err)
{
    size_t i;
    const json_t *word;
    if (!json_is_array(value))
        return error_set(err, ERROR_BAD_VALUE, "peer: rights must be a list of store, find, get, target");
    *out = 0;
    json_array_foreach(value, i, word)
    {
        if (!right_from(word, out, err))
            return false;
    }
    return true;
}

// One of two words; `yes` sets it.
static bool choice_from(const json_t *value, const char *key, const char *yes, const char *no, bool *out,
                        struct error *err)
{
    char rule[64];
    const char *text = json_is_string(value) ? json_string_value(value) : "";
    snprintf(rule, sizeof rule, "must be %s or %s", yes, no);
    *out = strcmp(text, yes) == 0;
    return *out || strcmp(text, no) == 0 || refuse(err, key, text, rule);
}

static bool certificate_from(const json_t *value, struct access_peer *out, struct error *err)
{
    const char *text = json_is_string(value) ? json_string_value(value) : "?";
    out->certificate[0] = '\0';
    return !*text || tls_fingerprint(text, out->certificate) ||
           refuse(err, "certificate", text,
                  "is no SHA-256 fingerprint: 64 hexadecimal digits, as `openssl x509 -noout "
                  "-fingerprint -sha256` prints them");
}

static bool member_from(const char *key, const json_t *value, struct access_peer *out, struct error *err)
{
    const struct {
        const char *key;
        struct text_place place;
    } texts[] = {
        {"name", {out->name, sizeof out->name}},          {"title", {out->title, sizeof out->title}},
        {"host", {out->host, sizeof out->host}},          {"issuer", {out->issuer, sizeof out->issuer}},
        {"charset", {out->charset, sizeof out->charset}},
    };
    json_int_t number = 0;
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++)
        if (strcmp(key, texts[i].key) == 0)
            return text_from(value, key, texts[i].place, err);
    if (strcmp(key, "rights") == 0)
        return rights_from(value, &out->rights, err);
    if (strcmp(key, "plain") == 0)
        return choice_from(value, key, "accepted", "refused", &out->plain_accepted, err);
    if (strcmp(key, "tls") == 0)
        return choice_from(value, key, "required", "no", &out->tls, err);
    if (strcmp(key, "certificate") == 0)
        return certificate_from(value, out, err);
    if (strcmp(key, "labels") == 0)
        return access_names_read(value, "peer: labels", out->labels, err);
    if (strcmp(key, "puts") == 0)
        return access_names_read(value, "peer: puts", out->puts, err);
    if (strcmp(key, "versions") == 0)
        return choice_from(value, key, "newest", "first", &out->newest, err);
    if (strcmp(key, "port") == 0) {
        bool ok = number_from(value, key, 65535, &number, err);
        out->port = (uint16_t)number;
        return ok;
    }
    if (strcmp(key, "associations_max") == 0) {
        bool ok = number_from(value, key, ACCESS_ASSOCIATIONS_ALL, &number, err);
        out->associations_max = (uint32_t)number;
        return ok;
    }
    if (strcmp(key, "version") == 0) {
        bool ok = number_from(value, key, INT64_MAX, &number, err);
        out->version = number;
        return ok;
    }
    return refuse(err, "key", key,
                  "is unknown: name, title, host, port, rights, plain, tls, certificate, issuer, associations_max, "
                  "charset, versions, labels, puts, version");
}

bool access_peer_from_json(const json_t *json, struct access_peer *out, struct error *err)
{
    struct access_peer peer = {0};
    const char *key;
    json_t *value;
    if (!json_is_object(json))
        return error_set(err, ERROR_BAD_VALUE, "a peer must be a JSON object");
    json_object_foreach((json_t *)json, key, value)
    {
        if (!member_from(key, value, &peer, err))
            return false;
    }
    if (!check(&peer, err))
        return false;
    *out = peer;
    return true;
}

// ---- the rows, and their copy in memory

static bool list(struct access *access, struct arena *arena, struct access_peer **out, size_t *count, struct error *err)
{
    struct database *db = store_read_begin(access->store, err);
    if (!db)
        return false;
    bool ok = access_sql_peer_list(db, arena, out, count, err);
    store_read_end(access->store, db);
    return ok;
}

static struct access_known *known_from(const struct access_peer *peers, size_t count, const struct access_label *labels,
                                       size_t label_count)
{
    struct access_known *known = calloc(count + 1, sizeof *known);
    for (size_t i = 0; known && i < count; i++) {
        char canonical[ACCESS_ADDRESS_SIZE];
        known[i].peer = peers[i];
        known[i].labels = label_bits_of(labels, label_count, peers[i].labels);
        access_canonical(canonical, peers[i].host, &known[i].numeric);
    }
    return known;
}

static bool reload(struct access *access, struct arena *arena, struct error *err)
{
    struct access_peer *peers;
    struct access_label *labels;
    size_t count, label_count;
    if (!list(access, arena, &peers, &count, err) || !access_label_list(access, arena, &labels, &label_count, err))
        return false;
    struct access_known *known = known_from(peers, count, labels, label_count);
    if (!known)
        return error_set(err, ERROR_MEMORY, "no memory for %zu peers", count);
    pthread_mutex_lock(&access->lock);
    struct access_known *old = access->known;
    access->known = known;
    access->known_count = count;
    access->known_version++;
    pthread_mutex_unlock(&access->lock);
    free(old);
    return true;
}

bool access_peers_reload(struct access *access, struct error *err)
{
    struct arena arena;
    arena_init(&arena, LIST_BYTES);
    pthread_mutex_lock(&access->reload_lock);
    bool ok = reload(access, &arena, err);
    pthread_mutex_unlock(&access->reload_lock);
    arena_free(&arena);
    return ok;
}

static bool change_write(struct database *db, void *payload, struct error *err)
{
    int64_t peers = 0;
    struct access_peer_change *change = payload;
    if (!access_sql_peer_change(db, change, err) || !access_sql_peer_count(db, &peers, err))
        return false;
    return peers <= PEERS_MAX || error_set(err, ERROR_LIMIT, "more than %d peers", PEERS_MAX);
}

static void audit_change(struct access *access, const struct access_peer_change *change)
{
    struct buffer detail;
    buffer_init(&detail, 16 << 10);
    buffer_printf(&detail, "peer %s %s, version %lld", change->name,
                  !change->peer       ? "removed"
                  : change->was_there ? "changed"
                                      : "set",
                  (long long)change->version);
    if (change->peer) {
        json_t *before = change->was_there ? access_peer_to_json(&change->before) : NULL;
        json_t *after = access_peer_to_json(change->peer);
        access_changes(&detail, before, after);
        json_decref(before);
        json_decref(after);
    }
    buffer_byte(&detail, '\0');
    access_audit_change(access, true, change->actor, detail.failed ? change->name : (const char *)detail.data,
                        change->now_ns);
    buffer_free(&detail);
}

static bool change(struct access *access, struct access_peer_change *wanted, struct error *err)
{
    wanted->now_ns = clock_now_ns();
    if (!store_write(access->store, STORE_DURABLE, change_write, wanted, err))
        return false;
    if (!wanted->changed)
        return true;
    audit_change(access, wanted);
    return access_peers_reload(access, err) || error_prefix(err, "peer %s is kept but not in force yet", wanted->name);
}

// ---- one address, one entry of a title

static struct access_known addresses_of(const struct access_peer *peer)
{
    struct access_known known = {.peer = *peer, .count = 1};
    access_canonical(known.addresses[0], peer->host, &known.numeric);
    if (!known.numeric)
        access_resolve(&known);
    return known;
}

static const char *shared_address(const struct access_known *a, const struct access_known *b)
{
    for (size_t i = 0; i < a->count; i++)
        for (size_t j = 0; j < b->count; j++)
            if (strcmp(a->addresses[i], b->addresses[j]) == 0)
                return a->addresses[i];
    return NULL;
}

// Two hosts spelled alike are refused with the row. A name is looked up only beside another entry of its title.
static bool is_apart(const struct access_peer *peer, const struct access_peer *others, size_t count, struct error *err)
{
    struct access_known own = {.count = 0};
    for (size_t i = 0; i < count; i++) {
        if (strcmp(others[i].title, peer->title) != 0 || strcmp(others[i].name, peer->name) == 0 ||
            strcmp(others[i].host, peer->host) == 0)
            continue;
        if (own.count == 0)
            own = addresses_of(peer);
        const struct access_known other = addresses_of(&others[i]);
        const char *shared = shared_address(&own, &other);
        if (shared)
            return error_set(err, ERROR_DUPLICATE,
                             "peer: title %s at %.60s is at the address %s, as the entry %s (%.60s) is: change that "
                             "one, or enter another title",
                             peer->title, peer->host, shared, others[i].name, others[i].host);
    }
    return true;
}

static bool stands_alone(struct access *access, const struct access_peer *peer, struct error *err)
{
    struct arena arena;
    struct access_peer *others;
    size_t count;
    arena_init(&arena, LIST_BYTES);
    bool ok = list(access, &arena, &others, &count, err) && is_apart(peer, others, count, err);
    arena_free(&arena);
    return ok;
}

bool access_peer_put(struct access *access, const struct access_peer *peer, const char *actor, struct error *err)
{
    char canonical[ACCESS_ADDRESS_SIZE];
    bool numeric;
    struct access_peer fit = *peer;
    if (!check(&fit, err))
        return false;
    access_canonical(canonical, fit.host, &numeric);
    if (numeric)
        text_copy(fit.host, sizeof fit.host, canonical);
    return stands_alone(access, &fit, err) &&
           change(access, &(struct access_peer_change){.peer = &fit, .name = fit.name, .actor = actor}, err);
}

bool access_peer_remove(struct access *access, const char *name, const char *actor, struct error *err)
{
    return change(access, &(struct access_peer_change){.name = name, .actor = actor}, err);
}

bool access_peer_get(struct access *access, const char *name, struct access_peer *out, struct error *err)
{
    bool found = false;
    struct database *db = store_read_begin(access->store, err);
    if (!db)
        return false;
    bool ok = access_sql_peer_get(db, name, out, &found, err);
    store_read_end(access->store, db);
    return ok && (found || error_set(err, ERROR_NOT_FOUND, "no peer is called %s", name));
}

bool access_peer_list(struct access *access, struct arena *arena, struct access_peer **out, size_t *count,
                      struct error *err)
{
    return list(access, arena, out, count, err);
}
