/* test_flow_forward.c: a forward: for each peer of FROM it opens TO and joins the two; with standard input
 * and output as either end; and how it is stopped. */
#include "suite.h"

/* TO is a listening socket of the case's own, in most of them. */
static struct {
    struct eye_endpoint from, to;
    struct eye_forward_opts opts;
    struct eye_forward *forward;
    struct eye_outcome outcome;
    struct got run;
    struct seen *seen;
    int target;
} fwd;

static void forward_begin(eye_loop *loop, struct eye_endpoint from, struct eye_endpoint to) {
    fwd.from = from;
    fwd.to = to;
    fwd.seen = seen_new();
    fwd.opts.from = &fwd.from;
    fwd.opts.to = &fwd.to;
    fwd.opts.observer = &fwd.seen->observer;
    fwd.run = (struct got){0};
    if (!CHECK_INT(eye_forward_new(loop, &fwd.opts, &fwd.forward, NULL), 0))
        exit(1);
    SUBMIT(eye_forward_run(fwd.forward, &fwd.run.op, &fwd.outcome, got_done));
}

static void forward_ends(int64_t want, enum eye_reason reason) {
    AWAIT_INT(fwd.run, want);
    CHECK_STR(eye_reason_name(fwd.outcome.reason), eye_reason_name(reason));
    CHECK_INT(fwd.outcome.err.code, want);
    CHECK_INT(fwd.seen->count[EYE_EVENT_PAUSED], 0);
    eye_forward_free(fwd.forward);
    eye_endpoint_done(&fwd.from);
    eye_endpoint_done(&fwd.to);
    free(fwd.seen);
}

static struct eye_endpoint target_new(void) {
    struct eye_addr addr;
    fwd.target = suite_tcp_listener(8, &addr);
    return suite_endpoint("tcp:127.0.0.1:%u", eye_addr_port(&addr));
}

/* The target's end of the next join. */
static int target_accept(eye_loop *loop) {
    int fd = -1;
    UNTIL((fd = accept4(fwd.target, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC)) >= 0);
    (void)loop;
    return fd;
}

static void passes(eye_loop *loop, int out, int in, const char *text) {
    char buf[32];
    size_t size = strlen(text);
    CHECK_INT(suite_write(loop, out, text, size), size);
    CHECK_INT(suite_read(loop, in, buf, size), size);
    CHECK(memcmp(buf, text, size) == 0);
}

/* ---- peers ---- */

static void each_its_own(eye_loop *loop) {
    forward_begin(loop, suite_endpoint("tcp:127.0.0.1:0"), target_new());
    int peer[3], target[3];
    for (int i = 0; i < 3; i++) {
        peer[i] = suite_connect(&fwd.seen->address);
        target[i] = target_accept(loop);
    }
    for (int i = 2; i >= 0; i--) {
        char text[] = {'p', (char)('0' + i), '\0'};
        passes(loop, peer[i], target[i], text);
        passes(loop, target[i], peer[i], text);
    }
    CHECK_INT(fwd.seen->count[EYE_EVENT_CONNECTED], 6);
    for (int i = 0; i < 3; i++) {
        shutdown(peer[i], SHUT_WR);
        CHECK_END(target[i]);
        close(target[i]);
        CHECK_END(peer[i]);
        close(peer[i]);
    }
    UNTIL(fwd.seen->count[EYE_EVENT_CLOSED] == 3);
    CHECK(fwd.seen->bytes[0] == 2 && fwd.seen->bytes[1] == 2);
    CHECK_STR(fwd.seen->path[0], "splice");
    SUBMIT(eye_forward_stop(fwd.forward, SUITE_LIMIT_NS));
    forward_ends(0, EYE_REASON_END);
    close(fwd.target);
}

static void once(eye_loop *loop) {
    fwd.opts.once = true;
    forward_begin(loop, suite_endpoint("tcp:127.0.0.1:0"), target_new());
    int peer = suite_connect(&fwd.seen->address), target = target_accept(loop);
    int late = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    CHECK(connect(late, &fwd.seen->address.u.sa, fwd.seen->address.len) < 0 && errno == ECONNREFUSED);
    close(late);
    passes(loop, peer, target, "question");
    passes(loop, target, peer, "answer");
    shutdown(target, SHUT_WR);
    CHECK_END(peer);
    shutdown(peer, SHUT_WR);
    forward_ends(0, EYE_REASON_END);
    CHECK(fwd.outcome.bytes[0] == 8 && fwd.outcome.bytes[1] == 6);
    close(peer);
    close(target);
    close(fwd.target);
}

static void once_reset(eye_loop *loop) {
    fwd.opts.once = true;
    forward_begin(loop, suite_endpoint("tcp:127.0.0.1:0"), target_new());
    int peer = suite_connect(&fwd.seen->address), target = target_accept(loop);
    passes(loop, peer, target, "question");
    suite_reset(target);
    forward_ends(-ECONNRESET, EYE_REASON_RESET);
    char buf[4];
    CHECK_INT(suite_next(loop, peer, buf, 1), -ECONNRESET);
    close(peer);
    close(fwd.target);
}

static void to_refused(eye_loop *loop) {
    struct eye_endpoint to = target_new();
    close(fwd.target);
    forward_begin(loop, suite_endpoint("tcp:127.0.0.1:0"), to);
    for (unsigned i = 1; i <= 3; i++) { /* it goes on */
        int peer = suite_connect(&fwd.seen->address);
        char buf[4];
        CHECK_INT(suite_next(loop, peer, buf, 1), -ECONNRESET);
        UNTIL(fwd.seen->count[EYE_EVENT_CLOSED] == i);
        CHECK_STR(eye_reason_name(fwd.seen->reason), "refused");
        CHECK_INT(fwd.seen->error, -ECONNREFUSED);
        close(peer);
    }
    SUBMIT(eye_forward_stop(fwd.forward, SUITE_LIMIT_NS));
    forward_ends(0, EYE_REASON_END);
}

static void once_refused(eye_loop *loop) {
    struct eye_endpoint to = target_new();
    close(fwd.target);
    fwd.opts.once = true;
    forward_begin(loop, suite_endpoint("tcp:127.0.0.1:0"), to);
    int peer = suite_connect(&fwd.seen->address);
    forward_ends(-ECONNREFUSED, EYE_REASON_REFUSED);
    close(peer);
}

static void to_denied(eye_loop *loop) {
    struct eye_endpoint to = target_new();
    eye_endpoint_done(&to);
    struct eye_addr addr = {.len = sizeof addr.u};
    getsockname(fwd.target, &addr.u.sa, &addr.len);
    fwd.opts.once = true;
    forward_begin(loop, suite_endpoint("tcp:127.0.0.1:0"),
                  suite_endpoint("tcp:127.0.0.1:%u,deny=127.0.0.1", eye_addr_port(&addr)));
    int peer = suite_connect(&fwd.seen->address);
    forward_ends(EYE_EDENIED, EYE_REASON_DENIED);
    close(peer);
    close(fwd.target);
}

/* ---- FROM ---- */

static void from_in_use(eye_loop *loop) {
    struct eye_endpoint from = target_new();
    forward_begin(loop, from, suite_endpoint("tcp:127.0.0.1:9"));
    forward_ends(-EADDRINUSE, EYE_REASON_ERROR);
    close(fwd.target);
}

static void from_dialled(eye_loop *loop) {
    struct eye_addr addr;
    int listener = suite_tcp_listener(1, &addr);
    forward_begin(loop, suite_endpoint("tcp:127.0.0.1:%u,dial", eye_addr_port(&addr)), target_new());
    int from = -1, to = target_accept(loop);
    UNTIL((from = accept4(listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC)) >= 0);
    passes(loop, from, to, "there");
    passes(loop, to, from, "back");
    close(from);
    CHECK_END(to);
    close(to);
    forward_ends(0, EYE_REASON_END); /* once is implied */
    close(listener);
    close(fwd.target);
}

static void from_refused(eye_loop *loop) {
    struct eye_endpoint to = target_new();
    struct eye_addr addr;
    close(suite_tcp_listener(1, &addr));
    forward_begin(loop, suite_endpoint("tcp:127.0.0.1:%u,dial", eye_addr_port(&addr)), to);
    forward_ends(-ECONNREFUSED, EYE_REASON_REFUSED);
    close(fwd.target);
}

static void to_listens(eye_loop *loop) {
    char name[64];
    snprintf(name, sizeof name, "sockeye-test-to-%d", getpid());
    forward_begin(loop, suite_endpoint("tcp:127.0.0.1:0"), suite_endpoint("unix:@%s,listen", name));
    int peer[2], to[2];
    struct sockaddr_un sun = {.sun_family = AF_UNIX};
    memcpy(sun.sun_path + 1, name, strlen(name));
    socklen_t len = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + 1 + strlen(name));
    for (int i = 0; i < 2; i++) {
        peer[i] = suite_connect(&fwd.seen->address);
        suite_turns(3);
        to[i] = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
        CHECK_INT(connect(to[i], (struct sockaddr *)&sun, len), 0);
        fcntl(to[i], F_SETFL, O_NONBLOCK);
        passes(loop, peer[i], to[i], "there");
        passes(loop, to[i], peer[i], "back");
    }
    int alone = suite_connect(&fwd.seen->address); /* nobody comes for this one */
    suite_turns(3);
    SUBMIT(eye_forward_stop(fwd.forward, 0));
    forward_ends(0, EYE_REASON_END);
    close(alone);
    for (int i = 0; i < 2; i++) {
        close(peer[i]);
        close(to[i]);
    }
}

/* ---- standard input and output ---- */

/* Puts a pipe in the place of each; returns the far ends: to write to, to read from. */
static void stdio_pipes(int *ret_in, int *ret_out) {
    int in[2], out[2];
    suite_pipe(in);
    suite_pipe(out);
    dup2(in[0], STDIN_FILENO);
    dup2(out[1], STDOUT_FILENO);
    close(in[0]);
    close(out[1]);
    *ret_in = in[1];
    *ret_out = out[0];
}

static void stdio_from(eye_loop *loop) {
    int in, out;
    stdio_pipes(&in, &out);
    forward_begin(loop, suite_endpoint("-"), target_new());
    int target = target_accept(loop);
    passes(loop, in, target, "typed");
    close(in);
    CHECK_END(target); /* the end is passed on, and the answer awaited */
    passes(loop, target, out, "printed");
    close(target);
    CHECK_END(out); /* while the process lives on */
    forward_ends(0, EYE_REASON_END);
    close(out);
    close(fwd.target);
}

static void stdio_eof_close(eye_loop *loop) {
    int in, out;
    stdio_pipes(&in, &out);
    fwd.opts.stdio.eof = EYE_EOF_CLOSE;
    forward_begin(loop, suite_endpoint("-"), target_new());
    int target = target_accept(loop);
    passes(loop, in, target, "typed");
    close(in);
    forward_ends(0, EYE_REASON_END); /* the target need not end */
    CHECK_END(target);
    close(target);
    close(out);
    close(fwd.target);
}

static void stdio_keeps(eye_loop *loop) {
    int in, out;
    stdio_pipes(&in, &out);
    forward_begin(loop, suite_endpoint("tcp:127.0.0.1:0"), suite_endpoint("-"));
    for (unsigned i = 1; i <= 3; i++) { /* one peer after another */
        int peer = suite_connect(&fwd.seen->address);
        int next = suite_connect(&fwd.seen->address);
        passes(loop, peer, out, "heard");
        passes(loop, in, peer, "said");
        CHECK_INT(fwd.seen->count[EYE_EVENT_CONNECTED], i + (i - 1));
        shutdown(peer, SHUT_WR);
        CHECK_END(peer);
        close(peer);
        passes(loop, next, out, "next");
        close(next);
        UNTIL(fwd.seen->count[EYE_EVENT_CLOSED] == 2 * i);
    }
    SUBMIT(eye_forward_stop(fwd.forward, 0));
    forward_ends(0, EYE_REASON_END);
    CHECK_END(out);
    close(in);
    close(out);
}

static void stdio_twice(eye_loop *loop) {
    struct eye_endpoint e = suite_endpoint("-");
    struct eye_forward_opts opts = {.from = &e, .to = &e};
    eye_forward *forward;
    struct eye_err err;
    CHECK_INT(eye_forward_new(loop, &opts, &forward, &err), EYE_ESYNTAX);
    CHECK_INT(err.fail, EYE_FAIL_USAGE);
    eye_endpoint_done(&e);
}

/* ---- stopping ---- */

static void stop_with_grace(eye_loop *loop) {
    forward_begin(loop, suite_endpoint("tcp:127.0.0.1:0"), target_new());
    int peer = suite_connect(&fwd.seen->address), target = target_accept(loop);
    passes(loop, peer, target, "one");
    SUBMIT(eye_forward_stop(fwd.forward, SUITE_LIMIT_NS));
    passes(loop, target, peer, "two");
    CHECK_INT(fwd.run.count, 0);
    close(peer);
    CHECK_END(target);
    close(target);
    UNTIL(fwd.seen->count[EYE_EVENT_CLOSED] == 1);
    CHECK_STR(eye_reason_name(fwd.seen->reason), "end");
    forward_ends(0, EYE_REASON_END);
    close(fwd.target);
}

static void stop_cuts(eye_loop *loop) {
    forward_begin(loop, suite_endpoint("tcp:127.0.0.1:0"), target_new());
    int peer = suite_connect(&fwd.seen->address), target = target_accept(loop);
    passes(loop, peer, target, "one");
    int64_t began_ns = sys_now();
    SUBMIT(eye_forward_stop(fwd.forward, 50 * NS_PER_MS));
    UNTIL(fwd.seen->count[EYE_EVENT_CLOSED] == 1);
    CHECK(sys_now() - began_ns >= 45 * NS_PER_MS);
    CHECK_STR(eye_reason_name(fwd.seen->reason), "timeout");
    forward_ends(0, EYE_REASON_END);
    close(peer);
    close(target);
    close(fwd.target);
}

static void stop_twice(eye_loop *loop) {
    forward_begin(loop, suite_endpoint("tcp:127.0.0.1:0"), target_new());
    int peer = suite_connect(&fwd.seen->address), target = target_accept(loop);
    passes(loop, peer, target, "one");
    SUBMIT(eye_forward_stop(fwd.forward, 1000 * NS_PER_S));
    suite_turns(3);
    CHECK_INT(fwd.run.count, 0);
    SUBMIT(eye_forward_stop(fwd.forward, 0)); /* a second signal means now */
    forward_ends(0, EYE_REASON_END);
    close(peer);
    close(target);
    close(fwd.target);
}

static void cancelled_in_turns(eye_loop *loop) {
    for (int turns = 0; turns < 10; turns++) {
        forward_begin(loop, suite_endpoint("tcp:127.0.0.1:0"), target_new());
        int peer = suite_connect(&fwd.seen->address);
        suite_turns(turns);
        SUBMIT(eye_cancel(loop, &fwd.run.op));
        forward_ends(0, EYE_REASON_END);
        close(peer);
        close(fwd.target);
    }
}

static const struct suite_case cases[] = {
    {"each peer is joined to one of its own", each_its_own},
    {"once ends after the first peer", once},
    {"once tells that the peer was reset", once_reset},
    {"a TO that refuses ends that peer alone", to_refused},
    {"once tells that TO refused", once_refused},
    {"once tells that TO is denied", to_denied},
    {"a FROM that is in use", from_in_use},
    {"a FROM that is dialled", from_dialled},
    {"a FROM that refuses", from_refused},
    {"a TO that listens", to_listens},
    {"standard input and output to TCP", stdio_from},
    {"the end of standard input ends both", stdio_eof_close},
    {"one peer after another to standard output", stdio_keeps},
    {"standard input and output at both ends", stdio_twice},
    {"stopping lets peers finish", stop_with_grace},
    {"stopping ends them when their time is up", stop_cuts},
    {"stopping again means now", stop_twice},
    {"cancelled in its first turns", cancelled_in_turns},
};

int main(int argc, char **argv) {
    return suite_main(cases, ARRAY_LEN(cases), argc, argv);
}
