// hilum audit acknowledge: a person knows of a break, an older database, missing lines or damaged files, told to the
// running server: of those that it shows, and of none that comes meanwhile.
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

const struct cli_command cli_audit = {
    "audit", "check [FOLDER] | acknowledge --by NAME [OPTIONS]",
    "check the hash chain of a data folder's audit trail (./hilum-data): exit status "
    "0 when nothing is wrong but what was acknowledged, else 1; or say that a break "
    "in it, an older database, missing lines and what is damaged are known, which are shown",
    run, false};

enum { FILES_SHOWN = 100, UNKNOWN_MAX = 4 << 20 };

struct telling {
    uint64_t files, unknown; // that are damaged; of those, of whose damage nobody has said that he knows
};

static void tell(void *payload, const struct access_damage *damage)
{
    struct telling *telling = payload;
    telling->unknown += damage->known_in == 0;
    if (telling->files++ >= FILES_SHOWN)
        return;
    for (uint64_t i = 0; i < damage->places && i < ACCESS_PLACES_SHOWN; i++)
        printf("%s\n", damage->said[i]);
    if (damage->places > ACCESS_PLACES_SHOWN)
        printf("  and %" PRIu64 " more places in it\n", damage->places - ACCESS_PLACES_SHOWN);
    if (damage->known_in > 0)
        printf("  known: audit-%08" PRIu64 ".log begins with who has said so\n", damage->known_in);
}

// What the trail tells, or waits to be said. true: something stands.
static bool tell_standing(const struct access_audit_check *trail)
{
    const char *const texts[] = {trail->broken, trail->older, trail->missing};
    bool stands = false;
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
        if (*texts[i])
            printf("%s\n", texts[i]);
        stands = stands || *texts[i];
    }
    return stands;
}

static int check(const char *folder)
{
    struct telling telling = {0};
    struct access_audit_check trail = {.wrong = tell, .payload = &telling};
    struct error err;
    if (!access_audit_check(folder, &trail, &err))
        return cli_fail(&err);
    if (trail.files == 0 && telling.files == 0) {
        error_set(&err, ERROR_NOT_FOUND, "there is no audit trail in %s; give a server's data folder", folder);
        return cli_fail(&err);
    }
    if (telling.files > FILES_SHOWN)
        printf("and %" PRIu64 " more damaged files\n", telling.files - FILES_SHOWN);
    if (trail.first > 1)
        printf("begins with audit-%08" PRIu64 ".log: the files before it are not here\n", trail.first);
    if (!trail.anchored)
        printf("no anchor says how far the trail must reach: an end cut off cannot be seen\n");
    bool is_whole = !trail.broken[0] && telling.unknown == 0, wrong = tell_standing(&trail) || !is_whole;
    if (wrong)
        printf("find out why; once you know, say so to the running server: hilum audit acknowledge --by NAME\n");
    printf("%" PRIu64 " of %" PRIu64 " lines in %" PRIu64 " of %" PRIu64 " files are sound%s\n", trail.sound_lines,
           trail.lines, trail.sound_files, trail.files,
           !is_whole           ? "; the trail is NOT whole"
           : telling.files > 0 ? "; what is damaged is known"
                               : "");
    return wrong ? CLI_FAILED : CLI_DONE;
}

// The caller owns what comes back; NULL: it failed.
static json_t *ask(const char *server, struct error *err)
{
    struct buffer out;
    buffer_init(&out, UNKNOWN_MAX);
    bool ok = cli_call(server, "GET", "/api/audit/unknown", NULL, 0, &out, err);
    json_t *json = ok ? json_loads((const char *)out.data, 0, NULL) : NULL;
    if (ok && !json)
        error_set(err, ERROR_BAD_DATA, "%s answered no JSON: is it a Hilum server of this version?", server);
    buffer_free(&out);
    return json;
}

static bool say_known(const char *server, const char *by, json_t *version, struct error *err)
{
    struct buffer out;
    json_t *json = json_pack("{s:s, s:O}", "by", by, "version", version);
    char *body = json ? json_dumps(json, JSON_COMPACT) : NULL;
    buffer_init(&out, 1 << 20);
    bool ok = body ? cli_call(server, "POST", "/api/audit/acknowledge", body, strlen(body), &out, err)
                   : error_set(err, ERROR_BAD_VALUE, "--by is not UTF-8");
    buffer_free(&out);
    free(body);
    json_decref(json);
    return ok;
}

static int acknowledge(const char *server, const char *by)
{
    struct error err;
    size_t i;
    json_t *tell, *unknown = ask(server, &err);
    if (!unknown)
        return cli_fail(&err);
    json_array_foreach(json_object_get(unknown, "tells"), i, tell) printf("%s\n", json_string_value(tell));
    bool ok = say_known(server, by, json_object_get(unknown, "version"), &err);
    json_decref(unknown);
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
