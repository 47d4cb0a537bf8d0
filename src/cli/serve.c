// hilum serve: the server, until SIGINT or SIGTERM.
#include <errno.h>
#include <malloc.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "base/file.h"
#include "base/log.h"
#include "cli/cli.h"
#include "service/service.h"

static int run(int argc, char **argv);

const struct cli_command cli_serve = {"serve", "[OPTIONS]", "run the server: archive, DICOMweb, API and page", run,
                                      false};

static void wait_for_signal(const sigset_t *signals)
{
    int number;
    while (sigwait(signals, &number) == EINTR)
        continue;
    log_info("serve", "stopping");
}

static int serve(const struct config *config)
{
    struct error err;
    sigset_t signals;
    sigemptyset(&signals);
    sigaddset(&signals, SIGINT);
    sigaddset(&signals, SIGTERM);
    pthread_sigmask(SIG_BLOCK, &signals, NULL); // before any thread is made
    signal(SIGPIPE, SIG_IGN);
    signal(SIGXFSZ, SIG_IGN); // a file at its limit is an error of that write
    umask(077);
    // Many threads with few bytes each: glibc's arena per thread would cost more than the data.
    mallopt(M_ARENA_MAX, 4);
    mallopt(M_TRIM_THRESHOLD, 4 << 20);
    mallopt(M_MMAP_THRESHOLD, 1 << 20);
    struct service *service = service_start(config, &err);
    if (!service)
        return cli_fail(&err);
    char http[SERVICE_ADDRESS_SIZE], dicom[SERVICE_ADDRESS_SIZE];
    printf("hilum: ready, page at http://%s/, DICOM at %s\n", service_http_address(service, http),
           service_dicom_address(service, dicom));
    fflush(stdout);
    wait_for_signal(&signals);
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
