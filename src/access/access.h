// The access room: who may do what (peers, later users and roles), how much at once (limits), and who did what (the
// audit trail). It knows no patients' data but the identifiers that the audit must name.
//
// Peers are versioned, audited rows, changed without a restart. A DICOM peer on loopback may store, find and get
// without an entry; any other needs an entry that matches its title and address and, while the wire is plain, says
// `plain: accepted` (docs/design.md, section 4, 7).
//
// Threads: any.
#ifndef ACCESS_ACCESS_H
#define ACCESS_ACCESS_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "access/label.h"
#include "base/arena.h"
#include "base/buffer.h"
#include "base/error.h"
#include "base/hash.h"
#include "base/tls.h"
#include "store/database.h"
#include "store/store.h"

struct access;

enum {
    ACCESS_ASSOCIATIONS_PER_PEER = 16, // for one title and address without a limit of its own
    ACCESS_ASSOCIATIONS_ALL = 256,     // of all peers
    // Of all peers without an entry together. They are on loopback, where titles and addresses (127.0.0.0/8) are free
    // to invent, so they count as one; the other half stays for peers with an entry, of whom each has its own limit.
    ACCESS_ASSOCIATIONS_WITHOUT_ENTRY = 128,
    ACCESS_TITLE_SIZE = 17,
    ACCESS_NAME_SIZE = 65,
    ACCESS_HOST_SIZE = 256,
};

extern const struct store_migration access_migration;

// After store_migrate of access_migration. `folder` is where the audit files live (made when missing). The chain is
// checked from its last full file on, and must hold the line that the store's anchor names; a broken chain is an alarm
// and a new file begun that says so, and so is a database older than the trail or found to be older by the store; an
// unfinished last line is cut, which the next line tells. Each line's place is anchored once it is synced. Before the
// replay of the store. Nothing is owned by the caller but the result.
// `key`: the file with the chain's key, "" or NULL for FOLDER/audit-key; made when no audit file has had one yet, and
// when it is gone that is told as a break.
struct access *access_open(struct store *store, const char *folder, const char *key, struct error *err);
void access_close(struct access *access);

// ---- peers

enum access_right { ACCESS_STORE = 1, ACCESS_FIND = 2, ACCESS_GET = 4, ACCESS_TARGET = 8 }; // TARGET: we may send to it

struct access_peer {
    char name[ACCESS_NAME_SIZE];   // how people call it; the key
    char title[ACCESS_TITLE_SIZE]; // AE title
    char host[ACCESS_HOST_SIZE];   // numeric address or a name that resolves
    uint16_t port;
    unsigned rights;
    bool plain_accepted;
    char issuer[ACCESS_NAME_SIZE]; // default Issuer of Patient ID of what it sends; "" none. Else two sites' IDs merge.
    uint32_t associations_max;     // 0: ACCESS_ASSOCIATIONS_PER_PEER
    char charset[ACCESS_NAME_SIZE]; // what its text is in where it does not say so, as a value of (0008,0005); "" not
                                    // known
    bool tls;                       // it is called, and has to call, over TLS
    char certificate[TLS_FINGERPRINT_SIZE]; // of the one that it must show then (SHA-256 fingerprint); "": any of a
                                            // known authority
    char labels[ACCESS_LABELS_SIZE];        // names of the labels whose studies it may see; "" none
    char puts[ACCESS_LABELS_SIZE];          // names of those that a study gets of which it sends an object; "" none
    bool newest;     // what it sends again with other attributes and equal pixels is served, not what was there first
    int64_t version; // raised by each change
};

// Adds or replaces by name; refuses unfit values by name, and a second entry with the same title and host or a host of
// the same address (DUPLICATE); a name is looked up for that beside another entry of its title.
// peer->version 0 replaces whatever is there, another one only that version (CONFLICT). What is so already is left
// alone and raises no version. Durable, audited as `actor` with what changed from what to what, an event
// CONFIG_CHANGED; admission follows at once. A host that is a name is looked up at admission, at most once a minute. An
// entry rules on loopback too: its rights hold then, not the three of a peer without one; and the title of one that
// wants TLS or puts labels is nobody else's there.
bool access_peer_put(struct access *access, const struct access_peer *peer, const char *actor, struct error *err);
bool access_peer_remove(struct access *access, const char *name, const char *actor, struct error *err);
bool access_peer_get(struct access *access, const char *name, struct access_peer *out, struct error *err); // NOT_FOUND
// All, by name, in `arena`.
bool access_peer_list(struct access *access, struct arena *arena, struct access_peer **out, size_t *count,
                      struct error *err);
// {"name", "title", "host", "port", "rights": ["store", "find", "get", "target"], "plain": "accepted" or "refused",
// "tls": "required" or "no", "certificate", "issuer", "associations_max", "charset", "versions": "first" or "newest",
// "labels": [names], "puts": [names], "version"}; from: name, title, host and rights must be there, port for a target.
json_t *access_peer_to_json(const struct access_peer *peer);                                // owned by the caller
bool access_peer_from_json(const json_t *json, struct access_peer *out, struct error *err); // unknown keys refused

// ---- admission of an association

enum access_answer {
    ACCESS_ADMITTED,
    ACCESS_CALLED_UNKNOWN,
    ACCESS_CALLING_UNKNOWN,
    ACCESS_NOT_PLAIN,
    ACCESS_NOT_TLS,
    ACCESS_CERTIFICATE,
    ACCESS_PEER_LIMIT,
    ACCESS_TOTAL_LIMIT,
    ACCESS_ANSWER_END
};
const char *access_answer_words(enum access_answer answer); // "too many associations in all"

struct access_ticket {
    struct access_peer
        peer; // the entry; for a loopback peer without one, made up with its title and address and all three rights
    uint64_t labels; // peer.labels as bits; none for a peer without an entry
    char address[48];
    char certificate[TLS_FINGERPRINT_SIZE]; // by which an entered peer was verified; "": by nothing
    char why[ERROR_MESSAGE_SIZE];           // of a refusal, in a sentence for an administrator
};

// `titles` is the NULL-ended list of our own AE titles. Counts the association against its title and address and
// against all; on ADMITTED access_leave must be called. Refusals are audited, but at most one record a second for one
// title and address (the rest are counted in it). `shown`: whom the TLS handshake ended with; NULL: the wire is plain.
enum access_answer access_admit(struct access *access, const char *const *titles, const char *called,
                                const char *calling, const char *address, const struct tls_peer *shown, int64_t now_ns,
                                struct access_ticket *ticket);
void access_leave(struct access *access, const struct access_ticket *ticket);

bool access_address_is_loopback(const char *address); // 127.0.0.0/8, ::1, ::ffff:127.0.0.0/104
// By what a share per address is counted: one number for an IPv4 address, and one for the first 64 bits of an IPv6 one,
// which one computer has for itself. Never 0. Pure; any thread.
uint64_t access_address_share(const char *address);
bool access_title_fits(const char *title, size_t size); // an AE title: 1 to 16 printable ASCII characters but \ / * ?

// ---- audit (PS3.15 A.5, RFC 5424)

enum access_event {
    ACCESS_EVENT_START,       // DCM 110100 Application Activity, 110120 start
    ACCESS_EVENT_STOP,        // 110121
    ACCESS_EVENT_ASSOCIATION, // refusals: 110113 Security Alert, 110126 Node Authentication
    ACCESS_EVENT_REFUSED,     // an object or request refused: 110113, 110132 Use of Restricted Function
    ACCESS_EVENT_STORED,      // 110104 DICOM Instances Transferred (create)
    ACCESS_EVENT_QUERY,       // 110112 Query
    ACCESS_EVENT_RETRIEVED,   // 110104 (read)
    ACCESS_EVENT_IMPORTED,    // 110107 Import
    ACCESS_EVENT_CHANGED,     // configuration: 110113, 110131 Software Configuration
    ACCESS_EVENT_JUDGED,      // a finding accepted or rejected: 110103 DICOM Instances Accessed (update)
    ACCESS_EVENT_EXPORTED,    // results sent to a PACS or a record, or to be sent again: 110106 Export
    ACCESS_EVENT_NODE,        // another system asked who it is: 110113 Security Alert, 110126 Node Authentication
    ACCESS_EVENT_LOGIN,       // a person: 110114 User Authentication, 110122 Login
    ACCESS_EVENT_LOGOUT,      // 110123 Logout
    ACCESS_EVENT_AUDIT_USED,  // the trail was looked through: 110101 Audit Log Used
    ACCESS_EVENT_EMERGENCY,   // somebody sees all labels for a while: 110113, 110127 Emergency Override Started
    ACCESS_EVENT_COUNT
};

struct access_record {
    enum access_event event;
    bool success;
    const char *actor;    // AE title, user or program; never NULL
    const char *address;  // numeric, or ""
    const char *patient;  // patient ID, "" when it does not apply
    const char *study;    // Study Instance UID or ""
    const char *detail;   // SOP class, query, reason; cut at 1,000 bytes
    const char *verified; // by what the actor was: "login", "token", "certificate 3f2a..."; NULL or "": by nothing
};

// Appends to the hash-chained files (audit_chain.h). It only puts the record into memory (about a microsecond) and
// copies what it needs; a thread writes and syncs within a second.
//
// STORED, QUERY, RETRIEVED, AUDIT_USED and REFUSED are summed: one sum per event, success, actor, address, patient,
// study and minute, of QUERY, AUDIT_USED and REFUSED also per detail, for what was asked is what it tells. Its first
// line comes within a second of its first access, a second one when the minute ends if there were more; each line holds
// the number of accesses it stands for, so the counts of all lines add up. The detail is that of the first access.
// Refused associations are summed in the same way over a second; past 32 new titles and addresses in a second the rest
// are told together as "(others)". Past 32 new requests and objects that were refused in a minute the rest are told
// together for each actor and address, and past 32 of these as "(others)". All else is one line each.
//
// A full disk is logged once a minute and makes access_audit_healthy false; records wait in memory (4 MiB), then are
// counted, and the count is told when the disk takes lines again. That they wait is put into the store's anchor, so
// that the next start tells that lines may be missing if this process does not come to write them. Callers answer reads
// and take images all the same (a hospital's images come first), change nothing else that is audited, and /healthz
// tells. On a disk that is only slow a caller waits up to a second for room.
void access_audit(struct access *access, const struct access_record *record, int64_t now_ns);
// A CHANGED line: `actor` changed, or did not come to change, what `detail` says; nobody's images and no address.
void access_audit_change(struct access *access, bool success, const char *actor, const char *detail, int64_t now_ns);
// For the detail of CHANGED: "; port: 104 -> 105" for each member of `after` that is another one in `before` (NULL: was
// not there), but for the version.
void access_changes(struct buffer *out, const json_t *before, const json_t *after);
bool access_audit_healthy(struct access *access);
bool access_audit_flush(struct access *access, struct error *err); // all of it on disk now
// The same, but for the counts of running minutes: before a change is answered.
bool access_audit_written(struct access *access, struct error *err);

// What nobody has said to know: what the trail tells at each start (a break of its chain, that the database is an older
// copy, or that lines may be missing) and what access_audit_check finds damaged in its files, which is walked through
// here, of at most ACCESS_DAMAGES_MAX files. One at a time; BUSY: the others took too long.
enum { ACCESS_DAMAGES_MAX = 1000, ACCESS_UNKNOWN_VERSION_SIZE = 33 };
struct access_unknown {
    struct buffer texts;                       // a sentence each, with a NUL behind it; owned: buffer_free, on success
    char version[ACCESS_UNKNOWN_VERSION_SIZE]; // says just these; never ""
};
bool access_audit_unknown(struct access *access, struct access_unknown *out, struct error *err);
// A person knows of just that, as `version` says: each is a line in a new file, with his name (which is unverified
// until there are logins) and what it was; checks and starts take it as told from then on, and the alarm ends. What is
// damaged stays damaged, and is known as long as nothing else in the same file is. NOT_FOUND: there is nothing that
// nobody knows of. CONFLICT: it is something else by now; what he has not seen stands.
bool access_audit_acknowledge(struct access *access, const char *by, const char *version, struct error *err);

// Walks the chain of all files in `folder`, with its key where that is there. *lines: how many are sound, or the number
// of the first broken one (counted over all files; the message names file and line). An unfinished last line, as a
// crash leaves it, is broken here and cut by the next access_open.
bool access_audit_verify(const char *folder, uint64_t *lines, struct error *err);

// What is wrong with one file of the trail.
enum { ACCESS_PLACES_SHOWN = 8 };
struct access_damage {
    uint64_t segment; // the file's number
    uint64_t places;  // how many are wrong
    char said[ACCESS_PLACES_SHOWN]
             [ERROR_MESSAGE_SIZE]; // of the first a sentence each: "audit-00000002.log line 7: ..."
    uint8_t digest[HASH_SIZE];     // of all these sentences and the lines that they are about
    uint64_t known_in; // the number of the file that begins with a person's word that he knows of just this; 0: none
};

// The same, past everything that is wrong: `wrong` is called for each file that has something, in their order. The line
// that the folder's anchor names must be there. An unfinished last line is not wrong: somebody may be writing it. Reads
// only, also while a server runs. false: the files cannot be read.
struct access_audit_check {
    void (*wrong)(void *payload, const struct access_damage *damage);
    void *payload;
    const char *key;       // the file with the key; NULL or "": FOLDER/audit-key
    bool has_key;          // out: it is there
    uint64_t unchecked;    // out: lines made with a key that is not here: whether they were changed cannot be told
    uint64_t files, lines; // out: all that were read
    uint64_t sound_files, sound_lines; // out: of those, where nothing is wrong
    uint64_t first;                    // out: the number of the first file, 0: none; those before it may be archived
    char
        broken[ERROR_MESSAGE_SIZE]; // out: the trail tells of a break, and nobody has said that he knows of it; else ""
    char older[ERROR_MESSAGE_SIZE]; // out: likewise of an older database, where and why; else ""
    char missing[ERROR_MESSAGE_SIZE]; // out: likewise that lines may be missing; or that records wait now
    bool anchored;                    // out: the folder's anchor names a line
};
bool access_audit_check(const char *folder, struct access_audit_check *check, struct error *err);

// A new key for a trail that lost its own, while no server runs: it counts from the next file on. CONFLICT: there is
// one.
bool access_audit_new_key(const char *folder, const char *path, struct error *err);

#endif
