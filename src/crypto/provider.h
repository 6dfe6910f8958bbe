/* provider.h: what a provider has to do. One table of providers, one of digests, one of ciphers; hash.c and
 * cipher.c do what is the same for all: names, sizes, padding, descriptors, wiping.
 *
 * A provider that was left out of the build, or that the host refuses, says so when it is asked for. */
#ifndef SOCKEYE_CRYPTO_PROVIDER_H
#define SOCKEYE_CRYPTO_PROVIDER_H

#include <sockeye/crypto.h>

#include "base/base.h"

/* How each provider calls an algorithm, or NULL where it has none of its own. */
struct hash_row {
    struct eye_hash_alg alg;
    const char *openssl, *kernel;
};

struct cipher_row {
    struct eye_cipher_alg alg;
    const char *openssl, *kernel;
};

/* Bytes to be taken: from memory, or size of them from a descriptor, at offset or (-1) where it stands. */
struct piece {
    const uint8_t *data; /* NULL: from fd */
    size_t size;
    int fd;
    int64_t offset;
};

struct hash_ops {
    int (*open)(const struct hash_row *row, const eye_key *key, void **ret_state, struct eye_err *reterr);
    int (*update)(void *state, const void *data, size_t size);
    int64_t (*update_fd)(void *state, int fd,
                         uint64_t size);                  /* may be NULL; -EOPNOTSUPP: not this descriptor */
    int (*final)(void *state, uint8_t *out, size_t size); /* and begins anew */
    void (*close)(void *state);
};

struct cipher_ops {
    int (*open)(const struct cipher_row *row, const eye_key *key, void **ret_state, struct eye_err *reterr);
    void (*close)(void *state);
    /* In pieces, of whole blocks but for the last: update gives as many bytes as it takes. final writes or
     * checks the tag. */
    int (*begin)(void *state, enum eye_cipher_way way, const struct eye_cipher_io *io);
    int (*update)(void *state, const struct piece *in, uint8_t *out, bool more);
    int (*final)(void *state, uint8_t *tag); /* NULL where AEADs are not done in pieces */
    /* An AEAD's message at once, tag apart. */
    int (*message)(void *state, enum eye_cipher_way way, const struct eye_cipher_io *io,
                   const struct piece *in, uint8_t *out);
    size_t (*bytes_max)(void *state,
                        size_t wanted); /* of a message; tries to raise it to wanted; NULL: none */
    bool takes_fd;                      /* a piece may be from a descriptor */
};

struct provider {
    const char *name;
    const struct hash_ops *hash;
    const struct cipher_ops *cipher;
};

extern const struct hash_ops crypto_openssl_hash, crypto_kernel_hash;
extern const struct cipher_ops crypto_openssl_cipher, crypto_kernel_cipher;

/* The provider of that name (NULL: the first), or NULL and an error. */
const struct provider *provider_find(const char *name, struct eye_err *reterr);

/* EYE_ESYNTAX and an error that names the nearest of those that there are. */
int provider_no_such(const char *what, const char *name, const char *const *names, struct eye_err *reterr);

/* cipher.c's, for those who know what they do: an AEAD's message from a piece, the tag apart (io->tag). */
int cipher_message(eye_cipher *cipher, enum eye_cipher_way way, const struct eye_cipher_io *io,
                   const struct piece *in, uint8_t *out);
bool cipher_takes_fd(const eye_cipher *cipher);

/* read(2) and write(2) until size bytes are done; a read ends early at the end only. Waits where the
 * descriptor is non-blocking. offset: where in the file, or -1 for where it stands. Returns the bytes, or the
 * error even where some were done. */
/* One read(2), which may give less. */
int64_t io_read_some(int fd, void *buf, size_t size);
int64_t io_read(int fd, void *buf, size_t size, int64_t offset);
int64_t io_write(int fd, const void *buf, size_t size, int64_t offset);

#endif
