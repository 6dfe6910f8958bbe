/* tls_stream.c: TLS as a layer over any stream. RFC 8446, RFC 5246
 *
 * Theory of operation. The engine (tls/tls.h) turns bytes into bytes; this file moves them. What users ask
 * for stands in a queue for each way, as on a slot, and only the heads go on.
 *
 * In: the engine is asked first; when it wants more, bytes are lent by the stream below, and all of them go
 * through the engine before they are given back, the plain ones into the loop's scratch buffer, from where
 * they are lent on. So a connection that waits holds no buffer. What a small receive leaves over is copied (a
 * lent piece at most) and nothing more is read before it has been taken.
 *
 * Out: a slice is encrypted into the scratch buffer and sent by eye_send_copy, which copies only what the
 * kernel does not take at once. What the engine says of its own accord (handshakes, answers to key updates,
 * alerts) goes the same way, in its order; until that is on its way nothing more is read, so that a peer that
 * asks for answers and reads none costs one of them.
 *
 * The end is close_notify (RFC 8446, 6.1), then the end of the stream below. An end of that stream without it
 * is EYE_ETRUNCATED. Closing says close_notify where nothing was lost, and waits for the kernel to take it,
 * but not long. Aborting says nothing: the peer sees truncation, as it should. A peer that is turned away
 * with an alert gets our end behind it, and what it has still sent is thrown away until its own end comes,
 * for a second and 64 KiB at most: closing at once would answer that with a reset, which would take the alert
 * away before the peer has read it. */
#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "net/net.h"
#include "tls/tls.h"

#define SLICE_BYTES (4 * TLS_RECORD_BYTES)
#define IN_BYTES    SLICE_BYTES /* so that what they hold fits the scratch buffer */
#define OUT_BYTES   (SLICE_BYTES + 4 * TLS_OVERHEAD_BYTES)
#define LINGER_NS   (250 * NS_PER_MS)
#define DRAIN_NS    NS_PER_S
#define DRAIN_BYTES 65536
_Static_assert(OUT_BYTES <= SCRATCH_BYTES, "a slice fits the scratch buffer");

struct tls_stream {
    struct layer layer;
    struct tls_session *session;
    eye_op *tail[2];       /* what users wait for; rings, as a slot's */
    struct tls_io io;      /* in: what came and was not yet taken */
    uint8_t *kept;         /* a copy of that, where it is not lent */
    struct eye_bytes lent; /* by the stream below */
    eye_op recv_op, send_op;
    eye_op said_op;     /* the sending of what the engine says by itself */
    eye_op turn_op;     /* completes at once: what is there already is given from the loop's turn */
    eye_op linger_op;   /* the time that a last word has */
    eye_op *close_op;   /* the user's */
    size_t drained;     /* bytes that were thrown away behind our alert */
    size_t slice_bytes; /* of the head of OUT, in the send that is in flight */
    int failed;         /* a code: nothing more comes, nor goes where the engine says so */
    bool shaken;        /* the handshake is done */
    bool in_turn;       /* heads of IN are being served */
    bool ended;         /* the peer has said its end */
    bool finished;      /* we have */
    bool orphan;        /* the head of OUT that is in flight was cancelled */
    bool abort, late;   /* how it ends; that a last word has no more time */
    bool alerted;       /* our last word was an alert: the peer is to read it */
    bool closing;       /* the stream below is being closed */
    struct eye_err *reterr;
};

static struct tls_stream *of_layer(struct layer *layer) {
    return eye_container_of(layer, struct tls_stream, layer);
}

static void in_go_on(struct tls_stream *t);
static void out_go_on(struct tls_stream *t);
static void close_settle(struct tls_stream *t);

/* ---- what users wait for ---- */

static void user_cancel(eye_op *op);

static void release_copy(eye_op *op) {
    free(op_of(op)->u.io.ret);
}

static const struct op_kind op_handshake = {.name = "tls handshake", .way = EYE_IN, .cancel = user_cancel},
                            op_recv = {.name = "tls recv", .way = EYE_IN, .cancel = user_cancel},
                            op_recv_lent = {.name = "tls recv lent", .way = EYE_IN, .cancel = user_cancel},
                            op_send = {.name = "tls send", .way = EYE_OUT, .cancel = user_cancel},
                            op_send_copy = {.name = "tls send copy",
                                            .way = EYE_OUT,
                                            .cancel = user_cancel,
                                            .release = release_copy},
                            op_finish_way = {.name = "tls finish", .way = EYE_OUT, .cancel = user_cancel};

static void user_begin(struct tls_stream *t, eye_op *op, const struct op_kind *kind, eye_done *done) {
    op_begin(t->layer.loop, op, kind, done);
    op_of(op)->at.owner = t;
    ring_append(&t->tail[kind->way], op);
}

/* Takes an operation out that is not to go on; a slice of its own that is in flight counts as moved, since it
 * goes whatever happens. */
static void user_end(struct tls_stream *t, eye_op *op) {
    enum eye_way way = op_of(op)->kind->way;
    int64_t moved = op_of(op)->moved;
    if (way == EYE_OUT && op == ring_head(t->tail[EYE_OUT]) && eye_op_pending(&t->send_op)) {
        t->orphan = true;
        moved += (int64_t)t->slice_bytes;
    }
    ring_remove(&t->tail[way], op);
    op_finish(t->layer.loop, op, moved > 0 ? moved : -ECANCELED);
}

static void user_cancel(eye_op *op) {
    struct tls_stream *t = op_of(op)->at.owner;
    user_end(t, op);
    if (!t->tail[EYE_IN])
        eye_cancel(t->layer.loop, &t->recv_op);
    if (!eye_op_pending(&t->send_op))
        out_go_on(t);
}

/* The head has its result, in the loop's turn. */
static void user_deliver(struct tls_stream *t, enum eye_way way, int64_t result) {
    op_deliver(t->layer.loop, ring_pop(&t->tail[way]), result);
}

/* ---- what the engine says ---- */

static struct tls_io *io_with_room(struct tls_stream *t, size_t room) {
    t->io.out = loop_scratch(t->layer.loop, EYE_OUT); /* there since tls_stream_new */
    t->io.out_room = room;
    t->io.out_size = 0;
    return &t->io;
}

static void said_done(eye_op *op, int64_t result) {
    (void)result; /* where it cannot be sent, reading fails as well */
    struct tls_stream *t = eye_container_of(op, struct tls_stream, said_op);
    if (t->close_op)
        close_settle(t);
    else
        in_go_on(t);
}

static void say(struct tls_stream *t) {
    if (t->io.out_size > 0 && !t->finished)
        eye_send_copy(t->layer.below, &t->said_op, t->io.out, t->io.out_size, said_done);
}

/* ---- in ---- */

static void in_received(eye_op *op, int64_t n);

static void in_receive(struct tls_stream *t) {
    if (!eye_op_pending(&t->recv_op))
        stream_recv_lent(t->layer.below, &t->recv_op, &t->lent, IN_BYTES, in_received);
}

static int64_t step_handshake(struct tls_stream *t, eye_op *op) {
    (void)op;
    int r = tls_library->handshake(t->session, io_with_room(t, OUT_BYTES));
    if (r < 0 && r != -EAGAIN)
        tls_library->why(t->session, r, t->reterr);
    t->shaken = r == 0;
    return r;
}

static int64_t step_recv(struct tls_stream *t, eye_op *op) {
    return tls_library->read(t->session, io_with_room(t, OUT_BYTES), op_of(op)->u.io.data,
                             op_of(op)->u.io.size);
}

static int64_t step_recv_lent(struct tls_stream *t, eye_op *op) {
    uint8_t *plain = loop_scratch(t->layer.loop, EYE_IN);
    size_t most = MIN(op_of(op)->u.lent.bytes.size, (size_t)SCRATCH_BYTES);
    int64_t n = tls_library->read(t->session, io_with_room(t, OUT_BYTES), plain, most);
    if (n >= 0)
        *op_of(op)->u.lent.ret = (struct eye_bytes){.data = plain, .size = (size_t)n};
    return n;
}

static int64_t in_step(struct tls_stream *t, eye_op *op) {
    const struct op_kind *kind = op_of(op)->kind;
    if (t->failed)
        return t->failed;
    if (t->ended)
        return 0;
    t->io.out_size = 0;
    int64_t n = (kind == &op_recv        ? step_recv
                 : kind == &op_recv_lent ? step_recv_lent
                                         : step_handshake)(t, op);
    say(t);
    if (n < 0 && n != -EAGAIN) {
        t->failed = (int)n;
        t->alerted = t->io.out_size > 0;
    }
    t->ended = n == 0 && kind != &op_handshake;
    return n;
}

/* Serves the heads of IN, in the loop's turn. */
static void in_go_on(struct tls_stream *t) {
    t->in_turn = true;
    while (t->tail[EYE_IN] && !t->close_op && !eye_op_pending(&t->said_op)) {
        int64_t n = in_step(t, ring_head(t->tail[EYE_IN]));
        if (n != -EAGAIN) {
            user_deliver(t, EYE_IN, n);
            continue;
        }
        if (t->io.in_size == 0) /* else there was no room for what it says, which is on its way now */
            in_receive(t);
        break;
    }
    t->in_turn = false;
    if (t->kept && t->io.in_size == 0) {
        free(t->kept);
        t->kept = NULL;
    }
}

/* What was lent and not taken is kept. */
static int in_keep(struct tls_stream *t) {
    if (t->kept || t->io.in_size == 0)
        return 0;
    t->kept = malloc(t->io.in_size);
    if (!t->kept)
        return -ENOMEM;
    memcpy(t->kept, t->io.in, t->io.in_size);
    t->io.in = t->kept;
    return 0;
}

static void in_received(eye_op *op, int64_t n) {
    struct tls_stream *t = eye_container_of(op, struct tls_stream, recv_op);
    if (t->close_op) {
        close_settle(t);
        return;
    }
    if (n > 0) {
        t->io.in = t->lent.data;
        t->io.in_size = (size_t)n;
    } else if (n == 0) {
        t->io.in_end = true;
    } else if (n != -ECANCELED) {
        t->failed = (int)n;
        if (t->reterr && !t->shaken)
            err_set(t->reterr, (int)n, EYE_FAIL_HANDSHAKE, "in the TLS handshake: %s", eye_strerror((int)n));
    }
    in_go_on(t);
    if (n > 0 && in_keep(t) < 0)
        t->failed = -ENOMEM;
}

static void turned(eye_op *op, int64_t result) {
    (void)result;
    struct tls_stream *t = eye_container_of(op, struct tls_stream, turn_op);
    if (t->close_op) {
        close_settle(t);
        return;
    }
    in_go_on(t);
}

static void turn_cancel(eye_op *op) {
    (void)op; /* it has ended already */
}

static const struct op_kind op_turn = {.name = "tls turn", .way = EYE_IN, .cancel = turn_cancel};

/* A head of IN was submitted. */
static void in_submitted(struct tls_stream *t) {
    if (t->in_turn || eye_op_pending(&t->recv_op) || eye_op_pending(&t->said_op) ||
        eye_op_pending(&t->turn_op))
        return;
    if (!t->failed && !t->ended && t->io.in_size == 0 && !t->io.in_end && !tls_library->pending(t->session)) {
        in_receive(t);
        return;
    }
    op_begin(t->layer.loop, &t->turn_op, &op_turn, turned);
    op_finish(t->layer.loop, &t->turn_op, 0);
}

static void tls_recv(struct layer *layer, eye_op *op, void *buf, size_t size, eye_done *done) {
    struct tls_stream *t = of_layer(layer);
    op_of(op)->u.io.data = buf;
    op_of(op)->u.io.size = size;
    user_begin(t, op, &op_recv, done);
    in_submitted(t);
}

static void tls_recv_lent(struct layer *layer, eye_op *op, struct eye_bytes *ret_bytes, size_t most,
                          eye_done *done) {
    struct tls_stream *t = of_layer(layer);
    op_of(op)->u.lent.bytes.size = most;
    op_of(op)->u.lent.ret = ret_bytes;
    user_begin(t, op, &op_recv_lent, done);
    in_submitted(t);
}

void tls_stream_handshake(eye_stream *stream, eye_op *op, struct eye_err *reterr, eye_done *done) {
    struct tls_stream *t = of_layer(stream->u.layer);
    t->reterr = reterr;
    user_begin(t, op, &op_handshake, done);
    in_submitted(t);
}

/* ---- out ---- */

static void out_sent(eye_op *op, int64_t result);

/* The head's result, in the loop's turn or from a submission. */
static void out_end(struct tls_stream *t, int64_t result) {
    op_finish(t->layer.loop, ring_pop(&t->tail[EYE_OUT]), result);
}

/* Encrypts the next slice of the head and sends it; its code where that cannot be. */
static int64_t out_slice(struct tls_stream *t, eye_op *op) {
    struct op *p = op_of(op);
    size_t left = p->u.io.size - (size_t)p->moved;
    int64_t n = tls_library->write(t->session, io_with_room(t, OUT_BYTES), p->u.io.data + p->moved,
                                   MIN(left, (size_t)SLICE_BYTES));
    if (n <
        (int64_t)MIN(left, (size_t)SLICE_BYTES)) { /* there was room: the engine is in no state to write */
        t->failed = n < 0 && n != -EAGAIN ? (int)n : EYE_EHANDSHAKE;
        return t->failed;
    }
    t->slice_bytes = (size_t)n;
    eye_send_copy(t->layer.below, &t->send_op, t->io.out, t->io.out_size, out_sent);
    return 0;
}

static int64_t out_notify(struct tls_stream *t) {
    t->finished = true;
    t->slice_bytes = 0;
    int r = t->failed ? t->failed : tls_library->finish(t->session, io_with_room(t, OUT_BYTES));
    if (r < 0)
        return -ENOTCONN; /* as shutdown(2) where there is nobody any more */
    eye_send_copy(t->layer.below, &t->send_op, t->io.out, t->io.out_size, out_sent);
    return 0;
}

/* Starts heads of OUT until one is in flight. */
static void out_go_on(struct tls_stream *t) {
    while (t->tail[EYE_OUT] && !eye_op_pending(&t->send_op) && !t->close_op) {
        eye_op *op = ring_head(t->tail[EYE_OUT]);
        const struct op *p = op_of(op);
        bool finish = p->kind == &op_finish_way;
        int64_t r = t->finished ? -EPIPE : finish ? out_notify(t) : t->failed ? t->failed : out_slice(t, op);
        if (r < 0)
            out_end(t, r);
    }
}

static void out_finished(eye_op *op, int64_t result) {
    struct tls_stream *t = eye_container_of(op, struct tls_stream, send_op);
    if (t->close_op) {
        close_settle(t);
        return;
    }
    if (!t->orphan)
        out_end(t, t->ended && result < 0 ? 0 : result);
    t->orphan = false;
    out_go_on(t);
}

static void out_sent(eye_op *op, int64_t result) {
    struct tls_stream *t = eye_container_of(op, struct tls_stream, send_op);
    eye_op *head = ring_head(t->tail[EYE_OUT]);
    if (t->close_op) {
        close_settle(t);
        return;
    }
    if (t->finished && result >= 0) {
        eye_finish(t->layer.below, op, out_finished);
        return;
    }
    if (t->finished) {
        out_finished(op, -ENOTCONN);
        return;
    }
    if (t->orphan) {
        t->orphan = false;
    } else if (result < 0) {
        out_end(t, result);
    } else {
        op_of(head)->moved += (int64_t)t->slice_bytes;
        if ((size_t)op_of(head)->moved == op_of(head)->u.io.size)
            out_end(t, op_of(head)->moved);
    }
    out_go_on(t);
}

static void tls_send(struct layer *layer, eye_op *op, const void *buf, size_t size, bool copy,
                     eye_done *done) {
    struct tls_stream *t = of_layer(layer);
    /* What is encrypted now needs no copy. */
    if (size == 0) {
        op_begin(t->layer.loop, op, &op_send, done);
        op_finish(t->layer.loop, op, 0);
        return;
    }
    bool at_once = size <= SLICE_BYTES && !t->tail[EYE_OUT] && !eye_op_pending(&t->send_op);
    void *own = copy && !at_once ? malloc(size) : NULL;
    if (copy && !at_once && !own) {
        op_begin(t->layer.loop, op, &op_send, done);
        op_finish(t->layer.loop, op, -ENOMEM);
        return;
    }
    if (own)
        memcpy(own, buf, size);
    op_of(op)->u.io.data = own ? own : (uint8_t *)(uintptr_t)buf;
    op_of(op)->u.io.size = size;
    op_of(op)->u.io.ret = own;
    user_begin(t, op, own ? &op_send_copy : &op_send, done);
    out_go_on(t);
}

static void tls_finish(struct layer *layer, eye_op *op, eye_done *done) {
    struct tls_stream *t = of_layer(layer);
    user_begin(t, op, &op_finish_way, done);
    out_go_on(t);
}

/* ---- the end ---- */

static void tls_free(struct tls_stream *t) {
    tls_library->session_free(t->session);
    free(t->kept);
    free(t);
}

static void below_closed(eye_op *op, int64_t result) {
    struct tls_stream *t = eye_container_of(op, struct tls_stream, send_op);
    eye_op *close_op = t->close_op;
    eye_loop *loop = t->layer.loop;
    tls_free(t);
    op_finish(loop, close_op, result);
}

static void lingered(eye_op *op, int64_t result) {
    struct tls_stream *t = eye_container_of(op, struct tls_stream, linger_op);
    t->late = result != -ECANCELED;
    close_settle(t);
}

static void drain_said(eye_op *op, int64_t result) {
    (void)result;
    close_settle(eye_container_of(op, struct tls_stream, send_op));
}

static void drain_received(eye_op *op, int64_t n) {
    struct tls_stream *t = eye_container_of(op, struct tls_stream, recv_op);
    t->drained += n > 0 ? (size_t)n : 0;
    if (n <= 0 || t->drained >= DRAIN_BYTES)
        t->alerted = false;
    close_settle(t);
}

/* Behind the alert: our end, then what comes until theirs. */
static void drain(struct tls_stream *t) {
    if (!t->finished)
        eye_finish(t->layer.below, &t->send_op, drain_said);
    else if (!eye_op_pending(&t->recv_op))
        eye_recv_lent(t->layer.below, &t->recv_op, &t->lent, drain_received);
    t->finished = true;
}

/* Goes on with closing, once what it waits for has come. */
static void close_settle(struct tls_stream *t) {
    if (t->closing)
        return;
    eye_loop *loop = t->layer.loop;
    if (t->abort || t->late) {
        eye_cancel(loop, &t->send_op);
        eye_cancel(loop, &t->said_op);
        eye_cancel(loop, &t->recv_op);
        t->alerted = false;
    }
    bool talks = eye_op_pending(&t->send_op) || eye_op_pending(&t->said_op);
    if (!talks && t->alerted) {
        drain(t);
        return;
    }
    if (!talks)
        eye_cancel(loop, &t->linger_op);
    if (talks || eye_op_pending(&t->recv_op) || eye_op_pending(&t->turn_op) || eye_op_pending(&t->linger_op))
        return;
    t->closing = true;
    if (t->abort)
        eye_abort(t->layer.below, &t->send_op, below_closed);
    else
        eye_close(t->layer.below, &t->send_op, below_closed);
}

/* A close cannot be taken back: it is hurried. */
static void close_cancel(eye_op *op) {
    struct tls_stream *t = op_of(op)->at.owner;
    t->late = true;
    close_settle(t);
}

static const struct op_kind op_close = {.name = "tls close", .cancel = close_cancel};

static void tls_close(struct layer *layer, eye_op *op, bool abort, eye_done *done) {
    struct tls_stream *t = of_layer(layer);
    bool whole = t->shaken && !t->failed && !t->finished && !eye_op_pending(&t->send_op);
    for (enum eye_way way = EYE_IN; way <= EYE_OUT; way++)
        while (t->tail[way])
            user_end(t, ring_head(t->tail[way]));
    op_begin(layer->loop, op, &op_close, done);
    op_of(op)->at.owner = t;
    t->close_op = op;
    t->abort = abort;
    eye_cancel(layer->loop, &t->recv_op);
    if (whole && !abort)
        out_notify(t);
    if (!abort)
        eye_timer(layer->loop, &t->linger_op,
                  time_after(layer->loop->now_ns, t->alerted ? DRAIN_NS : LINGER_NS), lingered);
    close_settle(t);
}

static void tls_drop(struct layer *layer) {
    tls_free(of_layer(layer));
}

static int tls_tell(const struct layer *layer, struct eye_tls_info *ret_info) {
    tls_library->info(of_layer((struct layer *)(uintptr_t)layer)->session, ret_info);
    return 0;
}

static const struct layer_ops tls_layer = {
    .recv = tls_recv,
    .recv_lent = tls_recv_lent,
    .send = tls_send,
    .finish = tls_finish,
    .close = tls_close,
    .drop = tls_drop,
    .tls = tls_tell,
};

int tls_stream_new(eye_stream *below, struct tls_context *context, eye_stream **ret_stream) {
    struct tls_stream *t = calloc(1, sizeof *t);
    if (!t)
        return -ENOMEM;
    t->layer = (struct layer){.ops = &tls_layer, .loop = stream_loop(below), .below = below};
    int r = loop_scratch(t->layer.loop, EYE_IN) ? 0 : -ENOMEM;
    if (r == 0)
        r = tls_library->session_new(context, &t->session);
    if (r == 0)
        r = stream_new_layered(&t->layer, ret_stream);
    if (r < 0) {
        if (t->session)
            tls_library->session_free(t->session);
        free(t);
    }
    return r;
}
