// What a fault looks like from here, and what it is: the table of symptoms, each with the side that the fault is on and
// the remedy, in words for who administers a PACS.
#include "service/check/check.h"

#include <string.h>

const char *const check_state_words[] = {
    [CHECK_UNKNOWN] = "unknown", [CHECK_OK] = "ok", [CHECK_WARNING] = "warning", [CHECK_FAILED] = "failed"};

// The first row that fits counts. `code` NONE: any. `part` is in the error's words; "" any.
static const struct symptom {
    const char *step;
    enum error_code code;
    const char *part, *said, *remedy;
} symptoms[] = {
    {"reach", ERROR_NOT_FOUND, "", "the name {host} is not known to this server's name look-up ({error})",
     "on this side: correct the host in {entry}, or have the DNS that this server asks know {host}"},
    {"reach", ERROR_TIMEOUT, "",
     "nothing comes back from {address}: a firewall drops what is sent there, or no machine has this address",
     "in the network: let this server connect to {address}; or on this side: correct the address in {entry}"},
    {"reach", ERROR_CLOSED, "refused",
     "the machine {host} answers that nothing listens at {address}: the port is closed",
     "on the side of {name}: start its service, and see at which port it listens; or on this side: correct the port "
     "in {entry}"},
    {"reach", ERROR_NONE, "", "{address} cannot be reached: {error}",
     "in the network: see to the route from this server to {host}"},

    {"tls", ERROR_FORBIDDEN, "which is known here, has ended",
     "an authority above the certificate of {name} has ended, and it is one of ours ({error})",
     "on this side: put the authority's newer certificate into the file of tls.authorities, and take the ended one "
     "out"},
    {"tls", ERROR_FORBIDDEN, "which was sent with it, has ended",
     "an authority above the certificate of {name} has ended, and {name} sends it ({error})",
     "on the side of {name}: send the authority's newer certificate behind its own; its own need not be renewed"},
    {"tls", ERROR_FORBIDDEN, "extended key usage",
     "the certificate of {name} is not made out for what it is shown for: {error}",
     "on the side of {name}: a certificate whose extended key usage has serverAuth and clientAuth; or on this side: "
     "enter "
     "the fingerprint of the one that it shows, once you have compared it there"},
    {"tls", ERROR_FORBIDDEN, "another one is entered",
     "{name} shows another certificate than the one that is entered: {error}",
     "on the side of {name}: the certificate whose fingerprint is entered here; or on this side: enter the fingerprint "
     "of "
     "the one that it shows, once you have compared it there"},
    {"tls", ERROR_FORBIDDEN, "nothing was sent behind it",
     "the certificate of {name} was signed by an authority that this server does not know and that {name} does not "
     "send "
     "({error})",
     "on the side of {name}: send the issuer's certificate behind its own, as it does where its file holds the whole "
     "chain; or on this side: add the issuer's certificate to the file of tls.authorities"},
    {"tls", ERROR_FORBIDDEN, "expired", "the certificate of {name} has ended ({error})",
     "on the side of {name}: renew its certificate"},
    {"tls", ERROR_FORBIDDEN, "has ended", "the certificate of {name} has ended ({error})",
     "on the side of {name}: renew its certificate"},
    {"tls", ERROR_FORBIDDEN, "mismatch", "the certificate of {name} is not made out for {host} ({error})",
     "on the side of {name}: a certificate whose subject alternative names have {host}; or on this side: enter the "
     "name that the certificate has as the host of {name}, or its fingerprint once you have compared it there"},
    {"tls", ERROR_FORBIDDEN, "known authorities",
     "the certificate of {name} was signed by an authority that this server does not know ({error})",
     "on this side: add the authority's certificate to the file of tls.authorities, or enter the fingerprint with "
     "--certificate once you have compared it on the side of {name}"},
    {"tls", ERROR_FORBIDDEN, "", "the certificate of {name} does not count: {error}",
     "on the side of {name}: a certificate without that fault; or on this side: enter the fingerprint of the one that "
     "it "
     "shows, once you have compared it there"},
    {"tls", ERROR_PROTOCOL, "speaks no TLS",
     "{address} speaks no TLS: it is a plain port, and the entry of {name} "
     "says that TLS is required",
     "on this side: enter the port where {name} speaks TLS; or on the side of {name}: switch TLS on; only if neither "
     "can be, tls: no in its entry"},
    {"tls", ERROR_CLOSED, "closed the connection",
     "{address} closes the connection at a TLS handshake: most likely it speaks no TLS, and the entry of {name} says "
     "that TLS is required",
     "on this side: enter the port where {name} speaks TLS; or on the side of {name}: switch TLS on; only if neither "
     "can be, tls: no in its entry"},
    {"tls", ERROR_BAD_VALUE, "", "this server has no TLS: {error}",
     "on this side: configure tls.certificate, tls.key and tls.authorities; `hilum cert` makes them"},
    {"tls", ERROR_TIMEOUT, "", "{address} takes the connection and says nothing to a TLS handshake",
     "on the side of {name}: see whether TLS is spoken at this port, and whether its service hangs"},
    {"tls", ERROR_NONE, "", "no TLS with {address}: {error}",
     "on the side of {name}: allow TLS 1.2 with ECDHE and AES-GCM, or TLS 1.3 (BCP 195)"},

    {"https", ERROR_BAD_VALUE, "", "the authorities for {name} cannot be read: {error}",
     "on this side: the provider's authorities, or the file of tls.authorities where they are empty, have to be PEM"},
    {"https", ERROR_FORBIDDEN, "expired", "the certificate of {name} has ended ({error})",
     "on the side of {name}: renew its certificate"},
    {"https", ERROR_FORBIDDEN, "subject name", "the certificate of {name} is not made out for {host} ({error})",
     "on this side: call {name} in its issuer as its certificate has it; or on the side of {name}: a certificate for "
     "{host}"},
    {"https", ERROR_FORBIDDEN, "", "the certificate of {name} does not count: {error}",
     "on this side: enter the certificate of the authority that signed it as the provider's authorities (empty: those "
     "of tls.authorities, else the system's)"},
    {"https", ERROR_NONE, "", "no TLS with {address}: {error}",
     "on the side of {name}: TLS 1.2 or 1.3 at this port; or on this side: correct the port in {entry}"},
    {"description", ERROR_TIMEOUT, "", "{address} takes the connection, and its answer does not come: {error}",
     "on the side of {name}: see whether its service hangs"},
    {"description", ERROR_BAD_DATA, "answers 404", "{name} is not found where {entry} says: {error}",
     "on this side: correct {entry}; it is the address that {name} shows as its issuer (Keycloak: "
     "https://HOST/realms/REALM)"},
    {"description", ERROR_NONE, "", "{name} does not describe itself as OpenID Connect Discovery has it: {error}",
     "on the side of {name}: see its log; or on this side: correct {entry}"},
    {"issuer", ERROR_NONE, "", "{name} is another issuer than the one that is configured: {error}",
     "on this side: enter the issuer just as {name} calls itself, to the last slash; or on the side of {name}: "
     "correct its own address (Keycloak: hostname)"},
    {"keys", ERROR_NONE, "", "the keys that {name} signs with do not come: {error}",
     "on the side of {name}: see its log; without them no ID token can be believed"},

    {"http", ERROR_NONE, "", "{address} is a web server's port: it answers in HTTP, and DICOM was expected",
     "on this side: enter the DICOM port of {name} (often 104 or 11112) in place of its HTTP port"},
    {"tls there", ERROR_NONE, "", "{address} speaks TLS, and the entry of {name} says that it is called without",
     "on this side: tls: required in the entry of {name}; or enter its port without TLS"},

    {"title", ERROR_FORBIDDEN, "called AE title not recognized",
     "{name} does not know itself as {title}: it refuses the called AE title",
     "on this side: correct the title in the entry of {name} to what is set there (AE titles are case-sensitive); some "
     "archives "
     "answer the same when they have no entry for us: then on the side of {name}, enter AE title {ours}"},
    {"title", ERROR_FORBIDDEN, "calling AE title not recognized",
     "{name} has no entry for us: it refuses the calling AE title {ours}",
     "on the side of {name}: enter AE title {ours} with this server's address and DICOM port (AE titles are "
     "case-sensitive)"},
    {"title", ERROR_BUSY, "", "{name} refuses for now: {error}",
     "on the side of {name}: it has as many associations as it takes; check again later, or raise its limit"},
    {"title", ERROR_FORBIDDEN, "rejected", "{name} refuses the association without saying which title: {error}",
     "on the side of {name}: see its log; most often it has no entry for AE title {ours} from this server's address"},
    {"title", ERROR_NONE, "alert", "{name} refuses our certificate: {error}",
     "on the side of {name}: let it know the authority that signed our certificate (tls.certificate); `hilum check "
     "certificate` says what others find wrong with it"},
    {"title", ERROR_TIMEOUT, "", "{address} takes the connection and does not answer an association request",
     "on the side of {name}: see whether DICOM is spoken at this port, and whether its service hangs"},
    {"title", ERROR_NONE, "", "{address} does not answer as DICOM does: {error}",
     "on this side: see whether {address} is the DICOM port of {name}; on the side of {name}: see its log"},
    {"answer", ERROR_NONE, "", "{name} took the association and no C-ECHO: {error}",
     "on the side of {name}: allow Verification for AE title {ours}"},
};

static const char *value_of(const struct check_names *names, const char *key, size_t size)
{
    const struct {
        const char *key, *value;
    } rows[] = {{"name", names->name},       {"entry", names->entry}, {"title", names->title}, {"host", names->host},
                {"address", names->address}, {"ours", names->ours},   {"error", names->error}};
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        if (strlen(rows[i].key) == size && memcmp(rows[i].key, key, size) == 0)
            return rows[i].value ? rows[i].value : "";
    return NULL;
}

static json_t *filled(const struct check_names *names, const char *text)
{
    struct buffer out;
    buffer_init(&out, 8 << 10);
    while (*text) {
        size_t plain = strcspn(text, "{"), key = text[plain] ? strcspn(text + plain, "}") : 0;
        buffer_append(&out, text, plain);
        text += plain;
        if (!*text)
            break;
        const char *value = value_of(names, text + 1, key - 1);
        buffer_text(&out, value ? value : "{");
        text += value ? key + 1 : 1;
    }
    json_t *string = json_stringn(out.data ? (const char *)out.data : "", out.size);
    buffer_free(&out);
    return string ? string : json_string("it cannot be told: no memory, or no UTF-8");
}

void check_say(struct check *check, const char *step, enum check_state state, const char *said, const char *remedy)
{
    json_array_append_new(check->steps,
                          json_pack("{s:s, s:s, s:o, s:o}", "step", step, "state", check_state_words[state], "said",
                                    filled(&check->names, said), "remedy", filled(&check->names, remedy)));
    if (state > check->state)
        check->state = state;
}

static bool fits(const struct symptom *symptom, const char *step, const struct error *err)
{
    return strcmp(symptom->step, step) == 0 && (symptom->code == ERROR_NONE || symptom->code == err->code) &&
           strstr(err->message, symptom->part);
}

// What is told as another step than the one whose rows fit: "http" and "tls there" are why the title failed.
static const char *told(const char *step)
{
    static const struct {
        const char *step, *told;
    } rows[] = {{"http", "title"}, {"tls there", "title"}, {"https", "tls"}};
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        if (strcmp(step, rows[i].step) == 0)
            return rows[i].told;
    return step;
}

void check_fail(struct check *check, const char *step, const struct error *err)
{
    check->names.error = err->message;
    for (size_t i = 0; i < sizeof symptoms / sizeof *symptoms; i++) {
        if (!fits(&symptoms[i], step, err))
            continue;
        check_say(check, told(step), CHECK_FAILED, symptoms[i].said, symptoms[i].remedy);
        return;
    }
    check_say(check, step, CHECK_FAILED, "{error}", "");
}
