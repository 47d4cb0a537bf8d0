// What a provider says of a person, as an account here. Groups are matched as they are written.
#include "service/oidc/oidc.h"

#include <stdio.h>
#include <string.h>

#include "base/buffer.h"
#include "base/clock.h"
#include "base/text.h"

static const char *claim(const json_t *claims, const char *name)
{
    const char *text = json_string_value(json_object_get(claims, name));
    return text && *text ? text : NULL;
}

// ---- the name

// The base letters of Latin-1 and Latin Extended-A, U+00C0 to U+017F.
static const char *const base_letters[] = {
    "a", "a", "a",  "a", "a", "a", "ae", "c",  "e", "e", "e",  "e",  "i", "i", "i",  "i",  "d", "n", "o",  "o",
    "o", "o", "o",  "_", "o", "u", "u",  "u",  "u", "y", "th", "ss", "a", "a", "a",  "a",  "a", "a", "ae", "c",
    "e", "e", "e",  "e", "i", "i", "i",  "i",  "d", "n", "o",  "o",  "o", "o", "o",  "_",  "o", "u", "u",  "u",
    "u", "y", "th", "y", "a", "a", "a",  "a",  "a", "a", "c",  "c",  "c", "c", "c",  "c",  "c", "c", "d",  "d",
    "d", "d", "e",  "e", "e", "e", "e",  "e",  "e", "e", "e",  "e",  "g", "g", "g",  "g",  "g", "g", "g",  "g",
    "h", "h", "h",  "h", "i", "i", "i",  "i",  "i", "i", "i",  "i",  "i", "i", "ij", "ij", "j", "j", "k",  "k",
    "k", "l", "l",  "l", "l", "l", "l",  "l",  "l", "l", "l",  "n",  "n", "n", "n",  "n",  "n", "n", "ng", "ng",
    "o", "o", "o",  "o", "o", "o", "oe", "oe", "r", "r", "r",  "r",  "r", "r", "s",  "s",  "s", "s", "s",  "s",
    "s", "s", "t",  "t", "t", "t", "t",  "t",  "u", "u", "u",  "u",  "u", "u", "u",  "u",  "u", "u", "u",  "u",
    "w", "w", "y",  "y", "y", "z", "z",  "z",  "z", "z", "z",  "s"};

static char fitted(char c)
{
    if (c >= 'A' && c <= 'Z')
        return (char)(c - 'A' + 'a');
    return c && strchr("abcdefghijklmnopqrstuvwxyz0123456789._-@", c) ? c : '_';
}

// What stands for a character of two bytes: its base letters; for one that stands behind its base letter (U+0300 to
// U+036F, of a name in Unicode's form D) nothing.
static const char *base_of(const char *character)
{
    const unsigned number = ((unsigned char)character[0] & 0x1Fu) << 6 | ((unsigned char)character[1] & 0x3Fu);
    if (number >= 0x300 && number <= 0x36F)
        return "";
    return number >= 0xC0 && number <= 0x17F ? base_letters[number - 0xC0] : "_";
}

// Letters as their base letters, one '_' for each other character that a name has not; longer ones are cut. For whom
// that is another one's name the access room finds one. `*made`: it is not the name as it came.
static void fit_name(char out[ACCESS_NAME_SIZE], const char *name, bool *made)
{
    size_t at = 0, size;
    *made = false;
    name += strspn(name, ".-");
    for (; *name && at < ACCESS_NAME_SIZE - 1; name += size) {
        size = text_utf8_length(name, strlen(name));
        const char one[] = {fitted(*name), '\0'}, *letters = size == 2 ? base_of(name) : one;
        *made = *made || size != 1 || (*letters == '_' && *name != '_');
        size += size == 0; // no UTF-8; JSON has none
        while (*letters && at < ACCESS_NAME_SIZE - 1)
            out[at++] = *letters++;
    }
    out[at] = '\0';
    *made = *made || *name != '\0';
}

// What does not show as itself is left out, a line end or tab is a space; longer ones are cut.
static void clean_shown(char out[ACCESS_NAME_SIZE], const char *shown)
{
    size_t at = 0, size;
    for (; *shown && (size = text_utf8_length(shown, strlen(shown))) > 0; shown += size) {
        bool control = text_is_control(shown, size), space = control && strchr("\t\n\r", *shown);
        if (control && !space)
            continue;
        if (at + size >= ACCESS_NAME_SIZE)
            break;
        memcpy(out + at, space ? " " : shown, size);
        at += size;
    }
    out[at] = '\0';
}

static bool read_names(const json_t *claims, const char *provider, struct access_account *out, struct error *err)
{
    const char *name = claim(claims, "preferred_username"), *shown = claim(claims, "name");
    if (!name)
        name = claim(claims, "email");
    fit_name(out->name, name ? name : "", &out->name_made);
    if (!*out->name)
        return error_set(err, ERROR_FORBIDDEN,
                         "%.40s gives no name of the person: its ID token needs preferred_username or email (scopes "
                         "profile and email)",
                         provider);
    clean_shown(out->shown, shown ? shown : "");
    if (!text_is_visible(out->shown, strlen(out->shown)))
        text_copy(out->shown, sizeof out->shown, out->name);
    return true;
}

// ---- the groups

// "realm_access.roles" is a member of a member; a name with dots that is there as it is counts first.
static const json_t *at_path(const json_t *claims, const char *path)
{
    const json_t *value = json_object_get(claims, path);
    char word[ACCESS_HOST_SIZE];
    const char *dot = strchr(path, '.');
    if (value || !dot || !text_copy_n(word, sizeof word, path, (size_t)(dot - path)))
        return value;
    return at_path(json_object_get(claims, word), dot + 1);
}

static const char *group_at(const json_t *groups, size_t index)
{
    return json_is_string(groups) ? (index == 0 ? json_string_value(groups) : NULL)
                                  : json_string_value(json_array_get(groups, index));
}

static size_t count_groups(const json_t *groups)
{
    return json_is_string(groups) ? 1 : json_array_size(groups);
}

// A provider that has left them out says so in "_claim_names" (OpenID Connect Core, section 5.6.2; Entra's overage).
static bool leaves_groups_out(const json_t *claims, const struct oidc_settings *settings)
{
    return json_object_get(json_object_get(claims, "_claim_names"), settings->groups_claim) != NULL;
}

// Names those that came, so that an administrator can copy one.
static bool refuse_groups(const json_t *groups, const struct oidc_settings *settings, struct error *err)
{
    char text[160], shown[40], more[72] = "";
    struct buffer list;
    const size_t count = count_groups(groups);
    if (count == 0)
        return error_set(err, ERROR_FORBIDDEN,
                         "%.40s names no groups of yours: its ID token needs the claim '%.60s' (groups_claim)",
                         settings->name, settings->groups_claim);
    buffer_init(&list, 1 << 10);
    for (size_t i = 0; i < count && i < OIDC_GROUPS_SHOWN; i++) {
        const char *group = group_at(groups, i);
        if (group)
            buffer_printf(&list, "%s%s", list.size ? ", " : "", text_show(shown, sizeof shown, group, strlen(group)));
    }
    text_show(text, sizeof text, list.data ? (const char *)list.data : "", list.size);
    buffer_free(&list);
    if (count > OIDC_GROUPS_SHOWN)
        snprintf(more, sizeof more, " and %zu more, of %zu that came", count - OIDC_GROUPS_SHOWN, count);
    return error_set(err, ERROR_FORBIDDEN,
                     "none of your groups at %.40s has a role here: %s%s; an administrator gives "
                     "one with the provider's roles",
                     settings->name, text, more);
}

bool oidc_account_of(const json_t *claims, const struct oidc_settings *settings, struct access_account *out,
                     struct error *err)
{
    const json_t *groups = at_path(claims, settings->groups_claim);
    *out = (struct access_account){.enabled = true};
    if (!read_names(claims, settings->name, out, err))
        return false;
    for (size_t i = 0; i < count_groups(groups); i++) {
        const char *group = group_at(groups, i);
        out->roles |= group ? access_roles_of_group(settings->roles, group) : 0;
    }
    if (out->roles == 0 && leaves_groups_out(claims, settings))
        return error_set(err, ERROR_FORBIDDEN,
                         "%.40s has left the groups out because there are too many: let it send only those that are "
                         "assigned to this application",
                         settings->name);
    if (!text_copy(out->issuer, sizeof out->issuer, settings->issuer) ||
        !text_copy(out->subject, sizeof out->subject, json_string_value(json_object_get(claims, "sub")))) {
        *out->issuer = *out->subject = '\0';
        return error_set(err, ERROR_FORBIDDEN, "issuer or subject is longer than %d bytes", ACCESS_HOST_SIZE - 1);
    }
    return out->roles != 0 || refuse_groups(groups, settings, err);
}

bool oidc_check_anew(const json_t *claims, const struct oidc_settings *settings, int64_t anew_ns, struct error *err)
{
    const json_t *then = json_object_get(claims, "auth_time");
    const int64_t anew_s = anew_ns / CLOCK_SECOND;
    if (anew_ns == 0 || !json_is_number(then) || json_number_value(then) >= (double)(anew_s - OIDC_LEEWAY_SECONDS))
        return true;
    return error_set(err, ERROR_FORBIDDEN,
                     "the last session here was left, and %.40s has let in who was logged in there, without asking who "
                     "it is (prompt=login): log off there first",
                     settings->name);
}
