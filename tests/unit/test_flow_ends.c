/* test_flow_ends.c: how a relay ends: each way by itself, by a reset, by a reader that leaves, by the
 * policies for an end of stream, when it is idle, when it is cancelled. */
#include <time.h>

#include "relays.h"

#define BYTES ((size_t)2 << 20)

static const enum end_kind kinds[][2] = {{END_TCP, END_TCP}, {END_TCP, END_COPY}, {END_PIPES, END_TCP}};

/* ---- each way by itself ---- */

static void late_answer(eye_loop *loop) {
    uint8_t *data = suite_pattern(BYTES), *came = malloc(BYTES);
    for (size_t i = 0; i < ARRAY_LEN(kinds); i++) {
        join(loop, kinds[i][0], kinds[i][1]);
        pass_text(loop, 0, "question");
        far_finish(0);
        CHECK_END(joined.far[1].in);
        CHECK_INT(joined.seen->ends, 1U << EYE_FROM);
        suite_turns(5);
        CHECK_INT(joined.run.count, 0);
        /* The answer begins after the end of the question, and ends at once behind its last byte. */
        size_t sent = 0, got = 0;
        while (got < BYTES) {
            ssize_t n = sent < BYTES ? write(joined.far[1].out, data + sent, BYTES - sent) : 0;
            sent += n > 0 ? (size_t)n : 0;
            if (n > 0 && sent == BYTES)
                far_finish(1);
            int64_t m = suite_next(loop, joined.far[0].in, came + got, BYTES - got);
            if (!CHECK(m > 0))
                break;
            got += (size_t)m;
        }
        CHECK(memcmp(data, came, BYTES) == 0);
        CHECK_END(joined.far[0].in);
        CHECK_INT(joined.seen->ends, 1U << EYE_FROM | 1U << EYE_TO);
        join_ends(0, EYE_REASON_END);
        CHECK_INT(joined.outcome.bytes[0], 8);
        CHECK_INT(joined.outcome.bytes[1], BYTES);
    }
    free(data);
    free(came);
}

static void end_behind_bytes(eye_loop *loop) {
    /* The end is there together with the bytes before the relay looks. */
    for (size_t i = 0; i < ARRAY_LEN(kinds); i++) {
        join(loop, kinds[i][0], kinds[i][1]);
        suite_write(loop, joined.far[0].out, "last", 4);
        far_finish(0);
        char buf[8] = "";
        CHECK_INT(suite_read(loop, joined.far[1].in, buf, 4), 4);
        CHECK_END(joined.far[1].in);
        far_finish(1);
        join_ends(0, EYE_REASON_END);
        CHECK(!joined.outcome.path[1]);
    }
}

/* ---- resets ---- */

static void reset_passed_on(eye_loop *loop) {
    for (int side = 0; side < 2; side++) {
        join(loop, END_TCP, END_TCP);
        pass_text(loop, 0, "hello");
        suite_reset(joined.far[side].in);
        joined.far[side].in = joined.far[side].out = -1;
        char buf[8];
        CHECK_INT(suite_next(loop, joined.far[!side].in, buf, 1), -ECONNRESET);
        join_ends(-ECONNRESET, EYE_REASON_RESET);
        CHECK_INT(joined.outcome.err.fail, EYE_FAIL_TRUNCATED);
    }
}

static void reset_met_by_bytes(eye_loop *loop) {
    /* Bytes for the one that has reset are there first: it must not look like an orderly end. */
    joined.opts = (struct eye_relay_opts){0};
    struct far far[2];
    eye_stream *a = end_make(loop, END_COPY, &far[0]), *b = end_make(loop, END_TCP, &far[1]);
    suite_write(loop, far[0].out, "bytes", 5);
    suite_reset(far[1].in);
    eye_relay *relay;
    CHECK_INT(eye_relay_new(loop, a, b, NULL, &relay), 0);
    struct got run = {0};
    SUBMIT(eye_relay_run(relay, &run.op, got_done));
    AWAIT_INT(run, -ECONNRESET);
    struct eye_outcome outcome;
    eye_relay_outcome(relay, &outcome);
    CHECK_INT(outcome.reason, EYE_REASON_RESET);
    eye_relay_free(relay);
    close(far[0].in);
}

static void reset_while_stuck(eye_loop *loop) {
    for (size_t i = 0; i < 2; i++) {
        join(loop, kinds[i][0], END_TCP);
        uint8_t *data = suite_pattern(16 * BYTES);
        ssize_t n, stuck = 0;
        while ((n = write(joined.far[0].out, data, 16 * BYTES)) > 0 || stuck++ < 20)
            eye_loop_run(loop, NS_PER_MS); /* until nothing more is taken */
        suite_reset(joined.far[1].in);
        joined.far[1].in = joined.far[1].out = -1;
        join_ends(-ECONNRESET, EYE_REASON_RESET);
        free(data);
    }
}

/* ---- a reader that leaves ---- */

static void reader_leaves(eye_loop *loop) {
    /* b's reader has gone: that way ends, and the other goes on to its own end. */
    static const enum end_kind sources[] = {END_TCP, END_COPY};
    for (size_t i = 0; i < ARRAY_LEN(sources); i++) {
        join(loop, sources[i], END_PIPES);
        pass_text(loop, 0, "taken");
        close(joined.far[1].in);
        joined.far[1].in = -1;
        suite_write(loop, joined.far[0].out, "lost", 4);
        suite_turns(20);
        CHECK_INT(joined.run.count, 0);
        uint8_t *data = suite_pattern(BYTES), *came = malloc(BYTES);
        size_t sent = 0, got = 0;
        while (got < BYTES) {
            ssize_t n = sent < BYTES ? write(joined.far[1].out, data + sent, BYTES - sent) : 0;
            sent += n > 0 ? (size_t)n : 0;
            int64_t m = suite_next(loop, joined.far[0].in, came + got, BYTES - got);
            if (!CHECK(m > 0))
                break;
            got += (size_t)m;
        }
        CHECK(memcmp(data, came, BYTES) == 0);
        free(data);
        free(came);
        far_finish(1);
        CHECK_END(joined.far[0].in);
        join_ends(-EPIPE, EYE_REASON_TRUNCATED); /* output was lost */
        CHECK_INT(joined.outcome.bytes[1], BYTES);
    }
}

/* ---- policies ---- */

static void eof_close(eye_loop *loop) {
    for (size_t i = 0; i < ARRAY_LEN(kinds); i++) {
        joined.opts = (struct eye_relay_opts){.side[0].eof = EYE_EOF_CLOSE};
        join(loop, kinds[i][0], kinds[i][1]);
        suite_write(loop, joined.far[0].out, "last", 4);
        far_finish(0); /* b has not ended, and need not */
        char buf[8];
        CHECK_INT(suite_read(loop, joined.far[1].in, buf, 4), 4);
        CHECK_END(joined.far[1].in);
        join_ends(0, EYE_REASON_END);
    }
}

static void eof_close_delivers(eye_loop *loop) {
    /* What was taken the other way is delivered, though it waits for a slow reader. */
    joined.opts = (struct eye_relay_opts){.side[0].eof = EYE_EOF_CLOSE};
    join(loop, END_UNIX, END_COPY);
    uint8_t *data = suite_pattern(8 * BYTES), *came = malloc(8 * BYTES);
    size_t sent = 0;
    for (int stuck = 0; stuck < 20; stuck++) {
        ssize_t n = write(joined.far[1].out, data + sent, 8 * BYTES - sent);
        if (n > 0) {
            sent += (size_t)n;
            stuck = 0;
        }
        eye_loop_run(loop, NS_PER_MS);
    }
    shutdown(joined.far[0].out, SHUT_WR);
    suite_turns(5);
    struct eye_outcome outcome;
    size_t got = 0;
    int64_t n;
    while ((n = suite_next(loop, joined.far[0].in, came + got, 8 * BYTES - got)) > 0)
        got += (size_t)n;
    CHECK_INT(n, 0);
    eye_relay_outcome(joined.relay, &outcome);
    CHECK_INT(got, outcome.bytes[1]);
    CHECK(memcmp(data, came, got) == 0);
    free(data);
    free(came);
    join_ends(0, EYE_REASON_END);
}

static void eof_close_stuck(eye_loop *loop) {
    /* A reader that takes nothing more is not waited for: nothing that was taken is undelivered. */
    joined.opts = (struct eye_relay_opts){.side[1].eof = EYE_EOF_CLOSE};
    join(loop, END_TCP, END_PIPES);
    uint8_t *data = suite_pattern(16 * BYTES);
    ssize_t n, stuck = 0;
    while ((n = write(joined.far[0].out, data, 16 * BYTES)) > 0 || stuck++ < 20)
        eye_loop_run(loop, NS_PER_MS);
    far_finish(1);
    join_ends(0, EYE_REASON_END);
    free(data);
}

static void eof_wait(eye_loop *loop) {
    joined.opts = (struct eye_relay_opts){.side[0] = {.eof = EYE_EOF_WAIT, .wait_ns = 500 * NS_PER_MS}};
    join(loop, END_TCP, END_TCP);
    far_finish(0);
    CHECK_END(joined.far[1].in);
    int64_t last_ns = 0;
    for (int i = 0; i < 4; i++) { /* while something comes it goes on */
        int64_t until_ns = sys_now() + 170 * NS_PER_MS;
        while (sys_now() < until_ns)
            eye_loop_run(loop, until_ns - sys_now());
        last_ns = sys_now();
        pass_text(loop, 1, "more");
    }
    CHECK_INT(joined.run.count, 0);
    join_ends(0, EYE_REASON_END);
    CHECK(sys_now() - last_ns >= 500 * NS_PER_MS);
    CHECK_INT(joined.outcome.bytes[1], 16);
}

static void idle(eye_loop *loop) {
    joined.opts = (struct eye_relay_opts){.idle_ns = 500 * NS_PER_MS};
    join(loop, END_TCP, END_TCP);
    int64_t began_ns = sys_now();
    for (int i = 0; i < 4; i++) {
        int64_t until_ns = sys_now() + 170 * NS_PER_MS;
        while (sys_now() < until_ns)
            eye_loop_run(loop, until_ns - sys_now());
        pass_text(loop, i % 2, "alive");
    }
    CHECK_INT(joined.run.count, 0);
    join_ends(EYE_EDEADLINE, EYE_REASON_IDLE);
    CHECK(sys_now() - began_ns >= 1180 * NS_PER_MS);
    CHECK_INT(joined.outcome.err.fail, EYE_FAIL_DEADLINE);
}

/* ---- cancelling ---- */

static void cancelled(eye_loop *loop) {
    for (size_t i = 0; i < ARRAY_LEN(kinds); i++)
        for (int turns = 0; turns < 6; turns++) {
            join(loop, kinds[i][0], kinds[i][1]);
            suite_write(loop, joined.far[0].out, "bytes", 5);
            suite_write(loop, joined.far[1].out, "bytes", 5);
            suite_turns(turns);
            SUBMIT(eye_cancel(loop, &joined.run.op));
            join_ends(-ECANCELED, EYE_REASON_ERROR);
        }
}

static void cancelled_while_stuck(eye_loop *loop) {
    for (size_t i = 0; i < ARRAY_LEN(kinds); i++) {
        join(loop, kinds[i][0], kinds[i][1]);
        uint8_t *data = suite_pattern(16 * BYTES);
        ssize_t n, stuck = 0;
        while ((n = write(joined.far[0].out, data, 16 * BYTES)) > 0 || stuck++ < 20)
            eye_loop_run(loop, NS_PER_MS);
        SUBMIT(eye_cancel(loop, &joined.run.op));
        join_ends(-ECANCELED, EYE_REASON_ERROR);
        free(data);
    }
}

/* ---- keeping ---- */

static void keep_b(eye_loop *loop) {
    struct far far[2];
    eye_stream *b = end_make(loop, END_PIPES, &far[1]);
    struct eye_relay_opts opts = {.keep_b = true, .side[0].eof = EYE_EOF_CLOSE};
    for (int peer = 0; peer < 3; peer++) {
        eye_relay *relay;
        CHECK_INT(eye_relay_new(loop, end_make(loop, END_TCP, &far[0]), b, &opts, &relay), 0);
        struct got run = {0};
        SUBMIT(eye_relay_run(relay, &run.op, got_done));
        char buf[8];
        suite_write(loop, far[0].out, "to", 2);
        CHECK_INT(suite_read(loop, far[1].in, buf, 2), 2);
        suite_write(loop, far[1].out, "fro", 3);
        CHECK_INT(suite_read(loop, far[0].in, buf, 3), 3);
        shutdown(far[0].out, SHUT_WR);
        AWAIT_INT(run, 0);
        eye_relay_free(relay);
        CHECK_END(far[0].in);
        close(far[0].in);
        /* b has not been ended, and what is written to it now is the next one's. */
        CHECK(read(far[1].in, buf, 1) < 0 && errno == EAGAIN);
    }
    suite_close(b);
    close(far[1].in);
    close(far[1].out);
}

/* ---- many ---- */

static void deaf_end(eye_loop *loop) {
    /* One end never reads: what is taken for it is bounded, and another relay goes on. */
    join(loop, END_UNIX, END_UNIX);
    struct far far[2];
    eye_relay *relay;
    struct got run = {0};
    CHECK_INT(eye_relay_new(loop, end_make(loop, END_TCP, &far[0]), end_make(loop, END_COPY, &far[1]), NULL,
                            &relay),
              0);
    SUBMIT(eye_relay_run(relay, &run.op, got_done));
    uint8_t *data = suite_pattern(BYTES);
    size_t taken = 0;
    for (int stuck = 0; stuck < 20; stuck++) {
        ssize_t n = write(joined.far[0].out, data, BYTES);
        if (n > 0) {
            taken += (size_t)n;
            stuck = 0;
        }
        eye_loop_run(loop, NS_PER_MS);
    }
    CHECK(taken < 4 * BYTES); /* two sockets and a pipe */
    for (int i = 0; i < 20; i++) {
        char buf[8];
        suite_write(loop, far[0].out, "ping", 4);
        CHECK_INT(suite_read(loop, far[1].in, buf, 4), 4);
        suite_write(loop, far[1].out, "pong", 4);
        CHECK_INT(suite_read(loop, far[0].in, buf, 4), 4);
    }
    SUBMIT(eye_cancel(loop, &run.op));
    AWAIT_INT(run, -ECANCELED);
    eye_relay_free(relay);
    close(far[0].in);
    close(far[1].in);
    SUBMIT(eye_cancel(loop, &joined.run.op));
    join_ends(-ECANCELED, EYE_REASON_ERROR);
    free(data);
}

static const struct suite_case cases[] = {
    {"a late answer is delivered whole", late_answer},
    {"an end right behind the bytes", end_behind_bytes},
    {"a reset is passed on as one", reset_passed_on},
    {"a reset that bytes meet first is still one", reset_met_by_bytes},
    {"a reset by an end that does not read", reset_while_stuck},
    {"a reader leaves and the other way goes on", reader_leaves},
    {"at its end, close", eof_close},
    {"at its end, close, and what was taken is delivered", eof_close_delivers},
    {"at its end, close, though a reader takes nothing more", eof_close_stuck},
    {"at its end, wait while something comes", eof_wait},
    {"idle for too long", idle},
    {"cancelled in its first turns", cancelled},
    {"cancelled while an end does not read", cancelled_while_stuck},
    {"the second end is kept for the next", keep_b},
    {"an end that never reads is bounded and holds nobody up", deaf_end},
};

int main(int argc, char **argv) {
    return suite_main(cases, ARRAY_LEN(cases), argc, argv);
}
