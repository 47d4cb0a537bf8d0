// hilum import: files and folders into the running server, meta information or not.
#include <jansson.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/file.h"
#include "base/progress.h"
#include "cli/cli.h"

static int run(int argc, char **argv);

const struct cli_command cli_import = {"import", "FILE... [OPTIONS]",
                                       "store DICOM files or folders in the running server", run, false};

struct importing {
    const char *server;
    size_t stored, same, beside, refused, passed_over, unreadable, set_aside;
    char set_aside_study[80]; // of the first
    struct progress bar;
};

static void count(struct importing *importing, const char *answer)
{
    json_t *json = json_loads(answer, 0, NULL);
    const char *outcome = json_string_value(json_object_get(json, "outcome"));
    importing->stored += outcome && strcmp(outcome, "stored") == 0;
    importing->same += outcome && strcmp(outcome, "same") == 0;
    importing->beside += outcome && strcmp(outcome, "kept beside") == 0;
    if (json_is_true(json_object_get(json, "setAside")) && importing->set_aside++ == 0)
        snprintf(importing->set_aside_study, sizeof importing->set_aside_study, "%s",
                 json_string_value(json_object_get(json, "study")));
    json_decref(json);
}

static size_t done(const struct importing *importing)
{
    return importing->stored + importing->same + importing->beside + importing->refused + importing->passed_over;
}

// What is no DICOM at all (a viewer, a README, a DICOMDIR) lies beside the images on every disc; only an object that is
// not taken is a failure.
static void tell(struct importing *importing, const char *path, const struct error *why)
{
    bool foreign = why->code == ERROR_UNSUPPORTED;
    cli_complain(path, foreign ? " is passed over" : "", why->message);
    importing->passed_over += foreign;
    importing->refused += !foreign;
}

static bool send(const char *path, void *payload, struct error *err)
{
    struct importing *importing = payload;
    struct buffer out;
    struct error why;
    uint64_t size;
    buffer_init(&out, 1 << 20);
    int fd = file_open(path, &size, &why);
    bool ok = fd >= 0 && cli_call_file(importing->server, "/api/import", fd, size, &out, &why);
    if (fd >= 0)
        close(fd);
    if (ok)
        count(importing, (const char *)out.data);
    else
        tell(importing, path, &why);
    buffer_free(&out);
    progress_update(&importing->bar, done(importing));
    if (ok || why.code != ERROR_CLOSED)
        return true;
    *err = why; // nobody is there: the next file will not do better
    return false;
}

static bool count_file(const char *path, void *payload, struct error *err)
{
    (void)path;
    (void)err;
    ++*(uint64_t *)payload;
    return true;
}

static int run(int argc, char **argv)
{
    struct importing importing = {.server = CLI_SERVER};
    const struct cli_option options[] = {
        {"server", "URL", "the running server (" CLI_SERVER ")", &importing.server, NULL},
        {NULL, NULL, NULL, NULL, NULL},
    };
    struct error err;
    uint64_t total = 0;
    int status = CLI_FAILED;
    if (!cli_options(&argc, argv, &cli_import, options, &status))
        return status;
    if (argc < 2)
        return cli_usage("import needs at least one file or folder");
    if (!cli_walk(argv + 1, count_file, &total, NULL, &err))
        return cli_fail(&err);
    progress_start(&importing.bar, "importing", "files", total);
    bool ok = cli_walk(argv + 1, send, &importing, &importing.unreadable, &err);
    progress_end(&importing.bar, done(&importing));
    printf("%zu stored, %zu there already, %zu kept beside another with the same UID, %zu refused, %zu passed over\n",
           importing.stored, importing.same, importing.beside, importing.refused + importing.unreadable,
           importing.passed_over);
    if (importing.set_aside > 0)
        printf(
            "%zu of those there already are kept and not served, the first of study %s: another one of their UID is, "
            "as was decided or is to be (/api/conflicts?state=all)\n",
            importing.set_aside, importing.set_aside_study);
    if (!ok)
        return cli_fail(&err);
    return importing.refused + importing.unreadable == 0 && done(&importing) > importing.passed_over ? CLI_DONE
                                                                                                     : CLI_FAILED;
}
