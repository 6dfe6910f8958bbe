/* test_stream_ends.c: how streams end: half, whole, by a reset; what peers do that are slow, deaf or
 * greedy; and what a receive may find between the bytes. */
#include <poll.h>

#include "suite.h"

#define BIG_BYTES ((size_t)4 << 20)

static void half_close(eye_loop *loop) {
    int fd[2];
    suite_tcp_pair(fd);
    eye_stream *s = suite_stream(loop, fd[0], FLAGS_TCP);
    struct got in[3] = {0}, out = {0}, finish = {0};
    char buf[16] = "";
    SUBMIT(eye_recv(s, &in[0].op, buf, sizeof buf, got_done));
    SUBMIT(eye_send(s, &out.op, "ask", 3, got_done));
    SUBMIT(eye_finish(s, &finish.op, got_done));
    CHECK_INT(suite_read(loop, fd[1], buf, 3), 3);
    CHECK_END(fd[1]);
    AWAIT_INT(finish, 0);
    CHECK_INT(in[0].count, 0); /* our end is not the peer's */
    suite_write(loop, fd[1], "answer", 6);
    AWAIT_INT(in[0], 6);
    shutdown(fd[1], SHUT_WR);
    SUBMIT(eye_recv(s, &in[1].op, buf, sizeof buf, got_done));
    AWAIT_INT(in[1], 0);
    SUBMIT(eye_recv(s, &in[2].op, buf, sizeof buf, got_done)); /* and it stays so */
    AWAIT_INT(in[2], 0);
    suite_close(s);
    close(fd[1]);
}

static void peer_half_close(eye_loop *loop) {
    int fd[2];
    suite_tcp_pair(fd);
    eye_stream *s = suite_stream(loop, fd[0], FLAGS_TCP);
    uint8_t *data = suite_pattern(BIG_BYTES), *came = malloc(BIG_BYTES);
    struct got in[2] = {0}, out = {0};
    char buf[16];
    SUBMIT(eye_recv(s, &in[0].op, buf, sizeof buf, got_done));
    suite_turns(3);
    suite_write(loop, fd[1], "last", 4);
    shutdown(fd[1], SHUT_WR);
    AWAIT_INT(in[0], 4);
    SUBMIT(eye_recv(s, &in[1].op, buf, sizeof buf, got_done));
    AWAIT_INT(in[1], 0);
    SUBMIT(eye_send(s, &out.op, data, BIG_BYTES, got_done));
    CHECK_INT(suite_read(loop, fd[1], came, BIG_BYTES), BIG_BYTES);
    AWAIT_INT(out, BIG_BYTES);
    CHECK(memcmp(data, came, BIG_BYTES) == 0);
    suite_close(s);
    close(fd[1]);
    free(data);
    free(came);
}

static void finish_waits(eye_loop *loop) {
    int fd[2];
    suite_tcp_pair(fd);
    eye_stream *s = suite_stream(loop, fd[0], FLAGS_TCP);
    uint8_t *data = suite_pattern(BIG_BYTES), *came = malloc(BIG_BYTES);
    struct got out = {0}, finish = {0}, late = {0};
    SUBMIT(eye_send(s, &out.op, data, BIG_BYTES, got_done));
    SUBMIT(eye_finish(s, &finish.op, got_done));
    SUBMIT(eye_send(s, &late.op, "x", 1, got_done));
    CHECK_INT(suite_read(loop, fd[1], came, BIG_BYTES), BIG_BYTES);
    CHECK_END(fd[1]);
    AWAIT_INT(late, -EPIPE);
    IS_DONE_ONCE(out, BIG_BYTES);
    IS_DONE_ONCE(finish, 0);
    CHECK(out.order < finish.order && finish.order < late.order);
    suite_close(s);
    close(fd[1]);
    free(data);
    free(came);
}

static void finish_pipe(eye_loop *loop) {
    int in[2], out[2];
    suite_pipe(in);
    suite_pipe(out);
    eye_stream *s = suite_stream_two(loop, in[0], FLAGS_PIPE, out[1], FLAGS_PIPE);
    struct got sent = {0}, finish = {0}, late = {0}, copied = {0}, recv = {0};
    char buf[8];
    SUBMIT(eye_send(s, &sent.op, "bytes", 5, got_done));
    SUBMIT(eye_finish(s, &finish.op, got_done));
    AWAIT_INT(finish, 0);
    CHECK_INT(suite_read(loop, out[0], buf, 5), 5);
    CHECK_END(out[0]); /* while the stream is still there */
    SUBMIT(eye_send(s, &late.op, "x", 1, got_done));
    AWAIT_INT(late, -EPIPE);
    SUBMIT(eye_send_copy(s, &copied.op, "x", 1, got_done));
    AWAIT_INT(copied, -EPIPE);
    SUBMIT(eye_recv(s, &recv.op, buf, sizeof buf, got_done));
    suite_write(loop, in[1], "on", 2);
    AWAIT_INT(recv, 2);
    suite_close(s);
    close(in[1]);
    close(out[0]);
}

/* ---- resets ---- */

static void peer_resets(eye_loop *loop) {
    int fd[2];
    suite_tcp_pair(fd);
    eye_stream *s = suite_stream(loop, fd[0], FLAGS_TCP);
    struct got in = {0};
    char buf[8];
    SUBMIT(eye_recv(s, &in.op, buf, sizeof buf, got_done));
    suite_turns(3);
    suite_reset(fd[1]);
    AWAIT_INT(in, -ECONNRESET);
    suite_close(s);
}

static void reset_while_sending(eye_loop *loop) {
    int fd[2];
    suite_tcp_pair(fd);
    eye_stream *s = suite_stream(loop, fd[0], FLAGS_TCP);
    uint8_t *data = suite_pattern(BIG_BYTES);
    struct got out = {0}, next = {0};
    SUBMIT(eye_send(s, &out.op, data, BIG_BYTES, got_done));
    SUBMIT(eye_send(s, &next.op, data, BIG_BYTES, got_done));
    suite_turns(5);
    suite_reset(fd[1]);
    AWAIT_INT(out, -ECONNRESET);
    AWAIT_INT(next, -EPIPE);
    suite_close(s);
    free(data);
}

static void reset_met_by_copied_send(eye_loop *loop) {
    int fd[2];
    suite_tcp_pair(fd);
    eye_stream *s = suite_stream(loop, fd[0], FLAGS_TCP);
    suite_reset(fd[1]);
    struct got out = {0};
    SUBMIT(eye_send_copy(s, &out.op, "x", 1, got_done));
    AWAIT_INT(out, -ECONNRESET);
    suite_close(s);
}

static void aborted(eye_loop *loop) {
    int fd[2];
    suite_tcp_pair(fd);
    eye_stream *s = suite_stream(loop, fd[0], FLAGS_TCP);
    struct got in = {0}, closed = {0};
    char buf[8];
    SUBMIT(eye_recv(s, &in.op, buf, sizeof buf, got_done));
    suite_turns(2);
    SUBMIT(eye_abort(s, &closed.op, got_done));
    AWAIT_INT(closed, 0);
    IS_DONE_ONCE(in, -ECANCELED);
    CHECK_INT(suite_next(loop, fd[1], buf, 1), -ECONNRESET);
    close(fd[1]);
}

static void close_is_orderly(eye_loop *loop) {
    int fd[2];
    suite_tcp_pair(fd);
    eye_stream *s = suite_stream(loop, fd[0], FLAGS_TCP);
    struct got out = {0};
    char buf[8];
    SUBMIT(eye_send(s, &out.op, "bye", 3, got_done));
    AWAIT_INT(out, 3);
    suite_close(s);
    CHECK_INT(suite_read(loop, fd[1], buf, 3), 3);
    CHECK_END(fd[1]);
    close(fd[1]);
}

/* ---- peers ---- */

static void byte_by_byte(eye_loop *loop) {
    int fd[2];
    suite_tcp_pair(fd);
    eye_stream *s = suite_stream(loop, fd[0], FLAGS_TCP);
    uint8_t *data = suite_pattern(500), came[500];
    for (size_t i = 0; i < 500; i++) {
        struct got in = {0};
        SUBMIT(eye_recv(s, &in.op, &came[i], sizeof came - i, got_done));
        suite_turns(1);
        suite_write(loop, fd[1], &data[i], 1);
        AWAIT_INT(in, 1);
    }
    CHECK(memcmp(data, came, 500) == 0);
    suite_close(s);
    close(fd[1]);
    free(data);
}

static void deaf_peer(eye_loop *loop) {
    /* One never reads; the other has its answers all the same, and the deaf one can be closed. */
    int deaf[2], fd[2];
    suite_tcp_pair(deaf);
    suite_tcp_pair(fd);
    eye_stream *d = suite_stream(loop, deaf[0], FLAGS_TCP), *s = suite_stream(loop, fd[0], FLAGS_TCP);
    uint8_t *data = suite_pattern(4 * BIG_BYTES);
    struct got stuck = {0};
    SUBMIT(eye_send(d, &stuck.op, data, 4 * BIG_BYTES, got_done));
    suite_turns(20);
    for (int i = 0; i < 50; i++) {
        struct got in = {0}, out = {0};
        char buf[8];
        SUBMIT(eye_recv(s, &in.op, buf, sizeof buf, got_done));
        suite_write(loop, fd[1], "x", 1);
        AWAIT_INT(in, 1);
        SUBMIT(eye_send_copy(s, &out.op, buf, 1, got_done));
        AWAIT_INT(out, 1);
        CHECK_INT(suite_read(loop, fd[1], buf, 1), 1);
    }
    CHECK_INT(stuck.count, 0);
    suite_close(d);
    CHECK(stuck.count == 1 && stuck.result > 0 && stuck.result < (int64_t)(4 * BIG_BYTES));
    suite_close(s);
    close(fd[1]);
    close(deaf[1]);
    free(data);
}

static struct {
    eye_stream *stream;
    struct got got;
    struct eye_bytes lent;
    uint64_t bytes;
    bool enough;
} fast;

static void fast_again(struct got *got) {
    fast.bytes += (uint64_t)got->result;
    if (!fast.enough)
        SUBMIT(eye_recv_lent(fast.stream, &got->op, &fast.lent, got_done));
}

static void fast_peer(eye_loop *loop) {
    /* The fastest there is: always ready, and never empty. */
    fast.stream = suite_stream(loop, open("/dev/zero", O_RDONLY | O_CLOEXEC), 0);
    fast.got.then = fast_again;
    SUBMIT(eye_recv_lent(fast.stream, &fast.got.op, &fast.lent, got_done));
    int fd[2];
    suite_tcp_pair(fd);
    eye_stream *s = suite_stream(loop, fd[0], FLAGS_TCP);
    for (int i = 0; i < 20; i++) {
        struct got in = {0}, out = {0}, timer = {0};
        char buf[8];
        SUBMIT(eye_recv(s, &in.op, buf, sizeof buf, got_done));
        SUBMIT(eye_timer(loop, &timer.op, 0, got_done));
        suite_turns(1);
        unsigned before = fast.got.count;
        suite_write(loop, fd[1], "x", 1);
        AWAIT_INT(in, 1);
        AWAIT_INT(timer, 0);
        SUBMIT(eye_send(s, &out.op, buf, 1, got_done));
        AWAIT_INT(out, 1);
        CHECK(fast.got.count - before < 2000);
    }
    CHECK(fast.got.count > 20 && fast.bytes / fast.got.count <= 128 * 1024);
    fast.enough = true;
    UNTIL(!eye_op_pending(&fast.got.op));
    suite_close(fast.stream);
    suite_close(s);
    close(fd[1]);
}

/* ---- what has come together ---- */

/* It is lent in one piece, so that an answer is one send; so often that every buffer of the engine's has its
 * turn, and that a piece often begins near the last. The first ones show it that this is a stream. */
static void lent_whole(eye_loop *loop) {
    enum { BYTES = 65536 + 1, TIMES = 80, FIRST = 3 };
    int fd[2];
    suite_socketpair(SOCK_STREAM, fd);
    eye_stream *s = suite_stream(loop, fd[0], FLAGS_UNIX);
    uint8_t *pattern = suite_pattern(BYTES);
    for (int i = 0; i < TIMES; i++) {
        size_t come = 0;
        for (unsigned pieces = 0; come < BYTES; pieces++) {
            struct got in = {0};
            struct eye_bytes lent;
            SUBMIT(eye_recv_lent(s, &in.op, &lent, got_done));
            if (come == 0)
                suite_turns(2);
            if (come == 0 && !CHECK_INT(write(fd[1], pattern, BYTES), BYTES))
                break;
            if (!AWAIT(in) || !CHECK(in.result > 0))
                break;
            CHECK(memcmp(lent.data, pattern + come, lent.size) == 0);
            come += lent.size;
            CHECK(pieces == 0 || i < FIRST);
        }
    }
    free(pattern);
    suite_close(s);
    close(fd[1]);
}

/* ---- between the bytes ---- */

/* Receives until all of want has come. */
static void expect(eye_loop *loop, eye_stream *s, const char *want) {
    char came[32] = "";
    size_t size = 0;
    (void)loop;
    while (size < strlen(want)) {
        struct got in = {0};
        SUBMIT(eye_recv(s, &in.op, came + size, sizeof came - 1 - size, got_done));
        if (!AWAIT(in) || !CHECK(in.result > 0)) {
            SUBMIT(eye_cancel(loop, &in.op));
            AWAIT(in);
            return;
        }
        size += (size_t)in.result;
    }
    CHECK_STR(came, want);
}

static void urgent(eye_loop *loop) {
    /* A receive stops short at urgent data (tcp(7)), with more behind it. */
    int fd[2];
    suite_tcp_pair(fd);
    eye_stream *s = suite_stream(loop, fd[0], FLAGS_TCP);
    struct got first = {0};
    char buf[8];
    SUBMIT(eye_recv(s, &first.op, buf, 1, got_done)); /* so that it is watched */
    suite_turns(2);
    suite_write(loop, fd[1], "-", 1);
    AWAIT_INT(first, 1);
    suite_write(loop, fd[1], "abc", 3);
    CHECK_INT(send(fd[1], "!", 1, MSG_OOB), 1);
    suite_write(loop, fd[1], "def", 3);
    suite_turns(3); /* what there is to hear has been heard */
    expect(loop, s, "abcdef");
    suite_close(s);
    close(fd[1]);
}

static void send_with_fd(int fd, const char *text) {
    union {
        struct cmsghdr header;
        char space[CMSG_SPACE(sizeof(int))];
    } control = {
        .header = {.cmsg_len = CMSG_LEN(sizeof(int)), .cmsg_level = SOL_SOCKET, .cmsg_type = SCM_RIGHTS}};
    memcpy(CMSG_DATA(&control.header), &fd, sizeof fd);
    struct iovec iov = {.iov_base = (char *)(uintptr_t)text, .iov_len = strlen(text)};
    struct msghdr msg = {
        .msg_iov = &iov, .msg_iovlen = 1, .msg_control = &control, .msg_controllen = sizeof control};
    CHECK(sendmsg(fd, &msg, 0) > 0);
}

static void passed_descriptors(eye_loop *loop) {
    /* So it does behind bytes that came with descriptors (unix(7)), which nobody here wants. */
    int fd[2];
    suite_socketpair(SOCK_STREAM, fd);
    eye_stream *s = suite_stream(loop, fd[0], FLAGS_UNIX);
    struct got first = {0};
    char buf[8];
    SUBMIT(eye_recv(s, &first.op, buf, 1, got_done));
    suite_turns(2);
    suite_write(loop, fd[1], "-", 1);
    AWAIT_INT(first, 1);
    int before = suite_count_fds();
    send_with_fd(fd[1], "abc");
    send_with_fd(fd[1], "def");
    suite_write(loop, fd[1], "ghi", 3);
    suite_turns(3);
    expect(loop, s, "abcdefghi");
    CHECK_INT(suite_count_fds(), before);
    suite_close(s);
    close(fd[1]);
}

/* ---- messages ---- */

static void messages(eye_loop *loop) {
    int fd[2];
    suite_socketpair(SOCK_SEQPACKET, fd);
    eye_stream *s = suite_stream(loop, fd[0], FLAGS_MESSAGES);
    struct got in[4] = {0}, out = {0};
    char buf[8] = "";
    CHECK(send(fd[1], "one", 3, 0) == 3 && send(fd[1], "too long", 8, 0) == 8);
    CHECK(send(fd[1], "", 0, 0) == 0 && send(fd[1], "two", 3, 0) == 3);
    CHECK(send(fd[1], "", 0, 0) == 0 && send(fd[1], "last", 4, 0) == 4);
    shutdown(fd[1], SHUT_WR);
    SUBMIT(eye_recv(s, &in[0].op, buf, 4, got_done));
    AWAIT_INT(in[0], 3);
    SUBMIT(eye_recv(s, &in[1].op, buf, 4, got_done));
    AWAIT_INT(in[1], EYE_ETRUNCATED);
    SUBMIT(eye_recv(s, &in[2].op, buf, sizeof buf, got_done));
    AWAIT_INT(in[2], 3);
    SUBMIT(eye_recv(s, &in[3].op, buf, sizeof buf, got_done));
    AWAIT_INT(in[3], 4); /* an empty one before it is no end */
    CHECK(memcmp(buf, "last", 4) == 0);
    struct got end = {0};
    SUBMIT(eye_recv(s, &end.op, buf, sizeof buf, got_done));
    AWAIT_INT(end, 0);
    SUBMIT(eye_send(s, &out.op, "reply", 5, got_done));
    AWAIT_INT(out, 5);
    CHECK_INT(suite_next(loop, fd[1], buf, sizeof buf), 5);
    suite_close(s);
    close(fd[1]);
}

static void flood_of_empties(eye_loop *loop) {
    int fd[2];
    suite_socketpair(SOCK_SEQPACKET, fd);
    eye_stream *s = suite_stream(loop, fd[0], FLAGS_MESSAGES);
    struct got in = {0};
    char buf[8];
    int sent = 0;
    while (send(fd[1], "", 0, 0) == 0)
        sent++;
    CHECK(sent > 2);
    SUBMIT(eye_recv(s, &in.op, buf, sizeof buf, got_done));
    suite_turns(3);
    CHECK_INT(in.count, 0); /* none of them is the end */
    CHECK_INT(send(fd[1], "x", 1, 0), 1);
    AWAIT_INT(in, 1);
    suite_close(s);
    close(fd[1]);
}

static const struct suite_case cases[] = {
    {"ending to send leaves receiving alone", half_close},
    {"the peer's end leaves sending alone", peer_half_close},
    {"an end goes after all that is queued, and nothing after it", finish_waits},
    {"an end on a pipe closes it, and nothing goes after it", finish_pipe},
    {"the peer resets while a receive waits", peer_resets},
    {"the peer resets while sends wait", reset_while_sending},
    {"a reset that a copied send meets is told as one", reset_met_by_copied_send},
    {"aborting is seen as a reset", aborted},
    {"closing is seen as an orderly end", close_is_orderly},
    {"a peer that sends a byte at a time", byte_by_byte},
    {"a peer that never reads holds nobody up", deaf_peer},
    {"what has come together is lent in one piece", lent_whole},
    {"a peer that is always faster starves nobody", fast_peer},
    {"urgent data in between hides nothing", urgent},
    {"passed descriptors hide nothing and leak nothing", passed_descriptors},
    {"messages keep their bounds", messages},
    {"empty messages are no end", flood_of_empties},
};

int main(int argc, char **argv) {
    return suite_main(cases, ARRAY_LEN(cases), argc, argv);
}
