// /api/connections: what this server talks to and stands on, and what the last check of each said.
#include "service/check/check.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/text.h"
#include "service/oidc/oidc.h"

#define DEADLINE_NS (10 * CLOCK_SECOND)
enum { AT_ONCE = 4 };

// In memory: what was seen is of the moment, and a start looks anew.
struct checks {
    pthread_mutex_t lock;
    json_t *kept;                 // owned: {"kind/name": the object as it is answered}
    const char *running[AT_ONCE]; // the keys of those that run, their threads'; NULL: a free place
};

struct checks *checks_open(struct error *err)
{
    struct checks *checks = calloc(1, sizeof *checks);
    if (!checks || !(checks->kept = json_object())) {
        free(checks);
        error_set(err, ERROR_MEMORY, "no memory for checks");
        return NULL;
    }
    pthread_mutex_init(&checks->lock, NULL);
    return checks;
}

void checks_close(struct checks *checks)
{
    if (!checks)
        return;
    json_decref(checks->kept);
    pthread_mutex_destroy(&checks->lock);
    free(checks);
}

// ---- what there is to check

struct item {
    const char *kind, *name, *about;
    const char *entry;                    // the setting that says where it is; NULL: an entry of this name
    const struct access_peer *peer;       // of kind "peer"
    const struct flow_hl7_target *target; // of kind "hl7"
    const struct access_caller *caller;   // of kind "caller"
    const struct heard_foreign *foreign;  // likewise, who spoke another protocol
    void (*own)(struct check *check);     // of the others
};

static const struct item own[] = {
    {"server", "listeners", "where we listen", .own = check_server},
    {"tls", "certificate", "our certificate", .own = check_certificate},
    {"disk", "data", "the disk of the data folder", .own = check_disk},
    {"clock", "clock", "this machine's clock", .own = check_clock},
    {"audit", "collector", "the collector of the audit trail (audit.syslog)", .entry = "audit.syslog",
     .own = check_audit},
};
enum { OWN = sizeof own / sizeof *own };

struct items {
    struct item *list;
    size_t count;
};

static bool add(struct items *items, const struct item *item)
{
    if (!item->name || !item->about)
        return false;
    items->list[items->count++] = *item;
    return true;
}

static bool add_peer(struct items *items, const struct access_peer *peer, struct arena *arena)
{
    char at[SERVICE_ADDRESS_SIZE];
    return add(items, &(struct item){"peer", peer->name,
                                     arena_printf(arena, "%s at %s%s", peer->title,
                                                  text_show_host_port(at, sizeof at, peer->host, peer->port),
                                                  peer->tls ? ", TLS" : ""),
                                     .peer = peer});
}

static bool add_target(struct items *items, const struct flow_hl7_target *target, struct arena *arena)
{
    char at[SERVICE_ADDRESS_SIZE];
    return add(items, &(struct item){"hl7", target->name,
                                     arena_printf(arena, "HL7 at %s%s",
                                                  text_show_host_port(at, sizeof at, target->host, target->port),
                                                  strcmp(target->tls, "required") == 0 ? ", TLS" : ""),
                                     .target = target});
}

static bool is_entered(const struct access_caller *caller, const struct access_peer *peers, size_t count)
{
    for (size_t i = 0; i < count; i++)
        if (strcmp(caller->title, peers[i].title) == 0 || strcmp(caller->peer, peers[i].name) == 0)
            return true;
    return false;
}

// Who calls, is refused and has no entry: somebody waits for him.
static bool add_caller(struct items *items, const struct access_caller *caller, struct arena *arena)
{
    return add(items,
               &(struct item){"caller", arena_printf(arena, "%s at %s", caller->title, caller->address),
                              arena_printf(arena, "has no entry and calls %s", caller->called), .caller = caller});
}

static bool add_foreign(struct items *items, const struct heard_foreign *foreign, struct arena *arena)
{
    struct heard_foreign *kept = arena_alloc(arena, sizeof *kept);
    if (!kept)
        return false;
    *kept = *foreign;
    return add(items, &(struct item){"caller", arena_printf(arena, "%s: %s", kept->address, heard_speaks(kept->kind)),
                                     arena_printf(arena, "speaks %s", heard_speaks(kept->kind)), .foreign = kept});
}

static bool add_provider(struct items *items, const struct service *service, struct arena *arena)
{
    struct oidc *oidc = oidc_hold(service);
    bool ok =
        !oidc || add(items, &(struct item){"provider", "login",
                                           arena_printf(arena, "the identity provider %s", oidc_settings(oidc)->issuer),
                                           .entry = "the provider's issuer", .own = check_provider});
    oidc_release(oidc);
    return ok;
}

static bool has(const struct items *items, const char *kind, const char *name)
{
    for (size_t i = 0; i < items->count; i++)
        if (strcmp(items->list[i].kind, kind) == 0 && strcmp(items->list[i].name, name) == 0)
            return true;
    return false;
}

static bool is_there(const struct service *service, const struct item *item)
{
    return !item->entry || *config_text(service->config, item->entry);
}

static bool list_items(struct service *service, struct arena *arena, struct items *items, struct error *err)
{
    struct access_peer *peers;
    struct flow_hl7_target *targets;
    struct access_caller *callers;
    struct heard_foreign foreign;
    size_t peer_count = 0, target_count = 0, caller_count = 0, foreign_count = 0;
    if (!access_peer_list(service->access, arena, &peers, &peer_count, err) ||
        !flow_hl7_target_list(service->store, arena, &targets, &target_count, err) ||
        !access_callers(service->access, arena, &callers, &caller_count, err))
        return false;
    while (heard_foreign_at(service->heard, foreign_count, &foreign))
        foreign_count++;
    items->count = 0;
    items->list =
        arena_calloc(arena, OWN + 1 + peer_count + target_count + caller_count + foreign_count, sizeof *items->list);
    bool ok = items->list != NULL;
    for (size_t i = 0; ok && i < OWN; i++)
        if (is_there(service, &own[i]))
            ok = add(items, &own[i]);
    ok = ok && add_provider(items, service, arena);
    for (size_t i = 0; ok && i < peer_count; i++)
        ok = add_peer(items, &peers[i], arena);
    for (size_t i = 0; ok && i < target_count; i++)
        ok = add_target(items, &targets[i], arena);
    for (size_t i = 0; ok && i < caller_count; i++) {
        char name[2 * ACCESS_TITLE_SIZE + 64];
        snprintf(name, sizeof name, "%s at %s", callers[i].title, callers[i].address);
        if (callers[i].refused_ns > callers[i].admitted_ns && !is_entered(&callers[i], peers, peer_count) &&
            !has(items, "caller", name))
            ok = add_caller(items, &callers[i], arena);
    }
    for (size_t i = 0; ok && i < foreign_count && heard_foreign_at(service->heard, i, &foreign); i++)
        ok = add_foreign(items, &foreign, arena);
    return ok || error_set(err, ERROR_MEMORY, "no memory for the list of connections");
}

// ---- one check

static void name_all(struct check *check, const struct item *item)
{
    const char *host = item->peer ? item->peer->host : item->target ? item->target->host : "";
    uint16_t port = item->peer ? item->peer->port : item->target ? item->target->port : 0;
    char *address = arena_alloc(check->arena, SERVICE_ADDRESS_SIZE);
    if (address && *host)
        text_show_host_port(address, SERVICE_ADDRESS_SIZE, host, port);
    check->names = (struct check_names){
        .name = item->name,
        .entry = item->entry ? item->entry : arena_printf(check->arena, "the entry of %s", item->name),
        .title = item->peer ? item->peer->title : "",
        .host = host,
        .address = address && *host ? address : item->about,
        .ours = check->service->titles.list[0],
        .error = ""};
}

static void run(struct check *check, const struct item *item)
{
    name_all(check, item);
    if (item->peer)
        check_peer(check, item->peer);
    else if (item->target)
        check_hl7(check, item->target);
    else if (item->caller)
        check_caller(check, item->caller);
    else if (item->foreign)
        check_foreign(check, item->foreign);
    else
        item->own(check);
}

static json_t *to_json(const struct item *item, enum check_state state, json_t *steps, const char *checked)
{
    return json_pack("{s:s, s:s, s:s, s:s, s:o, s:s?}", "kind", item->kind, "name", item->name, "about", item->about,
                     "state", check_state_words[state], "steps", steps, "checked", checked);
}

// The same one twice would say the same, and others' time is theirs. On success *place is taken until leave.
static bool claim(struct checks *checks, const char *key, size_t *place, struct error *err)
{
    *place = AT_ONCE;
    for (size_t i = 0; i < AT_ONCE; i++) {
        if (!checks->running[i])
            *place = i;
        else if (strcmp(checks->running[i], key) == 0)
            return error_set(err, ERROR_BUSY, "%s is being checked: try again when that is done", key);
    }
    if (*place == AT_ONCE)
        return error_set(err, ERROR_BUSY, "%d checks run already: try again in some seconds", AT_ONCE);
    checks->running[*place] = key;
    return true;
}

static json_t *check_item(struct service *service, struct arena *arena, const struct item *item, bool test_object,
                          struct error *err)
{
    struct checks *checks = service->checks;
    struct check check = {.service = service,
                          .arena = arena,
                          .deadline_ns = clock_monotonic_ns() + DEADLINE_NS,
                          .test_object = test_object};
    const char *key = arena_printf(arena, "%s/%s", item->kind, item->name);
    char now[CLOCK_RFC3339_SIZE];
    size_t place;
    if (!key) {
        error_set(err, ERROR_MEMORY, "no memory for a check");
        return NULL;
    }
    pthread_mutex_lock(&checks->lock);
    bool free_place = claim(checks, key, &place, err);
    pthread_mutex_unlock(&checks->lock);
    if (!free_place)
        return NULL;
    check.steps = json_array();
    run(&check, item);
    json_t *out = to_json(item, check.state, check.steps, clock_rfc3339(now, clock_now_ns()));
    pthread_mutex_lock(&checks->lock);
    json_object_set(checks->kept, key, out);
    checks->running[place] = NULL;
    pthread_mutex_unlock(&checks->lock);
    return out;
}

// ---- the handlers

// What is no more is forgotten here, so that there is never more than there are connections. With the lock.
static json_t *list_kept(struct checks *checks, const struct items *items, struct arena *arena)
{
    json_t *out = json_array(), *still = json_object();
    for (size_t i = 0; i < items->count; i++) {
        const struct item *item = &items->list[i];
        const char *key = arena_printf(arena, "%s/%s", item->kind, item->name);
        json_t *kept = key ? json_object_get(checks->kept, key) : NULL;
        // An entry that says something else by now has not been checked.
        if (kept && strcmp(json_string_value(json_object_get(kept, "about")), item->about) != 0)
            kept = NULL;
        if (kept)
            json_object_set(still, key, kept);
        json_array_append_new(out, kept ? json_deep_copy(kept) : to_json(item, CHECK_UNKNOWN, json_array(), NULL));
    }
    json_decref(checks->kept);
    checks->kept = still;
    return out;
}

void api_connections(void *payload, struct http_request *request)
{
    struct service *service = payload;
    struct items items;
    struct error err;
    if (!list_items(service, http_arena(request), &items, &err)) {
        http_reply_error(request, &err);
        return;
    }
    pthread_mutex_lock(&service->checks->lock);
    json_t *out = list_kept(service->checks, &items, http_arena(request));
    pthread_mutex_unlock(&service->checks->lock);
    service_reply_json(request, 200, out);
}

static const struct item *find(const struct items *items, const char *kind, const char *name, struct error *err)
{
    for (size_t i = 0; i < items->count; i++)
        if (strcmp(items->list[i].kind, kind) == 0 && strcmp(items->list[i].name, name) == 0)
            return &items->list[i];
    error_set(err, ERROR_NOT_FOUND, "there is no connection %.40s '%.80s'; GET /api/connections lists them", kind,
              name);
    return NULL;
}

// An object is sent to whom we may send objects, and to nobody else.
static bool read_test_object(struct http_request *request, const struct item *item, bool *out, struct error *err)
{
    size_t size;
    http_body(request, &size);
    json_t *body = size > 0 ? service_read_json(request, "test_object", err) : json_object(); // nothing asks for none
    const json_t *member = json_object_get(body, "test_object");
    bool ok = body && (!member || json_is_boolean(member) ||
                       error_set(err, ERROR_BAD_VALUE, "test_object is neither true nor false"));
    *out = ok && json_is_true(member);
    json_decref(body);
    if (!*out || (item->peer && item->peer->rights & ACCESS_TARGET))
        return ok;
    return error_set(err, ERROR_BAD_VALUE, "a test object goes to a peer with the right target; %s %s has none",
                     item->kind, item->name);
}

json_t *checks_run(struct service *service, struct arena *arena, const char *kind, const char *name, struct error *err)
{
    struct items items;
    const struct item *item = list_items(service, arena, &items, err) ? find(&items, kind, name, err) : NULL;
    json_t *seen = item ? check_item(service, arena, item, false, err) : NULL, *copy = json_deep_copy(seen);
    json_decref(seen);
    if (seen && !copy)
        error_set(err, ERROR_MEMORY, "no memory for a check");
    return copy;
}

void api_connection_check(void *payload, struct http_request *request)
{
    struct error err;
    struct service *service = payload;
    struct items items;
    const struct item *item = list_items(service, http_arena(request), &items, &err)
                                  ? find(&items, http_path_part(request, "kind"), http_path_part(request, "name"), &err)
                                  : NULL;
    bool test_object = false;
    json_t *out = item && read_test_object(request, item, &test_object, &err)
                      ? check_item(service, http_arena(request), item, test_object, &err)
                      : NULL;
    if (!out) {
        http_reply_error(request, &err);
        return;
    }
    service_reply_json(request, 200, out);
}
