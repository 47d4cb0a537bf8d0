// hilum peer add|list|remove|echo: the entries of other DICOM systems, through the running server. `add` for one that
// is there changes what its options name, and nothing else.
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/text.h"
#include "cli/cli.h"

static int run(int argc, char **argv);

const struct cli_command cli_peer = {"peer", "add NAME | list | remove NAME | echo NAME [OPTIONS]",
                                     "enter or change the DICOM systems that may send, ask or receive", run, false};

struct options {
    const char *server, *title, *address, *rights, *issuer, *charset, *limit, *versions, *tls, *certificate, *labels,
        *puts;
    bool plain, no_plain, no_echo, json;
};

static json_t *names_of(const char *text)
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

// What is entered under this name, in *out, owned; NULL: nothing.
static bool read_present(const struct options *o, const char *name, json_t **out, struct error *err)
{
    struct buffer answer;
    size_t i;
    json_t *peer;
    buffer_init(&answer, 16 << 20);
    bool ok = cli_call(o->server, "GET", "/api/peers", NULL, 0, &answer, err);
    json_t *list = ok ? json_loads((const char *)answer.data, 0, NULL) : NULL;
    *out = NULL;
    json_array_foreach(list, i, peer)
    {
        const char *other = json_string_value(json_object_get(peer, "name"));
        if (other && strcmp(other, name) == 0)
            *out = json_incref(peer);
    }
    json_decref(list);
    buffer_free(&answer);
    return ok;
}

// Only what an option names is set: the rest stays as it is.
static bool set_members(const struct options *o, json_t *peer, struct error *err)
{
    char host[256];
    uint16_t port;
    uint64_t limit = 0;
    const struct {
        const char *member, *text;
    } texts[] = {{"title", o->title},
                 {"issuer", o->issuer},
                 {"charset", o->charset},
                 {"versions", o->versions},
                 {"tls", o->tls},
                 {"certificate", o->certificate},
                 {"plain", o->plain      ? "accepted"
                           : o->no_plain ? "refused"
                                         : NULL}};
    if (o->address && !text_host_port(o->address, host, sizeof host, &port))
        return error_set(err, ERROR_BAD_VALUE, "--address '%s' is not HOST:PORT", o->address);
    if (o->limit && !text_to_u64(o->limit, strlen(o->limit), &limit))
        return error_set(err, ERROR_BAD_VALUE, "--limit '%s' is no number", o->limit);
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++)
        if (texts[i].text && json_object_set_new(peer, texts[i].member, json_string(texts[i].text)) != 0)
            return error_set(err, ERROR_BAD_VALUE, "--%s is not UTF-8", texts[i].member);
    if (o->address) {
        json_object_set_new(peer, "host", json_string(host));
        json_object_set_new(peer, "port", json_integer(port));
    }
    if (o->rights)
        json_object_set_new(peer, "rights", names_of(o->rights));
    if (o->labels)
        json_object_set_new(peer, "labels", names_of(o->labels));
    if (o->puts)
        json_object_set_new(peer, "puts", names_of(o->puts));
    if (o->limit)
        json_object_set_new(peer, "associations_max", json_integer((json_int_t)limit));
    return true;
}

// The entry as it is afterwards, owned; NULL with *err.
static json_t *put(const struct options *o, const char *name, const json_t *peer, struct error *err)
{
    struct buffer answer;
    char path[256];
    char *body = json_dumps(peer, JSON_COMPACT);
    buffer_init(&answer, 1 << 20);
    snprintf(path, sizeof path, "/api/peers/%s", name);
    bool ok = body && cli_call(o->server, "PUT", path, body, strlen(body), &answer, err);
    json_t *now = ok ? json_loads((const char *)answer.data, 0, NULL) : NULL;
    if (!now && (ok || !body))
        error_set(err, ERROR_PROTOCOL, "%s%s gave no entry", o->server, path);
    free(body);
    buffer_free(&answer);
    return now;
}

static void print_value(const json_t *value)
{
    char *text = json_dumps(value, JSON_ENCODE_ANY | JSON_COMPACT);
    const char *plain = json_string_value(value);
    printf("%s", !plain ? (text ? text : "?") : *plain ? plain : "(none)");
    free(text);
}

static void print_changes(const char *name, const json_t *before, const json_t *now)
{
    const char *member;
    json_t *value;
    bool any = false;
    json_object_foreach((json_t *)(uintptr_t)now, member, value)
    {
        const json_t *old = json_object_get(before, member);
        if (strcmp(member, "version") == 0 || json_equal(old, value))
            continue;
        printf("%s %s: ", name, member);
        print_value(old);
        printf(" -> ");
        print_value(value);
        printf("\n");
        any = true;
    }
    if (!any)
        printf("%s is as it was\n", name);
}

enum { ADDRESS_SIZE = 300 };

// As --address takes it.
static const char *show_address(char out[ADDRESS_SIZE], const json_t *peer)
{
    return text_show_host_port(out, ADDRESS_SIZE, json_string_value(json_object_get(peer, "host")),
                               (uint16_t)json_integer_value(json_object_get(peer, "port")));
}

static void print_entered(const char *name, const json_t *now)
{
    char *rights = json_dumps(json_object_get(now, "rights"), JSON_COMPACT), at[ADDRESS_SIZE];
    printf("%s is entered: %s at %s may %s\n", name, json_string_value(json_object_get(now, "title")),
           show_address(at, now), rights ? rights : "");
    free(rights);
}

static int add(const struct options *o, const char *name)
{
    struct error err;
    json_t *before;
    if (o->plain && o->no_plain)
        return cli_usage("--plain and --no-plain at once");
    if (!read_present(o, name, &before, &err))
        return cli_fail(&err);
    if (!before && (!o->title || !o->address)) {
        return cli_usage("peer add needs --title TITLE and --address HOST:PORT for %s, which is not entered yet", name);
    }
    json_t *wanted = before ? json_deep_copy(before) : json_pack("{s:o}", "rights", names_of("store,find,get"));
    json_t *now = set_members(o, wanted, &err) ? put(o, name, wanted, &err) : NULL;
    if (now && before)
        print_changes(name, before, now);
    else if (now)
        print_entered(name, now);
    int status = now ? CLI_DONE : cli_fail(&err);
    json_decref(before);
    json_decref(wanted);
    json_decref(now);
    return now && !o->no_echo ? echo(o, name) : status;
}

static void print_peer(const json_t *peer)
{
    char *rights = json_dumps(json_object_get(peer, "rights"), JSON_COMPACT), at[ADDRESS_SIZE];
    printf("%-20s %-16s %s %s%s%s issuer '%s' charset '%s' versions %s\n",
           json_string_value(json_object_get(peer, "name")), json_string_value(json_object_get(peer, "title")),
           show_address(at, peer), rights ? rights : "",
           strcmp(json_string_value(json_object_get(peer, "plain")), "accepted") == 0 ? " plain" : "",
           strcmp(json_string_value(json_object_get(peer, "tls")), "required") == 0 ? " tls" : "",
           json_string_value(json_object_get(peer, "issuer")), json_string_value(json_object_get(peer, "charset")),
           json_string_value(json_object_get(peer, "versions")));
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
    struct options o = {.server = CLI_SERVER};
    const struct cli_option options[] = {
        {"title", "TITLE", "the peer's AE title", &o.title, NULL},
        {"address", "HOST:PORT", "where it listens; its address is also how it is known when it calls", &o.address,
         NULL},
        {"rights", "LIST", "of store,find,get,target (a new one: store,find,get)", &o.rights, NULL},
        {"plain", NULL, "accept it without TLS, off loopback too", NULL, &o.plain},
        {"no-plain", NULL, "refuse it without TLS off loopback again", NULL, &o.no_plain},
        {"tls", "WHICH", "required: it is called, and has to call, over TLS; no", &o.tls, NULL},
        {"certificate", "FINGERPRINT",
         "SHA-256 fingerprint of the one certificate that counts for it; '' for any of a known authority",
         &o.certificate, NULL},
        {"issuer", "TEXT", "Issuer of Patient ID for what it sends without one; '' for none", &o.issuer, NULL},
        {"charset", "TEXT",
         "Specific Character Set of text that it sends without one: ISO_IR 100, GB18030, ...; '' for none", &o.charset,
         NULL},
        {"versions", "WHICH",
         "of an object that it sends again with other attributes: first or newest is served (first)", &o.versions,
         NULL},
        {"labels", "LIST", "labels, with commas between, whose studies it may see; '' for none", &o.labels, NULL},
        {"puts", "LIST", "labels that a study gets of which it sends an object; '' for none", &o.puts, NULL},
        {"limit", "N", "associations at once; 0 for the usual number", &o.limit, NULL},
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
