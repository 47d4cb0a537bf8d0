#include <stdio.h>
#include <string.h>

#include "cli/cli.h"

static const struct cli_command *const commands[] = {
    &cli_serve,  &cli_send, &cli_echo, &cli_import,  &cli_peer,   &cli_model,
    &cli_config, &cli_dump, &cli_json, &cli_version, &cli_decode, &cli_runner,
};

static void print_help(FILE *to)
{
    fprintf(to,
            "Hilum %s: images and orders in, findings out. For research; not a medical device.\n\nhilum COMMAND "
            "[OPTIONS], one of:\n\n",
            HILUM_VERSION);
    for (size_t i = 0; i < sizeof commands / sizeof *commands; i++)
        if (!commands[i]->hidden)
            fprintf(to, "  %-8s %s\n", commands[i]->name, commands[i]->help);
    fprintf(to, "\n`hilum COMMAND --help` tells more of each.\n");
}

int main(int argc, char **argv)
{
    if (argc >= 2 && (strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "help") == 0)) {
        print_help(stdout);
        return CLI_DONE;
    }
    for (size_t i = 0; argc >= 2 && i < sizeof commands / sizeof *commands; i++)
        if (strcmp(argv[1], commands[i]->name) == 0)
            return commands[i]->run(argc - 1, argv + 1);
    print_help(stderr);
    return argc >= 2 ? cli_usage("there is no command '%s'", argv[1]) : CLI_USAGE;
}
