/* openssl.c: the provider `openssl`, libcrypto's EVP interface (evp(7)). CRC-32C, which it lacks, is ours. */
#include <errno.h>
#include <limits.h>
#include <openssl/core_names.h>
#include <openssl/evp.h>
#include <openssl/params.h>
#include <stdlib.h>
#include <string.h>

#include "crypto/crc32c.h"
#include "crypto/provider.h"

static int unavailable(const char *alg, struct eye_err *reterr) {
    err_set(reterr, EYE_EUNAVAILABLE, EYE_FAIL_UNAVAILABLE, "%s by openssl: not available", alg);
    err_cause(reterr, "this OpenSSL was built without it, or its configuration (FIPS) leaves it out");
    return EYE_EUNAVAILABLE;
}

/* ---- digests: EVP_MD, with a key EVP_MAC, or a CRC ---- */

struct hash {
    EVP_MD *type;
    EVP_MD_CTX *md;
    EVP_MAC_CTX *mac;
    uint32_t crc;
};

static void hash_close(void *state) {
    struct hash *hash = state;
    EVP_MD_CTX_free(hash->md);
    EVP_MAC_CTX_free(hash->mac);
    EVP_MD_free(hash->type);
    free(hash);
}

static bool mac_open(struct hash *hash, const struct hash_row *row, const eye_key *key) {
    EVP_MAC *hmac = EVP_MAC_fetch(NULL, "HMAC", NULL);
    char digest[32];
    strncpy(digest, row->openssl, sizeof digest - 1);
    digest[sizeof digest - 1] = '\0';
    const OSSL_PARAM params[] = {OSSL_PARAM_construct_utf8_string(OSSL_MAC_PARAM_DIGEST, digest, 0),
                                 OSSL_PARAM_construct_end()};
    hash->mac = hmac ? EVP_MAC_CTX_new(hmac) : NULL;
    EVP_MAC_free(hmac);
    return hash->mac && EVP_MAC_init(hash->mac, eye_key_bytes(key), eye_key_size(key), params);
}

static int hash_open(const struct hash_row *row, const eye_key *key, void **ret_state,
                     struct eye_err *reterr) {
    struct hash *hash = calloc(1, sizeof *hash);
    if (!hash)
        return err_set(reterr, -ENOMEM, EYE_FAIL_OTHER, "%s: %s", row->alg.name, eye_strerror(-ENOMEM));
    bool opened = true;
    if (row->openssl && key) {
        opened = mac_open(hash, row, key);
    } else if (row->openssl) {
        hash->type = EVP_MD_fetch(NULL, row->openssl, NULL);
        hash->md = EVP_MD_CTX_new();
        opened = hash->type && hash->md && EVP_DigestInit_ex(hash->md, hash->type, NULL);
    }
    if (!opened) {
        hash_close(hash);
        return unavailable(row->alg.name, reterr);
    }
    *ret_state = hash;
    return 0;
}

static int hash_update(void *state, const void *data, size_t size) {
    struct hash *hash = state;
    int ok = 1;
    if (hash->md)
        ok = EVP_DigestUpdate(hash->md, data, size);
    else if (hash->mac)
        ok = EVP_MAC_update(hash->mac, data, size);
    else
        hash->crc = crc32c(hash->crc, data, size);
    return ok ? 0 : -EIO;
}

static int hash_final(void *state, uint8_t *out, size_t size) {
    struct hash *hash = state;
    size_t written;
    int ok = 1;
    if (hash->md) {
        ok = EVP_DigestFinal_ex(hash->md, out, NULL) && EVP_DigestInit_ex(hash->md, hash->type, NULL);
    } else if (hash->mac) {
        ok = EVP_MAC_final(hash->mac, out, &written, size) && EVP_MAC_init(hash->mac, NULL, 0, NULL);
    } else {
        for (size_t i = 0; i < size; i++)
            out[i] = (uint8_t)(hash->crc >> (8 * (size - 1 - i)));
        hash->crc = 0;
    }
    return ok ? 0 : -EIO;
}

const struct hash_ops crypto_openssl_hash = {
    .open = hash_open, .update = hash_update, .final = hash_final, .close = hash_close};

/* ---- ciphers: a context for each way, so that a message costs no key schedule ---- */

struct cipher {
    const struct cipher_row *row;
    EVP_CIPHER_CTX *ctx[2], *at;
};

static void cipher_close(void *state) {
    struct cipher *cipher = state;
    EVP_CIPHER_CTX_free(cipher->ctx[EYE_ENCRYPT]); /* wipes the key schedule */
    EVP_CIPHER_CTX_free(cipher->ctx[EYE_DECRYPT]);
    free(cipher);
}

static int cipher_open(const struct cipher_row *row, const eye_key *key, void **ret_state,
                       struct eye_err *reterr) {
    struct cipher *cipher = calloc(1, sizeof *cipher);
    if (!cipher)
        return err_set(reterr, -ENOMEM, EYE_FAIL_OTHER, "%s: %s", row->alg.name, eye_strerror(-ENOMEM));
    cipher->row = row;
    EVP_CIPHER *type = EVP_CIPHER_fetch(NULL, row->openssl, NULL);
    bool opened = type != NULL;
    for (int way = EYE_ENCRYPT; opened && way <= EYE_DECRYPT; way++) {
        EVP_CIPHER_CTX *ctx = cipher->ctx[way] = EVP_CIPHER_CTX_new();
        opened = ctx && EVP_CipherInit_ex(ctx, type, NULL, eye_key_bytes(key), NULL, way == EYE_ENCRYPT) &&
                 EVP_CIPHER_CTX_set_padding(ctx, 0);
    }
    EVP_CIPHER_free(type);
    if (!opened) {
        cipher_close(cipher);
        return unavailable(row->alg.name, reterr);
    }
    *ret_state = cipher;
    return 0;
}

static int cipher_add(struct cipher *cipher, const uint8_t *in, size_t size, uint8_t *out) {
    int written;
    for (size_t done = 0, n; done < size; done += n) {
        n = size - done < INT_MAX / 2 ? size - done : INT_MAX / 2 / 64 * 64;
        if (!EVP_CipherUpdate(cipher->at, out ? out + done : NULL, &written, in + done, (int)n))
            return -EIO;
    }
    return 0;
}

static int cipher_begin(void *state, enum eye_cipher_way way, const struct eye_cipher_io *io) {
    struct cipher *cipher = state;
    cipher->at = cipher->ctx[way];
    if (!EVP_CipherInit_ex(cipher->at, NULL, NULL, NULL, io->iv, -1))
        return -EIO;
    return cipher_add(cipher, io->aad, io->aad_bytes, NULL);
}

static int cipher_update(void *state, const struct piece *in, uint8_t *out, bool more) {
    (void)more;
    return cipher_add(state, in->data, in->size, out);
}

static int cipher_final(void *state, uint8_t *tag) {
    struct cipher *cipher = state;
    bool encrypts = cipher->at == cipher->ctx[EYE_ENCRYPT];
    uint8_t none[EYE_TAG_BYTES];
    int written;
    if (cipher->row->alg.tag_bytes == 0)
        return 0;
    if (!encrypts && !EVP_CIPHER_CTX_ctrl(cipher->at, EVP_CTRL_AEAD_SET_TAG, EYE_TAG_BYTES, tag))
        return -EIO;
    if (!EVP_CipherFinal_ex(cipher->at, none, &written))
        return encrypts ? -EIO : -EBADMSG;
    return !encrypts || EVP_CIPHER_CTX_ctrl(cipher->at, EVP_CTRL_AEAD_GET_TAG, EYE_TAG_BYTES, tag) ? 0 : -EIO;
}

static int cipher_whole(void *state, enum eye_cipher_way way, const struct eye_cipher_io *io,
                        const struct piece *in, uint8_t *out) {
    int r = cipher_begin(state, way, io);
    if (r == 0)
        r = cipher_add(state, in->data, in->size, out);
    return r < 0 ? r : cipher_final(state, io->tag);
}

const struct cipher_ops crypto_openssl_cipher = {.open = cipher_open,
                                                 .close = cipher_close,
                                                 .begin = cipher_begin,
                                                 .update = cipher_update,
                                                 .final = cipher_final,
                                                 .message = cipher_whole};
