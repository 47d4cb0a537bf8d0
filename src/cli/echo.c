// hilum echo: C-ECHO to a DICOM peer.
#include <stdio.h>
#include <stdlib.h>

#include "base/clock.h"
#include "base/text.h"
#include "cli/cli.h"
#include "dimse/dimse.h"

static int run(int argc, char **argv);

const struct cli_command cli_echo = {"echo", "[HOST:PORT] [OPTIONS]",
                                     "ask a DICOM peer whether it is there (C-ECHO), without one " CLI_DICOM, run,
                                     false};

static int echo(const struct dimse_peer *peer)
{
    static const struct dimse_proposal proposal = {DIMSE_VERIFICATION, {DICOM_TS_IMPLICIT, DICOM_TS_EXPLICIT}};
    struct error err;
    uint16_t status;
    char shown[272];
    int64_t started_ns = clock_monotonic_ns();
    struct dimse_association *association = dimse_connect(peer, &proposal, 1, &dimse_timers_default, &err);
    if (!association)
        return cli_fail(&err);
    if (!dimse_echo(association, &status, &err)) {
        dimse_close(association);
        return cli_fail(&err);
    }
    printf("%s at %s answered %04XH in %.1f ms\n", peer->called,
           text_show_host_port(shown, sizeof shown, peer->host, peer->port), status,
           (double)(clock_monotonic_ns() - started_ns) / 1e6);
    bool released = dimse_release(association, &err);
    return status == 0 && released ? CLI_DONE : CLI_FAILED;
}

static int run(int argc, char **argv)
{
    struct cli_dicom call = {.called = CLI_TITLE, .calling = CLI_TITLE};
    const struct cli_option options[] = {CLI_DICOM_OPTIONS(&call), {NULL, NULL, NULL, NULL, NULL}};
    struct error err;
    char host[256];
    uint16_t port;
    int status = CLI_FAILED;
    if (!cli_options(&argc, argv, &cli_echo, options, &status))
        return status;
    if (argc > 2 || !text_host_port(argc == 2 ? argv[1] : CLI_DICOM, host, sizeof host, &port))
        return cli_usage("echo takes one HOST:PORT");
    if (cli_dicom_check(&call) != CLI_DONE)
        return CLI_USAGE;
    struct dimse_peer peer = {
        .host = host, .port = port, .called = call.called, .calling = call.calling, .fingerprint = ""};
    if (!cli_dicom_tls(&call, &peer.tls, &err))
        return cli_fail(&err);
    status = echo(&peer);
    tls_release(peer.tls);
    return status;
}
