/* crypto.h: digests and ciphers, by OpenSSL or by the kernel (AF_ALG), the same bytes from both.
 *
 * A provider that is named is used, or the call fails with EYE_EUNAVAILABLE and the reason; nothing ever
 * switches by itself. NULL is "openssl". All of this is plain blocking code. An object is for one thread
 * at a time; objects share nothing. */
#ifndef SOCKEYE_CRYPTO_H
#define SOCKEYE_CRYPTO_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <sockeye/err.h>

#ifdef __cplusplus
extern "C" {
#endif

/* The providers' names, ended by NULL, the default first: "openssl", "kernel". */
EYE_API extern const char *const eye_providers[];

/* ---- keys ---- */

/* Secret bytes on pages of their own, which core dumps leave out (MADV_DONTDUMP, madvise(2)), children of
 * fork(2) do not get, and which are wiped when they are freed. */
typedef struct eye_key eye_key;

#define EYE_KEY_BYTES_MAX 4096

/* A copy of 1 to EYE_KEY_BYTES_MAX bytes; wiping those that were given is the caller's. Errors: -ENOMEM,
 * -ERANGE. */
EYE_API int eye_key_new(const void *bytes, size_t size, eye_key **ret_key);

/* Random bytes of the kernel's, getrandom(2). */
EYE_API int eye_key_random(size_t size, eye_key **ret_key);

/* Reads to the end of a descriptor, byte for byte: a newline at the end is part of the key. Errors:
 * read(2)'s, -ERANGE for none and for more than EYE_KEY_BYTES_MAX. */
EYE_API int eye_key_read(int fd, eye_key **ret_key);

/* The bytes and their number; they live as long as the key. */
EYE_API const uint8_t *eye_key_bytes(const eye_key *key);
EYE_API size_t eye_key_size(const eye_key *key);

/* Wipes and frees it. NULL is fine. Returns NULL. */
EYE_API eye_key *eye_key_free(eye_key *key);

/* ---- digests ---- */

typedef struct eye_hash eye_hash;

struct eye_hash_alg {
    const char *name;    /* "sha256" */
    size_t digest_bytes; /* at most EYE_DIGEST_BYTES_MAX */
    bool keyed;          /* can be an HMAC (RFC 2104) */
};

#define EYE_DIGEST_BYTES_MAX 64

/* Number index of the digests that sockeye knows, or NULL past the last; static. */
EYE_API const struct eye_hash_alg *eye_hash_alg(size_t index);

/* Begins a digest, or an HMAC where there is a key (borrowed for the call). Errors: EYE_ESYNTAX for a name or
 * a provider that does not exist, EYE_EUNAVAILABLE, -ENOMEM. */
EYE_API int eye_hash_new(const char *alg, const char *provider, const eye_key *key, eye_hash **ret_hash,
                         struct eye_err *reterr);

/* Adds bytes. Returns 0 or a negative code. */
EYE_API int eye_hash_update(eye_hash *hash, const void *data, size_t size);

/* Adds what a descriptor gives, at most size bytes or, if that is negative, all to its end. With the kernel
 * the bytes are not copied (splice(2)) where the descriptor's kind allows that. Returns the bytes taken. */
EYE_API int64_t eye_hash_update_fd(eye_hash *hash, int fd, int64_t size);

/* Ends the digest: writes its bytes (CRC-32C: the number, most significant byte first), at most size, and
 * returns how many it has. The object begins anew, with the same key. */
EYE_API int eye_hash_final(eye_hash *hash, uint8_t *out, size_t size);

/* NULL is fine. Returns NULL. */
EYE_API eye_hash *eye_hash_free(eye_hash *hash);

/* ---- ciphers ---- */

typedef struct eye_cipher eye_cipher;

enum eye_cipher_way { EYE_ENCRYPT, EYE_DECRYPT };

struct eye_cipher_alg {
    const char *name; /* "aes-256-gcm" */
    size_t key_bytes;
    size_t iv_bytes;
    size_t block_bytes; /* to which a plaintext is filled up by PKCS#7 (RFC 5652, 6.3), or 1 */
    size_t tag_bytes;   /* 16 where it authenticates (AEAD, RFC 5116), or 0 */
};

#define EYE_TAG_BYTES 16

/* Number index of the ciphers that sockeye knows, or NULL past the last; static. */
EYE_API const struct eye_cipher_alg *eye_cipher_alg(size_t index);

/* What one message needs. The same IV must never be used twice with one key: for GCM, CTR and
 * ChaCha20-Poly1305 that gives away plaintexts and lets anybody forge. */
struct eye_cipher_io {
    const uint8_t *iv; /* the algorithm's iv_bytes */
    const uint8_t *aad;
    size_t aad_bytes; /* 0 where the algorithm does not authenticate */
    uint8_t *tag;     /* NULL: the tag follows the ciphertext; else its EYE_TAG_BYTES stand here */
};

/* Errors: EYE_ESYNTAX for a name, provider or key size that does not exist (the text tells the sizes that
 * do), EYE_EUNAVAILABLE, -ENOMEM. The key is borrowed for the call. */
EYE_API int eye_cipher_new(const char *alg, const char *provider, const eye_key *key, eye_cipher **ret_cipher,
                           struct eye_err *reterr);

/* What eye_cipher_new was asked for. */
EYE_API const struct eye_cipher_alg *eye_cipher_alg_of(const eye_cipher *cipher);

/* The most bytes that one message of an AEAD may have, its AAD and tag included: for the kernel what a
 * socket's send buffer holds, which root can raise; SIZE_MAX where there is no limit. */
EYE_API size_t eye_cipher_bytes_max(const eye_cipher *cipher);

/* One message in memory. out has room for size bytes and EYE_TAG_BYTES more (or a block's), and may be in
 * itself. Returns the bytes in out. A message that does not verify (tag, padding, length) is -EBADMSG with
 * fail EYE_FAIL_AUTHENTIC: what may have been in out has been wiped. -EMSGSIZE: larger than the kernel takes.
 */
EYE_API int64_t eye_cipher_run(eye_cipher *cipher, enum eye_cipher_way way, const struct eye_cipher_io *io,
                               const void *in, size_t size, void *out, struct eye_err *reterr);

/* One message from the descriptor in (to its end) to the descriptor out, in pieces where the algorithm
 * allows: what is in out may be trusted only once this has returned 0 or more, so out is a file that gets its
 * name later (newfile.h). progress, where there is one, is told the bytes taken so far. Returns the bytes
 * written. */
EYE_API int64_t eye_cipher_run_fd(eye_cipher *cipher, enum eye_cipher_way way, const struct eye_cipher_io *io,
                                  int in, int out, void (*progress)(void *user, int64_t bytes), void *user,
                                  struct eye_err *reterr);

/* NULL is fine. Returns NULL. */
EYE_API eye_cipher *eye_cipher_free(eye_cipher *cipher);

/* ---- whole files ---- */

/* c2sp.org/chunked-encryption, Cobblestone-128 and -256 by the key's length: chunks of 16 KiB of AES-GCM
 * under keys that are derived from a random salt, so that no IV is ever the caller's care. Any bit that is
 * changed, any cut, swap or addition fails. */
struct eye_seal_opts {
    const char *provider;
    const void *context; /* bound in: opening needs the same bytes */
    size_t context_bytes;
    unsigned threads; /* 0 is 1 */
    bool range;       /* eye_open_fd: of the plaintext only first..last, both counted; in must be seekable */
    int64_t first, last; /* last past the end: to the end */
    void (*progress)(void *user,
                     int64_t bytes); /* the bytes taken so far, or NULL; from any thread, not at once */
    void *user;
};

/* Encrypts what in gives to its end into out; returns the bytes written. Errors: EYE_ESYNTAX for a key of
 * another length than 16 or 32 bytes, EYE_EUNAVAILABLE, what read(2) and write(2) say. */
EYE_API int64_t eye_seal_fd(int in, int out, const eye_key *key, const struct eye_seal_opts *opts,
                            struct eye_err *reterr);

/* The other way. Only chunks that verified are written (in their order, unless several threads write a
 * regular file), but whether they are all is known only once this has returned 0 or more. fail is
 * EYE_FAIL_AUTHENTIC for whatever does not verify: another key or context, a bit, a cut. */
EYE_API int64_t eye_open_fd(int in, int out, const eye_key *key, const struct eye_seal_opts *opts,
                            struct eye_err *reterr);

#ifdef __cplusplus
}
#endif
#endif
