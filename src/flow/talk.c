/* talk.c: speaking with a peer on a stream for a data handler.
 *
 * A peer has one operation in flight at any time, a receive into the loop's buffer or the sending of the
 * answer, so that it costs little while idle and is read no faster than it reads. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "flow/peer.h"
#include "loop/loop.h"

struct talk {
    eye_peer peer;
    eye_op op;           /* its receive, send, finish or close: one at a time; its user is the stream */
    uint64_t bytes[2];   /* received, sent */
    struct extra *extra; /* NULL until something of it is needed */
};

/* What those that only wait do without. */
struct extra {
    struct talk *talk;
    eye_op idle_op;  /* timer, where idle= is set */
    int64_t last_ns; /* when bytes last moved */
    uint8_t *more;   /* answers that wait for the one in flight */
    size_t more_size;
    struct eye_outcome *outcome; /* where it did not end well */
};

/* With its stream and the allocator's share, 240 bytes for each connection that waits. */
_Static_assert(sizeof(void *) != 8 || sizeof(struct talk) == 152, "a peer is small");

static struct talk *talk_of(eye_peer *peer) {
    return eye_container_of(peer, struct talk, peer);
}

/* NULL once it is closed. */
static eye_stream *talk_stream(const struct talk *talk) {
    return talk->op.user;
}

/* Makes it where it is not there yet; NULL where memory is short. */
static struct extra *talk_extra(struct talk *talk) {
    if (!talk->extra)
        talk->extra = calloc(1, sizeof *talk->extra);
    if (talk->extra)
        talk->extra->talk = talk;
    return talk->extra;
}

static void talk_gone(struct talk *talk) {
    struct eye_outcome outcome = {.reason = talk->peer.failed ? EYE_REASON_ERROR : EYE_REASON_END};
    if (talk->extra && talk->extra->outcome)
        outcome = *talk->extra->outcome;
    for (int way = 0; way < 2; way++) {
        outcome.bytes[way] = talk->bytes[way];
        outcome.path[way] = talk->bytes[way] ? "copy" : NULL;
    }
    eye_peer_end(&talk->peer, &outcome);
}

static void closed(eye_op *op, int64_t result) {
    (void)result;
    struct talk *talk = eye_container_of(op, struct talk, op);
    op->user = NULL;
    if (talk->extra && eye_op_pending(&talk->extra->idle_op))
        eye_cancel(talk->peer.serving->loop, &talk->extra->idle_op); /* its done sees that it is closed */
    else
        talk_gone(talk);
}

static void talk_close(struct talk *talk) {
    talk->peer.ending = true;
    if (talk->peer.failed)
        eye_abort(talk_stream(talk), &talk->op, closed);
    else
        eye_close(talk_stream(talk), &talk->op, closed);
}

void talk_end(eye_peer *peer, enum eye_reason reason, int code) {
    struct talk *talk = talk_of(peer);
    if (peer->ending)
        return;
    peer->ending = peer->failed = true;
    struct extra *extra = talk_extra(talk);
    struct eye_outcome *outcome = extra ? calloc(1, sizeof *outcome) : NULL;
    if (outcome) {
        outcome_fail(outcome, reason, code, peer->serving->endpoint->text);
        extra->outcome = outcome;
    }
    if (eye_op_pending(&talk->op))
        eye_cancel(peer->serving->loop, &talk->op);
    else
        talk_close(talk);
}

static void talk_failed(struct talk *talk, int64_t code) {
    if (talk->peer.ending)
        talk_close(talk);
    else
        talk_end(&talk->peer,
                 code == -ECONNRESET || code == -EPIPE ? EYE_REASON_RESET
                 : code == EYE_ETRUNCATED              ? EYE_REASON_TRUNCATED
                 : is_tls(code)                        ? EYE_REASON_TLS
                                                       : EYE_REASON_ERROR,
                 (int)code);
}

static void talk_active(struct talk *talk) {
    if (talk->extra)
        talk->extra->last_ns = talk->peer.serving->loop->now_ns;
}

static void recv_done(eye_op *op, int64_t n);

static void talk_read(struct talk *talk) {
    eye_recv_lent(talk_stream(talk), &talk->op, op_lent(&talk->op), recv_done);
}

static void send_done(eye_op *op, int64_t n) {
    struct talk *talk = eye_container_of(op, struct talk, op);
    if (n > 0) {
        talk->bytes[1] += (uint64_t)n;
        talk_active(talk);
    }
    uint8_t *more = NULL;
    size_t more_size = 0;
    if (talk->extra) {
        more = talk->extra->more;
        more_size = talk->extra->more_size;
        talk->extra->more = NULL;
        talk->extra->more_size = 0;
    }
    if (n < 0 || talk->peer.ending)
        talk_failed(talk, n);
    else if (more_size > 0)
        eye_send_copy(talk_stream(talk), &talk->op, more, more_size, send_done);
    else
        talk_read(talk);
    free(more);
}

void talk_send(eye_peer *peer, const void *buf, size_t size) {
    struct talk *talk = talk_of(peer);
    if (peer->ending || size == 0)
        return;
    if (!eye_op_pending(&talk->op)) {
        eye_send_copy(talk_stream(talk), &talk->op, buf, size, send_done);
        return;
    }
    struct extra *extra = talk_extra(talk);
    uint8_t *more = extra ? realloc(extra->more, extra->more_size + size) : NULL;
    if (!more) {
        talk_end(peer, EYE_REASON_ERROR, -ENOMEM);
        return;
    }
    memcpy(more + extra->more_size, buf, size);
    extra->more = more;
    extra->more_size += size;
}

static void finish_done(eye_op *op, int64_t result) {
    struct talk *talk = eye_container_of(op, struct talk, op);
    if (result < 0)
        talk_failed(talk, result);
    else
        talk_close(talk);
}

static void recv_done(eye_op *op, int64_t n) {
    struct talk *talk = eye_container_of(op, struct talk, op);
    if (n < 0) {
        talk_failed(talk, n);
        return;
    }
    if (n == 0) {
        observe(talk->peer.serving->handler->observer,
                &(struct eye_event){.kind = EYE_EVENT_EOF, .conn = talk->peer.conn, .side = EYE_FROM});
        /* Closing a socket sends the same FIN, behind what was sent: one call in the place of two. */
        if (eye_stream_fd(talk_stream(talk), EYE_OUT) >= 0)
            talk_close(talk);
        else
            eye_finish(talk_stream(talk), &talk->op, finish_done);
        return;
    }
    talk->bytes[0] += (uint64_t)n;
    talk_active(talk);
    struct eye_bytes lent = *op_lent(op);
    talk->peer.serving->handler->data(&talk->peer, lent);
    if (!eye_op_pending(&talk->op)) {
        if (talk->peer.ending)
            talk_close(talk);
        else
            talk_read(talk);
    }
}

static void idle_done(eye_op *op, int64_t result) {
    (void)result;
    struct extra *extra = eye_container_of(op, struct extra, idle_op);
    struct talk *talk = extra->talk;
    const struct serving *serving = talk->peer.serving;
    if (!talk_stream(talk)) {
        talk_gone(talk);
        return;
    }
    int64_t until_ns = time_after(extra->last_ns, serving->endpoint->idle_ns);
    if (serving->loop->now_ns >= until_ns)
        talk_end(&talk->peer, EYE_REASON_IDLE, EYE_EDEADLINE);
    else
        eye_timer(serving->loop, op, until_ns, idle_done);
}

void talk_start(eye_peer *peer) {
    struct talk *talk = talk_of(peer);
    const struct serving *serving = peer->serving;
    if (serving->endpoint->idle_ns > 0) {
        if (!talk_extra(talk)) {
            talk_end(peer, EYE_REASON_ERROR, -ENOMEM);
            return;
        }
        talk_active(talk);
        eye_timer(serving->loop, &talk->extra->idle_op,
                  time_after(serving->loop->now_ns, serving->endpoint->idle_ns), idle_done);
    }
    talk_read(talk);
}

eye_peer *talk_new(eye_stream *stream) {
    struct talk *talk = calloc(1, sizeof *talk);
    if (!talk)
        return NULL;
    talk->op.user = stream;
    return &talk->peer;
}

int talk_addr(const eye_peer *peer, struct eye_addr *ret_addr) {
    const eye_stream *stream = talk_stream(talk_of((eye_peer *)(uintptr_t)peer));
    return stream ? eye_stream_peer(stream, ret_addr) : -ENOTCONN;
}

void talk_free(eye_peer *peer) {
    struct talk *talk = talk_of(peer);
    if (talk->extra) {
        free(talk->extra->more);
        free(talk->extra->outcome);
    }
    free(talk->extra);
    free(talk);
}
