/* kernel.h: AF_ALG sockets, what the kernel's digests and ciphers share. */
#ifndef SOCKEYE_CRYPTO_KERNEL_H
#define SOCKEYE_CRYPTO_KERNEL_H

#include "crypto/provider.h"

/* An algorithm (the socket that bind(2) and ALG_SET_KEY were done on), an operation (what accept(2) gave),
 * and a pipe for what goes to it from a file, made when it is needed. */
struct alg {
    int tfm, op;
    int pipe[2];
};

#define ALG_CLOSED                                                                                           \
    (struct alg) {                                                                                           \
        .tfm = -1, .op = -1, .pipe = { -1, -1 }                                                              \
    }

/* type: "hash", "skcipher", "aead". name: ours, for errors; driver: the kernel's. tag_bytes: 0 but for AEADs.
 */
int alg_open(struct alg *alg, const char *type, const char *name, const char *driver, const eye_key *key,
             size_t tag_bytes, struct eye_err *reterr);
void alg_close(struct alg *alg);

/* Whether the kernel offers this to us: 0 or -errno; and what such an errno probably means, or NULL. */
int alg_probe(const char *type, const char *driver);
const char *alg_cause(int code);

/* Makes a new operation in the place of the old one, which failed in its middle. */
int alg_renew(struct alg *alg);

/* Moves up to size bytes of a file (offset: where, or -1 for where it stands) or pipe into the operation,
 * which expects more. Returns the bytes, 0 at the end; -EOPNOTSUPP where this descriptor cannot be spliced;
 * -EMSGSIZE when the operation has no room for them. */
int64_t alg_splice(struct alg *alg, int fd, int64_t offset, size_t size);

/* One send(2) or recv(2) that does not wait; the bytes, or -errno. */
int64_t alg_send(const struct alg *alg, const void *data, size_t size, bool more);
int64_t alg_recv(const struct alg *alg, void *buf, size_t size);

#endif
