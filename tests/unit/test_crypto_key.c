/* test_crypto_key.c: keys are not in core dumps, not in children, and wiped when they are freed. */
#include <signal.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>

#include "crypto.h"

static char folder[64];

/* 32 bytes that stand nowhere in this program as they are; which: 0 a secret, 1 what may be found. */
static void fill(uint8_t bytes[32], int which) {
    for (int i = 0; i < 32; i++)
        bytes[i] = (uint8_t)(i * 37 + 11 + which * 101) ^ 0x5a;
}

static bool found(const uint8_t *core, size_t size, int which) {
    uint8_t bytes[32];
    fill(bytes, which);
    return memmem(core, size, bytes, sizeof bytes) != NULL;
}

/* Uses a key in every way, then crashes while it still has it. */
static void crash(void) {
    static uint8_t plain[32];
    uint8_t bytes[32], out[64];
    eye_key *key;
    eye_hash *hash;
    eye_cipher *cipher;
    const struct eye_cipher_io io = {.iv = (const uint8_t *)"twelve bytes"};
    fill(bytes, 0);
    if (eye_key_new(bytes, sizeof bytes, &key) < 0)
        _exit(1);
    explicit_bzero(bytes, sizeof bytes);
    if (eye_hash_new("sha512", NULL, key, &hash, NULL) == 0) {
        eye_hash_update(hash, "x", 1);
        eye_hash_final(hash, out, sizeof out);
        eye_hash_free(hash);
    }
    if (eye_cipher_new("aes-256-gcm", NULL, key, &cipher, NULL) == 0) {
        eye_cipher_run(cipher, EYE_ENCRYPT, &io, "text", 4, out, NULL);
        eye_cipher_free(cipher);
    }
    fill(plain, 1);
    abort();
}

static uint8_t *read_core(pid_t pid, size_t *ret_size) {
    char name[64];
    int fd = -1;
    for (int i = 0; i < 2 && fd < 0; i++) {
        snprintf(name, sizeof name, i ? "core.%d" : "core", (int)pid);
        fd = open(name, O_RDONLY | O_CLOEXEC);
    }
    if (fd < 0)
        return NULL;
    uint8_t *core = file_bytes(fd, ret_size);
    close(fd);
    unlink(name);
    return core;
}

static void core_dump(void) {
    const struct rlimit unlimited = {RLIM_INFINITY, RLIM_INFINITY}, some = {256 << 20, 256 << 20};
    size_t size = 0;
    int status;
    pid_t pid = fork();
    if (pid == 0) {
        if (setrlimit(RLIMIT_CORE, &unlimited) < 0)
            setrlimit(RLIMIT_CORE, &some);
        prctl(PR_SET_DUMPABLE, 1, 0, 0, 0);
        signal(SIGABRT, SIG_DFL);
        crash();
    }
    waitpid(pid, &status, 0);
    uint8_t *core = read_core(pid, &size);
    if (!core) {
        tap_skip("this host's core dumps go elsewhere (kernel.core_pattern)");
        return;
    }
    CHECK(found(core, size, 1));
    CHECK(!found(core, size, 0));
    free(core);
}

static void children(void) {
    eye_key *key = key_new(32);
    int status;
    pid_t pid = fork();
    if (pid == 0)
        _exit(eye_key_size(key) == 0 && eye_key_bytes(key)[0] == 0 ? 0 : 1);
    waitpid(pid, &status, 0);
    CHECK_INT(status, 0);
    CHECK_INT(eye_key_size(key), 32);
    eye_key_free(key);
}

static void reading(void) {
    static const struct {
        size_t size;
        int code;
    } rows[] = {{0, -ERANGE}, {1, 0}, {32, 0}, {4096, 0}, {4097, -ERANGE}, {100000, -ERANGE}};
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        uint8_t *data = noise(rows[i].size);
        AUTO_FD int fd = file_of(data, rows[i].size);
        eye_key *key = NULL;
        CHECK_INT(eye_key_read(fd, &key), rows[i].code);
        CHECK((rows[i].code == 0) == (key != NULL));
        if (key)
            CHECK(eye_key_size(key) == rows[i].size && memcmp(eye_key_bytes(key), data, rows[i].size) == 0);
        eye_key_free(key);
        free(data);
    }
    eye_key *one = NULL, *two = NULL;
    CHECK_INT(eye_key_random(32, &one), 0);
    CHECK_INT(eye_key_random(32, &two), 0);
    CHECK(memcmp(eye_key_bytes(one), eye_key_bytes(two), 32) != 0);
    eye_key_free(one);
    eye_key_free(two);
}

int main(void) {
    strcpy(folder, "/tmp/sockeye-test-XXXXXX");
    if (!mkdtemp(folder) || chdir(folder) < 0)
        return 1;
    tap_case("a core dump");
    core_dump();
    tap_case("children have zeros");
    children();
    tap_case("read and random");
    reading();
    rmdir(folder);
    return tap_done();
}
