// hilum rebuild: a new database from the objects in a data folder, when the old one is lost or damaged.
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/progress.h"
#include "cli/cli.h"
#include "service/service.h"

static int run(int argc, char **argv);

const struct cli_command cli_rebuild = {
    "rebuild", "[OPTIONS]", "make a lost or damaged database again from the objects in a data folder", run, false};

struct shown {
    struct progress bar;
    uint64_t done;
};

static void show(void *payload, const char *what, uint64_t done, uint64_t total)
{
    struct shown *shown = payload;
    if (!shown->bar.unit || strcmp(shown->bar.unit, what) != 0)
        progress_start(&shown->bar, "rebuilding", what, total);
    progress_update(&shown->bar, done);
    if (done == total)
        progress_end(&shown->bar, done);
}

static void tell(const char *folder, const struct service_rebuilt *found)
{
    printf("%s has a new database: %" PRId64 " objects of %" PRId64 " studies and %" PRId64 " patients\n", folder,
           found->objects, found->studies, found->patients);
    if (found->conflicts > 0)
        printf("%" PRId64 " more are kept beside another one with the same UID, and wait for a decision again\n",
               found->conflicts);
    printf("%" PRIu64 " objects could not be read, %" PRIu64 " could not be understood%s\n", found->unreadable,
           found->left_out, found->unreadable + found->left_out > 0 ? ": see the log above" : "");
    printf("Lost with the old database: peers, rules and targets, labels that rules and persons gave, results, "
           "findings and judgements, jobs and "
           "deliveries, what was read, what was decided of conflicts. Segmentations and reports that Hilum made are "
           "there as objects.\n"
           "Nothing is analysed or sent by itself: no rule is entered, and none reaches back to these objects. All "
           "studies with images stand on the reading list as unread, after what is sent from now on.\n"
           "Next: hilum serve --data %s, then hilum config apply FILE for peers and rules. When all is entered again, "
           "stop the server and run hilum rebuild --confirm --data %s, which ends the alarm.\n",
           folder, folder);
}

static int confirm(const char *folder, const char *audit_key)
{
    struct error err;
    if (!service_rebuild_confirm(folder, audit_key, &err))
        return cli_fail(&err);
    printf("the rebuild of %s is confirmed\n", folder);
    return CLI_DONE;
}

static int rebuild(const struct service_rebuild *how)
{
    struct service_rebuilt found;
    struct error err;
    if (!service_rebuild(how, &found, &err))
        return cli_fail(&err);
    tell(how->folder, &found);
    return found.unreadable + found.left_out == 0 ? CLI_DONE : CLI_FAILED;
}

static bool is_folder(const char *path)
{
    struct stat status;
    return stat(path, &status) == 0 && S_ISDIR(status.st_mode);
}

static int run(int argc, char **argv)
{
    const char *folder = "./hilum-data", *sandbox = "full", *audit_key = NULL;
    bool replace = false, confirms = false;
    const struct cli_option options[] = {
        {"data", "DIR", "where everything is kept (./hilum-data)", &folder, NULL},
        {"sandbox", "full|reduced", "as the configuration file has it (full)", &sandbox, NULL},
        {"audit-key", "FILE", "where audit.key of the configuration has the trail's key elsewhere", &audit_key, NULL},
        {"replace", NULL, "give up a sound database too: it is put aside", NULL, &replace},
        {"confirm", NULL, "peers, rules, targets and labels are entered again: end the alarm", NULL, &confirms},
        {NULL, NULL, NULL, NULL, NULL},
    };
    struct shown shown = {0};
    struct error err;
    int status = CLI_FAILED;
    if (!cli_options(&argc, argv, &cli_rebuild, options, &status))
        return status;
    if (argc > 1)
        return cli_usage("rebuild takes no argument '%s'", argv[1]);
    if (!is_folder(folder))
        return cli_usage("there is no folder '%s'; give the data folder with --data", folder);
    if (strcmp(sandbox, "full") != 0 && strcmp(sandbox, "reduced") != 0)
        return cli_usage("--sandbox is full or reduced, not '%s'", sandbox);
    umask(077);
    if (!cli_become_owner(folder, &err))
        return cli_fail(&err);
    const struct service_rebuild how = {
        .folder = folder,
        .reduced = strcmp(sandbox, "reduced") == 0,
        .replace = replace,
        .audit_key = audit_key,
        .progress = show,
        .payload = &shown,
    };
    return confirms ? confirm(folder, audit_key) : rebuild(&how);
}
