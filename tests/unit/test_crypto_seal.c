/* test_crypto_seal.c: c2sp.org/chunked-encryption: its published vectors, every size at an edge, and whatever
 * may be done to a file: each bit of what matters, cuts, swaps, additions. */
#include <sys/random.h>

#include "crypto.h"
#include "crypto/seal.h"
#include "crypto_cobblestone.h"

/* The same salt each time, so that results can be compared. */
ssize_t __wrap_getrandom(void *buf, size_t size, unsigned flags);
ssize_t __wrap_getrandom(void *buf, size_t size, unsigned flags) {
    (void)flags;
    memset(buf, 0x5a, size);
    return (ssize_t)size;
}

#define CHUNK SEAL_CHUNK_BYTES

static int64_t seal(const void *data, size_t size, const eye_key *key, const struct eye_seal_opts *opts,
                    uint8_t **ret, size_t *ret_size) {
    AUTO_FD int in = file_of(data, size), out = file_of("", 0);
    int64_t n = eye_seal_fd(in, out, key, opts, NULL);
    *ret = file_bytes(out, ret_size);
    CHECK_INT(*ret_size, n);
    close(out);
    return n;
}

static int64_t unseal(const void *data, size_t size, const eye_key *key, const struct eye_seal_opts *opts,
                      uint8_t **ret, size_t *ret_size) {
    struct eye_err err = {0};
    AUTO_FD int in = file_of(data, size), out = file_of("", 0);
    int64_t n = eye_open_fd(in, out, key, opts, &err);
    *ret = file_bytes(out, ret_size);
    if (n >= 0)
        CHECK_INT(*ret_size, n);
    else if (n == -EBADMSG)
        CHECK_INT(err.fail, EYE_FAIL_AUTHENTIC);
    close(out);
    return n;
}

static void vectors(const char *provider) {
    for (size_t i = 0; i < ARRAY_LEN(cobblestone); i++) {
        const struct cobblestone *v = &cobblestone[i];
        eye_key *key = key_of(v->key);
        struct bytes context = unhex(v->context);
        const struct eye_seal_opts opts = {
            .provider = provider, .context = context.data, .context_bytes = context.size};
        struct bytes begin = unhex(v->begin), end = unhex(v->end), want = unhex(v->text_sha512);
        size_t size, whole = begin.size + v->zeros + end.size;
        uint8_t *text, digest[64], *file = calloc(1, whole);
        eye_hash *hash;
        memcpy(file, begin.data, begin.size);
        memcpy(file + begin.size + v->zeros, end.data, end.size);
        CHECK_INT(unseal(file, whole, key, &opts, &text, &size), (int64_t)v->text_bytes);
        CHECK(eye_hash_new("sha512", provider, NULL, &hash, NULL) == 0);
        eye_hash_update(hash, text, size);
        eye_hash_final(hash, digest, sizeof digest);
        eye_hash_free(hash);
        CHECK(memcmp(digest, want.data, sizeof digest) == 0);
        free(text);
        free(file);
        eye_key_free(key);
    }
}

static const size_t sizes[] = {0,     1,     15,     16,     17,     16383,  16384,           16385,
                               16400, 32768, 131071, 131072, 131073, 262144, 5 * 131072 + 77, 1 << 20};

/* Both ways; by one thread and by several; the same bytes as OpenSSL's. */
static void round_trips(const char *provider) {
    eye_key *key = key_new(32);
    for (size_t i = 0; i < ARRAY_LEN(sizes); i++) {
        uint8_t *data = noise(sizes[i]), *reference, *file, *text;
        size_t reference_bytes, whole, text_bytes;
        const struct eye_seal_opts plain = {.provider = eye_providers[crypto_unusable("openssl")[0] ? 1 : 0]};
        seal(data, sizes[i], key, &plain, &reference, &reference_bytes);
        CHECK_INT(reference_bytes, SEAL_HEAD_BYTES + sizes[i] + (sizes[i] / 16384 + 1) * 16);
        for (unsigned threads = 1; threads <= 3; threads += 2) {
            const struct eye_seal_opts opts = {.provider = provider, .threads = threads};
            seal(data, sizes[i], key, &opts, &file, &whole);
            CHECK(whole == reference_bytes && memcmp(file, reference, whole) == 0);
            CHECK_INT(unseal(file, whole, key, &opts, &text, &text_bytes), (int64_t)sizes[i]);
            CHECK(text_bytes == sizes[i] && memcmp(text, data, text_bytes) == 0);
            free(file);
            free(text);
        }
        free(reference);
        free(data);
    }
    eye_key_free(key);
}

/* What a changed file gives: an error, and of the text the whole chunks before the change (at a byte of the
 * file), which verified. */
static void refused(const uint8_t *file, size_t size, const eye_key *key, const char *provider,
                    const uint8_t *text, size_t at, const char *what) {
    uint8_t *out;
    size_t out_bytes, right = at < SEAL_HEAD_BYTES ? 0 : (at - SEAL_HEAD_BYTES) / CHUNK * 16384;
    const struct eye_seal_opts opts = {.provider = provider};
    int64_t n = unseal(file, size, key, &opts, &out, &out_bytes);
    tap_check(n == -EBADMSG && out_bytes == right, __FILE__, __LINE__, "%s at %zu: %lld, %zu bytes, not %zu",
              what, at, (long long)n, out_bytes, right);
    CHECK(memcmp(out, text, out_bytes) == 0);
    free(out);
}

static void changes(const char *provider) {
    enum { TEXT = 10 * 16384 + 100 };
    eye_key *key = key_new(16), *other = key_new(32);
    uint8_t *text = noise(TEXT), *file, *copy;
    size_t size;
    const struct eye_seal_opts opts = {.provider = provider, .context = "a", .context_bytes = 1};
    seal(text, TEXT, key, &(struct eye_seal_opts){.provider = provider}, &file, &size);
    copy = malloc(size + CHUNK);
    for (size_t at = 0; at < size; at += at < SEAL_HEAD_BYTES || at > size - 120 ? 1 : 4099) {
        memcpy(copy, file, size);
        copy[at] ^= (uint8_t)(1 << at % 8);
        refused(copy, size, key, provider, text, at, "a flipped bit");
    }
    for (size_t cut = 0; cut < size; cut += cut < 80 || cut > size - 130 ? 1 : 4099)
        refused(file, cut, key, provider, text, cut, "a cut");
    for (size_t cut = SEAL_HEAD_BYTES; cut < size; cut += CHUNK) /* where AES-GCM alone would not tell */
        refused(file, cut, key, provider, text, cut, "a cut after a chunk");
    memcpy(copy, file, size);
    memcpy(copy + SEAL_HEAD_BYTES, file + SEAL_HEAD_BYTES + CHUNK, CHUNK);
    memcpy(copy + SEAL_HEAD_BYTES + CHUNK, file + SEAL_HEAD_BYTES, CHUNK);
    refused(copy, size, key, provider, text, 0, "a swap");
    memcpy(copy, file, size);
    memcpy(copy + size, file + SEAL_HEAD_BYTES, CHUNK);
    refused(copy, size + 1, key, provider, text, size - 1, "a byte more");
    refused(copy, size + 16, key, provider, text, size - 1, "a tag more");
    refused(copy, size + CHUNK, key, provider, text, size - 1, "a chunk more");
    refused(file, size, other, provider, text, 0, "another key");
    uint8_t *out;
    size_t out_bytes;
    CHECK_INT(unseal(file, size, key, &opts, &out, &out_bytes), -EBADMSG);
    CHECK_INT(out_bytes, 0);
    free(out);
    free(copy);
    free(file);
    free(text);
    eye_key_free(key);
    eye_key_free(other);
}

static void ranges(const char *provider) {
    enum { TEXT = 20 * 16384 };
    static const int64_t rows[][2] = {{0, 0},           {0, 16383},      {16384, 16384},
                                      {131071, 131073}, {5, 300000},     {TEXT - 1, INT64_MAX},
                                      {0, INT64_MAX},   {131072, 262143}};
    eye_key *key = key_new(16);
    uint8_t *text = noise(TEXT), *file, *out;
    size_t size, out_bytes;
    struct eye_seal_opts opts = {.provider = provider, .range = true};
    seal(text, TEXT, key, &opts, &file, &size);
    for (size_t i = 0; i < 2 * ARRAY_LEN(rows); i++) {
        opts.first = rows[i / 2][0];
        opts.last = rows[i / 2][1];
        opts.threads = i % 2 ? 2 : 1;
        int64_t wants = (opts.last < TEXT ? opts.last + 1 : TEXT) - opts.first;
        CHECK_INT(unseal(file, size, key, &opts, &out, &out_bytes), wants);
        CHECK((int64_t)out_bytes == wants && memcmp(out, text + opts.first, out_bytes) == 0);
        free(out);
    }
    opts.first = opts.last = TEXT;
    CHECK_INT(unseal(file, size, key, &opts, &out, &out_bytes), -ERANGE);
    free(out);
    opts.first = opts.last = 0; /* the end is looked at first */
    CHECK_INT(unseal(file, size - 16, key, &opts, &out, &out_bytes), -EBADMSG);
    CHECK_INT(out_bytes, 0);
    free(out);
    free(file);
    free(text);
    eye_key_free(key);
}

int main(void) {
    crypto_each("published vectors", vectors);
    crypto_each("round trips", round_trips);
    crypto_each("whatever is changed", changes);
    crypto_each("ranges", ranges);
    tap_case("a key of another length");
    eye_key *key = key_new(24);
    struct eye_err err;
    CHECK_INT(eye_seal_fd(-1, -1, key, &(struct eye_seal_opts){0}, &err), EYE_ESYNTAX);
    CHECK(strstr(err.text, "16") && strstr(err.text, "32"));
    eye_key_free(key);
    return tap_done();
}
