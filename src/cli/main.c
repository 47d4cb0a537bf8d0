// `hilum COMMAND`: the table of commands, and the help for one who does not know their names.
#include <stdio.h>
#include <string.h>

#include "base/text.h"
#include "cli/cli.h"

static const struct cli_command *const commands[] = {
    &cli_serve,   &cli_send,    &cli_echo,  &cli_import, &cli_peer,    &cli_check,  &cli_model,
    &cli_config,  &cli_account, &cli_token, &cli_access, &cli_audit,   &cli_cert,   &cli_backup,
    &cli_restore, &cli_rebuild, &cli_dump,  &cli_json,   &cli_version, &cli_decode, &cli_runner,
};
enum { COMMANDS = sizeof commands / sizeof *commands };

static void print_help(FILE *to)
{
    fprintf(to,
            "Hilum %s: images and orders in, findings out. For research; not a medical device.\n\nhilum COMMAND "
            "[OPTIONS], one of:\n\n",
            HILUM_VERSION);
    for (size_t i = 0; i < COMMANDS; i++)
        if (!commands[i]->hidden)
            fprintf(to, "  %-8s %s\n", commands[i]->name, commands[i]->help);
    fprintf(to, "\n`hilum help COMMAND` or `hilum COMMAND --help` tells more of each.\n");
}

static const struct cli_command *find(const char *name)
{
    for (size_t i = 0; i < COMMANDS; i++)
        if (strcmp(name, commands[i]->name) == 0)
            return commands[i];
    return NULL;
}

static int refuse(const char *name)
{
    const struct cli_command *nearest = commands[0];
    for (size_t i = 1; i < COMMANDS; i++)
        if (!commands[i]->hidden && text_distance(name, commands[i]->name) < text_distance(name, nearest->name))
            nearest = commands[i];
    bool near = text_distance(name, nearest->name) <= strlen(nearest->name) / 2;
    return cli_usage("there is no command '%.40s'%s%s%s", name, near ? " (did you mean '" : "",
                     near ? nearest->name : "", near ? "'?)" : "");
}

// `hilum help`, `hilum help COMMAND`.
static int help(int argc, char **argv)
{
    if (argc > 1) {
        const struct cli_command *command = find(argv[1]);
        char option[] = "--help", *arguments[] = {argv[1], option, NULL};
        return command ? command->run(2, arguments) : refuse(argv[1]);
    }
    print_help(stdout);
    return CLI_DONE;
}

int main(int argc, char **argv)
{
    const char *name = argc >= 2 ? argv[1] : NULL;
    if (!name) {
        print_help(stderr);
        return CLI_USAGE;
    }
    if (strcmp(name, "--help") == 0 || strcmp(name, "-h") == 0 || strcmp(name, "help") == 0)
        return help(argc - 1, argv + 1);
    const struct cli_command *command = strcmp(name, "--version") == 0 ? &cli_version : find(name);
    return command ? command->run(argc - 1, argv + 1) : refuse(name);
}
