/* seal.h: the format of c2sp.org/chunked-encryption, without any I/O (docs/chunked-encryption.md).
 *
 *     salt (24 bytes, random), commitment (32), chunks
 *     key || base nonce (12) || commitment = HKDF-Expand-SHA-512(input key, label || 00 || salt || context)
 *
 * A chunk is 16 KiB of AES-GCM without AAD, its tag behind it, its nonce the base nonce XOR its number. The
 * last one is always shorter, and may be empty, so that a cut shows. */
#ifndef SOCKEYE_CRYPTO_SEAL_H
#define SOCKEYE_CRYPTO_SEAL_H

#include "crypto/provider.h"

#define SEAL_SALT_BYTES   24
#define SEAL_COMMIT_BYTES 32
#define SEAL_HEAD_BYTES   (SEAL_SALT_BYTES + SEAL_COMMIT_BYTES)
#define SEAL_NONCE_BYTES  12
#define SEAL_TEXT_BYTES   16384
#define SEAL_CHUNK_BYTES  (SEAL_TEXT_BYTES + EYE_TAG_BYTES)
#define SEAL_CHUNKS_MAX   (UINT64_C(1) << 38)

/* What a file is encrypted with. */
struct seal {
    eye_key *key;
    uint8_t nonce[SEAL_NONCE_BYTES];
    uint8_t commitment[SEAL_COMMIT_BYTES];
};

/* Derives it from the input key, whose length picks the suite. EYE_ESYNTAX for another than 16 or 32 bytes.
 */
int seal_derive(const eye_key *key, const uint8_t salt[SEAL_SALT_BYTES], const struct eye_seal_opts *opts,
                struct seal *ret_seal, struct eye_err *reterr);
void seal_done(struct seal *seal);

/* A cipher for its chunks, one for each thread. */
int seal_cipher(const struct seal *seal, const char *provider, eye_cipher **ret_cipher,
                struct eye_err *reterr);

/* Encrypts or decrypts chunk number `number`; in and out are a chunk without its tag. 0, -EBADMSG, ... */
int seal_chunk(const struct seal *seal, eye_cipher *cipher, enum eye_cipher_way way, uint64_t number,
               const struct piece *in, uint8_t *out, uint8_t tag[EYE_TAG_BYTES]);

#endif
