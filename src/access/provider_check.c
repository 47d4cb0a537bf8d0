// What an identity provider is entered with: addresses that may be fetched, and the table of groups.
#include "access/provider.h"

#include <stdio.h>
#include <string.h>

#include "access/access.h"
#include "access/account.h"
#include "base/text.h"

// ---- addresses

// RFC 3986's characters but for '#', and '@' in front of the path.
static bool has_form(const char *url, size_t scheme)
{
    static const char host[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._:[]";
    static const char rest[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~:/?[]@!$&'()*+,;=%";
    size_t authority = strspn(url + scheme, host);
    const char *path = url + scheme + authority;
    return authority > 0 && authority < ACCESS_HOST_SIZE && (!*path || *path == '/' || *path == '?') &&
           path[strspn(path, rest)] == '\0' && strlen(url) < ACCESS_URL_SIZE;
}

static bool read_host(const char *authority, uint16_t standard, char *host, size_t host_size, uint16_t *port)
{
    char text[ACCESS_HOST_SIZE + 8];
    size_t size = strcspn(authority, "/?");
    bool has_port = memchr(authority, ']', size) ? authority[size - 1] != ']' : memchr(authority, ':', size) != NULL;
    if (has_port)
        snprintf(text, sizeof text, "%.*s", (int)size, authority);
    else
        snprintf(text, sizeof text, "%.*s:%u", (int)size, authority, standard);
    return text_host_port(text, host, host_size, port) && *host;
}

bool access_url_read(const char *url, const char *what, char *host, size_t host_size, uint16_t *port, struct error *err)
{
    char shown[120];
    bool tls = text_starts(url, "https://"), plain = text_starts(url, "http://");
    size_t scheme = tls ? strlen("https://") : strlen("http://");
    text_show(shown, sizeof shown, url, strlen(url));
    if ((!tls && !plain) || !has_form(url, scheme) || !read_host(url + scheme, tls ? 443 : 80, host, host_size, port))
        return error_set(err, ERROR_BAD_VALUE, "%s is '%s'; it must be an address such as https://login.example.org/x",
                         what, shown);
    return tls || access_address_is_loopback(host) || text_same_fold(host, "localhost") ||
           error_set(err, ERROR_BAD_VALUE, "%s is '%s'; off loopback it must begin with https://", what, shown);
}

// Discovery is asked for behind it (OpenID Connect Discovery 1.0, section 4), and a query has no place there.
bool access_issuer_check(const char *issuer, struct error *err)
{
    char host[ACCESS_HOST_SIZE];
    uint16_t port;
    if (!access_url_read(issuer, "it", host, sizeof host, &port, err))
        return false;
    return (!strchr(issuer, '?') && strlen(issuer) < ACCESS_HOST_SIZE) ||
           error_set(err, ERROR_BAD_VALUE, "an issuer has no '?', and at most %d characters", ACCESS_HOST_SIZE - 1);
}

// ---- the table of groups

// The next "GROUP=role" at *at, which is moved behind it. false: there is none, or *err (code NONE before) says what is
// wrong.
static bool next_row(const char **at, char group[ACCESS_HOST_SIZE], unsigned *role, struct error *err)
{
    char word[32];
    *at += strspn(*at, ", ");
    size_t size = strcspn(*at, ",");
    const char *row = *at, *sign = memrchr(row, '=', size);
    if (size == 0)
        return false;
    *at += size;
    const char *name = row, *value = sign ? sign + 1 : "";
    size_t name_size = sign ? (size_t)(sign - row) : 0, value_size = sign ? (size_t)(row + size - value) : 0;
    text_trim(&name, &name_size);
    text_trim(&value, &value_size);
    if (name_size == 0 || !text_copy_n(group, ACCESS_HOST_SIZE, name, name_size) ||
        !text_copy_n(word, sizeof word, value, value_size))
        return error_set(err, ERROR_BAD_VALUE, "'%.*s' is no GROUP=role, such as radiology=radiologist",
                         (int)(size < 80 ? size : 80), row);
    json_t *words = json_pack("[s]", word);
    bool ok = access_roles_read(words, role, err);
    json_decref(words);
    if (ok && *role & 1u << ACCESS_SERVICE)
        return error_set(err, ERROR_BAD_VALUE,
                         "the group %.60s has the role service, which is a program's: make a "
                         "token for it",
                         group);
    return ok;
}

unsigned access_roles_of_group(const char *table, const char *group)
{
    char named[ACCESS_HOST_SIZE];
    struct error err;
    unsigned role, roles = 0;
    while (next_row(&table, named, &role, &err))
        if (strcmp(named, group) == 0)
            roles |= role;
    return roles;
}

bool access_groups_check(const char *table, struct error *err)
{
    char group[ACCESS_HOST_SIZE];
    unsigned role;
    struct error why = {.code = ERROR_NONE};
    while (next_row(&table, group, &role, &why))
        continue;
    if (why.code != ERROR_NONE)
        *err = why;
    return why.code == ERROR_NONE;
}
