/* test_stream_datagrams.c: streams of datagrams: senders that become peers with a socket of their own, and
 * dialling. */
#include "datagrams.h"

/* ---- senders that become peers ---- */

static struct {
    struct eye_endpoint endpoint;
    eye_listener *listener;
    unsigned port;
} server;

static void server_open(eye_loop *loop, struct eye_endpoint endpoint) {
    struct eye_err err = {0};
    struct eye_addr addr;
    server.endpoint = endpoint;
    if (!CHECK_INT(eye_listen(loop, &server.endpoint, &server.listener, 1, &err), 1)) {
        fprintf(stderr, "# %s\n", err.text);
        exit(1);
    }
    CHECK_INT(eye_listener_addr(server.listener, &addr), 0);
    server.port = eye_addr_port(&addr);
}

static void server_close(void) {
    eye_listener_free(server.listener);
    eye_endpoint_done(&server.endpoint);
}

static eye_stream *accepts(void) {
    struct got got = {0};
    eye_stream *stream = NULL;
    SUBMIT(eye_accept(server.listener, &got.op, &stream, got_done));
    AWAIT_INT(got, 0);
    if (!stream)
        exit(1);
    CHECK(eye_stream_endless(stream));
    return stream;
}

static void receives(eye_stream *stream, const void *want, size_t size) {
    struct got got = {0};
    struct eye_bytes bytes = {0};
    SUBMIT(eye_recv_lent(stream, &got.op, &bytes, got_done));
    AWAIT_INT(got, (int64_t)size);
    CHECK(got.result != (int64_t)size || memcmp(bytes.data, want, size) == 0);
}

static void sends(eye_stream *stream, const void *data, size_t size) {
    struct got got = {0};
    SUBMIT(eye_send(stream, &got.op, data, size, got_done));
    AWAIT_INT(got, (int64_t)size);
}

static void early_ones_first(eye_loop *loop) {
    server_open(loop, suite_endpoint("udp:127.0.0.1:0"));
    int fd = client("127.0.0.1", server.port);
    for (char c = 'a'; c <= 'e'; c++)
        CHECK(send(fd, &c, c == 'c' ? 0 : 1, 0) >= 0);
    eye_stream *stream = accepts();
    CHECK(send(fd, "late", 4, 0) == 4); /* to the peer's own socket */
    receives(stream, "a", 1);
    receives(stream, "b", 1);
    receives(stream, "", 0);
    receives(stream, "d", 1);
    receives(stream, "e", 1);
    receives(stream, "late", 4);
    sends(stream, "answer", 6);
    char buf[16];
    CHECK_INT(suite_next(loop, fd, buf, sizeof buf), 6);
    suite_close(stream);
    close(fd);
    server_close();
}

static void peer_is_one(eye_loop *loop) {
    /* Its datagrams go to its socket: nobody is accepted for it again until that is closed. */
    server_open(loop, suite_endpoint("udp:127.0.0.1:0"));
    int fd = client("127.0.0.1", server.port);
    CHECK_INT(send(fd, "one", 3, 0), 3);
    eye_stream *stream = accepts(), *none = NULL;
    struct got again = {0};
    SUBMIT(eye_accept(server.listener, &again.op, &none, got_done));
    CHECK_INT(send(fd, "two", 3, 0), 3);
    receives(stream, "one", 3);
    receives(stream, "two", 3);
    suite_turns(2);
    CHECK_INT(again.count, 0);
    suite_close(stream);
    CHECK_INT(send(fd, "three", 5, 0), 5);
    AWAIT_INT(again, 0);
    receives(none, "three", 5);
    suite_close(none);
    close(fd);
    server_close();
}

static void many_senders(eye_loop *loop) {
    enum { MANY = 40 };
    server_open(loop, suite_endpoint("udp:127.0.0.1:0"));
    int fd[MANY];
    char text[32];
    for (int i = 0; i < MANY; i++)
        fd[i] = client("127.0.0.1", server.port);
    for (int round = 0; round < 3; round++)
        for (int i = 0; i < MANY; i++)
            CHECK(send(fd[i], text, (size_t)snprintf(text, sizeof text, "%d of %d", round, i), 0) > 0);
    for (int i = 0; i < MANY; i++) {
        eye_stream *stream = accepts();
        for (int round = 0; round < 3; round++) {
            struct got got = {0};
            struct eye_bytes bytes = {0};
            SUBMIT(eye_recv_lent(stream, &got.op, &bytes, got_done));
            if (AWAIT(got) && CHECK(got.result > 0))
                sends(stream, memcpy(text, bytes.data, bytes.size), bytes.size);
        }
        suite_close(stream);
    }
    for (int i = 0; i < MANY; i++) {
        for (int round = 0; round < 3; round++) {
            char came[32] = "";
            snprintf(text, sizeof text, "%d of %d", round, i);
            CHECK(suite_next(loop, fd[i], came, sizeof came - 1) > 0);
            CHECK_STR(came, text);
        }
        close(fd[i]);
    }
    server_close();
}

static void answers_from(eye_loop *loop, const char *listens, const char *used) {
    server_open(loop, suite_endpoint("udp:%s:0", listens));
    int fd = client(used, server.port);
    send_pattern(fd, 5);
    eye_stream *stream = accepts();
    receives(stream, pattern, 5);
    sends(stream, pattern, 6);
    expect_pattern(loop, fd, 6);
    send_pattern(fd, 8);
    receives(stream, pattern, 8);
    suite_close(stream);
    close(fd);
    server_close();
}

static void answers_from_used(eye_loop *loop) {
    answers_from(loop, "0.0.0.0", "127.0.0.5");
    answers_from(loop, "[::]", "127.0.0.5");
    answers_from(loop, "[::]", "::1");
    answers_from(loop, "[::1]", "::1");
}

static void to_a_group(eye_loop *loop) {
    /* Every socket of the port gets a copy, and the peer is told of each once. */
    server_open(loop, suite_endpoint("udp:0.0.0.0:0"));
    struct eye_addr all = address("127.255.255.255", server.port);
    int fd = udp_socket("127.0.0.1", NULL);
    CHECK_INT(sys_set_int(fd, SOL_SOCKET, SO_BROADCAST, 1), 0);
    CHECK_INT(sendto(fd, "one", 3, 0, &all.u.sa, all.len), 3);
    eye_stream *stream = accepts(), *none = NULL;
    receives(stream, "one", 3);
    struct got again = {0};
    SUBMIT(eye_accept(server.listener, &again.op, &none, got_done));
    for (int i = 0; i < 5; i++) {
        CHECK_INT(sendto(fd, "more", (size_t)i, 0, &all.u.sa, all.len), i);
        suite_turns(2);
        receives(stream, "more", (size_t)i);
    }
    CHECK_INT(again.count, 0);
    sends(stream, "answer", 6);
    char buf[16];
    CHECK_INT(suite_next(loop, fd, buf, sizeof buf), 6);
    eye_cancel(loop, &again.op);
    AWAIT_INT(again, -ECANCELED);
    suite_close(stream);
    close(fd);
    server_close();
}

static void biggest(eye_loop *loop) {
    server_open(loop, suite_endpoint("udp:127.0.0.1:0,rcvbuf=1MiB,sndbuf=1MiB"));
    int fd = client("127.0.0.1", server.port);
    send_pattern(fd, 65507);
    eye_stream *stream = accepts();
    receives(stream, pattern, 65507); /* from the inbox */
    send_pattern(fd, 65507);
    receives(stream, pattern, 65507); /* and from the socket */
    sends(stream, pattern, 65507);
    expect_pattern(loop, fd, 65507);
    struct got got = {0};
    SUBMIT(eye_send(stream, &got.op, pattern, 65508, got_done));
    AWAIT_INT(got, -EMSGSIZE);
    suite_close(stream);
    close(fd);
    server_close();
}

static void too_small(eye_loop *loop) {
    server_open(loop, suite_endpoint("udp:127.0.0.1:0"));
    int fd = client("127.0.0.1", server.port);
    CHECK_INT(send(fd, "early", 5, 0), 5);
    eye_stream *stream = accepts();
    CHECK_INT(send(fd, "later", 5, 0), 5);
    for (int i = 0; i < 2; i++) {
        struct got got = {0};
        char buf[4];
        SUBMIT(eye_recv(stream, &got.op, buf, sizeof buf, got_done));
        AWAIT_INT(got, EYE_ETRUNCATED);
    }
    suite_close(stream);
    close(fd);
    server_close();
}

static void unaccepted(eye_loop *loop) {
    /* Those that wait go with the listener; one that was accepted stays. */
    server_open(loop, suite_endpoint("udp:127.0.0.1:0"));
    int fd[3];
    for (int i = 0; i < 3; i++) {
        fd[i] = client("127.0.0.1", server.port);
        CHECK_INT(send(fd[i], "x", 1, 0), 1);
    }
    eye_stream *stream = accepts();
    server_close();
    receives(stream, "x", 1);
    CHECK_INT(send(fd[0], "y", 1, 0), 1);
    receives(stream, "y", 1);
    suite_close(stream);
    for (int i = 0; i < 3; i++)
        close(fd[i]);
}

static void in_use(eye_loop *loop) {
    /* Two of us do not share a port, before peers have sockets on it and after. */
    server_open(loop, suite_endpoint("udp:127.0.0.1:0"));
    struct eye_endpoint second = suite_endpoint("udp:127.0.0.1:%u", server.port);
    eye_listener *listener;
    CHECK_INT(eye_listen(loop, &second, &listener, 1, NULL), -EADDRINUSE);
    int fd = client("127.0.0.1", server.port);
    send_pattern(fd, 1);
    eye_stream *stream = accepts();
    CHECK_INT(eye_listen(loop, &second, &listener, 1, NULL), -EADDRINUSE);
    eye_endpoint_done(&second);
    suite_close(stream);
    close(fd);
    server_close();
}

/* ---- dialling ---- */

static struct eye_dialled dialled;

static eye_stream *dials(eye_loop *loop, const struct eye_endpoint *e) {
    struct got got = {0};
    SUBMIT(eye_dial(loop, &got.op, e, &dialled, got_done));
    AWAIT_INT(got, 0);
    if (!dialled.stream)
        exit(1);
    return dialled.stream;
}

static void nobody_there(eye_loop *loop) {
    struct eye_addr addr;
    close(udp_socket("127.0.0.1", &addr));
    struct eye_endpoint e = suite_endpoint("udp:127.0.0.1:%u", eye_addr_port(&addr));
    eye_stream *stream = dials(loop, &e);
    struct got got = {0};
    char buf[4];
    SUBMIT(eye_recv(stream, &got.op, buf, sizeof buf, got_done));
    sends(stream, "x", 1);
    AWAIT_INT(got, -ECONNREFUSED);
    suite_close(stream);
    eye_endpoint_done(&e);
}

static void broadcast_is_asked_for(eye_loop *loop) {
    struct eye_endpoint e = suite_endpoint("udp:255.255.255.255:9");
    struct got got = {0};
    SUBMIT(eye_dial(loop, &got.op, &e, &dialled, got_done));
    AWAIT(got);
    if (got.result == -ENETUNREACH)
        suite_skip("no route to a broadcast address");
    CHECK_INT(got.result, -EACCES);
    CHECK(strstr(dialled.err.cause, "needs the option broadcast"));
    eye_endpoint_done(&e);
    e = suite_endpoint("udp:255.255.255.255:9,broadcast");
    suite_close(dials(loop, &e)); /* and nothing is sent */
    eye_endpoint_done(&e);
}

static void unix_datagrams(eye_loop *loop) {
    struct sockaddr_un un = {.sun_family = AF_UNIX};
    int size = snprintf(un.sun_path + 1, sizeof un.sun_path - 1, "sockeye-test-dgram-%d", getpid());
    int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    CHECK_INT(bind(fd, (struct sockaddr *)&un,
                   (socklen_t)(offsetof(struct sockaddr_un, sun_path) + 1) + (socklen_t)size),
              0);
    struct eye_endpoint e = suite_endpoint("unix:@%s,type=dgram", un.sun_path + 1);
    eye_stream *stream = dials(loop, &e);
    CHECK(eye_stream_endless(stream));
    sends(stream, "one", 3);
    sends(stream, "", 0);
    sends(stream, "three", 5);
    char buf[16];
    CHECK_INT(suite_next(loop, fd, buf, sizeof buf), 3);
    CHECK_INT(suite_next(loop, fd, buf, sizeof buf), 0);
    CHECK_INT(suite_next(loop, fd, buf, sizeof buf), 5);
    suite_close(stream);
    close(fd);
    eye_endpoint_done(&e);
}

/* Between a new socket's bind and connect(2) the kernel gives it what others send, too. */
static int others_fd;
static int others_send(const char *call, int fd, size_t *size) {
    (void)fd, (void)size;
    if (strcmp(call, "connect") == 0 && others_fd >= 0) {
        CHECK_INT(send(others_fd, "of the other", 12, 0), 12);
        others_fd = -1;
    }
    return 0;
}

static void others_meanwhile(eye_loop *loop) {
    server_open(loop, suite_endpoint("udp:0.0.0.0:0"));
    int fd = client("127.0.0.1", server.port), other = client("127.0.0.1", server.port);
    CHECK_INT(send(fd, "one", 3, 0), 3);
    others_fd = other;
    sys_fault = others_send;
    eye_stream *stream = accepts();
    sys_fault = NULL;
    CHECK_INT(send(fd, "two", 3, 0), 3);
    receives(stream, "one", 3);
    receives(stream, "two", 3);
    eye_stream *second = accepts();
    receives(second, "of the other", 12);
    sends(second, "answer", 6);
    char buf[16];
    CHECK_INT(suite_next(loop, other, buf, sizeof buf), 6);
    suite_close(stream);
    suite_close(second);
    close(fd);
    close(other);
    server_close();
}

/* ---- senders to a Unix socket ---- */

/* A socket that is bound to a name in the abstract space, or to none, and connected to the server. */
static int unix_client(const char *name) {
    int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    struct sockaddr_un un = {.sun_family = AF_UNIX};
    if (name) {
        int size = snprintf(un.sun_path + 1, sizeof un.sun_path - 1, "sockeye-test-%s-%d", name, getpid());
        socklen_t len = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + 1) + (socklen_t)size;
        CHECK_INT(bind(fd, (struct sockaddr *)&un, len), 0);
    }
    struct eye_addr addr;
    CHECK_INT(eye_listener_addr(server.listener, &addr), 0);
    CHECK_INT(connect(fd, &addr.u.sa, addr.len), 0);
    return fd;
}

static void unix_open(eye_loop *loop) {
    server_open(loop, suite_endpoint("unix:@sockeye-test-server-%d,type=dgram", getpid()));
}

static void takes(eye_stream *stream, const void *want, size_t size) {
    struct got got = {0};
    char buf[32];
    SUBMIT(eye_recv(stream, &got.op, buf, sizeof buf, got_done));
    AWAIT_INT(got, (int64_t)size);
    CHECK(got.result != (int64_t)size || memcmp(buf, want, size) == 0);
}

static void unix_senders(eye_loop *loop) {
    char buf[32];
    unix_open(loop);
    int one = unix_client("one"), two = unix_client("two");
    for (char c = 'a'; c <= 'e'; c++) {
        CHECK(send(one, &c, c == 'c' ? 0 : 1, 0) >= 0);
        CHECK(send(two, "two", 3, 0) == 3);
        if (c != 'a') /* what comes after it was accepted goes the same way */
            continue;
        eye_stream *stream = accepts();
        struct eye_addr addr;
        char text[EYE_ADDR_TEXT_MAX] = "", want[EYE_ADDR_TEXT_MAX];
        CHECK_INT(eye_stream_peer(stream, &addr), 0);
        eye_addr_format(&addr, text, sizeof text);
        snprintf(want, sizeof want, "@sockeye-test-one-%d", getpid());
        CHECK_STR(text, want);
        suite_close(stream); /* and is anew a stranger: "a" has gone with its stream */
    }
    eye_stream *second = accepts(), *first = accepts();
    takes(second, "two", 3);
    takes(first, "b", 1);
    takes(first, "", 0);
    takes(first, "d", 1);
    takes(first, "e", 1);
    sends(first, "answer", 6);
    sends(first, "", 0);
    CHECK_INT(suite_next(loop, one, buf, sizeof buf), 6);
    CHECK_INT(suite_next(loop, one, buf, sizeof buf), 0);
    suite_close(first);
    suite_close(second);
    close(one);
    close(two);
    server_close();
}

/* The listener goes first: its socket stays until its last stream has been closed, with all that it sent. */
static void unix_listener_first(eye_loop *loop) {
    char buf[32];
    unix_open(loop);
    int one = unix_client("one"), two = unix_client("two");
    CHECK_INT(send(one, "one", 3, 0), 3);
    eye_stream *stream = accepts(), *none = NULL;
    CHECK_INT(send(two, "two", 3, 0), 3);
    suite_turns(3);
    struct got got = {0};
    SUBMIT(eye_accept(server.listener, &got.op, &none, got_done)); /* there is one that waits */
    AWAIT_INT(got, 0);
    suite_close(none);
    got = (struct got){0};
    SUBMIT(eye_accept(server.listener, &got.op, &none, got_done));
    eye_listener_free(server.listener);
    AWAIT_INT(got, -ECANCELED);
    CHECK_INT(send(one, "more", 4, 0), 4);
    takes(stream, "one", 3);
    takes(stream, "more", 4);
    for (int i = 0; i < 30; i++) /* more than its queue holds, without its reading them */
        sends(stream, "answer", 6);
    suite_close(stream);
    for (int i = 0; i < 30; i++)
        CHECK_INT(suite_next(loop, one, buf, sizeof buf), 6);
    close(one);
    close(two);
    eye_endpoint_done(&server.endpoint);
}

static void unix_unnamed(eye_loop *loop) {
    unix_open(loop);
    int one = unix_client(NULL), two = unix_client(NULL);
    CHECK_INT(send(one, "one", 3, 0), 3);
    CHECK_INT(send(two, "two", 3, 0), 3);
    eye_stream *stream = accepts();
    takes(stream, "one", 3);
    takes(stream, "two", 3);
    struct got got = {0};
    SUBMIT(eye_send(stream, &got.op, "answer", 6, got_done));
    AWAIT_INT(got, -EPIPE);
    suite_close(stream);
    close(one);
    close(two);
    server_close();
}

static void unix_gone(eye_loop *loop) {
    unix_open(loop);
    int fd = unix_client("one");
    CHECK_INT(send(fd, "one", 3, 0), 3);
    eye_stream *stream = accepts();
    takes(stream, "one", 3);
    struct got got = {0};
    struct eye_bytes bytes;
    SUBMIT(eye_recv_lent(stream, &got.op, &bytes, got_done));
    close(fd);
    sends(stream, "answer", 6);
    AWAIT_INT(got, -ECONNRESET);
    /* One that comes after it at its address is a new one. */
    fd = unix_client("one");
    CHECK_INT(send(fd, "new", 3, 0), 3);
    eye_stream *other = accepts();
    takes(other, "new", 3);
    suite_close(stream);
    suite_close(other);
    close(fd);
    server_close();
}

static const struct suite_case cases[] = {
    {"what came before a peer's socket comes first", early_ones_first},
    {"a sender is one peer until it is closed", peer_is_one},
    {"many senders, each its own peer", many_senders},
    {"a wildcard server answers from the address that was used", answers_from_used},
    {"a sender to a broadcast address is a peer like others", to_a_group},
    {"65,507 bytes both ways, and no more", biggest},
    {"a datagram that does not fit is told", too_small},
    {"peers that nobody accepts go with the listener", unaccepted},
    {"a port in use, with peers and without", in_use},
    {"a port where nobody is refuses", nobody_there},
    {"a broadcast address without broadcast", broadcast_is_asked_for},
    {"datagrams to a Unix socket", unix_datagrams},
    {"what others send before a new socket is connected is theirs", others_meanwhile},
    {"senders to a Unix socket", unix_senders},
    {"a Unix listener goes before its senders", unix_listener_first},
    {"senders without an address", unix_unnamed},
    {"a sender that is gone", unix_gone},
};

int main(int argc, char **argv) {
    pattern = suite_pattern(DATAGRAM_BYTES);
    int status = suite_main(cases, ARRAY_LEN(cases), argc, argv);
    free(pattern);
    return status;
}
