/* relay.c: joining two streams.
 *
 * Each way is a small machine with one operation in flight: take some bytes from one side, give all of
 * them to the other, again. Where both sides have a descriptor for it the kernel moves the bytes: by one
 * splice where either is a pipe, else through a pipe of the pool, held only while it has bytes. Elsewhere,
 * or where the kernel refuses, they are lent by the loop and sent on. What is held is one pipe or one
 * lent buffer's copy each way, and nothing more is taken before it has gone.
 *
 * The ways end by themselves: an end of stream is passed on as one, in its turn, and the relay is done
 * when both have ended. */
#include <assert.h>
#include <errno.h>
#include <stdlib.h>

#include "flow/flow.h"
#include "loop/batch.h"
#include "loop/io.h"
#include "net/net.h"

enum mode { MODE_COPY, MODE_SPLICE, MODE_SPLICE_POOL };

struct way {
    eye_relay *relay;
    eye_stream *from;
    eye_op op; /* the one in flight */
    union {
        struct eye_bytes lent;
        size_t pipe_bytes;
    } u;
    struct kpipe *pipe; /* while it holds bytes */
    uint64_t bytes;
    uint64_t traced;        /* bytes that the tracer has seen */
    enum eye_side side : 8; /* where it comes from */
    enum mode mode : 8;
    bool copied;     /* some of the bytes, not spliced */
    bool discarding; /* the other side takes no more; what still comes goes nowhere */
    bool ended;
    bool was_cr; /* the last byte was a CR, where LF becomes CR LF */
};

/* Ends the relay when nothing has moved for a while; made where one of the options wants it. */
struct quiet {
    eye_op op;
    eye_relay *relay;
    int64_t limit_ns; /* 0: not yet */
    enum eye_reason reason;
    bool good; /* it is the orderly end of EYE_EOF_WAIT, or of datagrams, and no failure */
};

struct eye_relay {
    eye_loop *loop;
    struct eye_relay_opts opts;
    struct way way[2];
    eye_op *op; /* the caller's, while it runs */
    struct quiet *quiet;
    int64_t last_ns; /* when bytes last moved */
    bool closing;    /* no more is taken from either side; what was taken is delivered */
    bool over;       /* nothing goes on any more */
    bool cut;        /* over before both ways had ended */
    bool closed;     /* the streams are being closed */
    /* The first failure. The words are made when they are asked for: an idle relay is kept small. */
    enum eye_reason reason;
    int code;
    const char *what;
};

static struct way *way_other(const struct way *w) {
    return &w->relay->way[w == &w->relay->way[0]];
}

static eye_stream *way_to(const struct way *w) {
    return way_other(w)->from;
}

static void way_next(struct way *w);
static void way_drain(struct way *w);
static void sink_ready_done(eye_op *op, int64_t result);
static void relay_settle(eye_relay *relay);

/* ---- how it ends ---- */

static void relay_over(eye_relay *relay) {
    relay->over = true;
    for (int i = 0; i < 2; i++)
        eye_cancel(relay->loop, &relay->way[i].op);
    if (relay->quiet)
        eye_cancel(relay->loop, &relay->quiet->op);
    relay_settle(relay);
}

static void relay_blame(eye_relay *relay, enum eye_reason reason, int64_t code, const char *what) {
    if (relay->code)
        return;
    relay->reason = reason;
    relay->code = (int)code;
    relay->what = what;
}

static void relay_fail(eye_relay *relay, enum eye_reason reason, int64_t code, const char *what) {
    if (relay->over)
        return;
    relay_blame(relay, reason, code, what);
    relay->cut = true;
    relay_over(relay);
}

static void way_put_pipe(struct way *w, bool empty) {
    if (w->pipe)
        pipe_put(w->relay->loop, w->pipe, empty);
    w->pipe = NULL;
}

static void close_done(eye_op *op, int64_t result) {
    (void)result;
    relay_settle(eye_container_of(op, struct way, op)->relay);
}

static void relay_close(eye_relay *relay) {
    relay->closed = true;
    for (int i = 0; i < 2; i++) {
        struct way *w = &relay->way[i];
        way_put_pipe(w, false);
        if (i == 1 && relay->opts.keep_b)
            continue;
        if (relay->cut)
            eye_abort(w->from, &w->op, close_done);
        else
            eye_close(w->from, &w->op, close_done);
    }
}

/* Goes on with the end, once what it waits for has come. */
static void relay_settle(eye_relay *relay) {
    if (!relay->over || !relay->op)
        return;
    if (eye_op_pending(&relay->way[0].op) || eye_op_pending(&relay->way[1].op) ||
        (relay->quiet && eye_op_pending(&relay->quiet->op)))
        return;
    if (!relay->closed)
        relay_close(relay);
    if (eye_op_pending(&relay->way[0].op) || eye_op_pending(&relay->way[1].op))
        return;
    eye_op *op = relay->op;
    relay->op = NULL;
    op_finish(relay->loop, op, relay->code);
}

static void way_end(struct way *w) {
    eye_relay *relay = w->relay;
    w->ended = true;
    const struct way *other = way_other(w);
    /* A way that has lost bytes, and only discards, is not worth going on for. */
    if (other->ended || (other->discarding && relay->code))
        relay_over(relay);
}

/* What errors call an end of a way. */
static const char *end_name(const struct way *w, enum eye_way way) {
    bool second = (w->side == EYE_TO) == (way == EYE_IN);
    const struct eye_endpoint *endpoint = w->relay->opts.side[second].endpoint;
    if (!endpoint)
        return second ? "the second end" : "the first end";
    if (endpoint->scheme == EYE_STDIO)
        return way == EYE_IN ? "standard input" : "standard output";
    return endpoint->text;
}

/* ---- one way ---- */

/* Every done of a way begins here: false when it is not to go on. */
static bool way_goes_on(struct way *w) {
    if (!w->relay->over)
        return true;
    relay_settle(w->relay);
    return false;
}

static void way_moved(struct way *w, int64_t n, bool copied) {
    w->bytes += (uint64_t)n;
    w->copied |= copied;
    w->relay->last_ns = w->relay->loop->now_ns;
}

static void finish_done(eye_op *op, int64_t result) {
    struct way *w = eye_container_of(op, struct way, op);
    if (!way_goes_on(w))
        return;
    if (result < 0 && result != -ENOTCONN) {
        relay_fail(w->relay, EYE_REASON_ERROR, result, end_name(w, EYE_OUT));
        return;
    }
    way_end(w);
}

static void quiet_done(eye_op *op, int64_t result) {
    struct quiet *quiet = eye_container_of(op, struct quiet, op);
    eye_relay *relay = quiet->relay;
    if (relay->over) {
        relay_settle(relay);
        return;
    }
    int64_t until_ns = time_after(relay->last_ns, quiet->limit_ns);
    if (result < 0 || relay->loop->now_ns < until_ns)
        eye_timer(relay->loop, op, until_ns, quiet_done);
    else if (!quiet->good)
        relay_fail(relay, quiet->reason, EYE_EDEADLINE, "no byte for the time that idle= allows");
    else {
        relay_blame(relay, quiet->reason, 0, NULL);
        relay_over(relay);
    }
}

static void quiet_start(eye_relay *relay, int64_t limit_ns, enum eye_reason reason, bool good) {
    struct quiet *quiet = relay->quiet;
    quiet->limit_ns = limit_ns;
    quiet->reason = reason;
    quiet->good = good;
    relay->last_ns = relay->loop->now_ns;
    if (eye_op_pending(&quiet->op))
        eye_cancel(relay->loop, &quiet->op); /* its done sets it anew */
    else
        eye_timer(relay->loop, &quiet->op, time_after(relay->last_ns, limit_ns), quiet_done);
}

static void way_finish(struct way *w) {
    if (w->relay->opts.keep_b && way_to(w) == w->relay->way[1].from)
        way_end(w);
    else
        eye_finish(way_to(w), &w->op, finish_done);
}

static void way_eof(struct way *w) {
    eye_relay *relay = w->relay;
    struct way *other = way_other(w);
    observe(relay->opts.observer,
            &(struct eye_event){.kind = EYE_EVENT_EOF, .conn = relay->opts.conn, .side = w->side});
    int from = w->side == EYE_TO;
    switch (relay->opts.side[from].eof) {
    case EYE_EOF_HALF:
        break;
    case EYE_EOF_CLOSE:
        /* Bytes that were taken the other way are still delivered: only what holds none is cancelled, a
         * receive, or waiting for a full pipe to take some. */
        relay->closing = true;
        if (!other->ended && eye_op_pending(&other->op) &&
            (op_of(&other->op)->kind->way == EYE_IN || op_of(&other->op)->done == sink_ready_done))
            eye_cancel(relay->loop, &other->op);
        break;
    case EYE_EOF_WAIT:
        quiet_start(relay, relay->opts.side[from].wait_ns, EYE_REASON_END, true);
        break;
    }
    if (w->discarding)
        way_end(w);
    else
        way_finish(w);
}

/* The side that a way takes from has failed. */
static void way_source_failed(struct way *w, int64_t code) {
    if (code == -ECANCELED && w->relay->closing)
        way_end(w);
    else if (code == -ECONNRESET || code == -EPIPE)
        relay_fail(w->relay, EYE_REASON_RESET, -ECONNRESET, end_name(w, EYE_IN));
    else if (code == -ECONNREFUSED) /* how a datagram that found nobody comes back (udp(7)) */
        relay_fail(w->relay, EYE_REASON_REFUSED, code, end_name(w, EYE_IN));
    else
        relay_fail(w->relay,
                   code == EYE_ETRUNCATED ? EYE_REASON_TRUNCATED
                   : is_tls(code)         ? EYE_REASON_TLS
                                          : EYE_REASON_ERROR,
                   code, end_name(w, EYE_IN));
}

/* Bytes that nobody takes have been lost. */
static void way_lost(struct way *w) {
    relay_blame(w->relay, EYE_REASON_TRUNCATED, -EPIPE, end_name(w, EYE_OUT));
    if (way_other(w)->ended)
        way_end(w);
    else
        way_next(w);
}

/* The side that it gives to has, with bytes that were for it. */
static void way_sink_failed(struct way *w, int64_t code) {
    way_put_pipe(w, false);
    /* Reading on, for nothing, lets the source finish what it gives the other way. */
    w->discarding = code == -EPIPE;
    if (w->discarding)
        way_lost(w);
    else
        relay_fail(w->relay,
                   code == -ECONNRESET      ? EYE_REASON_RESET
                   : code == -ECONNREFUSED  ? EYE_REASON_REFUSED
                   : is_tls(code)           ? EYE_REASON_TLS
                   : code == EYE_ETRUNCATED ? EYE_REASON_TRUNCATED
                                            : EYE_REASON_ERROR,
                   code, end_name(w, EYE_OUT));
}

static void send_done(eye_op *op, int64_t n) {
    struct way *w = eye_container_of(op, struct way, op);
    if (n > 0)
        way_moved(w, n, true);
    if (!way_goes_on(w))
        return;
    if (n < 0)
        way_sink_failed(w, n);
    else if (w->pipe)
        way_drain(w); /* what is left in the pipe of a sink that does not splice */
    else
        way_next(w);
}

static void way_trace(struct way *w, struct eye_bytes bytes) {
    const struct eye_tracer *tracer = w->relay->opts.tracer;
    if (!tracer || bytes.size == 0)
        return;
    tracer->bytes(tracer->user, w->relay->opts.conn, w->side, w->traced, bytes);
    w->traced += bytes.size;
}

/* Sends the lent bytes with CR LF for LF. */
static void way_send_lines(struct way *w) {
    uint8_t *lines = malloc(2 * w->u.lent.size);
    size_t size = 0;
    if (!lines) {
        relay_fail(w->relay, EYE_REASON_ERROR, -ENOMEM, end_name(w, EYE_IN));
        return;
    }
    for (size_t i = 0; i < w->u.lent.size; i++) {
        uint8_t byte = w->u.lent.data[i];
        if (byte == '\n' && !w->was_cr)
            lines[size++] = '\r';
        lines[size++] = byte;
        w->was_cr = byte == '\r';
    }
    way_trace(w, (struct eye_bytes){.data = lines, .size = size});
    eye_send_copy(way_to(w), &w->op, lines, size, send_done);
    free(lines);
}

static void recv_done(eye_op *op, int64_t n) {
    struct way *w = eye_container_of(op, struct way, op);
    bool lines = w->relay->opts.side[w->side == EYE_TO].crlf;
    if (n > 0 && !lines)
        way_trace(w, w->u.lent);
    if (!way_goes_on(w))
        return;
    if (n < 0)
        way_source_failed(w, n);
    else if (n == 0 && !eye_stream_endless(w->from))
        way_eof(w);
    else if (w->discarding)
        way_lost(w);
    else if (n == 0 && !eye_stream_endless(way_to(w)))
        way_next(w); /* an empty datagram is nothing to a byte stream */
    else if (n > 0 && lines)
        way_send_lines(w);
    else
        eye_send_copy(way_to(w), &w->op, w->u.lent.data, w->u.lent.size, send_done);
}

/* What a stream brings goes on as one datagram where the other side has such. */
static void way_copy(struct way *w) {
    bool cut = eye_stream_endless(way_to(w)) && !eye_stream_endless(w->from);
    stream_recv_lent(w->from, &w->op, &w->u.lent, cut ? DATAGRAM_PAYLOAD_MAX : SIZE_MAX, recv_done);
}

static struct slot *way_slot(const struct way *w, enum eye_way way) {
    return slot_find(w->relay->loop, eye_stream_fd(way == EYE_IN ? w->from : way_to(w), way));
}

/* What the kernel says to a splice that it does not do for these descriptors, or a container's filter to
 * any. */
static bool refused(int64_t code) {
    return code == -EINVAL || code == -ENOSYS || code == -EOPNOTSUPP || code == -EPERM;
}

/* The kernel does not splice to this sink: the pipe's bytes go the other way, and the rest too. */
static void way_drain(struct way *w) {
    struct eye_bytes lent;
    int64_t n = w->u.pipe_bytes ? pipe_drain(w->relay->loop, w->pipe, &lent) : 0;
    if (n < 0) {
        relay_fail(w->relay, EYE_REASON_ERROR, n, "pipe");
        return;
    }
    if (n == 0) {
        way_put_pipe(w, true);
        way_copy(w);
        return;
    }
    w->u.pipe_bytes -= (size_t)n;
    eye_send_copy(way_to(w), &w->op, lent.data, lent.size, send_done);
}

static void splice_out_done(eye_op *op, int64_t n) {
    struct way *w = eye_container_of(op, struct way, op);
    int64_t moved = op_of(op)->moved; /* also where it failed in the middle */
    if (moved > 0) {
        way_moved(w, moved, false);
        w->u.pipe_bytes -= (size_t)moved;
    }
    if (!way_goes_on(w))
        return;
    if (refused(n)) {
        w->mode = MODE_COPY;
        way_drain(w);
    } else if (n < 0) {
        way_sink_failed(w, n);
    } else {
        way_put_pipe(w, true);
        way_next(w);
    }
}

static void splice_in_done(eye_op *op, int64_t n) {
    struct way *w = eye_container_of(op, struct way, op);
    if (n > 0)
        w->u.pipe_bytes = (size_t)n;
    if (!way_goes_on(w))
        return;
    if (n > 0) {
        io_splice_out(way_slot(w, EYE_OUT), op, w->pipe, w->u.pipe_bytes, splice_out_done);
    } else if (n == 0) {
        way_eof(w);
    } else if (refused(n)) {
        w->mode = MODE_COPY;
        way_copy(w);
    } else if (n == -ENOBUFS) {
        way_copy(w); /* no pipe to be had this time */
    } else {
        way_source_failed(w, n);
    }
}

static void sink_ready_done(eye_op *op, int64_t result) {
    struct way *w = eye_container_of(op, struct way, op);
    if (!way_goes_on(w))
        return;
    if (result < 0 && !(result == -ECANCELED && w->relay->closing))
        way_sink_failed(w, result);
    else
        way_next(w);
}

/* One splice does not say which of its two ends failed. */
static bool is_sinks(const struct way *w, int64_t code) {
    return code == -ENOSPC || code == -EDQUOT || code == -EFBIG ||
           (code == -ECONNRESET && (way_slot(w, EYE_IN)->flags & SLOT_PIPE));
}

static void splice_done(eye_op *op, int64_t n) {
    struct way *w = eye_container_of(op, struct way, op);
    if (n > 0)
        way_moved(w, n, false);
    if (!way_goes_on(w))
        return;
    if (n > 0) {
        way_next(w);
    } else if (n == 0) {
        way_eof(w);
    } else if (n == -ENOBUFS) {
        io_wait(way_slot(w, EYE_OUT), op, EYE_OUT, sink_ready_done);
    } else if (refused(n)) {
        w->mode = MODE_COPY;
        way_copy(w);
    } else if (n == -EPIPE) {
        w->discarding = true; /* its reader has gone, and no byte was there for it: none need come */
        way_next(w);
    } else if (is_sinks(w, n)) {
        way_sink_failed(w, n);
    } else {
        way_source_failed(w, n);
    }
}

static void way_next(struct way *w) {
    if (w->relay->closing && !w->discarding) {
        way_end(w);
        return;
    }
    if (w->discarding) {
        way_copy(w);
        return;
    }
    switch (w->mode) {
    case MODE_COPY:
        way_copy(w);
        break;
    case MODE_SPLICE:
        io_splice(way_slot(w, EYE_IN), &w->op, eye_stream_fd(way_to(w), EYE_OUT), splice_done);
        break;
    case MODE_SPLICE_POOL:
        io_splice_in(way_slot(w, EYE_IN), &w->op, &w->pipe, splice_in_done);
        break;
    }
}

/* Asks the one question: may the kernel move these bytes? Not where we have to see them. */
static enum mode way_mode(const struct way *w) {
    if (w->relay->opts.tracer || w->relay->opts.side[w->side == EYE_TO].crlf)
        return MODE_COPY;
    if (eye_stream_fd(w->from, EYE_IN) < 0 || eye_stream_fd(way_to(w), EYE_OUT) < 0)
        return MODE_COPY;
    unsigned flags = way_slot(w, EYE_IN)->flags | way_slot(w, EYE_OUT)->flags;
    return flags & SLOT_PIPE ? MODE_SPLICE : MODE_SPLICE_POOL;
}

/* ---- the whole ---- */

int eye_relay_new(eye_loop *loop, eye_stream *a, eye_stream *b, const struct eye_relay_opts *opts,
                  eye_relay **ret_relay) {
    eye_relay *relay = calloc(1, sizeof *relay);
    if (!relay)
        return -ENOMEM;
    relay->loop = loop;
    if (opts)
        relay->opts = *opts;
    if (relay->opts.idle_ns > 0 || relay->opts.side[0].eof == EYE_EOF_WAIT ||
        relay->opts.side[1].eof == EYE_EOF_WAIT) {
        relay->quiet = calloc(1, sizeof *relay->quiet);
        if (!relay->quiet) {
            free(relay);
            return -ENOMEM;
        }
        relay->quiet->relay = relay;
    }
    eye_stream *side[] = {a, b};
    for (int i = 0; i < 2; i++) {
        struct way *w = &relay->way[i];
        w->relay = relay;
        w->from = side[i];
        w->side = i == 0 ? EYE_FROM : EYE_TO;
    }
    for (int i = 0; i < 2; i++)
        relay->way[i].mode = way_mode(&relay->way[i]);
    *ret_relay = relay;
    return 0;
}

static void run_cancel(eye_op *op) {
    relay_fail(op_of(op)->u.own.of, EYE_REASON_ERROR, -ECANCELED, "ended");
}

static const struct op_kind op_run = {.name = "relay", .cancel = run_cancel};

void eye_relay_run(eye_relay *relay, eye_op *op, eye_done *done) {
    assert(!relay->op && !relay->over);
    op_begin(relay->loop, op, &op_run, done);
    op_of(op)->u.own.of = relay;
    relay->op = op;
    relay->last_ns = relay->loop->now_ns;
    if (relay->opts.idle_ns > 0)
        quiet_start(relay, relay->opts.idle_ns, EYE_REASON_IDLE, relay->opts.idle_ends);
    for (int i = 0; i < 2; i++)
        way_next(&relay->way[i]);
}

/* A file that takes no more is one that takes nothing. */
static void explain_lost(const eye_relay *relay, struct eye_err *err) {
    for (int i = 0; i < 2; i++) {
        const struct eye_endpoint *endpoint = relay->opts.side[i].endpoint;
        bool reads = endpoint && endpoint->scheme == EYE_FILE && !endpoint->append && !endpoint->create;
        if (reads && relay->what == endpoint->text)
            err_cause(err, "the file is read; append or create writes to it");
    }
}

void eye_relay_outcome(const eye_relay *relay, struct eye_outcome *ret_outcome) {
    *ret_outcome = (struct eye_outcome){.reason = relay->reason};
    if (relay->code)
        outcome_fail(ret_outcome, relay->reason, relay->code, relay->what);
    if (relay->code == -EPIPE)
        explain_lost(relay, &ret_outcome->err);
    for (int i = 0; i < 2; i++) {
        const struct way *w = &relay->way[i];
        ret_outcome->bytes[i] = w->bytes;
        ret_outcome->path[i] = w->copied ? "copy" : w->bytes > 0 ? "splice" : NULL;
    }
}

eye_relay *eye_relay_free(eye_relay *relay) {
    if (!relay)
        return NULL;
    assert(!relay->op);
    free(relay->quiet);
    free(relay);
    return NULL;
}
