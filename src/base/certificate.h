// Keys and certificates for a site that has no authority of its own: an authority for ten years, and what it signs for
// 397 days (the most that browsers take). X.509 v3 (RFC 5280), P-256 and SHA-256.
#ifndef BASE_CERTIFICATE_H
#define BASE_CERTIFICATE_H

#include <stdbool.h>
#include <stdint.h>

#include "base/error.h"
#include "base/tls.h"

enum {
    CERTIFICATE_NAMES_MAX = 32,
    CERTIFICATE_NAME_SIZE = 254,   // of a host (RFC 1035, section 2.3.4)
    CERTIFICATE_SUBJECT_SIZE = 64, // of a subject's common name (RFC 5280, appendix A.1: ub-common-name)
};

// Where a certificate and its key lie, each PEM; the key's file has mode 0600.
struct certificate_files {
    const char *certificate, *key;
};

struct certificate_made {
    char fingerprint[TLS_FINGERPRINT_SIZE]; // SHA-256
    int64_t ends_ns;
};

// An authority called `name` (1 to 63 visible characters of ASCII), which may sign end entities only. Files that are
// there are never written over (DUPLICATE).
bool certificate_make_authority(const char *name, const struct certificate_files *to, struct certificate_made *out,
                                struct error *err);

// A certificate for `names` (DNS names, also with underscores as some sites have them or with "*" for the first label,
// and numeric addresses; the first is its subject, by its first label where it is longer than a subject), signed by the
// authority in `by`, good for servers and clients alike. BAD_VALUE: a name that is none, or more than
// CERTIFICATE_NAMES_MAX; a file of the authority that cannot be read. `replace`: files that are there are replaced,
// each at once; else DUPLICATE.
bool certificate_make(const char *const *names, size_t count, const struct certificate_files *by,
                      const struct certificate_files *to, bool replace, struct certificate_made *out,
                      struct error *err);

#endif
