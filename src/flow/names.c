/* names.c: the words for events and reasons, as --events writes them. */
#include <sockeye/flow.h>

#include "base/base.h"

static const char *const event_names[] = {
    [EYE_EVENT_LISTENING] = "listening",
    [EYE_EVENT_CONNECTED] = "connected",
    [EYE_EVENT_TLS] = "tls",
    [EYE_EVENT_EOF] = "eof",
    [EYE_EVENT_EXIT] = "exit",
    [EYE_EVENT_CLOSED] = "closed",
    [EYE_EVENT_PAUSED] = "paused",
};
_Static_assert(ARRAY_LEN(event_names) == EYE_EVENT_MAX, "name every event");

static const char *const reason_names[] = {
    [EYE_REASON_END] = "end",         [EYE_REASON_RESET] = "reset", [EYE_REASON_TRUNCATED] = "truncated",
    [EYE_REASON_TIMEOUT] = "timeout", [EYE_REASON_IDLE] = "idle",   [EYE_REASON_DENIED] = "denied",
    [EYE_REASON_REFUSED] = "refused", [EYE_REASON_TLS] = "tls",     [EYE_REASON_ERROR] = "error",
};
_Static_assert(ARRAY_LEN(reason_names) == EYE_REASON_MAX, "name every reason");

const char *eye_event_name(enum eye_event_kind kind) {
    return event_names[kind];
}

const char *eye_reason_name(enum eye_reason reason) {
    return reason_names[reason];
}
