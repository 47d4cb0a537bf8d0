// hilum check: whether the running server and what it talks to understand each other, step by step.
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/text.h"
#include "cli/cli.h"

static int run(int argc, char **argv);

const struct cli_command cli_check = {"check", "[NAME...] [OPTIONS]",
                                      "find out why a peer does not talk: all connections, or those named", run, false};

enum { ANSWER_MAX = 16 << 20 };

static const char *member(const json_t *object, const char *name)
{
    const char *text = json_string_value(json_object_get(object, name));
    return text ? text : "";
}

static json_t *ask(const char *server, const char *method, const char *path, const char *body, struct error *err)
{
    struct buffer answer;
    buffer_init(&answer, ANSWER_MAX);
    bool ok = cli_call(server, method, path, body, body ? strlen(body) : 0, &answer, err);
    json_t *json = ok ? json_loads((const char *)answer.data, 0, NULL) : NULL;
    if (ok && !json)
        error_set(err, ERROR_PROTOCOL, "%.100s%.100s gave no JSON", server, path);
    buffer_free(&answer);
    return json;
}

static json_t *check(const char *server, const json_t *connection, const char *body, struct error *err)
{
    struct buffer path;
    buffer_init(&path, 4096);
    buffer_printf(&path, "/api/connections/%s/", member(connection, "kind"));
    buffer_percent(&path, member(connection, "name"));
    buffer_text(&path, "/check");
    buffer_byte(&path, '\0');
    json_t *now = buffer_check(&path, "a path", err) ? ask(server, "POST", (const char *)path.data, body, err) : NULL;
    buffer_free(&path);
    return now;
}

static void print(const json_t *connection)
{
    size_t i;
    json_t *step;
    printf("%-7s %s %s: %s\n", member(connection, "state"), member(connection, "kind"), member(connection, "name"),
           member(connection, "about"));
    json_array_foreach(json_object_get(connection, "steps"), i, step)
    {
        printf("  %-7s %s: %s\n", member(step, "state"), member(step, "step"), member(step, "said"));
        if (*member(step, "remedy"))
            printf("          -> %s\n", member(step, "remedy"));
    }
}

static bool is_named(const json_t *connection, int count, char *const *names)
{
    for (int i = 0; i < count; i++)
        if (strcmp(names[i], member(connection, "name")) == 0)
            return true;
    return count == 0;
}

static bool all_there(const json_t *list, int count, char **names, struct error *err)
{
    size_t at;
    json_t *connection;
    for (int i = 0; i < count; i++) {
        bool found = false;
        json_array_foreach(list, at, connection) found = found || is_named(connection, 1, &names[i]);
        if (!found)
            return error_set(err, ERROR_NOT_FOUND, "there is no connection '%.80s'; `hilum check` lists them",
                             names[i]);
    }
    return true;
}

// Those named, checked now; *failed: one of them is not well. NULL with *err.
static json_t *check_all(const char *server, const json_t *list, int count, char **names, const char *body,
                         bool *failed, struct error *err)
{
    size_t i;
    json_t *connection, *out = json_array();
    json_array_foreach(list, i, connection)
    {
        if (!is_named(connection, count, names))
            continue;
        json_t *now = check(server, connection, body, err);
        if (!now) {
            json_decref(out);
            return NULL;
        }
        *failed = *failed || strcmp(member(now, "state"), "failed") == 0;
        json_array_append_new(out, now);
    }
    return out;
}

static void print_all(const json_t *list, bool as_json)
{
    size_t i;
    json_t *connection;
    if (!as_json) {
        json_array_foreach(list, i, connection) print(connection);
        return;
    }
    char *text = json_dumps(list, JSON_INDENT(2));
    printf("%s\n", text ? text : "[]");
    free(text);
}

static int run(int argc, char **argv)
{
    const char *server = CLI_SERVER;
    bool as_json = false, failed = false, test_object = false;
    const struct cli_option options[] = {
        {"json", NULL, "as the API tells it", NULL, &as_json},
        {"test-object", NULL, "send the peers named one synthetic image, patient HILUM^TEST, too", NULL, &test_object},
        {"server", "URL", "the running server (" CLI_SERVER ")", &server, NULL},
        {NULL, NULL, NULL, NULL, NULL},
    };
    int status = CLI_FAILED;
    struct error err;
    if (!cli_options(&argc, argv, &cli_check, options, &status))
        return status;
    if (test_object && argc < 2)
        return cli_usage("--test-object needs the names of those who are to get it");
    json_t *list = ask(server, "GET", "/api/connections", NULL, &err);
    bool ok = list && all_there(list, argc - 1, argv + 1, &err);
    json_t *now =
        ok ? check_all(server, list, argc - 1, argv + 1, test_object ? "{\"test_object\":true}" : "{}", &failed, &err)
           : NULL;
    if (now)
        print_all(now, as_json);
    status = !now ? cli_fail(&err) : failed ? CLI_FAILED : CLI_DONE;
    json_decref(list);
    json_decref(now);
    return status;
}
