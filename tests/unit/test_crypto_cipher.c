/* test_crypto_cipher.c: every cipher at every edge, by each provider and both the same; whatever is changed
 * is refused and wiped; messages from descriptors as those in memory; what the kernel's sockets are known to
 * do. */
#include <linux/if_alg.h>
#include <sys/resource.h>
#include <sys/socket.h>

#include "crypto.h"

#ifndef SOL_ALG
#define SOL_ALG 279
#endif

static const uint8_t iv[16] = {1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16};

static eye_cipher *cipher_of(const struct eye_cipher_alg *alg, const char *provider) {
    eye_key *key = key_new(alg->key_bytes);
    eye_cipher *cipher = NULL;
    CHECK_INT(eye_cipher_new(alg->name, provider, key, &cipher, NULL), 0);
    eye_key_free(key);
    return cipher;
}

static const size_t sizes[] = {0,     1,     15,    16,    17,    4095,   4096,   4097,
                               65535, 65536, 65537, 65552, 65553, 131072, 200000, 212960};

/* ---- the same bytes from every provider, in memory and from descriptors ---- */

static void compare(const struct eye_cipher_alg *alg, const char *provider, size_t size,
                    const uint8_t *data) {
    bool aead = alg->tag_bytes > 0;
    const struct eye_cipher_io io = {.iv = iv, .aad = iv, .aad_bytes = aead ? 13 : 0};
    eye_cipher *reference = cipher_of(alg, "openssl"), *cipher = cipher_of(alg, provider);
    uint8_t *want = malloc(size + 16), *got = malloc(size + 16), *from_fd;
    int64_t n = eye_cipher_run(reference, EYE_ENCRYPT, &io, data, size, want, NULL);
    size_t fd_bytes;
    CHECK_INT(n, (int64_t)(size + alg->tag_bytes + (alg->block_bytes > 1 ? 16 - size % 16 : 0)));
    CHECK_INT(eye_cipher_run(cipher, EYE_ENCRYPT, &io, data, size, got, NULL), n);
    CHECK(n > 0 || size == 0);
    CHECK(memcmp(want, got, (size_t)n) == 0);
    for (int way = EYE_ENCRYPT; way <= EYE_DECRYPT; way++) {
        int in = way == EYE_ENCRYPT ? file_of(data, size) : file_of(want, (size_t)n), out = file_of("", 0);
        int64_t result = way == EYE_ENCRYPT ? n : (int64_t)size;
        CHECK_INT(eye_cipher_run_fd(cipher, (enum eye_cipher_way)way, &io, in, out, NULL, NULL, NULL),
                  result);
        from_fd = file_bytes(out, &fd_bytes);
        CHECK((int64_t)fd_bytes == result &&
              memcmp(from_fd, way == EYE_ENCRYPT ? want : data, fd_bytes) == 0);
        free(from_fd);
        close(in);
        close(out);
    }
    CHECK_INT(eye_cipher_run(cipher, EYE_DECRYPT, &io, got, (size_t)n, got, NULL),
              (int64_t)size); /* in place */
    CHECK(memcmp(data, got, size) == 0);
    free(want);
    free(got);
    eye_cipher_free(reference);
    eye_cipher_free(cipher);
}

static void same_bytes(const char *provider) {
    const struct eye_cipher_alg *alg;
    uint8_t *data = noise(sizes[ARRAY_LEN(sizes) - 1]);
    for (size_t a = 0; (alg = eye_cipher_alg(a)); a++)
        for (size_t i = 0; i < ARRAY_LEN(sizes); i++)
            compare(alg, provider, sizes[i], data);
    free(data);
}

static void large_streams(const char *provider) {
    static const char *const names[] = {"aes-256-cbc", "aes-128-ctr"};
    const struct eye_cipher_alg *alg;
    size_t size = (1 << 20) + 1;
    uint8_t *data = noise(size);
    for (size_t a = 0; (alg = eye_cipher_alg(a)); a++)
        for (size_t i = 0; i < ARRAY_LEN(names); i++)
            if (strcmp(alg->name, names[i]) == 0)
                compare(alg, provider, size, data);
    free(data);
}

/* From a pipe, in pieces of any size. */
static void from_pipes(const char *provider) {
    const struct eye_cipher_alg *alg;
    uint8_t *data = noise(30000), out[30032], *result;
    for (size_t a = 0; (alg = eye_cipher_alg(a)); a++) {
        const struct eye_cipher_io io = {.iv = iv};
        eye_cipher *cipher = cipher_of(alg, provider);
        int ends[2], to = file_of("", 0);
        size_t size;
        CHECK(pipe(ends) == 0);
        CHECK(write(ends[1], data, 30000) == 30000);
        close(ends[1]);
        int64_t n = eye_cipher_run(cipher, EYE_ENCRYPT, &io, data, 30000, out, NULL);
        CHECK_INT(eye_cipher_run_fd(cipher, EYE_ENCRYPT, &io, ends[0], to, NULL, NULL, NULL), n);
        result = file_bytes(to, &size);
        CHECK((int64_t)size == n && memcmp(result, out, size) == 0);
        free(result);
        close(ends[0]);
        close(to);
        eye_cipher_free(cipher);
    }
    free(data);
}

/* ---- what does not verify ---- */

static bool is_wiped(const uint8_t *data, size_t size) {
    for (size_t i = 0; i < size; i++)
        if (data[i])
            return false;
    return true;
}

/* One bit in every byte of a message, its tag and its AAD. */
static void flipped_bits(const char *provider) {
    enum { SIZE = 4096, AAD = 20 };
    const struct eye_cipher_alg *alg;
    uint8_t *data = noise(SIZE), message[SIZE + EYE_TAG_BYTES], out[SIZE + EYE_TAG_BYTES],
            aad[AAD] = "for the address";
    for (size_t a = 0; (alg = eye_cipher_alg(a)); a++) {
        const struct eye_cipher_io io = {.iv = iv, .aad = aad, .aad_bytes = AAD};
        size_t refused = 0, wiped = 0;
        if (strcmp(alg->name, "aes-256-gcm") != 0 && strcmp(alg->name, "chacha20-poly1305") != 0)
            continue;
        eye_cipher *cipher = cipher_of(alg, provider);
        CHECK_INT(eye_cipher_run(cipher, EYE_ENCRYPT, &io, data, SIZE, message, NULL),
                  (int64_t)sizeof message);
        for (size_t at = 0; at < sizeof message + AAD; at++) {
            struct eye_err err = {0};
            uint8_t *byte = at < sizeof message ? &message[at] : &aad[at - sizeof message];
            *byte ^= (uint8_t)(1 << at % 8);
            memset(out, 0xaa, sizeof out);
            int64_t n = eye_cipher_run(cipher, EYE_DECRYPT, &io, message, sizeof message, out, &err);
            refused += n == -EBADMSG && err.fail == EYE_FAIL_AUTHENTIC;
            wiped += is_wiped(out, SIZE);
            *byte ^= (uint8_t)(1 << at % 8);
        }
        CHECK_INT(refused, sizeof message + AAD);
        CHECK_INT(wiped, sizeof message + AAD);
        CHECK_INT(eye_cipher_run(cipher, EYE_DECRYPT, &io, message, sizeof message, out, NULL), SIZE);
        for (size_t size = 0; size < EYE_TAG_BYTES; size++)
            CHECK_INT(eye_cipher_run(cipher, EYE_DECRYPT, &io, message, size, out, NULL), -EBADMSG);
        eye_cipher_free(cipher);
    }
    free(data);
}

/* An empty message has a tag as any other. */
static void empty_messages(const char *provider) {
    const struct eye_cipher_alg *alg;
    for (size_t a = 0; (alg = eye_cipher_alg(a)); a++) {
        const struct eye_cipher_io io = {.iv = iv};
        uint8_t tag[EYE_TAG_BYTES + 1];
        if (!alg->tag_bytes)
            continue;
        eye_cipher *cipher = cipher_of(alg, provider);
        CHECK_INT(eye_cipher_run(cipher, EYE_ENCRYPT, &io, "", 0, tag, NULL), EYE_TAG_BYTES);
        CHECK_INT(eye_cipher_run(cipher, EYE_DECRYPT, &io, tag, EYE_TAG_BYTES, tag, NULL), 0);
        tag[3] ^= 1;
        CHECK_INT(eye_cipher_run(cipher, EYE_DECRYPT, &io, tag, EYE_TAG_BYTES, tag, NULL), -EBADMSG);
        eye_cipher_free(cipher);
    }
}

/* Every last byte but the right ones, and what is no whole block. */
static void padding(const char *provider) {
    const struct eye_cipher_alg *alg = eye_cipher_alg(0);
    const struct eye_cipher_io io = {.iv = iv};
    uint8_t message[32], out[48], text[16] = "fifteen bytes..";
    size_t refused = 0;
    eye_cipher *cipher = cipher_of(alg, provider);
    CHECK_STR(alg->name, "aes-128-cbc");
    CHECK_INT(eye_cipher_run(cipher, EYE_ENCRYPT, &io, text, 16, message, NULL), 32);
    for (int value = 0; value < 256; value++) { /* flips of the first block's end are those of the second's */
        uint8_t changed[32];
        memcpy(changed, message, sizeof changed);
        changed[15] ^= (uint8_t)value;
        int64_t n = eye_cipher_run(cipher, EYE_DECRYPT, &io, changed, 32, out, NULL);
        refused += n == -EBADMSG && is_wiped(out, 32);
        if (n >= 0) /* 16 as it was; or 1, which is right padding too */
            CHECK(n == (value == 0 ? 16 : 31));
    }
    CHECK_INT(refused, 254);
    for (size_t size = 0; size < 32; size++)
        if (size != 16)
            CHECK_INT(eye_cipher_run(cipher, EYE_DECRYPT, &io, message, size, out, NULL), -EBADMSG);
    eye_cipher_free(cipher);
}

/* ---- the kernel's limit, on both sides ---- */

static int64_t run_of_size(eye_cipher *cipher, const uint8_t *data, size_t size, bool from_file,
                           size_t aad_bytes) {
    const struct eye_cipher_io io = {.iv = iv, .aad = data, .aad_bytes = aad_bytes};
    struct eye_err err = {0};
    int64_t n;
    if (from_file) {
        int in = file_of(data, size), out = file_of("", 0);
        n = eye_cipher_run_fd(cipher, EYE_ENCRYPT, &io, in, out, NULL, NULL, &err);
        close(in);
        close(out);
    } else {
        uint8_t *out = malloc(size + 16);
        n = eye_cipher_run(cipher, EYE_ENCRYPT, &io, data, size, out, &err);
        free(out);
    }
    if (n == -EMSGSIZE)
        CHECK(strstr(err.text, "more than the") && strstr(err.cause, "encrypt"));
    return n;
}

static void limit(const char *provider) {
    const struct eye_cipher_alg *alg;
    for (size_t a = 0; (alg = eye_cipher_alg(a)) && strcmp(alg->name, "aes-256-gcm") != 0; a++)
        ;
    eye_cipher *cipher = cipher_of(alg, provider);
    size_t max = eye_cipher_bytes_max(cipher);
    if (strcmp(provider, "kernel") != 0) {
        CHECK(max == SIZE_MAX);
        eye_cipher_free(cipher);
        return;
    }
    CHECK(max >= 212992 && max <= 1 << 20);
    uint8_t *data = noise(max + 4096);
    for (int from_file = 0; from_file <= 1; from_file++) {
        for (size_t aad = 0; aad <= 20; aad += 20) {
            CHECK_INT(run_of_size(cipher, data, max - aad, from_file, aad), (int64_t)(max - aad + 16));
            CHECK_INT(run_of_size(cipher, data, max - aad - 1, from_file, aad), (int64_t)(max - aad + 15));
            CHECK_INT(run_of_size(cipher, data, max - aad + 1, from_file, aad), -EMSGSIZE);
            CHECK_INT(run_of_size(cipher, data, max + 4096, from_file, aad), -EMSGSIZE);
        }
    }
    CHECK_INT(run_of_size(cipher, data, 100, false, 0), 116); /* and goes on as if nothing had been */
    free(data);
    eye_cipher_free(cipher);
}

/* ---- what AF_ALG does, so that it is seen when another kernel does otherwise ---- */

static int raw_gcm(int *ret_tfm) {
    struct sockaddr_alg addr = {.salg_family = AF_ALG, .salg_type = "aead", .salg_name = "gcm(aes)"};
    int tfm = socket(AF_ALG, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
    if (tfm < 0 || bind(tfm, (struct sockaddr *)&addr, sizeof addr) < 0)
        return -1;
    CHECK(setsockopt(tfm, SOL_ALG, ALG_SET_KEY, "0123456789abcdef", 16) == 0);
    CHECK(setsockopt(tfm, SOL_ALG, ALG_SET_AEAD_AUTHSIZE, NULL, 16) == 0);
    *ret_tfm = tfm;
    return accept(tfm, NULL, NULL);
}

static void raw_send(int op, uint32_t way, const void *data, size_t size, uint32_t aad_bytes) {
    char control[CMSG_SPACE(4) * 2 + CMSG_SPACE(16)] = {0};
    struct iovec iov = {(void *)data, size};
    struct msghdr msg = {
        .msg_iov = &iov, .msg_iovlen = 1, .msg_control = control, .msg_controllen = sizeof control};
    struct cmsghdr *c = CMSG_FIRSTHDR(&msg);
    c->cmsg_len = CMSG_LEN(4), c->cmsg_level = SOL_ALG, c->cmsg_type = ALG_SET_OP;
    memcpy(CMSG_DATA(c), &way, 4);
    c = CMSG_NXTHDR(&msg, c);
    c->cmsg_len = CMSG_LEN(16), c->cmsg_level = SOL_ALG, c->cmsg_type = ALG_SET_IV;
    memcpy(CMSG_DATA(c), &(uint32_t){12}, 4);
    c = CMSG_NXTHDR(&msg, c);
    c->cmsg_len = CMSG_LEN(4), c->cmsg_level = SOL_ALG, c->cmsg_type = ALG_SET_AEAD_ASSOCLEN;
    memcpy(CMSG_DATA(c), &aad_bytes, 4);
    CHECK(sendmsg(op, &msg, 0) == (ssize_t)size);
}

static void facts(void) {
    uint8_t sealed[64], opened[64] = {0};
    int tfm = -1, op = raw_gcm(&tfm);
    if (op < 0) {
        tap_skip("AF_ALG gcm(aes): %s", eye_strerror(-errno));
        return;
    }
    raw_send(op, ALG_OP_ENCRYPT, "AAD.text", 8, 4);
    CHECK_INT(read(op, sealed, 4 + 4 + 16), 24);
    CHECK(memcmp(sealed, "AAD.", 4) == 0); /* the output begins with the AAD */
    sealed[20] ^= 1;
    raw_send(op, ALG_OP_DECRYPT, sealed, 24, 4);
    CHECK(read(op, opened, 8) == -1 && errno == EBADMSG);
    CHECK(memcmp(opened + 4, "text", 4) == 0); /* and there the plaintext is all the same */
    CHECK(setsockopt(tfm, SOL_ALG, ALG_SET_KEY, "0123456789abcdef", 16) == -1 && errno == EBUSY);
    close(op);
    op = accept(tfm, NULL, NULL);
    raw_send(op, ALG_OP_ENCRYPT, "AAD.text", 8, 4);
    CHECK_INT(recv(op, opened, sizeof opened, MSG_DONTWAIT),
              24); /* more than the result: would wait for ever */
    close(op);
    close(tfm);
}

static void no_descriptors(void) {
    struct rlimit limit, none;
    struct eye_err err;
    eye_hash *hash;
    getrlimit(RLIMIT_NOFILE, &limit);
    none = limit;
    none.rlim_cur = 0;
    setrlimit(RLIMIT_NOFILE, &none);
    int r = eye_hash_new("sha256", "kernel", NULL, &hash, &err);
    setrlimit(RLIMIT_NOFILE, &limit);
    CHECK(r == -EMFILE || r == EYE_EUNAVAILABLE);
    CHECK_INT(err.fail, r == -EMFILE ? EYE_FAIL_OTHER : EYE_FAIL_UNAVAILABLE);
}

int main(void) {
    crypto_each("the same bytes as OpenSSL", same_bytes);
    crypto_each("streams of more than a MiB", large_streams);
    crypto_each("messages from pipes", from_pipes);
    crypto_each("a flipped bit in every byte", flipped_bits);
    crypto_each("empty messages", empty_messages);
    crypto_each("padding", padding);
    crypto_each("the limit of a message", limit);
    tap_case("what AF_ALG does");
    facts();
    tap_case("no descriptors left");
    no_descriptors();
    return tap_done();
}
