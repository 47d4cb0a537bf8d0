#include "base/hash.h"

#include <openssl/evp.h>
#include <openssl/sha.h>
#include <stdlib.h>

struct hash {
    EVP_MD_CTX *context;
};

struct hash *hash_new(void)
{
    struct hash *hash = malloc(sizeof *hash);
    if (!hash)
        return NULL;
    hash->context = EVP_MD_CTX_new();
    if (!hash->context || EVP_DigestInit_ex(hash->context, EVP_sha256(), NULL) != 1) {
        hash_free(hash);
        return NULL;
    }
    return hash;
}

void hash_start(struct hash *hash)
{
    EVP_DigestInit_ex(hash->context, NULL, NULL);
}

void hash_add(struct hash *hash, const void *data, size_t size)
{
    EVP_DigestUpdate(hash->context, data, size);
}

void hash_end(struct hash *hash, uint8_t out[HASH_SIZE])
{
    EVP_DigestFinal_ex(hash->context, out, NULL);
}

void hash_free(struct hash *hash)
{
    if (!hash)
        return;
    EVP_MD_CTX_free(hash->context);
    free(hash);
}

void hash_of(const void *data, size_t size, uint8_t out[HASH_SIZE])
{
    SHA256(data, size, out);
}

void hash_sha1_of(const void *data, size_t size, uint8_t out[HASH_SHA1_SIZE])
{
    SHA1(data, size, out);
}
