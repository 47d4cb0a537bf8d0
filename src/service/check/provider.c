// The check of the identity provider: all that a login by it needs before there is a person.
#include "service/check/check.h"

#include <inttypes.h>

#include "base/clock.h"
#include "base/text.h"
#include "service/oidc/oidc.h"

// Whose clock it is cannot be told from two that differ: one that nothing synchronises is looked at first.
static void tell_clock(struct check *check, int64_t date_ns)
{
    char ours[CLOCK_RFC3339_SIZE], theirs[CLOCK_RFC3339_SIZE];
    int64_t now_ns = clock_now_ns(), apart_ns = date_ns - now_ns;
    int64_t off_s = (apart_ns < 0 ? -apart_ns : apart_ns) / CLOCK_SECOND;
    if (date_ns == 0) {
        check_say(check, "clock", CHECK_UNKNOWN, "{name} does not say what time it is (no Date)", "");
        return;
    }
    check->names.error = arena_printf(check->arena, "%" PRId64 " s: it is %s here, and %s at %s", off_s,
                                      clock_rfc3339(ours, now_ns), clock_rfc3339(theirs, date_ns), check->names.name);
    if (off_s <= OIDC_CLOCK_OFF_SECONDS)
        check_say(check, "clock", CHECK_OK, "the clocks differ by {error}", "");
    else if (check_synchronised() == CHECK_OK)
        check_say(check, "clock", CHECK_FAILED, "the clock is off by {error}",
                  "on the side of {name}: correct its clock, since this server's is synchronised; until then ID tokens "
                  "are refused for their times");
    else
        check_say(check, "clock", CHECK_FAILED, "the clock is off by {error}",
                  "on this side first, where nothing synchronises the clock: let chrony or systemd-timesyncd run, with "
                  "the hospital's time server; if this server's time is right, on the side of {name}; until then ID "
                  "tokens are refused for their times");
}

static void tell_form(struct check *check, const struct oidc_provider *provider)
{
    check->names.error = oidc_redirect_uri(check->service, check->arena);
    check_say(check, "description", CHECK_OK,
              "{name} describes itself; its client for this server needs the redirect URI {error}", "");
    if (!provider->knows_s256)
        check_say(check, "pkce", CHECK_WARNING, "{name} does not say that it checks PKCE with S256",
                  "on the side of {name}: switch PKCE (S256) on for this client, against codes that were stolen");
}

static void tell_keys(struct check *check, const struct oidc_settings *settings, struct oidc_provider *provider)
{
    struct error err;
    if (!oidc_fetch_keys(settings, check->deadline_ns, provider, &err)) {
        check_fail(check, "keys", &err);
        return;
    }
    check->names.error = arena_printf(check->arena, "%zu", json_array_size(json_object_get(provider->key_set, "keys")));
    check_say(check, "keys", CHECK_OK, "{name} publishes {error} keys", "");
    oidc_provider_free(provider);
}

static void tell_description(struct check *check, const struct oidc_settings *settings, const json_t *json)
{
    struct oidc_provider provider;
    struct error err;
    if (!oidc_read_description(settings, json, &provider, &err)) {
        check_fail(check, err.code == ERROR_MISMATCH ? "issuer" : "description", &err);
        return;
    }
    tell_form(check, &provider);
    tell_keys(check, settings, &provider);
}

static void fetch(struct check *check, const struct oidc_settings *settings)
{
    struct error err;
    json_t *json = NULL;
    int64_t date_ns = 0;
    bool ok = oidc_fetch_description(settings, check->deadline_ns, &json, &date_ns, &err);
    bool tls = !ok && (err.code == ERROR_FORBIDDEN || err.code == ERROR_PROTOCOL || err.code == ERROR_BAD_VALUE);
    if (!ok)
        check_fail(check, tls ? "https" : "description", &err);
    else if (text_starts(settings->issuer, "https://"))
        check_say(check, "tls", CHECK_OK, "TLS with a certificate that counts", "");
    if (ok || err.code == ERROR_BAD_DATA)
        tell_clock(check, date_ns);
    if (ok)
        tell_description(check, settings, json);
    json_decref(json);
}

static void look(struct check *check, const struct oidc_settings *settings)
{
    char *host = arena_alloc(check->arena, SERVICE_HOST_SIZE),
         *address = arena_alloc(check->arena, SERVICE_ADDRESS_SIZE);
    struct check_target to = {host, 0, false, ""};
    struct error err;
    if (!host || !address || !access_url_read(settings->issuer, "issuer", host, SERVICE_HOST_SIZE, &to.port, &err))
        return;
    text_show_host_port(address, SERVICE_ADDRESS_SIZE, host, to.port);
    check->names.name = arena_strdup(check->arena, settings->name);
    check->names.host = host;
    check->names.address = address;
    if (check_reach(check, &to))
        fetch(check, settings);
}

void check_provider(struct check *check)
{
    struct oidc *oidc = oidc_hold(check->service);
    if (!oidc) // removed since the list was made
        return;
    look(check, oidc_settings(oidc));
    oidc_release(oidc);
}
