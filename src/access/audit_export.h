// The audit trail sent to a collector: syslog over TLS (RFC 5425; PS3.15 A.6), each line of the files as it is
// (RFC 5424), with its length before it. The files are the buffer: a thread follows them behind their synced end,
// however long the collector was away, and keeps its place in FOLDER/audit-cursor.
//
// Syslog has no acknowledgement (RFC 5425, section 4.4). What stands for one here: after ten seconds, or 16 MiB, the
// connection is closed, and when the collector ends its side too, without a reset, its TLS had read all that was sent;
// only then the place moves on. Whatever else ends a connection, what was sent since its beginning is sent again: at
// least once, and a collector tells doubles by seq and value in the line. What a collector loses after it has read it
// is its own.
//
// The place is a file of its own and no row of the database: a database restored from an older copy moves it neither
// back nor on. A place that does not fit the files (they were restored) is none: the trail is sent from its first file.
//
// This, and only this, holds what root on this machine could take out of the files: lines that are sent are elsewhere.
//
// Threads: any; but stop is called once, by who has started it.
#ifndef ACCESS_AUDIT_EXPORT_H
#define ACCESS_AUDIT_EXPORT_H

#include <stdbool.h>
#include <stdint.h>

#include "access/access.h"
#include "base/error.h"
#include "base/tls.h"

enum {
    ACCESS_EXPORT_SETTLE_S = 10,   // of a connection
    ACCESS_EXPORT_SETTLE_MIB = 16, // likewise
    ACCESS_EXPORT_CONNECT_S = 10,  // to reach the collector and shake hands
    ACCESS_EXPORT_SEND_S = 30,     // that it may take nothing
    ACCESS_EXPORT_GOODBYE_S = 10,  // to end its side
    ACCESS_EXPORT_BACK_OFF_S = 60, // the longest wait before the next connection; the first is a second
    ACCESS_EXPORT_BEHIND_S = 300,  // behind for so long is an alarm
    ACCESS_EXPORT_LAST_S = 5,      // what stop waits for the last lines
};

struct access_export;

struct access_export_options { // copied
    const char *folder;        // of the audit files
    const char *host;          // of the collector
    uint16_t port;
    const char *fingerprint; // of the one certificate that it must show; "": any of a known authority
    struct tls *(*tls)(void *payload, struct error *err); // the client's side, which the exporter releases
    void *payload;
};

// `access` must outlive it. NULL: BAD_DATA or IO (the cursor), MEMORY.
struct access_export *access_export_start(struct access *access, const struct access_export_options *options,
                                          struct error *err);
void access_export_stop(struct access_export *one); // sends what is written if the collector takes it; NULL is fine

struct access_export_state {
    uint64_t unsent;        // lines on the disk that the collector is not known to have
    int64_t unsent_seconds; // since when, at most, in this process; 0 when there are none
};
struct access_export_state access_export_state(struct access_export *one);

#endif
