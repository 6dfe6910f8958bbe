/* test_flow_datagrams.c: serving senders of datagrams: answered from memory in batches, or each a peer. */
#include <ctype.h>
#include <netinet/udp.h>

#include "datagrams.h"

#ifndef UDP_SEGMENT
#define UDP_SEGMENT 103 /* linux/udp.h, since Linux 4.18 */
#endif

static struct {
    struct eye_endpoint endpoint;
    struct eye_handler handler;
    struct seen *seen;
    eye_server *server;
    struct got stopped;
    unsigned port;
} host;

static void serve(eye_loop *loop, struct eye_endpoint endpoint, struct eye_handler handler) {
    host.endpoint = endpoint;
    host.seen = seen_new();
    host.handler = handler;
    host.handler.observer = &host.seen->observer;
    host.stopped = (struct got){0};
    if (!CHECK_INT(eye_serve(loop, &host.endpoint, &host.handler, &host.server, NULL), 0))
        exit(1);
    host.port = eye_addr_port(&host.seen->address);
}

static void stop(void) {
    SUBMIT(eye_server_stop(host.server, &host.stopped.op, 0, got_done));
    AWAIT_INT(host.stopped, 0);
    eye_server_free(host.server);
    eye_endpoint_done(&host.endpoint);
    free(host.seen);
}

/* ---- a data handler ---- */

static void echo_data(eye_peer *peer, struct eye_bytes bytes) {
    eye_peer_send(peer, bytes.data, bytes.size);
}

static const struct eye_handler echo = {.data = echo_data};

static void ping(eye_loop *loop, int fd) {
    char buf[8] = "";
    CHECK_INT(send(fd, "ping", 4, 0), 4);
    CHECK_INT(suite_next(loop, fd, buf, sizeof buf), 4);
    CHECK_STR(buf, "ping");
}

static void sizes_and_order(eye_loop *loop) {
    serve(loop, suite_endpoint("udp:127.0.0.1:0,rcvbuf=1MiB,sndbuf=1MiB"), echo);
    int fd = client("127.0.0.1", host.port);
    for (size_t i = 0; i < 200; i++)
        send_pattern(fd, (i * 7) % 31); /* empty ones too, equal ones behind each other too */
    for (size_t i = 0; i < 200; i++)
        expect_pattern(loop, fd, (i * 7) % 31);
    send_pattern(fd, 65507);
    send_pattern(fd, 0);
    send_pattern(fd, 65506);
    expect_pattern(loop, fd, 65507);
    expect_pattern(loop, fd, 0);
    expect_pattern(loop, fd, 65506);
    close(fd);
    stop();
}

/* Sends a piece that the kernel cuts into datagrams, and delivers joined to whom asks for that. */
static void send_joined(int fd, size_t size, size_t segment) {
    CHECK_INT(sys_set_int(fd, IPPROTO_UDP, UDP_SEGMENT, (int)segment), 0);
    send_pattern(fd, size);
    CHECK_INT(sys_set_int(fd, IPPROTO_UDP, UDP_SEGMENT, 0), 0);
}

static void expect_joined(eye_loop *loop, int fd, size_t size, size_t segment, int (*map)(int)) {
    uint8_t buf[2048];
    for (size_t at = 0; at < size; at += segment) {
        size_t want = MIN(segment, size - at);
        if (!CHECK_INT(suite_next(loop, fd, buf, sizeof buf), want))
            return;
        for (size_t i = 0; i < want; i++)
            if (!CHECK_INT(buf[i], (uint8_t)(map ? map(pattern[at + i]) : pattern[at + i])))
                return;
    }
}

static void joined(eye_loop *loop) {
    serve(loop, suite_endpoint("udp:127.0.0.1:0"), echo);
    int fd = client("127.0.0.1", host.port);
    send_joined(fd, 1050, 100);
    send_pattern(fd, 100);
    send_joined(fd, 1200, 100);
    send_joined(fd, 600, 60);
    expect_joined(loop, fd, 1050, 100, NULL);
    expect_pattern(loop, fd, 100);
    expect_joined(loop, fd, 1200, 100, NULL);
    expect_joined(loop, fd, 600, 60, NULL);
    close(fd);
    stop();
}

static void upper_data(eye_peer *peer, struct eye_bytes bytes) {
    uint8_t upper[2048];
    for (size_t i = 0; i < bytes.size; i++)
        upper[i] = (uint8_t)toupper(bytes.data[i]);
    eye_peer_send(peer, upper, bytes.size);
}

static void own_answers(eye_loop *loop) {
    /* Joined, these are far more than the entries of a batch: each is answered all the same. */
    serve(loop, suite_endpoint("udp:127.0.0.1:0,rcvbuf=1MiB"), (struct eye_handler){.data = upper_data});
    int fd = client("127.0.0.1", host.port);
    for (int i = 0; i < 5; i++)
        send_joined(fd, 600, 10);
    for (int i = 0; i < 5; i++)
        expect_joined(loop, fd, 600, 10, toupper);
    close(fd);
    stop();
}

static void thrice_data(eye_peer *peer, struct eye_bytes bytes) {
    for (int i = 0; i < 3; i++)
        eye_peer_send(peer, bytes.data, i == 1 ? 1 : bytes.size);
}

static void more_answers(eye_loop *loop) {
    serve(loop, suite_endpoint("udp:127.0.0.1:0,rcvbuf=1MiB"), (struct eye_handler){.data = thrice_data});
    int fd = client("127.0.0.1", host.port);
    for (int i = 0; i < 70; i++)
        send_pattern(fd, 20);
    for (int i = 0; i < 70; i++) {
        expect_pattern(loop, fd, 20);
        expect_pattern(loop, fd, 1);
        expect_pattern(loop, fd, 20);
    }
    close(fd);
    stop();
}

static void many_senders(eye_loop *loop) {
    enum { MANY = 100 };
    serve(loop, suite_endpoint("udp:[::]:0,rcvbuf=1MiB"), echo);
    int fd[MANY];
    for (int i = 0; i < MANY; i++)
        fd[i] = client(i % 2 ? "::1" : "127.0.0.5", host.port);
    for (int round = 0; round < 3; round++) {
        for (int i = 0; i < MANY; i++)
            send_pattern(fd[i], (size_t)(100 * round + i));
    }
    for (int i = 0; i < MANY; i++) {
        for (int round = 0; round < 3; round++)
            expect_pattern(loop, fd[i], (size_t)(100 * round + i));
        close(fd[i]);
    }
    stop();
}

static void silent_data(eye_peer *peer, struct eye_bytes bytes) {
    struct eye_addr addr;
    CHECK_INT(eye_peer_addr(peer, &addr), 0);
    CHECK(addr.u.in.sin_addr.s_addr == htonl(INADDR_LOOPBACK));
    if (bytes.size == 4)
        eye_peer_send(peer, bytes.data, bytes.size);
}

static void silence(eye_loop *loop) {
    serve(loop, suite_endpoint("udp:127.0.0.1:0"), (struct eye_handler){.data = silent_data});
    int fd = client("127.0.0.1", host.port);
    for (int i = 0; i < 10; i++)
        send_pattern(fd, 3);
    ping(loop, fd);
    close(fd);
    stop();
}

static void denied(eye_loop *loop) {
    serve(loop, suite_endpoint("udp:[::]:0,deny=127.0.0.0/8"), echo); /* it comes as a mapped one */
    int fd = client("127.0.0.1", host.port), other = client("::1", host.port);
    send_pattern(fd, 3);
    ping(loop, other); /* it was told after the other was passed over */
    char byte;
    CHECK(recv(fd, &byte, 1, 0) < 0 && errno == EAGAIN);
    close(fd);
    close(other);
    stop();
}

static void refused_answer(eye_loop *loop) {
    /* A sender that has gone before its answer comes is nobody's trouble. */
    serve(loop, suite_endpoint("udp:127.0.0.1:0"), echo);
    for (int i = 0; i < 20; i++) {
        int gone = client("127.0.0.1", host.port);
        send_pattern(gone, 5);
        close(gone);
    }
    int fd = client("127.0.0.1", host.port);
    for (int i = 0; i < 20; i++)
        ping(loop, fd);
    close(fd);
    stop();
}

static void unix_echo(eye_loop *loop) {
    char dir[64];
    suite_tempdir(dir);
    serve(loop, suite_endpoint("unix:%s/server,type=dgram", dir), echo);
    int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    struct sockaddr_un own = {.sun_family = AF_UNIX};
    snprintf(own.sun_path, sizeof own.sun_path, "%s/client", dir);
    CHECK_INT(bind(fd, (struct sockaddr *)&own, sizeof own), 0);
    CHECK_INT(connect(fd, &host.seen->address.u.sa, host.seen->address.len), 0);
    send_pattern(fd, 5);
    send_pattern(fd, 0);
    send_pattern(fd, 60000);
    expect_pattern(loop, fd, 5);
    expect_pattern(loop, fd, 0);
    expect_pattern(loop, fd, 60000);
    /* Who has no address cannot be answered, and is no trouble either. */
    int unnamed = socket(AF_UNIX, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    CHECK_INT(connect(unnamed, &host.seen->address.u.sa, host.seen->address.len), 0);
    send_pattern(unnamed, 5);
    ping(loop, fd);
    close(unnamed);
    close(fd);
    char path[80];
    snprintf(path, sizeof path, "%s/server", dir);
    CHECK_INT(access(path, F_OK), 0);
    stop();
    CHECK(access(path, F_OK) < 0);
    suite_remove(dir);
}

static void stopping_data(eye_peer *peer, struct eye_bytes bytes) {
    if (bytes.size == 0)
        SUBMIT(eye_server_stop(host.server, &host.stopped.op, SUITE_LIMIT_NS, got_done));
    eye_peer_send(peer, bytes.data, bytes.size);
}

static void stopped_inside(eye_loop *loop) {
    serve(loop, suite_endpoint("udp:127.0.0.1:0"), (struct eye_handler){.data = stopping_data});
    int fd = client("127.0.0.1", host.port);
    ping(loop, fd);
    send_pattern(fd, 0);
    send_pattern(fd, 3);
    AWAIT_INT(host.stopped, 0);
    close(fd);
    eye_server_free(host.server);
    eye_endpoint_done(&host.endpoint);
    free(host.seen);
}

/* ---- each sender a peer, joined to a stream ---- */

static struct {
    struct eye_endpoint from, to;
    struct seen *seen;
    eye_forward *forward;
    struct got got;
    struct eye_outcome outcome;
    int listener;
    unsigned port;
} joint;

static void forward(eye_loop *loop, const char *options) {
    struct eye_addr addr;
    joint.listener = suite_tcp_listener(8, &addr);
    fcntl(joint.listener, F_SETFL, O_NONBLOCK);
    joint.from = suite_endpoint("udp:127.0.0.1:0%s", options);
    joint.to = suite_endpoint("tcp:127.0.0.1:%u", eye_addr_port(&addr));
    joint.seen = seen_new();
    joint.got = (struct got){0};
    const struct eye_forward_opts opts = {
        .from = &joint.from, .to = &joint.to, .observer = &joint.seen->observer};
    if (!CHECK_INT(eye_forward_new(loop, &opts, &joint.forward, NULL), 0))
        exit(1);
    SUBMIT(eye_forward_run(joint.forward, &joint.got.op, &joint.outcome, got_done));
    UNTIL(joint.seen->count[EYE_EVENT_LISTENING] == 1);
    joint.port = eye_addr_port(&joint.seen->address);
}

static void forward_end(void) {
    SUBMIT(eye_forward_stop(joint.forward, 0));
    AWAIT_INT(joint.got, 0);
    eye_forward_free(joint.forward);
    eye_endpoint_done(&joint.from);
    eye_endpoint_done(&joint.to);
    close(joint.listener);
    free(joint.seen);
}

/* The other end of what a sender was joined to. */
static int accept_joint(void) {
    int fd = -1;
    UNTIL((fd = accept4(joint.listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC)) >= 0);
    return fd;
}

static void expect_text(eye_loop *loop, int fd, const char *want) {
    char buf[32] = "";
    CHECK_INT(suite_read(loop, fd, buf, strlen(want)), strlen(want));
    CHECK_STR(buf, want);
}

static void peers_max(eye_loop *loop) {
    forward(loop, ",max=2,idle=150ms");
    int fd[3], to[3];
    for (int i = 0; i < 3; i++)
        fd[i] = client("127.0.0.1", joint.port);
    for (int i = 0; i < 2; i++) {
        CHECK_INT(send(fd[i], "first", 5, 0), 5);
        to[i] = accept_joint();
        expect_text(loop, to[i], "first");
    }
    CHECK_INT(send(fd[2], "third", 5, 0), 5);
    suite_turns(5);
    CHECK(accept(joint.listener, NULL, NULL) < 0 && errno == EAGAIN);
    /* One that falls silent makes room; the one that waited has lost nothing. */
    to[2] = accept_joint();
    CHECK(joint.seen->count[EYE_EVENT_CLOSED] >= 1);
    CHECK_STR(eye_reason_name(joint.seen->reason), "idle");
    expect_text(loop, to[2], "third");
    CHECK_INT(write(to[2], "answer", 6), 6);
    expect_text(loop, fd[2], "answer");
    for (int i = 0; i < 3; i++) {
        close(fd[i]);
        close(to[i]);
    }
    forward_end();
}

static void peers_are_apart(eye_loop *loop) {
    forward(loop, "");
    int fd[2], to[2];
    for (int i = 0; i < 2; i++) {
        fd[i] = client("127.0.0.1", joint.port);
        CHECK_INT(send(fd[i], i ? "b" : "a", 1, 0), 1);
        to[i] = accept_joint();
        expect_text(loop, to[i], i ? "b" : "a");
    }
    for (int i = 0; i < 2; i++)
        CHECK_INT(write(to[i], i ? "to b" : "to a", 4), 4);
    expect_text(loop, fd[0], "to a");
    expect_text(loop, fd[1], "to b");
    for (int i = 0; i < 2; i++) {
        close(fd[i]);
        close(to[i]);
    }
    forward_end();
}

static void peers_denied(eye_loop *loop) {
    forward(loop, ",allow=192.0.2.0/24");
    int fd = client("127.0.0.1", joint.port);
    CHECK_INT(send(fd, "x", 1, 0), 1);
    UNTIL(joint.seen->count[EYE_EVENT_CLOSED] == 1);
    CHECK_STR(eye_reason_name(joint.seen->reason), "denied");
    CHECK(accept(joint.listener, NULL, NULL) < 0 && errno == EAGAIN);
    close(fd);
    forward_end();
}

static const struct suite_case cases[] = {
    {"every size comes back as it was, in order", sizes_and_order},
    {"joined datagrams come back as single ones", joined},
    {"answers of one's own to joined datagrams: none is missing", own_answers},
    {"several answers to each datagram", more_answers},
    {"a hundred senders of both families, each gets its own", many_senders},
    {"no answer where the handler gives none", silence},
    {"deny= holds for mapped addresses", denied},
    {"senders that have gone hold nobody up", refused_answer},
    {"Unix datagrams are echoed, and the file is removed", unix_echo},
    {"stopped from inside its handler", stopped_inside},
    {"max= senders at once, idle= makes room", peers_max},
    {"each sender has a stream of its own", peers_are_apart},
    {"allow= holds for senders", peers_denied},
};

int main(int argc, char **argv) {
    pattern = suite_pattern(DATAGRAM_BYTES);
    int status = suite_main(cases, ARRAY_LEN(cases), argc, argv);
    free(pattern);
    return status;
}
