// hilum backup and hilum restore: what a data folder holds, in a folder elsewhere, encrypted; and put back from there.
#include <inttypes.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/arena.h"
#include "base/clock.h"
#include "base/progress.h"
#include "cli/cli.h"
#include "store/backup.h"

static int run_backup(int argc, char **argv);
static int run_restore(int argc, char **argv);

const struct cli_command cli_backup = {
    "backup", "[now]|key FILE|list|check [NAME] [OPTIONS]",
    "a running server makes a backup now; make their key; list and check them without a server", run_backup, false};
const struct cli_command cli_restore = {"restore", "[OPTIONS]", "put a backup back into a new or empty data folder",
                                        run_restore, false};

enum { POLL_MS = 200, ANSWER_MAX = 64 << 20 };

struct shown {
    struct progress bar;
    char what[32];
    bool begun;
};

static void show(void *payload, const char *what, uint64_t done, uint64_t total)
{
    struct shown *shown = payload;
    if (total >> 20 == 0)
        return;
    if (!shown->begun || strcmp(shown->what, what) != 0) {
        if (shown->begun)
            progress_end(&shown->bar, shown->bar.total);
        snprintf(shown->what, sizeof shown->what, "%s", what);
        progress_start(&shown->bar, shown->what, "MiB", total >> 20);
        shown->begun = true;
    }
    progress_update(&shown->bar, done >> 20);
}

static void show_end(struct shown *shown)
{
    if (shown->begun)
        progress_end(&shown->bar, shown->bar.total);
}

// ---- by a running server

static json_t *call(const char *server, const char *method, const char *body, struct error *err)
{
    struct buffer out;
    buffer_init(&out, ANSWER_MAX);
    bool ok = cli_call(server, method, "/api/backups", body, body ? strlen(body) : 0, &out, err);
    json_t *json = ok ? json_loads((const char *)out.data, 0, NULL) : NULL;
    if (ok && !json)
        error_set(err, ERROR_PROTOCOL, "the server's answer is no JSON");
    buffer_free(&out);
    return json;
}

static const char *text_of(const json_t *json, const char *name)
{
    const char *text = json_string_value(json_object_get(json, name));
    return text ? text : "";
}

static long long number_of(const json_t *json, const char *name)
{
    return (long long)json_integer_value(json_object_get(json, name));
}

// The newest whose list can be read: the one that was just made.
static const json_t *newest_of(const json_t *json)
{
    const json_t *all = json_object_get(json, "backups");
    for (size_t i = 0; i < json_array_size(all); i++)
        if (json_is_true(json_object_get(json_array_get(all, i), "readable")))
            return json_array_get(all, i);
    return NULL;
}

static int tell_end(const json_t *json)
{
    const json_t *failed = json_object_get(json, "failed"), *newest = newest_of(json);
    if (json_is_object(failed)) {
        fprintf(stderr, "hilum: no backup was made: %s\n", text_of(failed, "reason"));
        return CLI_FAILED;
    }
    printf("backup %s in %s: %lld files, %lld MiB\n", text_of(newest, "name"), text_of(json, "folder"),
           number_of(newest, "files"), number_of(newest, "bytes") >> 20);
    if (number_of(newest, "damaged") > 0)
        printf("%lld containers are damaged or missing: see the server's log\n", number_of(newest, "damaged"));
    return number_of(newest, "damaged") > 0 ? CLI_FAILED : CLI_DONE;
}

static int make_now(const char *server, bool begin)
{
    struct shown shown = {0};
    struct error err;
    json_t *json = call(server, "POST", begin ? "{\"begin\":true}" : "{}", &err);
    while (json && json_is_object(json_object_get(json, "running"))) {
        const json_t *running = json_object_get(json, "running");
        show(&shown, text_of(running, "what"), (uint64_t)number_of(running, "done"),
             (uint64_t)number_of(running, "total"));
        json_decref(json);
        clock_sleep_ns(POLL_MS * CLOCK_MS);
        json = call(server, "GET", NULL, &err);
    }
    show_end(&shown);
    if (!json)
        return cli_fail(&err);
    int status = tell_end(json);
    json_decref(json);
    return status;
}

// ---- without one

static int make_key(const char *path)
{
    struct backup_key key;
    struct error err;
    if (!backup_key_make(path, &key, &err))
        return cli_fail(&err);
    printf(
        "%s holds key %s. Keep a copy elsewhere, on paper too (it is one line): without it no backup can be read, by "
        "anybody.\n",
        path, key.name);
    return CLI_DONE;
}

static int list(const char *folder, const struct backup_key *key)
{
    struct backup_listed *all;
    struct arena arena;
    struct error err;
    char when[CLOCK_RFC3339_SIZE];
    size_t count = 0;
    arena_init(&arena, 64 << 20);
    bool ok = backup_list(folder, key, &arena, &all, &count, &err);
    for (size_t i = 0; ok && i < count; i++)
        if (all[i].whole)
            printf("%s\t%s\tarchive %s\t%" PRIu64 " files\t%" PRIu64 " MiB%s\n", all[i].name,
                   clock_rfc3339(when, all[i].made_ns), all[i].archive, all[i].files, all[i].bytes >> 20,
                   all[i].damaged > 0 ? "\twith damage" : "");
        else
            printf("%s\tits list is damaged\n", all[i].name);
    arena_free(&arena);
    return ok ? CLI_DONE : cli_fail(&err);
}

static void tell_bad(void *payload, const char *file, const char *why)
{
    (void)payload;
    cli_complain(file, " in the backup", why);
}

static int check(const char *folder, const struct backup_key *key, const char *name, bool drop)
{
    struct backup_checked found;
    struct shown shown = {0};
    struct error err;
    if (!backup_check(folder, key, name, drop, tell_bad, show, &shown, &found, &err))
        return cli_fail(&err);
    show_end(&shown);
    printf("%" PRIu64 " files, %" PRIu64 " MiB: %s", found.files, found.bytes >> 20,
           found.bad == 0 ? "each is as it was written\n" : "");
    if (found.bad > 0)
        printf("%" PRIu64 " are missing or damaged%s\n", found.bad,
               drop ? ": they are taken out, and the next backup writes again what the archive has"
                    : "; with --drop they are taken out, and the next backup writes them again");
    return found.bad == 0 ? CLI_DONE : CLI_FAILED;
}

static int run_backup(int argc, char **argv)
{
    const char *server = CLI_SERVER, *folder = NULL, *key_path = NULL;
    bool begin = false, drop = false;
    const struct cli_option options[] = {
        {"server", "URL", "the server that makes one (" CLI_SERVER ")", &server, NULL},
        {"begin", NULL, "also where no backups are, though there were: a new disk", NULL, &begin},
        {"folder", "DIR", "list, check: the folder of backups (backup.folder)", &folder, NULL},
        {"key", "FILE", "list, check: their key (backup.key)", &key_path, NULL},
        {"drop", NULL, "check: take out what is bad, so that the next backup writes it again", NULL, &drop},
        {NULL, NULL, NULL, NULL, NULL},
    };
    struct backup_key key;
    struct error err;
    int status = CLI_FAILED;
    if (!cli_options(&argc, argv, &cli_backup, options, &status))
        return status;
    const char *what = argc > 1 ? argv[1] : "now";
    if (strcmp(what, "key") == 0)
        return argc == 3 ? make_key(argv[2]) : cli_usage("give the file for the key: hilum backup key FILE");
    if (strcmp(what, "now") == 0)
        return argc <= 2 ? make_now(server, begin) : cli_usage("backup now takes no argument '%s'", argv[2]);
    bool checks = strcmp(what, "check") == 0;
    if (!checks && strcmp(what, "list") != 0)
        return cli_usage("backup: key FILE, list, check [NAME], or nothing to make one; not '%s'", what);
    if (argc > (checks ? 3 : 2))
        return cli_usage("backup %s takes no argument '%s'", what, argv[checks ? 3 : 2]);
    if (!folder || !key_path)
        return cli_usage("backup %s needs --folder DIR and --key FILE", what);
    if (!backup_key_read(key_path, &key, &err))
        return cli_fail(&err);
    return checks ? check(folder, &key, argc == 3 ? argv[2] : NULL, drop) : list(folder, &key);
}

// ---- restore

static void tell_restored(const struct backup_restore *how, const struct backup_restored *found)
{
    char when[CLOCK_RFC3339_SIZE];
    struct stat status;
    const char *name;
    const json_t *count;
    printf("%s holds archive %s again, as it was at %s (backup %s)\n", how->data, found->archive,
           clock_rfc3339(when, found->made_ns), found->name);
    printf("%" PRIu64 " files, %" PRIu64 " MiB, %" PRIu64 " of them with objects: each has the digest that it had\n",
           found->files, found->bytes >> 20, found->containers);
    printf("the database is sound, and each of its %" PRIu64 " tables has as many rows as then: %" PRIu64 " in all\n",
           found->tables, found->rows);
    if (json_object_size(found->said) > 0) {
        bool first = true;
        json_object_foreach((json_t *)(uintptr_t)found->said, name, count)
        {
            printf("%s%lld %s", first ? "then it had " : ", ", (long long)json_integer_value(count), name);
            first = false;
        }
        printf("\n");
    }
    if (found->beside > 0)
        printf("%" PRIu64
               " files of elsewhere (configuration, certificates, models) are below %s/restored, to be put back "
               "by hand\n",
               found->beside, how->data);
    if (how->copy)
        printf("It is a copy beside its original: nothing will be sent from it.\n");
    else
        printf(
            "It is the same archive, and takes the original's place: no other server may run with it. What came, was "
            "judged and was told since then is not in it, so nothing is sent to PACS and record until somebody says "
            "that he knows: hilum audit acknowledge --by NAME. All logins have ended.\n");
    if (geteuid() == 0 && stat(how->data, &status) == 0 && status.st_uid == 0)
        printf(
            "Its files are root's: chown -R USER %s, for the user that the server runs as (hilum with the package)\n",
            how->data);
    printf("Next: hilum serve --data %s\n", how->data);
}

static int run_restore(int argc, char **argv)
{
    const char *key_path = NULL;
    struct backup_restore how = {0};
    const struct cli_option options[] = {
        {"from", "DIR", "the folder of backups", &how.folder, NULL},
        {"key", "FILE", "their key", &key_path, NULL},
        {"data", "DIR", "the data folder: new or empty", &how.data, NULL},
        {"backup", "NAME", "which one (the newest); hilum backup list names them", &how.name, NULL},
        {"copy", NULL, "for a trial beside the original: nothing will be sent from it", NULL, &how.copy},
        {NULL, NULL, NULL, NULL, NULL},
    };
    struct shown shown = {0};
    struct backup_restored found;
    struct backup_key key;
    struct error err;
    int status = CLI_FAILED;
    if (!cli_options(&argc, argv, &cli_restore, options, &status))
        return status;
    if (argc > 1)
        return cli_usage("restore takes no argument '%s'", argv[1]);
    if (!how.folder || !key_path || !how.data)
        return cli_usage("restore needs --from DIR, --key FILE and --data DIR");
    umask(077);
    how.key = &key;
    how.progress = show;
    how.payload = &shown;
    if (!backup_key_read(key_path, &key, &err) || !backup_put_back(&how, &found, &err))
        return cli_fail(&err);
    show_end(&shown);
    tell_restored(&how, &found);
    json_decref(found.said);
    return CLI_DONE;
}
