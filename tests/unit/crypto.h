/* crypto.h: what the tests of digests and ciphers share: every case over every provider, hex, memory files.
 */
#ifndef TEST_CRYPTO_H
#define TEST_CRYPTO_H

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <sockeye/crypto.h>

#include "base/base.h"
#include "tap.h"

/* Why a provider cannot be tested here, or "". */
static inline const char *crypto_unusable(const char *provider) {
    static struct eye_err err;
    eye_hash *hash;
    err.text[0] = '\0';
    if (eye_hash_new("sha256", provider, NULL, &hash, &err) == 0) {
        eye_hash_free(hash);
        return "";
    }
    return err.text;
}

/* Runs a function for each provider, as a case of its own. */
static inline void crypto_each(const char *name, void (*run)(const char *provider)) {
    for (const char *const *provider = eye_providers; *provider; provider++) {
        const char *why = crypto_unusable(*provider);
        tap_case("%s: %s", *provider, name);
        if (why[0])
            tap_skip("%s", why);
        else
            run(*provider);
    }
}

struct bytes {
    uint8_t data[512];
    size_t size;
};

static inline struct bytes unhex(const char *text) {
    struct bytes bytes = {.size = strlen(text) / 2};
    for (size_t i = 0; i < bytes.size; i++) {
        char pair[3] = {text[2 * i], text[2 * i + 1], 0};
        bytes.data[i] = (uint8_t)strtoul(pair, NULL, 16);
    }
    return bytes;
}

static inline eye_key *key_of(const char *hex) {
    struct bytes bytes = unhex(hex);
    eye_key *key = NULL;
    CHECK_INT(eye_key_new(bytes.data, bytes.size, &key), 0);
    return key;
}

/* A key of so many bytes that differ. */
static inline eye_key *key_new(size_t size) {
    uint8_t bytes[64];
    eye_key *key = NULL;
    for (size_t i = 0; i < size; i++)
        bytes[i] = (uint8_t)(i * 7 + 1);
    CHECK_INT(eye_key_new(bytes, size, &key), 0);
    return key;
}

/* Bytes that tell where they stand (xorshift32); to be freed. */
static inline uint8_t *noise(size_t size) {
    uint8_t *data = malloc(size + 1);
    uint32_t state = 2463534242U;
    for (size_t i = 0; i < size; i++) {
        state ^= state << 13;
        state ^= state >> 17;
        state ^= state << 5;
        data[i] = (uint8_t)state;
    }
    return data;
}

/* A file in memory that holds these bytes and stands at its beginning. */
static inline int file_of(const void *data, size_t size) {
    int fd = memfd_create("test", MFD_CLOEXEC);
    CHECK(write(fd, data, size) == (ssize_t)size);
    lseek(fd, 0, SEEK_SET);
    return fd;
}

/* All of a file, from its beginning; to be freed. */
static inline uint8_t *file_bytes(int fd, size_t *ret_size) {
    struct stat st;
    fstat(fd, &st);
    uint8_t *data = malloc((size_t)st.st_size + 1);
    CHECK(pread(fd, data, (size_t)st.st_size, 0) == st.st_size);
    *ret_size = (size_t)st.st_size;
    return data;
}

#endif
