// The key of the audit chain: 256 random bits in a file of mode 0600, FOLDER/audit-key or where audit.key says. With it
// a chain value is HMAC-SHA-256 (RFC 2104) in place of SHA-256, so that who can write the files and has not the key (of
// a copy on another disk, a backup without it, another user's mistake) cannot compute them anew; without it anybody
// can. It protects from nobody who reads the key, root on the machine above all: that is what the export is for
// (audit_export.h).
//
// The file also tells from which audit file on it counts, so that nobody can pass off later ones as of the time before.
//     hilum-audit-key 1 64HEXDIGITS FROM
#ifndef ACCESS_AUDIT_KEY_H
#define ACCESS_AUDIT_KEY_H

#include <stdbool.h>
#include <stdint.h>

#include "base/error.h"
#include "base/hash.h"

enum { ACCESS_KEY_BLOCK = 64, ACCESS_KEY_NAME_SIZE = 17, ACCESS_KEY_PATH_SIZE = 4096 };

struct access_key {
    char path[ACCESS_KEY_PATH_SIZE];
    bool there;
    uint64_t from;                   // the first audit file that must have it
    char name[ACCESS_KEY_NAME_SIZE]; // 16 hexadecimal digits that tell keys apart and nothing of them
    uint8_t inner[ACCESS_KEY_BLOCK], outer[ACCESS_KEY_BLOCK]; // what HMAC begins with
};

// `path` "" or NULL: FOLDER/audit-key. No file is no error: key->there is false. BAD_DATA: it is no key.
bool access_key_read(struct access_key *key, const char *folder, const char *path, struct error *err);
// Makes one where access_key_read found none.
bool access_key_make(struct access_key *key, uint64_t from, struct error *err);

// Around hash_add: a value with the key, or with NULL plain SHA-256.
void access_key_start(const struct access_key *key, struct hash *hash);
void access_key_end(const struct access_key *key, struct hash *hash, uint8_t out[HASH_SIZE]);

#endif
