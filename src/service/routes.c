// Every path the server answers, in one place; WS is what a GET becomes that asks for a WebSocket (http.h).
// docs/openapi.json describes those under /api. The columns behind the body's say what a subject must be allowed to do
// (access/allow.h), which line an answer leaves in the audit trail (audit.c), and which query parameters the route
// knows: NULL where they are DICOMweb's, FHIR's or an identity provider's, or nothing is asked for.
#include "service/internal.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/text.h"

enum { BODY_JSON = 1 << 20, BODY_FILE_GB = 64 };

#define STUDY "/dicom-web/studies/{study}"
#define SERIES STUDY "/series/{series}"
#define INSTANCE SERIES "/instances/{instance}"

// A row without its action, or its line in the audit trail, does not compile.
#pragma GCC diagnostic error "-Wmissing-field-initializers"
const struct http_route service_routes[] = {
    {"GET", "/healthz", api_health, 0, false, ACCESS_TO_SEE_HEALTH, SERVICE_AUDIT_NONE, NULL},
    {"GET", "/metrics", api_metrics, 0, false, ACCESS_TO_SEE_OPERATION, SERVICE_AUDIT_NONE, NULL},
    {"GET", "/dicom-web/studies", qido_studies, 0, false, ACCESS_TO_QUERY, SERVICE_AUDIT_QUERY, NULL},
    {"GET", "/dicom-web/series", qido_series, 0, false, ACCESS_TO_QUERY, SERVICE_AUDIT_QUERY, NULL},
    {"GET", "/dicom-web/instances", qido_instances, 0, false, ACCESS_TO_QUERY, SERVICE_AUDIT_QUERY, NULL},
    {"GET", STUDY, wado_retrieve, 0, false, ACCESS_TO_RETRIEVE, SERVICE_AUDIT_RETRIEVED, NULL},
    {"GET", STUDY "/metadata", wado_metadata, 0, false, ACCESS_TO_RETRIEVE, SERVICE_AUDIT_RETRIEVED, NULL},
    {"GET", STUDY "/series", qido_series, 0, false, ACCESS_TO_QUERY, SERVICE_AUDIT_QUERY, NULL},
    {"GET", STUDY "/instances", qido_instances, 0, false, ACCESS_TO_QUERY, SERVICE_AUDIT_QUERY, NULL},
    {"GET", SERIES, wado_retrieve, 0, false, ACCESS_TO_RETRIEVE, SERVICE_AUDIT_RETRIEVED, NULL},
    {"GET", SERIES "/metadata", wado_metadata, 0, false, ACCESS_TO_RETRIEVE, SERVICE_AUDIT_RETRIEVED, NULL},
    {"GET", SERIES "/instances", qido_instances, 0, false, ACCESS_TO_QUERY, SERVICE_AUDIT_QUERY, NULL},
    {"GET", INSTANCE, wado_retrieve, 0, false, ACCESS_TO_RETRIEVE, SERVICE_AUDIT_RETRIEVED, NULL},
    {"GET", INSTANCE "/metadata", wado_metadata, 0, false, ACCESS_TO_RETRIEVE, SERVICE_AUDIT_RETRIEVED, NULL},
    {"GET", INSTANCE "/frames/{frames}", wado_frames, 0, false, ACCESS_TO_RETRIEVE, SERVICE_AUDIT_RETRIEVED, NULL},
    {"GET", INSTANCE "/bulkdata/{path...}", wado_bulkdata, 0, false, ACCESS_TO_RETRIEVE, SERVICE_AUDIT_RETRIEVED, NULL},
    {"GET", "/api/login", api_login, 0, false, ACCESS_TO_LOG_IN, SERVICE_AUDIT_NONE, ""},
    {"POST", "/api/login/first", api_first, BODY_JSON, false, ACCESS_TO_LOG_IN, SERVICE_AUDIT_NONE, ""},
    {"GET", "/api/session", api_session, 0, false, ACCESS_TO_LOG_IN, SERVICE_AUDIT_NONE, ""},
    {"POST", "/api/session", api_session_post, BODY_JSON, false, ACCESS_TO_LOG_IN, SERVICE_AUDIT_NONE, ""},
    {"GET", "/api/session/provider", oidc_begin, 0, false, ACCESS_TO_LOG_IN, SERVICE_AUDIT_NONE, ""},
    {"GET", "/api/session/provider/callback", oidc_callback, 0, false, ACCESS_TO_LOG_IN, SERVICE_AUDIT_NONE, NULL},
    {"POST", "/api/session/break-glass", api_emergency, BODY_JSON, false, ACCESS_TO_JUDGE, SERVICE_AUDIT_ROW, ""},
    {"DELETE", "/api/session", api_session_delete, 0, false, ACCESS_TO_LOG_IN, SERVICE_AUDIT_NONE, ""},
    {"GET", "/api/accounts", api_accounts, 0, false, ACCESS_TO_MANAGE_ACCOUNTS, SERVICE_AUDIT_NONE, ""},
    {"PUT", "/api/accounts/{name}", api_account_put, BODY_JSON, false, ACCESS_TO_MANAGE_ACCOUNTS, SERVICE_AUDIT_ROW,
     ""},
    {"DELETE", "/api/accounts/{name}", api_account_delete, 0, false, ACCESS_TO_MANAGE_ACCOUNTS, SERVICE_AUDIT_ROW, ""},
    {"PUT", "/api/accounts/{name}/password", api_password, BODY_JSON, false, ACCESS_TO_LOG_IN, SERVICE_AUDIT_ROW, ""},
    {"GET", "/api/provider", api_provider, 0, false, ACCESS_TO_MANAGE_ACCOUNTS, SERVICE_AUDIT_NONE, ""},
    {"PUT", "/api/provider", api_provider_put, BODY_JSON, false, ACCESS_TO_MANAGE_ACCOUNTS, SERVICE_AUDIT_ROW, ""},
    {"DELETE", "/api/provider", api_provider_delete, 0, false, ACCESS_TO_MANAGE_ACCOUNTS, SERVICE_AUDIT_ROW, ""},
    {"GET", "/api/sessions", api_sessions, 0, false, ACCESS_TO_MANAGE_ACCOUNTS, SERVICE_AUDIT_NONE, ""},
    {"DELETE", "/api/sessions/{id}", api_sessions_delete, 0, false, ACCESS_TO_MANAGE_ACCOUNTS, SERVICE_AUDIT_ROW, ""},
    {"GET", "/api/tokens", api_tokens, 0, false, ACCESS_TO_MANAGE_ACCOUNTS, SERVICE_AUDIT_NONE, ""},
    {"POST", "/api/tokens", api_token_make, BODY_JSON, false, ACCESS_TO_MANAGE_ACCOUNTS, SERVICE_AUDIT_ROW, ""},
    {"DELETE", "/api/tokens/{name}", api_token_delete, 0, false, ACCESS_TO_MANAGE_ACCOUNTS, SERVICE_AUDIT_ROW, ""},
    {"GET", "/api/status", api_status, 0, false, ACCESS_TO_SEE_STATUS, SERVICE_AUDIT_NONE, ""},
    {"GET", "/api/peers", api_peers, 0, false, ACCESS_TO_SEE_CONFIGURATION, SERVICE_AUDIT_NONE, ""},
    {"PUT", "/api/peers/{name}", api_peer_put, BODY_JSON, false, ACCESS_TO_CONFIGURE, SERVICE_AUDIT_ROW, ""},
    {"DELETE", "/api/peers/{name}", api_peer_delete, 0, false, ACCESS_TO_CONFIGURE, SERVICE_AUDIT_ROW, ""},
    {"POST", "/api/peers/{name}/echo", api_peer_echo, BODY_JSON, false, ACCESS_TO_OPERATE, SERVICE_AUDIT_NODE, ""},
    {"GET", "/api/connections", api_connections, 0, false, ACCESS_TO_SEE_OPERATION, SERVICE_AUDIT_NONE, ""},
    {"POST", "/api/connections/{kind}/{name}/check", api_connection_check, BODY_JSON, false, ACCESS_TO_OPERATE,
     SERVICE_AUDIT_NODE, ""},
    {"GET", "/api/labels", api_labels, 0, false, ACCESS_TO_SEE_STATUS, SERVICE_AUDIT_NONE, ""},
    {"PUT", "/api/labels/{name}", api_label_put, BODY_JSON, false, ACCESS_TO_CONFIGURE, SERVICE_AUDIT_ROW, ""},
    {"DELETE", "/api/labels/{name}", api_label_delete, 0, false, ACCESS_TO_CONFIGURE, SERVICE_AUDIT_ROW, ""},
    {"GET", "/api/conflicts", api_conflicts, 0, false, ACCESS_TO_QUERY, SERVICE_AUDIT_QUERY,
     "limit offset study state"},
    {"POST", "/api/conflicts/{id}/keep", api_conflict_keep, BODY_JSON, false, ACCESS_TO_JUDGE, SERVICE_AUDIT_JUDGED,
     ""},
    {"POST", "/api/conflicts/{id}/take", api_conflict_take, BODY_JSON, false, ACCESS_TO_JUDGE, SERVICE_AUDIT_JUDGED,
     ""},
    {"GET", "/api/studies/{study}/flags", api_study_flags, 0, false, ACCESS_TO_QUERY, SERVICE_AUDIT_QUERY, ""},
    {"GET", "/api/studies/{study}/labels", api_study_labels, 0, false, ACCESS_TO_QUERY, SERVICE_AUDIT_QUERY, ""},
    {"PUT", "/api/studies/{study}/labels", api_study_labels_put, BODY_JSON, false, ACCESS_TO_LABEL,
     SERVICE_AUDIT_JUDGED, ""},
    {"GET", "/api/flagged", api_flagged, 0, false, ACCESS_TO_QUERY, SERVICE_AUDIT_QUERY, "limit offset flag"},
    {"GET", "/api/worklist", api_worklist, 0, false, ACCESS_TO_QUERY, SERVICE_AUDIT_QUERY, "study"},
    {"GET", "/api/worklist/{study}/read", api_worklist_mark, 0, false, ACCESS_TO_QUERY, SERVICE_AUDIT_QUERY, ""},
    {"POST", "/api/worklist/{study}/read", api_worklist_read, BODY_JSON, false, ACCESS_TO_JUDGE, SERVICE_AUDIT_JUDGED,
     ""},
    {"POST", "/api/worklist/{study}/unread", api_worklist_unread, BODY_JSON, false, ACCESS_TO_JUDGE,
     SERVICE_AUDIT_JUDGED, ""},
    {"GET", "/api/studies/{study}/findings", api_findings, 0, false, ACCESS_TO_SEE_RESULTS, SERVICE_AUDIT_QUERY,
     "superseded"},
    {"GET", "/api/studies/{study}/results", api_results, 0, false, ACCESS_TO_SEE_RESULTS, SERVICE_AUDIT_QUERY, "past"},
    {"POST", "/api/studies/{study}/ask", api_study_ask, BODY_JSON, false, ACCESS_TO_JUDGE, SERVICE_AUDIT_JUDGED, ""},
    {"POST", "/api/findings/{id}/judge", api_finding_judge, BODY_JSON, false, ACCESS_TO_JUDGE, SERVICE_AUDIT_JUDGED,
     ""},
    {"GET", "/api/jobs", api_jobs, 0, false, ACCESS_TO_SEE_RESULTS, SERVICE_AUDIT_QUERY, "study state"},
    {"GET", "/api/rules", api_rules, 0, false, ACCESS_TO_SEE_CONFIGURATION, SERVICE_AUDIT_NONE, ""},
    {"PUT", "/api/rules/{name}", api_rule_put, BODY_JSON, false, ACCESS_TO_CONFIGURE, SERVICE_AUDIT_ROW, ""},
    {"POST", "/api/rules/try", api_rule_try, BODY_JSON, false, ACCESS_TO_CONFIGURE, SERVICE_AUDIT_QUERY, "limit"},
    {"DELETE", "/api/rules/{name}", api_rule_delete, 0, false, ACCESS_TO_CONFIGURE, SERVICE_AUDIT_ROW, ""},
    {"GET", "/api/hl7-targets", api_hl7_targets, 0, false, ACCESS_TO_SEE_CONFIGURATION, SERVICE_AUDIT_NONE, ""},
    {"PUT", "/api/hl7-targets/{name}", api_hl7_target_put, BODY_JSON, false, ACCESS_TO_CONFIGURE, SERVICE_AUDIT_ROW,
     ""},
    {"DELETE", "/api/hl7-targets/{name}", api_hl7_target_delete, 0, false, ACCESS_TO_CONFIGURE, SERVICE_AUDIT_ROW, ""},
    {"GET", "/api/models", api_models, 0, false, ACCESS_TO_SEE_CONFIGURATION, SERVICE_AUDIT_NONE, ""},
    {"POST", "/api/models/rescan", api_models_rescan, BODY_JSON, false, ACCESS_TO_ENTER_MODELS, SERVICE_AUDIT_CHANGED,
     ""},
    {"GET", "/api/audit", api_audit, 0, false, ACCESS_TO_SEE_AUDIT, SERVICE_AUDIT_USED,
     "from until actor patient study event limit before"},
    {"GET", "/api/audit/unknown", api_audit_unknown, 0, false, ACCESS_TO_SEE_AUDIT, SERVICE_AUDIT_NONE, ""},
    {"POST", "/api/audit/acknowledge", api_audit_acknowledge, BODY_JSON, false, ACCESS_TO_ACKNOWLEDGE,
     SERVICE_AUDIT_ROW, ""},
    {"GET", "/api/deliveries", api_deliveries, 0, false, ACCESS_TO_SEE_OPERATION, SERVICE_AUDIT_QUERY,
     "state study kind target"},
    {"POST", "/api/deliveries/replay", api_deliveries_replay, BODY_JSON, false, ACCESS_TO_EXPORT,
     SERVICE_AUDIT_EXPORTED, ""},
    {"POST", "/api/deliveries/give-up", api_deliveries_give_up, BODY_JSON, false, ACCESS_TO_EXPORT,
     SERVICE_AUDIT_EXPORTED, ""},
    {"POST", "/api/deliveries/{id}/give-up", api_delivery_give_up, BODY_JSON, false, ACCESS_TO_EXPORT,
     SERVICE_AUDIT_EXPORTED, ""},
    {"POST", "/api/deliveries/{id}/replay", api_delivery_replay, BODY_JSON, false, ACCESS_TO_EXPORT,
     SERVICE_AUDIT_EXPORTED, ""},
    {"GET", "/api/quarantine", api_quarantine, 0, false, ACCESS_TO_SEE_OPERATION, SERVICE_AUDIT_QUERY, ""},
    {"DELETE", "/api/quarantine/{number}", api_quarantine_delete, 0, false, ACCESS_TO_OPERATE, SERVICE_AUDIT_CHANGED,
     ""},
    {"GET", "/api/backups", api_backups, 0, false, ACCESS_TO_SEE_OPERATION, SERVICE_AUDIT_NONE, ""},
    {"POST", "/api/backups", api_backup_make, BODY_JSON, false, ACCESS_TO_OPERATE, SERVICE_AUDIT_CHANGED, ""},
    {"GET", "/api/events", api_events, 0, false, ACCESS_TO_QUERY, SERVICE_AUDIT_QUERY, "after"},
    {"WS", "/api/events", api_events, 0, false, ACCESS_TO_QUERY, SERVICE_AUDIT_QUERY, "after"},
    {"GET", "/fhir/{type}", fhir_search, 0, false, ACCESS_TO_QUERY, SERVICE_AUDIT_QUERY, NULL},
    {"GET", "/fhir/{type}/{id}", fhir_read, 0, false, ACCESS_TO_QUERY, SERVICE_AUDIT_QUERY, NULL},
    {"GET", "/", page_index, 0, false, ACCESS_TO_LOAD_PAGE, SERVICE_AUDIT_NONE, NULL},
    {"GET", "/assets/{path...}", page_asset, 0, false, ACCESS_TO_LOAD_PAGE, SERVICE_AUDIT_NONE, NULL},
    {"POST", "/api/import", api_import, (uint64_t)BODY_FILE_GB << 30, true, ACCESS_TO_STORE, SERVICE_AUDIT_IMPORTED,
     "issuer charset"},
    {NULL, NULL, NULL, 0, false, 0, 0, NULL},
};

// Whether the name is one of `names`, with spaces between.
static bool is_named(const char *names, const char *name)
{
    size_t size = strlen(name), next;
    for (; *names; names += next + (names[next] == ' ')) {
        next = strcspn(names, " ");
        if (next == size && memcmp(names, name, size) == 0)
            return true;
    }
    return false;
}

// What is passed over would be answered as if it had been done.
static bool check_names(const json_t *body, const char *names, struct error *err)
{
    const char *member;
    json_t *value;
    char shown[64];
    json_object_foreach((json_t *)(uintptr_t)body, member, value)
    {
        if (!is_named(names, member))
            return error_set(err, ERROR_BAD_VALUE, "the body has '%s', which nobody reads; its members are: %s",
                             text_show(shown, sizeof shown, member, strlen(member)), names);
    }
    return true;
}

json_t *service_read_json(struct http_request *request, const char *names, struct error *err)
{
    size_t size;
    json_error_t where;
    const char *body = http_body(request, &size);
    json_t *json = json_loadb(size > 0 ? body : "", size, JSON_REJECT_DUPLICATES, &where);
    if (json_is_object(json) && (!names || check_names(json, names, err)))
        return json;
    if (!json_is_object(json))
        error_set(err, ERROR_BAD_VALUE, "the body is no JSON object: %s at line %d",
                  json ? "another kind of value" : where.text, json ? 1 : where.line);
    json_decref(json);
    return NULL;
}

bool service_read_count(const char *name, const char *value, size_t *out, struct error *err)
{
    uint64_t number;
    if (!text_to_u64(value, strlen(value), &number) || number > INT32_MAX)
        return error_set(err, ERROR_BAD_VALUE, "%s is '%.40s'; give a whole number", name, value);
    *out = (size_t)number;
    return true;
}

const char *service_member(const json_t *body, const char *name, struct error *err)
{
    const char *text = json_string_value(json_object_get(body, name));
    if (text && strlen(text) <= 128 && text_is_plain(text, strlen(text)))
        return text;
    error_set(err, ERROR_BAD_VALUE,
              "the body needs '%s', text of 1 to 128 bytes on one line that shows as it is, without control characters",
              name);
    return NULL;
}

bool service_version(const json_t *body, int64_t *out, struct error *err)
{
    const json_t *version = json_object_get(body, "version");
    *out = json_integer_value(version);
    return (json_is_integer(version) && *out >= 0) ||
           error_set(err, ERROR_BAD_VALUE,
                     "the body needs 'version', the number that was given with what was looked at");
}

void service_tell_total(struct http_request *request, uint64_t total)
{
    char text[24];
    snprintf(text, sizeof text, "%llu", (unsigned long long)total);
    http_set_header(request, "X-Total-Count", text);
}

void service_reply_json(struct http_request *request, int status, json_t *json)
{
    char *text = json ? json_dumps(json, JSON_COMPACT | JSON_ENCODE_ANY | JSON_REAL_PRECISION(12)) : NULL;
    struct error err;
    json_decref(json);
    if (text) {
        http_reply(request, status, "application/json", text, strlen(text));
    } else {
        error_set(&err, ERROR_MEMORY, "no memory for the answer");
        http_reply_error(request, &err);
    }
    free(text);
}

bool service_names_all(const json_t *given, const json_t *before, const json_t *after, struct error *err)
{
    const char *member;
    json_t *value;
    json_object_foreach((json_t *)(uintptr_t)before, member, value)
    {
        if (json_object_get(given, member) || strcmp(member, "version") == 0 ||
            json_equal(value, json_object_get(after, member)))
            continue;
        char *text = json_dumps(value, JSON_ENCODE_ANY | JSON_COMPACT);
        error_set(err, ERROR_CONFLICT, "%s is %s and the request does not name it: a PUT replaces the whole entry",
                  member, text ? text : "set");
        free(text);
        return false;
    }
    return true;
}
