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

static json_t *read_config(const char *path, struct error *err)
{
    struct buffer text;
    if (!path)
        return json_object();
    buffer_init(&text, CONFIG_SIZE_MAX);
    json_t *config = file_read(path, &text, err) ? config_parse((const char *)text.data, text.size, path, err) : NULL;
    buffer_free(&text);
    return config;
}

// A flag goes over what the file says.
static void override(json_t *config, const char *section, const char *key, const char *value)
{
    json_t *at = config;
    if (!value)
        return;
    if (section) {
        at = json_object_get(config, section);
        if (!json_is_object(at)) {
            at = json_object();
            json_object_set_new(config, section, at);
        }
    }
    json_object_set_new(at, key, json_string(value));
}

static void wait_for_signal(const sigset_t *signals)
{
    int number;
    while (sigwait(signals, &number) == EINTR)
        continue;
    log_info("serve", "stopping");
}

static int serve(json_t *config)
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
    printf("hilum: ready, page at http://127.0.0.1:%u/, DICOM on port %u\n", service_http_port(service),
           service_dicom_port(service));
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
    struct error err;
    int status = CLI_FAILED;
    if (!cli_options(&argc, argv, &cli_serve, options, &status))
        return status;
    if (argc > 1)
        return cli_usage("serve takes no argument '%s'", argv[1]);
    json_t *config = read_config(path, &err);
    if (!config)
        return cli_fail(&err);
    override(config, NULL, "data", data);
    override(config, "http", "listen", http);
    override(config, "dicom", "listen", dicom);
    override(config, "dicom", "titles", title);
    status = config_complete(config, service_config, path ? path : "options", &err) ? serve(config)
                                                                                    : (cli_fail(&err), CLI_USAGE);
    json_decref(config);
    return status;
}
