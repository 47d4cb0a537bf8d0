// SHA-256 (FIPS 180-4), through OpenSSL: 1.7 GB/s and more on processors with SHA instructions. And SHA-1, which proves
// nothing any more and is asked for by name in a WebSocket's handshake (RFC 6455).
#ifndef BASE_HASH_H
#define BASE_HASH_H

#include <stddef.h>
#include <stdint.h>

enum { HASH_SIZE = 32, HASH_SHA1_SIZE = 20 };

struct hash; // a digest being computed; owned, one thread

struct hash *hash_new(void);        // NULL out of memory
void hash_start(struct hash *hash); // begins again
void hash_add(struct hash *hash, const void *data, size_t size);
void hash_end(struct hash *hash, uint8_t out[HASH_SIZE]); // hash_start before the next use
void hash_free(struct hash *hash);                        // NULL is fine

void hash_of(const void *data, size_t size, uint8_t out[HASH_SIZE]);
void hash_sha1_of(const void *data, size_t size, uint8_t out[HASH_SHA1_SIZE]);

#endif
