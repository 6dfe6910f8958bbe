/* tls_accept.c: accepting on tls endpoints: connections are taken while somebody waits for a peer, shake
 * hands all at once, and the first that is done is the peer. One that is silent costs its memory and a
 * deadline and holds nobody up; where there are more of them than PEERS_MAX the oldest is turned away, so
 * that whoever opens connections and says nothing cannot keep others out.
 *
 * On the engine thread a loop serves one peer, so that it shakes hands with one: another of its peers, once
 * it had shaken hands, would wait for the first to leave. Other loops take the next meanwhile; who begins
 * them is told of each handshake (tls_port_watch). */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/list.h"
#include "net/net.h"
#include "sys/sys.h"
#include "tls/tls.h"

#define PEERS_MAX 512

struct tls_peer {
    struct list node; /* in shaking, then in ready */
    struct tls_port *port;
    eye_op op; /* its handshake */
    eye_stream *stream;
    int result;
    struct eye_refusal refusal; /* who it is, and where it failed, why */
};

struct tls_port {
    eye_loop *loop;
    eye_listener *listener; /* NULL once it has gone */
    const struct eye_endpoint *endpoint;
    struct tls_context *context;
    eye_op accept_op;
    eye_stream *accepted;
    struct list shaking, ready; /* in the order in which they came, and in which they were done */
    size_t count;               /* of both */
    eye_op *tail;               /* those who wait for a peer: a ring */
    struct eye_refusal latest;
    bool refused; /* there is a latest one */
    bool alone;   /* one peer at a time */
    void (*shaking_changed)(void *user, int change);
    void *user;
};

static void port_go_on(struct tls_port *port);

/* Frees a port that nothing is left of. */
static void port_settle(struct tls_port *port) {
    if (!port->listener && !eye_op_pending(&port->accept_op) && port->count == 0)
        free(port);
}

static void peer_free(struct tls_peer *peer) {
    list_remove(&peer->node);
    peer->port->count--;
    free(peer);
}

static void port_tell(const struct tls_port *port, int change) {
    if (port->shaking_changed)
        port->shaking_changed(port->user, change);
}

/* Gives those who wait what is ready. */
static void port_give(struct tls_port *port) {
    struct list *next;
    for (struct list *at = port->ready.next; port->tail && at != &port->ready; at = next) {
        struct tls_peer *peer = eye_container_of(at, struct tls_peer, node);
        next = at->next;
        eye_op *op = ring_pop(&port->tail);
        if (peer->result == 0) {
            *(eye_stream **)op_of(op)->u.io.ret = peer->stream;
        } else {
            port->latest = peer->refusal;
            port->refused = true;
        }
        op_finish(port->loop, op, peer->result);
        peer_free(peer);
    }
}

static void peer_ready(struct tls_peer *peer, int result) {
    struct tls_port *port = peer->port;
    peer->result = result;
    port_tell(port, -1);
    list_remove(&peer->node);
    list_append(&port->ready, &peer->node);
    port_give(port);
    port_go_on(port);
}

static void peer_shaken(eye_op *op, int64_t result) {
    struct tls_peer *peer = eye_container_of(op, struct tls_peer, op);
    struct tls_port *port = peer->port;
    if (!port->listener) {
        if (result == 0)
            stream_refuse(peer->stream);
        peer_free(peer);
        port_settle(port);
        return;
    }
    if (result == -ECANCELED)
        result = err_set(&peer->refusal.err, EYE_EHANDSHAKE, EYE_FAIL_HANDSHAKE,
                         "%s: more than %d peers in the middle of their handshakes, this is the oldest",
                         port->endpoint->text, PEERS_MAX);
    peer_ready(peer, (int)result);
}

static void peer_start(struct tls_port *port, eye_stream *below) {
    struct tls_peer *peer = calloc(1, sizeof *peer);
    if (!peer) {
        stream_refuse(below);
        return;
    }
    peer->port = port;
    list_append(&port->shaking, &peer->node);
    port->count++;
    port_tell(port, 1);
    eye_stream_peer(below, &peer->refusal.peer);
    eye_stream_local(below, &peer->refusal.local);
    if (peer->refusal.peer.len > 0 && !eye_endpoint_admits(port->endpoint, &peer->refusal.peer)) {
        stream_refuse(below);
        peer_ready(peer, err_set(&peer->refusal.err, EYE_EDENIED, EYE_FAIL_CONNECT, "%s: %s",
                                 port->endpoint->text, eye_strerror(EYE_EDENIED)));
        return;
    }
    tls_secure(below, &peer->op, port->endpoint, port->context,
               time_after(sys_now(), port->endpoint->timeout_ns), &peer->stream, &peer->refusal.err,
               peer_shaken);
    if (port->count > PEERS_MAX)
        eye_cancel(port->loop, &eye_container_of(port->shaking.next, struct tls_peer, node)->op);
}

static void accepted(eye_op *op, int64_t result) {
    struct tls_port *port = eye_container_of(op, struct tls_port, accept_op);
    if (!port->listener) {
        if (result == 0)
            stream_refuse(port->accepted);
        port_settle(port);
        return;
    }
    if (result == 0)
        peer_start(port, port->accepted);
    else if (result != -ECANCELED && port->tail)
        op_finish(port->loop, ring_pop(&port->tail), result);
    port_go_on(port);
}

/* Takes connections while somebody waits for one. */
static void port_go_on(struct tls_port *port) {
    if (!port->tail || (port->alone && port->count > 0))
        eye_cancel(port->loop, &port->accept_op);
    else if (!eye_op_pending(&port->accept_op))
        accept_plain(port->listener, &port->accept_op, &port->accepted, accepted);
}

static void wait_cancel(eye_op *op) {
    struct tls_port *port = op_of(op)->at.owner;
    ring_remove(&port->tail, op);
    op_finish(port->loop, op, -ECANCELED);
    port_go_on(port);
}

static const struct op_kind op_wait = {.name = "tls accept", .way = EYE_IN, .cancel = wait_cancel};

void tls_port_accept(struct tls_port *port, eye_op *op, eye_stream **ret_stream, eye_done *done) {
    op_begin(port->loop, op, &op_wait, done);
    op_of(op)->at.owner = port;
    op_of(op)->u.io.ret = ret_stream;
    ring_append(&port->tail, op);
    port_give(port);
    port_go_on(port);
}

void tls_port_watch(struct tls_port *port, void (*shaking_changed)(void *user, int change), void *user) {
    port->shaking_changed = shaking_changed;
    port->user = user;
    port->alone = port->endpoint->share && strcmp(eye_loop_engine(port->loop), "thread") == 0;
}

const struct eye_refusal *tls_port_refusal(const struct tls_port *port) {
    return port->refused ? &port->latest : NULL;
}

int tls_port_pin(const struct tls_port *port, char *buf, size_t size) {
    return tls_library->context_pin(port->context, buf, size);
}

int tls_port_new(eye_listener *listener, eye_loop *loop, const struct eye_endpoint *endpoint,
                 struct tls_port **ret_port, struct eye_err *reterr) {
    struct tls_context *context;
    int r = tls_context_of(endpoint, true, &context, reterr);
    if (r < 0)
        return r;
    struct tls_port *port = calloc(1, sizeof *port);
    if (!port)
        return net_fail(reterr, endpoint, -ENOMEM, true);
    port->loop = loop;
    port->listener = listener;
    port->endpoint = endpoint;
    port->context = context;
    list_init(&port->shaking);
    list_init(&port->ready);
    *ret_port = port;
    return 0;
}

void tls_port_free(struct tls_port *port) {
    if (!port)
        return;
    port->listener = NULL;
    while (port->tail)
        op_finish(port->loop, ring_pop(&port->tail), -ECANCELED);
    struct list *next;
    for (struct list *at = port->ready.next; at != &port->ready; at = next) {
        struct tls_peer *peer = eye_container_of(at, struct tls_peer, node);
        next = at->next;
        if (peer->result == 0)
            stream_refuse(peer->stream);
        peer_free(peer);
    }
    for (struct list *at = port->shaking.next; at != &port->shaking; at = next) {
        next = at->next;
        eye_cancel(port->loop, &eye_container_of(at, struct tls_peer, node)->op);
    }
    port_settle(port);
}
