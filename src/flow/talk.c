/* talk.c: speaking with a peer on a stream for a data handler.
 *
 * A peer has one operation in flight at any time, a receive into the loop's buffer or the sending of the
 * answer, so that it costs little while idle and is read no faster than it reads. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "flow/peer.h"
#include "loop/loop.h"

struct idle_watch {
    eye_op op;
    int64_t last_ns;
    struct talk *talk;
};

struct talk {
    eye_peer peer;
    eye_stream *stream;
    eye_op op; /* its receive, send, finish or close: one at a time */
    union {
        struct eye_bytes lent;
        struct {
            uint8_t *data; /* answers that wait for the one in flight */
            size_t size;
        } more;
    } u;
    uint64_t bytes[2];
    struct idle_watch *idle;     /* where idle= is set */
    struct eye_outcome *outcome; /* where it did not end well */
    bool ending;
};

static struct talk *talk_of(eye_peer *peer) {
    return eye_container_of(peer, struct talk, peer);
}

static void talk_gone(struct talk *talk) {
    struct eye_outcome outcome = {.reason = EYE_REASON_END};
    if (talk->outcome)
        outcome = *talk->outcome;
    for (int way = 0; way < 2; way++) {
        outcome.bytes[way] = talk->bytes[way];
        outcome.path[way] = talk->bytes[way] ? "copy" : NULL;
    }
    eye_peer_end(&talk->peer, &outcome);
}

static void idle_gone(eye_op *op, int64_t result) {
    (void)result;
    struct idle_watch *idle = eye_container_of(op, struct idle_watch, op);
    struct talk *talk = idle->talk;
    free(idle);
    talk_gone(talk);
}

static void closed(eye_op *op, int64_t result) {
    (void)result;
    struct talk *talk = eye_container_of(op, struct talk, op);
    talk->stream = NULL;
    if (!talk->idle)
        talk_gone(talk);
    else if (!eye_op_pending(&talk->idle->op))
        idle_gone(&talk->idle->op, 0);
    else
        eye_cancel(talk->peer.serving->loop, &talk->idle->op); /* its done sees that the stream has gone */
}

static void talk_close(struct talk *talk) {
    talk->ending = true;
    if (talk->outcome)
        eye_abort(talk->stream, &talk->op, closed);
    else
        eye_close(talk->stream, &talk->op, closed);
}

void talk_end(eye_peer *peer, enum eye_reason reason, int code) {
    struct talk *talk = talk_of(peer);
    if (talk->ending)
        return;
    talk->ending = true;
    talk->outcome = calloc(1, sizeof *talk->outcome);
    if (talk->outcome)
        outcome_fail(talk->outcome, reason, code, talk->peer.serving->endpoint->text);
    if (eye_op_pending(&talk->op))
        eye_cancel(talk->peer.serving->loop, &talk->op);
    else
        talk_close(talk);
}

static void talk_failed(struct talk *talk, int64_t code) {
    if (talk->ending)
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
    if (talk->idle)
        talk->idle->last_ns = talk->peer.serving->loop->now_ns;
}

static void recv_done(eye_op *op, int64_t n);

static void talk_read(struct talk *talk) {
    eye_recv_lent(talk->stream, &talk->op, &talk->u.lent, recv_done);
}

static void send_done(eye_op *op, int64_t n) {
    struct talk *talk = eye_container_of(op, struct talk, op);
    uint8_t *data = talk->u.more.data;
    size_t size = talk->u.more.size;
    talk->u.more.data = NULL;
    talk->u.more.size = 0;
    if (n > 0) {
        talk->bytes[1] += (uint64_t)n;
        talk_active(talk);
    }
    if (n < 0 || talk->ending)
        talk_failed(talk, n);
    else if (size > 0)
        eye_send_copy(talk->stream, &talk->op, data, size, send_done);
    else
        talk_read(talk);
    free(data);
}

void talk_send(eye_peer *peer, const void *buf, size_t size) {
    struct talk *talk = talk_of(peer);
    if (talk->ending || size == 0)
        return;
    if (!eye_op_pending(&talk->op)) {
        talk->u.more.data = NULL;
        talk->u.more.size = 0;
        eye_send_copy(talk->stream, &talk->op, buf, size, send_done);
        return;
    }
    uint8_t *data = realloc(talk->u.more.data, talk->u.more.size + size);
    if (!data) {
        talk_end(peer, EYE_REASON_ERROR, -ENOMEM);
        return;
    }
    memcpy(data + talk->u.more.size, buf, size);
    talk->u.more.data = data;
    talk->u.more.size += size;
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
        if (eye_stream_fd(talk->stream, EYE_OUT) >= 0)
            talk_close(talk);
        else
            eye_finish(talk->stream, &talk->op, finish_done);
        return;
    }
    talk->bytes[0] += (uint64_t)n;
    talk_active(talk);
    struct eye_bytes lent = talk->u.lent;
    talk->peer.serving->handler->data(&talk->peer, lent);
    if (!eye_op_pending(&talk->op)) {
        if (talk->ending)
            talk_close(talk);
        else
            talk_read(talk);
    }
}

static void idle_done(eye_op *op, int64_t result) {
    struct idle_watch *idle = eye_container_of(op, struct idle_watch, op);
    struct talk *talk = idle->talk;
    if (!talk->stream) {
        idle_gone(op, result);
        return;
    }
    int64_t until_ns = time_after(idle->last_ns, talk->peer.serving->endpoint->idle_ns);
    if (talk->peer.serving->loop->now_ns >= until_ns)
        talk_end(&talk->peer, EYE_REASON_IDLE, EYE_EDEADLINE);
    else
        eye_timer(talk->peer.serving->loop, op, until_ns, idle_done);
}

void talk_start(eye_peer *peer) {
    struct talk *talk = talk_of(peer);
    const struct serving *serving = peer->serving;
    if (serving->endpoint->idle_ns > 0) {
        talk->idle = calloc(1, sizeof *talk->idle);
        if (!talk->idle) {
            talk_end(peer, EYE_REASON_ERROR, -ENOMEM);
            return;
        }
        talk->idle->talk = talk;
        talk->idle->last_ns = serving->loop->now_ns;
        eye_timer(serving->loop, &talk->idle->op,
                  time_after(serving->loop->now_ns, serving->endpoint->idle_ns), idle_done);
    }
    talk_read(talk);
}

eye_peer *talk_new(eye_stream *stream) {
    struct talk *talk = calloc(1, sizeof *talk);
    if (!talk)
        return NULL;
    talk->stream = stream;
    return &talk->peer;
}

int talk_addr(const eye_peer *peer, struct eye_addr *ret_addr) {
    const eye_stream *stream = talk_of((eye_peer *)(uintptr_t)peer)->stream;
    return stream ? eye_stream_peer(stream, ret_addr) : -ENOTCONN;
}

void talk_free(eye_peer *peer) {
    struct talk *talk = talk_of(peer);
    free(talk->outcome);
    free(talk);
}
