/* test_file_copy.c: the ladder takes up where a step gives up, files that change meanwhile, and the digest.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <sockeye/file.h>

#include "base/base.h"
#include "file/digest.h"
#include "sys/sys.h"
#include "tap.h"

#define SIZE (1024 * 1024 + 123)

static uint8_t data[SIZE];

static int memory(const void *content, size_t size) {
    int fd = memfd_create("copy", MFD_CLOEXEC);
    CHECK(fd >= 0 && pwrite(fd, content, size, 0) == (ssize_t)size);
    return fd;
}

static bool holds(int fd, const uint8_t *content, size_t size) {
    uint8_t *got = malloc(size + 1);
    ssize_t n = pread(fd, got, size + 1, 0);
    bool same = n == (ssize_t)size && memcmp(got, content, size) == 0;
    free(got);
    return same;
}

/* What is to happen: `call` moves first_bytes, and then fails with code. */
static struct {
    const char *call[2];
    size_t first_bytes[2];
    int code[2];
    size_t moved[2];
} plan;

static int by_plan(const char *call, int fd, size_t *size) {
    (void)fd;
    for (int i = 0; i < 2; i++) {
        if (!plan.call[i] || strcmp(call, plan.call[i]) != 0)
            continue;
        if (plan.moved[i] == plan.first_bytes[i])
            return plan.code[i];
        *size = MIN(*size, plan.first_bytes[i] - plan.moved[i]);
        plan.moved[i] += *size;
    }
    return 0;
}

static void check_steps(size_t begin, size_t range, size_t sendfile, int code) {
    struct eye_copy_stats stats = {0};
    size_t size = SIZE - begin;
    tap_case("from %zu on, copy_file_range gives up after %zu and sendfile after %zu by %d", begin, range,
             sendfile, code);
    plan.call[0] = "copy_file_range", plan.call[1] = "sendfile";
    plan.first_bytes[0] = range, plan.first_bytes[1] = sendfile;
    plan.code[0] = plan.code[1] = code;
    plan.moved[0] = plan.moved[1] = 0;
    AUTO_FD int from = memory(data, SIZE), to = memfd_create("to", MFD_CLOEXEC);
    lseek(from, (off_t)begin, SEEK_SET);
    sys_fault = by_plan;
    int64_t n = eye_copy_fd(from, to, NULL, &stats);
    sys_fault = NULL;
    CHECK_INT(n, size);
    CHECK(holds(to, data + begin, size));
    CHECK_INT(lseek(from, 0, SEEK_CUR), SIZE);
    CHECK_INT(lseek(to, 0, SEEK_CUR), size);
    CHECK_INT(stats.bytes[EYE_COPY_RANGE], range);
    CHECK_INT(stats.bytes[EYE_COPY_SENDFILE], sendfile);
    CHECK_INT(stats.bytes[EYE_COPY_READ], size - range - sendfile);
}

static void check_ladder(void) {
    static const int codes[] = {-EXDEV, -EINVAL, -EOPNOTSUPP, -ENOSYS, -EBADF};
    for (size_t i = 0; i < ARRAY_LEN(codes); i++)
        check_steps(0, 0, 0, codes[i]);
    check_steps(0, 4096, 777, -EXDEV);
    check_steps(0, 1, 0, -EINVAL);
    check_steps(0, 0, SIZE - 1, -EINVAL);
    check_steps(1000, 4096, 777, -EXDEV);
}

static void check_errors(void) {
    static const int codes[] = {-EIO, -ENOSPC, -EDQUOT, -EFBIG};
    for (size_t i = 0; i < ARRAY_LEN(codes); i++) {
        struct eye_copy_stats stats = {0};
        tap_case("%s is told and not stepped over", eye_strerror(codes[i]));
        plan.call[0] = "copy_file_range", plan.call[1] = NULL;
        plan.first_bytes[0] = 4096, plan.code[0] = codes[i], plan.moved[0] = 0;
        AUTO_FD int from = memory(data, SIZE), to = memfd_create("to", MFD_CLOEXEC);
        sys_fault = by_plan;
        int64_t n = eye_copy_fd(from, to, NULL, &stats);
        sys_fault = NULL;
        CHECK_INT(n, codes[i]);
        CHECK_INT(stats.bytes[EYE_COPY_READ], 0);
    }
}

/* The source grows or shrinks after the first slice. */
static struct {
    int fd;
    off_t size;
} change;

static int changing(const char *call, int fd, size_t *size) {
    if (strcmp(call, "copy_file_range") == 0 && fd == change.fd) {
        *size = MIN(*size, (size_t)4096);
        if (lseek(fd, 0, SEEK_CUR) == 0 && ftruncate(fd, change.size) == 0)
            lseek(fd, 1, SEEK_SET);
    }
    return 0;
}

static void check_change(off_t size) {
    struct eye_copy_stats stats = {0};
    tap_case("a file of %d bytes that becomes one of %d meanwhile", SIZE, (int)size);
    AUTO_FD int from = memory(data, SIZE), to = memfd_create("to", MFD_CLOEXEC);
    lseek(from, 0, SEEK_SET);
    change.fd = from, change.size = size;
    sys_fault = changing;
    int64_t n = eye_copy_fd(from, to, NULL, &stats);
    sys_fault = NULL;
    struct stat st;
    CHECK_INT(n, size);
    CHECK(fstat(to, &st) == 0 && st.st_size == size);
}

static void check_holes(void) {
    static const off_t places[] = {0, 1, 65536, 700000};
    for (size_t i = 0; i < ARRAY_LEN(places); i++) {
        struct eye_copy_stats stats = {0};
        struct stat st = {0};
        char byte = 0;
        tap_case("a byte at %d of a file of 1 MiB", (int)places[i]);
        AUTO_FD int from = memfd_create("from", MFD_CLOEXEC), to = memfd_create("to", MFD_CLOEXEC);
        CHECK(pwrite(from, "x", 1, places[i]) == 1 && ftruncate(from, 1024 * 1024) == 0);
        CHECK_INT(eye_copy_fd(from, to, NULL, &stats), 1024 * 1024);
        CHECK(fstat(to, &st) == 0 && st.st_size == 1024 * 1024 && st.st_blocks <= 16);
        CHECK(pread(to, &byte, 1, places[i]) == 1 && byte == 'x');
        CHECK(stats.hole_bytes >= 1024 * 1024 - 8192);
    }
}

static bool stop_at_once(void *user, const char *path, uint64_t done, uint64_t total) {
    (void)path, (void)done, (void)total;
    ++*(int *)user;
    return false;
}

static void check_stop(void) {
    int calls = 0;
    const struct eye_copy_opts opts = {.progress = stop_at_once, .user = &calls};
    struct eye_copy_stats stats = {0};
    tap_case("progress can stop it");
    AUTO_FD int from = memory(data, SIZE), to = memfd_create("to", MFD_CLOEXEC);
    CHECK_INT(eye_copy_fd(from, to, &opts, &stats), -ECANCELED);
    CHECK_INT(calls, 1);
}

/* ---- digests ---- */

/* The first bytes of data, and their digests by libxxhash 0.8.1: each side of where the algorithm changes. */
static const struct {
    size_t size;
    uint64_t digest;
} known[] = {
    {0, 0xA68DFBB1D75C6E8D},    {1, 0x14B51CCFAA3B608A},    {255, 0x714F003DEDD334F7},
    {256, 0xCEABA02D9B3CDB86},  {257, 0x10B765774290E053},  {1023, 0xB750F881B0D640C7},
    {1024, 0x3BEC06B73B192116}, {1025, 0xD8B378C39CA1B59E}, {1088, 0x14DF07E6DDF8CC19},
    {1089, 0x132FC0EE9BA9EE9C}, {2048, 0xFA2D2A0D9D3DDEF6}, {2049, 0xA7A8478F52BDE2FA},
    {5000, 0xD6D8B471BE6C3BDE},
};

static void check_digest(const char *way) {
    tap_case("%s", way);
    for (size_t i = 0; i < ARRAY_LEN(known); i++)
        CHECK(digest_of(data, known[i].size) == known[i].digest);
    for (size_t piece = 1; piece < 200; piece++) {
        struct digest digest;
        digest_begin(&digest);
        for (size_t at = 0; at < 5000; at += piece) {
            digest_update(&digest, data + at, MIN(piece, 5000 - at));
            digest_value(&digest); /* changes nothing */
        }
        CHECK(digest_value(&digest) == known[ARRAY_LEN(known) - 1].digest);
    }
}

static void check_digest_holes(void) {
    static const size_t sizes[] = {0,
                                   1,
                                   4096,
                                   DIGEST_BLOCK_BYTES - 1,
                                   DIGEST_BLOCK_BYTES,
                                   DIGEST_BLOCK_BYTES + 1,
                                   3 * DIGEST_BLOCK_BYTES + 5};
    uint8_t *zeros = calloc(1, 4 * DIGEST_BLOCK_BYTES);
    tap_case("a hole has the digest of its zeros");
    for (size_t i = 0; i < ARRAY_LEN(sizes); i++) {
        struct digest as_hole, as_zeros;
        digest_begin(&as_hole);
        digest_begin(&as_zeros);
        for (int around = 0; around < 2; around++) {
            digest_update(&as_hole, data, 100);
            digest_update(&as_zeros, data, 100);
            digest_hole(&as_hole, sizes[i]);
            digest_update(&as_zeros, zeros, sizes[i]);
            CHECK(digest_value(&as_hole) == digest_value(&as_zeros));
        }
    }
    free(zeros);
}

int main(void) {
    for (size_t i = 0; i < SIZE; i++)
        data[i] = (uint8_t)(i * 2654435761U >> 13);
    check_ladder();
    check_errors();
    check_change(SIZE * 2);
    check_change(SIZE / 2);
    check_change(0);
    check_holes();
    check_stop();
    check_digest("digests, whole and in pieces of every size");
    digest_without_vectors = true;
    check_digest("the same without the processor's vectors");
    digest_without_vectors = false;
    check_digest_holes();
    return tap_done();
}
