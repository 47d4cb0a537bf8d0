#include "base/certificate.h"

#include <arpa/inet.h>
#include <errno.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/rand.h>
#include <openssl/x509v3.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/file.h"
#include "base/text.h"

enum { AUTHORITY_DAYS = 3650, DAYS = 397, SERIAL_BYTES = 16, PEM_MODE = 0644, KEY_MODE = 0600 };

// Clocks of scanners are minutes off.
static const long early_s = 3600;

static bool failed(const char *what, struct error *err)
{
    return error_set(err, ERROR_INTERNAL, "cannot make %s", what);
}

// ---- what a name may be

enum { LABEL_MAX = 63 };

// "*." stands for one label, before two at least: who would believe *.org?
static bool is_dns(const char *name)
{
    const bool wildcard = text_starts(name, "*.");
    size_t label = 0, dots = 0;
    for (const char *at = wildcard ? name + 2 : name; *at; at++) {
        bool letter = (*at >= 'a' && *at <= 'z') || (*at >= 'A' && *at <= 'Z') || (*at >= '0' && *at <= '9');
        if (*at == '.' ? label == 0 : !letter && *at != '_' && (*at != '-' || label == 0))
            return false;
        dots += *at == '.';
        label = *at == '.' ? 0 : label + 1;
        if (label > LABEL_MAX)
            return false;
    }
    return label > 0 && (!wildcard || dots > 0);
}

static bool is_address(const char *name)
{
    uint8_t bytes[16];
    return inet_pton(AF_INET, name, bytes) == 1 || inet_pton(AF_INET6, name, bytes) == 1;
}

static bool check_names(const char *const *names, size_t count, struct error *err)
{
    char shown[80];
    if (count == 0 || count > CERTIFICATE_NAMES_MAX)
        return error_set(err, ERROR_BAD_VALUE, "%zu names; give 1 to %d", count, CERTIFICATE_NAMES_MAX);
    for (size_t i = 0; i < count; i++)
        if (strlen(names[i]) >= CERTIFICATE_NAME_SIZE || (!is_dns(names[i]) && !is_address(names[i])))
            return error_set(err, ERROR_BAD_VALUE, "'%s' is neither a host's name nor an address",
                             text_show(shown, sizeof shown, names[i], strlen(names[i])));
    return true;
}

// ---- making

static bool set_serial(X509 *certificate)
{
    unsigned char bytes[SERIAL_BYTES];
    if (RAND_bytes(bytes, sizeof bytes) != 1)
        return false;
    bytes[0] &= 0x7F;
    bytes[0] |= 0x40; // never 0, and always as long
    BIGNUM *number = BN_bin2bn(bytes, sizeof bytes, NULL);
    bool ok = number && BN_to_ASN1_INTEGER(number, X509_get_serialNumber(certificate)) != NULL;
    BN_free(number);
    return ok;
}

static bool set_subject(X509 *certificate, const char *name)
{
    X509_NAME *subject = X509_get_subject_name(certificate);
    const size_t size = strlen(name);
    const int length = (int)(size < CERTIFICATE_SUBJECT_SIZE ? size : strcspn(name, "."));
    return X509_NAME_add_entry_by_txt(subject, "CN", MBSTRING_UTF8, (const unsigned char *)name, length, -1, 0) == 1;
}

static bool add_extension(X509 *certificate, X509 *issuer, int kind, const char *value)
{
    X509V3_CTX context;
    X509V3_set_ctx_nodb(&context);
    X509V3_set_ctx(&context, issuer, certificate, NULL, NULL, 0);
    X509_EXTENSION *extension = X509V3_EXT_conf_nid(NULL, &context, kind, value);
    bool ok = extension && X509_add_ext(certificate, extension, -1) == 1;
    X509_EXTENSION_free(extension);
    return ok;
}

struct extension {
    int kind;
    const char *value;
};

static bool add_all(X509 *certificate, X509 *issuer, const struct extension *extensions, size_t count)
{
    for (size_t i = 0; i < count; i++)
        if (!add_extension(certificate, issuer, extensions[i].kind, extensions[i].value))
            return false;
    return true;
}

// Unsigned, without extensions.
static X509 *begin(const char *name, EVP_PKEY *key, X509_NAME *issuer, int days)
{
    X509 *certificate = X509_new();
    if (certificate && X509_set_version(certificate, 2) == 1 && set_serial(certificate) &&
        set_subject(certificate, name) && X509_set_pubkey(certificate, key) == 1 &&
        X509_gmtime_adj(X509_getm_notBefore(certificate), -early_s) &&
        X509_time_adj_ex(X509_getm_notAfter(certificate), days, 0, NULL) &&
        X509_set_issuer_name(certificate, issuer ? issuer : X509_get_subject_name(certificate)) == 1)
        return certificate;
    X509_free(certificate);
    return NULL;
}

// "DNS:pacs.example,IP:10.0.0.5"
static void list_names(const char *const *names, size_t count, char *out, size_t capacity)
{
    size_t size = 0;
    for (size_t i = 0; i < count && size < capacity; i++)
        size += (size_t)snprintf(out + size, capacity - size, "%s%s:%s", i > 0 ? "," : "",
                                 is_address(names[i]) ? "IP" : "DNS", names[i]);
}

// ---- files

static bool write_pem(const char *path, X509 *certificate, EVP_PKEY *key, struct error *err)
{
    char *bytes = NULL;
    BIO *memory = BIO_new(BIO_s_mem());
    bool made = memory && (certificate ? PEM_write_bio_X509(memory, certificate)
                                       : PEM_write_bio_PKCS8PrivateKey(memory, key, NULL, NULL, 0, NULL, NULL)) == 1;
    long size = made ? BIO_get_mem_data(memory, &bytes) : 0;
    bool ok = made ? file_replace(path, bytes, (size_t)size, certificate ? PEM_MODE : KEY_MODE, err)
                   : failed("a PEM file", err);
    BIO_free(memory);
    return ok;
}

static bool is_free(const char *path, struct error *err)
{
    return (access(path, F_OK) != 0 && errno == ENOENT) ||
           error_set(err, ERROR_DUPLICATE, "%s is there already, and is not written over", path);
}

static bool describe(X509 *certificate, struct certificate_made *out)
{
    unsigned char digest[EVP_MAX_MD_SIZE];
    unsigned int size = 0;
    struct tm ends;
    if (X509_digest(certificate, EVP_sha256(), digest, &size) != 1 ||
        ASN1_TIME_to_tm(X509_get0_notAfter(certificate), &ends) != 1)
        return false;
    text_hex(out->fingerprint, digest, size);
    out->ends_ns = (int64_t)timegm(&ends) * CLOCK_SECOND;
    return true;
}

// The key first: a certificate without its key is of no use.
static bool save(X509 *certificate, EVP_PKEY *key, const struct certificate_files *to, struct certificate_made *out,
                 struct error *err)
{
    return (describe(certificate, out) || failed("a fingerprint", err)) && write_pem(to->key, NULL, key, err) &&
           write_pem(to->certificate, certificate, NULL, err);
}

// ---- an authority

bool certificate_make_authority(const char *name, const struct certificate_files *to, struct certificate_made *out,
                                struct error *err)
{
    static const struct extension extensions[] = {{NID_basic_constraints, "critical,CA:TRUE,pathlen:0"},
                                                  {NID_key_usage, "critical,keyCertSign,cRLSign"},
                                                  {NID_subject_key_identifier, "hash"}};
    size_t size = strlen(name);
    if (size == 0 || size >= CERTIFICATE_SUBJECT_SIZE || !text_is_visible(name, size))
        return error_set(err, ERROR_BAD_VALUE, "an authority's name has 1 to %d characters",
                         CERTIFICATE_SUBJECT_SIZE - 1);
    if (!is_free(to->key, err) || !is_free(to->certificate, err))
        return false;
    EVP_PKEY *key = EVP_EC_gen("P-256");
    X509 *certificate = key ? begin(name, key, NULL, AUTHORITY_DAYS) : NULL;
    bool made = certificate && add_all(certificate, certificate, extensions, sizeof extensions / sizeof *extensions) &&
                X509_sign(certificate, key, EVP_sha256()) > 0;
    bool ok = made ? save(certificate, key, to, out, err) : failed("an authority", err);
    X509_free(certificate);
    EVP_PKEY_free(key);
    return ok;
}

// ---- what it signs

struct authority {
    X509 *certificate;
    EVP_PKEY *key;
};

static bool load_authority(const struct certificate_files *from, struct authority *out, struct error *err)
{
    FILE *certificate = fopen(from->certificate, "re"), *key = fopen(from->key, "re");
    out->certificate = certificate ? PEM_read_X509(certificate, NULL, NULL, NULL) : NULL;
    out->key = key ? PEM_read_PrivateKey(key, NULL, NULL, NULL) : NULL;
    if (certificate)
        fclose(certificate);
    if (key)
        fclose(key);
    if (!out->certificate || !out->key)
        return error_set(err, ERROR_BAD_VALUE, "%s cannot be read as PEM",
                         out->certificate ? from->key : from->certificate);
    return X509_check_private_key(out->certificate, out->key) == 1 ||
           error_set(err, ERROR_BAD_VALUE, "%s is not the key of %s", from->key, from->certificate);
}

static X509 *make(const char *const *names, size_t count, EVP_PKEY *key, const struct authority *by)
{
    char listed[CERTIFICATE_NAMES_MAX * (CERTIFICATE_NAME_SIZE + 8)];
    list_names(names, count, listed, sizeof listed);
    const struct extension extensions[] = {
        {NID_basic_constraints, "critical,CA:FALSE"}, {NID_key_usage, "critical,digitalSignature"},
        {NID_ext_key_usage, "serverAuth,clientAuth"}, {NID_subject_key_identifier, "hash"},
        {NID_authority_key_identifier, "keyid"},      {NID_subject_alt_name, listed}};
    X509 *certificate = begin(names[0], key, X509_get_subject_name(by->certificate), DAYS);
    if (certificate && add_all(certificate, by->certificate, extensions, sizeof extensions / sizeof *extensions) &&
        X509_sign(certificate, by->key, EVP_sha256()) > 0)
        return certificate;
    X509_free(certificate);
    return NULL;
}

static bool make_and_save(const char *const *names, size_t count, const struct authority *by,
                          const struct certificate_files *to, struct certificate_made *out, struct error *err)
{
    EVP_PKEY *key = EVP_EC_gen("P-256");
    X509 *certificate = key ? make(names, count, key, by) : NULL;
    bool ok = certificate ? save(certificate, key, to, out, err) : failed("a certificate", err);
    X509_free(certificate);
    EVP_PKEY_free(key);
    return ok;
}

bool certificate_make(const char *const *names, size_t count, const struct certificate_files *by,
                      const struct certificate_files *to, bool replace, struct certificate_made *out, struct error *err)
{
    struct authority authority = {0};
    if (!check_names(names, count, err) || (!replace && (!is_free(to->key, err) || !is_free(to->certificate, err))))
        return false;
    bool ok = load_authority(by, &authority, err) && make_and_save(names, count, &authority, to, out, err);
    X509_free(authority.certificate);
    EVP_PKEY_free(authority.key);
    return ok;
}
