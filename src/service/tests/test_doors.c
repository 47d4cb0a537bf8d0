// Who may enter by which door: routes and services by roles and rights, and what a refusal leaves.
#include "support/check.h"
#include "support/folder.h"
#include "support/store.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "http/client.h"
#include "service/dimse/dimse_service.h"
#include "service/internal.h"

// Each door once more, cell by cell: who may, in the order of enum access_role.
static const struct {
    const char *how, *what;
    char may[ACCESS_ROLE_END + 1];
} routes[] = {
    // radiologist, resident, technologist, administrator, model owner, auditor, service
    {"GET", "/healthz", "xxxxxxx"},
    {"GET", "/metrics", "--xx--x"},
    {"GET", "/dicom-web/studies", "xxxx--x"},
    {"GET", "/dicom-web/series", "xxxx--x"},
    {"GET", "/dicom-web/instances", "xxxx--x"},
    {"GET", "/dicom-web/studies/{study}", "xxx---x"},
    {"GET", "/dicom-web/studies/{study}/metadata", "xxx---x"},
    {"GET", "/dicom-web/studies/{study}/series", "xxxx--x"},
    {"GET", "/dicom-web/studies/{study}/instances", "xxxx--x"},
    {"GET", "/dicom-web/studies/{study}/series/{series}", "xxx---x"},
    {"GET", "/dicom-web/studies/{study}/series/{series}/metadata", "xxx---x"},
    {"GET", "/dicom-web/studies/{study}/series/{series}/instances", "xxxx--x"},
    {"GET", "/dicom-web/studies/{study}/series/{series}/instances/{instance}", "xxx---x"},
    {"GET", "/dicom-web/studies/{study}/series/{series}/instances/{instance}/metadata", "xxx---x"},
    {"GET", "/dicom-web/studies/{study}/series/{series}/instances/{instance}/frames/{frames}", "xxx---x"},
    {"GET", "/dicom-web/studies/{study}/series/{series}/instances/{instance}/bulkdata/{path...}", "xxx---x"},
    {"GET", "/api/login", "xxxxxxx"},
    {"POST", "/api/login/first", "xxxxxxx"},
    {"GET", "/api/session", "xxxxxxx"},
    {"POST", "/api/session", "xxxxxxx"},
    {"GET", "/api/session/provider", "xxxxxxx"},
    {"GET", "/api/session/provider/callback", "xxxxxxx"},
    {"POST", "/api/session/break-glass", "xx-----"},
    {"DELETE", "/api/session", "xxxxxxx"},
    {"GET", "/api/accounts", "---x---"},
    {"PUT", "/api/accounts/{name}", "---x---"},
    {"DELETE", "/api/accounts/{name}", "---x---"},
    {"PUT", "/api/accounts/{name}/password", "xxxxxxx"},
    {"GET", "/api/provider", "---x---"},
    {"PUT", "/api/provider", "---x---"},
    {"DELETE", "/api/provider", "---x---"},
    {"GET", "/api/sessions", "---x---"},
    {"DELETE", "/api/sessions/{id}", "---x---"},
    {"GET", "/api/tokens", "---x---"},
    {"POST", "/api/tokens", "---x---"},
    {"DELETE", "/api/tokens/{name}", "---x---"},
    {"GET", "/api/status", "xxxxx-x"},
    {"GET", "/api/peers", "--xxx--"},
    {"PUT", "/api/peers/{name}", "---x---"},
    {"DELETE", "/api/peers/{name}", "---x---"},
    {"POST", "/api/peers/{name}/echo", "---x---"},
    {"GET", "/api/connections", "--xx--x"},
    {"POST", "/api/connections/{kind}/{name}/check", "---x---"},
    {"GET", "/api/labels", "xxxxx-x"},
    {"PUT", "/api/labels/{name}", "---x---"},
    {"DELETE", "/api/labels/{name}", "---x---"},
    {"GET", "/api/conflicts", "xxxx--x"},
    {"POST", "/api/conflicts/{id}/keep", "xx-----"},
    {"POST", "/api/conflicts/{id}/take", "xx-----"},
    {"GET", "/api/studies/{study}/flags", "xxxx--x"},
    {"GET", "/api/studies/{study}/labels", "xxxx--x"},
    {"PUT", "/api/studies/{study}/labels", "x--x---"},
    {"GET", "/api/flagged", "xxxx--x"},
    {"GET", "/api/worklist", "xxxx--x"},
    {"GET", "/api/worklist/{study}/read", "xxxx--x"},
    {"POST", "/api/worklist/{study}/read", "xx-----"},
    {"POST", "/api/worklist/{study}/unread", "xx-----"},
    {"GET", "/api/studies/{study}/findings", "xxxxx-x"},
    {"GET", "/api/studies/{study}/results", "xxxxx-x"},
    {"POST", "/api/studies/{study}/ask", "xx-----"},
    {"POST", "/api/findings/{id}/judge", "xx-----"},
    {"GET", "/api/jobs", "xxxxx-x"},
    {"GET", "/api/rules", "--xxx--"},
    {"PUT", "/api/rules/{name}", "---x---"},
    {"POST", "/api/rules/try", "---x---"},
    {"DELETE", "/api/rules/{name}", "---x---"},
    {"GET", "/api/hl7-targets", "--xxx--"},
    {"PUT", "/api/hl7-targets/{name}", "---x---"},
    {"DELETE", "/api/hl7-targets/{name}", "---x---"},
    {"GET", "/api/models", "--xxx--"},
    {"POST", "/api/models/rescan", "---xx--"},
    {"GET", "/api/audit", "---x-x-"},
    {"GET", "/api/audit/unknown", "---x-x-"},
    {"POST", "/api/audit/acknowledge", "---x---"},
    {"GET", "/api/deliveries", "--xx--x"},
    {"POST", "/api/deliveries/replay", "--xx---"},
    {"POST", "/api/deliveries/give-up", "--xx---"},
    {"POST", "/api/deliveries/{id}/give-up", "--xx---"},
    {"POST", "/api/deliveries/{id}/replay", "--xx---"},
    {"GET", "/api/quarantine", "--xx--x"},
    {"DELETE", "/api/quarantine/{number}", "---x---"},
    {"GET", "/api/backups", "--xx--x"},
    {"POST", "/api/backups", "---x---"},
    {"GET", "/api/events", "xxxx--x"},
    {"WS", "/api/events", "xxxx--x"},
    {"GET", "/fhir/{type}", "xxxx--x"},
    {"GET", "/fhir/{type}/{id}", "xxxx--x"},
    {"GET", "/", "xxxxxx-"},
    {"GET", "/assets/{path...}", "xxxxxx-"},
    {"POST", "/api/import", "--xx--x"},
};
enum { ROUTES = sizeof routes / sizeof *routes };

static void each_role_has_the_routes_of_its_table_and_no_other(void **state)
{
    (void)state;
    struct service_door door;
    for (size_t i = 0; i < ROUTES; i++) {
        assert_true(service_door(i, &door));
        assert_false(door.is_dimse);
        assert_string_equal(door.how, routes[i].how);
        assert_string_equal(door.what, routes[i].what);
        for (enum access_role role = 0; role < ACCESS_ROLE_END; role++)
            if (access_allows(&(struct access_subject){.roles = 1u << role}, door.action) !=
                (routes[i].may[role] == 'x'))
                fail_msg("%s: %s %s", access_role_words(role), door.how, door.what);
    }
    assert_null(service_routes[ROUTES].method); // a route without a row here is one that nobody looked at
}

static void each_service_of_dimse_takes_its_right_and_no_other(void **state)
{
    static const struct {
        const char *how, *what;
        unsigned rights;
    } services[] = {
        {"C-ECHO", DIMSE_VERIFICATION, ACCESS_STORE | ACCESS_FIND | ACCESS_GET | ACCESS_TARGET},
        {"C-STORE", NULL, ACCESS_STORE},
    };
    enum { SERVICES = sizeof services / sizeof *services };
    struct service_door door;
    (void)state;
    for (size_t i = 0; i < SERVICES; i++) {
        assert_true(service_door(ROUTES + i, &door));
        assert_true(door.is_dimse);
        assert_string_equal(door.how, services[i].how);
        assert_true(services[i].what ? strcmp(door.what, services[i].what) == 0 : !door.what);
        for (unsigned right = 1; right <= ACCESS_TARGET; right <<= 1)
            assert_int_equal(access_allows(&(struct access_subject){.rights = right}, door.action),
                             (services[i].rights & right) != 0);
    }
    assert_false(service_door(ROUTES + SERVICES, &door));
    assert_false(service_door((size_t)-1, &door));
}

static void what_was_agreed_on_for_one_class_is_no_leave_for_another(void **state)
{
    static const char ct[] = "1.2.840.10008.5.1.4.1.1.2";
    static const struct {
        uint16_t command;
        const char *context, *offer;
    } cases[] = {
        {DIMSE_C_ECHO_RQ, DIMSE_VERIFICATION, "C-ECHO"},        {DIMSE_C_STORE_RQ, ct, "C-STORE"},
        {DIMSE_C_STORE_RQ, DIMSE_VERIFICATION, NULL},           {DIMSE_C_ECHO_RQ, ct, NULL},
        {DIMSE_C_FIND_RQ, "1.2.840.10008.5.1.4.1.2.2.1", NULL}, {DIMSE_C_STORE_RSP, ct, NULL},
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct dimse_context context = {0};
        snprintf(context.abstract, sizeof context.abstract, "%s", cases[i].context);
        const struct dimse_message message = {.command = cases[i].command, .context = &context};
        const struct dimse_offer *offer = dimse_offer_of_message(&message);
        assert_string_equal(offer ? offer->name : "none", cases[i].offer ? cases[i].offer : "none");
    }
    assert_null(dimse_offer_of_class(ct, DIMSE_SCP)); // we send nothing on a peer's association
}

// ---- a refusal, over a real connection

struct place {
    char folder[256];
    struct service service;
    enum access_role role; // that whoever asks holds
    struct http_server *http;
};

static void answer(void *payload, struct http_request *request)
{
    (void)payload;
    const char *name = service_subject(request)->name;
    http_reply(request, 200, "text/plain", name, strlen(name));
}

static bool admit(void *payload, struct http_request *request, const struct http_route *route, struct error *err)
{
    struct place *place = payload;
    const struct access_subject subject = {.name = "anna", .address = "127.0.0.1", .roles = 1u << place->role};
    return service_admit_subject(&place->service, request, route, &subject, err);
}

static bool answered(void *payload, struct http_request *request, const struct http_route *route, int status,
                     struct error *err)
{
    struct place *place = payload;
    return service_audit_answer(&place->service, request, route, status, err);
}

static const struct http_route few[] = {
    {"GET", "/settings", answer, 0, false, ACCESS_TO_SEE_CONFIGURATION, SERVICE_AUDIT_NONE, ""},
    {"GET", "/studies/{study}", answer, 0, false, ACCESS_TO_QUERY, SERVICE_AUDIT_QUERY, ""},
    {"PUT", "/settings", answer, 100, false, ACCESS_TO_CONFIGURE, SERVICE_AUDIT_ROW, ""},
    {"GET", "/forgotten", answer, 0, false, 0, SERVICE_AUDIT_NONE, ""},
    {NULL, NULL, NULL, 0, false, 0, 0, NULL},
};

static int open_place(void **state)
{
    static const struct store_migration *const rooms[] = {&access_migration, NULL};
    struct error err;
    struct place *place = calloc(1, sizeof *place);
    assert_non_null(place);
    folder_make(place->folder, sizeof place->folder);
    place->service.store = open_store(place->folder, rooms, &err);
    assert_ok(place->service.store != NULL, err);
    place->service.access = access_open(place->service.store, place->folder, NULL, &err);
    assert_ok(place->service.access != NULL, err);
    // Nothing is decoded here.
    place->service.archive = archive_open(place->service.store, NULL, &err);
    assert_ok(place->service.archive != NULL, err);
    place->http = http_server_start(
        &(struct http_options){
            .host = "127.0.0.1", .routes = few, .payload = place, .admit = admit, .answered = answered},
        &err);
    assert_ok(place->http != NULL, err);
    *state = place;
    return 0;
}

static int close_place(void **state)
{
    struct place *place = *state;
    http_server_stop(place->http);
    archive_close(place->service.archive);
    access_close(place->service.access);
    store_close(place->service.store);
    folder_delete(place->folder);
    free(place);
    return 0;
}

static void ask(struct place *place, enum access_role role, const char *method, const char *path, int status,
                const char *part)
{
    char url[128];
    int got;
    struct buffer out;
    struct error err;
    place->role = role;
    snprintf(url, sizeof url, "http://127.0.0.1:%u%s", http_server_port(place->http), path);
    buffer_init(&out, 1 << 16);
    const struct http_call call = {.method = method, .url = url, .fd = -1, .timeout_ns = 10000000000};
    assert_ok(http_client_call(&call, &got, &out, &err), err);
    buffer_byte(&out, 0);
    assert_int_equal(got, status);
    assert_non_null(strstr((const char *)out.data, part));
    buffer_free(&out);
}

static char *trail(struct place *place)
{
    char path[300];
    struct error err;
    assert_ok(access_audit_flush(place->service.access, &err), err);
    snprintf(path, sizeof path, "%s/audit-00000001.log", place->folder);
    return load_file(path, NULL);
}

static void who_may_not_is_answered_403_with_who_and_what_and_leaves_a_line(void **state)
{
    struct place *place = *state;
    ask(place, ACCESS_ADMINISTRATOR, "GET", "/settings", 200, "anna");
    char *before = trail(place);
    assert_null(strstr(before, "anna")); // an answer that tells nothing of a patient leaves none
    ask(place, ACCESS_AUDITOR, "GET", "/settings", 403,
        "anna at 127.0.0.1 may not see the configuration; that takes the role technologist or administrator or model "
        "owner");
    ask(place, ACCESS_AUDITOR, "GET", "/studies/1.2.3", 403, "may not query patients and studies");
    ask(place, ACCESS_TECHNOLOGIST, "PUT", "/settings", 403, "may not change the configuration");
    char *after = trail(place);
    const char *line = strstr(after, "GET /settings: local program anna at 127.0.0.1 may not see the configuration");
    assert_non_null(line);
    assert_non_null(strstr(after, "GET /studies/1.2.3: local program anna"));
    assert_non_null(strstr(after, "PUT /settings: local program anna"));
    size_t refused = 0;
    for (const char *at = after; (at = strstr(at, "csd-code=\"110132\"")); at++) // Use of Restricted Function
        refused++;
    assert_int_equal(refused, 3);
    free(before);
    free(after);
}

static void a_route_that_names_no_action_is_open_to_nobody(void **state)
{
    struct place *place = *state;
    for (enum access_role role = 0; role < ACCESS_ROLE_END; role++)
        ask(place, role, "GET", "/forgotten", 403, "more than anybody has");
}

int test_doors(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_role_has_the_routes_of_its_table_and_no_other),
        cmocka_unit_test(each_service_of_dimse_takes_its_right_and_no_other),
        cmocka_unit_test(what_was_agreed_on_for_one_class_is_no_leave_for_another),
        cmocka_unit_test_setup_teardown(who_may_not_is_answered_403_with_who_and_what_and_leaves_a_line, open_place,
                                        close_place),
        cmocka_unit_test_setup_teardown(a_route_that_names_no_action_is_open_to_nobody, open_place, close_place),
    };
    return cmocka_run_group_tests_name("doors", tests, NULL, NULL);
}
