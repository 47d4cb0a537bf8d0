// A folder of backups (docs/store-format.md, "Backups"): files encrypted with XChaCha20-Poly1305 in pieces
// (libsodium's secretstream), each named by a keyed digest of its bytes, so that the same bytes are in it once and the
// folder tells nobody which.
#ifndef STORE_VAULT_H
#define STORE_VAULT_H

#include <stdio.h>

#include "base/buffer.h"
#include "store/backup.h"

enum { VAULT_NAME_SIZE = 32, VAULT_PIECE = 1 << 20 };

struct vault {
    const char *folder; // borrowed
    int fd, objects_fd, lists_fd, lock_fd;
    uint8_t key[BACKUP_KEY_SIZE], naming[BACKUP_KEY_SIZE]; // follow from the site's
    uint8_t *plain, *sealed;                               // a piece each; owned
    struct hash *hash;
    const atomic_bool *stop; // or NULL
};

enum vault_use { VAULT_READ, VAULT_WRITE, VAULT_BEGIN };

// NOT_FOUND: no backups are there (with BEGIN an absent or empty folder becomes one). FORBIDDEN: those of another key.
// To write is to hold its lock: CONFLICT.
bool vault_open(struct vault *vault, const char *folder, const struct backup_key *key, enum vault_use use,
                struct error *err);
void vault_close(struct vault *vault);

// How far a long file is, after each piece.
struct vault_tick {
    void (*more)(void *payload, uint64_t bytes); // or NULL
    void *payload;
};

// The first `size` bytes of an open file, from its start; an end before is IO. *is_new: they were not there.
bool vault_put(struct vault *vault, int fd, uint64_t size, const struct vault_tick *tick, uint8_t name[VAULT_NAME_SIZE],
               bool *is_new, struct error *err);
bool vault_has(const struct vault *vault, const uint8_t name[VAULT_NAME_SIZE], uint64_t size);
// The bytes of that name, to `out` (-1: nowhere, they are compared only). DAMAGED: cut, changed, or other than their
// name or size says; NOT_FOUND.
bool vault_get(struct vault *vault, const uint8_t name[VAULT_NAME_SIZE], uint64_t size, int out,
               const struct vault_tick *tick, struct error *err);

// Lists: one for each backup, by its name. Written whole, with all that was put before it, or not at all.
bool vault_write_list(struct vault *vault, const char *name, const struct buffer *bytes, struct error *err);
bool vault_read_list(struct vault *vault, const char *name, struct buffer *out, struct error *err);
bool vault_remove_list(struct vault *vault, const char *name, struct error *err);
// Names, oldest first; the caller frees the array.
bool vault_lists(const struct vault *vault, char (**names)[BACKUP_NAME_SIZE], size_t *count, struct error *err);

// Removes the files that none of `names` (sorted bytewise, one after the other) names, and what earlier writes left.
bool vault_sweep(struct vault *vault, const uint8_t *names, size_t count, uint64_t *removed, struct error *err);

#endif
