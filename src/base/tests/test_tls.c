// TLS against Python's, whose client and server are somebody else's; certificates by the openssl program.
#include <openssl/ssl.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/text.h"
#include "base/tls.h"
#include "support/check.h"
#include "support/folder.h"
#include "support/program.h"

#define PATIENCE (10 * CLOCK_SECOND)

static const char script[] = "src/base/tests/tls_peer.py";
static char folder[64];

static int make_certificates(void **state)
{
    (void)state;
    folder_make(folder, sizeof folder);
    run_script(script, (const char *const[]){"certificates", folder, NULL});
    return 0;
}

static int remove_certificates(void **state)
{
    (void)state;
    folder_delete(folder);
    return 0;
}

static struct tls *open_with(enum tls_side side, const char *name, const char *authorities, bool must_show,
                             struct error *err)
{
    char paths[3][128];
    snprintf(paths[0], sizeof paths[0], "%s/%s.pem", folder, name ? name : "");
    snprintf(paths[1], sizeof paths[1], "%s/%s.key", folder, name ? name : "");
    snprintf(paths[2], sizeof paths[2], "%s/%s.pem", folder, authorities ? authorities : "");
    return tls_open(&(struct tls_options){.side = side,
                                          .certificate = name ? paths[0] : NULL,
                                          .key = name ? paths[1] : NULL,
                                          .authorities = authorities ? paths[2] : NULL,
                                          .peer_must_show = must_show},
                    err);
}

// A server that knows `ca`, and the file `lists` of revoked certificates.
static struct tls *open_with_lists(const char *lists, struct error *err)
{
    char paths[4][128];
    static const char *const names[] = {"server.pem", "server.key", "ca.pem"};
    for (size_t i = 0; i < 3; i++)
        snprintf(paths[i], sizeof paths[i], "%s/%s", folder, names[i]);
    snprintf(paths[3], sizeof paths[3], "%s/%s", folder, lists);
    return tls_open(&(struct tls_options){.side = TLS_SERVER,
                                          .certificate = paths[0],
                                          .key = paths[1],
                                          .authorities = paths[2],
                                          .revoked = paths[3],
                                          .peer_must_show = true},
                    err);
}

// ---- our server, their client

struct server {
    struct tls *tls;
    int listener;
    int64_t patience_ns;
    bool shook;
    struct tls_peer peer;
    struct error err;
};

static void echo(struct wire *wire)
{
    static uint8_t block[60000];
    struct error err;
    size_t got;
    while (wire->receive(wire->payload, block, sizeof block, clock_monotonic_ns() + PATIENCE, &got, &err) == WIRE_OK) {
        // Parts of all sizes: some leave together, one alone.
        size_t first = got / 7, second = got - first > 20000 ? 20000 : got - first;
        struct iovec parts[] = {
            {block, first}, {block + first, second}, {block + first + second, got - first - second}};
        if (wire->send(wire->payload, parts, 3, clock_monotonic_ns() + PATIENCE, &err) != WIRE_OK)
            break;
    }
    wire->close(wire->payload);
}

static void *serve_one(void *payload)
{
    struct server *server = payload;
    struct wire wire;
    int fd = accept(server->listener, NULL, NULL);
    server->shook =
        tls_wire(&wire, fd, server->tls, NULL, clock_monotonic_ns() + server->patience_ns, &server->peer, &server->err);
    if (server->shook)
        echo(&wire);
    return NULL;
}

// What `what` of the script does against our server of `tls`, which is given away; its exit status.
static int called_with(struct server *server, struct tls *tls, const char *what)
{
    pthread_t thread;
    char port[8];
    struct buffer said;
    struct error err;
    *server = (struct server){.tls = tls};
    server->patience_ns = strcmp(what, "silent") == 0 ? CLOCK_SECOND / 5 : PATIENCE;
    server->listener = wire_listen("127.0.0.1", 0, &err);
    assert_ok(server->listener >= 0, err);
    snprintf(port, sizeof port, "%u", wire_port(server->listener));
    assert_int_equal(pthread_create(&thread, NULL, serve_one, server), 0);
    int status =
        run_program((const char *const[]){"/usr/bin/python3", script, "call", port, what, folder, NULL}, &said);
    buffer_free(&said);
    pthread_join(thread, NULL);
    close(server->listener);
    tls_release(server->tls);
    return status;
}

static int called(struct server *server, const char *name, const char *authorities, bool must_show, const char *what)
{
    struct error err;
    struct tls *tls = open_with(TLS_SERVER, name, authorities, must_show, &err);
    assert_ok(tls != NULL, err);
    return called_with(server, tls, what);
}

static void a_client_gets_back_what_it_sends_by_both_versions(void **state)
{
    struct server server;
    (void)state;
    assert_int_equal(called(&server, "server", NULL, false, "1.3"), 0);
    assert_ok(server.shook, server.err);
    assert_string_equal(server.peer.version, "TLSv1.3");
    assert_string_equal(server.peer.fingerprint, "");
    assert_int_equal(called(&server, "server", NULL, false, "1.2"), 0);
    assert_ok(server.shook, server.err);
    assert_string_equal(server.peer.version, "TLSv1.2");
}

static void a_client_that_shows_a_certificate_is_known_by_it(void **state)
{
    struct server server;
    struct buffer said;
    char path[128], hex[TLS_FINGERPRINT_SIZE] = "";
    (void)state;
    assert_int_equal(called(&server, "server", "ca", true, "scanner"), 0);
    assert_ok(server.shook, server.err);
    assert_string_equal(server.peer.subject, "O=Ward,CN=scanner 1");
    snprintf(path, sizeof path, "%s/scanner.pem", folder);
    run_well((const char *const[]){"openssl", "x509", "-in", path, "-noout", "-fingerprint", "-sha256", NULL}, &said);
    size_t length = 0;
    for (const char *at = strchr((const char *)said.data, '=') + 1; *at && length < sizeof hex - 1; at++)
        if (*at != ':' && *at != '\n')
            hex[length++] = (char)(*at >= 'A' ? *at + 32 : *at);
    buffer_free(&said);
    assert_string_equal(server.peer.fingerprint, hex);
    assert_true(server.peer.ends_ns > clock_now_ns() + 29 * 86400 * CLOCK_SECOND);
}

static void who_shows_no_certificate_or_a_stranger_s_is_refused_where_one_must(void **state)
{
    struct server server;
    (void)state;
    assert_int_equal(called(&server, "server", "ca", true, "1.3"), 2);
    assert_false(server.shook);
    assert_int_equal(server.err.code, ERROR_FORBIDDEN);
    assert_non_null(strstr(server.err.message, "shows no certificate"));
    assert_int_equal(called(&server, "server", "ca", true, "strange"), 2);
    assert_int_equal(server.err.code, ERROR_FORBIDDEN);
    assert_non_null(strstr(server.err.message, "does not count"));
    assert_int_equal(called(&server, "server", "ca", false, "1.3"), 0); // where it need not
    assert_true(server.shook);
}

static void what_the_policy_does_not_allow_is_refused(void **state)
{
    struct server server;
    (void)state;
    for (int i = 0; i < 2; i++) {
        assert_int_equal(called(&server, "server", NULL, false, i == 0 ? "old" : "ancient"), 2);
        assert_false(server.shook);
        assert_int_equal(server.err.code, ERROR_PROTOCOL);
    }
}

static void who_speaks_no_tls_is_told_apart_from_who_is_silent_or_leaves(void **state)
{
    struct server server;
    (void)state;
    (void)called(&server, "server", NULL, false, "http");
    assert_int_equal(server.err.code, ERROR_PROTOCOL);
    assert_non_null(strstr(server.err.message, "speaks no TLS"));
    (void)called(&server, "server", NULL, false, "dicom");
    assert_int_equal(server.err.code, ERROR_PROTOCOL);
    assert_non_null(strstr(server.err.message, "speaks no TLS"));
    (void)called(&server, "server", NULL, false, "leaves");
    assert_int_equal(server.err.code, ERROR_CLOSED);
    (void)called(&server, "server", NULL, false, "silent");
    assert_int_equal(server.err.code, ERROR_TIMEOUT);
}

// ---- our client, their server

// Starts a server of the script; it names its port in a file.
static pid_t start_server(const char *what, uint16_t *port)
{
    char path[128];
    snprintf(path, sizeof path, "%s/port", folder);
    remove(path);
    pid_t pid = start_program((const char *const[]){"/usr/bin/python3", script, "answer", what, folder, NULL});
    for (int i = 0; i < 2000 && access(path, R_OK) != 0; i++)
        clock_sleep_ns(5 * CLOCK_MS);
    char *text = load_file(path, NULL);
    *port = (uint16_t)strtoul(text, NULL, 10);
    free(text);
    return pid;
}

// true when the handshake with a server of the script was done, and a mebibyte came back as it went.
static bool calls(const char *what, const char *host, const char *authorities, struct tls_peer *peer, struct error *err)
{
    static uint8_t sent[1 << 20], got[1 << 20];
    uint16_t port;
    struct wire wire;
    struct tls *tls = open_with(TLS_CLIENT, NULL, authorities, false, err);
    assert_ok(tls != NULL, *err);
    pid_t server = start_server(what, &port);
    int fd = wire_connect("127.0.0.1", port, clock_monotonic_ns() + PATIENCE, err);
    assert_ok(fd >= 0, *err);
    int64_t patience = strcmp(what, "silent") == 0 ? CLOCK_SECOND / 5 : PATIENCE;
    bool shook = tls_wire(&wire, fd, tls, host, clock_monotonic_ns() + patience, peer, err);
    tls_release(tls); // the wire holds it
    if (shook) {
        for (size_t i = 0; i < sizeof sent; i++)
            sent[i] = (uint8_t)(i * 7 + i / 256);
        struct iovec part = {sent, sizeof sent};
        assert_int_equal(wire.send(wire.payload, &part, 1, clock_monotonic_ns() + PATIENCE, err), WIRE_OK);
        for (size_t all = 0, n; all < sizeof got; all += n)
            assert_int_equal(
                wire.receive(wire.payload, got + all, sizeof got - all, clock_monotonic_ns() + PATIENCE, &n, err),
                WIRE_OK);
        assert_memory_equal(got, sent, sizeof sent);
        size_t n;
        assert_int_equal(wire.receive(wire.payload, got, 1, clock_monotonic_ns() + PATIENCE, &n, err), WIRE_END);
        wire.close(wire.payload);
    }
    stop_program(server);
    return shook;
}

static void a_server_is_believed_by_name_and_by_address(void **state)
{
    struct tls_peer peer;
    struct error err;
    (void)state;
    assert_ok(calls("server", "localhost", "ca", &peer, &err), err);
    assert_string_equal(peer.subject, "CN=server");
    assert_ok(calls("server", "127.0.0.1", "ca", &peer, &err), err);
}

static void a_server_that_is_another_or_unknown_or_ended_is_refused_with_the_reason(void **state)
{
    static const struct {
        const char *what, *host, *authorities, *says;
        enum error_code code;
    } cases[] = {
        {"elsewhere", "localhost", "ca", "hostname mismatch", ERROR_FORBIDDEN},
        {"elsewhere", "127.0.0.1", "ca", "IP address mismatch", ERROR_FORBIDDEN},
        {"ended", "localhost", "ca", "expired", ERROR_FORBIDDEN},
        {"strange", "localhost", "ca", "none of the known authorities", ERROR_FORBIDDEN},
        {"server", "localhost", NULL, "none of the known authorities", ERROR_FORBIDDEN},
        {"old", "localhost", "ca", "no TLS with localhost", ERROR_PROTOCOL},
        {"ancient", "localhost", "ca", "no TLS with localhost", ERROR_PROTOCOL},
        {"banner", "localhost", "ca", "speaks no TLS", ERROR_PROTOCOL},
        {"clients", "localhost", "ca", "is for clients alone (clientAuth), and needs serverAuth", ERROR_FORBIDDEN},
        {"silent", "localhost", "ca", "took too long", ERROR_TIMEOUT},
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct error err = {.code = ERROR_NONE};
        assert_false(calls(cases[i].what, cases[i].host, cases[i].authorities, NULL, &err));
        if (err.code != cases[i].code || !strstr(err.message, cases[i].says))
            fail_msg("%s: %s (%s)", cases[i].what, err.message, error_name(err.code));
    }
}

static void an_authority_counts_that_is_no_root(void **state)
{
    struct server server;
    (void)state;
    assert_int_equal(called(&server, "server", "link1", true, "alone"), 0);
    assert_ok(server.shook, server.err);
}

static void what_is_wrong_above_a_certificate_is_told_of_what_is_above(void **state)
{
    static const struct {
        const char *what, *authorities, *says;
    } cases[] = {
        {"alone", "ca", "its issuer CN=link 1 is not known here, and nothing was sent behind it"},
        {"chain8", "stranger", "CN=link 1 above it is issued by CN=authority ca, which is not known here and was not"},
        {"strange", "ca", "its issuer CN=authority stranger is not known here"},
        {"under", "ca", "the authority CN=old link above it, which was sent with it, has ended at 2020-02-01"},
        {"under", "oldlink", "the authority CN=old link above it, which is known here, has ended at 2020-02-01"},
        {"servers", "ca", "it is for servers alone (serverAuth), and needs clientAuth"},
    };
    struct server server;
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        assert_int_equal(called(&server, "server", cases[i].authorities, true, cases[i].what), 2);
        if (server.err.code != ERROR_FORBIDDEN || !strstr(server.err.message, cases[i].says))
            fail_msg("%s: %s (%s)", cases[i].what, server.err.message, error_name(server.err.code));
    }
}

static void what_others_will_find_wrong_with_our_certificate_is_known(void **state)
{
    static const char *const names[] = {"pacs.example", "localhost"};
    static const struct {
        const char *name, *authorities;
        size_t names, faults;
        const char *says;
    } cases[] = {
        {"server", "ca", 2, 0, ""},         {"server", NULL, 0, 0, ""},
        {"chain8", "ca", 0, 0, ""},         {"server", "ca", 1, 1, "none of http.names (pacs.example)"},
        {"alone", "link1", 0, 1, "link 1"}, {"alone", "ca", 0, 1, "issuer CN=link 1 is not behind it"},
        {"clients", "ca", 2, 1, "server"},  {"clients", "ca", 1, 2, "server"},
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct tls_fault faults[TLS_FAULTS_MAX];
        struct error err;
        struct tls *tls = open_with(TLS_SERVER, cases[i].name, cases[i].authorities, false, &err);
        assert_ok(tls != NULL, err);
        size_t count = tls_own_faults(tls, names, cases[i].names, faults);
        tls_release(tls);
        if (count != cases[i].faults || (count > 0 && !strstr(faults[0].said, cases[i].says)))
            fail_msg("%zu (%s): %zu faults: %s", i, cases[i].name, count, count > 0 ? faults[0].said : "");
    }
}

// ---- files

// ---- a peer by OpenSSL's own calls, that sends records without data: key updates

struct talker {
    int fd;
    _Atomic bool stop;
    _Atomic int records;
};

static void *talk(void *payload)
{
    struct talker *talker = payload;
    signal(SIGPIPE, SIG_IGN); // OpenSSL's own socket raises it when the other side has ended
    SSL_CTX *context = SSL_CTX_new(TLS_client_method());
    SSL *ssl = SSL_new(context);
    SSL_set_fd(ssl, talker->fd);
    if (SSL_connect(ssl) == 1)
        while (!talker->stop && SSL_key_update(ssl, SSL_KEY_UPDATE_NOT_REQUESTED) == 1 && SSL_do_handshake(ssl) == 1)
            talker->records++;
    SSL_free(ssl);
    SSL_CTX_free(context);
    return NULL;
}

static void records_without_data_do_not_pass_the_deadline(void **state)
{
    int pair[2];
    pthread_t thread;
    struct wire wire;
    struct error err;
    uint8_t byte;
    size_t got;
    (void)state;
    struct tls *tls = open_with(TLS_SERVER, "server", NULL, false, &err);
    assert_ok(tls != NULL, err);
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair), 0);
    struct talker talker = {.fd = pair[1]};
    assert_int_equal(pthread_create(&thread, NULL, talk, &talker), 0);
    assert_ok(tls_wire(&wire, pair[0], tls, NULL, clock_monotonic_ns() + PATIENCE, NULL, &err), err);
    int64_t begun_ns = clock_monotonic_ns();
    enum wire_result result = wire.receive(wire.payload, &byte, 1, begun_ns + 300 * CLOCK_MS, &got, &err);
    assert_int_equal(result, WIRE_TIMEOUT);
    assert_in_range(clock_monotonic_ns() - begun_ns, 300 * CLOCK_MS, 3 * CLOCK_SECOND);
    assert_true(talker.records > 100);
    talker.stop = true;
    wire.close(wire.payload);
    pthread_join(thread, NULL);
    close(pair[1]);
    tls_release(tls);
}

static void a_chain_of_eight_authorities_counts_and_one_of_nine_does_not(void **state)
{
    struct server server;
    (void)state;
    assert_int_equal(called(&server, "server", "ca", true, "chain8"), 0);
    assert_ok(server.shook, server.err);
    assert_int_not_equal(called(&server, "server", "ca", true, "chain9"), 0);
    assert_false(server.shook);
    assert_non_null(strstr(server.err.message, "chain too long"));
}

static void who_is_signed_under_an_authority_that_is_revoked_is_told_as_revoked(void **state)
{
    static const char *const lists[] = {"none.crl", "link1.crl"};
    struct server server;
    struct error err;
    (void)state;
    for (size_t i = 0; i < 2; i++) {
        struct tls *tls = open_with_lists(lists[i], &err);
        assert_ok(tls != NULL, err);
        (void)called_with(&server, tls, "chain8");
        assert_ok(server.shook, server.err);
        assert_int_equal(server.peer.revoked, i == 1);
    }
}

static void files_that_do_not_fit_are_named(void **state)
{
    struct error err;
    char path[128], key[128];
    (void)state;
    assert_null(open_with(TLS_SERVER, "ended", NULL, false, &err));
    assert_non_null(strstr(err.message, "has ended at 2020-02-01"));
    assert_null(open_with(TLS_SERVER, "nothing", NULL, false, &err));
    assert_non_null(strstr(err.message, "nothing.pem: No such file"));
    assert_null(open_with(TLS_SERVER, "server", "nothing", false, &err));
    snprintf(path, sizeof path, "the authorities %s/nothing.pem: No such file", folder);
    assert_non_null(strstr(err.message, path));
    assert_null(open_with(TLS_SERVER, "server", NULL, true, &err));
    // A pipe is not waited for.
    snprintf(path, sizeof path, "%s/pipe.pem", folder);
    assert_int_equal(mkfifo(path, 0600), 0);
    assert_null(open_with(TLS_SERVER, "pipe", NULL, false, &err));
    assert_non_null(strstr(err.message, "pipe.pem: it is no file"));
    assert_null(open_with(TLS_SERVER, "server", "pipe", false, &err));
    snprintf(path, sizeof path, "%s/server.pem", folder);
    snprintf(key, sizeof key, "%s/strange.key", folder);
    assert_null(tls_open(&(struct tls_options){.side = TLS_SERVER, .certificate = path, .key = key}, &err));
    assert_non_null(strstr(err.message, "strange.key: key values mismatch"));
    assert_int_equal(err.code, ERROR_BAD_VALUE);
}

static void a_fingerprint_is_64_digits_with_colons_or_without(void **state)
{
    static const char *const none[] = {"",
                                       "AB:CD",
                                       ":AB",
                                       "A:BC",
                                       "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef0",
                                       "g123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"};
    char out[TLS_FINGERPRINT_SIZE];
    (void)state;
    assert_true(tls_fingerprint(
        "01:23:45:67:89:AB:CD:EF:01:23:45:67:89:AB:CD:EF:01:23:45:67:89:AB:CD:EF:01:23:45:67:89:AB:CD:EF", out));
    assert_string_equal(out, "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef");
    assert_true(tls_fingerprint(out, out));
    for (size_t i = 0; i < sizeof none / sizeof *none; i++)
        assert_false(tls_fingerprint(none[i], out));
}

int test_tls(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_client_gets_back_what_it_sends_by_both_versions),
        cmocka_unit_test(a_client_that_shows_a_certificate_is_known_by_it),
        cmocka_unit_test(who_shows_no_certificate_or_a_stranger_s_is_refused_where_one_must),
        cmocka_unit_test(what_the_policy_does_not_allow_is_refused),
        cmocka_unit_test(who_speaks_no_tls_is_told_apart_from_who_is_silent_or_leaves),
        cmocka_unit_test(a_server_is_believed_by_name_and_by_address),
        cmocka_unit_test(a_server_that_is_another_or_unknown_or_ended_is_refused_with_the_reason),
        cmocka_unit_test(an_authority_counts_that_is_no_root),
        cmocka_unit_test(what_is_wrong_above_a_certificate_is_told_of_what_is_above),
        cmocka_unit_test(what_others_will_find_wrong_with_our_certificate_is_known),
        cmocka_unit_test(records_without_data_do_not_pass_the_deadline),
        cmocka_unit_test(a_chain_of_eight_authorities_counts_and_one_of_nine_does_not),
        cmocka_unit_test(who_is_signed_under_an_authority_that_is_revoked_is_told_as_revoked),
        cmocka_unit_test(files_that_do_not_fit_are_named),
        cmocka_unit_test(a_fingerprint_is_64_digits_with_colons_or_without),
    };
    return cmocka_run_group_tests(tests, make_certificates, remove_certificates);
}
