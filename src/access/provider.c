// The identity provider as it is entered and told.
#include "access/provider.h"

#include <string.h>

#include "access/access_internal.h"
#include "access/login.h"
#include "access/provider_row.h"
#include "base/buffer.h"
#include "base/clock.h"
#include "base/hash.h"
#include "base/text.h"

enum { ROW_BYTES = 1 << 20 };

const struct access_provider access_provider_start = {.name = "the hospital's login",
                                                      .issuer = "",
                                                      .client_id = "",
                                                      .client_secret = "",
                                                      .scopes = "openid profile email",
                                                      .groups_claim = "groups",
                                                      .roles = "",
                                                      .authorities = ""};

// ---- what a value may be

// A provider of which half is known would be a button that lets nobody in.
static bool check_needed(const struct access_provider *provider, struct error *err)
{
    const struct {
        const char *key, *text;
    } needed[] = {{"issuer", provider->issuer}, {"client_id", provider->client_id},
                  {"roles", provider->roles},   {"name", provider->name},
                  {"scopes", provider->scopes}, {"groups_claim", provider->groups_claim}};
    for (size_t i = 0; i < sizeof needed / sizeof *needed; i++)
        if (!text_is_plain(needed[i].text, strlen(needed[i].text)))
            return error_set(err, ERROR_BAD_VALUE, "the identity provider needs %s, text on one line that shows",
                             needed[i].key);
    return true;
}

static bool has_word(const char *words, const char *word)
{
    size_t size = strlen(word);
    for (; *words; words += strcspn(words, " "), words += strspn(words, " "))
        if (strncmp(words, word, size) == 0 && (words[size] == ' ' || words[size] == '\0'))
            return true;
    return false;
}

bool access_provider_check(const struct access_provider *provider, struct error *err)
{
    char shown[80];
    if (!check_needed(provider, err))
        return false;
    if (!access_issuer_check(provider->issuer, err))
        return error_prefix(err, "issuer");
    if (!access_groups_check(provider->roles, err))
        return error_prefix(err, "roles");
    if (!has_word(provider->scopes, "openid"))
        return error_set(err, ERROR_BAD_VALUE, "scopes '%s' lack openid, without which no ID token comes",
                         text_show(shown, sizeof shown, provider->scopes, strlen(provider->scopes)));
    if (*provider->client_secret && !text_is_visible(provider->client_secret, strlen(provider->client_secret)))
        return error_set(err, ERROR_BAD_VALUE, "client_secret is no text on one line");
    return !*provider->authorities || strstr(provider->authorities, "-----BEGIN CERTIFICATE-----") ||
           error_set(err, ERROR_BAD_VALUE,
                     "authorities '%s' hold no certificate: PEM text begins with -----BEGIN CERTIFICATE-----",
                     text_show(shown, sizeof shown, provider->authorities, strlen(provider->authorities)));
}

// ---- JSON

json_t *access_provider_to_json(const struct access_provider *provider)
{
    return json_pack("{s:s, s:s, s:s, s:b, s:s, s:s, s:s, s:s, s:I}", "name", provider->name, "issuer",
                     provider->issuer, "client_id", provider->client_id, "hasSecret", *provider->client_secret != '\0',
                     "scopes", provider->scopes, "groups_claim", provider->groups_claim, "roles", provider->roles,
                     "authorities", provider->authorities, "version", (json_int_t)provider->version);
}

static bool secret_from(const json_t *value, const char **out, struct arena *arena, struct error *err)
{
    const char *text = json_string_value(value);
    if (json_is_null(value)) {
        *out = "";
        return true;
    }
    if (!text || strlen(text) != json_string_length(value) || strlen(text) >= ACCESS_CLIENT_SECRET_SIZE)
        return error_set(err, ERROR_BAD_VALUE,
                         "client_secret must be a text of at most %d bytes, or null for a public client",
                         ACCESS_CLIENT_SECRET_SIZE - 1);
    if (*text)
        *out = arena_strdup(arena, text);
    return *out != NULL || error_set(err, ERROR_MEMORY, "no memory for the identity provider");
}

static bool text_from(const char *key, const json_t *value, size_t capacity, const char **out, struct arena *arena,
                      struct error *err)
{
    const char *text = json_string_value(value);
    if (!text || strlen(text) != json_string_length(value) || strlen(text) >= capacity)
        return error_set(err, ERROR_BAD_VALUE, "%s must be a text of at most %zu bytes", key, capacity - 1);
    *out = arena_strdup(arena, text);
    return *out != NULL || error_set(err, ERROR_MEMORY, "no memory for the identity provider");
}

static bool member_from(const char *key, const json_t *value, struct access_provider *out, struct arena *arena,
                        struct error *err)
{
    char shown[64];
    const struct {
        const char *key, **to;
        size_t capacity;
    } texts[] = {{"name", &out->name, 81},
                 {"issuer", &out->issuer, ACCESS_HOST_SIZE},
                 {"client_id", &out->client_id, ACCESS_HOST_SIZE},
                 {"scopes", &out->scopes, ACCESS_HOST_SIZE},
                 {"groups_claim", &out->groups_claim, ACCESS_HOST_SIZE},
                 {"roles", &out->roles, ACCESS_PROVIDER_TEXT_SIZE},
                 {"authorities", &out->authorities, ACCESS_AUTHORITIES_SIZE}};
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++)
        if (strcmp(key, texts[i].key) == 0)
            return text_from(key, value, texts[i].capacity, texts[i].to, arena, err);
    if (strcmp(key, "client_secret") == 0)
        return secret_from(value, &out->client_secret, arena, err);
    if (strcmp(key, "hasSecret") == 0) // as it was told
        return true;
    if (strcmp(key, "version") != 0)
        return error_set(err, ERROR_BAD_VALUE,
                         "'%s' is unknown: name, issuer, client_id, client_secret, scopes, groups_claim, roles, "
                         "authorities, version",
                         text_show(shown, sizeof shown, key, strlen(key)));
    out->version = json_integer_value(value);
    return (json_is_integer(value) && out->version >= 0) ||
           error_set(err, ERROR_BAD_VALUE, "version must be a whole number, 0 or more");
}

// Else who may change the issuer could have the secret sent to himself.
static bool check_secret(const json_t *members, const struct access_provider *before, const struct access_provider *now,
                         struct error *err)
{
    const json_t *given = json_object_get(members, "client_secret");
    bool is_given = json_is_null(given) || json_string_length(given) > 0;
    return is_given || !*before->client_secret || strcmp(before->issuer, now->issuer) == 0 ||
           error_set(err, ERROR_BAD_VALUE,
                     "the client_secret is that of %.200s: give the one of %.200s (null where it has none)",
                     before->issuer, now->issuer);
}

bool access_provider_change(const json_t *members, struct arena *arena, struct access_provider *provider,
                            struct error *err)
{
    const char *key;
    json_t *value;
    struct access_provider now = *provider;
    now.version = 0;
    if (!json_is_object(members))
        return error_set(err, ERROR_BAD_VALUE, "an identity provider must be a JSON object");
    json_object_foreach((json_t *)(uintptr_t)members, key, value)
    {
        if (!member_from(key, value, &now, arena, err))
            return false;
    }
    if (!check_secret(members, provider, &now, err) || !access_provider_check(&now, err))
        return false;
    *provider = now;
    return true;
}

// ---- the row

bool access_provider_get(struct access *access, struct arena *arena, struct access_provider *out, bool *found,
                         struct error *err)
{
    struct database *db = store_read_begin(access->store, err);
    bool ok = db && provider_row_get(db, arena, out, found, err);
    store_read_end(access->store, db);
    return ok;
}

// For the audit trail: certificates by their digest.
static json_t *told(const struct access_provider *provider)
{
    uint8_t digest[HASH_SIZE];
    char text[2 * HASH_SIZE + 1];
    json_t *json = access_provider_to_json(provider);
    hash_of(provider->authorities, strlen(provider->authorities), digest);
    text_hex(text, digest, sizeof digest);
    if (*provider->authorities)
        json_object_set_new(json, "authorities", json_string(text));
    return json;
}

static void tell(struct access *access, const struct provider_change *change)
{
    struct buffer detail;
    const struct access_provider *now = change->provider, *before = &change->before;
    buffer_init(&detail, 32 << 10);
    buffer_printf(&detail, "identity provider %s %s, version %lld", now ? now->name : before->name,
                  !now                ? "removed"
                  : change->was_there ? "changed"
                                      : "set",
                  (long long)change->version);
    if (now) {
        json_t *was = change->was_there ? told(before) : NULL, *is = told(now);
        access_changes(&detail, was, is);
        json_decref(was);
        json_decref(is);
    }
    if (now && *now->client_secret && (!change->was_there || strcmp(now->client_secret, before->client_secret) != 0))
        buffer_printf(&detail, "; secret set");
    buffer_byte(&detail, '\0');
    access_audit_change(access, true, change->actor, detail.failed ? "identity provider" : (const char *)detail.data,
                        change->now_ns);
    buffer_free(&detail);
}

static bool write_change(struct database *db, void *payload, struct error *err)
{
    return provider_row_change(db, payload, err);
}

static bool change_provider(struct access *access, const struct access_provider *wanted, const char *actor,
                            struct error *err)
{
    struct arena arena;
    arena_init(&arena, ROW_BYTES);
    struct provider_change change = {.provider = wanted, .actor = actor, .now_ns = clock_now_ns(), .arena = &arena};
    bool ok = store_write(access->store, STORE_DURABLE, write_change, &change, err);
    if (ok && change.changed)
        tell(access, &change);
    ok = ok && (!change.ends || login_reload(access, err));
    arena_free(&arena);
    return ok;
}

bool access_provider_put(struct access *access, const struct access_provider *provider, const char *actor,
                         struct error *err)
{
    return access_provider_check(provider, err) && change_provider(access, provider, actor, err);
}

bool access_provider_remove(struct access *access, const char *actor, struct error *err)
{
    return change_provider(access, NULL, actor, err);
}
