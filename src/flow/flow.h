/* flow.h: what the files of this floor share. The public face is <sockeye/flow.h>. */
#ifndef SOCKEYE_FLOW_INTERNAL_H
#define SOCKEYE_FLOW_INTERNAL_H

#include <sockeye/flow.h>

#include "base/base.h"

static inline void observe(const struct eye_observer *observer, const struct eye_event *event) {
    if (observer)
        observer->event(observer->user, event);
}

/* Tells the observer where a listener listens. */
void observe_listening(const struct eye_observer *observer, const eye_loop *loop,
                       const struct eye_endpoint *endpoint, const eye_listener *listener);
/* Tells the observer that a stream is there, with both its addresses. */
void observe_connected(const struct eye_observer *observer, uint64_t conn, enum eye_side side,
                       const struct eye_endpoint *endpoint, const eye_stream *stream,
                       const struct eye_dialled *dialled);
/* Fills in how a connection failed that moved bytes: the kind of failure is told by the code. */
int outcome_fail(struct eye_outcome *outcome, enum eye_reason reason, int code, const char *what);

/* ---- await.c ---- */

struct await;

/* Listens on the endpoint, which must outlive it. Errors: as eye_listen. */
int await_new(eye_loop *loop, const struct eye_endpoint *endpoint, const struct eye_observer *observer,
              struct await **ret_await, struct eye_err *reterr);
/* Completes with 0 and the next peer's stream, in the order of asking; uses op->user. Errors: as
 * eye_accept. */
void await_peer(struct await *await, eye_op *op, eye_stream **ret_stream, eye_done *done);
/* Stops listening and frees; from a done that was finished after the last of those who waited. */
struct await *await_free(struct await *await);

#endif
