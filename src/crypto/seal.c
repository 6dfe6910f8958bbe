#include "crypto/seal.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/uio.h>

/* HKDF-Expand (RFC 5869, 2.3) with one provider's HMAC-SHA-512. */
static int expand(eye_hash *hmac, const struct iovec *info, size_t count, uint8_t *out, size_t size) {
    uint8_t block[EYE_DIGEST_BYTES_MAX];
    size_t have = 0;
    int r = 0;
    for (uint8_t number = 1; r >= 0 && size > 0; number++) {
        r = eye_hash_update(hmac, block, have);
        for (size_t i = 0; r >= 0 && i < count; i++)
            r = eye_hash_update(hmac, info[i].iov_base, info[i].iov_len);
        if (r >= 0)
            r = eye_hash_update(hmac, &number, sizeof number);
        if (r >= 0)
            r = eye_hash_final(hmac, block, sizeof block);
        if (r < 0)
            break;
        have = sizeof block;
        size_t n = MIN(size, have);
        memcpy(out, block, n);
        out += n;
        size -= n;
    }
    explicit_bzero(block, sizeof block);
    return MIN(r, 0);
}

int seal_derive(const eye_key *key, const uint8_t salt[SEAL_SALT_BYTES], const struct eye_seal_opts *opts,
                struct seal *ret_seal, struct eye_err *reterr) {
    size_t key_bytes = eye_key_size(key);
    uint8_t derived[32 + SEAL_NONCE_BYTES + SEAL_COMMIT_BYTES];
    char label[64];
    eye_hash *hmac = NULL;
    if (key_bytes != 16 && key_bytes != 32)
        return err_set(reterr, EYE_ESYNTAX, EYE_FAIL_USAGE,
                       "the key has %zu bytes: Cobblestone-128 takes 16 and Cobblestone-256 takes 32",
                       key_bytes);
    int r = eye_hash_new("sha512", opts->provider, key, &hmac, reterr);
    if (r < 0)
        return r;
    /* The NUL that ends the text is the format's 00. */
    int label_bytes =
        snprintf(label, sizeof label, "c2sp.org/chunked-encryption@v1+AEAD_AES_%zu_GCM", key_bytes * 8) + 1;
    const struct iovec info[] = {{label, (size_t)label_bytes},
                                 {(void *)salt, SEAL_SALT_BYTES},
                                 {(void *)opts->context, opts->context_bytes}};
    r = expand(hmac, info, ARRAY_LEN(info), derived, key_bytes + SEAL_NONCE_BYTES + SEAL_COMMIT_BYTES);
    eye_hash_free(hmac);
    struct seal seal = {0};
    if (r == 0)
        r = eye_key_new(derived, key_bytes, &seal.key);
    memcpy(seal.nonce, derived + key_bytes, sizeof seal.nonce);
    memcpy(seal.commitment, derived + key_bytes + sizeof seal.nonce, sizeof seal.commitment);
    explicit_bzero(derived, sizeof derived);
    if (r < 0)
        return err_set(reterr, r, EYE_FAIL_OTHER, "deriving the key: %s", eye_strerror(r));
    *ret_seal = seal;
    return 0;
}

void seal_done(struct seal *seal) {
    seal->key = eye_key_free(seal->key);
    explicit_bzero(seal->nonce, sizeof seal->nonce);
}

int seal_cipher(const struct seal *seal, const char *provider, eye_cipher **ret_cipher,
                struct eye_err *reterr) {
    const char *alg = eye_key_size(seal->key) == 16 ? "aes-128-gcm" : "aes-256-gcm";
    return eye_cipher_new(alg, provider, seal->key, ret_cipher, reterr);
}

int seal_chunk(const struct seal *seal, eye_cipher *cipher, enum eye_cipher_way way, uint64_t number,
               const struct piece *in, uint8_t *out, uint8_t tag[EYE_TAG_BYTES]) {
    uint8_t nonce[SEAL_NONCE_BYTES];
    if (number >= SEAL_CHUNKS_MAX)
        return -EFBIG;
    memcpy(nonce, seal->nonce, sizeof nonce);
    for (size_t i = 0; i < sizeof number; i++)
        nonce[sizeof nonce - 1 - i] ^= (uint8_t)(number >> (8 * i));
    const struct eye_cipher_io io = {.iv = nonce, .tag = tag};
    return cipher_message(cipher, way, &io, in, out);
}
