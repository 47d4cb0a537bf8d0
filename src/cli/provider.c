// hilum provider show|set|remove: the identity provider that people may log in by, through the running server. `set`
// changes what its options name, and nothing else.
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "access/provider.h"
#include "base/file.h"
#include "base/text.h"
#include "cli/cli.h"

static int run(int argc, char **argv);

const struct cli_command cli_provider = {"provider", "show | set | remove [OPTIONS]",
                                         "the identity provider that people may log in by (OpenID Connect)", run,
                                         false};

#define PATH "/api/provider"
enum { ANSWER_MAX = 1 << 20 };

struct options {
    const char *server, *issuer, *client_id, *secret_file, *roles, *name, *scopes, *groups_claim, *authorities;
    bool no_secret, json;
};

// The answer, owned; NULL with *err. `body` NULL: none.
static json_t *call(const struct options *o, const char *method, const json_t *body, struct error *err)
{
    struct buffer answer;
    char *text = body ? json_dumps(body, JSON_COMPACT) : NULL;
    buffer_init(&answer, ANSWER_MAX);
    bool ok = (!body || text || error_set(err, ERROR_MEMORY, "no memory for the request")) &&
              cli_call(o->server, method, PATH, text, text ? strlen(text) : 0, &answer, err);
    json_t *json = ok ? json_loads((const char *)answer.data, 0, NULL) : NULL;
    if (ok && !json)
        error_set(err, ERROR_PROTOCOL, "%s" PATH " gave no JSON", o->server);
    buffer_free(&answer);
    free(text);
    return json;
}

static const char *text_of(const json_t *object, const char *name)
{
    const char *text = json_string_value(json_object_get(object, name));
    return text ? text : "";
}

static void print_provider(const json_t *answer)
{
    static const char *const members[] = {"name", "issuer", "client_id", "roles", "groups_claim", "scopes"};
    const json_t *provider = json_object_get(answer, "provider");
    if (!json_is_object(provider))
        printf("no identity provider is entered\n");
    for (size_t i = 0; json_is_object(provider) && i < sizeof members / sizeof *members; i++)
        printf("%-13s %s\n", members[i], text_of(provider, members[i]));
    if (json_is_object(provider))
        printf("%-13s %s\n%-13s %s\n", "client_secret",
               json_is_true(json_object_get(provider, "hasSecret")) ? "entered" : "none", "authorities",
               *text_of(provider, "authorities") ? "its own" : "those of the configuration, else the system's");
    printf("%-13s %s (to be registered at the provider)\n", "redirect URI", text_of(answer, "redirectUri"));
}

static void print_warnings(const json_t *answer)
{
    size_t i;
    json_t *warning;
    json_array_foreach(json_object_get(answer, "warnings"), i, warning)
    {
        fprintf(stderr, "warning: %s\n", json_string_value(warning));
    }
}

static int show(const struct options *o)
{
    struct error err;
    json_t *answer = call(o, "GET", NULL, &err);
    if (!answer)
        return cli_fail(&err);
    if (o->json)
        json_dumpf(answer, stdout, JSON_INDENT(1));
    else
        print_provider(answer);
    json_decref(answer);
    return CLI_DONE;
}

// As far as `out` takes it.
static bool read_input(struct buffer *out, struct error *err)
{
    char piece[4096];
    for (size_t size; (size = fread(piece, 1, sizeof piece, stdin)) > 0;)
        buffer_append(out, piece, size);
    return buffer_check(out, "standard input", err);
}

// A file's text as a member; "-" is standard input.
static bool set_file(json_t *body, const char *member, const char *path, bool trim, struct error *err)
{
    struct buffer file;
    buffer_init(&file, ACCESS_AUTHORITIES_SIZE);
    bool ok = strcmp(path, "-") == 0 ? read_input(&file, err) : file_read(path, &file, err);
    const char *text = ok && file.data ? (const char *)file.data : "";
    size_t size = ok ? file.size : 0;
    if (trim)
        text_trim(&text, &size);
    ok = ok && (size > 0 || error_set(err, ERROR_BAD_VALUE, "%s is empty", path)) &&
         (json_object_set_new(body, member, json_stringn(text, size)) == 0 ||
          error_set(err, ERROR_BAD_VALUE, "%s is not UTF-8", path));
    buffer_free(&file);
    return ok;
}

static bool set_members(const struct options *o, json_t *body, struct error *err)
{
    const struct {
        const char *member, *text;
    } texts[] = {{"issuer", o->issuer}, {"client_id", o->client_id}, {"roles", o->roles},
                 {"name", o->name},     {"scopes", o->scopes},       {"groups_claim", o->groups_claim}};
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++)
        if (texts[i].text && json_object_set_new(body, texts[i].member, json_string(texts[i].text)) != 0)
            return error_set(err, ERROR_BAD_VALUE, "%s is not UTF-8", texts[i].member);
    if (o->no_secret)
        json_object_set_new(body, "client_secret", json_null());
    if (o->authorities && !*o->authorities)
        json_object_set_new(body, "authorities", json_string(""));
    return (!o->secret_file || set_file(body, "client_secret", o->secret_file, true, err)) &&
           (!o->authorities || !*o->authorities || set_file(body, "authorities", o->authorities, false, err));
}

static int set(const struct options *o)
{
    struct error err;
    json_t *body = json_object();
    if (o->secret_file && o->no_secret) {
        json_decref(body);
        return cli_usage("--secret-file and --no-secret at once");
    }
    json_t *answer = set_members(o, body, &err) ? call(o, "PUT", body, &err) : NULL;
    json_decref(body);
    if (!answer)
        return cli_fail(&err);
    print_provider(answer);
    fflush(stdout);
    print_warnings(answer);
    json_decref(answer);
    return CLI_DONE;
}

static int remove_provider(const struct options *o)
{
    struct buffer out;
    struct error err;
    buffer_init(&out, ANSWER_MAX);
    bool ok = cli_call(o->server, "DELETE", PATH, NULL, 0, &out, &err);
    buffer_free(&out);
    return ok ? CLI_DONE : cli_fail(&err);
}

static int run(int argc, char **argv)
{
    struct options o = {.server = CLI_SERVER};
    const struct cli_option options[] = {
        {"issuer", "URL", "as the provider calls itself: https://login.example.org/realms/site", &o.issuer, NULL},
        {"client-id", "TEXT", "by what name it knows this server", &o.client_id, NULL},
        {"secret-file", "FILE", "the file with the secret that it gave this server; - for standard input",
         &o.secret_file, NULL},
        {"no-secret", NULL, "it gave none: a public client", NULL, &o.no_secret},
        {"roles", "TABLE", "which group has which role here: \"radiology=radiologist, it=administrator\"", &o.roles,
         NULL},
        {"name", "TEXT", "what the button says after \"Log in with\" (the hospital's login)", &o.name, NULL},
        {"scopes", "LIST", "what is asked for (openid profile email)", &o.scopes, NULL},
        {"groups-claim", "NAME", "where the ID token has the groups (groups)", &o.groups_claim, NULL},
        {"authorities", "FILE",
         "PEM of those whose word counts for its certificate; '' for tls.authorities, else the system's",
         &o.authorities, NULL},
        {"json", NULL, "show as JSON", NULL, &o.json},
        {"server", "URL", "the running server (" CLI_SERVER ")", &o.server, NULL},
        {NULL, NULL, NULL, NULL, NULL},
    };
    int status = CLI_FAILED;
    if (!cli_options(&argc, argv, &cli_provider, options, &status))
        return status;
    const char *what = argc == 2 ? argv[1] : "";
    if (strcmp(what, "show") == 0)
        return show(&o);
    if (strcmp(what, "set") == 0)
        return set(&o);
    return strcmp(what, "remove") == 0 ? remove_provider(&o) : cli_usage("provider needs show, set or remove");
}
