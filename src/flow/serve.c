/* serve.c: listening on an endpoint and serving its peers.
 *
 * Each listening socket has one accept pending, except while max= peers are there, or descriptors have
 * run out: then the peers wait in the kernel's queue, none is turned away, and accepting goes on when
 * one has left or after a pause. When it is to stop, others are kept out of the queue, and those that are in
 * it, or have begun their handshake, are served still. What is said to a peer is talk.c's on a stream,
 * datagrams.c's otherwise, or the handler's own. */
#include <assert.h>
#include <errno.h>
#include <stdlib.h>

#include "flow/datagrams.h"
#include "flow/peer.h"
#include "loop/loop.h"
#include "net/net.h"
#include "net/share.h"
#include "sys/sys.h"

#define DATAGRAM_PEERS_MAX 1024
#define PAUSE_NS           (100 * NS_PER_MS)
#define TELL_PAUSE_NS      NS_PER_S
#define HANDSHAKE_NS       (20 * NS_PER_MS) /* for those that are under way when the server is to stop */
#define STARTED_MASK       ((UINT64_C(1) << 48) - 1) /* eight thousand years */

struct port {
    eye_server *server;
    eye_listener *listener;
    struct datagram_service *datagrams; /* where a data handler serves datagrams: in the place of accepting */
    eye_peer sender;                    /* of the datagram that is told */
    eye_op op;                          /* accept */
    eye_op pause_op;                    /* timer */
    eye_stream *stream;
};

struct eye_server {
    struct serving serving;
    struct port ports[EYE_LISTENER_MAX];
    size_t port_count;
    struct list peers;
    int64_t peer_count, peers_max;
    uint64_t conns;
    int64_t told_ns; /* when the observer last heard of a pause */
    bool stopping;
    eye_op *stop_ops;               /* those who wait for that, in a ring */
    eye_op grace_op, handshakes_op; /* timers */
    int64_t end_ns;                 /* when peers that are left are ended */
};

static void ports_go_on(eye_server *server);
static void ports_wind_up(eye_server *server);
static void server_settle(eye_server *server);

/* ---- peers ---- */

static eye_server *server_of(const eye_peer *peer) {
    return eye_container_of(peer->serving, eye_server, serving);
}

static struct datagram_service *datagrams_of(const eye_peer *peer) {
    return eye_container_of((eye_peer *)(uintptr_t)peer, struct port, sender)->datagrams;
}

const struct eye_handler *eye_peer_handler(const eye_peer *peer) {
    return peer->serving->handler;
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
    switch (peer->kind) {
    case PEER_TALK:
        return talk_addr(peer, ret_addr);
    case PEER_SENDER:
        *ret_addr = *datagrams_peer(datagrams_of(peer));
        return 0;
    default:
        return -ENOTCONN; /* the handler has the stream, and may ask that */
    }
}

void eye_peer_end(eye_peer *peer, const struct eye_outcome *outcome) {
    eye_server *server = server_of(peer);
    observe(server->serving.handler->observer,
            &(struct eye_event){
                .kind = EYE_EVENT_CLOSED,
                .conn = peer->conn,
                .endpoint = server->serving.endpoint->text,
                .bytes = {outcome->bytes[0], outcome->bytes[1]},
                .path = {outcome->path[0], outcome->path[1]},
                .reason = outcome->reason,
                .error = outcome->err.code ? &outcome->err : NULL,
                .ms = server->serving.loop->now_ns / NS_PER_MS - (int64_t)peer->started_ms,
            });
    list_remove(&peer->node);
    server->peer_count--;
    if (peer->kind == PEER_TALK)
        talk_free(peer);
    else
        free(peer);
    ports_go_on(server);
    server_settle(server);
}

void eye_peer_send(eye_peer *peer, const void *buf, size_t size) {
    if (peer->kind == PEER_SENDER)
        datagrams_answer(datagrams_of(peer), buf, size);
    else
        talk_send(peer, buf, size);
}

/* ---- accepting ---- */

static void tell_pause(eye_server *server, int code) {
    if (server->told_ns && server->serving.loop->now_ns - server->told_ns < TELL_PAUSE_NS)
        return;
    server->told_ns = server->serving.loop->now_ns;
    struct eye_err err;
    err_set(&err, code, EYE_FAIL_OTHER, "%s: not accepting for a while: %s", server->serving.endpoint->text,
            eye_strerror(code));
    observe(server->serving.handler->observer, &(struct eye_event){.kind = EYE_EVENT_PAUSED,
                                                                   .endpoint = server->serving.endpoint->text,
                                                                   .error = &err});
}

static uint64_t next_conn(eye_server *server) {
    return server->serving.endpoint->share ? share_number(server->serving.endpoint) : ++server->conns;
}

static void peer_arrived(eye_server *server, eye_stream *stream) {
    bool denied = !stream_admitted(server->serving.endpoint, stream);
    bool talk = denied || server->serving.handler->data;
    eye_peer *peer = talk ? talk_new(stream) : calloc(1, sizeof *peer);
    if (!peer) {
        tell_pause(server, -ENOMEM);
        stream_refuse(stream);
        return;
    }
    peer->kind = talk ? PEER_TALK : PEER_STREAM;
    peer->serving = &server->serving;
    peer->conn = next_conn(server);
    peer->started_ms = (uint64_t)(server->serving.loop->now_ns / NS_PER_MS) & STARTED_MASK;
    list_append(&server->peers, &peer->node);
    server->peer_count++;
    observe_connected(server->serving.handler->observer, peer->conn, EYE_FROM, server->serving.endpoint,
                      stream, NULL);
    if (denied)
        talk_end(peer, EYE_REASON_DENIED, EYE_EDENIED);
    else if (talk)
        talk_start(peer);
    else
        server->serving.handler->stream(peer, stream);
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
    } else if (is_refusal(result)) {
        observe_refused(server->serving.handler->observer, next_conn(server), EYE_FROM,
                        server->serving.endpoint, eye_listener_refusal(port->listener));
    } else if (result == EYE_EFDSETSIZE) {
        tell_pause(server, EYE_EFDSETSIZE);
    } else if (result != -ECANCELED) {
        tell_pause(server, (int)result);
        if (!server->stopping)
            eye_timer(server->serving.loop, &port->pause_op, server->serving.loop->now_ns + PAUSE_NS,
                      pause_done);
        else
            port->listener = eye_listener_free(port->listener);
    }
    ports_go_on(server);
    server_settle(server);
}

/* ---- datagrams ---- */

static void port_datagram(void *user, struct eye_bytes bytes) {
    struct port *port = user;
    port->server->serving.handler->data(&port->sender, bytes);
}

static bool port_admits(void *user, const struct eye_addr *peer) {
    return eye_endpoint_admits(((struct port *)user)->server->serving.endpoint, peer);
}

static void port_ended(void *user) {
    server_settle(((struct port *)user)->server);
}

static int port_take_datagrams(struct port *port) {
    const struct datagram_client client = {
        .datagram = port_datagram, .ended = port_ended, .admits = port_admits, .user = port};
    port->sender = (eye_peer){.serving = &port->server->serving, .kind = PEER_SENDER};
    port->datagrams = datagrams_new(port->listener, &client);
    return port->datagrams ? 0 : -ENOMEM;
}

static void ports_free(eye_server *server) {
    for (size_t i = 0; i < server->port_count; i++) {
        eye_listener_free(server->ports[i].listener);
        datagrams_free(server->ports[i].datagrams);
    }
}

/* Fills in the ports; nothing is under way on them yet. */
static void shaking_changed(void *user, int change) {
    const struct eye_observer *observer = ((eye_server *)user)->serving.handler->observer;
    if (observer && observer->shaking)
        observer->shaking(observer->user, change);
}

static int ports_open(eye_server *server, struct eye_err *reterr) {
    const struct eye_endpoint *endpoint = server->serving.endpoint;
    bool datagrams = eye_endpoint_endless(endpoint);
    if (datagrams && endpoint->share && !server->serving.handler->data)
        return err_set(reterr, EYE_ESYNTAX, EYE_FAIL_USAGE,
                       "%s: senders of datagrams cannot be divided among threads", endpoint->text);
    eye_listener *listeners[EYE_LISTENER_MAX];
    int r = eye_listen(server->serving.loop, endpoint, listeners, EYE_LISTENER_MAX, reterr);
    if (r < 0)
        return r;
    server->port_count = (size_t)r;
    r = 0;
    for (size_t i = 0; i < server->port_count; i++) {
        struct port *port = &server->ports[i];
        port->server = server;
        port->listener = listeners[i];
        listener_watch(port->listener, shaking_changed, server);
        if (!server->serving.handler->data)
            listener_slot(port->listener)->flags |= SLOT_EACH;
        if (datagrams && server->serving.handler->data && r == 0)
            r = port_take_datagrams(port);
    }
    if (r == 0)
        return 0;
    ports_free(server);
    return err_set(reterr, r, EYE_FAIL_OTHER, "%s: %s", endpoint->text, eye_strerror(r));
}

static bool server_full(const eye_server *server) {
    return server->peers_max > 0 && server->peer_count >= server->peers_max;
}

/* Accepts on every port that may, or on none while max= peers are there. */
static void ports_go_on(eye_server *server) {
    bool full = server_full(server);
    for (size_t i = 0; i < server->port_count; i++) {
        struct port *port = &server->ports[i];
        if (full)
            eye_cancel(server->serving.loop, &port->op);
        else if (port->listener && !port->datagrams && !eye_op_pending(&port->op) &&
                 !eye_op_pending(&port->pause_op))
            eye_accept(port->listener, &port->op, &port->stream, accept_done);
    }
    if (server->stopping)
        ports_wind_up(server);
}

int eye_serve(eye_loop *loop, const struct eye_endpoint *endpoint, const struct eye_handler *handler,
              eye_server **ret_server, struct eye_err *reterr) {
    assert(!handler->data != !handler->stream);
    eye_server *server = calloc(1, sizeof *server);
    if (!server)
        return err_set(reterr, -ENOMEM, EYE_FAIL_OTHER, "%s: %s", endpoint->text, eye_strerror(-ENOMEM));
    server->serving.loop = loop;
    server->serving.endpoint = endpoint;
    server->serving.handler = handler;
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

/* Stops listening, on each port as soon as nobody waits in its queue, or the time is up. */
static void ports_wind_up(eye_server *server) {
    bool over = server->serving.loop->now_ns >= server->end_ns;
    for (size_t i = 0; i < server->port_count; i++) {
        struct port *port = &server->ports[i];
        if (port->listener &&
            (over || port->datagrams ||
             !(eye_op_pending(&server->handshakes_op) || listener_waited_for(port->listener))))
            port->listener = eye_listener_free(port->listener);
    }
}

static void peers_end(eye_server *server) {
    struct list *next;
    for (struct list *at = server->peers.next; at != &server->peers; at = next) {
        next = at->next; /* ending one never frees another */
        eye_peer *peer = eye_container_of(at, eye_peer, node);
        if (peer->kind == PEER_TALK)
            talk_end(peer, EYE_REASON_TIMEOUT, EYE_EDEADLINE);
        else if (server->serving.handler->stop)
            server->serving.handler->stop(peer);
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
    /* Cancelled, it is said anew, for sooner, or nobody is left. -ENOMEM: the time cannot be measured. */
    if (result == -ECANCELED && server->serving.loop->now_ns < server->end_ns) {
        eye_timer(server->serving.loop, op, server->end_ns, grace_done);
    } else {
        server->end_ns = 0;
        ports_wind_up(server);
        peers_end(server);
    }
    server_settle(server);
}

static void handshakes_done(eye_op *op, int64_t result) {
    eye_server *server = eye_container_of(op, eye_server, handshakes_op);
    (void)result;
    ports_wind_up(server);
    server_settle(server);
}

static void stop_cancel(eye_op *op) {
    (void)op; /* a stop cannot be taken back */
}

static const struct op_kind op_stop = {.name = "stop", .cancel = stop_cancel};

/* Completes the stop when nothing is left. */
static void server_settle(eye_server *server) {
    if (!server->stop_ops || server_busy(server))
        return;
    server->end_ns = 0;
    eye_cancel(server->serving.loop, &server->grace_op);
    eye_cancel(server->serving.loop, &server->handshakes_op);
    if (eye_op_pending(&server->grace_op) || eye_op_pending(&server->handshakes_op))
        return; /* they come back here */
    while (server->stop_ops)
        op_finish(server->serving.loop, ring_pop(&server->stop_ops), 0);
}

void eye_server_stop(eye_server *server, eye_op *op, int64_t grace_ns, eye_done *done) {
    eye_loop *loop = server->serving.loop;
    op_begin(loop, op, &op_stop, done);
    ring_append(&server->stop_ops, op);
    /* From now, not from the beginning of the turn, which may be long ago. */
    int64_t end_ns = time_after(sys_now(), MAX(grace_ns, 0));
    server->end_ns = server->stopping ? MIN(server->end_ns, end_ns) : end_ns;
    if (!server->stopping && grace_ns > 0)
        eye_timer(loop, &server->handshakes_op, time_after(sys_now(), HANDSHAKE_NS), handshakes_done);
    server->stopping = true;
    for (size_t i = 0; i < server->port_count; i++) {
        struct port *port = &server->ports[i];
        if (port->datagrams)
            datagrams_stop(port->datagrams);
        if (port->listener)
            listener_keep_out(port->listener);
        eye_cancel(loop, &port->pause_op);
    }
    ports_wind_up(server);
    if (eye_op_pending(&server->grace_op))
        eye_cancel(loop, &server->grace_op); /* its done sets it anew */
    else
        eye_timer(loop, &server->grace_op, server->end_ns, grace_done);
    server_settle(server);
}

eye_server *eye_server_free(eye_server *server) {
    if (!server)
        return NULL;
    assert(!server_busy(server) && !server->stop_ops);
    ports_free(server);
    free(server);
    return NULL;
}
