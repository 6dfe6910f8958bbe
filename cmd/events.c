#include "events.h"

#include <assert.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "json.h"
#include "output.h"

/* Every field of an event is bounded, and so is the line: the longest has 16 attempts. */
#define LINE_MAX_BYTES   (32 * 1024)
#define STRING_MAX_BYTES 1024
#define SECOND_NS        INT64_C(1000000000)

static const char *side_name(enum eye_side side) {
    static const char *const names[] = {[EYE_SIDE_NONE] = NULL, [EYE_FROM] = "from", [EYE_TO] = "to"};
    return names[side];
}

/* ---- JSON lines ---- */

static void json_time(struct json *json) {
    struct timespec ts;
    struct tm tm;
    char seconds[32], text[64];
    clock_gettime(CLOCK_REALTIME, &ts);
    gmtime_r(&ts.tv_sec, &tm);
    strftime(seconds, sizeof seconds, "%Y-%m-%dT%H:%M:%S", &tm);
    snprintf(text, sizeof text, "%s.%06ldZ", seconds, ts.tv_nsec / 1000);
    json_string(json, "time", text);
}

static void json_attempts(struct json *json, const struct eye_event *event) {
    json_open(json, "attempts", '[');
    for (size_t i = 0; i < event->attempt_count; i++) {
        const struct eye_attempt *attempt = &event->attempts[i];
        char text[EYE_ADDR_TEXT_MAX];
        json_open(json, NULL, '{');
        if (eye_addr_format(&attempt->addr, text, sizeof text) >= 0)
            json_string(json, "address", text);
        json_int(json, "ms", attempt->ms);
        if (attempt->error)
            json_string(json, "error", eye_strerror(attempt->error));
        json_close(json, '}');
    }
    json_close(json, ']');
}

static void json_exit(struct json *json, const struct eye_event *event) {
    json_int(json, "pid", event->pid);
    if (event->signum)
        json_int(json, "signal", event->signum);
    else
        json_int(json, "status", event->status);
}

static void json_closed(struct json *json, const struct eye_event *event) {
    json_open(json, "bytes", '[');
    json_uint(json, NULL, event->bytes[0]);
    json_uint(json, NULL, event->bytes[1]);
    json_close(json, ']');
    json_string(json, "reason", eye_reason_name(event->reason));
    if (event->error)
        json_string(json, "error", event->error->text);
    json_int(json, "ms", event->ms);
    json_open(json, "path", '[');
    json_string(json, NULL, event->path[0]);
    json_string(json, NULL, event->path[1]);
    json_close(json, ']');
}

static void json_tls(struct json *json, const struct eye_tls_info *tls) {
    json_string(json, "version", tls->version);
    json_string(json, "cipher", tls->cipher);
    if (tls->alpn[0])
        json_string(json, "alpn", tls->alpn);
    json_bool(json, "resumed", tls->resumed);
    json_bool(json, "verified", tls->verified);
    if (tls->subject[0])
        json_string(json, "subject", tls->subject);
    json_string(json, "path", tls->path);
}

static void json_optional(struct json *json, const char *key, const char *text) {
    if (text)
        json_string(json, key, text);
}

static void write_json(struct events *events, const struct eye_event *event) {
    static char line[LINE_MAX_BYTES]; /* events are told one at a time */
    struct json json = {.buf = line, .size = sizeof line, .string_max = STRING_MAX_BYTES};

    json_begin(&json);
    json_time(&json);
    json_string(&json, "event", eye_event_name(event->kind));
    if (event->conn)
        json_uint(&json, "conn", event->conn);
    json_optional(&json, "side", side_name(event->side));
    json_optional(&json, "endpoint", event->endpoint);
    json_optional(&json, "address", event->address);
    json_optional(&json, "engine", event->engine);
    json_optional(&json, "pin", event->pin);
    json_optional(&json, "peer", event->peer);
    json_optional(&json, "local", event->local);
    if (event->attempt_count > 0)
        json_attempts(&json, event);
    if (event->kind == EYE_EVENT_TLS)
        json_tls(&json, event->tls);
    if (event->kind == EYE_EVENT_EXIT)
        json_exit(&json, event);
    if (event->kind == EYE_EVENT_CLOSED)
        json_closed(&json, event);
    else if (event->error)
        json_string(&json, "error", event->error->text);
    if (events->dropped > 0)
        json_uint(&json, "dropped", events->dropped);
    json_end(&json);
    assert(!json.cut);
    if (sink_write(&events->sink, line, json.used))
        events->dropped = 0;
    else
        events->dropped++;
}

/* ---- lines for people ---- */

static int64_t now_ns(void) {
    struct timespec ts;
    clock_gettime(CLOCK_MONOTONIC, &ts);
    return ts.tv_sec * SECOND_NS + ts.tv_nsec;
}

static void repeat_end(struct repeat *repeat) {
    if (repeat->suppressed > 0)
        notice("%s (and %" PRIu64 " more of these)", repeat->text, repeat->suppressed);
    repeat->suppressed = 0;
}

/* Prints an error's line, unless the same one was printed within the last second: then it is counted. */
static void complain(struct events *events, const char *text) {
    struct repeat *oldest = &events->repeats[0];
    int64_t now = now_ns();

    for (size_t i = 0; i < REPEAT_MAX; i++) {
        struct repeat *repeat = &events->repeats[i];
        if (strcmp(repeat->text, text) != 0) {
            oldest = repeat->printed_ns < oldest->printed_ns ? repeat : oldest;
        } else if (now - repeat->printed_ns < SECOND_NS) {
            repeat->suppressed++;
            return;
        } else {
            oldest = repeat;
            break;
        }
    }
    repeat_end(oldest);
    snprintf(oldest->text, sizeof oldest->text, "%s", text);
    oldest->printed_ns = now;
    notice("%s", text);
}

/* Names the peer, without its port, so that its next try reads the same. */
static void complain_of(struct events *events, const struct eye_event *event) {
    char text[256];
    const char *port = strrchr(event->peer, ':');
    int size = port ? (int)(port - event->peer) : (int)strlen(event->peer);
    snprintf(text, sizeof text, "%.*s: %.*s", size < 50 ? size : 50, event->peer, 200, event->error->text);
    complain(events, text);
}

/* What a client of a throw-away certificate says, to be copied: with this host's name where the server
 * listens on every address. */
static void say_pin(const struct eye_event *event) {
    struct eye_addr addr;
    char host[256] = "";
    const char *where = event->address, *port = strrchr(where, ':');
    if (eye_addr_parse(where, &addr, NULL) == 0 && port &&
        ((addr.u.sa.sa_family == AF_INET && addr.u.in.sin_addr.s_addr == 0) ||
         (addr.u.sa.sa_family == AF_INET6 && IN6_IS_ADDR_UNSPECIFIED(&addr.u.in6.sin6_addr))) &&
        gethostname(host, sizeof host - 1) == 0)
        where = "";
    notice("a certificate for this run; clients: sockeye connect tls:%s%s%s,pin=%s", host, where,
           *where ? "" : port, event->pin);
}

static void say_listening(struct events *events, const struct eye_event *event) {
    struct eye_endpoint endpoint;
    if (events->quiet)
        return;
    if (eye_endpoint_parse(event->endpoint, &endpoint, NULL) < 0) { /* no memory */
        notice("listening on %s (%s)", event->address, event->engine);
        return;
    }
    notice("listening on %s:%s (%s)", eye_scheme_name(endpoint.scheme), event->address, event->engine);
    if (event->pin)
        say_pin(event);
    eye_endpoint_done(&endpoint);
}

static void say_connected(struct events *events, const struct eye_event *event) {
    const char *side = side_name(event->side);
    if (events->verbose)
        notice("%" PRIu64 ": connected %s %s, here %s", event->conn, side ? side : "",
               event->peer ? event->peer : event->endpoint, event->local ? event->local : "unnamed");
}

static void say_tls(struct events *events, const struct eye_event *event) {
    const struct eye_tls_info *tls = event->tls;
    if (events->verbose)
        notice("%" PRIu64 ": %s, %s%s%s%s, peer %s%s%s", event->conn, tls->version, tls->cipher,
               tls->resumed ? ", resumed" : "", tls->alpn[0] ? ", " : "", tls->alpn,
               tls->verified ? "verified" : "not verified", tls->subject[0] ? ": " : "", tls->subject);
}

static void say_eof(struct events *events, const struct eye_event *event) {
    const char *side = side_name(event->side);
    if (events->verbose)
        notice("%" PRIu64 ": the %s side has ended its sending", event->conn, side ? side : "");
}

static void say_exit(struct events *events, const struct eye_event *event) {
    if (events->verbose && event->signum)
        notice("%" PRIu64 ": process %" PRId64 " ended by signal %d", event->conn, event->pid, event->signum);
    else if (events->verbose)
        notice("%" PRIu64 ": process %" PRId64 " exited with %d", event->conn, event->pid, event->status);
}

static void say_closed(struct events *events, const struct eye_event *event) {
    /* One that was turned away is named; a command for one peer goes on waiting for that. */
    bool turned_away = event->peer != NULL;
    if (event->error && !events->quiet && turned_away)
        complain_of(events, event);
    else if (event->error && !events->quiet && !events->one_shot)
        complain(events, event->error->text);
    if (!events->verbose)
        return;
    notice("%" PRIu64 ": closed, %s, %" PRIu64 " bytes to and %" PRIu64 " back in %" PRId64 " ms (%s, %s)",
           event->conn, eye_reason_name(event->reason), event->bytes[0], event->bytes[1], event->ms,
           event->path[0] ? event->path[0] : "none", event->path[1] ? event->path[1] : "none");
}

static void say_paused(struct events *events, const struct eye_event *event) {
    if (!events->quiet && event->error)
        complain(events, event->error->text);
}

static void (*const say[])(struct events *events, const struct eye_event *event) = {
    [EYE_EVENT_LISTENING] = say_listening,
    [EYE_EVENT_CONNECTED] = say_connected,
    [EYE_EVENT_TLS] = say_tls,
    [EYE_EVENT_EOF] = say_eof,
    [EYE_EVENT_EXIT] = say_exit,
    [EYE_EVENT_CLOSED] = say_closed,
    [EYE_EVENT_PAUSED] = say_paused,
};
_Static_assert(sizeof say / sizeof say[0] == EYE_EVENT_MAX, "a line for every event");

static void on_event(void *user, const struct eye_event *event) {
    struct events *events = user;
    pthread_mutex_lock(&events->lock);
    if (events->json)
        write_json(events, event);
    say[event->kind](events, event);
    pthread_mutex_unlock(&events->lock);
}

/* ---- */

int events_open(struct events *events, const struct common *common, struct eye_err *reterr) {
    *events = (struct events){.lock = PTHREAD_MUTEX_INITIALIZER,
                              .observer = {.event = on_event,
                                           .user = events,
                                           .without_addresses = !common->verbose && !common->events},
                              .verbose = common->verbose,
                              .quiet = common->quiet,
                              .json = common->events != NULL,
                              .sink = {.fd = -1}};
    return events->json ? sink_open(&events->sink, common->events, reterr) : 0;
}

void events_attach(struct events *events, eye_loop *loop) {
    if (events->json)
        sink_attach(&events->sink, loop);
}

void events_share(struct events *events, int news_fd) {
    events->sink.news_fd = news_fd;
}

void events_tend(struct events *events) {
    if (events->json)
        sink_tend(&events->sink);
}

void events_finish(struct events *events) {
    if (events->json)
        sink_finish(&events->sink);
}

void events_close(struct events *events) {
    for (size_t i = 0; i < REPEAT_MAX; i++)
        repeat_end(&events->repeats[i]);
    sink_close(&events->sink);
}
