// hilum serve: the server, until SIGINT, SIGTERM or SIGHUP.
#include <errno.h>
#include <malloc.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>

#include "base/file.h"
#include "base/log.h"
#include "base/notify.h"
#include "cli/cli.h"
#include "service/service.h"

static int run(int argc, char **argv);

const struct cli_command cli_serve = {
    "serve", "[OPTIONS]",
    "run the server: archive, DICOMweb, API and page, until SIGTERM, SIGINT or SIGHUP (which is no reload)", run,
    false};

enum {
    OPEN_FILES_WANTED = 1024, // asked for, where the system allows it
    OPEN_FILES_LEAST = 128,   // 16 associations, 16 readers and 64 packs
};

static void wait_for_signal(const sigset_t *signals)
{
    int number;
    while (sigwait(signals, &number) == EINTR)
        continue;
    log_info("serve", "stopping: %s", number == SIGHUP ? "SIGHUP" : number == SIGINT ? "SIGINT" : "SIGTERM");
}

// Whoever started us with SIGHUP ignored (nohup) wants us to stay when the terminal goes.
static bool hangup_is_ignored(void)
{
    struct sigaction action;
    return sigaction(SIGHUP, NULL, &action) == 0 && action.sa_handler == SIG_IGN;
}

static bool have_open_files(struct error *err)
{
    struct rlimit limit;
    if (getrlimit(RLIMIT_NOFILE, &limit) != 0)
        return error_errno(err, errno, "cannot read the limit of open files");
    rlim_t wanted = limit.rlim_max < OPEN_FILES_WANTED ? limit.rlim_max : OPEN_FILES_WANTED;
    if (limit.rlim_cur < wanted)
        limit.rlim_cur = wanted;
    return (setrlimit(RLIMIT_NOFILE, &limit) == 0 && limit.rlim_cur >= OPEN_FILES_LEAST) ||
           error_set(err, ERROR_LIMIT,
                     "this process may have %llu files open at once, and a server needs %d: raise the limit (ulimit -n "
                     "%d, or LimitNOFILE=%d in its systemd unit)",
                     (unsigned long long)limit.rlim_cur, OPEN_FILES_LEAST, OPEN_FILES_WANTED, OPEN_FILES_WANTED);
}

// systemd waits for READY=1 (Type=notify) and ends a unit that never says it; so failing is worth a line only.
static void tell(const char *state)
{
    struct error err;
    if (!notify_send(state, &err))
        log_warning("serve", "%s", err.message);
}

static int serve(const struct config *config)
{
    struct error err;
    sigset_t signals;
    sigemptyset(&signals);
    sigaddset(&signals, SIGINT);
    sigaddset(&signals, SIGTERM);
    if (!hangup_is_ignored())
        sigaddset(&signals, SIGHUP);
    pthread_sigmask(SIG_BLOCK, &signals, NULL); // before any thread is made
    signal(SIGPIPE, SIG_IGN);
    signal(SIGXFSZ, SIG_IGN); // a file at its limit is an error of that write
    umask(077);
    // Many threads with few bytes each: glibc's arena per thread would cost more than the data.
    mallopt(M_ARENA_MAX, 4);
    mallopt(M_TRIM_THRESHOLD, 4 << 20);
    mallopt(M_MMAP_THRESHOLD, 1 << 20);
    struct service *service = have_open_files(&err) ? service_start(config, &err) : NULL;
    if (!service)
        return cli_fail(&err);
    char http[SERVICE_ADDRESS_SIZE], dicom[SERVICE_ADDRESS_SIZE];
    printf("hilum: ready, page at http://%s/, DICOM at %s\n", service_http_address(service, http),
           service_dicom_address(service, dicom));
    fflush(stdout);
    tell("READY=1");
    wait_for_signal(&signals);
    tell("STOPPING=1");
    service_stop(service);
    return CLI_DONE;
}

static int run(int argc, char **argv)
{
    const char *path = NULL, *data = NULL, *http = NULL, *dicom = NULL, *title = NULL;
    const struct cli_option options[] = {
        {"config", "FILE", "the YAML file; docs/hilum.yaml is the commented example", &path, NULL},
        {"data", "DIR", "where everything is kept (./hilum-data)", &data, NULL},
        {"http", "HOST:PORT", "page, DICOMweb and API (127.0.0.1:8080)", &http, NULL},
        {"dicom", "HOST:PORT", "where modalities send to (127.0.0.1:11112)", &dicom, NULL},
        {"aet", "TITLE[,TITLE]", "our AE titles (HILUM)", &title, NULL},
        {NULL, NULL, NULL, NULL, NULL},
    };
    const struct {
        const char *key, **value;
    } flags[] = {{"data", &data}, {"http.listen", &http}, {"dicom.listen", &dicom}, {"dicom.titles", &title}};
    struct config config;
    struct error err;
    int status = CLI_FAILED;
    if (!cli_options(&argc, argv, &cli_serve, options, &status))
        return status;
    if (argc > 1)
        return cli_usage("serve takes no argument '%s'", argv[1]);
    if (!(path ? config_read(path, &config, &err) : config_parse("", 0, "options", &config, &err)))
        return cli_fail(&err);
    for (size_t i = 0; i < sizeof flags / sizeof *flags; i++) // a flag goes over what the file says
        if (*flags[i].value)
            config_set(&config, flags[i].key, *flags[i].value);
    status = config_complete(&config, service_config, &err) ? serve(&config) : (cli_fail(&err), CLI_USAGE);
    config_free(&config);
    return status;
}
