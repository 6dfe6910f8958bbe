/* observe.c: what is said of connections. */
#include <errno.h>

#include "flow/flow.h"
#include "net/share.h"

static const char *addr_text(const struct eye_addr *addr, char text[EYE_ADDR_TEXT_MAX]) {
    return addr->len > 0 && eye_addr_format(addr, text, EYE_ADDR_TEXT_MAX) >= 0 ? text : NULL;
}

static void observe_both(const struct eye_observer *observer, struct eye_event *event,
                         const struct eye_addr *peer, const struct eye_addr *local) {
    char peer_text[EYE_ADDR_TEXT_MAX], local_text[EYE_ADDR_TEXT_MAX];
    event->peer = addr_text(peer, peer_text);
    event->local = addr_text(local, local_text);
    observe(observer, event);
}

void observe_connected(const struct eye_observer *observer, uint64_t conn, enum eye_side side,
                       const struct eye_endpoint *endpoint, const eye_stream *stream,
                       const struct eye_dialled *dialled) {
    if (!observer)
        return;
    struct eye_event event = {
        .kind = EYE_EVENT_CONNECTED,
        .conn = conn,
        .side = side,
        .endpoint = endpoint->text,
        .attempts = dialled ? dialled->attempts : NULL,
        .attempt_count = dialled ? dialled->attempt_count : 0,
    };
    struct eye_addr peer = {0}, local = {0};
    if (!observer->without_addresses) {
        eye_stream_peer(stream, &peer);
        eye_stream_local(stream, &local);
    }
    observe_both(observer, &event, &peer, &local);
    struct eye_tls_info info;
    if (eye_stream_tls(stream, &info) == 0)
        observe(
            observer,
            &(struct eye_event){
                .kind = EYE_EVENT_TLS, .conn = conn, .side = side, .endpoint = endpoint->text, .tls = &info});
}

bool is_tls(int64_t code) {
    return code == EYE_EHANDSHAKE || code == EYE_EAUTHENTIC ||
           (code <= EYE_EALERT_BASE && code > EYE_EALERT_BASE - 256);
}

bool is_refusal(int64_t result) {
    return is_tls(result) || result == EYE_EDEADLINE || result == EYE_EDENIED;
}

void observe_refused(const struct eye_observer *observer, uint64_t conn, enum eye_side side,
                     const struct eye_endpoint *endpoint, const struct eye_refusal *refusal) {
    if (!observer)
        return;
    struct eye_event event = {
        .kind = EYE_EVENT_CONNECTED, .conn = conn, .side = side, .endpoint = endpoint->text};
    observe_both(observer, &event, &refusal->peer, &refusal->local);
    event = (struct eye_event){
        .kind = EYE_EVENT_CLOSED,
        .conn = conn,
        .endpoint = endpoint->text,
        .reason = refusal->err.code == EYE_EDEADLINE ? EYE_REASON_TIMEOUT
                  : refusal->err.code == EYE_EDENIED ? EYE_REASON_DENIED
                                                     : EYE_REASON_TLS,
        .error = &refusal->err,
    };
    observe_both(observer, &event, &refusal->peer, &refusal->local);
}

void observe_listening(const struct eye_observer *observer, const eye_loop *loop,
                       const struct eye_endpoint *endpoint, const eye_listener *listener) {
    struct eye_addr addr;
    char text[EYE_ADDR_TEXT_MAX] = "", pin[EYE_PIN_TEXT_MAX];
    if (!share_tells(endpoint))
        return;
    if (eye_listener_addr(listener, &addr) == 0)
        eye_addr_format(&addr, text, sizeof text);
    observe(observer, &(struct eye_event){
                          .kind = EYE_EVENT_LISTENING,
                          .endpoint = endpoint->text,
                          .address = text,
                          .engine = eye_loop_engine(loop),
                          .pin = eye_listener_pin(listener, pin, sizeof pin) == 0 ? pin : NULL,
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
    if (reason == EYE_REASON_TLS)
        fail = code == EYE_EAUTHENTIC ? EYE_FAIL_AUTHENTIC : EYE_FAIL_HANDSHAKE;
    outcome->reason = reason;
    return err_set(&outcome->err, code, fail, "%s: %s", what, eye_strerror(code));
}
