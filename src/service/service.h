// The service room: what the outside touches, a folder each: dimse, dicomweb, api, page. It starts and stops the rooms
// below and joins them; it knows no SQL.
#ifndef SERVICE_SERVICE_H
#define SERVICE_SERVICE_H

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

#include "access/allow.h"
#include "base/config.h"
#include "base/error.h"
#include "dimse/dimse.h"
#include "fhir/fhir.h"

struct service;

// The keys of the configuration file, and the lists of rows that may stand beside them; NULL-ended list for
// config_complete.
extern const struct config_key *const service_config[];

// Whether the values of a completed configuration are such as a server can start with; what is wrong is named with its
// key and line. Nothing is opened, but the host of dicom.listen is looked up.
bool service_config_check(const struct config *config, struct error *err);

// Calls `tell` for each folder that a fit configuration names and that is not there (now: it may come later):
// "models.folder: there is no folder /srv/modles".
void service_config_missing(const json_t *config, void (*tell)(void *payload, const char *text), void *payload);

// Looks at the files that a configuration names as a server will read them (certificates and keys together, the keys of
// trail and backups); what is wrong is named with its key and line. `tell`: what this user may not read, and what
// others will find wrong with our certificate.
bool service_config_files(const struct config *config, void (*tell)(void *payload, const char *text), void *payload,
                          struct error *err);

// Takes the completed configuration (borrowed until service_stop), and checks it. Opens the data folder, replays,
// listens; ready when it returns. NULL: nothing is left running.
struct service *service_start(const struct config *config, struct error *err);

// Stops listening, ends associations and requests (waiting for objects half received is not worth it: they were not
// acknowledged), closes the data folder. NULL is fine.
void service_stop(struct service *service);

// ---- a new database, made of the objects in a data folder that no server runs in (docs/store-format.md, "Rebuild")

struct service_rebuild {
    const char *folder;
    bool reduced;          // the sandbox of the decoder that compares pixels, as the configuration has it
    bool replace;          // also a sound database
    const char *audit_key; // audit.key of the configuration; NULL or "": in the folder
    void (*progress)(void *payload, const char *what, uint64_t done, uint64_t total); // of "packs", then of "objects"
    void *payload;
};
// What it found.
struct service_rebuilt {
    int64_t objects, studies, patients, conflicts;
    uint64_t unreadable, left_out; // objects; the alarms and the log have the reasons
};
// CONFLICT when a server runs there, or the database is sound and is not to be replaced. One that fails or is killed
// goes on when it is asked for again.
bool service_rebuild(const struct service_rebuild *rebuild, struct service_rebuilt *out, struct error *err);
// Somebody has entered again what was lost: the alarm is over. CONFLICT when a server runs there, or no rebuild waits
// for it.
bool service_rebuild_confirm(const char *folder, const char *audit_key, struct error *err);

// `configured`, or when that is "" the path `relative` to the folder of the program. false when it does not fit.
bool service_beside(char *out, size_t capacity, const char *configured, const char *relative);

// ---- what the outside may ask for here, and what it takes

struct service_door {
    const char *how;  // "GET", "C-STORE"
    const char *what; // a route's path, a SOP class; NULL: every storage class
    enum access_action action;
    bool is_dimse; // by peers, with their rights
};
// The routes of HTTP, then the services of DIMSE. false past the last.
bool service_door(size_t index, struct service_door *out);

// Whether the service of DIMSE behind the door at `index` can be agreed on in this transfer syntax.
bool service_door_takes(size_t index, const char *transfer_syntax);

// ---- what it says to others, and how it refuses; with the doors what a conformance statement tells

// What is asked of others over DICOM, as SCU.
struct service_call {
    const char *name;
    const struct dimse_proposal *proposal; // NULL: one for each object, of its class and transfer syntax
};
extern const struct service_call service_calls[]; // ended by name NULL

// How an association is rejected: PS3.8 table 9-21. false past the last.
struct service_rejection {
    const char *why;
    unsigned result, source, reason;
};
bool service_rejection(size_t index, struct service_rejection *out);

const struct fhir_capability *service_fhir(size_t *count); // the resources

// Where it listens: "127.0.0.1:8080", "[::1]:8080". They return `out`.
enum { SERVICE_ADDRESS_SIZE = 272 };
const char *service_http_address(const struct service *service, char out[SERVICE_ADDRESS_SIZE]);
const char *service_dicom_address(const struct service *service, char out[SERVICE_ADDRESS_SIZE]);

#endif
