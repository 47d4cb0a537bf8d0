// hilum config: the configuration file's schema, example and check; its rules, peers and HL7 targets compared with
// those of the running server, which are changed to it.
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include "base/config.h"
#include "cli/cli.h"
#include "cli/config_apply.h"
#include "service/service.h"

static int run(int argc, char **argv);

const struct cli_command cli_config = {
    "config", "example | schema | check FILE | diff FILE | apply FILE [OPTIONS]",
    "print or check the configuration file; compare peers and rules with a file, or change them to it", run, false};

static int print(void (*make)(struct buffer *out, const struct config_key *const *tables))
{
    struct buffer out;
    buffer_init(&out, CONFIG_SIZE_MAX);
    make(&out, service_config);
    bool ok = !out.failed && fwrite(out.data, 1, out.size, stdout) == out.size;
    buffer_free(&out);
    return ok ? CLI_DONE : CLI_FAILED;
}

static int tell_faults(const struct config_faults *faults)
{
    for (size_t i = 0; i < faults->count && i < CONFIG_FAULTS_MAX; i++)
        cli_fail(&faults->first[i].err);
    if (faults->count > CONFIG_FAULTS_MAX)
        fprintf(stderr, "hilum: and %zu more\n", faults->count - CONFIG_FAULTS_MAX);
    return CLI_FAILED;
}

static void warn(void *payload, const char *text)
{
    fprintf(stderr, "hilum: %s: a warning: %s\n", (const char *)payload, text);
}

// Both kinds of what the file may hold: what `serve` reads, and what `config apply` does. All that is wrong is told,
// but of what is no YAML the first only; the files that it names are looked at too.
static int check(const char *path)
{
    struct config config;
    struct config_faults faults = {.count = 0};
    struct error err;
    if (!config_read(path, &config, &err))
        return cli_fail(&err);
    config.faults = &faults;
    bool ok = config_complete(&config, service_config, &err) && service_config_check(&config, &err) &&
              service_config_files(&config, warn, (void *)(uintptr_t)path, &err) &&
              cli_config_check_rows(&config, &err);
    if (ok)
        service_config_missing(config.tree, warn, (void *)(uintptr_t)path);
    config_free(&config);
    if (!ok)
        return cli_fail(&err);
    if (faults.count > 0)
        return tell_faults(&faults);
    printf("%s is fit\n", path);
    return CLI_DONE;
}

// Of the server whose own file it is, where it says where that one listens: another's rows are not to be changed to it.
// What is wrong with the file is told by who reads it next.
static const char *server_of(const char *path, char *out, size_t size)
{
    struct config config;
    struct error err;
    bool ok = config_read(path, &config, &err);
    const char *listen = ok ? json_string_value(json_object_get(json_object_get(config.tree, "http"), "listen")) : NULL;
    bool says = listen && strchr(listen, ':') && snprintf(out, size, "http://%s", listen) < (int)size;
    if (ok)
        config_free(&config);
    return says ? out : CLI_SERVER;
}

static int run(int argc, char **argv)
{
    char address[300];
    const char *server = "";
    const struct cli_option options[] = {
        {"server", "URL", "of diff and apply: the running server (the file's http.listen, or " CLI_SERVER ")", &server,
         NULL},
        {NULL, NULL, NULL, NULL, NULL},
    };
    int status = CLI_FAILED;
    if (!cli_options(&argc, argv, &cli_config, options, &status))
        return status;
    if (argc == 2 && strcmp(argv[1], "example") == 0)
        return print(config_print_example);
    if (argc == 2 && strcmp(argv[1], "schema") == 0)
        return print(config_print_schema);
    if (argc == 3 && strcmp(argv[1], "check") == 0)
        return check(argv[2]);
    if (argc == 3 && !*server)
        server = server_of(argv[2], address, sizeof address);
    if (argc == 3 && strcmp(argv[1], "diff") == 0)
        return cli_config_apply(server, argv[2], false);
    if (argc == 3 && strcmp(argv[1], "apply") == 0)
        return cli_config_apply(server, argv[2], true);
    return cli_usage("config needs example, schema, check FILE, diff FILE or apply FILE");
}
