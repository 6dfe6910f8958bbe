/* serve.c: listening on an endpoint and serving its peers.
 *
 * Each listening socket has one accept pending, except while max= peers are there, or descriptors have
 * run out: then the peers wait in the kernel's queue, none is turned away, and accepting goes on when
 * one has left or after a pause. A data handler's peer has one operation in flight at any time, a
 * receive into the loop's buffer or the sending of the answer, so that it costs little while idle and
 * is read no faster than it reads. */
#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/list.h"
#include "flow/datagrams.h"
#include "flow/flow.h"
#include "loop/loop.h"
#include "net/net.h"

#define DATAGRAM_PEERS_MAX 1024
#define PAUSE_NS           (100 * NS_PER_MS)
#define TELL_PAUSE_NS      NS_PER_S

struct port {
    eye_server *server;
    eye_listener *listener;
    struct datagram_service *datagrams; /* where a data handler serves datagrams: in the place of accepting */
    eye_peer *sender;                   /* stands for each datagram's sender in turn */
    eye_op op;                          /* accept */
    eye_op pause_op;                    /* timer */
    eye_stream *stream;
};

struct eye_server {
    eye_loop *loop;
    const struct eye_endpoint *endpoint;
    const struct eye_handler *handler;
    struct port ports[EYE_LISTENER_MAX];
    size_t port_count;
    struct list peers;
    int64_t peer_count, peers_max;
    uint64_t conns;
    int64_t told_ns; /* when the observer last heard of a pause */
    bool stopping;
    eye_op *stop_op;
    eye_op grace_op;
};

struct idle_watch {
    eye_op op;
    int64_t last_ns;
    eye_peer *peer;
};

struct eye_peer {
    struct list node;
    eye_server *server;
    void *user;
    union {
        eye_stream *stream;                 /* a data handler's */
        struct datagram_service *datagrams; /* of a port's sender, whose conn is 0 */
    };
    eye_op op; /* its receive, send, finish or close: one at a time */
    union {
        struct eye_bytes lent;
        struct {
            uint8_t *data; /* answers that wait for the one in flight */
            size_t size;
        } more;
    } u;
    uint64_t bytes[2];
    uint64_t conn;
    int64_t started_ns;
    struct idle_watch *idle;     /* where idle= is set */
    struct eye_outcome *outcome; /* where it did not end well */
    bool ending;
};

static void ports_go_on(eye_server *server);
static void server_settle(eye_server *server);

/* ---- peers ---- */

const struct eye_handler *eye_peer_handler(const eye_peer *peer) {
    return peer->server->handler;
}

uint64_t eye_peer_conn(const eye_peer *peer) {
    return peer->conn;
}

void eye_peer_set_user(eye_peer *peer, void *user) {
    peer->user = user;
}

void *eye_peer_user(const eye_peer *peer) {
    return peer->user;
}

int eye_peer_addr(const eye_peer *peer, struct eye_addr *ret_addr) {
    if (peer->conn == 0)
        *ret_addr = *datagrams_peer(peer->datagrams);
    return peer->conn == 0 ? 0 : peer->stream ? eye_stream_peer(peer->stream, ret_addr) : -ENOTCONN;
}

void eye_peer_end(eye_peer *peer, const struct eye_outcome *outcome) {
    eye_server *server = peer->server;
    observe(server->handler->observer, &(struct eye_event){
                                           .kind = EYE_EVENT_CLOSED,
                                           .conn = peer->conn,
                                           .endpoint = server->endpoint->text,
                                           .bytes = {outcome->bytes[0], outcome->bytes[1]},
                                           .path = {outcome->path[0], outcome->path[1]},
                                           .reason = outcome->reason,
                                           .error = outcome->err.code ? &outcome->err : NULL,
                                           .ms = (server->loop->now_ns - peer->started_ns) / NS_PER_MS,
                                       });
    list_remove(&peer->node);
    server->peer_count--;
    free(peer->outcome);
    free(peer);
    ports_go_on(server);
    server_settle(server);
}

static void peer_gone(eye_peer *peer) {
    struct eye_outcome outcome = {.reason = EYE_REASON_END};
    if (peer->outcome)
        outcome = *peer->outcome;
    for (int way = 0; way < 2; way++) {
        outcome.bytes[way] = peer->bytes[way];
        outcome.path[way] = peer->bytes[way] ? "copy" : NULL;
    }
    eye_peer_end(peer, &outcome);
}

static void peer_idle_gone(eye_op *op, int64_t result) {
    (void)result;
    struct idle_watch *idle = eye_container_of(op, struct idle_watch, op);
    eye_peer *peer = idle->peer;
    free(idle);
    peer_gone(peer);
}

static void peer_closed(eye_op *op, int64_t result) {
    (void)result;
    eye_peer *peer = eye_container_of(op, eye_peer, op);
    peer->stream = NULL;
    if (!peer->idle)
        peer_gone(peer);
    else if (!eye_op_pending(&peer->idle->op))
        peer_idle_gone(&peer->idle->op, 0);
    else
        eye_cancel(peer->server->loop, &peer->idle->op); /* its done sees that the stream has gone */
}

static void peer_close(eye_peer *peer) {
    peer->ending = true;
    if (peer->outcome)
        eye_abort(peer->stream, &peer->op, peer_closed);
    else
        eye_close(peer->stream, &peer->op, peer_closed);
}

/* Ends a data handler's peer, whatever it is doing. */
static void peer_fail(eye_peer *peer, enum eye_reason reason, int code) {
    if (peer->ending)
        return;
    peer->ending = true;
    peer->outcome = calloc(1, sizeof *peer->outcome);
    if (peer->outcome)
        outcome_fail(peer->outcome, reason, code, peer->server->endpoint->text);
    if (eye_op_pending(&peer->op))
        eye_cancel(peer->server->loop, &peer->op);
    else
        peer_close(peer);
}

static void peer_failed(eye_peer *peer, int64_t code) {
    if (peer->ending)
        peer_close(peer);
    else
        peer_fail(peer,
                  code == -ECONNRESET || code == -EPIPE ? EYE_REASON_RESET
                  : code == EYE_ETRUNCATED              ? EYE_REASON_TRUNCATED
                                                        : EYE_REASON_ERROR,
                  (int)code);
}

static void peer_active(eye_peer *peer) {
    if (peer->idle)
        peer->idle->last_ns = peer->server->loop->now_ns;
}

static void peer_recv_done(eye_op *op, int64_t n);

static void peer_read(eye_peer *peer) {
    eye_recv_lent(peer->stream, &peer->op, &peer->u.lent, peer_recv_done);
}

static void peer_send_done(eye_op *op, int64_t n) {
    eye_peer *peer = eye_container_of(op, eye_peer, op);
    uint8_t *data = peer->u.more.data;
    size_t size = peer->u.more.size;
    peer->u.more.data = NULL;
    peer->u.more.size = 0;
    if (n > 0) {
        peer->bytes[1] += (uint64_t)n;
        peer_active(peer);
    }
    if (n < 0 || peer->ending)
        peer_failed(peer, n);
    else if (size > 0)
        eye_send_copy(peer->stream, &peer->op, data, size, peer_send_done);
    else
        peer_read(peer);
    free(data);
}

void eye_peer_send(eye_peer *peer, const void *buf, size_t size) {
    if (peer->conn == 0) {
        datagrams_answer(peer->datagrams, buf, size);
        return;
    }
    if (peer->ending || size == 0)
        return;
    if (!eye_op_pending(&peer->op)) {
        peer->u.more.data = NULL;
        peer->u.more.size = 0;
        eye_send_copy(peer->stream, &peer->op, buf, size, peer_send_done);
        return;
    }
    uint8_t *data = realloc(peer->u.more.data, peer->u.more.size + size);
    if (!data) {
        peer_fail(peer, EYE_REASON_ERROR, -ENOMEM);
        return;
    }
    memcpy(data + peer->u.more.size, buf, size);
    peer->u.more.data = data;
    peer->u.more.size += size;
}

static void peer_finish_done(eye_op *op, int64_t result) {
    eye_peer *peer = eye_container_of(op, eye_peer, op);
    if (result < 0)
        peer_failed(peer, result);
    else
        peer_close(peer);
}

static void peer_recv_done(eye_op *op, int64_t n) {
    eye_peer *peer = eye_container_of(op, eye_peer, op);
    if (n < 0) {
        peer_failed(peer, n);
        return;
    }
    if (n == 0) {
        observe(peer->server->handler->observer,
                &(struct eye_event){.kind = EYE_EVENT_EOF, .conn = peer->conn, .side = EYE_FROM});
        eye_finish(peer->stream, &peer->op, peer_finish_done);
        return;
    }
    peer->bytes[0] += (uint64_t)n;
    peer_active(peer);
    struct eye_bytes lent = peer->u.lent;
    peer->server->handler->data(peer, lent);
    if (!eye_op_pending(&peer->op)) {
        if (peer->ending)
            peer_close(peer);
        else
            peer_read(peer);
    }
}

static void peer_idle_done(eye_op *op, int64_t result) {
    struct idle_watch *idle = eye_container_of(op, struct idle_watch, op);
    eye_peer *peer = idle->peer;
    if (!peer->stream) {
        peer_idle_gone(op, result);
        return;
    }
    int64_t until_ns = time_after(idle->last_ns, peer->server->endpoint->idle_ns);
    if (peer->server->loop->now_ns >= until_ns)
        peer_fail(peer, EYE_REASON_IDLE, EYE_EDEADLINE);
    else
        eye_timer(peer->server->loop, op, until_ns, peer_idle_done);
}

static void peer_serve(eye_peer *peer) {
    eye_server *server = peer->server;
    if (server->endpoint->idle_ns > 0) {
        peer->idle = calloc(1, sizeof *peer->idle);
        if (!peer->idle) {
            peer_fail(peer, EYE_REASON_ERROR, -ENOMEM);
            return;
        }
        peer->idle->peer = peer;
        peer->idle->last_ns = server->loop->now_ns;
        eye_timer(server->loop, &peer->idle->op, time_after(server->loop->now_ns, server->endpoint->idle_ns),
                  peer_idle_done);
    }
    peer_read(peer);
}

/* ---- accepting ---- */

static void tell_pause(eye_server *server, int code) {
    if (server->told_ns && server->loop->now_ns - server->told_ns < TELL_PAUSE_NS)
        return;
    server->told_ns = server->loop->now_ns;
    struct eye_err err;
    err_set(&err, code, EYE_FAIL_OTHER, "%s: not accepting for a while: %s", server->endpoint->text,
            eye_strerror(code));
    observe(server->handler->observer,
            &(struct eye_event){.kind = EYE_EVENT_PAUSED, .endpoint = server->endpoint->text, .error = &err});
}

static void peer_arrived(eye_server *server, eye_stream *stream) {
    eye_peer *peer = calloc(1, sizeof *peer);
    if (!peer) {
        tell_pause(server, -ENOMEM);
        stream_drop(stream);
        return;
    }
    *peer = (struct eye_peer){
        .server = server, .stream = stream, .conn = ++server->conns, .started_ns = server->loop->now_ns};
    list_append(&server->peers, &peer->node);
    server->peer_count++;
    observe_connected(server->handler->observer, peer->conn, EYE_FROM, server->endpoint, stream, NULL);
    struct eye_addr addr;
    if (eye_stream_peer(stream, &addr) == 0 && !eye_endpoint_admits(server->endpoint, &addr)) {
        peer_fail(peer, EYE_REASON_DENIED, EYE_EDENIED);
    } else if (server->handler->stream) {
        peer->stream = NULL;
        server->handler->stream(peer, stream);
    } else {
        peer_serve(peer);
    }
}

static void pause_done(eye_op *op, int64_t result) {
    (void)result;
    eye_server *server = eye_container_of(op, struct port, pause_op)->server;
    ports_go_on(server);
    server_settle(server);
}

static void accept_done(eye_op *op, int64_t result) {
    struct port *port = eye_container_of(op, struct port, op);
    eye_server *server = port->server;
    if (result == 0) {
        peer_arrived(server, port->stream);
    } else if (result == EYE_EFDSETSIZE) {
        tell_pause(server, EYE_EFDSETSIZE);
    } else if (result != -ECANCELED) {
        tell_pause(server, (int)result);
        if (!server->stopping)
            eye_timer(server->loop, &port->pause_op, server->loop->now_ns + PAUSE_NS, pause_done);
    }
    ports_go_on(server);
    server_settle(server);
}

/* ---- datagrams ---- */

static void port_datagram(void *user, struct eye_bytes bytes) {
    struct port *port = user;
    port->server->handler->data(port->sender, bytes);
}

static bool port_admits(void *user, const struct eye_addr *peer) {
    return eye_endpoint_admits(((struct port *)user)->server->endpoint, peer);
}

static void port_ended(void *user) {
    server_settle(((struct port *)user)->server);
}

static int port_take_datagrams(struct port *port) {
    const struct datagram_client client = {
        .datagram = port_datagram, .ended = port_ended, .admits = port_admits, .user = port};
    port->sender = calloc(1, sizeof *port->sender);
    port->datagrams = datagrams_new(port->listener, &client);
    if (!port->sender || !port->datagrams)
        return -ENOMEM;
    *port->sender = (eye_peer){.server = port->server, .datagrams = port->datagrams};
    return 0;
}

static void ports_free(eye_server *server) {
    for (size_t i = 0; i < server->port_count; i++) {
        eye_listener_free(server->ports[i].listener);
        datagrams_free(server->ports[i].datagrams);
        free(server->ports[i].sender);
    }
}

/* Fills in the ports; nothing is under way on them yet. */
static int ports_open(eye_server *server, struct eye_err *reterr) {
    const struct eye_endpoint *endpoint = server->endpoint;
    bool datagrams = eye_endpoint_endless(endpoint);
    if (datagrams && endpoint->scheme == EYE_UNIX && !server->handler->data)
        return err_set(reterr, EYE_ESYNTAX, EYE_FAIL_USAGE,
                       "%s: senders of Unix datagrams cannot be told apart", endpoint->text);
    eye_listener *listeners[EYE_LISTENER_MAX];
    int r = eye_listen(server->loop, endpoint, listeners, EYE_LISTENER_MAX, reterr);
    if (r < 0)
        return r;
    server->port_count = (size_t)r;
    r = 0;
    for (size_t i = 0; i < server->port_count; i++) {
        struct port *port = &server->ports[i];
        port->server = server;
        port->listener = listeners[i];
        if (datagrams && server->handler->data && r == 0)
            r = port_take_datagrams(port);
    }
    if (r == 0)
        return 0;
    ports_free(server);
    return err_set(reterr, r, EYE_FAIL_OTHER, "%s: %s", endpoint->text, eye_strerror(r));
}

/* Accepts on every port that may, or on none while max= peers are there. */
static void ports_go_on(eye_server *server) {
    bool full = server->peers_max > 0 && server->peer_count >= server->peers_max;
    for (size_t i = 0; i < server->port_count && !server->stopping; i++) {
        struct port *port = &server->ports[i];
        if (full)
            eye_cancel(server->loop, &port->op);
        else if (!port->datagrams && !eye_op_pending(&port->op) && !eye_op_pending(&port->pause_op))
            eye_accept(port->listener, &port->op, &port->stream, accept_done);
    }
}

int eye_serve(eye_loop *loop, const struct eye_endpoint *endpoint, const struct eye_handler *handler,
              eye_server **ret_server, struct eye_err *reterr) {
    assert(!handler->data != !handler->stream);
    eye_server *server = calloc(1, sizeof *server);
    if (!server)
        return err_set(reterr, -ENOMEM, EYE_FAIL_OTHER, "%s: %s", endpoint->text, eye_strerror(-ENOMEM));
    server->loop = loop;
    server->endpoint = endpoint;
    server->handler = handler;
    server->peers_max = endpoint->peers_max;
    /* Anybody can make a peer by a datagram, so their number has a bound of its own. */
    if (eye_endpoint_endless(endpoint) && server->peers_max == 0)
        server->peers_max = DATAGRAM_PEERS_MAX;
    list_init(&server->peers);
    int r = ports_open(server, reterr);
    if (r < 0) {
        free(server);
        return r;
    }
    for (size_t i = 0; i < server->port_count; i++) {
        observe_listening(handler->observer, loop, endpoint, server->ports[i].listener);
        if (server->ports[i].datagrams)
            datagrams_start(server->ports[i].datagrams);
    }
    ports_go_on(server);
    *ret_server = server;
    return 0;
}

/* ---- the end ---- */

static void peers_end(eye_server *server) {
    struct list *next;
    for (struct list *at = server->peers.next; at != &server->peers; at = next) {
        next = at->next; /* ending one never frees another */
        eye_peer *peer = eye_container_of(at, eye_peer, node);
        if (peer->stream)
            peer_fail(peer, EYE_REASON_TIMEOUT, EYE_EDEADLINE);
        else if (server->handler->stop && !peer->ending)
            server->handler->stop(peer);
    }
}

static bool server_busy(const eye_server *server) {
    for (size_t i = 0; i < server->port_count; i++)
        if (eye_op_pending(&server->ports[i].op) || eye_op_pending(&server->ports[i].pause_op) ||
            (server->ports[i].datagrams && datagrams_busy(server->ports[i].datagrams)))
            return true;
    return server->peer_count > 0;
}

static void grace_done(eye_op *op, int64_t result) {
    eye_server *server = eye_container_of(op, eye_server, grace_op);
    if (result == 0)
        peers_end(server);
    server_settle(server);
}

static void stop_cancel(eye_op *op) {
    (void)op; /* a stop cannot be taken back */
}

static const struct op_kind op_stop = {.name = "stop", .cancel = stop_cancel};

/* Completes a stop when nothing is left. */
static void server_settle(eye_server *server) {
    if (!server->stop_op || server_busy(server))
        return;
    eye_cancel(server->loop, &server->grace_op);
    if (eye_op_pending(&server->grace_op))
        return; /* it comes back here */
    eye_op *op = server->stop_op;
    server->stop_op = NULL;
    op_finish(server->loop, op, 0);
}

void eye_server_stop(eye_server *server, eye_op *op, int64_t grace_ns, eye_done *done) {
    op_begin(server->loop, op, &op_stop, done);
    server->stopping = true;
    server->stop_op = op;
    for (size_t i = 0; i < server->port_count; i++) {
        server->ports[i].listener = eye_listener_free(server->ports[i].listener);
        eye_cancel(server->loop, &server->ports[i].pause_op);
    }
    int64_t deadline_ns = time_after(server->loop->now_ns, MAX(grace_ns, 0));
    eye_timer(server->loop, &server->grace_op, deadline_ns, grace_done);
    server_settle(server);
}

eye_server *eye_server_free(eye_server *server) {
    if (!server)
        return NULL;
    assert(!server_busy(server) && !server->stop_op);
    ports_free(server);
    free(server);
    return NULL;
}
