/* hash.c: digests, whoever computes them. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "crypto/provider.h"

/* The kernel's names: /proc/crypto. CRC-32C is RFC 3720's (12.1), MD5 and SHA-1 are for old checksums. */
static const struct hash_row rows[] = {
    {{"md5", 16, true}, "MD5", "md5"},
    {{"sha1", 20, true}, "SHA1", "sha1"},
    {{"sha224", 28, true}, "SHA224", "sha224"},
    {{"sha256", 32, true}, "SHA256", "sha256"},
    {{"sha384", 48, true}, "SHA384", "sha384"},
    {{"sha512", 64, true}, "SHA512", "sha512"},
    {{"sha3-224", 28, true}, "SHA3-224", "sha3-224"},
    {{"sha3-256", 32, true}, "SHA3-256", "sha3-256"},
    {{"sha3-384", 48, true}, "SHA3-384", "sha3-384"},
    {{"sha3-512", 64, true}, "SHA3-512", "sha3-512"},
    {{"blake2b", 64, true}, "BLAKE2B512", "blake2b-512"},
    {{"crc32c", 4, false}, NULL, "crc32c"},
};

struct eye_hash {
    const struct hash_row *row;
    const struct hash_ops *ops;
    void *state;
};

#define READ_BYTES (size_t)(128 * 1024)

const struct eye_hash_alg *eye_hash_alg(size_t index) {
    return index < ARRAY_LEN(rows) ? &rows[index].alg : NULL;
}

static const struct hash_row *row_find(const char *name, struct eye_err *reterr) {
    const char *names[ARRAY_LEN(rows) + 1] = {NULL};
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        names[i] = rows[i].alg.name;
        if (strcmp(names[i], name) == 0)
            return &rows[i];
    }
    provider_no_such("digest", name, names, reterr);
    return NULL;
}

int eye_hash_new(const char *alg, const char *provider, const eye_key *key, eye_hash **ret_hash,
                 struct eye_err *reterr) {
    const struct hash_row *row = row_find(alg, reterr);
    const struct provider *from = row ? provider_find(provider, reterr) : NULL;
    if (!from)
        return EYE_ESYNTAX;
    if (key && !row->alg.keyed)
        return err_set(reterr, EYE_ESYNTAX, EYE_FAIL_USAGE, "%s takes no key", alg);
    eye_hash *hash = calloc(1, sizeof *hash);
    if (!hash)
        return err_set(reterr, -ENOMEM, EYE_FAIL_OTHER, "%s: %s", alg, eye_strerror(-ENOMEM));
    hash->row = row;
    hash->ops = from->hash;
    int r = hash->ops->open(row, key, &hash->state, reterr);
    if (r < 0) {
        free(hash);
        return r;
    }
    *ret_hash = hash;
    return 0;
}

int eye_hash_update(eye_hash *hash, const void *data, size_t size) {
    return hash->ops->update(hash->state, data, size);
}

/* Reads and adds; the bytes, fewer than size at the end only. */
static int64_t update_copying(eye_hash *hash, int fd, uint64_t size) {
    uint8_t *buf = malloc(READ_BYTES);
    int64_t done = 0, n = buf ? 1 : -ENOMEM;
    while (n > 0 && (uint64_t)done < size) {
        uint64_t left = size - (uint64_t)done;
        n = io_read_some(fd, buf, left < READ_BYTES ? (size_t)left : READ_BYTES);
        int r = n > 0 ? hash->ops->update(hash->state, buf, (size_t)n) : 0;
        if (r < 0)
            n = r;
        done += n > 0 ? n : 0;
    }
    free(buf);
    return n < 0 ? n : done;
}

int64_t eye_hash_update_fd(eye_hash *hash, int fd, int64_t size) {
    uint64_t wanted = size < 0 ? INT64_MAX : (uint64_t)size;
    int64_t n = hash->ops->update_fd ? hash->ops->update_fd(hash->state, fd, wanted) : -EOPNOTSUPP;
    return n == -EOPNOTSUPP ? update_copying(hash, fd, wanted) : n;
}

int eye_hash_final(eye_hash *hash, uint8_t *out, size_t size) {
    uint8_t digest[EYE_DIGEST_BYTES_MAX];
    int r = hash->ops->final(hash->state, digest, hash->row->alg.digest_bytes);
    if (r < 0)
        return r;
    memcpy(out, digest, MIN(size, hash->row->alg.digest_bytes));
    return (int)hash->row->alg.digest_bytes;
}

eye_hash *eye_hash_free(eye_hash *hash) {
    if (hash) {
        hash->ops->close(hash->state);
        free(hash);
    }
    return NULL;
}
