/* observe.c: what is said of connections. */
#include <errno.h>

#include "flow/flow.h"

void observe_connected(const struct eye_observer *observer, uint64_t conn, enum eye_side side,
                       const struct eye_endpoint *endpoint, const eye_stream *stream,
                       const struct eye_dialled *dialled) {
    if (!observer)
        return;
    char peer[EYE_ADDR_TEXT_MAX], local[EYE_ADDR_TEXT_MAX];
    struct eye_addr addr;
    bool has_peer = eye_stream_peer(stream, &addr) == 0 && eye_addr_format(&addr, peer, sizeof peer) >= 0;
    bool has_local = eye_stream_local(stream, &addr) == 0 && eye_addr_format(&addr, local, sizeof local) >= 0;
    observe(observer, &(struct eye_event){
                          .kind = EYE_EVENT_CONNECTED,
                          .conn = conn,
                          .side = side,
                          .endpoint = endpoint->text,
                          .peer = has_peer ? peer : NULL,
                          .local = has_local ? local : NULL,
                          .attempts = dialled ? dialled->attempts : NULL,
                          .attempt_count = dialled ? dialled->attempt_count : 0,
                      });
}

void observe_listening(const struct eye_observer *observer, const eye_loop *loop,
                       const struct eye_endpoint *endpoint, const eye_listener *listener) {
    struct eye_addr addr;
    char text[EYE_ADDR_TEXT_MAX] = "";
    if (eye_listener_addr(listener, &addr) == 0)
        eye_addr_format(&addr, text, sizeof text);
    observe(observer, &(struct eye_event){
                          .kind = EYE_EVENT_LISTENING,
                          .endpoint = endpoint->text,
                          .address = text,
                          .engine = eye_loop_engine(loop),
                      });
}

static const struct {
    enum eye_reason reason;
    enum eye_fail fail;
} fails[] = {
    {EYE_REASON_RESET, EYE_FAIL_TRUNCATED},  {EYE_REASON_TRUNCATED, EYE_FAIL_TRUNCATED},
    {EYE_REASON_TIMEOUT, EYE_FAIL_DEADLINE}, {EYE_REASON_IDLE, EYE_FAIL_DEADLINE},
    {EYE_REASON_DENIED, EYE_FAIL_CONNECT},   {EYE_REASON_REFUSED, EYE_FAIL_CONNECT},
};

int outcome_fail(struct eye_outcome *outcome, enum eye_reason reason, int code, const char *what) {
    enum eye_fail fail = EYE_FAIL_OTHER;
    for (size_t i = 0; i < ARRAY_LEN(fails); i++)
        if (fails[i].reason == reason)
            fail = fails[i].fail;
    outcome->reason = reason;
    return err_set(&outcome->err, code, fail, "%s: %s", what, eye_strerror(code));
}
