#include "base/tls.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#include <poll.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/text.h"
#include "base/wait.h"

// RFC 9325, section 4.2: what TLS 1.2 may use; TLS 1.3 has only such.
const struct tls_policy tls_policy = {
    .versions = "TLSv1.2:TLSv1.3",
    .suites = "ECDHE-ECDSA-AES128-GCM-SHA256:ECDHE-RSA-AES128-GCM-SHA256:ECDHE-ECDSA-AES256-GCM-SHA384:"
              "ECDHE-RSA-AES256-GCM-SHA384:ECDHE-ECDSA-CHACHA20-POLY1305:ECDHE-RSA-CHACHA20-POLY1305",
    .suites13 = "TLS_AES_256_GCM_SHA384:TLS_CHACHA20_POLY1305_SHA256:TLS_AES_128_GCM_SHA256",
    .groups = "X25519:P-256:P-384",
};

enum { CHAIN_MAX = 8 };                                // authorities between a certificate and one that is known
enum { LISTS_MAX = 32 };                               // of revoked certificates in a file, one for each authority
enum { GATHER_SIZE = 64 << 10, JOIN_SIZE = 16 << 10 }; // small parts leave in one record, which holds so much

struct tls {
    SSL_CTX *context;
    atomic_int holders;
    int64_t ends_ns, lists_end_ns;
    bool judged_later, knows_authorities; // as the options had it
    X509_CRL *lists[LISTS_MAX];           // of revoked certificates; owned
    size_t list_count;
};

struct tls_wire {
    struct tls *tls;
    SSL *ssl;
    int fd;
    char wrong[TLS_WRONG_SIZE]; // what was found first in the peer's chain
    uint8_t joined[JOIN_SIZE];
    bool gathers;                        // records go into `gathered` rather than out
    size_t gathered_from, gathered_size; // where those begin that are not out yet, and where they end
    uint8_t gathered[GATHER_SIZE];       // several records leave by one system call
};

// ---- the socket below: OpenSSL's own would raise SIGPIPE

static int socket_read(BIO *bio, char *data, int size)
{
    const struct tls_wire *one = BIO_get_data(bio);
    BIO_clear_retry_flags(bio);
    ssize_t n = recv(one->fd, data, (size_t)size, MSG_DONTWAIT);
    int on = 1;
    if (n > 0) // as wire.c does, for peers with Nagle's algorithm
        (void)setsockopt(one->fd, IPPROTO_TCP, TCP_QUICKACK, &on, sizeof on);
    if (n < 0 && (errno == EAGAIN || errno == EWOULDBLOCK || errno == EINTR))
        BIO_set_retry_read(bio);
    if (n == 0)
        BIO_set_flags(bio, BIO_FLAGS_IN_EOF); // for tls_finish: the stream's end, and no reset
    return (int)n;
}

static ssize_t send_now(const struct tls_wire *one, BIO *bio, const void *data, size_t size)
{
    BIO_clear_retry_flags(bio);
    ssize_t n = send(one->fd, data, size, MSG_DONTWAIT | MSG_NOSIGNAL);
    if (n < 0 && (errno == EAGAIN || errno == EWOULDBLOCK || errno == EINTR))
        BIO_set_retry_write(bio);
    return n;
}

// Sends what was gathered. false: errno says why, and the BIO whether it may be tried again.
static bool send_gathered(struct tls_wire *one, BIO *bio)
{
    while (one->gathered_from < one->gathered_size) {
        ssize_t n = send_now(one, bio, one->gathered + one->gathered_from, one->gathered_size - one->gathered_from);
        if (n < 0)
            return false;
        one->gathered_from += (size_t)n;
    }
    one->gathered_from = one->gathered_size = 0;
    return true;
}

static int socket_write(BIO *bio, const char *data, int size)
{
    struct tls_wire *one = BIO_get_data(bio);
    BIO_clear_retry_flags(bio);
    if ((size_t)size > GATHER_SIZE - one->gathered_size && !send_gathered(one, bio))
        return -1;
    if (!one->gathers && one->gathered_size == 0)
        return (int)send_now(one, bio, data, (size_t)size);
    if ((size_t)size > GATHER_SIZE)
        size = GATHER_SIZE;
    memcpy(one->gathered + one->gathered_size, data, (size_t)size);
    one->gathered_size += (size_t)size;
    return one->gathers || send_gathered(one, bio) ? size : -1;
}

static long socket_control(BIO *bio, int command, long number, void *pointer)
{
    (void)bio;
    (void)number;
    (void)pointer;
    return command == BIO_CTRL_FLUSH;
}

static BIO_METHOD *socket_method;
static pthread_once_t once = PTHREAD_ONCE_INIT;

static void make_method(void)
{
    socket_method = BIO_meth_new(BIO_get_new_index() | BIO_TYPE_SOURCE_SINK, "socket");
    if (socket_method) {
        BIO_meth_set_read(socket_method, socket_read);
        BIO_meth_set_write(socket_method, socket_write);
        BIO_meth_set_ctrl(socket_method, socket_control);
    }
}

static bool set_socket(struct tls_wire *one)
{
    int on = 1;
    pthread_once(&once, make_method);
    BIO *bio = socket_method ? BIO_new(socket_method) : NULL;
    if (!bio)
        return false;
    (void)setsockopt(one->fd, IPPROTO_TCP, TCP_NODELAY, &on,
                     sizeof on); // a record leaves at once; without it only slower
    BIO_set_data(bio, one);
    BIO_set_init(bio, 1);
    SSL_set_bio(one->ssl, bio, bio);
    return true;
}

// ---- who we are and whom we believe

static bool file_refused(const char *what, const char *path, struct error *err)
{
    unsigned long code = ERR_get_error();
    const char *why = code ? ERR_reason_error_string(code) : NULL;
    if (code && ERR_SYSTEM_ERROR(code))
        why = strerror(ERR_GET_REASON(code));
    return error_set(err, ERROR_BAD_VALUE, "%s %s: %s", what, path, why ? why : "it cannot be read as PEM");
}

static int64_t asn1_ns(const ASN1_TIME *time)
{
    struct tm parts;
    return ASN1_TIME_to_tm(time, &parts) == 1 ? (int64_t)timegm(&parts) * CLOCK_SECOND : 0;
}

static bool has_ended(const char *path, int64_t ends_ns, struct error *err)
{
    char when[CLOCK_RFC3339_SIZE];
    return error_set(err, ERROR_BAD_VALUE, "the certificate %s has ended at %s: renew it", path,
                     clock_rfc3339(when, ends_ns));
}

// A pipe in a certificate's place would hold up everybody who waits for it. What is not there at all is told by who
// reads it, in the words of the others.
static bool is_file(const char *what, const char *path, struct error *err)
{
    struct stat status;
    return stat(path, &status) != 0 || S_ISREG(status.st_mode) ||
           error_set(err, ERROR_BAD_VALUE, "%s %s: it is no file; give one", what, path);
}

static bool load_own(struct tls *tls, const struct tls_options *options, struct error *err)
{
    if (!options->certificate)
        return options->side == TLS_CLIENT ||
               error_set(err, ERROR_BAD_VALUE, "a server needs a certificate and its key");
    if (!is_file("the certificate", options->certificate, err) || !is_file("the key", options->key, err))
        return false;
    if (SSL_CTX_use_certificate_chain_file(tls->context, options->certificate) != 1)
        return file_refused("the certificate", options->certificate, err);
    tls->ends_ns = asn1_ns(X509_get0_notAfter(SSL_CTX_get0_certificate(tls->context)));
    if (tls->ends_ns <= clock_now_ns())
        return has_ended(options->certificate, tls->ends_ns, err);
    if (SSL_CTX_use_PrivateKey_file(tls->context, options->key, SSL_FILETYPE_PEM) != 1 ||
        SSL_CTX_check_private_key(tls->context) != 1)
        return file_refused("the key", options->key, err);
    return true;
}

// ---- what is wrong with a peer's chain

enum { NAME_SIZE = 72 };

static const char *show_name(char *out, size_t size, const X509_NAME *name)
{
    char *text = NULL;
    BIO *memory = BIO_new(BIO_s_mem());
    if (memory)
        X509_NAME_print_ex(memory, name, 0, XN_FLAG_RFC2253);
    long length = memory ? BIO_get_mem_data(memory, &text) : 0;
    text_show(out, size, text ? text : "", length > 0 ? (size_t)length : 0);
    BIO_free(memory);
    return out;
}

// OpenSSL has several words for this.
static bool is_unknown_authority(long verified)
{
    static const long unknown[] = {X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT, X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT_LOCALLY,
                                   X509_V_ERR_UNABLE_TO_VERIFY_LEAF_SIGNATURE, X509_V_ERR_DEPTH_ZERO_SELF_SIGNED_CERT,
                                   X509_V_ERR_SELF_SIGNED_CERT_IN_CHAIN};
    for (size_t i = 0; i < sizeof unknown / sizeof *unknown; i++)
        if (verified == unknown[i])
            return true;
    return false;
}

#define UNKNOWN_AUTHORITY "none of the known authorities has signed it"

static const char *words_of(long verified)
{
    return is_unknown_authority(verified) ? UNKNOWN_AUTHORITY : X509_verify_cert_error_string(verified);
}

// `top` is where the chain ends that could be built, `depth` above the peer's own certificate.
static void say_unknown(char out[TLS_WRONG_SIZE], const X509 *top, int depth, int sent_behind)
{
    char subject[NAME_SIZE], issuer[NAME_SIZE];
    bool itself = X509_NAME_cmp(X509_get_subject_name(top), X509_get_issuer_name(top)) == 0;
    show_name(subject, sizeof subject, X509_get_subject_name(top));
    show_name(issuer, sizeof issuer, X509_get_issuer_name(top));
    if (itself && depth == 0)
        snprintf(out, TLS_WRONG_SIZE, UNKNOWN_AUTHORITY ": it is signed by itself");
    else if (itself)
        snprintf(out, TLS_WRONG_SIZE, UNKNOWN_AUTHORITY ": what was sent ends at %s, which is not known here", subject);
    else if (depth > 0)
        snprintf(out, TLS_WRONG_SIZE,
                 UNKNOWN_AUTHORITY ": %s above it is issued by %s, which is not known here and was not sent", subject,
                 issuer);
    else if (sent_behind > 0)
        snprintf(out, TLS_WRONG_SIZE,
                 UNKNOWN_AUTHORITY ": its issuer %s is not known here, and is not what was sent behind it", issuer);
    else
        snprintf(out, TLS_WRONG_SIZE,
                 UNKNOWN_AUTHORITY ": its issuer %s is not known here, and nothing was sent behind it", issuer);
}

static void say_ended(char out[TLS_WRONG_SIZE], const X509 *authority, bool known)
{
    char subject[NAME_SIZE], when[CLOCK_RFC3339_SIZE];
    snprintf(out, TLS_WRONG_SIZE, "the authority %s above it, which %s, has ended at %s",
             show_name(subject, sizeof subject, X509_get_subject_name(authority)),
             known ? "is known here" : "was sent with it", clock_rfc3339(when, asn1_ns(X509_get0_notAfter(authority))));
}

static void say_purpose(char out[TLS_WRONG_SIZE], X509 *certificate, bool of_client)
{
    const uint32_t wanted = of_client ? XKU_SSL_CLIENT : XKU_SSL_SERVER;
    const uint32_t uses = X509_get_extended_key_usage(certificate); // all bits where it says nothing
    if (uses & wanted)
        snprintf(out, TLS_WRONG_SIZE, "its key usage is not for TLS: it needs digitalSignature");
    else
        snprintf(out, TLS_WRONG_SIZE,
                 "its extended key usage is not for a %s: it %s, and needs %s; a certificate with both, or its "
                 "fingerprint in the entry",
                 of_client ? "client" : "server",
                 uses & (XKU_SSL_CLIENT | XKU_SSL_SERVER)
                     ? of_client ? "is for servers alone (serverAuth)" : "is for clients alone (clientAuth)"
                     : "is for neither servers nor clients",
                 of_client ? "clientAuth" : "serverAuth");
}

static void say_fault(char out[TLS_WRONG_SIZE], X509_STORE_CTX *context, bool of_client)
{
    char subject[NAME_SIZE];
    const int error = X509_STORE_CTX_get_error(context), depth = X509_STORE_CTX_get_error_depth(context);
    X509 *at = X509_STORE_CTX_get_current_cert(context);
    if (at && is_unknown_authority(error))
        say_unknown(out, at, depth, sk_X509_num(X509_STORE_CTX_get0_untrusted(context)) - 1);
    else if (at && error == X509_V_ERR_CERT_HAS_EXPIRED && depth > 0)
        say_ended(out, at, depth >= X509_STORE_CTX_get_num_untrusted(context));
    else if (at && error == X509_V_ERR_INVALID_PURPOSE && depth == 0)
        say_purpose(out, at, of_client);
    else if (at && depth > 0)
        snprintf(out, TLS_WRONG_SIZE, "%s (the authority %s above it)", words_of(error),
                 show_name(subject, sizeof subject, X509_get_subject_name(at)));
    else
        text_copy(out, TLS_WRONG_SIZE, words_of(error));
}

// OpenSSL keeps what it found last; what it found first is why.
static int note_fault(int sound, X509_STORE_CTX *context)
{
    SSL *ssl = X509_STORE_CTX_get_ex_data(context, SSL_get_ex_data_X509_STORE_CTX_idx());
    struct tls_wire *one = ssl ? SSL_get_app_data(ssl) : NULL;
    if (!sound && one && !one->wrong[0])
        say_fault(one->wrong, context, SSL_is_server(ssl) == 1);
    return sound || (one && one->tls->judged_later);
}

// A session that is taken up again verifies nothing, and has its first result.
static const char *fault_of(const struct tls_wire *one)
{
    long verified = SSL_get_verify_result(one->ssl);
    return one->wrong[0] ? one->wrong : verified != X509_V_OK ? words_of(verified) : "";
}

static bool load_authorities(struct tls *tls, const struct tls_options *options, struct error *err)
{
    const bool server = options->side == TLS_SERVER;
    int mode = SSL_VERIFY_PEER | (options->peer_must_show ? SSL_VERIFY_FAIL_IF_NO_PEER_CERT : 0);
    if (server && !options->authorities && !options->judged_later)
        return !options->peer_must_show ||
               error_set(err, ERROR_BAD_VALUE, "peers must show a certificate, and no authority counts: give a file");
    SSL_CTX_set_verify(tls->context, mode, note_fault);
    // Whom the file names counts, be it no root: who issues the scanners' certificates is what a site has at hand.
    X509_VERIFY_PARAM_set_flags(SSL_CTX_get0_param(tls->context), X509_V_FLAG_PARTIAL_CHAIN);
    if (server && !options->authorities)
        return true;
    if (!options->authorities)
        return SSL_CTX_set_default_verify_paths(tls->context) == 1 ||
               error_set(err, ERROR_BAD_VALUE, "the system's authorities cannot be read");
    if (!is_file("the authorities", options->authorities, err))
        return false;
    if (SSL_CTX_load_verify_file(tls->context, options->authorities) != 1)
        return file_refused("the authorities", options->authorities, err);
    if (server)
        SSL_CTX_set_client_CA_list(tls->context, SSL_load_client_CA_file(options->authorities));
    return true;
}

static bool add_list(struct tls *tls, X509_CRL *list, const char *path, struct error *err)
{
    const ASN1_TIME *next = X509_CRL_get0_nextUpdate(list);
    int64_t end_ns = next ? asn1_ns(next) : INT64_MAX;
    if (tls->list_count == LISTS_MAX) {
        X509_CRL_free(list);
        return error_set(err, ERROR_BAD_VALUE, "the revoked certificates %s: more than %d lists", path, LISTS_MAX);
    }
    tls->lists[tls->list_count++] = list;
    if (end_ns < tls->lists_end_ns)
        tls->lists_end_ns = end_ns;
    return true;
}

static bool load_lists(struct tls *tls, const char *path, struct error *err)
{
    bool ok = true;
    if (!path)
        return true;
    if (!is_file("the revoked certificates", path, err))
        return false;
    BIO *file = BIO_new_file(path, "r");
    for (X509_CRL *list; ok && file && (list = PEM_read_bio_X509_CRL(file, NULL, NULL, NULL));)
        ok = add_list(tls, list, path, err);
    // The end of the file is told as a beginning that is not there.
    bool whole = file && ERR_GET_REASON(ERR_peek_last_error()) == PEM_R_NO_START_LINE;
    BIO_free(file);
    if (!ok)
        return false;
    if (tls->list_count == 0 || !whole)
        return file_refused("the revoked certificates", path, err);
    ERR_clear_error();
    return true;
}

static bool set_policy(SSL_CTX *context)
{
    SSL_CTX_set_options(context, SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_COMPRESSION | SSL_OP_CIPHER_SERVER_PREFERENCE);
    SSL_CTX_set_mode(context,
                     SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER | SSL_MODE_RELEASE_BUFFERS);
    SSL_CTX_set_read_ahead(context, 1); // a record by one system call, and what has come behind it
    SSL_CTX_set_default_read_buffer_len(context, GATHER_SIZE);
    SSL_CTX_clear_mode(context, SSL_MODE_AUTO_RETRY); // records without data come back here, where the deadline is
    SSL_CTX_set_verify_depth(context, CHAIN_MAX);
    static const unsigned char id[] = "hilum"; // of sessions, which a server that asks for certificates must name
    return SSL_CTX_set_min_proto_version(context, TLS1_2_VERSION) == 1 &&
           SSL_CTX_set_max_proto_version(context, TLS1_3_VERSION) == 1 &&
           SSL_CTX_set_cipher_list(context, tls_policy.suites) == 1 &&
           SSL_CTX_set_ciphersuites(context, tls_policy.suites13) == 1 &&
           SSL_CTX_set1_groups_list(context, tls_policy.groups) == 1 &&
           SSL_CTX_set_session_id_context(context, id, sizeof id - 1) == 1;
}

struct tls *tls_open(const struct tls_options *options, struct error *err)
{
    struct tls *tls = calloc(1, sizeof *tls);
    ERR_clear_error();
    if (tls)
        tls->context = SSL_CTX_new(options->side == TLS_SERVER ? TLS_server_method() : TLS_client_method());
    if (!tls || !tls->context || !set_policy(tls->context)) {
        error_set(err, ERROR_MEMORY, "no memory for TLS");
        tls_release(tls);
        return NULL;
    }
    atomic_init(&tls->holders, 1);
    tls->ends_ns = tls->lists_end_ns = INT64_MAX;
    tls->judged_later = options->judged_later;
    tls->knows_authorities = options->authorities != NULL;
    if (load_own(tls, options, err) && load_authorities(tls, options, err) && load_lists(tls, options->revoked, err))
        return tls;
    tls_release(tls);
    return NULL;
}

struct tls *tls_hold(struct tls *tls)
{
    atomic_fetch_add(&tls->holders, 1);
    return tls;
}

void tls_release(struct tls *tls)
{
    if (!tls || atomic_fetch_sub(&tls->holders, 1) > 1)
        return;
    for (size_t i = 0; i < tls->list_count; i++)
        X509_CRL_free(tls->lists[i]);
    SSL_CTX_free(tls->context);
    free(tls);
}

int64_t tls_ends_ns(const struct tls *tls)
{
    return tls->ends_ns;
}

int64_t tls_lists_end_ns(const struct tls *tls)
{
    return tls->lists_end_ns;
}

// ---- our own certificate, as others see it

static size_t add_fault(struct tls_fault out[TLS_FAULTS_MAX], size_t count, const char *remedy, const char *format, ...)
    __attribute__((format(printf, 4, 5)));

static size_t add_fault(struct tls_fault out[TLS_FAULTS_MAX], size_t count, const char *remedy, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    vsnprintf(out[count].said, sizeof out[count].said, format, args);
    va_end(args);
    text_copy(out[count].remedy, sizeof out[count].remedy, remedy);
    return count + 1;
}

enum issuer_found { ISSUER_NONE, ISSUER_BETWEEN, ISSUER_ROOT };

static enum issuer_found find_issuer(X509_STORE *store, X509 *certificate)
{
    X509 *issuer = NULL;
    enum issuer_found found = ISSUER_NONE;
    X509_STORE_CTX *context = X509_STORE_CTX_new();
    if (context && store && X509_STORE_CTX_init(context, store, certificate, NULL) == 1 &&
        X509_STORE_CTX_get1_issuer(&issuer, context, certificate) == 1)
        found = X509_check_issued(issuer, issuer) == X509_V_OK ? ISSUER_ROOT : ISSUER_BETWEEN;
    X509_free(issuer);
    X509_STORE_CTX_free(context);
    return found;
}

static enum issuer_found find_issuer_in_system(X509 *certificate)
{
    X509_STORE *store = X509_STORE_new();
    if (store)
        X509_STORE_set_default_paths(store);
    enum issuer_found found = find_issuer(store, certificate);
    X509_STORE_free(store);
    return found;
}

// Roots are not sent. Whether an issuer that is not known is one cannot be told but by this: who has authorities
// between says in the certificate where they can be fetched (RFC 5280, section 4.2.2.1).
static bool issuer_is_missing(const struct tls *tls, X509 *own)
{
    enum issuer_found found = find_issuer(SSL_CTX_get_cert_store(tls->context), own);
    if (found == ISSUER_NONE)
        found = find_issuer_in_system(own);
    ERR_clear_error();
    return found == ISSUER_BETWEEN ||
           (found == ISSUER_NONE && (tls->knows_authorities || X509_get_ext_by_NID(own, NID_info_access, -1) >= 0));
}

static size_t look_at_chain(const struct tls *tls, X509 *own, struct tls_fault out[TLS_FAULTS_MAX], size_t count)
{
    char issuer[NAME_SIZE], behind[NAME_SIZE];
    STACK_OF(X509) *chain = NULL;
    SSL_CTX_get0_chain_certs(tls->context, &chain);
    X509 *next = sk_X509_num(chain) > 0 ? sk_X509_value(chain, 0) : NULL;
    show_name(issuer, sizeof issuer, X509_get_issuer_name(own));
    if (next && X509_check_issued(next, own) != X509_V_OK)
        return add_fault(out, count, "put the certificate of the issuer at the second place of its file",
                         "behind our certificate stands %s in its file, and its issuer is %s",
                         show_name(behind, sizeof behind, X509_get_subject_name(next)), issuer);
    if (next || X509_check_issued(own, own) == X509_V_OK || !issuer_is_missing(tls, own))
        return count;
    return add_fault(
        out, count, "put the certificate of the issuer, which its authority gives with it, behind it in its file",
        "our certificate's issuer %s is not behind it in its file: who knows the root alone refuses it", issuer);
}

static bool has_name(X509 *own, const char *name)
{
    return X509_check_ip_asc(own, name, 0) == 1 ||
           X509_check_host(own, name, 0, X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS, NULL) == 1;
}

size_t tls_own_faults(const struct tls *tls, const char *const *names, size_t count,
                      struct tls_fault out[TLS_FAULTS_MAX])
{
    size_t faults = 0, in_it = 0;
    X509 *own = SSL_CTX_get0_certificate(tls->context);
    if (!own)
        return 0;
    faults = look_at_chain(tls, own, out, faults);
    if (X509_check_purpose(own, X509_PURPOSE_SSL_SERVER, 0) != 1)
        faults = add_fault(out, faults, "get one whose extended key usage has serverAuth, and clientAuth for calls",
                           "our certificate is not made out for a server (its key usage, or its extended key usage "
                           "without serverAuth): everybody refuses it");
    for (size_t i = 0; i < count; i++)
        in_it += has_name(own, names[i]);
    if (count > 0 && in_it == 0)
        faults = add_fault(out, faults, "get one whose subject alternative names have them, or correct http.names",
                           "our certificate is made out for none of http.names (%.100s%s)", names[0],
                           count > 1 ? " and others" : "");
    return faults;
}

// ---- bytes

// What OpenSSL said last: waits when it asks for that, *again true; else the end, in the wire's words.
static enum wire_result settle(struct tls_wire *one, int result, int64_t deadline_ns, bool *again, struct error *err)
{
    int number = errno;
    int what = SSL_get_error(one->ssl, result);
    *again = false;
    if (what == SSL_ERROR_WANT_READ || what == SSL_ERROR_WANT_WRITE) {
        *again = wait_ready(one->fd, what == SSL_ERROR_WANT_READ ? POLLIN : POLLOUT, deadline_ns) != 0;
        return *again ? WIRE_OK : WIRE_TIMEOUT;
    }
    if (what == SSL_ERROR_ZERO_RETURN)
        return WIRE_END;
    unsigned long code = ERR_peek_error();
    const char *why = code ? ERR_reason_error_string(code) : number ? strerror(number) : "the peer went away";
    error_set(err, ERROR_CLOSED, "the TLS connection broke: %s", why ? why : "without a reason");
    return WIRE_BROKEN;
}

static enum wire_result tls_receive(void *payload, uint8_t *data, size_t size, int64_t deadline_ns, size_t *got,
                                    struct error *err)
{
    struct tls_wire *one = payload;
    enum wire_result result;
    bool again;
    do {
        ERR_clear_error();
        int n = SSL_read_ex(one->ssl, data, size, got);
        if (n == 1)
            return WIRE_OK;
        result = settle(one, n, deadline_ns, &again, err);
    } while (again);
    return result;
}

static enum wire_result flush(struct tls_wire *one, int64_t deadline_ns, struct error *err)
{
    BIO *bio = SSL_get_wbio(one->ssl);
    one->gathers = false;
    while (!send_gathered(one, bio)) {
        if (!BIO_should_retry(bio)) {
            error_set(err, ERROR_CLOSED, "the TLS connection broke: %s", strerror(errno));
            return WIRE_BROKEN;
        }
        if (wait_ready(one->fd, POLLOUT, deadline_ns) == 0)
            return WIRE_TIMEOUT;
    }
    return WIRE_OK;
}

static enum wire_result send_bytes(struct tls_wire *one, const uint8_t *data, size_t size, int64_t deadline_ns,
                                   struct error *err)
{
    one->gathers = size > JOIN_SIZE;
    while (size > 0) {
        size_t sent = 0;
        bool again;
        ERR_clear_error();
        int n = SSL_write_ex(one->ssl, data, size, &sent);
        data += sent;
        size -= sent;
        enum wire_result result = n == 1 ? WIRE_OK : settle(one, n, deadline_ns, &again, err);
        if (result != WIRE_OK)
            return result;
    }
    return flush(one, deadline_ns, err);
}

// Parts that fit into one record leave in one.
static enum wire_result tls_send(void *payload, struct iovec *parts, size_t count, int64_t deadline_ns,
                                 struct error *err)
{
    struct tls_wire *one = payload;
    for (size_t i = 0; i < count;) {
        size_t held = 0;
        for (; i < count && parts[i].iov_len <= JOIN_SIZE - held; i++) {
            memcpy(one->joined + held, parts[i].iov_base, parts[i].iov_len);
            held += parts[i].iov_len;
        }
        enum wire_result result = send_bytes(one, one->joined, held, deadline_ns, err);
        if (result == WIRE_OK && i < count && parts[i].iov_len > JOIN_SIZE) {
            result = send_bytes(one, parts[i].iov_base, parts[i].iov_len, deadline_ns, err);
            i++;
        }
        if (result != WIRE_OK)
            return result;
    }
    return WIRE_OK;
}

static void tls_shut(void *payload)
{
    struct tls_wire *one = payload;
    (void)shutdown(one->fd, SHUT_RDWR);
}

static void free_wire(struct tls_wire *one)
{
    if (one->ssl)
        SSL_free(one->ssl);
    close(one->fd);
    tls_release(one->tls);
    free(one);
}

// Says goodbye, so that the peer can tell an end from a cut, and waits for no answer.
static void tls_close(void *payload)
{
    struct tls_wire *one = payload;
    ERR_clear_error();
    (void)SSL_shutdown(one->ssl);
    free_wire(one);
}

static bool say_goodbye(struct tls_wire *one, int64_t deadline_ns)
{
    bool again = true;
    int n = -1;
    struct error ignored;
    while (n < 0 && again) {
        ERR_clear_error();
        n = SSL_shutdown(one->ssl);
        if (n < 0)
            settle(one, n, deadline_ns, &again, &ignored);
    }
    return n >= 0;
}

// What still comes is of no use to who has said goodbye.
static bool wait_for_end(struct tls_wire *one, int64_t deadline_ns)
{
    uint8_t rest[1024];
    size_t got;
    struct error ignored;
    enum wire_result result = WIRE_OK;
    while (result == WIRE_OK && clock_monotonic_ns() < deadline_ns)
        result = tls_receive(one, rest, sizeof rest, deadline_ns, &got, &ignored);
    return result == WIRE_END ||
           (result == WIRE_BROKEN && BIO_test_flags(SSL_get_rbio(one->ssl), BIO_FLAGS_IN_EOF) != 0);
}

bool tls_finish(struct wire *wire, int64_t deadline_ns)
{
    struct tls_wire *one = wire->payload;
    bool quiet = say_goodbye(one, deadline_ns) && wait_for_end(one, deadline_ns);
    free_wire(one);
    *wire = (struct wire){0};
    return quiet;
}

// ---- the handshake

// Named by a list of its issuer's. Where the issuer is there the list must have its signature; else the file's word
// counts, which is the administrator's.
static bool is_revoked(const struct tls *tls, X509 *certificate, X509 *issuer)
{
    for (size_t i = 0; i < tls->list_count; i++) {
        X509_REVOKED *entry;
        X509_CRL *list = tls->lists[i];
        if (X509_NAME_cmp(X509_CRL_get_issuer(list), X509_get_issuer_name(certificate)) != 0)
            continue;
        if (issuer && X509_CRL_verify(list, X509_get0_pubkey(issuer)) != 1)
            continue;
        if (X509_CRL_get0_by_cert(list, &entry, certificate) == 1) // 2: taken from the list again
            return true;
    }
    return false;
}

// The certificate, or an authority between it and one that is known.
static bool chain_is_revoked(const struct tls *tls, SSL *ssl, X509 *certificate)
{
    STACK_OF(X509) *chain = SSL_get0_verified_chain(ssl);
    const int count = chain ? sk_X509_num(chain) : 0;
    bool revoked = count == 0 && is_revoked(tls, certificate, NULL);
    for (int i = 0; i < count; i++)
        revoked =
            revoked || is_revoked(tls, sk_X509_value(chain, i), i + 1 < count ? sk_X509_value(chain, i + 1) : NULL);
    ERR_clear_error();
    return revoked;
}

static void describe_peer(const struct tls_wire *one, struct tls_peer *out)
{
    unsigned char digest[EVP_MAX_MD_SIZE];
    unsigned int size = 0;
    *out = (struct tls_peer){0};
    text_copy(out->version, sizeof out->version, SSL_get_version(one->ssl));
    text_copy(out->cipher, sizeof out->cipher, SSL_get_cipher_name(one->ssl));
    X509 *certificate = SSL_get0_peer_certificate(one->ssl);
    if (!certificate)
        return;
    text_copy(out->wrong, sizeof out->wrong, fault_of(one));
    out->revoked = chain_is_revoked(one->tls, one->ssl, certificate);
    show_name(out->subject, sizeof out->subject, X509_get_subject_name(certificate));
    out->ends_ns = asn1_ns(X509_get0_notAfter(certificate));
    if (X509_digest(certificate, EVP_sha256(), digest, &size) == 1)
        text_hex(out->fingerprint, digest, size);
}

// The reasons that say: this is no TLS of ours.
static bool is_no_tls(int reason)
{
    static const int reasons[] = {SSL_R_WRONG_VERSION_NUMBER, SSL_R_HTTP_REQUEST, SSL_R_HTTPS_PROXY_REQUEST,
                                  SSL_R_PACKET_LENGTH_TOO_LONG, SSL_R_RECORD_LENGTH_MISMATCH};
    for (size_t i = 0; i < sizeof reasons / sizeof *reasons; i++)
        if (reason == reasons[i])
            return true;
    return false;
}

static bool handshake_failed(const struct tls_wire *one, const char *host, struct error *err)
{
    unsigned long code = ERR_peek_error();
    int reason = ERR_GET_REASON(code);
    if (code && *fault_of(one))
        return error_set(err, ERROR_FORBIDDEN, "the certificate of %s does not count: %s", host ? host : "the peer",
                         fault_of(one));
    if (code && is_no_tls(reason))
        return error_set(err, ERROR_PROTOCOL, "%s speaks no TLS at this port", host ? host : "the peer");
    if (code && reason == SSL_R_PEER_DID_NOT_RETURN_A_CERTIFICATE)
        return error_set(err, ERROR_FORBIDDEN, "the peer shows no certificate");
    const char *why = code ? ERR_reason_error_string(code) : NULL;
    return error_set(err, code ? ERROR_PROTOCOL : ERROR_CLOSED, "no TLS with %s: %s", host ? host : "the peer",
                     why ? why : "it closed the connection");
}

static bool shake_hands(struct tls_wire *one, const char *host, int64_t deadline_ns, struct error *err)
{
    bool again;
    do {
        ERR_clear_error();
        int n = SSL_do_handshake(one->ssl);
        if (n == 1)
            return true;
        struct error ignored;
        enum wire_result result = settle(one, n, deadline_ns, &again, &ignored);
        if (result == WIRE_TIMEOUT)
            return error_set(err, ERROR_TIMEOUT, "the TLS handshake with %s took too long", host ? host : "the peer");
    } while (again);
    return handshake_failed(one, host, err);
}

static bool name_host(SSL *ssl, const char *host)
{
    X509_VERIFY_PARAM *checks = SSL_get0_param(ssl);
    SSL_set_connect_state(ssl);
    if (X509_VERIFY_PARAM_set1_ip_asc(checks, host) == 1)
        return true;
    X509_VERIFY_PARAM_set_hostflags(checks, X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS);
    return SSL_set_tlsext_host_name(ssl, host) == 1 && X509_VERIFY_PARAM_set1_host(checks, host, 0) == 1;
}

static struct tls_wire *new_wire(int fd, struct tls *tls, const char *host)
{
    struct tls_wire *one = calloc(1, sizeof *one);
    if (!one) {
        close(fd);
        return NULL;
    }
    *one = (struct tls_wire){.tls = tls_hold(tls), .ssl = SSL_new(tls->context), .fd = fd};
    bool ready = one->ssl && SSL_set_app_data(one->ssl, one) == 1 && set_socket(one);
    if (ready && host)
        ready = name_host(one->ssl, host);
    else if (ready)
        SSL_set_accept_state(one->ssl);
    if (ready)
        return one;
    free_wire(one);
    return NULL;
}

bool tls_wire(struct wire *wire, int fd, struct tls *tls, const char *host, int64_t deadline_ns, struct tls_peer *peer,
              struct error *err)
{
    struct tls_wire *one = new_wire(fd, tls, host);
    if (!one)
        return error_set(err, ERROR_MEMORY, "no memory for a TLS connection");
    if (!shake_hands(one, host, deadline_ns, err)) {
        free_wire(one);
        return false;
    }
    if (peer)
        describe_peer(one, peer);
    *wire =
        (struct wire){.receive = tls_receive, .send = tls_send, .shut = tls_shut, .close = tls_close, .payload = one};
    return true;
}

// ---- whether a certificate counts

bool tls_fingerprint(const char *text, char out[TLS_FINGERPRINT_SIZE])
{
    size_t count = 0;
    for (; *text && count < TLS_FINGERPRINT_SIZE; text++) {
        bool digit = (*text >= '0' && *text <= '9') || (*text >= 'a' && *text <= 'f') || (*text >= 'A' && *text <= 'F');
        if (digit)
            out[count++] = *text >= 'A' && *text <= 'F' ? (char)(*text - 'A' + 'a') : *text;
        else if (*text != ':' || count == 0 || count % 2 != 0)
            return false;
    }
    out[count < TLS_FINGERPRINT_SIZE ? count : 0] = '\0';
    return count == TLS_FINGERPRINT_SIZE - 1;
}

static bool refuse_peer(const struct tls_peer *peer, const char *why, struct error *err)
{
    return error_set(err, ERROR_FORBIDDEN, "the certificate of %.60s (SHA-256 fingerprint %s) does not count: %s",
                     peer->subject, peer->fingerprint, why);
}

bool tls_judge(const struct tls_peer *peer, const char *fingerprint, struct error *err)
{
    char why[64 + CLOCK_RFC3339_SIZE], when[CLOCK_RFC3339_SIZE];
    if (peer->ends_ns == 0)
        return error_set(err, ERROR_FORBIDDEN, "the peer shows no certificate");
    if (peer->ends_ns <= clock_now_ns()) {
        snprintf(why, sizeof why, "it has ended at %s", clock_rfc3339(when, peer->ends_ns));
        return refuse_peer(peer, why, err);
    }
    if (peer->revoked)
        return refuse_peer(peer, "its issuer has revoked it, or an authority above it (tls.revoked)", err);
    if (*fingerprint)
        return strcmp(fingerprint, peer->fingerprint) == 0 ||
               refuse_peer(peer, "another one is entered for this peer", err);
    return !*peer->wrong || refuse_peer(peer, peer->wrong, err);
}

bool tls_connect(struct wire *wire, const struct tls_target *to, int64_t deadline_ns, char *address, struct error *err)
{
    enum { ADDRESS_SIZE = 48 };
    struct tls_peer shown;
    int fd = wire_connect(to->host, to->port, deadline_ns, err);
    if (fd < 0)
        return false;
    if (address)
        wire_address(fd, address, ADDRESS_SIZE);
    if (!to->tls)
        return wire_socket(wire, fd, err);
    if (!tls_wire(wire, fd, to->tls, to->host, deadline_ns, &shown, err))
        return false;
    if (tls_judge(&shown, to->fingerprint, err))
        return true;
    wire->close(wire->payload);
    return false;
}
