/* flow.h: what the files of this floor share. The public face is <sockeye/flow.h>. */
#ifndef SOCKEYE_FLOW_INTERNAL_H
#define SOCKEYE_FLOW_INTERNAL_H

#include <sockeye/flow.h>

#include "base/base.h"

static inline void observe(const struct eye_observer *observer, const struct eye_event *event) {
    if (observer)
        observer->event(observer->user, event);
}

/* Tells the observer that a stream is there, with both its addresses. */
void observe_connected(const struct eye_observer *observer, uint64_t conn, enum eye_side side,
                       const struct eye_endpoint *endpoint, const eye_stream *stream,
                       const struct eye_dialled *dialled);
/* Fills in how a connection failed that moved bytes: the kind of failure is told by the code. */
int outcome_fail(struct eye_outcome *outcome, enum eye_reason reason, int code, const char *what);

#endif
