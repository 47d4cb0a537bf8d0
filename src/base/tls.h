// TLS under every wire of the program, by one policy for all that listen and all that call (RFC 9325, which is BCP 195;
// PS3.15 B.12 and B.13): TLS 1.3, and 1.2 with ephemeral ECDH and an AEAD cipher only; no renegotiation, no
// compression, no early data. A peer that speaks no TLS, or less than that, is refused with what it did.
#ifndef BASE_TLS_H
#define BASE_TLS_H

#include <stdbool.h>
#include <stdint.h>

#include "base/error.h"
#include "base/wire.h"

enum tls_side { TLS_SERVER, TLS_CLIENT };

// Who we are and whom we believe; from any thread, read only. Counted: who holds one releases it.
struct tls;

// The policy, as it is set.
struct tls_policy {
    const char *versions; // with ':' between
    const char *suites;   // of TLS 1.2, in our order, with ':' between (OpenSSL's names)
    const char *suites13; // of TLS 1.3, likewise (RFC 8446)
    const char *groups;   // of the key exchange
};
extern const struct tls_policy tls_policy;

struct tls_options {
    enum tls_side side;
    const char *certificate; // PEM file: ours, behind it the authorities between; NULL: none (a client only)
    const char *key;         // PEM file, without a password
    const char *authorities; // PEM file of those whose word counts for a peer's certificate, roots or not; NULL: a
                             // client takes the system's, a server asks its peers for none
    const char *revoked;     // PEM file of lists of revoked certificates (RFC 5280, section 5); NULL: none
    bool peer_must_show;     // server: a peer without a certificate is refused
    bool judged_later; // the handshake ends whatever the peer's certificate is; tls_judge then says whether it counts
};

// BAD_VALUE with the file and what is wrong with it: absent, no PEM, key and certificate of two pairs, ended.
struct tls *tls_open(const struct tls_options *options, struct error *err);
struct tls *tls_hold(struct tls *tls);
void tls_release(struct tls *tls);          // NULL is fine
int64_t tls_ends_ns(const struct tls *tls); // of our own certificate; INT64_MAX: there is none
// When the first of the lists of revoked certificates is to be followed by a newer one (nextUpdate); INT64_MAX: none
// says. What a list names stays revoked behind that, and what it does not name counts: a list that is late shuts nobody
// out.
int64_t tls_lists_end_ns(const struct tls *tls);

enum { TLS_TEXT_SIZE = 128, TLS_WRONG_SIZE = 256, TLS_FINGERPRINT_SIZE = 65 };

// What others will find wrong with our own certificate, and what to do about it.
enum { TLS_FAULTS_MAX = 3 };
struct tls_fault {
    char said[TLS_WRONG_SIZE], remedy[TLS_WRONG_SIZE];
};

// Looks at our own certificate as who is served will: whether its issuer stands behind it in its file where it is no
// root (RFC 8446, section 4.4.2), whether it may be a server's (RFC 5280, section 4.2.1.12), and whether one of the
// `count` names is in it (RFC 6125); no names: not looked at. How many are wrong; 0 without a certificate.
size_t tls_own_faults(const struct tls *tls, const char *const *names, size_t count,
                      struct tls_fault out[TLS_FAULTS_MAX]);

// Whom a handshake ended with. What is not there is "".
struct tls_peer {
    char version[16], cipher[64];           // "TLSv1.3", "TLS_AES_256_GCM_SHA384"
    char subject[TLS_TEXT_SIZE];            // of the peer's certificate (RFC 4514), made harmless
    char fingerprint[TLS_FINGERPRINT_SIZE]; // SHA-256 of the certificate, hex
    int64_t ends_ns;                        // when it ends; 0: no certificate
    bool revoked;                           // by its issuer's list, it or an authority between
    char wrong[TLS_WRONG_SIZE]; // where it is judged later: what is wrong with it, or with which authority; "": nothing
};

// Does the certificate count? Where `fingerprint` is "", when nothing is wrong with it; else when it is just that one,
// whoever signed it, and it has not ended. One that is revoked does not, entered or not. FORBIDDEN with its subject,
// its fingerprint and what is wrong.
bool tls_judge(const struct tls_peer *peer, const char *fingerprint, struct error *err);
// "AB:CD:..." as tools print it, or "abcd...": 64 lower-case digits into `out`; false: it is no SHA-256 fingerprint.
bool tls_fingerprint(const char *text, char out[TLS_FINGERPRINT_SIZE]);

// Takes `fd`, closed on failure too, and shakes hands until the deadline. `host`: a client's, whose certificate must be
// of this name or address (RFC 6125); NULL for a server. `peer` may be NULL. TIMEOUT; CLOSED: the peer went away;
// FORBIDDEN: its certificate does not count (ended, of another name, of an unknown authority); PROTOCOL: no TLS, or
// none that the policy allows. The wire holds `tls`.
bool tls_wire(struct wire *wire, int fd, struct tls *tls, const char *host, int64_t deadline_ns, struct tls_peer *peer,
              struct error *err);

// Says goodbye, waits for the peer's end and closes a wire of tls_wire or tls_connect. true: the peer has ended too, by
// its own goodbye or the end of its stream and no reset, so it had read all that was sent. A peer that ends without a
// goodbye may be somebody on the wire who cut it: he could keep back what was sent, and no more.
bool tls_finish(struct wire *wire, int64_t deadline_ns);

// Where to call, and how.
struct tls_target {
    const char *host; // a name or a numeric address
    uint16_t port;
    struct tls *tls;         // NULL: plain. Must judge later.
    const char *fingerprint; // with TLS: of the one certificate that counts, or "": one of a known authority
};

// Connects (wire_connect), shakes hands and judges; who does not show the right certificate gets nothing, not even our
// name. *address (48 characters; may be NULL) is where it is. Fails as these three do.
bool tls_connect(struct wire *wire, const struct tls_target *to, int64_t deadline_ns, char *address, struct error *err);

#endif
