// Inside the service room: what its folders share.
#ifndef SERVICE_INTERNAL_H
#define SERVICE_INTERNAL_H

#include <pthread.h>
#include <stdatomic.h>

#include "access/access.h"
#include "access/account.h"
#include "access/allow.h"
#include "access/audit_export.h"
#include "archive/archive.h"
#include "base/tls.h"
#include "dimse/dimse.h"
#include "http/http.h"
#include "flow/flow.h"
#include "image/decoder.h"
#include "model/model.h"
#include "reading/reading.h"
#include "service/service.h"
#include "store/store.h"

enum { SERVICE_TITLES_MAX = 16, SERVICE_NAMES_MAX = 16, SERVICE_HOST_SIZE = 256 };

struct service_titles {
    char *text;                               // owned; the titles point into it
    const char *list[SERVICE_TITLES_MAX + 1]; // NULL-ended
};

struct service_names {
    char *text;                              // owned; the names point into it
    const char *list[SERVICE_NAMES_MAX + 1]; // NULL-ended
};

struct service_counters { // since start, for /metrics
    _Atomic uint64_t associations, associations_refused, associations_aborted;
    _Atomic uint64_t objects_stored, objects_same, objects_beside, objects_refused, objects_passed_over;
    _Atomic uint64_t objects_set_aside; // of objects_same
    _Atomic uint64_t deliveries_warned;
    _Atomic uint64_t bytes_stored;
};

struct dimse_service;
struct deliverer;
struct service_tls;
struct checks;
struct backups;
struct oidc_current;
struct heard;

struct service {
    const json_t *config;
    const char *config_name; // of the file; borrowed
    struct service_titles titles;
    struct service_names names; // that the site gives this server
    struct service_tls *tls;
    struct store *store;
    struct access *access;
    struct access_export *audit_export; // NULL: to nobody
    struct archive *archive;
    struct image_decoder *decoder;
    struct model_packages *packages;
    struct model_words *words;   // owned
    struct model_runner *runner; // NULL: ONNX Runtime is not there
    struct flow *flow;
    struct reading *reading;
    struct deliverer *deliver_dicom, *deliver_hl7;
    char page_folder[4096];
    struct checks *checks; // of connections
    struct backups *backups;
    struct oidc_current *oidc; // the identity provider that is entered
    struct heard *heard;       // of others
    struct dimse_service *dimse;
    struct http_server *http;
    pthread_mutex_t import_mutex;         // of the next
    struct archive_writer *import_writer; // one lane for what comes file by file; NULL until the first
    struct service_counters counters;
    char command_secret[ACCESS_SECRET_SIZE]; // of DATA/token
    int64_t started_ns;
};

// ---- config.c

// "HILUM, HILUM_CT" -> titles; titles->text is the caller's, on failure too.
bool service_titles_read(struct service_titles *titles, const char *text, struct error *err);
// http.names likewise; none is fine.
bool service_names_read(struct service_names *names, const char *text, struct error *err);
// Of a checked configuration. "localhost" is 127.0.0.1.
void service_listen_address(const json_t *config, const char *key, char host[SERVICE_HOST_SIZE], uint16_t *port);

// ---- tls.c

// Of a checked configuration, whose texts must outlive it. NULL: a file is not what it should be, which *err names.
struct service_tls *service_tls_open(const json_t *config, struct error *err);
void service_tls_close(struct service_tls *tls); // NULL is fine
// The context of a side, to be released (tls_release); the files are looked at again at most once a second. NULL with
// *err: TLS is not set up. Any thread.
struct tls *service_tls_side(struct service_tls *tls, enum tls_side side, struct error *err);
// The same for browsers, who are asked for no certificate.
struct tls *service_tls_web(struct service_tls *tls, struct error *err);
int64_t service_tls_ends_ns(struct service_tls *tls);      // when our certificate ends; INT64_MAX: there is none
int64_t service_tls_lists_end_ns(struct service_tls *tls); // when a list of revoked ones is late; INT64_MAX: never
// What others will find wrong with our certificate (tls_own_faults; http.names where HTTPS is spoken): how many.
size_t service_tls_faults(struct service_tls *tls, struct tls_fault out[TLS_FAULTS_MAX]);
size_t service_own_faults(const struct tls *tls, const struct service_names *names,
                          struct tls_fault out[TLS_FAULTS_MAX]);

// ---- check/heard.c: what was heard of others by the way, for the checks; any thread

enum heard_kind {
    HEARD_HTTP_AT_DICOM,
    HEARD_TLS_AT_DICOM,
    HEARD_PLAIN_AT_TLS,
    HEARD_DICOM_AT_HTTP,
    HEARD_TLS_AT_HTTP,
    HEARD_DICOM_AT_HTTPS,
    HEARD_HTTP_AT_HTTPS,
    HEARD_END
};
struct heard *heard_open(struct error *err);
void heard_close(struct heard *heard); // NULL is fine
// Somebody spoke another protocol than ours to one of our ports; told in the log once a minute.
void heard_foreign(struct heard *heard, enum heard_kind kind, const char *address);
// A system said what time it is, when it was `ours_ns` here.
void heard_time(struct heard *heard, const char *who, int64_t said_ns, int64_t ours_ns);

// ---- check/connections.c: what the last checks of connections said

struct checks *checks_open(struct error *err);
void checks_close(struct checks *checks); // NULL is fine
// Looks at one connection now, as it is told by GET /api/connections; the caller's. NOT_FOUND: there is none; BUSY.
json_t *checks_run(struct service *service, struct arena *arena, const char *kind, const char *name, struct error *err);

// ---- backup.c: when backups are made, and what became of them

// "HH:MM" as minutes of the day; false: it is none.
bool service_backup_time(const char *text, int *minutes);
// Begins the thread that makes them. NULL: the configuration names a key that cannot be read.
struct backups *backups_start(struct service *service, struct error *err);
void backups_stop(struct backups *backups); // one that is being made is given up; NULL is fine
// One is made now, by the thread. `begin`: in a folder where none is, though there were some before. CONFLICT: one goes
// on, or no folder is configured.
bool backups_ask(struct backups *backups, bool begin, struct error *err);
// For who asks how it stands; the caller's. NULL: no memory.
json_t *backups_to_json(struct backups *backups);
// When the last one was made whole that this server knows of, 0: none; and whether any are to be made.
int64_t backups_last_ns(struct backups *backups);
bool backups_are_made(const struct backups *backups);

// ---- dimse/call.c

extern const struct dimse_proposal service_echo; // of C-ECHO

// Whether its entry lets us: the network between hears what is said without TLS, whoever calls.
bool dimse_service_may_call(const struct access_peer *entry);
// An association with an entered peer, as its entry says: plain, or over TLS with the certificate that it must show.
// FORBIDDEN: not as it says.
struct dimse_association *dimse_service_call(struct service *service, const struct access_peer *entry,
                                             const struct dimse_proposal *proposals, size_t count,
                                             const struct dimse_timers *timers, struct error *err);

// ---- dimse/listener.c

// Listens on the configured addresses and serves associations, each on its own thread.
struct dimse_service *dimse_service_start(struct service *service, struct error *err);
void dimse_service_stop(struct dimse_service *dimse); // NULL is fine
uint16_t dimse_service_port(const struct dimse_service *dimse);
uint16_t dimse_service_tls_port(const struct dimse_service *dimse); // 0: there is none

// ---- the HTTP handlers, one table in routes.c; `payload` is the struct service

extern const struct http_route service_routes[]; // `action` is an enum access_action, `kind` an enum service_audit

// ---- who.c: who asks, and whether he may

// Who sends this request: the one place that knows it, asked once for each. Lives as long as the request.
const struct access_subject *service_subject(const struct http_request *request);

// What he does not see: an argument of all that answers him with patients' data.
struct access_scope service_scope(const struct http_request *request);
// The same without an emergency, which lets him see and judge, and never say who sees.
struct access_scope service_lasting_scope(const struct http_request *request);

// How he showed it.
enum service_way { SERVICE_BY_NOTHING, SERVICE_BY_SESSION, SERVICE_BY_TOKEN, SERVICE_BY_COMMAND };
struct service_login {
    enum service_way way;
    char secret[ACCESS_SECRET_SIZE];
    struct access_session session; // with SERVICE_BY_SESSION
};
const struct service_login *service_login(const struct http_request *request);
// Whether that still counts: for what goes on after its request was answered. Any thread.
bool service_is_still(struct service *service, const struct service_login *login);

// Logins are needed where there is an account or an identity provider, or where others than who is on this machine can
// reach HTTP: over TLS off loopback, or by a proxy. Else whoever is on loopback is ACCESS_LOCAL.
bool service_needs_logins(const struct service *service);
// At the start: DATA/token, which the program's own commands show, and where nobody can log in yet the code for the
// first administrator.
bool service_open_logins(struct service *service, struct error *err);
// The code alone, where it is due by now.
bool service_open_first(struct service *service, struct error *err);
void service_set_cookie(struct http_request *request, const char *secret); // "": it goes
// The provider knows who was at this browser, and would send him again without a question, whoever tries next.
void service_note_person(struct http_request *request);
// Whether this browser has had a session since it was started, or a person who was refused one, and none goes on: who
// sits there now may be another one. A cookie without a secret says so, at OIDC_PATH alone.
bool service_had_session(const struct http_request *request);
// `name` as this request's browser has it: behind `prefix` ("__Host-", RFC 6265bis section 4.1.3) over TLS, and with
// the port where that is not the scheme's own.
enum { SERVICE_COOKIE_SIZE = 64 };
void service_cookie_name(const struct http_request *request, const char *prefix, const char *name,
                         char out[SERVICE_COOKIE_SIZE]);
// The value of a cookie (RFC 6265, section 4.2) that is as long as a secret; false: there is none.
bool service_read_cookie(const struct http_request *request, const char *name, char out[ACCESS_SECRET_SIZE]);

// Whose word a body is: of who is logged in his name, whatever is typed (another one is BAD_VALUE); of others the
// member "by". NULL with *err; in the request's arena, or the body's.
const char *service_by(struct http_request *request, const json_t *body, struct error *err);

// http_options.admit, the one place where a request is refused for who asks: 403 with who may not do what, and a line
// in the audit trail. Then that of audit.c. For who does not see all, a path's {study} that is not here, or that he
// does not see, is 404, so that the two are one to him.
bool service_admit(void *payload, struct http_request *request, const struct http_route *route, struct error *err);
// The same for a subject that is known already; copied.
bool service_admit_subject(struct service *service, struct http_request *request, const struct http_route *route,
                           const struct access_subject *subject, struct error *err);

// ---- audit.c: the line that an answer leaves in the audit trail (access.h has the events' codes)

enum service_audit {         // none is 0: a route has to say
    SERVICE_AUDIT_NONE = 1,  // no patient's data are told, nothing is changed
    SERVICE_AUDIT_QUERY,     // patients' data are told
    SERVICE_AUDIT_RETRIEVED, // objects, or pieces of them, leave
    SERVICE_AUDIT_IMPORTED,
    SERVICE_AUDIT_JUDGED,   // a person says something of a study
    SERVICE_AUDIT_EXPORTED, // results are sent to another system
    SERVICE_AUDIT_NODE,     // another system is asked who it is
    SERVICE_AUDIT_CHANGED,  // what is installed
    SERVICE_AUDIT_USED,     // the audit trail is looked through
    SERVICE_AUDIT_ROW,      // a row of configuration: its room tells what was changed, audit.c what was refused
};

// What the handler knows of the request beyond its route; NULL: who is the subject, the study that of the path or the
// query, the detail the method and the path. Copied.
struct service_about {
    const char *by, *patient, *study, *detail;
};
void service_about(struct http_request *request, const struct service_about *about);
// Patient and study of a result (its id; "" none), in `arena`; NULL each where it is not known, which the log tells.
struct service_about service_about_result(struct service *service, const char *result, struct arena *arena);
// Who judged which finding, and what he said of it: `state` is his word, NULL or what was refused too.
void service_about_judgement(struct service *service, struct http_request *request, const char *finding,
                             const char *state, const char *by);

// What is known of a request beside it: its note (http.h).
struct service_note {
    struct access_subject subject;
    const struct service_login *login; // NULL: a test says who it is
    bool refused;                      // for who he is
    struct service_about about;
};

// Nothing that is audited is changed while the audit trail cannot be written (FULL), and a change is answered when its
// line is on the disk; the objects that come in wait for neither. The second is http_options.answered.
bool service_audit_admit(struct service *service, const struct http_route *route, struct error *err);
bool service_audit_answer(void *payload, struct http_request *request, const struct http_route *route, int status,
                          struct error *err);

// ---- the handlers

http_handler qido_studies, qido_series, qido_instances;                // dicomweb/qido.c
http_handler wado_retrieve, wado_metadata, wado_frames, wado_bulkdata; // dicomweb/wado.c, wado_frames.c
http_handler api_health, api_status;                                   // api/status.c
http_handler api_metrics;                                              // api/metrics.c
http_handler api_peers, api_peer_put, api_peer_delete, api_peer_echo;  // api/peers.c
http_handler api_connections, api_connection_check;                    // check/connections.c
http_handler api_login, api_session, api_session_post, api_emergency, api_session_delete, api_first,
    api_password;                                                                                  // api/login.c
http_handler api_provider, api_provider_put, api_provider_delete;                                  // api/provider.c
http_handler oidc_begin, oidc_callback;                                                            // oidc/login.c
http_handler api_accounts, api_account_put, api_account_delete, api_sessions, api_sessions_delete; // api/accounts.c
http_handler api_tokens, api_token_make, api_token_delete;
http_handler api_import;                                                                          // api/import.c
http_handler api_conflicts, api_conflict_keep, api_conflict_take, api_study_flags, api_flagged;   // api/conflicts.c
http_handler api_worklist, api_worklist_mark, api_worklist_read, api_worklist_unread;             // api/worklist.c
http_handler api_labels, api_label_put, api_label_delete, api_study_labels, api_study_labels_put; // api/labels.c
http_handler api_import;                                                                          // api/import.c
http_handler api_conflicts, api_conflict_keep, api_conflict_take, api_study_flags, api_flagged;   // api/conflicts.c
http_handler api_worklist, api_worklist_mark, api_worklist_read, api_worklist_unread;             // api/worklist.c
http_handler api_findings, api_results, api_finding_judge, api_jobs, api_study_ask;
http_handler api_rules, api_rule_put, api_rule_delete, api_rule_try; // api/rules.c
http_handler api_hl7_targets, api_hl7_target_put, api_hl7_target_delete;
http_handler api_models, api_models_rescan;                             // api/models.c
http_handler api_audit;                                                 // api/audit.c
http_handler api_audit_unknown, api_audit_acknowledge;                  // api/status.c
http_handler api_deliveries, api_delivery_replay, api_delivery_give_up; // api/deliveries.c
http_handler api_deliveries_replay, api_deliveries_give_up;
http_handler api_quarantine, api_quarantine_delete; // api/quarantine.c
http_handler api_backups, api_backup_make;          // api/backups.c
http_handler api_events;                            // api/events.c
http_handler fhir_search, fhir_read;                // fhir/fhir.c
http_handler page_index, page_asset;                // page/page.c

// What text is in that comes without Specific Character Set: what the peer's entry says, "" or not, else the
// configuration; "" not known.
const char *service_charset(const struct service *service, const char *of_peer);

// The body as a JSON object with no other members than `names`, with spaces between; NULL: the caller looks. NULL with
// *err for anything else. The caller's.
json_t *service_read_json(struct http_request *request, const char *names, struct error *err);

extern const char *const service_flag_words[ARCHIVE_FLAG_BITS]; // of enum archive_flag, by bit; api/conflicts.c

// Replies with a jansson value, which it takes (decref).
void service_reply_json(struct http_request *request, int status, json_t *json);
// What is to be said of a target ("hl7": an HL7 target, "dicom": a peer) that was entered, with where it is, or removed
// (`where` NULL): the rules that name it still, and what waits for its name. Logged too. The caller's. api/targets.c
json_t *service_target_warnings(struct service *service, const char *kind, const char *name, const char *where,
                                struct arena *arena);
// Of the path's {name}, which was removed: 204, or 200 with the warnings.
void service_reply_removed(struct service *service, struct http_request *request, const char *kind);
// How many a list has in all, for the answer's X-Total-Count, so that nobody takes a part for the whole.
void service_tell_total(struct http_request *request, uint64_t total);
// A member of a body that must be text of 1 to 128 bytes that shows something (text_is_visible); NULL with *err.
const char *service_member(const json_t *body, const char *name, struct error *err);
// A member that must be a whole number from 0: the version of what was looked at.
bool service_version(const json_t *body, int64_t *out, struct error *err);
// A parameter of the query that is a count: limit, offset.
bool service_read_count(const char *name, const char *value, size_t *out, struct error *err);
void service_count_stored(struct service *service, const struct archive_stored *stored); // for /metrics
// For a PUT over an entry that is there: what it has and the request `given` does not name must be in the new one as it
// is, since a default that slips in for it would be a change that nobody asked for. CONFLICT, with the member's name.
bool service_names_all(const json_t *given, const json_t *before, const json_t *after, struct error *err);

// The tables of the rooms between store and archive.
bool service_migrate(struct store *store, struct error *err);

#endif
