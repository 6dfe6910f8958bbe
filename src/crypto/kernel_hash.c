/* kernel_hash.c: the kernel's digests. The operation takes any number of sends that promise more; the recv
 * ends the digest, and the next send begins another. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "crypto/kernel.h"

struct hash {
    struct alg alg;
    bool little_endian; /* CRC-32C comes as a number in that order */
};

#define SPLICE_BYTES 65536

static void hash_close(void *state) {
    struct hash *hash = state;
    alg_close(&hash->alg);
    free(hash);
}

static int hash_open(const struct hash_row *row, const eye_key *key, void **ret_state,
                     struct eye_err *reterr) {
    char driver[64];
    struct hash *hash = calloc(1, sizeof *hash);
    if (!hash)
        return err_set(reterr, -ENOMEM, EYE_FAIL_OTHER, "%s: %s", row->alg.name, eye_strerror(-ENOMEM));
    hash->little_endian = !row->alg.keyed;
    snprintf(driver, sizeof driver, key ? "hmac(%s)" : "%s", row->kernel);
    int r = alg_open(&hash->alg, "hash", row->alg.name, driver, key, 0, reterr);
    if (r < 0) {
        free(hash);
        return r;
    }
    *ret_state = hash;
    return 0;
}

static int hash_update(void *state, const void *data, size_t size) {
    const struct hash *hash = state;
    for (size_t done = 0; done < size;) {
        int64_t n = alg_send(&hash->alg, (const uint8_t *)data + done, size - done, true);
        if (n < 0)
            return (int)n;
        done += (size_t)n;
    }
    return 0;
}

static int64_t hash_update_fd(void *state, int fd, uint64_t size) {
    struct hash *hash = state;
    uint64_t done = 0;
    while (done < size) {
        uint64_t left = size - done;
        int64_t n = alg_splice(&hash->alg, fd, -1, left < SPLICE_BYTES ? (size_t)left : SPLICE_BYTES);
        if (n < 0)
            return done > 0 && n == -EOPNOTSUPP ? -EIO : n;
        if (n == 0)
            break;
        done += (uint64_t)n;
    }
    return (int64_t)done;
}

static int hash_final(void *state, uint8_t *out, size_t size) {
    const struct hash *hash = state;
    int64_t n = alg_recv(&hash->alg, out, size);
    for (size_t i = 0; hash->little_endian && i < size / 2; i++) {
        uint8_t low = out[i];
        out[i] = out[size - 1 - i];
        out[size - 1 - i] = low;
    }
    return n < 0 ? (int)n : n == (int64_t)size ? 0 : -EIO;
}

const struct hash_ops crypto_kernel_hash = {.open = hash_open,
                                            .update = hash_update,
                                            .update_fd = hash_update_fd,
                                            .final = hash_final,
                                            .close = hash_close};
