/* test_loop_order.c: the order in which operations of a stream complete, how they are cancelled in each
 * state, and how a stream is closed. */
#include "suite.h"

#define BIG_BYTES ((size_t)1 << 20) /* more than a socket holds */

/* A stream over one end of a socketpair; the other end is fd. */
static eye_stream *stream_and_peer(eye_loop *loop, int *ret_fd) {
    int fd[2];
    suite_socketpair(SOCK_STREAM, fd);
    *ret_fd = fd[1];
    return suite_stream(loop, fd[0], FLAGS_UNIX);
}

/* ---- order ---- */

static void recv_order(eye_loop *loop) {
    int fd;
    eye_stream *s = stream_and_peer(loop, &fd);
    struct got got[3] = {0};
    char buf[3][2] = {0};
    for (int i = 0; i < 3; i++)
        SUBMIT(eye_recv(s, &got[i].op, buf[i], 1, got_done));
    suite_turns(3);
    CHECK_INT(suite.dones, 0);
    suite_write(loop, fd, "abc", 3);
    for (int i = 0; i < 3; i++) {
        AWAIT_INT(got[i], 1);
        CHECK_INT(got[i].order, i + 1);
        CHECK_INT(buf[i][0], "abc"[i]);
    }
    suite_close(s);
    close(fd);
}

static void send_order(eye_loop *loop) {
    int fd;
    eye_stream *s = stream_and_peer(loop, &fd);
    uint8_t *data = suite_pattern(3 * BIG_BYTES), *came = malloc(3 * BIG_BYTES);
    struct got got[3] = {0};
    SUBMIT(eye_send(s, &got[0].op, data, BIG_BYTES, got_done));
    SUBMIT(eye_send_copy(s, &got[1].op, data + BIG_BYTES, BIG_BYTES, got_done));
    SUBMIT(eye_send(s, &got[2].op, data + 2 * BIG_BYTES, BIG_BYTES, got_done));
    CHECK_INT(suite_read(loop, fd, came, 3 * BIG_BYTES), 3 * BIG_BYTES);
    CHECK(memcmp(data, came, 3 * BIG_BYTES) == 0);
    for (unsigned i = 0; i < 3; i++) {
        AWAIT_INT(got[i], BIG_BYTES);
        CHECK_INT(got[i].order, i + 1);
    }
    suite_close(s);
    close(fd);
    free(data);
    free(came);
}

static void both_ways(eye_loop *loop) {
    int fd;
    eye_stream *s = stream_and_peer(loop, &fd);
    uint8_t *data = suite_pattern(BIG_BYTES), *came = malloc(BIG_BYTES);
    struct got in = {0}, out = {0};
    char buf[8];
    SUBMIT(eye_recv(s, &in.op, buf, sizeof buf, got_done));
    SUBMIT(eye_send(s, &out.op, data, BIG_BYTES, got_done));
    suite_turns(3); /* both wait now, for the same descriptor */
    CHECK(eye_op_pending(&in.op) && eye_op_pending(&out.op));
    suite_write(loop, fd, "hello", 5);
    AWAIT_INT(in, 5);
    CHECK(eye_op_pending(&out.op));
    CHECK_INT(suite_read(loop, fd, came, BIG_BYTES), BIG_BYTES);
    AWAIT_INT(out, BIG_BYTES);
    CHECK(memcmp(data, came, BIG_BYTES) == 0);
    suite_close(s);
    close(fd);
    free(data);
    free(came);
}

/* ---- cancelling ---- */

static void cancel_queued(eye_loop *loop) {
    int fd;
    eye_stream *s = stream_and_peer(loop, &fd);
    struct got got[3] = {0};
    char buf[3][2] = {0};
    for (int i = 0; i < 3; i++)
        SUBMIT(eye_recv(s, &got[i].op, buf[i], 1, got_done));
    SUBMIT(eye_cancel(loop, &got[1].op));
    AWAIT_INT(got[1], -ECANCELED);
    suite_write(loop, fd, "ab", 2);
    AWAIT_INT(got[0], 1);
    AWAIT_INT(got[2], 1);
    CHECK(buf[0][0] == 'a' && buf[2][0] == 'b');
    suite_close(s);
    close(fd);
}

static void cancel_last_queued(eye_loop *loop) {
    int fd;
    eye_stream *s = stream_and_peer(loop, &fd);
    struct got got[3] = {0};
    char buf[3][2] = {0};
    SUBMIT(eye_recv(s, &got[0].op, buf[0], 1, got_done));
    SUBMIT(eye_recv(s, &got[1].op, buf[1], 1, got_done));
    SUBMIT(eye_cancel(loop, &got[1].op));
    SUBMIT(eye_recv(s, &got[2].op, buf[2], 1, got_done)); /* goes behind the first */
    suite_write(loop, fd, "ab", 2);
    AWAIT_INT(got[1], -ECANCELED);
    AWAIT_INT(got[2], 1);
    IS_DONE_ONCE(got[0], 1);
    CHECK(buf[0][0] == 'a' && buf[2][0] == 'b');
    suite_close(s);
    close(fd);
}

static void cancel_waiting(eye_loop *loop) {
    int fd;
    eye_stream *s = stream_and_peer(loop, &fd);
    struct got got = {0}, again = {0};
    char buf[8];
    SUBMIT(eye_recv(s, &got.op, buf, sizeof buf, got_done));
    suite_turns(3);
    SUBMIT(eye_cancel(loop, &got.op));
    SUBMIT(eye_cancel(loop, &got.op)); /* once is enough */
    CHECK(eye_op_pending(&got.op));
    AWAIT_INT(got, -ECANCELED);
    SUBMIT(eye_recv(s, &again.op, buf, sizeof buf, got_done));
    suite_write(loop, fd, "later", 5);
    AWAIT_INT(again, 5);
    suite_close(s);
    close(fd);
}

static void cancel_partly(eye_loop *loop) {
    int fd;
    eye_stream *s = stream_and_peer(loop, &fd);
    uint8_t *data = suite_pattern(BIG_BYTES), *came = malloc(BIG_BYTES);
    struct got got = {0}, next = {0};
    SUBMIT(eye_send(s, &got.op, data, BIG_BYTES, got_done));
    suite_turns(5);
    SUBMIT(eye_cancel(loop, &got.op));
    AWAIT(got);
    CHECK(got.result > 0 && (size_t)got.result < BIG_BYTES);
    SUBMIT(eye_send(s, &next.op, "!", 1, got_done));
    size_t size = (size_t)got.result + 1;
    CHECK_INT(suite_read(loop, fd, came, size), size);
    CHECK(memcmp(data, came, size - 1) == 0 && came[size - 1] == '!');
    AWAIT_INT(next, 1);
    suite_close(s);
    close(fd);
    free(data);
    free(came);
}

static void cancel_finished(eye_loop *loop) {
    int fd;
    eye_stream *s = stream_and_peer(loop, &fd);
    struct got got = {0};
    char buf[8];
    SUBMIT(eye_send_copy(s, &got.op, "done", 4, got_done)); /* the kernel has it all already */
    SUBMIT(eye_cancel(loop, &got.op));
    AWAIT_INT(got, 4);
    CHECK_INT(suite_read(loop, fd, buf, 4), 4);
    suite_close(s);
    close(fd);
}

static void cancel_idle(eye_loop *loop) {
    int fd;
    eye_stream *s = stream_and_peer(loop, &fd);
    struct got got = {0}, never = {0};
    SUBMIT(eye_cancel(loop, &never.op));
    SUBMIT(eye_send(s, &got.op, "x", 1, got_done));
    AWAIT_INT(got, 1);
    SUBMIT(eye_cancel(loop, &got.op));
    suite_turns(3);
    CHECK(got.count == 1 && never.count == 0);
    suite_close(s);
    close(fd);
}

static struct {
    eye_stream *stream;
    struct got first, second, timer;
    char buf[2][8];
} inside;

static void inside_cancel(struct got *got) {
    (void)got;
    SUBMIT(eye_cancel(suite.loop, &inside.second.op));
    SUBMIT(eye_cancel(suite.loop, &inside.timer.op));
}

static void cancel_inside_done(eye_loop *loop) {
    int fd;
    inside.stream = stream_and_peer(loop, &fd);
    inside.first.then = inside_cancel;
    SUBMIT(eye_recv(inside.stream, &inside.first.op, inside.buf[0], 1, got_done));
    SUBMIT(eye_recv(inside.stream, &inside.second.op, inside.buf[1], 1, got_done));
    SUBMIT(eye_timer(loop, &inside.timer.op, INT64_MAX, got_done));
    suite_write(loop, fd, "ab", 2); /* the second could go on at once */
    AWAIT_INT(inside.first, 1);
    AWAIT_INT(inside.second, -ECANCELED);
    AWAIT_INT(inside.timer, -ECANCELED);
    suite_close(inside.stream);
    close(fd);
}

static void again(struct got *got) {
    if (got->count < 1000)
        SUBMIT(eye_recv(inside.stream, &got->op, inside.buf[0], 1, got_done));
}

static void resubmit_inside_done(eye_loop *loop) {
    int fd;
    inside.stream = stream_and_peer(loop, &fd);
    inside.first.then = again;
    uint8_t *data = suite_pattern(1000);
    SUBMIT(eye_recv(inside.stream, &inside.first.op, inside.buf[0], 1, got_done));
    suite_write(loop, fd, data, 1000);
    UNTIL(inside.first.count == 1000);
    CHECK_INT((uint8_t)inside.buf[0][0], data[999]);
    suite_close(inside.stream);
    close(fd);
    free(data);
}

static void again_and_cancel(struct got *got) {
    if (got->count > 1)
        return;
    SUBMIT(eye_recv(inside.stream, &got->op, inside.buf[0], 1, got_done));
    SUBMIT(eye_cancel(suite.loop, &got->op));
}

static void cancel_resubmitted(eye_loop *loop) {
    int fd;
    inside.stream = stream_and_peer(loop, &fd);
    inside.first.then = again_and_cancel;
    SUBMIT(eye_recv(inside.stream, &inside.first.op, inside.buf[0], 1, got_done));
    suite_write(loop, fd, "ab", 2);
    UNTIL(inside.first.count == 2);
    CHECK_INT(inside.first.result, -ECANCELED);
    SUBMIT(eye_recv(inside.stream, &inside.second.op, inside.buf[1], 1, got_done));
    AWAIT_INT(inside.second, 1);
    CHECK_INT(inside.buf[1][0], 'b'); /* cancelling has lost nothing */
    suite_close(inside.stream);
    close(fd);
}

/* ---- closing ---- */

static void close_pending(eye_loop *loop) {
    int fd;
    eye_stream *s = stream_and_peer(loop, &fd);
    uint8_t *data = suite_pattern(BIG_BYTES);
    struct got in[2] = {0}, out[2] = {0}, closed = {0};
    char buf[8];
    SUBMIT(eye_recv(s, &in[0].op, buf, 1, got_done));
    SUBMIT(eye_recv(s, &in[1].op, buf, 1, got_done));
    SUBMIT(eye_send(s, &out[0].op, data, BIG_BYTES, got_done));
    SUBMIT(eye_send_copy(s, &out[1].op, data, 100, got_done));
    suite_turns(5);
    SUBMIT(eye_close(s, &closed.op, got_done));
    CHECK_INT(suite.dones, 0);
    AWAIT_INT(closed, 0);
    IS_DONE_ONCE(in[0], -ECANCELED);
    IS_DONE_ONCE(in[1], -ECANCELED);
    CHECK(out[0].count == 1 && out[0].result > 0 && (size_t)out[0].result < BIG_BYTES);
    IS_DONE_ONCE(out[1], -ECANCELED);
    CHECK(in[0].order < in[1].order && out[0].order < out[1].order);
    CHECK_INT(closed.order, 5);
    /* What had gone is still delivered, and then the end. */
    size_t size = (size_t)MAX(out[0].result, 0);
    uint8_t *came = malloc(BIG_BYTES);
    CHECK_INT(suite_read(loop, fd, came, BIG_BYTES), size);
    CHECK(memcmp(data, came, size) == 0);
    close(fd);
    free(data);
    free(came);
}

static void inside_close(struct got *got) {
    (void)got;
    SUBMIT(eye_close(inside.stream, &inside.timer.op, got_done));
}

static void close_inside_done(eye_loop *loop) {
    int fd;
    inside.stream = stream_and_peer(loop, &fd);
    inside.first.then = inside_close;
    SUBMIT(eye_recv(inside.stream, &inside.first.op, inside.buf[0], 1, got_done));
    SUBMIT(eye_recv(inside.stream, &inside.second.op, inside.buf[1], 1, got_done));
    suite_write(loop, fd, "ab", 2);
    AWAIT_INT(inside.timer, 0);
    IS_DONE_ONCE(inside.second, -ECANCELED);
    CHECK(inside.second.order < inside.timer.order);
    close(fd);
}

static void close_reused(eye_loop *loop) {
    /* A number that is closed and taken again at once belongs to its new stream alone. */
    for (int round = 0; round < 50; round++) {
        int fd;
        eye_stream *s = stream_and_peer(loop, &fd);
        struct got in = {0};
        char buf[8];
        SUBMIT(eye_recv(s, &in.op, buf, sizeof buf, got_done));
        suite_turns(2);
        if (!CHECK(in.count == 0))
            break;
        suite_write(loop, fd, "x", 1);
        AWAIT_INT(in, 1);
        close(fd);
        suite_close(s);
    }
}

static const struct suite_case cases[] = {
    {"receives complete in the order of submission", recv_order},
    {"sends complete, and their bytes arrive, in the order of submission", send_order},
    {"a receive and a send wait on one descriptor at once", both_ways},
    {"cancelling one that is queued and has not begun", cancel_queued},
    {"cancelling the last of a queue leaves the queue in order", cancel_last_queued},
    {"cancelling the head that waits", cancel_waiting},
    {"cancelling a send that has partly gone tells how much went", cancel_partly},
    {"cancelling one that has finished keeps its result", cancel_finished},
    {"cancelling an idle operation does nothing", cancel_idle},
    {"cancelling from inside another operation's done", cancel_inside_done},
    {"an operation submits itself again from its done", resubmit_inside_done},
    {"an operation that submits itself again is cancelled there", cancel_resubmitted},
    {"closing ends what is pending first, then completes", close_pending},
    {"closing from inside a done", close_inside_done},
    {"a descriptor's number is used again", close_reused},
};

int main(int argc, char **argv) {
    return suite_main(cases, ARRAY_LEN(cases), argc, argv);
}
