/* relays.h: a relay between two ends of any kind, and its far ends as plain descriptors; for the cases of
 * test_flow_relay*.c. */
#ifndef RELAYS_H
#define RELAYS_H

#include "suite.h"

/* What an end of the relay is made of. END_COPY is a Unix socket that the kernel may not splice. */
enum end_kind { END_TCP, END_UNIX, END_PIPES, END_COPY, END_MESSAGES, END_DATAGRAMS };

/* The far side of an end: what the relay gave is read from in, what it is to take written to out. */
struct far {
    int in, out;
};

static struct {
    struct far far[2];
    eye_stream *stream[2];
    eye_relay *relay;
    struct got run;
    struct eye_relay_opts opts;
    struct eye_outcome outcome;
    struct seen *seen;
} joined;

static inline eye_stream *end_make(eye_loop *loop, enum end_kind kind, struct far *ret_far) {
    static const unsigned flags[] = {FLAGS_TCP,   FLAGS_UNIX,     FLAGS_PIPE,
                                     SLOT_SOCKET, FLAGS_MESSAGES, FLAGS_MESSAGES | SLOT_ENDLESS};
    static const int types[] = {[END_MESSAGES] = SOCK_SEQPACKET, [END_DATAGRAMS] = SOCK_DGRAM};
    int fd[2], back[2];
    if (kind == END_PIPES) {
        suite_pipe(fd);
        suite_pipe(back);
        *ret_far = (struct far){.in = back[0], .out = fd[1]};
        return suite_stream_two(loop, fd[0], FLAGS_PIPE, back[1], FLAGS_PIPE);
    }
    if (kind == END_TCP)
        suite_tcp_pair(fd);
    else
        suite_socketpair(kind >= END_MESSAGES ? types[kind] : SOCK_STREAM, fd);
    *ret_far = (struct far){.in = fd[1], .out = fd[1]};
    return suite_stream(loop, fd[0], flags[kind]);
}

/* Joins two ends, with joined.opts, and starts the relay. */
static inline void join(eye_loop *loop, enum end_kind a, enum end_kind b) {
    joined.seen = seen_new();
    joined.opts.observer = &joined.seen->observer;
    joined.stream[0] = end_make(loop, a, &joined.far[0]);
    joined.stream[1] = end_make(loop, b, &joined.far[1]);
    joined.run = (struct got){0};
    CHECK_INT(eye_relay_new(loop, joined.stream[0], joined.stream[1], &joined.opts, &joined.relay), 0);
    SUBMIT(eye_relay_run(joined.relay, &joined.run.op, got_done));
}

/* Ends what the far side of an end sends. */
static inline void far_finish(int side) {
    struct far *far = &joined.far[side];
    if (far->out == far->in) {
        shutdown(far->out, SHUT_WR);
    } else {
        close(far->out);
        far->out = -1;
    }
}

static inline void far_close(int side) {
    struct far *far = &joined.far[side];
    if (far->out != far->in && far->out >= 0)
        close(far->out);
    if (far->in >= 0)
        close(far->in);
    far->in = far->out = -1;
}

/* Awaits the relay's end and takes its outcome. */
static inline void join_ends(int64_t want, enum eye_reason reason) {
    AWAIT_INT(joined.run, want);
    eye_relay_outcome(joined.relay, &joined.outcome);
    CHECK_STR(eye_reason_name(joined.outcome.reason), eye_reason_name(reason));
    CHECK_INT(joined.outcome.err.code, want);
    joined.relay = eye_relay_free(joined.relay);
    far_close(0);
    far_close(1);
    free(joined.seen);
}

/* Sends a text through, from the far side of an end to that of the other. */
static inline void pass_text(eye_loop *loop, int side, const char *text) {
    char buf[64];
    size_t size = strlen(text);
    CHECK_INT(suite_write(loop, joined.far[side].out, text, size), size);
    CHECK_INT(suite_read(loop, joined.far[!side].in, buf, size), size);
    CHECK(memcmp(buf, text, size) == 0);
}

#endif
