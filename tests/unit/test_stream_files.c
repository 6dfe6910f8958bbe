/* test_stream_files.c: inherited descriptors and files as endpoints: which ways they have, what they keep,
 * and what is refused. */
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/un.h>

#include "suite.h"

static int dial(eye_loop *loop, eye_stream **ret_stream, struct eye_err *reterr, const char *text) {
    struct eye_endpoint e = suite_endpoint("%s", text);
    struct eye_dialled dialled;
    struct got got = {0};
    SUBMIT(eye_dial(loop, &got.op, &e, &dialled, got_done));
    AWAIT(got);
    eye_endpoint_done(&e);
    *ret_stream = dialled.stream;
    *reterr = dialled.err;
    return (int)got.result;
}

__attribute__((format(printf, 2, 3))) static eye_stream *open_endpoint(eye_loop *loop, const char *fmt, ...) {
    char text[256];
    eye_stream *s;
    struct eye_err err;
    va_list args;
    va_start(args, fmt);
    vsnprintf(text, sizeof text, fmt, args);
    va_end(args);
    if (!CHECK_INT(dial(loop, &s, &err, text), 0))
        exit(1);
    return s;
}

__attribute__((format(printf, 3, 4))) static void check_refused(eye_loop *loop, int code, const char *fmt,
                                                                ...) {
    char text[256];
    eye_stream *s;
    struct eye_err err;
    va_list args;
    va_start(args, fmt);
    vsnprintf(text, sizeof text, fmt, args);
    va_end(args);
    if (CHECK_INT(dial(loop, &s, &err, text), code)) {
        CHECK_INT(err.code, code);
        CHECK(strstr(err.text, text) == err.text);
    }
}

static int64_t recv_one(eye_stream *s, char *buf, size_t size) {
    struct got got = {0};
    SUBMIT(eye_recv(s, &got.op, buf, size, got_done));
    AWAIT(got);
    return got.result;
}

static int64_t send_one(eye_stream *s, const char *text) {
    struct got got = {0};
    SUBMIT(eye_send(s, &got.op, text, strlen(text), got_done));
    AWAIT(got);
    return got.result;
}

static void check_recv(eye_stream *s, const char *want) {
    char buf[64] = "";
    CHECK_INT(recv_one(s, buf, sizeof buf - 1), strlen(want));
    CHECK_STR(buf, want);
}

static void check_end(eye_stream *s) {
    char buf[1];
    CHECK_INT(recv_one(s, buf, 1), 0);
}

static void finish(eye_stream *s) {
    struct got got = {0};
    SUBMIT(eye_finish(s, &got.op, got_done));
    AWAIT_INT(got, 0);
}

/* ---- descriptors ---- */

/* As if inherited: it stays open across exec. */
static void inherit(int fd) {
    fcntl(fd, F_SETFD, 0);
}

static void connected_socket(eye_loop *loop) {
    int fd[2];
    suite_socketpair(SOCK_STREAM, fd);
    inherit(fd[0]);
    eye_stream *s = open_endpoint(loop, "fd:%d", fd[0]);
    suite_write(loop, fd[1], "in", 2);
    check_recv(s, "in");
    CHECK_INT(send_one(s, "out"), 3);
    char buf[4] = "";
    CHECK_INT(suite_read(loop, fd[1], buf, 3), 3);
    CHECK_STR(buf, "out");
    finish(s);
    CHECK_END(fd[1]);
    suite_write(loop, fd[1], "late", 4);
    check_recv(s, "late");
    suite_close(s);
    close(fd[0]);
    close(fd[1]);
}

static void seqpacket_socket(eye_loop *loop) {
    int fd[2];
    suite_socketpair(SOCK_SEQPACKET, fd);
    inherit(fd[0]);
    eye_stream *s = open_endpoint(loop, "fd:%d", fd[0]);
    suite_write(loop, fd[1], "one", 3);
    suite_write(loop, fd[1], "two", 3);
    check_recv(s, "one");
    check_recv(s, "two");
    suite_close(s);
    close(fd[0]);
    close(fd[1]);
}

static void pipe_to_read(eye_loop *loop) {
    int fd[2];
    suite_pipe(fd);
    inherit(fd[0]);
    eye_stream *s = open_endpoint(loop, "fd:%d", fd[0]);
    suite_write(loop, fd[1], "in", 2);
    check_recv(s, "in");
    CHECK_INT(send_one(s, "nowhere"), -EPIPE);
    finish(s);
    close(fd[1]);
    check_end(s);
    suite_close(s);
    close(fd[0]);
}

static void pipe_to_write(eye_loop *loop) {
    int fd[2];
    char buf[4] = "";
    suite_pipe(fd);
    inherit(fd[1]);
    eye_stream *s = open_endpoint(loop, "fd:%d", fd[1]);
    check_end(s);
    CHECK_INT(send_one(s, "out"), 3);
    CHECK_INT(suite_read(loop, fd[0], buf, 3), 3);
    CHECK_STR(buf, "out");
    finish(s); /* the last that had it open, though its number is still in use */
    CHECK_END(fd[0]);
    suite_close(s);
    close(fd[0]);
    close(fd[1]);
}

/* O_NONBLOCK would outlive us in whoever shares the pipe. */
static void flags_are_left_alone(eye_loop *loop) {
    int fd[2];
    if (pipe2(fd, O_CLOEXEC) < 0)
        abort();
    inherit(fd[0]);
    int shared = fcntl(fd[0], F_DUPFD_CLOEXEC, 3);
    eye_stream *s = open_endpoint(loop, "fd:%d", fd[0]);
    CHECK_INT(fcntl(shared, F_GETFL) & O_NONBLOCK, 0);
    struct got got = {0};
    char buf[8];
    SUBMIT(eye_recv(s, &got.op, buf, sizeof buf, got_done));
    suite_turns(3); /* and yet this does not wait */
    CHECK(eye_op_pending(&got.op));
    suite_write(loop, fd[1], "in", 2);
    AWAIT_INT(got, 2);
    suite_close(s);
    CHECK_INT(fcntl(shared, F_GETFL) & O_NONBLOCK, 0);
    close(shared);
    close(fd[0]);
    close(fd[1]);
}

static void descriptor_of_a_file(eye_loop *loop) {
    int fd = memfd_create("file", 0);
    suite_write(loop, fd, "skipped, read", 13);
    lseek(fd, 9, SEEK_SET);
    eye_stream *s = open_endpoint(loop, "fd:%d", fd);
    check_recv(s, "read");
    check_end(s);
    CHECK_INT(send_one(s, " and written"), 12);
    suite_close(s);
    close(fd);
}

static void no_such_descriptor(eye_loop *loop) {
    struct eye_endpoint e = suite_endpoint("fd:999");
    eye_listener *listener;
    check_refused(loop, -EBADF, "fd:999");
    CHECK(!eye_endpoint_listens(&e));
    CHECK_INT(eye_listen(loop, &e, &listener, 1, NULL), -EBADF);
    eye_endpoint_done(&e);
}

static void taken_once(eye_loop *loop) {
    int fd[2], null = open("/dev/null", O_RDWR | O_CLOEXEC);
    suite_socketpair(SOCK_STREAM, fd);
    inherit(fd[0]);
    eye_stream *s = open_endpoint(loop, "fd:%d", fd[0]);
    check_refused(loop, -EBUSY, "fd:%d", fd[0]);
    suite_close(s);
    check_refused(loop, -EBUSY, "fd:%d", fd[0]);
    inherit(null);
    s = open_endpoint(loop, "fd:%d", null); /* not every /dev/null is one that was left behind */
    check_end(s);
    suite_close(s);
    close(fd[0]);
    close(fd[1]);
    close(null);
}

static void listening_socket(eye_loop *loop) {
    struct eye_addr addr, told;
    int fd = suite_tcp_listener(4, &addr);
    inherit(fd);
    struct eye_endpoint e = suite_endpoint("fd:%d", fd);
    CHECK(eye_endpoint_listens(&e));
    check_refused(loop, EYE_ESYNTAX, "fd:%d", fd);
    eye_listener *listener;
    if (!CHECK_INT(eye_listen(loop, &e, &listener, 1, NULL), 1))
        return;
    CHECK_INT(eye_listener_addr(listener, &told), 0);
    CHECK_INT(eye_addr_port(&told), eye_addr_port(&addr));
    for (int i = 0; i < 2; i++) {
        struct got accepted = {0};
        eye_stream *s;
        int peer = suite_connect(&addr);
        SUBMIT(eye_accept(listener, &accepted.op, &s, got_done));
        AWAIT_INT(accepted, 0);
        suite_write(loop, peer, "in", 2);
        check_recv(s, "in");
        suite_close(s);
        close(peer);
    }
    eye_listener_free(listener);
    eye_endpoint_done(&e);
    close(fd);
}

static void listening_for_messages(eye_loop *loop) {
    const struct sockaddr_un any = {.sun_family = AF_UNIX};
    struct eye_addr addr = {.len = sizeof addr.u};
    int fd = socket(AF_UNIX, SOCK_SEQPACKET, 0), peer = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
    CHECK(bind(fd, (const struct sockaddr *)&any, sizeof any.sun_family) == 0 && listen(fd, 1) == 0);
    CHECK(getsockname(fd, &addr.u.sa, &addr.len) == 0 && connect(peer, &addr.u.sa, addr.len) == 0);
    struct eye_endpoint e = suite_endpoint("fd:%d", fd);
    struct got accepted = {0};
    eye_listener *listener;
    eye_stream *s;
    if (!CHECK_INT(eye_listen(loop, &e, &listener, 1, NULL), 1))
        return;
    SUBMIT(eye_accept(listener, &accepted.op, &s, got_done));
    AWAIT_INT(accepted, 0);
    static char sent[100000], came[sizeof sent + 1];
    CHECK_INT(send(peer, sent, sizeof sent, 0), sizeof sent);
    CHECK_INT(recv_one(s, came, sizeof came), sizeof sent);
    suite_close(s);
    eye_listener_free(listener);
    eye_endpoint_done(&e);
    close(peer);
    close(fd);
}

static void listens_or_not(eye_loop *loop) {
    int fd[2];
    suite_socketpair(SOCK_STREAM, fd);
    struct eye_endpoint e = suite_endpoint("fd:%d", fd[0]);
    eye_listener *listener;
    struct eye_err err;
    CHECK(!eye_endpoint_listens(&e));
    CHECK_INT(eye_listen(loop, &e, &listener, 1, &err), EYE_ESYNTAX);
    CHECK(strstr(err.text, "the descriptor does not listen"));
    eye_endpoint_done(&e);
    close(fd[0]);
    close(fd[1]);
}

/* ---- files ---- */

static struct { char folder[64], path[80]; } temp;

static void write_file(const char *text) {
    suite_tempdir(temp.folder);
    snprintf(temp.path, sizeof temp.path, "%s/file", temp.folder);
    if (!text)
        return;
    FILE *file = fopen(temp.path, "we");
    fputs(text, file);
    fclose(file);
}

static void check_file(const char *want) {
    char text[64] = "";
    FILE *file = fopen(temp.path, "re");
    if (CHECK(file)) {
        CHECK_INT(fread(text, 1, sizeof text - 1, file), strlen(want));
        fclose(file);
    }
    CHECK_STR(text, want);
    suite_remove(temp.folder);
}

static void file_is_read(eye_loop *loop) {
    write_file("old");
    eye_stream *s = open_endpoint(loop, "file:%s", temp.path);
    CHECK_INT(send_one(s, "new"), -EPIPE);
    check_recv(s, "old");
    check_end(s);
    finish(s);
    suite_close(s);
    check_file("old");
}

static void file_is_written(eye_loop *loop) {
    static const struct {
        const char *before, *options, *after;
    } rows[] = {
        {"old", "create", "new"},           {NULL, "create", "new"},        {"old", "append", "oldnew"},
        {"old", "append,create", "oldnew"}, {NULL, "create,append", "new"},
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        write_file(rows[i].before);
        eye_stream *s = open_endpoint(loop, "file:%s,%s", temp.path, rows[i].options);
        check_end(s);
        CHECK_INT(send_one(s, "new"), 3);
        finish(s);
        suite_close(s);
        check_file(rows[i].after);
    }
}

static void two_append(eye_loop *loop) {
    write_file("");
    eye_stream *a = open_endpoint(loop, "file:%s,append", temp.path);
    eye_stream *b = open_endpoint(loop, "file:%s,append", temp.path);
    send_one(a, "1");
    send_one(b, "2");
    send_one(a, "3");
    suite_close(a);
    suite_close(b);
    check_file("123");
}

static void device(eye_loop *loop) {
    char zeros[8] = "xxxxxxxx";
    eye_stream *s = open_endpoint(loop, "file:/dev/zero");
    CHECK_INT(recv_one(s, zeros, sizeof zeros), sizeof zeros);
    CHECK(zeros[0] == 0 && zeros[7] == 0);
    CHECK_INT(send_one(s, "goes nowhere"), 12);
    suite_close(s);
    s = open_endpoint(loop, "file:/dev/full");
    CHECK_INT(send_one(s, "x"), -ENOSPC);
    suite_close(s);
}

static void fifo_waits_for_its_writer(eye_loop *loop) {
    write_file(NULL);
    mkfifo(temp.path, 0600);
    eye_stream *s = open_endpoint(loop, "file:%s", temp.path);
    struct got got = {0};
    char buf[8];
    SUBMIT(eye_recv(s, &got.op, buf, sizeof buf, got_done));
    suite_turns(5);
    CHECK(eye_op_pending(&got.op)); /* and has not ended */
    int fd = open(temp.path, O_WRONLY | O_CLOEXEC);
    suite_write(loop, fd, "in", 2);
    AWAIT_INT(got, 2);
    close(fd);
    check_end(s);
    suite_close(s);
    suite_remove(temp.folder);
}

static void fifo_to_write(eye_loop *loop) {
    write_file(NULL);
    mkfifo(temp.path, 0600);
    check_refused(loop, -ENXIO, "file:%s,append", temp.path);
    int fd = open(temp.path, O_RDONLY | O_NONBLOCK | O_CLOEXEC);
    eye_stream *s = open_endpoint(loop, "file:%s,append", temp.path);
    char buf[4] = "";
    check_end(s);
    CHECK_INT(send_one(s, "out"), 3);
    CHECK_INT(suite_read(loop, fd, buf, 3), 3);
    CHECK_STR(buf, "out");
    finish(s);
    CHECK_END(fd);
    suite_close(s);
    close(fd);
    suite_remove(temp.folder);
}

static void refused(eye_loop *loop) {
    write_file(NULL);
    check_refused(loop, -ENOENT, "file:%s", temp.path);
    check_refused(loop, -ENOENT, "file:%s,append", temp.path);
    check_refused(loop, -ENOENT, "file:%s/none,create", temp.path);
    check_refused(loop, -EISDIR, "file:%s", temp.folder);
    check_refused(loop, -EISDIR, "file:%s,append", temp.folder);
    check_refused(loop, -EISDIR, "file:%s,create", temp.folder);
    suite_remove(temp.folder);
}

static void cannot_listen(eye_loop *loop) {
    static const char *const texts[] = {"exec:cat", "file:/dev/null", "stdio"};
    for (size_t i = 0; i < ARRAY_LEN(texts); i++) {
        struct eye_endpoint e = suite_endpoint("%s", texts[i]);
        struct eye_err err;
        eye_listener *listener;
        CHECK(!eye_endpoint_listens(&e));
        CHECK_INT(eye_listen(loop, &e, &listener, 1, &err), EYE_ESYNTAX);
        CHECK(strstr(err.text, "cannot listen"));
        eye_endpoint_done(&e);
    }
}

int main(int argc, char **argv) {
    static const struct suite_case cases[] = {
        {"fd: a connected socket", connected_socket},
        {"fd: a seqpacket socket keeps its messages", seqpacket_socket},
        {"fd: a pipe to read from", pipe_to_read},
        {"fd: a pipe to write to", pipe_to_write},
        {"fd: the flags of an inherited pipe are left alone", flags_are_left_alone},
        {"fd: a regular file, from where it stands", descriptor_of_a_file},
        {"fd: a number that is not open", no_such_descriptor},
        {"fd: a descriptor is taken once", taken_once},
        {"fd: a socket that listens", listening_socket},
        {"fd: a socket that listens for messages", listening_for_messages},
        {"fd: a socket that does not listen", listens_or_not},
        {"file: a regular file is read, and not written to", file_is_read},
        {"file: created, emptied and appended to", file_is_written},
        {"file: two that append do not overwrite each other", two_append},
        {"file: a device goes both ways", device},
        {"file: a FIFO waits for its writer", fifo_waits_for_its_writer},
        {"file: a FIFO that is written to", fifo_to_write},
        {"file: what is missing, and a folder", refused},
        {"what cannot listen", cannot_listen},
    };
    return suite_main(cases, ARRAY_LEN(cases), argc, argv);
}
