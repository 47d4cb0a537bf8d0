// hilum config: the configuration file's schema, example and check; rules and peers of the running server compared with
// a file and changed to it.
#include <stdio.h>
#include <string.h>

#include "base/config.h"
#include "base/file.h"
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

static int check(const char *path)
{
    struct buffer text;
    struct error err;
    buffer_init(&text, CONFIG_SIZE_MAX);
    json_t *config = file_read(path, &text, &err) ? config_parse((const char *)text.data, text.size, path, &err) : NULL;
    bool ok = config && config_complete(config, service_config, path, &err);
    json_decref(config);
    buffer_free(&text);
    if (!ok)
        return cli_fail(&err);
    printf("%s is fit\n", path);
    return CLI_DONE;
}

static int run(int argc, char **argv)
{
    const char *server = CLI_SERVER;
    const struct cli_option options[] = {
        {"server", "URL", "of diff and apply: the running server (" CLI_SERVER ")", &server, NULL},
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
    if (argc == 3 && strcmp(argv[1], "diff") == 0)
        return cli_config_apply(server, argv[2], false);
    if (argc == 3 && strcmp(argv[1], "apply") == 0)
        return cli_config_apply(server, argv[2], true);
    return cli_usage("config needs example, schema, check FILE, diff FILE or apply FILE");
}
