/* test_stream_send_file.c: a file over a stream, inside the kernel and by pieces. */
#include <sys/mman.h>

#include "suite.h"

#define SIZE (5 * 1024 * 1024 + 17)

static uint8_t data[SIZE];

static int make_file(size_t size) {
    int fd = memfd_create("file", MFD_CLOEXEC);
    CHECK(fd >= 0 && write(fd, data, size) == (ssize_t)size);
    return fd;
}

static void fill(void) {
    for (size_t i = 0; i < SIZE; i++)
        data[i] = (uint8_t)(i * 2654435761U >> 13);
}

static void arrives(eye_loop *loop, eye_stream *s, int peer) {
    uint8_t *got = malloc(SIZE);
    AUTO_FD int fd = make_file(SIZE);
    struct got sent = {0};
    fill();
    CHECK(pwrite(fd, data, SIZE, 0) == SIZE);
    SUBMIT(eye_send_file(s, &sent.op, fd, 1000, SIZE - 1000, got_done));
    CHECK_INT(suite_read(loop, peer, got, SIZE - 1000), SIZE - 1000);
    AWAIT_INT(sent, SIZE - 1000);
    CHECK(memcmp(got, data + 1000, SIZE - 1000) == 0);
    CHECK_INT(lseek(fd, 0, SEEK_CUR), SIZE);
    free(got);
    suite_close(s);
    close(peer);
}

static void case_tcp(eye_loop *loop) {
    int fd[2];
    suite_tcp_pair(fd);
    arrives(loop, suite_stream(loop, fd[0], FLAGS_TCP), fd[1]);
}

static void case_unix(eye_loop *loop) {
    int fd[2];
    suite_socketpair(SOCK_STREAM, fd);
    arrives(loop, suite_stream(loop, fd[0], FLAGS_UNIX), fd[1]);
}

/* A socket that the kernel may not splice to, as an inherited one. */
static void case_pieces(eye_loop *loop) {
    int fd[2];
    suite_socketpair(SOCK_STREAM, fd);
    arrives(loop, suite_stream(loop, fd[0], SLOT_SOCKET), fd[1]);
}

static void shorter(eye_loop *loop, unsigned flags) {
    int fd[2];
    AUTO_FD int file = make_file(1000);
    struct got sent = {0}, again = {0};
    suite_socketpair(SOCK_STREAM, fd);
    eye_stream *s = suite_stream(loop, fd[0], flags);
    SUBMIT(eye_send_file(s, &sent.op, file, 0, 2000, got_done));
    AWAIT_INT(sent, 1000);
    SUBMIT(eye_send_file(s, &again.op, file, 1000, 1000, got_done));
    AWAIT_INT(again, 0);
    suite_close(s);
    close(fd[1]);
}

static void case_short(eye_loop *loop) {
    shorter(loop, FLAGS_UNIX);
    shorter(loop, SLOT_SOCKET);
}

static int no_reading(const char *call, int fd, size_t *size) {
    (void)fd;
    (void)size;
    return strcmp(call, "pread") == 0 || strcmp(call, "sendfile") == 0 ? -EIO : 0;
}

static void case_unreadable(eye_loop *loop) {
    static const unsigned flags[] = {FLAGS_UNIX, SLOT_SOCKET};
    for (size_t i = 0; i < ARRAY_LEN(flags); i++) {
        int fd[2];
        AUTO_FD int file = make_file(1000);
        struct got sent = {0};
        suite_socketpair(SOCK_STREAM, fd);
        eye_stream *s = suite_stream(loop, fd[0], flags[i]);
        sys_fault = no_reading;
        SUBMIT(eye_send_file(s, &sent.op, file, 0, 1000, got_done));
        AWAIT_INT(sent, -EIO);
        sys_fault = NULL;
        suite_close(s);
        close(fd[1]);
    }
}

/* Nobody reads: what has gone is the result, and the file is the caller's again. */
static void case_cancel(eye_loop *loop) {
    static const unsigned flags[] = {FLAGS_UNIX, SLOT_SOCKET};
    for (size_t i = 0; i < ARRAY_LEN(flags); i++) {
        int fd[2];
        AUTO_FD int file = make_file(SIZE);
        struct got sent = {0};
        suite_socketpair(SOCK_STREAM, fd);
        eye_stream *s = suite_stream(loop, fd[0], flags[i]);
        SUBMIT(eye_send_file(s, &sent.op, file, 0, SIZE, got_done));
        suite_turns(20);
        CHECK_INT(sent.count, 0);
        SUBMIT(eye_cancel(loop, &sent.op));
        AWAIT(sent);
        CHECK(sent.result > 0 && sent.result < SIZE);
        suite_close(s);
        close(fd[1]);
    }
}

static void case_gone(eye_loop *loop) {
    int fd[2];
    AUTO_FD int file = make_file(SIZE);
    struct got sent = {0};
    suite_socketpair(SOCK_STREAM, fd);
    eye_stream *s = suite_stream(loop, fd[0], FLAGS_UNIX);
    close(fd[1]);
    SUBMIT(eye_send_file(s, &sent.op, file, 0, SIZE, got_done));
    AWAIT_INT(sent, -EPIPE);
    suite_close(s);
}

static const struct suite_case cases[] = {
    {"a file over TCP", case_tcp},
    {"a file over a Unix socket", case_unix},
    {"a file by pieces", case_pieces},
    {"a file that is shorter than that", case_short},
    {"a file that cannot be read", case_unreadable},
    {"cancelling tells how much has gone", case_cancel},
    {"a peer that has left", case_gone},
};

int main(int argc, char **argv) {
    return suite_main(cases, ARRAY_LEN(cases), argc, argv);
}
