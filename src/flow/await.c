/* await.c: listening for the second end of a join: one peer for each time that is asked.
 *
 * Whoever asks waits in line; the sockets have an accept pending only while somebody does, so that the
 * peers of later joints stay in the kernel's queue. */
#include <errno.h>
#include <stdlib.h>

#include "flow/flow.h"
#include "loop/loop.h"
#include "net/net.h"

struct await_port {
    struct await *await;
    eye_listener *listener;
    eye_op op;
    eye_stream *accepted; /* the accept's, then a peer's for whom nobody has asked yet */
    bool spare;
};

struct await {
    eye_loop *loop;
    const struct eye_endpoint *endpoint;
    const struct eye_observer *observer;
    eye_op *tail; /* those who wait, in a ring */
    bool left;    /* freed by its owner: goes with the last accept */
    size_t port_count;
    struct await_port ports[EYE_LISTENER_MAX];
};

static void ports_go_on(struct await *await);

static void await_give(struct await *await, eye_stream *stream, int64_t result) {
    eye_op *op = ring_pop(&await->tail);
    *(eye_stream **)op_of(op)->u.own.of = stream;
    op_finish(await->loop, op, result);
}

static void await_drop(struct await *await) {
    for (size_t i = 0; i < await->port_count; i++)
        if (eye_op_pending(&await->ports[i].op))
            return;
    free(await);
}

static void accept_done(eye_op *op, int64_t result) {
    struct await_port *port = eye_container_of(op, struct await_port, op);
    struct await *await = port->await;
    if (await->left) {
        if (result == 0)
            stream_refuse(port->accepted);
        await_drop(await);
        return;
    }
    if (result == -ECANCELED)
        return;
    if (result == 0 && !stream_admitted(await->endpoint, port->accepted))
        stream_refuse(port->accepted);
    else if (is_refusal(result))
        observe_refused(await->observer, 0, EYE_TO, await->endpoint, eye_listener_refusal(port->listener));
    else if (result == 0 && !await->tail)
        port->spare = true;
    else if (await->tail)
        await_give(await, result == 0 ? port->accepted : NULL, result);
    ports_go_on(await);
}

/* Accepts while somebody waits. */
static void ports_go_on(struct await *await) {
    for (size_t i = 0; i < await->port_count; i++) {
        struct await_port *port = &await->ports[i];
        if (port->spare && await->tail) {
            port->spare = false;
            await_give(await, port->accepted, 0);
        }
        if (!await->tail)
            eye_cancel(await->loop, &port->op);
        else if (!port->spare && !eye_op_pending(&port->op))
            eye_accept(port->listener, &port->op, &port->accepted, accept_done);
    }
}

static void await_cancel(eye_op *op) {
    struct await *await = op->user;
    ring_remove(&await->tail, op);
    op_finish(await->loop, op, -ECANCELED);
    ports_go_on(await);
}

static const struct op_kind op_await = {.name = "await", .cancel = await_cancel};

void await_peer(struct await *await, eye_op *op, eye_stream **ret_stream, eye_done *done) {
    op_begin(await->loop, op, &op_await, done);
    op->user = await;
    op_of(op)->u.own.of = ret_stream;
    ring_append(&await->tail, op);
    ports_go_on(await);
}

int await_new(eye_loop *loop, const struct eye_endpoint *endpoint, const struct eye_observer *observer,
              struct await **ret_await, struct eye_err *reterr) {
    eye_listener *listeners[EYE_LISTENER_MAX];
    struct await *await = calloc(1, sizeof *await);
    if (!await)
        return err_set(reterr, -ENOMEM, EYE_FAIL_OTHER, "%s: %s", endpoint->text, eye_strerror(-ENOMEM));
    int r = eye_listen(loop, endpoint, listeners, EYE_LISTENER_MAX, reterr);
    if (r < 0) {
        free(await);
        return r;
    }
    await->loop = loop;
    await->endpoint = endpoint;
    await->observer = observer;
    await->port_count = (size_t)r;
    for (size_t i = 0; i < await->port_count; i++) {
        await->ports[i].await = await;
        await->ports[i].listener = listeners[i];
        observe_listening(observer, loop, endpoint, listeners[i]);
    }
    *ret_await = await;
    return 0;
}

struct await *await_free(struct await *await) {
    if (!await)
        return NULL;
    for (size_t i = 0; i < await->port_count; i++) {
        eye_listener_free(await->ports[i].listener);
        if (await->ports[i].spare)
            stream_refuse(await->ports[i].accepted);
    }
    await->left = true;
    await_drop(await);
    return NULL;
}
