/* key.c: secret bytes, and where they are not: in core dumps (MADV_DONTDUMP), in children (MADV_DONTFORK
 * would make them fault, MADV_WIPEONFORK gives them zeros), in swap where mlock(2) is allowed, in freed
 * memory. */
#include <errno.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/random.h>

#include "crypto/provider.h"

struct eye_key {
    size_t size;
    uint8_t bytes[EYE_KEY_BYTES_MAX + 1]; /* one more: to see that there are too many */
};

#define MAP_BYTES (2 * EYE_KEY_BYTES_MAX)
_Static_assert(sizeof(struct eye_key) <= MAP_BYTES, "a key fits its pages");

static eye_key *key_map(void) {
    eye_key *key = mmap(NULL, MAP_BYTES, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (key == MAP_FAILED)
        return NULL;
    if (madvise(key, MAP_BYTES, MADV_DONTDUMP) < 0) {
        munmap(key, MAP_BYTES);
        return NULL;
    }
    madvise(key, MAP_BYTES, MADV_WIPEONFORK);
    mlock(key, MAP_BYTES); /* RLIMIT_MEMLOCK may refuse */
    return key;
}

eye_key *eye_key_free(eye_key *key) {
    if (key) {
        explicit_bzero(key, MAP_BYTES);
        munmap(key, MAP_BYTES);
    }
    return NULL;
}

int eye_key_new(const void *bytes, size_t size, eye_key **ret_key) {
    if (size == 0 || size > EYE_KEY_BYTES_MAX)
        return -ERANGE;
    eye_key *key = key_map();
    if (!key)
        return -ENOMEM;
    memcpy(key->bytes, bytes, size);
    key->size = size;
    *ret_key = key;
    return 0;
}

int eye_key_random(size_t size, eye_key **ret_key) {
    if (size == 0 || size > EYE_KEY_BYTES_MAX)
        return -ERANGE;
    eye_key *key = key_map();
    if (!key)
        return -ENOMEM;
    while (key->size < size) {
        ssize_t n = getrandom(key->bytes + key->size, size - key->size, 0);
        if (n < 0 && errno != EINTR) {
            int r = -errno;
            eye_key_free(key);
            return r;
        }
        key->size += n > 0 ? (size_t)n : 0;
    }
    *ret_key = key;
    return 0;
}

int eye_key_read(int fd, eye_key **ret_key) {
    eye_key *key = key_map();
    if (!key)
        return -ENOMEM;
    int64_t n = io_read(fd, key->bytes, sizeof key->bytes, -1);
    if (n <= 0 || n > EYE_KEY_BYTES_MAX) {
        eye_key_free(key);
        return n < 0 ? (int)n : -ERANGE;
    }
    key->size = (size_t)n;
    *ret_key = key;
    return 0;
}

const uint8_t *eye_key_bytes(const eye_key *key) {
    return key->bytes;
}

size_t eye_key_size(const eye_key *key) {
    return key->size;
}
