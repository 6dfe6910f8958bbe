/* peer.h: what the kinds of peers have in common. */
#ifndef SOCKEYE_PEER_H
#define SOCKEYE_PEER_H

#include "base/list.h"
#include "flow/flow.h"

enum peer_kind {
    PEER_STREAM, /* its stream is the handler's */
    PEER_TALK,   /* a stream that talk.c speaks on */
    PEER_SENDER, /* stands for each sender of datagrams in turn */
};

/* What a server's peers need to know of it. */
struct serving {
    eye_loop *loop;
    const struct eye_endpoint *endpoint;
    const struct eye_handler *handler;
};

struct eye_peer {
    struct list node; /* in the server's list, except a sender */
    struct serving *serving;
    void *user;
    uint64_t conn;
    uint64_t started_ms : 48; /* of the loop's clock; a word with the rest, for there are many of these */
    uint64_t kind : 8;        /* enum peer_kind */
    bool ending : 1;          /* talk.c's */
    bool failed : 1;          /* and so is this: it is to end by a reset */
};

/* ---- talk.c ---- */

/* A peer that a data handler answers; NULL where memory is short. The caller fills in the peer. */
eye_peer *talk_new(eye_stream *stream);
void talk_start(eye_peer *peer);
void talk_send(eye_peer *peer, const void *buf, size_t size);
int talk_addr(const eye_peer *peer, struct eye_addr *ret_addr);
/* Ends it, whatever it is doing; eye_peer_end follows. */
void talk_end(eye_peer *peer, enum eye_reason reason, int code);
/* For eye_peer_end: a peer's memory. */
void talk_free(eye_peer *peer);

#endif
