/* test_loop_once.c: every kind of operation completes exactly once and never inside the call that
 * submits it, also where its result is there at once: got_done checks both. */
#include <poll.h>

#include "suite.h"

/* After the result has come, nothing more may. */
static void once(struct got *got, int64_t want) {
    CHECK_INT(got->count, 0);
    AWAIT_INT(*got, want);
    suite_turns(5);
    IS_DONE_ONCE(*got, want);
}

static eye_stream *ready_stream(eye_loop *loop, int *ret_fd) {
    int fd[2];
    suite_socketpair(SOCK_STREAM, fd);
    suite_write(loop, fd[1], "ready", 5);
    *ret_fd = fd[1];
    return suite_stream(loop, fd[0], FLAGS_UNIX);
}

static void once_recv(eye_loop *loop) {
    int fd;
    eye_stream *s = ready_stream(loop, &fd);
    struct got got = {0};
    char buf[8];
    SUBMIT(eye_recv(s, &got.op, buf, sizeof buf, got_done));
    once(&got, 5);
    suite_close(s);
    close(fd);
}

static struct eye_bytes lent;
static char lent_copy[8];

static void keep_lent(struct got *got) {
    (void)got;
    memcpy(lent_copy, lent.data, MIN(lent.size, sizeof lent_copy));
}

static void once_recv_lent(eye_loop *loop) {
    int fd;
    eye_stream *s = ready_stream(loop, &fd);
    struct got got = {.then = keep_lent};
    SUBMIT(eye_recv_lent(s, &got.op, &lent, got_done));
    once(&got, 5);
    CHECK(lent.size == 5 && memcmp(lent_copy, "ready", 5) == 0);
    suite_close(s);
    close(fd);
}

static void once_send(eye_loop *loop) {
    int fd;
    eye_stream *s = ready_stream(loop, &fd);
    struct got got = {0};
    SUBMIT(eye_send(s, &got.op, "x", 1, got_done));
    once(&got, 1);
    suite_close(s);
    close(fd);
}

static void once_send_nothing(eye_loop *loop) {
    int fd;
    eye_stream *s = ready_stream(loop, &fd);
    struct got got[2] = {0};
    SUBMIT(eye_send(s, &got[0].op, "", 0, got_done));
    SUBMIT(eye_send_copy(s, &got[1].op, "", 0, got_done));
    once(&got[0], 0);
    IS_DONE_ONCE(got[1], 0);
    suite_close(s);
    close(fd);
}

static void once_send_copy(eye_loop *loop) {
    int fd;
    eye_stream *s = ready_stream(loop, &fd);
    size_t size = (size_t)1 << 20;
    uint8_t *data = suite_pattern(size), *came = malloc(size);
    struct got got[2] = {0};
    SUBMIT(eye_send_copy(s, &got[0].op, "x", 1, got_done));
    once(&got[0], 1);
    CHECK_INT(suite_read(loop, fd, came, 1), 1);
    SUBMIT(eye_send_copy(s, &got[1].op, data, size, got_done));
    memset(data, 0, size); /* the caller's again */
    CHECK_INT(suite_read(loop, fd, came, size), size);
    AWAIT_INT(got[1], size);
    free(data);
    data = suite_pattern(size);
    CHECK(memcmp(data, came, size) == 0);
    suite_close(s);
    close(fd);
    free(data);
    free(came);
}

static void once_finish(eye_loop *loop) {
    int fd;
    eye_stream *s = ready_stream(loop, &fd);
    struct got got = {0};
    SUBMIT(eye_finish(s, &got.op, got_done));
    once(&got, 0);
    CHECK_END(fd);
    suite_close(s);
    close(fd);
}

static void once_accept(eye_loop *loop) {
    struct eye_endpoint e = suite_endpoint("tcp:127.0.0.1:0");
    eye_listener *listener;
    struct eye_addr addr;
    if (!CHECK_INT(eye_listen(loop, &e, &listener, 1, NULL), 1) ||
        !CHECK_INT(eye_listener_addr(listener, &addr), 0))
        return;
    int fd = suite_connect(&addr);
    struct got got = {0};
    eye_stream *s = NULL;
    SUBMIT(eye_accept(listener, &got.op, &s, got_done));
    once(&got, 0);
    suite_close(s);
    close(fd);
    eye_listener_free(listener);
    eye_endpoint_done(&e);
}

static void once_connect(eye_loop *loop) {
    struct eye_addr addr;
    int listener = suite_tcp_listener(1, &addr);
    eye_stream *s = suite_stream(loop, sys_socket(AF_INET, SOCK_STREAM, 0), FLAGS_TCP);
    struct got got = {0};
    SUBMIT(io_connect(&s->slot[0], &got.op, &addr, got_done));
    once(&got, 0);
    suite_close(s);
    close(listener);
}

static void once_dial(eye_loop *loop) {
    struct eye_addr addr;
    int listener = suite_tcp_listener(1, &addr);
    struct eye_endpoint e[] = {suite_endpoint("tcp:127.0.0.1:%u", eye_addr_port(&addr)),
                               suite_endpoint("tcp:1")};
    struct eye_dialled dialled;
    struct got got[2] = {0};
    SUBMIT(eye_dial(loop, &got[0].op, &e[0], &dialled, got_done));
    once(&got[0], 0);
    suite_close(dialled.stream);
    SUBMIT(eye_dial(loop, &got[1].op, &e[1], &dialled, got_done)); /* names no peer */
    once(&got[1], EYE_ESYNTAX);
    CHECK(dialled.err.code == EYE_ESYNTAX && strstr(dialled.err.text, "HOST:PORT"));
    close(listener);
    eye_endpoint_done(&e[0]);
    eye_endpoint_done(&e[1]);
}

static void once_poll(eye_loop *loop) {
    int fd[2];
    suite_pipe(fd);
    struct got got[3] = {0};
    SUBMIT(eye_poll(loop, &got[0].op, fd[1], EYE_OUT, got_done));
    once(&got[0], POLLOUT);
    suite_write(loop, fd[1], "x", 1);
    SUBMIT(eye_poll(loop, &got[1].op, fd[0], EYE_IN, got_done));
    once(&got[1], POLLIN);
    SUBMIT(eye_poll(loop, &got[2].op, -1, EYE_IN, got_done));
    once(&got[2], -EBADF);
    close(fd[0]);
    close(fd[1]);
}

static void once_splice(eye_loop *loop) {
    int fd[2], sink[2];
    eye_stream *s = ready_stream(loop, &fd[0]);
    suite_pipe(sink);
    struct got got = {0};
    SUBMIT(io_splice(&s->slot[0], &got.op, sink[1], got_done));
    once(&got, 5);
    char buf[8];
    CHECK_INT(suite_read(loop, sink[0], buf, 5), 5);
    suite_close(s);
    close(fd[0]);
    close(sink[0]);
    close(sink[1]);
}

static void once_splice_pool(eye_loop *loop) {
    int fd;
    eye_stream *s = ready_stream(loop, &fd);
    struct got in = {0}, out = {0};
    struct kpipe *pipe = NULL;
    SUBMIT(io_splice_in(&s->slot[0], &in.op, &pipe, got_done));
    once(&in, 5);
    SUBMIT(io_splice_out(&s->slot[0], &out.op, pipe, 5, got_done));
    once(&out, 5);
    pipe_put(loop, pipe, true);
    char buf[8] = "";
    CHECK_INT(suite_read(loop, fd, buf, 5), 5);
    CHECK(memcmp(buf, "ready", 5) == 0);
    suite_close(s);
    close(fd);
}

static void once_timer(eye_loop *loop) {
    struct got got = {0};
    SUBMIT(eye_timer(loop, &got.op, 0, got_done));
    once(&got, 0);
}

static int64_t seven(void *user) {
    (void)user;
    return 7;
}

static void once_work(eye_loop *loop) {
    struct got got = {0};
    SUBMIT(eye_work(loop, &got.op, seven, got_done));
    once(&got, 7);
}

static void once_signal(eye_loop *loop) {
    struct got got = {0}, bad = {0};
    SUBMIT(eye_signal(loop, &got.op, SIGUSR1, got_done));
    raise(SIGUSR1);
    once(&got, SIGUSR1);
    SUBMIT(eye_signal(loop, &bad.op, SIGKILL, got_done));
    once(&bad, -EINVAL);
}

static void once_close(eye_loop *loop) {
    int fd;
    eye_stream *s = ready_stream(loop, &fd);
    struct got got = {0};
    SUBMIT(eye_close(s, &got.op, got_done));
    once(&got, 0);
    close(fd);
}

static void handler_data(eye_peer *peer, struct eye_bytes bytes) {
    eye_peer_send(peer, bytes.data, bytes.size);
}

static void once_stop(eye_loop *loop) {
    struct eye_endpoint e = suite_endpoint("tcp:127.0.0.1:0");
    static const struct eye_handler handler = {.data = handler_data};
    eye_server *server;
    if (!CHECK_INT(eye_serve(loop, &e, &handler, &server, NULL), 0))
        return;
    struct got got = {0};
    SUBMIT(eye_server_stop(server, &got.op, 0, got_done));
    once(&got, 0);
    eye_server_free(server);
    eye_endpoint_done(&e);
}

static void once_relay(eye_loop *loop) {
    int a[2], b[2];
    suite_socketpair(SOCK_STREAM, a);
    suite_socketpair(SOCK_STREAM, b);
    close(a[1]); /* both have ended already */
    close(b[1]);
    eye_relay *relay;
    if (!CHECK_INT(eye_relay_new(loop, suite_stream(loop, a[0], FLAGS_UNIX),
                                 suite_stream(loop, b[0], FLAGS_UNIX), NULL, &relay),
                   0))
        return;
    struct got got = {0};
    SUBMIT(eye_relay_run(relay, &got.op, got_done));
    once(&got, 0);
    eye_relay_free(relay);
}

static void once_forward(eye_loop *loop) {
    struct eye_endpoint from = suite_endpoint("tcp:127.0.0.1:0"), to = suite_endpoint("tcp:127.0.0.1:9");
    struct eye_forward_opts opts = {.from = &from, .to = &to};
    eye_forward *forward;
    if (!CHECK_INT(eye_forward_new(loop, &opts, &forward, NULL), 0))
        return;
    struct got got = {0};
    struct eye_outcome outcome;
    SUBMIT(eye_forward_run(forward, &got.op, &outcome, got_done));
    suite_turns(3);
    CHECK_INT(got.count, 0);
    SUBMIT(eye_forward_stop(forward, 0));
    once(&got, 0);
    eye_forward_free(forward);
    eye_endpoint_done(&from);
    eye_endpoint_done(&to);
}

static const struct suite_case cases[] = {
    {"a receive is done once, later", once_recv},
    {"a lent receive is done once, later", once_recv_lent},
    {"a send is done once, later", once_send},
    {"a send of nothing is done once, later", once_send_nothing},
    {"a copied send is done once, later", once_send_copy},
    {"a finish is done once, later", once_finish},
    {"an accept is done once, later", once_accept},
    {"a connect is done once, later", once_connect},
    {"a dial is done once, later", once_dial},
    {"a poll is done once, later", once_poll},
    {"a splice is done once, later", once_splice},
    {"a splice through the pool is done once, later", once_splice_pool},
    {"a timer is done once, later", once_timer},
    {"work is done once, later", once_work},
    {"a signal is done once, later", once_signal},
    {"a close is done once, later", once_close},
    {"a server's stop is done once, later", once_stop},
    {"a relay is done once, later", once_relay},
    {"a forward is done once, later", once_forward},
};

int main(int argc, char **argv) {
    return suite_main(cases, ARRAY_LEN(cases), argc, argv);
}
