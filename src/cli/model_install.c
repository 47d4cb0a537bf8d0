// hilum model install: a package into the running server, without a restart.
//
// The files are copied under a hidden name beside the other packages, checked there, and put in place by one rename, so
// that the server never reads a half. What was there under the package's name is set aside, brought back when the
// server does not take the new one, and removed when it does; jobs that run keep it. An older version over a newer one,
// or another package of the same version, is for --replace to say.
#include "cli/model_install.h"

#include <jansson.h>
#include <stdio.h>
#include <string.h>

#include "cli/cli.h"
#include "cli/model_place.h"
#include "flow/flow.h"

enum { ANSWER_MAX = 1 << 20 };

// ---- the server

// NULL with *err; the caller's.
static json_t *ask(const char *server, const char *method, const char *path, struct error *err)
{
    struct buffer answer;
    buffer_init(&answer, ANSWER_MAX);
    bool post = strcmp(method, "POST") == 0;
    bool ok = cli_call(server, method, path, post ? "{}" : NULL, post ? 2 : 0, &answer, err);
    json_t *json = ok ? json_loads((const char *)answer.data, 0, NULL) : NULL;
    if (ok && !json)
        error_set(err, ERROR_PROTOCOL, "%s%s gave no JSON", server, path);
    buffer_free(&answer);
    return json;
}

// The caller frees it. What becomes of the package's rule is in it.
static bool rescan(const char *server, const struct model_package *package, json_t **out, struct error *err)
{
    size_t i;
    json_t *answer = *out = ask(server, "POST", "/api/models/rescan", err), *sentence;
    if (!answer)
        return false;
    json_array_foreach(json_object_get(answer, "refused"), i, sentence)
    {
        if (json_is_string(sentence))
            fprintf(stderr, "warning: %s\n", json_string_value(sentence));
    }
    return model_place_is_served(json_object_get(answer, "models"), package) ||
           error_set(err, ERROR_CONFLICT, "the server did not take %s: see its log", model_package_name(package));
}

// What the package takes the place of.
struct before {
    json_t *models;               // owned; the texts are its own
    const char *version, *digest; // NULL: none of its name is installed
};

static bool find_before(const char *server, const struct model_package *package, struct before *out, struct error *err)
{
    size_t i;
    json_t *model;
    out->models = ask(server, "GET", "/api/models", err);
    json_array_foreach(out->models, i, model)
    {
        const char *name = json_string_value(json_object_get(model, "name"));
        if (!name || strcmp(name, model_package_name(package)) != 0)
            continue;
        out->version = json_string_value(json_object_get(model, "version"));
        out->digest = json_string_value(json_object_get(model, "digest"));
        if (!out->version || !out->digest)
            return error_set(err, ERROR_PROTOCOL, "%s/api/models names no version and digest of %s", server, name);
    }
    return out->models != NULL;
}

// Nobody goes back, or changes what a version means, without saying so.
static bool may_follow(const struct model_package *package, const char *before, const char *before_digest,
                       struct error *err)
{
    const char *version = model_package_version(package), *digest = model_package_digest(package);
    if (!before || strcmp(before_digest, digest) == 0)
        return true;
    int order = model_version_compare(version, before);
    if (!model_version_is_semantic(before)) // of an earlier program: it has no place in the order
        return true;
    return order > 0 || error_set(err, ERROR_CONFLICT,
                                  "%s %s (%.12s) is installed, and this is %s, %s (%.12s). %s, or give --replace",
                                  model_package_name(package), before, before_digest,
                                  order < 0 ? "an older one" : "another package of the same version", version, digest,
                                  order < 0 ? "Leave it" : "Raise its version");
}

// What the server runs, and what stands at the place and may not have been looked at yet.
static bool may_follow_both(const struct model_package *package, const struct before *before,
                            const struct model_package *standing, struct error *err)
{
    return may_follow(package, before->version, before->digest, err) &&
           (!standing || may_follow(package, model_package_version(standing), model_package_digest(standing), err));
}

static void tell(const struct model_package *package, const struct before *before, const json_t *answer)
{
    const char *name = model_package_name(package);
    const char *rule = json_string_value(json_object_get(json_object_get(answer, "rules"), name));
    printf("%s %s (%.12s) is installed", name, model_package_version(package), model_package_digest(package));
    if (before->version && strcmp(before->digest, model_package_digest(package)) == 0)
        printf(", as it was before");
    else if (before->version)
        printf(" in place of %s (%.12s)", before->version, before->digest);
    printf("\n%s\n", rule ? rule : "it brings no rule: enter one that names it (PUT /api/rules/NAME)");
}

// The place is as it was before, and the server looks again.
static void take_back(const char *server, struct model_place *place)
{
    struct error err;
    if (!place->put)
        return;
    if (!model_place_undo(place, &err))
        fprintf(stderr, "warning: %s is not as it was before: %s\n", place->path, err.message);
    json_decref(ask(server, "POST", "/api/models/rescan", &err));
}

static bool install_at(const char *server, const struct model_package *package, bool replace, struct model_place *place,
                       struct error *err)
{
    struct before before = {0};
    json_t *answer = NULL;
    bool ok = find_before(server, package, &before, err) &&
              (replace || may_follow_both(package, &before, place->standing, err)) &&
              model_place_put(place, package, err) && rescan(server, package, &answer, err);
    if (ok) {
        model_place_clean(place, json_object_get(answer, "models"));
        tell(package, &before, answer);
    } else {
        take_back(server, place);
    }
    json_decref(before.models);
    json_decref(answer);
    return ok;
}

static bool install(const char *server, const struct model_package *package, bool replace, struct error *err)
{
    struct model_place place = {.lock = -1};
    json_t *status = ask(server, "GET", "/api/status", err);
    const char *models = json_string_value(json_object_get(status, "modelsFolder"));
    bool ok = status && (models || error_set(err, ERROR_UNSUPPORTED, "the server does not say where its packages are"));
    ok = ok && model_place_open(&place, models, package, err) && install_at(server, package, replace, &place, err);
    model_place_close(&place);
    json_decref(status);
    return ok;
}

// What is no Semantic Version cannot be said to be older or newer than another. The server takes such a package still,
// for some may be installed.
static bool check_version(const char *folder, const char *version, struct error *err)
{
    return model_version_is_semantic(version) ||
           error_set(err, ERROR_BAD_VALUE,
                     "%s: manifest: version '%.64s' is none of Semantic Versioning 2.0.0; give three numbers, as 1.2.0",
                     folder, version);
}

static bool check_rule(const char *folder, const struct model_package *package, struct error *err)
{
    struct flow_rule rule;
    if (!*model_package_rule(package))
        return true;
    json_t *json = json_loads(model_package_rule(package), 0, NULL);
    bool ok = flow_rule_from_json(json, &rule, err) || error_prefix(err, "%s: its rule", folder);
    json_decref(json);
    return ok;
}

struct model_package *cli_model_open(const char *folder, struct error *err)
{
    struct model_package *package = model_package_open(folder, err);
    if (!package || (check_version(folder, model_package_version(package), err) && check_rule(folder, package, err)))
        return package;
    model_package_close(package);
    return NULL;
}

int cli_model_install(const char *server, const char *folder, bool replace)
{
    struct error err;
    struct model_package *package = cli_model_open(folder, &err);
    bool ok = package && install(server, package, replace, &err);
    model_package_close(package);
    return ok ? CLI_DONE : cli_fail(&err);
}
