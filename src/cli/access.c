// hilum access table: who may do what, as the program has it: roles by actions, then what each route of HTTP and each
// service of DIMSE takes. It asks no server.
#include <stdio.h>
#include <string.h>

#include "access/allow.h"
#include "cli/cli.h"
#include "service/service.h"

static int run(int argc, char **argv);

const struct cli_command cli_access = {
    "access", "table", "show who may do what: roles, DICOM peers' rights, routes and services", run, false};

enum { ACTION_WIDTH = 31, HOW_WIDTH = 8, WHAT_WIDTH = 83 };

static void print_rights(enum access_action action)
{
    for (unsigned right = ACCESS_STORE; right <= ACCESS_TARGET; right <<= 1)
        if (access_allows(&(struct access_subject){.rights = right}, action))
            printf(" %s", access_right_word((enum access_right)right));
    printf("\n");
}

// A cell stands under the last letter of its role.
static void print_action(enum access_action action)
{
    printf("%-*s", ACTION_WIDTH, access_action_words(action));
    for (enum access_role role = 0; role < ACCESS_ROLE_END; role++) {
        bool may = access_allows(&(struct access_subject){.roles = 1u << role}, action);
        printf(" %*s", (int)strlen(access_role_words(role)), may ? "x" : "-");
    }
    print_rights(action);
}

static void print_actions(void)
{
    printf("%-*s", ACTION_WIDTH, "WHO MAY");
    for (enum access_role role = 0; role < ACCESS_ROLE_END; role++)
        printf(" %s", access_role_words(role));
    printf(" peers with the right\n");
    for (enum access_action action = 1; action < ACCESS_ACTION_END; action++)
        print_action(action);
}

static void print_doors(bool dimse)
{
    struct service_door door;
    for (size_t i = 0; service_door(i, &door); i++) {
        if (door.is_dimse != dimse)
            continue;
        printf("%-*s %-*s %s", HOW_WIDTH, door.how, WHAT_WIDTH, door.what ? door.what : "every storage class",
               access_action_words(door.action));
        if (dimse) {
            printf(": peers with");
            print_rights(door.action);
        } else {
            printf("\n");
        }
    }
}

static int run(int argc, char **argv)
{
    static const struct cli_option options[] = {{NULL, NULL, NULL, NULL, NULL}};
    int status;
    if (!cli_options(&argc, argv, &cli_access, options, &status))
        return status;
    if (argc != 2 || strcmp(argv[1], "table") != 0)
        return cli_usage("access needs table");
    print_actions();
    printf("\n%-*s WHAT IT IS FOR\n", HOW_WIDTH + 1 + WHAT_WIDTH, "ROUTES OF HTTP");
    print_doors(false);
    printf("\n%-*s WHAT IT IS FOR\n", HOW_WIDTH + 1 + WHAT_WIDTH, "SERVICES OF DIMSE, FOR A PEER AS SCU");
    print_doors(true);
    return CLI_DONE;
}
