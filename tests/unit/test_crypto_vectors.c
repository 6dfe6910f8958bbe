/* test_crypto_vectors.c: published figures, by every provider; what algorithms exist and what is refused. */
#include "crypto.h"
#include "crypto_vectors.h"

/* The table's CRC-32C, which a processor with an instruction for it never sees. */
#undef __x86_64__
#define crc32c crc32c_by_table
uint32_t crc32c_by_table(uint32_t crc, const void *data, size_t size);
#include "crypto/crc32c.c" /* NOLINT(bugprone-suspicious-include) */

static bool same(const void *got, size_t size, const char *hex, const char *source) {
    struct bytes want = unhex(hex);
    return tap_check(size == want.size && memcmp(got, want.data, size) == 0, __FILE__, __LINE__,
                     "%s: not %s (%zu bytes)", source, hex, size);
}

static void hash_figures(const char *provider) {
    for (size_t i = 0; i < ARRAY_LEN(hash_vectors); i++) {
        const struct hash_vector *v = &hash_vectors[i];
        eye_key *key = v->key ? key_of(v->key) : NULL;
        struct bytes message = unhex(v->message);
        uint8_t digest[EYE_DIGEST_BYTES_MAX];
        eye_hash *hash;
        if (!CHECK_INT(eye_hash_new(v->alg, provider, key, &hash, NULL), 0))
            continue;
        for (size_t piece = 1; piece <= 64; piece *= 64) { /* a byte at a time, and again in larger pieces */
            for (size_t at = 0; at < message.size; at += piece)
                CHECK_INT(eye_hash_update(hash, message.data + at, MIN(piece, message.size - at)), 0);
            int size = eye_hash_final(hash, digest, sizeof digest);
            same(digest, (size_t)MAX(size, 0), v->digest, v->source);
        }
        eye_hash_free(hash);
        eye_key_free(key);
    }
}

static void cipher_figures(const char *provider) {
    for (size_t i = 0; i < ARRAY_LEN(cipher_vectors); i++) {
        const struct cipher_vector *v = &cipher_vectors[i];
        eye_key *key = key_of(v->key);
        struct bytes iv = unhex(v->iv), aad = unhex(v->aad), text = unhex(v->text), result = unhex(v->result);
        const struct eye_cipher_io io = {.iv = iv.data, .aad = aad.data, .aad_bytes = aad.size};
        uint8_t out[1024];
        eye_cipher *cipher;
        if (!CHECK_INT(eye_cipher_new(v->alg, provider, key, &cipher, NULL), 0))
            continue;
        int64_t n = eye_cipher_run(cipher, EYE_ENCRYPT, &io, text.data, text.size, out, NULL);
        same(out, (size_t)MAX(n, 0), v->result, v->source);
        n = eye_cipher_run(cipher, EYE_DECRYPT, &io, result.data, result.size, out, NULL);
        same(out, (size_t)MAX(n, 0), v->text, v->source);
        eye_cipher_free(cipher);
        eye_key_free(key);
    }
}

static void no_such(const char *provider) {
    eye_key *key = key_new(16), *newline = key_new(33), *hex = key_new(64);
    struct eye_err err;
    eye_hash *hash = NULL;
    eye_cipher *cipher = NULL;
    CHECK_INT(eye_hash_new("sha265", provider, NULL, &hash, &err), EYE_ESYNTAX);
    CHECK_STR(err.cause, "did you mean 'sha256'?");
    CHECK_INT(eye_hash_new("crc32c", provider, key, &hash, &err), EYE_ESYNTAX);
    CHECK_INT(eye_cipher_new("aes-256-gmc", provider, key, &cipher, &err), EYE_ESYNTAX);
    CHECK_STR(err.cause, "did you mean 'aes-256-gcm'?");
    CHECK_INT(eye_cipher_new("aes-256-gcm", provider, key, &cipher, &err), EYE_ESYNTAX);
    CHECK_STR(err.text, "aes-256-gcm takes a key of 32 bytes, not 16");
    CHECK_STR(err.cause, "aes-128-gcm takes 16, aes-192-gcm takes 24, aes-256-gcm takes 32");
    CHECK_INT(eye_cipher_new("aes-256-gcm", provider, newline, &cipher, &err), EYE_ESYNTAX);
    CHECK(strstr(err.cause, "newline"));
    CHECK_INT(eye_cipher_new("chacha20-poly1305", provider, hex, &cipher, &err), EYE_ESYNTAX);
    CHECK(strstr(err.cause, "hex"));
    CHECK(!hash && !cipher);
    eye_key_free(key);
    eye_key_free(newline);
    eye_key_free(hex);
}

int main(void) {
    eye_hash *hash;
    struct eye_err err;
    crypto_each("digests of published figures", hash_figures);
    crypto_each("ciphers of published figures", cipher_figures);
    crypto_each("what does not exist", no_such);
    tap_case("a provider that does not exist");
    CHECK_INT(eye_hash_new("sha256", "opensll", NULL, &hash, &err), EYE_ESYNTAX);
    CHECK_STR(err.cause, "did you mean 'openssl'?");
    tap_case("CRC-32C by the table");
    CHECK_INT(crc32c_by_table(0, "123456789", 9), 0xe3069283);
    CHECK_INT(crc32c_by_table(crc32c_by_table(0, "1234", 4), "56789", 5), 0xe3069283);
    return tap_done();
}
