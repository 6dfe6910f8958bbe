/* inbox.h: datagrams that a peer sent before it had a socket of its own. */
#ifndef SOCKEYE_INBOX_H
#define SOCKEYE_INBOX_H

#include <sockeye/stream.h>

#include "base/list.h"
#include "loop/batch.h"
#include "loop/loop.h"

struct parcel;

/* Part of a stream that a datagram listener made, and of that listener's list of peers while it lives. */
struct inbox {
    struct list node;
    eye_stream *stream; /* NULL until it is accepted */
    struct eye_addr peer, local;
    struct parcel *first, **end;
    struct parcel *lent; /* until the next receive */
    size_t bytes;
};

/* Whether a datagram waits; if so a receive completes with it. */
bool inbox_receive(struct inbox *inbox, eye_loop *loop, eye_op *op, struct eye_bytes *ret_bytes, void *buf,
                   size_t size, eye_done *done);
void inbox_free(struct inbox *inbox);

/* ---- the listener's side ---- */

/* The next peer that is new, with its socket and all that it has sent so far: 0 and its stream, -EAGAIN, or
 * the error with which the socket could not be made. peers is the listener's list of inboxes. */
int64_t inbox_accept(struct slot *slot, const struct eye_endpoint *endpoint, struct list *peers,
                     eye_stream **ret_stream);
/* The listener goes: peers that nobody has accepted go with it. */
void inbox_abandon(struct list *peers);

#endif
