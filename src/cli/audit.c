// hilum audit acknowledge: a person knows of a break, an older database or missing lines, told to the running server.
// hilum audit check: the audit trail's hash chain, walked through whole and held against the anchor. It reads only,
// from the files, so it works beside a running server, without one, and on a copy of a data folder.
#include <inttypes.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "access/access.h"
#include "cli/cli.h"

static int run(int argc, char **argv);

const struct cli_command cli_audit = {"audit", "check [FOLDER] | acknowledge --by NAME [OPTIONS]",
                                      "check the hash chain of a data folder's audit trail (./hilum-data), or say that "
                                      "a break in it, an older database, or missing lines "
                                      "are known",
                                      run, false};

// "audit-00000001.log" begins what is told of a line of that file.
enum { FILE_NAME = 18 };

struct telling {
    char file[FILE_NAME + 1]; // that was told of last
    uint64_t told, more;      // of all files; of this file, not shown
};

static void tell_more(const struct telling *telling)
{
    if (telling->more > 0)
        printf("  and %" PRIu64 " more places in it\n", telling->more);
}

// What follows the first break of a file often follows from it.
static void tell(void *payload, const char *text)
{
    struct telling *telling = payload;
    telling->told++;
    if (strncmp(text, "audit-", 6) == 0 && strncmp(text, telling->file, FILE_NAME) == 0) {
        telling->more++;
        return;
    }
    tell_more(telling);
    telling->more = 0;
    snprintf(telling->file, sizeof telling->file, "%s", text);
    printf("%s\n", text);
}

static int check(const char *folder)
{
    struct telling telling = {0};
    struct access_audit_check trail = {.wrong = tell, .payload = &telling};
    struct error err;
    if (!access_audit_check(folder, &trail, &err))
        return cli_fail(&err);
    tell_more(&telling);
    if (trail.files == 0 && telling.told == 0) {
        error_set(&err, ERROR_NOT_FOUND, "there is no audit trail in %s; give a server's data folder", folder);
        return cli_fail(&err);
    }
    if (trail.first > 1)
        printf("begins with audit-%08" PRIu64 ".log: the files before it are not here\n", trail.first);
    if (!trail.anchored)
        printf("no anchor says how far the trail must reach: an end cut off cannot be seen\n");
    if (trail.older[0])
        printf("%s\n", trail.older);
    if (trail.missing[0])
        printf("%s\n", trail.missing);
    if (trail.break_stands || trail.older[0] || trail.missing[0])
        printf("find out why; once you know, end it on the running server: hilum audit acknowledge --by NAME\n");
    printf("%" PRIu64 " of %" PRIu64 " lines in %" PRIu64 " of %" PRIu64 " files are sound%s\n", trail.sound_lines,
           trail.lines, trail.sound_files, trail.files, telling.told > 0 ? "; the trail is NOT whole" : "");
    return telling.told > 0 || trail.older[0] || trail.missing[0] ? CLI_FAILED : CLI_DONE;
}

static int acknowledge(const char *server, const char *by)
{
    struct buffer out;
    struct error err;
    json_t *json = json_pack("{s:s}", "by", by);
    char *body = json ? json_dumps(json, JSON_COMPACT) : NULL;
    buffer_init(&out, 1 << 20);
    bool ok = body ? cli_call(server, "POST", "/api/audit/acknowledge", body, strlen(body), &out, &err)
                   : error_set(&err, ERROR_BAD_VALUE, "--by is not UTF-8");
    buffer_free(&out);
    free(body);
    json_decref(json);
    return ok ? CLI_DONE : cli_fail(&err);
}

static int run(int argc, char **argv)
{
    const char *server = CLI_SERVER, *by = NULL;
    const struct cli_option options[] = {
        {"by", "NAME", "with acknowledge: who knows of it; that is told in the trail", &by, NULL},
        {"server", "URL", "with acknowledge: the running server (" CLI_SERVER ")", &server, NULL},
        {NULL, NULL, NULL, NULL, NULL}};
    int status;
    if (!cli_options(&argc, argv, &cli_audit, options, &status))
        return status;
    if (argc == 2 && strcmp(argv[1], "acknowledge") == 0)
        return by ? acknowledge(server, by) : cli_usage("audit acknowledge needs --by NAME");
    if (by || argc < 2 || argc > 3 || strcmp(argv[1], "check") != 0)
        return cli_usage("audit needs check, and a data folder or none, or acknowledge --by NAME");
    return check(argc == 3 ? argv[2] : "./hilum-data");
}
