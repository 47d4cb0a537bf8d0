// What answers a request: a page of a search, a refusal, and how trees become text.
#include "fhir/build.h"

// Codes of http://hl7.org/fhir/issue-type.
static const char *issue_of(enum error_code code)
{
    static const char *const words[ERROR_CODE_COUNT] = {
        [ERROR_USAGE] = "invalid",       [ERROR_BAD_VALUE] = "value",     [ERROR_BAD_DATA] = "structure",
        [ERROR_MISMATCH] = "invariant",  [ERROR_DUPLICATE] = "duplicate", [ERROR_CONFLICT] = "conflict",
        [ERROR_NOT_FOUND] = "not-found", [ERROR_FORBIDDEN] = "forbidden", [ERROR_UNSUPPORTED] = "not-supported",
        [ERROR_LIMIT] = "too-costly",    [ERROR_FULL] = "no-store",       [ERROR_BUSY] = "throttled",
        [ERROR_TIMEOUT] = "timeout",     [ERROR_MEMORY] = "transient",
    };
    return words[code] ? words[code] : "exception";
}

json_t *fhir_outcome(const struct error *refusal, struct error *err)
{
    struct build build;
    build_begin(&build, "OperationOutcome", NULL, err);
    json_t *issue = build_object(&build);
    build_put_text(&build, issue, "severity", "error");
    build_put_text(&build, issue, "code", issue_of(refusal->code));
    build_put_text(&build, issue, "diagnostics", refusal->message);
    build_put_one(&build, build.root, "issue", issue);
    return build_end(&build);
}

static void add_link(struct build *build, json_t *links, const char *relation, const char *url)
{
    if (!url)
        return;
    json_t *link = build_object(build);
    build_put_text(build, link, "relation", relation);
    build_put_text(build, link, "url", url);
    build_add(build, links, link);
}

static void put_full_url(struct build *build, json_t *entry, const char *base, const json_t *resource)
{
    const char *type = json_string_value(json_object_get(resource, "resourceType"));
    const char *id = json_string_value(json_object_get(resource, "id"));
    build_require(build, type && id, "an id to be in a Bundle");
    if (!build->failed)
        build_put(build, entry, "fullUrl", build_made(build, json_sprintf("%s/%s/%s", base, type, id)));
}

static void add_entries(struct build *build, json_t *entries, const char *base, json_t *const *resources, size_t count,
                        const char *mode)
{
    for (size_t i = 0; i < count && !build->failed; i++) {
        json_t *entry = build_object(build), *search = build_object(build);
        put_full_url(build, entry, base, resources[i]);
        build_put(build, entry, "resource", json_incref(resources[i]));
        build_put_text(build, search, "mode", mode);
        build_put(build, entry, "search", search);
        build_add(build, entries, entry);
    }
}

json_t *fhir_searchset(const struct fhir_search *search, struct error *err)
{
    struct build build;
    build_begin(&build, "Bundle", NULL, err);
    build_require(&build, search->base && search->self, "the URL that was asked");
    json_t *links = build_array(&build), *entries = build_array(&build);
    add_link(&build, links, "self", search->self);
    add_link(&build, links, "next", search->next);
    add_entries(&build, entries, search->base, search->matches, search->match_count, "match");
    add_entries(&build, entries, search->base, search->includes, search->include_count, "include");
    build_put_text(&build, build.root, "type", "searchset");
    build_put_integer(&build, build.root, "total", search->total);
    build_put(&build, build.root, "link", links);
    build_put(&build, build.root, "entry", entries);
    return build_end(&build);
}

static json_t *coded(struct build *build, const char *key, const char *code)
{
    json_t *object = build_object(build);
    build_put_text(build, object, key, code);
    return object;
}

static json_t *capability_of(struct build *build, const struct fhir_capability *capability)
{
    json_t *resource = coded(build, "type", capability->type);
    json_t *interactions = build_array(build), *parameters = build_array(build);
    build_add(build, interactions, coded(build, "code", "read"));
    for (size_t i = 0; i < FHIR_PARAMETERS_MAX && capability->parameters[i].name; i++) {
        json_t *parameter = coded(build, "name", capability->parameters[i].name);
        build_put_text(build, parameter, "type", capability->parameters[i].type);
        build_add(build, parameters, parameter);
    }
    if (json_array_size(parameters) > 0)
        build_add(build, interactions, coded(build, "code", "search-type"));
    build_put(build, resource, "interaction", interactions);
    build_put(build, resource, "searchParam", parameters);
    return resource;
}

json_t *fhir_capability_statement(const char *base, int64_t time_ns, const struct fhir_capability *capabilities,
                                  size_t count, struct error *err)
{
    struct build build;
    build_begin(&build, "CapabilityStatement", NULL, err);
    json_t *software = coded(&build, "name", "Hilum"), *server = coded(&build, "url", base);
    json_t *rest = coded(&build, "mode", "server"), *resources = build_array(&build);
    build_put_text(&build, software, "version", HILUM_VERSION);
    build_put_text(&build, server, "description", "Imaging studies and what AI says of them, read only");
    for (size_t i = 0; i < count; i++)
        build_add(&build, resources, capability_of(&build, &capabilities[i]));
    build_put(&build, rest, "resource", resources);
    build_put_text(&build, build.root, "status", "active");
    build_put_instant(&build, build.root, "date", time_ns);
    build_put_text(&build, build.root, "kind", "instance");
    build_put(&build, build.root, "software", software);
    build_put(&build, build.root, "implementation", server);
    build_put_text(&build, build.root, "fhirVersion", "4.0.1");
    build_put_one(&build, build.root, "format", build_text(&build, "format", "json"));
    build_put_one(&build, build.root, "rest", rest);
    return build_end(&build);
}

static int append(const char *text, size_t size, void *payload)
{
    buffer_append(payload, text, size);
    return 0;
}

bool fhir_print(const json_t *resource, struct buffer *out, struct error *err)
{
    // 15 digits are what a double holds of any decimal, and %.15g writes them without a tail.
    if (json_dump_callback(resource, append, out, JSON_COMPACT | JSON_REAL_PRECISION(15)) != 0)
        return error_set(err, ERROR_MEMORY, "no memory to write a FHIR resource");
    return buffer_check(out, "a FHIR resource", err);
}
