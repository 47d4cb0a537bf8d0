// hilum audit acknowledge: a person knows of a break, an older database, missing lines or damaged files, told to the
// running server: of those that it shows, and of none that comes meanwhile.
// hilum audit check: the audit trail's hash chain, walked through whole and held against the anchor. It reads only,
// from the files, so it works beside a running server, without one, and on a copy of a data folder.
// hilum audit key: a new key for a trail that lost its own.
// hilum audit show: the lines that fit, newest first, from the files in the same way, or asked of a server.
#include <inttypes.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "access/access.h"
#include "access/audit_read.h"
#include "base/text.h"
#include "cli/cli.h"

static int run(int argc, char **argv);

const struct cli_command cli_audit = {
    "audit", "check [FOLDER] | show [FOLDER] [OPTIONS] | key [FOLDER] | acknowledge --by NAME [OPTIONS]",
    "show who did what, of one patient, study, person or kind, newest first; or check the hash chain of a data "
    "folder's audit trail (./hilum-data): exit status "
    "0 when nothing is wrong but what was acknowledged, else 1; or say that a break "
    "in it, an older database, missing lines and what is damaged are known, which are shown; or make a new key, while "
    "no server runs, when the old one is lost",
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

static int check(const char *folder, const char *key)
{
    struct telling telling = {0};
    struct access_audit_check trail = {.wrong = tell, .payload = &telling, .key = key};
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
    if (trail.unchecked > 0)
        printf("%" PRIu64 " lines were made with a key that is not here: whether they were changed cannot be told%s\n",
               trail.unchecked, trail.has_key ? "" : "; give it with --key");
    else if (!trail.has_key)
        printf("there is no key: who could write the files could have computed their chain anew\n");
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

// ---- show

enum { SHOWN_MAX = 1000000, ANSWER_MAX = 64 << 20 };

static const char *const filters[] = {"from", "until", "actor", "patient", "study", "event"};
enum { FROM, UNTIL, ACTOR, PATIENT, STUDY, EVENT, FILTERS };

struct showing {
    const char *folder, *server; // one of them
    const char *values[FILTERS]; // NULL: any
    uint64_t left;               // lines
};

static json_t *read_folder(const struct showing *showing, size_t limit, const char *before, struct error *err)
{
    struct access_read wanted = {.until_ns = INT64_MAX,
                                 .actor = showing->values[ACTOR],
                                 .patient = showing->values[PATIENT],
                                 .study = showing->values[STUDY],
                                 .event = showing->values[EVENT],
                                 .limit = limit,
                                 .before = before};
    const char *from = showing->values[FROM], *until = showing->values[UNTIL];
    if ((from && !access_read_time(from, &wanted.from_ns, err)) ||
        (until && !access_read_time(until, &wanted.until_ns, err)))
        return NULL;
    return access_read(showing->folder, &wanted, err);
}

static void add_parameter(struct buffer *path, const char *name, const char *value)
{
    buffer_printf(path, "&%s=", name);
    buffer_percent(path, value);
}

static json_t *ask_lines(const struct showing *showing, size_t limit, const char *before, struct error *err)
{
    struct buffer path, out;
    buffer_init(&path, UNKNOWN_MAX);
    buffer_init(&out, ANSWER_MAX);
    buffer_printf(&path, "/api/audit?limit=%zu", limit);
    for (size_t i = 0; i < FILTERS; i++)
        if (showing->values[i])
            add_parameter(&path, filters[i], showing->values[i]);
    add_parameter(&path, "before", before);
    buffer_byte(&path, '\0');
    bool ok = path.failed ? error_set(err, ERROR_MEMORY, "no memory for the question")
                          : cli_call(showing->server, "GET", (const char *)path.data, NULL, 0, &out, err);
    json_t *json = ok ? json_loads((const char *)out.data, 0, NULL) : NULL;
    if (ok && !json)
        error_set(err, ERROR_BAD_DATA, "%s answered no JSON: is it a Hilum server of this version?", showing->server);
    buffer_free(&path);
    buffer_free(&out);
    return json;
}

static void show_line(const json_t *line)
{
    static const char *const names[] = {"time", "event", "outcome", "actor", "address", "patient", "study", "detail"};
    char shown[4096];
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        const char *text = json_string_value(json_object_get(line, names[i]));
        text = text ? text : "";
        printf("%s\t", text_show(shown, sizeof shown, text, strlen(text)));
    }
    printf("%" JSON_INTEGER_FORMAT "\n", json_integer_value(json_object_get(line, "count")));
}

// Prints an answer's lines. true: there are more, and more are wanted.
static bool show_answer(struct showing *showing, const json_t *answer)
{
    size_t i;
    json_t *line, *lines = json_object_get(answer, "lines");
    json_int_t unreadable = json_integer_value(json_object_get(answer, "unreadable"));
    json_array_foreach(lines, i, line) show_line(line);
    if (unreadable > 0)
        fprintf(stderr, "%" JSON_INTEGER_FORMAT " lines cannot be read: hilum audit check\n", unreadable);
    showing->left -= json_array_size(lines) < showing->left ? json_array_size(lines) : showing->left;
    return showing->left > 0 && json_is_true(json_object_get(answer, "more"));
}

static int show(struct showing *showing)
{
    char before[64] = "";
    struct error err;
    for (bool more = true; more;) {
        size_t limit = showing->left < ACCESS_READ_LINES_MAX ? (size_t)showing->left : ACCESS_READ_LINES_MAX;
        json_t *answer =
            showing->server ? ask_lines(showing, limit, before, &err) : read_folder(showing, limit, before, &err);
        if (!answer)
            return cli_fail(&err);
        more = show_answer(showing, answer);
        const char *next = json_string_value(json_object_get(answer, "before"));
        text_copy(before, sizeof before, next ? next : "");
        json_decref(answer);
        more = more && *before;
    }
    return CLI_DONE;
}

static int run_show(struct showing *showing, const char *limit)
{
    if (limit && (!text_to_u64(limit, strlen(limit), &showing->left) || showing->left < 1))
        return cli_usage("--limit is no number of lines");
    return show(showing);
}

static int make_key(const char *folder, const char *key)
{
    struct error err;
    if (!access_audit_new_key(folder, key, &err))
        return cli_fail(&err);
    printf("a new key counts from the next audit file on; what was made with the one before can be checked only with "
           "that\n");
    return CLI_DONE;
}

static int run(int argc, char **argv)
{
    const char *server = NULL, *by = NULL, *limit = NULL, *key = NULL;
    struct showing showing = {.left = SHOWN_MAX};
    const struct cli_option options[] = {
        {"by", "NAME", "with acknowledge: who knows of it; that is told in the trail", &by, NULL},
        {"server", "URL", "with acknowledge: the running server (" CLI_SERVER "); with show: ask it, not the files",
         &server, NULL},
        {"from", "TIME", "with show: not before 2026-11-24 or 2026-11-24T13:03:36Z", &showing.values[FROM], NULL},
        {"until", "TIME", "with show: before that", &showing.values[UNTIL], NULL},
        {"actor", "NAME", "with show: who did it", &showing.values[ACTOR], NULL},
        {"patient", "ID", "with show: the Patient ID", &showing.values[PATIENT], NULL},
        {"study", "UID", "with show: the Study Instance UID", &showing.values[STUDY], NULL},
        {"event", "EVENT", "with show: a code or a name of PS3.15: 110112, Query", &showing.values[EVENT], NULL},
        {"key", "FILE", "with check and key: the file with the key (FOLDER/audit-key)", &key, NULL},
        {"limit", "N", "with show: at most so many lines", &limit, NULL},
        {NULL, NULL, NULL, NULL, NULL}};
    int status;
    if (!cli_options(&argc, argv, &cli_audit, options, &status))
        return status;
    const char *what = argc > 1 ? argv[1] : "";
    const char *folder = argc == 3 ? argv[2] : "./hilum-data";
    if (argc == 2 && strcmp(what, "acknowledge") == 0)
        return by ? acknowledge(server ? server : CLI_SERVER, by) : cli_usage("audit acknowledge needs --by NAME");
    showing.folder = folder;
    showing.server = server;
    if (!by && (argc == 2 || (argc == 3 && !server)) && strcmp(what, "show") == 0)
        return run_show(&showing, limit);
    if (!by && (argc == 2 || argc == 3) && strcmp(what, "key") == 0)
        return make_key(folder, key);
    if (by || argc < 2 || argc > 3 || strcmp(what, "check") != 0)
        return cli_usage("audit needs check, show or key, and a data folder or none, or acknowledge --by NAME");
    return check(folder, key);
}
