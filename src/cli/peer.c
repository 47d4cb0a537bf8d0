// hilum peer add|list|remove|echo: the entries of other DICOM systems, through the running server.
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/text.h"
#include "cli/cli.h"

static int run(int argc, char **argv);

const struct cli_command cli_peer = {"peer", "add NAME | list | remove NAME | echo NAME [OPTIONS]",
                                     "enter the DICOM systems that may send, ask or receive", run, false};

struct options {
    const char *server, *title, *address, *rights, *issuer, *limit;
    bool plain, no_echo, json;
};

static json_t *rights_of(const char *text)
{
    json_t *list = json_array();
    while (*text) {
        size_t size = strcspn(text, ",");
        json_array_append_new(list, json_stringn(text, size));
        text += size + (text[size] == ',');
    }
    return list;
}

static int echo(const struct options *o, const char *name)
{
    struct buffer out;
    struct error err;
    char path[256];
    buffer_init(&out, 1 << 20);
    snprintf(path, sizeof path, "/api/peers/%s/echo", name);
    bool ok = cli_call(o->server, "POST", path, "{}", 2, &out, &err);
    if (ok) {
        json_t *answer = json_loads((const char *)out.data, 0, NULL);
        printf("%s answered C-ECHO with %04llXH in %.1f ms\n", name,
               (unsigned long long)json_integer_value(json_object_get(answer, "status")),
               json_number_value(json_object_get(answer, "ms")));
        json_decref(answer);
    }
    buffer_free(&out);
    return ok ? CLI_DONE : cli_fail(&err);
}

static int add(const struct options *o, const char *name)
{
    struct buffer out;
    struct error err;
    char path[256], host[256];
    uint16_t port;
    uint64_t limit = 0;
    if (!o->title || !o->address || !text_host_port(o->address, host, sizeof host, &port))
        return cli_usage("peer add needs --title TITLE and --address HOST:PORT");
    if (o->limit && !text_to_u64(o->limit, strlen(o->limit), &limit))
        return cli_usage("--limit '%s' is no number", o->limit);
    json_t *peer = json_pack("{s:s, s:s, s:i, s:o, s:s, s:s, s:I}", "title", o->title, "host", host, "port", (int)port,
                             "rights", rights_of(o->rights), "plain", o->plain ? "accepted" : "refused", "issuer",
                             o->issuer ? o->issuer : "", "associations_max", (json_int_t)limit);
    char *body = peer ? json_dumps(peer, JSON_COMPACT) : NULL;
    json_decref(peer);
    buffer_init(&out, 1 << 20);
    snprintf(path, sizeof path, "/api/peers/%s", name);
    bool ok = body ? cli_call(o->server, "PUT", path, body, strlen(body), &out, &err)
                   : error_set(&err, ERROR_BAD_VALUE, "an option is not UTF-8");
    free(body);
    buffer_free(&out);
    if (!ok)
        return cli_fail(&err);
    printf("%s is entered: %s at %s:%u may %s\n", name, o->title, host, port, o->rights);
    return o->no_echo ? CLI_DONE : echo(o, name);
}

static void print_peer(const json_t *peer)
{
    char *rights = json_dumps(json_object_get(peer, "rights"), JSON_COMPACT);
    printf("%-20s %-16s %s:%lld %s%s issuer '%s'\n", json_string_value(json_object_get(peer, "name")),
           json_string_value(json_object_get(peer, "title")), json_string_value(json_object_get(peer, "host")),
           (long long)json_integer_value(json_object_get(peer, "port")), rights ? rights : "",
           strcmp(json_string_value(json_object_get(peer, "plain")), "accepted") == 0 ? " plain" : "",
           json_string_value(json_object_get(peer, "issuer")));
    free(rights);
}

static int list(const struct options *o)
{
    struct buffer out;
    struct error err;
    size_t i;
    json_t *peer;
    buffer_init(&out, 16 << 20);
    bool ok = cli_call(o->server, "GET", "/api/peers", NULL, 0, &out, &err);
    if (ok && o->json) {
        printf("%s\n", (const char *)out.data);
    } else if (ok) {
        json_t *peers = json_loads((const char *)out.data, 0, NULL);
        json_array_foreach(peers, i, peer) print_peer(peer);
        json_decref(peers);
    }
    buffer_free(&out);
    return ok ? CLI_DONE : cli_fail(&err);
}

static int remove_peer(const struct options *o, const char *name)
{
    struct buffer out;
    struct error err;
    char path[256];
    buffer_init(&out, 1 << 20);
    snprintf(path, sizeof path, "/api/peers/%s", name);
    bool ok = cli_call(o->server, "DELETE", path, NULL, 0, &out, &err);
    buffer_free(&out);
    return ok ? CLI_DONE : cli_fail(&err);
}

static int run(int argc, char **argv)
{
    struct options o = {.server = CLI_SERVER, .rights = "store,find,get"};
    const struct cli_option options[] = {
        {"title", "TITLE", "the peer's AE title", &o.title, NULL},
        {"address", "HOST:PORT", "where it listens; its address is also how it is known when it calls", &o.address,
         NULL},
        {"rights", "LIST", "of store,find,get,target (store,find,get)", &o.rights, NULL},
        {"plain", NULL, "accept it without TLS, off loopback too", NULL, &o.plain},
        {"issuer", "TEXT", "Issuer of Patient ID for what it sends without one", &o.issuer, NULL},
        {"limit", "N", "associations at once", &o.limit, NULL},
        {"no-echo", NULL, "do not try a C-ECHO afterwards", NULL, &o.no_echo},
        {"json", NULL, "list as JSON", NULL, &o.json},
        {"server", "URL", "the running server (" CLI_SERVER ")", &o.server, NULL},
        {NULL, NULL, NULL, NULL, NULL},
    };
    int status = CLI_FAILED;
    if (!cli_options(&argc, argv, &cli_peer, options, &status))
        return status;
    if (argc == 2 && strcmp(argv[1], "list") == 0)
        return list(&o);
    if (argc == 3 && strcmp(argv[1], "add") == 0)
        return add(&o, argv[2]);
    if (argc == 3 && strcmp(argv[1], "remove") == 0)
        return remove_peer(&o, argv[2]);
    if (argc == 3 && strcmp(argv[1], "echo") == 0)
        return echo(&o, argv[2]);
    return cli_usage("peer needs add NAME, list, remove NAME or echo NAME");
}
