/* test_tls_stream.c: TLS on a stream, over every engine: both ends in one process, joined by a socketpair,
 * with a certificate that is thrown away. */
#include "suite.h"
#include "tls/tls.h"

#define BIG_BYTES ((size_t)3 << 20)

/* Two ends: 0 is the client, 1 the server. */
static struct {
    struct eye_endpoint endpoint[2];
    struct tls_context *context[2];
    eye_stream *stream[2];
    struct eye_err err[2];
    struct got shaken[2];
} ends;

static void contexts_make(const char *client_options, const char *server_options) {
    if (!tls_library)
        suite_skip("this build has no TLS library");
    char pin[TLS_PIN_TEXT_MAX];
    ends.endpoint[1] = suite_endpoint("tls:@server%s", server_options);
    CHECK_INT(tls_context_of(&ends.endpoint[1], true, &ends.context[1], NULL), 0);
    CHECK_INT(tls_library->context_pin(ends.context[1], pin, sizeof pin), 0);
    ends.endpoint[0] = suite_endpoint("tls:@server,pin=%s%s", pin, client_options);
    CHECK_INT(tls_context_of(&ends.endpoint[0], false, &ends.context[0], NULL), 0);
}

static void contexts_done(void) {
    for (int i = 0; i < 2; i++)
        eye_endpoint_done(&ends.endpoint[i]);
}

/* A stream of TLS on a descriptor, which shakes hands. */
static void end_start(eye_loop *loop, int i, int fd) {
    ends.shaken[i] = (struct got){0};
    CHECK_INT(tls_stream_new(suite_stream(loop, fd, FLAGS_UNIX), ends.context[i], &ends.stream[i]), 0);
    SUBMIT(tls_stream_handshake(ends.stream[i], &ends.shaken[i].op, &ends.err[i], got_done));
}

static void ends_join(eye_loop *loop, const char *client_options) {
    int fd[2];
    contexts_make(client_options, "");
    suite_socketpair(SOCK_STREAM, fd);
    for (int i = 0; i < 2; i++)
        end_start(loop, i, fd[i]);
    for (int i = 0; i < 2; i++)
        AWAIT_INT(ends.shaken[i], 0);
}

static void ends_close(void) {
    for (int i = 0; i < 2; i++)
        suite_close(ends.stream[i]);
    contexts_done();
}

/* Only this end speaks TLS; the other is ours. */
static int end_alone(eye_loop *loop, int i) {
    int fd[2];
    contexts_make("", "");
    suite_socketpair(SOCK_STREAM, fd);
    end_start(loop, i, fd[0]);
    return fd[1];
}

static size_t receive_all(eye_stream *stream, uint8_t *buf, size_t size) {
    size_t moved = 0;
    while (moved < size) {
        struct got got = {0};
        SUBMIT(eye_recv(stream, &got.op, buf + moved, MIN(size - moved, (size_t)10000), got_done));
        if (!AWAIT(got) || got.result <= 0)
            break;
        moved += (size_t)got.result;
    }
    return moved;
}

static void both_ways(eye_loop *loop) {
    static const char *const versions[] = {",tls-max=1.2", ""};
    for (size_t v = 0; v < ARRAY_LEN(versions); v++) {
        ends_join(loop, versions[v]);
        uint8_t *data = suite_pattern(BIG_BYTES), *came = malloc(BIG_BYTES);
        for (int from = 0; from < 2; from++) {
            struct got sent = {0};
            SUBMIT(eye_send(ends.stream[from], &sent.op, data, BIG_BYTES, got_done));
            CHECK_INT(receive_all(ends.stream[!from], came, BIG_BYTES), BIG_BYTES);
            AWAIT_INT(sent, BIG_BYTES);
            CHECK(memcmp(data, came, BIG_BYTES) == 0);
        }
        struct eye_tls_info info;
        CHECK_INT(eye_stream_tls(ends.stream[0], &info), 0);
        CHECK_STR(info.version, v == 0 ? "TLSv1.2" : "TLSv1.3");
        CHECK(info.verified);
        CHECK_INT(eye_stream_fd(ends.stream[0], EYE_IN), -1);
        CHECK(!eye_stream_endless(ends.stream[0]));
        free(data);
        free(came);
        ends_close();
    }
}

static struct {
    struct eye_bytes lent;
    char text[64];
    size_t size;
} took;

static void take(struct got *got) {
    if (got->result > 0) {
        memcpy(took.text + took.size, took.lent.data, took.lent.size);
        took.size += took.lent.size;
    }
}

static void lent(eye_loop *loop) {
    ends_join(loop, "");
    struct got in[2] = {{.then = take}, {.then = take}}, out[3] = {0}, finish = {0};
    took.size = 0;
    SUBMIT(eye_recv_lent(ends.stream[1], &in[0].op, &took.lent, got_done));
    suite_turns(3);
    /* Copies: the caller's buffer is its own again at once, also of those that stand in line. */
    char word[8] = "one ";
    SUBMIT(eye_send_copy(ends.stream[0], &out[0].op, word, 4, got_done));
    memcpy(word, "two ", 4);
    SUBMIT(eye_send_copy(ends.stream[0], &out[1].op, word, 4, got_done));
    memcpy(word, "six ", 4);
    SUBMIT(eye_send_copy(ends.stream[0], &out[2].op, word, 4, got_done));
    memset(word, '?', sizeof word);
    SUBMIT(eye_finish(ends.stream[0], &finish.op, got_done));
    AWAIT_INT(finish, 0);
    while (took.size < 12 && in[0].result >= 0) {
        AWAIT(in[0]);
        if (took.size < 12) {
            in[0].count = 0;
            SUBMIT(eye_recv_lent(ends.stream[1], &in[0].op, &took.lent, got_done));
        }
    }
    CHECK(memcmp(took.text, "one two six ", 12) == 0);
    SUBMIT(eye_recv_lent(ends.stream[1], &in[1].op, &took.lent, got_done));
    AWAIT_INT(in[1], 0);
    ends_close();
}

/* Bytes and the end come in one piece: the end is not waited for again. */
static void end_behind_bytes(eye_loop *loop) {
    ends_join(loop, "");
    struct got in[3] = {0}, sent = {0}, finish = {0}, answer = {0};
    char buf[64] = "";
    SUBMIT(eye_send(ends.stream[0], &sent.op, "last words", 10, got_done));
    SUBMIT(eye_finish(ends.stream[0], &finish.op, got_done));
    AWAIT_INT(finish, 0);
    SUBMIT(eye_recv(ends.stream[1], &in[0].op, buf, 4, got_done));
    AWAIT_INT(in[0], 4);
    SUBMIT(eye_recv(ends.stream[1], &in[1].op, buf, sizeof buf, got_done));
    AWAIT_INT(in[1], 6);
    CHECK(memcmp(buf, " words", 6) == 0);
    for (int i = 0; i < 2; i++) { /* and it stays so */
        in[2] = (struct got){0};
        SUBMIT(eye_recv(ends.stream[1], &in[2].op, buf, sizeof buf, got_done));
        AWAIT_INT(in[2], 0);
    }
    /* The other way goes on. */
    SUBMIT(eye_send(ends.stream[1], &answer.op, "answer", 6, got_done));
    AWAIT_INT(answer, 6);
    CHECK_INT(receive_all(ends.stream[0], (uint8_t *)buf, 6), 6);
    /* After our end nothing goes. */
    struct got late = {0}, again = {0};
    SUBMIT(eye_send(ends.stream[0], &late.op, "x", 1, got_done));
    AWAIT_INT(late, -EPIPE);
    SUBMIT(eye_finish(ends.stream[0], &again.op, got_done));
    AWAIT_INT(again, -EPIPE);
    ends_close();
}

static void order_is_kept(eye_loop *loop) {
    ends_join(loop, "");
    struct got in[3] = {0}, out[4] = {0};
    char buf[3][4] = {""}, all[16] = "";
    for (int i = 0; i < 3; i++)
        SUBMIT(eye_recv(ends.stream[0], &in[i].op, buf[i], 4, got_done));
    for (int i = 0; i < 3; i++)
        SUBMIT(eye_send(ends.stream[1], &out[i].op, (const char *const[]){"1111", "2222", "3333"}[i], 4,
                        got_done));
    AWAIT_INT(in[2], 4);
    for (int i = 0; i < 3; i++) {
        CHECK_INT(in[i].result, 4);
        memcpy(all + (size_t)4 * (size_t)i, buf[i], 4);
    }
    CHECK_STR(all, "111122223333");
    CHECK(in[0].order < in[1].order && in[1].order < in[2].order);
    SUBMIT(eye_send(ends.stream[1], &out[3].op, "", 0, got_done)); /* nothing is nothing */
    AWAIT_INT(out[3], 0);
    ends_close();
}

static void cancels(eye_loop *loop) {
    ends_join(loop, "");
    struct got in = {0}, again = {0}, out[2] = {0};
    char buf[8] = "";
    SUBMIT(eye_recv(ends.stream[0], &in.op, buf, sizeof buf, got_done));
    suite_turns(2);
    SUBMIT(eye_cancel(loop, &in.op));
    AWAIT_INT(in, -ECANCELED);
    SUBMIT(eye_send(ends.stream[1], &out[0].op, "kept", 4, got_done));
    AWAIT_INT(out[0], 4);
    SUBMIT(eye_recv(ends.stream[0], &again.op, buf, sizeof buf, got_done));
    AWAIT_INT(again, 4);
    CHECK_STR(buf, "kept");
    /* Nobody reads: a send stops in the middle, and says how much of it goes. */
    uint8_t *data = suite_pattern(BIG_BYTES), *came = malloc(BIG_BYTES);
    SUBMIT(eye_send(ends.stream[1], &out[1].op, data, BIG_BYTES, got_done));
    suite_turns(20);
    CHECK_INT(out[1].count, 0);
    SUBMIT(eye_cancel(loop, &out[1].op));
    AWAIT(out[1]);
    CHECK(out[1].result > 0 && out[1].result < (int64_t)BIG_BYTES);
    struct got finish = {0}, end = {0};
    SUBMIT(eye_finish(ends.stream[1], &finish.op, got_done));
    CHECK_INT(receive_all(ends.stream[0], came, (size_t)out[1].result), out[1].result);
    CHECK(memcmp(data, came, (size_t)out[1].result) == 0);
    AWAIT_INT(finish, 0);
    SUBMIT(eye_recv(ends.stream[0], &end.op, buf, sizeof buf, got_done));
    AWAIT_INT(end, 0);
    free(data);
    free(came);
    ends_close();
}

/* The end of what it stands on is no end of TLS. */
static void truncation(eye_loop *loop) {
    ends_join(loop, "");
    struct got in[2] = {0}, aborted = {0};
    char buf[8];
    SUBMIT(eye_recv(ends.stream[0], &in[0].op, buf, sizeof buf, got_done));
    SUBMIT(eye_abort(ends.stream[1], &aborted.op, got_done));
    AWAIT_INT(aborted, 0);
    AWAIT_INT(in[0], EYE_ETRUNCATED);
    SUBMIT(eye_recv(ends.stream[0], &in[1].op, buf, sizeof buf, got_done));
    AWAIT_INT(in[1], EYE_ETRUNCATED);
    suite_close(ends.stream[0]);
    contexts_done();
}

/* Closing is an end that the peer can take for one. */
static void closing_ends(eye_loop *loop) {
    ends_join(loop, "");
    struct got in = {0};
    char buf[8];
    SUBMIT(eye_recv(ends.stream[0], &in.op, buf, sizeof buf, got_done));
    suite_close(ends.stream[1]);
    AWAIT_INT(in, 0);
    suite_close(ends.stream[0]);
    contexts_done();
}

/* A peer that takes nothing keeps a stream from closing for a moment only. */
static void closing_is_not_held_up(eye_loop *loop) {
    ends_join(loop, "");
    struct got out = {0};
    uint8_t *data = suite_pattern(BIG_BYTES);
    SUBMIT(eye_send(ends.stream[1], &out.op, data, BIG_BYTES, got_done));
    suite_turns(20);
    suite_close(ends.stream[1]);
    CHECK(out.count == 1 && out.result < (int64_t)BIG_BYTES);
    suite_close(ends.stream[0]);
    free(data);
    contexts_done();
}

static void no_handshake(eye_loop *loop) {
    int fd = end_alone(loop, 1);
    suite_write(loop, fd, "GET / HTTP/1.0\r\n\r\n", 18);
    AWAIT_INT(ends.shaken[1], EYE_EHANDSHAKE);
    CHECK_STR(ends.err[1].text, "what the peer sent is no TLS");
    suite_close(ends.stream[1]);
    contexts_done();
    close(fd);
    fd = end_alone(loop, 1);
    close(fd);
    AWAIT_INT(ends.shaken[1], EYE_EHANDSHAKE);
    CHECK_STR(ends.err[1].text, "the peer ended in the middle of its handshake");
    suite_close(ends.stream[1]);
    contexts_done();
    fd = end_alone(loop, 0);
    suite_turns(3);
    SUBMIT(eye_cancel(loop, &ends.shaken[0].op));
    AWAIT_INT(ends.shaken[0], -ECANCELED);
    suite_close(ends.stream[0]);
    contexts_done();
    close(fd);
}

static void wrong_pin(eye_loop *loop) {
    int fd[2];
    contexts_make("", "");
    struct tls_context *server = ends.context[1];
    struct eye_endpoint other = suite_endpoint("tls:@other");
    CHECK_INT(tls_context_of(&other, true, &ends.context[1], NULL), 0);
    CHECK(ends.context[1] != server);
    suite_socketpair(SOCK_STREAM, fd);
    for (int i = 0; i < 2; i++)
        end_start(loop, i, fd[i]);
    AWAIT_INT(ends.shaken[0], EYE_EAUTHENTIC);
    CHECK_STR(ends.err[0].text, "the peer's public key is not the one that pin= names");
    suite_close(ends.stream[0]); /* after its alert, which tells the server why */
    AWAIT(ends.shaken[1]);
    CHECK(ends.shaken[1].result <= EYE_EALERT_BASE || ends.shaken[1].result == 0);
    suite_close(ends.stream[1]);
    eye_endpoint_done(&other);
    contexts_done();
}

/* Sessions are taken up again, and the context outlives its endpoint while a session has it. */
static void resuming(eye_loop *loop) {
    struct eye_tls_info info;
    ends_join(loop, "");
    for (int round = 0; round < 3; round++) {
        struct got in = {0}, out = {0};
        char buf[4];
        SUBMIT(eye_recv(ends.stream[0], &in.op, buf, sizeof buf, got_done)); /* the ticket comes before */
        SUBMIT(eye_send(ends.stream[1], &out.op, "x", 1, got_done));
        AWAIT_INT(in, 1);
        CHECK_INT(eye_stream_tls(ends.stream[0], &info), 0);
        CHECK_INT(info.resumed, round > 0);
        CHECK(info.verified);
        for (int i = 0; i < 2; i++)
            suite_close(ends.stream[i]);
        int fd[2];
        suite_socketpair(SOCK_STREAM, fd);
        for (int i = 0; i < 2; i++)
            end_start(loop, i, fd[i]);
        for (int i = 0; i < 2; i++)
            AWAIT_INT(ends.shaken[i], 0);
    }
    contexts_done();
    for (int i = 0; i < 2; i++)
        suite_close(ends.stream[i]);
}

/* A listener that goes while peers are in the middle of their handshakes. */
static void listener_goes(eye_loop *loop) {
    if (!tls_library)
        suite_skip("this build has no TLS library");
    struct eye_endpoint endpoint = suite_endpoint("tls:127.0.0.1:0");
    eye_listener *listener;
    struct eye_addr addr;
    eye_stream *stream = NULL;
    struct got accepted = {0};
    CHECK_INT(eye_listen(loop, &endpoint, &listener, 1, NULL), 1);
    CHECK_INT(eye_listener_addr(listener, &addr), 0);
    CHECK(!eye_listener_refusal(listener));
    SUBMIT(eye_accept(listener, &accepted.op, &stream, got_done));
    int plain = suite_connect(&addr), silent = suite_connect(&addr);
    suite_write(loop, plain, "plain", 5);
    shutdown(plain, SHUT_WR);
    AWAIT_INT(accepted, EYE_EHANDSHAKE);
    const struct eye_refusal *refusal = eye_listener_refusal(listener);
    CHECK(refusal && refusal->peer.len > 0 && refusal->err.fail == EYE_FAIL_HANDSHAKE);
    accepted = (struct got){0};
    SUBMIT(eye_accept(listener, &accepted.op, &stream, got_done));
    suite_turns(5);
    eye_listener_free(listener);
    AWAIT_INT(accepted, -ECANCELED);
    CHECK(UNTIL(eye_loop_run(loop, 0) == 0));
    close(plain);
    close(silent);
    eye_endpoint_done(&endpoint);
}

static const struct suite_case cases[] = {
    {"bytes both ways, whole, on 1.2 and 1.3", both_ways},
    {"bytes that are lent, and copies", lent},
    {"an end that comes in one piece with bytes", end_behind_bytes},
    {"operations complete in their order", order_is_kept},
    {"a cancelled operation loses nothing", cancels},
    {"an end without close_notify is truncation", truncation},
    {"closing says close_notify", closing_ends},
    {"closing is not held up by a reader that stopped", closing_is_not_held_up},
    {"what is no handshake", no_handshake},
    {"a pin that is not the peer's", wrong_pin},
    {"sessions are resumed", resuming},
    {"a listener that goes in the middle of handshakes", listener_goes},
};

int main(int argc, char **argv) {
    return suite_main(cases, ARRAY_LEN(cases), argc, argv);
}
