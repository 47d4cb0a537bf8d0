// hilum account and hilum token: who may log in, and the tokens of programs, on a running server.
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <termios.h>
#include <unistd.h>

#include "base/text.h"
#include "cli/cli.h"

static int run_account(int argc, char **argv);
static int run_token(int argc, char **argv);

const struct cli_command cli_account = {
    "account", "list|add NAME|change NAME|remove NAME [OPTIONS]",
    "who may log in; a password is asked for, or read from the first line of a pipe", run_account, false};
const struct cli_command cli_token = {"token", "list|make NAME|remove NAME [OPTIONS]",
                                      "tokens, by which programs log in; one is shown when it is made, and never again",
                                      run_token, false};

enum { PASSWORD_SIZE = 1100, PATH_SIZE = 256, SHOWN_SIZE = 300 };

struct options {
    const char *server, *roles, *shown, *days;
    bool disable, enable, password;
};

// "radiologist, model owner" as an array.
static json_t *roles_from(const char *text)
{
    json_t *list = json_array();
    for (size_t size; *text; text += size, text += strspn(text, ", ")) {
        size = strcspn(text, ",");
        size_t length = size;
        while (length > 0 && text[length - 1] == ' ')
            length--;
        json_array_append_new(list, json_stringn(text, length));
    }
    return list;
}

static bool read_line(char out[PASSWORD_SIZE], struct error *err)
{
    bool tty = isatty(STDIN_FILENO);
    struct termios before, quiet;
    if (tty && tcgetattr(STDIN_FILENO, &before) == 0) {
        quiet = before;
        quiet.c_lflag &= ~(tcflag_t)ECHO;
        tcsetattr(STDIN_FILENO, TCSAFLUSH, &quiet);
        fprintf(stderr, "Password: ");
    }
    bool read = fgets(out, PASSWORD_SIZE, stdin) != NULL;
    if (tty) {
        tcsetattr(STDIN_FILENO, TCSAFLUSH, &before);
        fprintf(stderr, "\n");
    }
    if (!read)
        return error_set(err, ERROR_USAGE, "no password came");
    out[strcspn(out, "\r\n")] = '\0';
    return true;
}

static int call(const struct options *o, const char *method, const char *path, json_t *body, struct buffer *out)
{
    struct error err;
    char *text = body ? json_dumps(body, JSON_COMPACT) : NULL;
    bool ok = cli_call(o->server, method, path, text, text ? strlen(text) : 0, out, &err);
    free(text);
    json_decref(body);
    return ok ? CLI_DONE : cli_fail(&err);
}

// Of the answer nothing but its warnings is read.
static int just_call(const struct options *o, const char *method, const char *path, json_t *body)
{
    struct buffer out;
    size_t i;
    json_t *warning;
    buffer_init(&out, 1 << 20);
    int status = call(o, method, path, body, &out);
    json_t *answer = status == CLI_DONE && out.data ? json_loads((const char *)out.data, 0, NULL) : NULL;
    json_array_foreach(json_object_get(answer, "warnings"), i, warning)
    {
        fprintf(stderr, "warning: %s\n", json_string_value(warning));
    }
    json_decref(answer);
    buffer_free(&out);
    return status;
}

static void print_words(const json_t *words)
{
    size_t i;
    json_t *word;
    json_array_foreach((json_t *)(uintptr_t)words, i, word) printf("%s%s", i > 0 ? "," : "", json_string_value(word));
}

static int list(const struct options *o, const char *path, void (*print)(const json_t *row))
{
    struct buffer out;
    size_t i;
    json_t *row;
    buffer_init(&out, 16 << 20);
    int status = call(o, "GET", path, NULL, &out);
    json_t *rows = status == CLI_DONE ? json_loads((const char *)out.data, 0, NULL) : NULL;
    json_array_foreach(rows, i, row) print(row);
    json_decref(rows);
    buffer_free(&out);
    return status;
}

static const char *text_of(const json_t *row, const char *name)
{
    const char *text = json_string_value(json_object_get(row, name));
    return text ? text : "";
}

// As it may stand on a terminal: what is in it moves no cursor and begins no line.
static const char *shown_of(const json_t *row, const char *name, char out[SHOWN_SIZE])
{
    const char *text = text_of(row, name);
    return text_show(out, SHOWN_SIZE, text, strlen(text));
}

// ---- accounts

static void print_account(const json_t *row)
{
    char name[SHOWN_SIZE], shown[SHOWN_SIZE];
    printf("%s\t%s\t", shown_of(row, "name", name), shown_of(row, "shown", shown));
    print_words(json_object_get(row, "roles"));
    printf("\t%s%s\n", json_is_true(json_object_get(row, "enabled")) ? "enabled" : "disabled",
           *text_of(row, "subject")                            ? " provider"
           : json_is_true(json_object_get(row, "hasPassword")) ? " password"
                                                               : " no password");
}

static int put_account(const struct options *o, const char *name, bool is_new)
{
    char path[PATH_SIZE], password[PASSWORD_SIZE];
    struct error err;
    json_t *body = json_object();
    if (o->roles)
        json_object_set_new(body, "roles", roles_from(o->roles));
    if (o->shown || is_new)
        json_object_set_new(body, "shown", json_string(o->shown ? o->shown : name));
    if (o->disable || o->enable)
        json_object_set_new(body, "enabled", json_boolean(o->enable));
    if (is_new || o->password) {
        if (!read_line(password, &err)) {
            json_decref(body);
            return cli_fail(&err);
        }
        json_object_set_new(body, "password", json_string(password));
        memset(password, 0, sizeof password);
    }
    snprintf(path, sizeof path, "/api/accounts/%s", name);
    return just_call(o, "PUT", path, body);
}

static int run_account(int argc, char **argv)
{
    struct options o = {.server = CLI_SERVER};
    const struct cli_option options[] = {
        {"roles", "LIST",
         "of radiologist,resident,technologist,administrator,model owner,auditor,service (a new one needs some)",
         &o.roles, NULL},
        {"shown", "NAME", "the person's name, as judgements carry it", &o.shown, NULL},
        {"password", NULL, "with change: ask for a new password", NULL, &o.password},
        {"disable", NULL, "with change: no login from now on; running sessions end", NULL, &o.disable},
        {"enable", NULL, "with change: logins again", NULL, &o.enable},
        {"server", "URL", "the running server (" CLI_SERVER ")", &o.server, NULL},
        {NULL, NULL, NULL, NULL, NULL},
    };
    char path[PATH_SIZE];
    int status;
    if (!cli_options(&argc, argv, &cli_account, options, &status))
        return status;
    const char *what = argc > 1 ? argv[1] : "";
    if (argc == 2 && strcmp(what, "list") == 0)
        return list(&o, "/api/accounts", print_account);
    if (argc != 3 || (o.disable && o.enable))
        return cli_usage("account needs list, add NAME, change NAME or remove NAME");
    if (strcmp(what, "add") == 0)
        return o.roles ? put_account(&o, argv[2], true) : cli_usage("a new account needs --roles");
    if (strcmp(what, "change") == 0)
        return put_account(&o, argv[2], false);
    snprintf(path, sizeof path, "/api/accounts/%s", argv[2]);
    return strcmp(what, "remove") == 0 ? just_call(&o, "DELETE", path, NULL)
                                       : cli_usage("account needs list, add NAME, change NAME or remove NAME");
}

// ---- tokens

static void print_token(const json_t *row)
{
    char name[SHOWN_SIZE], maker[SHOWN_SIZE];
    printf("%s\t", shown_of(row, "name", name));
    print_words(json_object_get(row, "roles"));
    printf("\tends %s\tmade by %s%s\n", text_of(row, "ends"), shown_of(row, "madeBy", maker),
           json_is_true(json_object_get(row, "makerGone")) ? ", who is gone" : "");
}

static int make_token(const struct options *o, const char *name)
{
    struct buffer out;
    long days = o->days ? strtol(o->days, NULL, 10) : 90;
    buffer_init(&out, 1 << 20);
    int status = call(o, "POST", "/api/tokens",
                      json_pack("{s:s, s:o, s:I}", "name", name, "roles", roles_from(o->roles ? o->roles : "service"),
                                "days", (json_int_t)days),
                      &out);
    json_t *made = status == CLI_DONE ? json_loads((const char *)out.data, 0, NULL) : NULL;
    if (made)
        printf("%s\n", text_of(made, "token"));
    json_decref(made);
    buffer_free(&out);
    return status;
}

static int run_token(int argc, char **argv)
{
    struct options o = {.server = CLI_SERVER};
    const struct cli_option options[] = {
        {"roles", "LIST", "what it may (service)", &o.roles, NULL},
        {"days", "N", "how long it counts (90)", &o.days, NULL},
        {"server", "URL", "the running server (" CLI_SERVER ")", &o.server, NULL},
        {NULL, NULL, NULL, NULL, NULL},
    };
    char path[PATH_SIZE];
    int status;
    if (!cli_options(&argc, argv, &cli_token, options, &status))
        return status;
    const char *what = argc > 1 ? argv[1] : "";
    if (argc == 2 && strcmp(what, "list") == 0)
        return list(&o, "/api/tokens", print_token);
    if (argc == 3 && strcmp(what, "make") == 0)
        return make_token(&o, argv[2]);
    if (argc != 3 || strcmp(what, "remove") != 0)
        return cli_usage("token needs list, make NAME or remove NAME");
    snprintf(path, sizeof path, "/api/tokens/%s", argv[2]);
    return just_call(&o, "DELETE", path, NULL);
}
