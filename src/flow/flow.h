/* flow.h: what the files of this floor share. The public face is <sockeye/flow.h>. */
#ifndef SOCKEYE_FLOW_INTERNAL_H
#define SOCKEYE_FLOW_INTERNAL_H

#include <sockeye/flow.h>

#include "base/base.h"

static inline void observe(const struct eye_observer *observer, const struct eye_event *event) {
    if (observer)
        observer->event(observer->user, event);
}

/* Whether allow= and deny= let a stream's peer pass; without either its address is not asked for. */
static inline bool stream_admitted(const struct eye_endpoint *endpoint, const eye_stream *stream) {
    struct eye_addr addr;
    return endpoint->allow_count + endpoint->deny_count == 0 || eye_stream_peer(stream, &addr) < 0 ||
           eye_endpoint_admits(endpoint, &addr);
}

/* Tells the observer where a listener listens. */
void observe_listening(const struct eye_observer *observer, const eye_loop *loop,
                       const struct eye_endpoint *endpoint, const eye_listener *listener);
/* Tells the observer that a stream is there, with both its addresses unless it does without. */
void observe_connected(const struct eye_observer *observer, uint64_t conn, enum eye_side side,
                       const struct eye_endpoint *endpoint, const eye_stream *stream,
                       const struct eye_dialled *dialled);
/* Tells the observer of a peer that a listener has turned away before it was a stream. */
void observe_refused(const struct eye_observer *observer, uint64_t conn, enum eye_side side,
                     const struct eye_endpoint *endpoint, const struct eye_refusal *refusal);
/* Whether a result of eye_accept is such a peer's. */
bool is_refusal(int64_t result);
/* Whether a code is one of TLS: then the reason is EYE_REASON_TLS. */
bool is_tls(int64_t code);
/* Fills in how a connection failed that moved bytes: the kind of failure is told by the code. */
int outcome_fail(struct eye_outcome *outcome, enum eye_reason reason, int code, const char *what);

/* ---- children.c ---- */

struct children;

/* Takes the children of the streams of a join, which begin to be waited for; *ret_children is NULL where
 * there are none. Errors: -ENOMEM (they are reaped all the same). */
int children_take(eye_loop *loop, eye_stream *const sides[2], uint64_t conn,
                  const struct eye_observer *observer, struct children **ret_children);
/* Sends those that still run a signal. */
void children_kill(struct children *children, int signum);
/* Ends them: SIGTERM, and SIGKILL after a while. */
void children_end(struct children *children);
/* Completes with 0 when all have been reaped; cancelling ends them. */
void children_wait(struct children *children, eye_op *op, eye_done *done);
/* After that. */
struct children *children_free(struct children *children);

/* ---- await.c ---- */

struct await;

/* Listens on the endpoint, which must outlive it. Errors: as eye_listen. */
int await_new(eye_loop *loop, const struct eye_endpoint *endpoint, const struct eye_observer *observer,
              struct await **ret_await, struct eye_err *reterr);
/* Completes with 0 and the next peer's stream, in the order of asking; uses op->user. Errors: as
 * eye_accept. */
void await_peer(struct await *await, eye_op *op, eye_stream **ret_stream, eye_done *done);
/* Stops listening and frees, as soon as its own accepts have ended; nobody may be waiting. */
struct await *await_free(struct await *await);

#endif
