/* sender.c: sends a text again and again, and writes what is answered meanwhile to standard output.
 *
 * Each sending is one eye_send, so one datagram or message where the endpoint has such. The n-th is due n
 * intervals after the first: a late one does not shift those that follow. After the last the end is passed
 * on and the answer awaited, as connect does at the end of standard input: see --eof. */
#include "sender.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "output.h"
#include "run.h"
#include "trace.h"

#define NUMBER_MAX       32 /* what {time} and {n} become is shorter */
#define DATAGRAM_WAIT_NS INT64_C(1000000000)

/* ---- the text ---- */

/* Each reads what begins at text, writes its bytes, and returns how much it has read; 0: it is not one. */

static size_t fill_name(const char *text, uint64_t n, char *out, size_t *ret_size) {
    static const char time_name[] = "{time}", n_name[] = "{n}";
    if (strncmp(text, n_name, sizeof n_name - 1) == 0) {
        *ret_size = (size_t)snprintf(out, NUMBER_MAX, "%llu", (unsigned long long)n);
        return sizeof n_name - 1;
    }
    if (strncmp(text, time_name, sizeof time_name - 1) == 0) {
        struct timespec now;
        clock_gettime(CLOCK_REALTIME, &now);
        *ret_size =
            (size_t)snprintf(out, NUMBER_MAX, "%lld.%02ld", (long long)now.tv_sec, now.tv_nsec / 10000000);
        return sizeof time_name - 1;
    }
    return 0;
}

static int hex_digit(char c) {
    static const char digits[] = "0123456789abcdef0123456789ABCDEF";
    const char *at = c ? strchr(digits, c) : NULL;
    return at ? (int)(at - digits) % 16 : -1;
}

static size_t fill_escape(const char *text, char *out, size_t *ret_size) {
    static const char letters[] = "nrt\\", bytes[] = "\n\r\t\\";
    const char *letter = text[1] ? strchr(letters, text[1]) : NULL;
    *ret_size = 1;
    if (letter) {
        *out = bytes[letter - letters];
        return 2;
    }
    if (text[1] != 'x' || hex_digit(text[2]) < 0 || hex_digit(text[3]) < 0)
        return 0;
    *out = (char)(hex_digit(text[2]) * 16 + hex_digit(text[3]));
    return 4;
}

/* Room for any filling: each byte of the text becomes at most NUMBER_MAX. */
static char *fill_new(const char *text) {
    return malloc(strlen(text) * NUMBER_MAX + 1);
}

/* Fills the text in for the n-th time, with CR LF for an LF that has no CR before it where crlf is said;
 * returns the size, or EYE_ESYNTAX, which it does at each n or none. */
static int64_t fill(const char *text, uint64_t n, bool crlf, char *out, struct eye_err *reterr) {
    char *end = out;
    while (*text) {
        size_t size = 1, taken = 1;
        *end = *text;
        if (*text == '{')
            taken = fill_name(text, n, end, &size);
        else if (*text == '\\')
            taken = fill_escape(text, end, &size);
        if (taken == 0)
            return usage_error(reterr, "{time}, {n}, \\n, \\r, \\t, \\\\ and \\xHH are; \\x7b is a brace",
                               "--send: '%.8s' is none of those that are filled in", text);
        text += taken;
        if (crlf && *end == '\n' && (end == out || end[-1] != '\r')) {
            end[0] = '\r';
            end[1] = '\n';
            size = 2;
        }
        end += size;
    }
    return end - out;
}

/* ---- the sending ---- */

struct sending {
    struct run run;
    const struct sender *how;
    struct eof_choice eof;
    struct trace trace;
    struct eye_endpoint endpoint, out_endpoint;
    struct eye_dialled dialled;
    eye_stream *stream, *out; /* out: standard output */
    eye_op op, recv_op, quiet_op,
        idle_op; /* op: dialling, sending, waiting for the next time, ending, closing */
    struct eye_bytes answer;
    char *buf;
    uint64_t count;                        /* of sendings that have begun */
    int64_t started_ns, moved_ns, next_ns; /* next_ns: when the next is due */
    uint64_t bytes[2];
    bool crlf;
    bool finished;  /* all is sent, and the end with it */
    bool peer_done; /* nothing more comes */
    bool over;
    struct eye_err err;
};

static int64_t after(int64_t from_ns, int64_t for_ns) {
    return for_ns < INT64_MAX - from_ns ? from_ns + for_ns : INT64_MAX;
}

static void notify(struct sending *s, const struct eye_event *event) {
    s->run.events.observer.event(s->run.events.observer.user, event);
}

static void notify_connected(struct sending *s) {
    struct eye_addr addr;
    char peer[EYE_ADDR_TEXT_MAX], local[EYE_ADDR_TEXT_MAX];
    bool has_peer = eye_stream_peer(s->stream, &addr) == 0 && eye_addr_format(&addr, peer, sizeof peer) >= 0;
    bool has_local =
        eye_stream_local(s->stream, &addr) == 0 && eye_addr_format(&addr, local, sizeof local) >= 0;
    notify(s, &(struct eye_event){.kind = EYE_EVENT_CONNECTED,
                                  .conn = 1,
                                  .side = EYE_TO,
                                  .endpoint = s->endpoint.text,
                                  .peer = has_peer ? peer : NULL,
                                  .local = has_local ? local : NULL,
                                  .attempts = s->dialled.attempts,
                                  .attempt_count = s->dialled.attempt_count});
}

static enum eye_reason reason_of(const struct sending *s) {
    static const enum eye_reason reasons[EYE_FAIL_MAX] = {
        [EYE_FAIL_OTHER] = EYE_REASON_ERROR,
        [EYE_FAIL_CONNECT] = EYE_REASON_REFUSED,
        [EYE_FAIL_TRUNCATED] = EYE_REASON_RESET,
        [EYE_FAIL_DEADLINE] = EYE_REASON_TIMEOUT,
    };
    return s->err.code ? reasons[s->err.fail] : EYE_REASON_END;
}

static void closed(eye_op *op, int64_t result) {
    struct sending *s = eye_container_of(op, struct sending, op);
    (void)result;
    if (s->out) {
        eye_stream *out = s->out;
        s->out = NULL;
        eye_close(out, op, closed);
        return;
    }
    notify(s, &(struct eye_event){.kind = EYE_EVENT_CLOSED,
                                  .conn = 1,
                                  .endpoint = s->endpoint.text,
                                  .bytes = {s->bytes[0], s->bytes[1]},
                                  .path = {s->bytes[0] ? "copy" : NULL, s->bytes[1] ? "copy" : NULL},
                                  .reason = reason_of(s),
                                  .error = s->err.code ? &s->err : NULL,
                                  .ms = (eye_loop_now(s->run.loop) - s->started_ns) / 1000000});
    run_ended(&s->run);
}

/* Closes what is open, once op is free for it. */
static void settle(struct sending *s) {
    if (eye_op_pending(&s->op))
        return;
    eye_stream *stream = s->stream;
    s->stream = NULL;
    if (stream)
        eye_close(stream, &s->op, closed);
    else
        closed(&s->op, 0);
}

static void end(struct sending *s) {
    if (s->over)
        return;
    s->over = true;
    eye_cancel(s->run.loop, &s->op);
    eye_cancel(s->run.loop, &s->recv_op);
    eye_cancel(s->run.loop, &s->quiet_op);
    eye_cancel(s->run.loop, &s->idle_op);
    settle(s);
}

static void fail(struct sending *s, const char *what, int64_t code) {
    static const struct {
        int code;
        enum eye_fail fail;
        const char *cause;
    } fails[] = {
        /* How a datagram that found nobody comes back, udp(7). */
        {-ECONNREFUSED, EYE_FAIL_CONNECT, "nothing listens there"},
        {-ECONNRESET, EYE_FAIL_TRUNCATED, ""},
        {-EPIPE, EYE_FAIL_TRUNCATED, ""},
        {EYE_EDEADLINE, EYE_FAIL_DEADLINE, ""},
    };
    if (s->over)
        return;
    s->err = (struct eye_err){.code = (int)code, .column = EYE_NO_COLUMN};
    for (size_t i = 0; i < sizeof fails / sizeof fails[0]; i++) {
        if (fails[i].code != code)
            continue;
        s->err.fail = fails[i].fail;
        snprintf(s->err.cause, sizeof s->err.cause, "%s", fails[i].cause);
    }
    snprintf(s->err.text, sizeof s->err.text, "%s: %s", what, eye_strerror((int)code));
    end(s);
}

/* Bytes have moved, that way and so many before them. */
static void moved(struct sending *s, enum eye_side from, const void *data, int64_t size) {
    uint64_t *bytes = &s->bytes[from == EYE_TO];
    s->moved_ns = eye_loop_now(s->run.loop);
    if (size > 0 && s->trace.file)
        s->trace.tracer.bytes(&s->trace, 1, from, *bytes,
                              (struct eye_bytes){.data = data, .size = (size_t)size});
    *bytes += (uint64_t)size;
}

/* ---- what comes back ---- */

static void receive(struct sending *s);

static void written(eye_op *op, int64_t result) {
    struct sending *s = eye_container_of(op, struct sending, recv_op);
    if (result < 0)
        fail(s, "standard output", result);
    else if (!s->over)
        receive(s);
}

static void received(eye_op *op, int64_t result) {
    struct sending *s = eye_container_of(op, struct sending, recv_op);
    if (s->over)
        return;
    if (result < 0) {
        fail(s, s->endpoint.text, result);
        return;
    }
    s->peer_done = result == 0 && !eye_stream_endless(s->stream);
    if (s->peer_done) {
        if (s->finished)
            end(s);
        return;
    }
    moved(s, EYE_TO, s->answer.data, result);
    if (result > 0)
        eye_send_copy(s->out, op, s->answer.data, s->answer.size, written);
    else
        receive(s);
}

static void receive(struct sending *s) {
    eye_recv_lent(s->stream, &s->recv_op, &s->answer, received);
}

/* ---- the end ---- */

static void quiet(eye_op *op, int64_t result) {
    struct sending *s = eye_container_of(op, struct sending, quiet_op);
    int64_t until_ns = after(s->moved_ns, s->eof.wait_ns);
    if (s->over || result < 0)
        return;
    if (eye_loop_now(s->run.loop) < until_ns)
        eye_timer(s->run.loop, op, until_ns, quiet);
    else
        end(s);
}

static void finished(eye_op *op, int64_t result) {
    struct sending *s = eye_container_of(op, struct sending, op);
    if (s->over) {
        settle(s);
        return;
    }
    if (result < 0 && result != -ENOTCONN) {
        fail(s, s->endpoint.text, result);
        return;
    }
    s->finished = true;
    if (s->peer_done || s->eof.eof == EYE_EOF_CLOSE)
        end(s);
    else if (s->eof.eof == EYE_EOF_WAIT)
        eye_timer(s->run.loop, &s->quiet_op, after(s->moved_ns, s->eof.wait_ns), quiet);
}

static void idle(eye_op *op, int64_t result) {
    struct sending *s = eye_container_of(op, struct sending, idle_op);
    int64_t until_ns = after(s->moved_ns, s->endpoint.idle_ns);
    if (s->over || result < 0)
        return;
    if (eye_loop_now(s->run.loop) < until_ns)
        eye_timer(s->run.loop, op, until_ns, idle);
    else
        fail(s, "no byte for the time that idle= allows", EYE_EDEADLINE);
}

/* ---- sending ---- */

static void send_next(struct sending *s);

static void due(eye_op *op, int64_t result) {
    struct sending *s = eye_container_of(op, struct sending, op);
    (void)result;
    if (s->over)
        settle(s);
    else
        send_next(s);
}

static void sent(eye_op *op, int64_t result) {
    struct sending *s = eye_container_of(op, struct sending, op);
    const struct sender *how = s->how;
    if (result >= 0)
        moved(s, EYE_FROM, s->buf, result);
    if (s->over) {
        settle(s);
        return;
    }
    if (result < 0) {
        fail(s, s->endpoint.text, result);
        return;
    }
    uint64_t wanted = how->count > 0 ? (uint64_t)how->count : how->every_ns > 0 ? UINT64_MAX : 1;
    if (s->count >= wanted)
        eye_finish(s->stream, op, finished);
    else
        eye_timer(s->run.loop, op, s->next_ns, due);
}

static void send_next(struct sending *s) {
    int64_t size = fill(s->how->text, ++s->count, s->crlf, s->buf, NULL);
    s->next_ns = after(s->next_ns, s->how->every_ns);
    eye_send(s->stream, &s->op, s->buf, (size_t)size, sent);
}

static void connected(eye_op *op, int64_t result) {
    struct sending *s = eye_container_of(op, struct sending, op);
    if (result < 0)
        s->err = s->dialled.err;
    else
        s->stream = s->dialled.stream;
    if (result < 0 || s->over) {
        s->over = true;
        settle(s);
        return;
    }
    notify_connected(s);
    if (eye_stream_endless(s->stream) && s->eof.eof == EYE_EOF_HALF)
        s->eof = (struct eof_choice){.eof = EYE_EOF_WAIT, .wait_ns = DATAGRAM_WAIT_NS};
    s->started_ns = s->next_ns = s->moved_ns = eye_loop_now(s->run.loop);
    if (s->endpoint.idle_ns > 0)
        eye_timer(s->run.loop, &s->idle_op, after(s->moved_ns, s->endpoint.idle_ns), idle);
    receive(s);
    send_next(s);
}

static void out_opened(eye_op *op, int64_t result) {
    struct sending *s = eye_container_of(op, struct sending, op);
    if (result < 0)
        s->err = s->dialled.err;
    else
        s->out = s->dialled.stream;
    if (result < 0 || s->over) {
        s->over = true;
        settle(s);
        return;
    }
    s->dialled = (struct eye_dialled){0};
    eye_dial(s->run.loop, op, &s->endpoint, &s->dialled, connected);
}

static void sending_stop(struct run *run, int64_t grace_ns) {
    (void)grace_ns;
    end(eye_container_of(run, struct sending, run));
}

static int sending_run(struct sending *s, const struct common *common) {
    int status = run_open(&s->run, common, sending_stop);
    if (status)
        return status;
    s->run.events.one_shot = true;
    s->started_ns = eye_loop_now(s->run.loop);
    eye_dial(s->run.loop, &s->op, &s->out_endpoint, &s->dialled, out_opened);
    run_loop(&s->run);
    if (s->err.code && !s->run.signum)
        status = report(&s->err);
    return run_close(&s->run, status);
}

int sender_run(const struct common *common, const struct sender *how) {
    struct sending s = {.how = how, .eof = common->eof, .crlf = common->crlf};
    struct eye_err err;
    int status = run_endpoint(how->to, &s.endpoint);

    if (status)
        return status;
    s.buf = fill_new(how->text);
    if (!s.buf)
        status = report_code(-ENOMEM, "--send");
    else if (fill(how->text, 1, s.crlf, s.buf, &err) < 0)
        status = report(&err);
    else
        status = run_endpoint("fd:1", &s.out_endpoint);
    if (status == STATUS_OK) {
        status = trace_open(&s.trace, common->trace);
        if (status == STATUS_OK)
            status = trace_close(&s.trace, sending_run(&s, common));
        eye_endpoint_done(&s.out_endpoint);
    }
    free(s.buf);
    eye_endpoint_done(&s.endpoint);
    return status;
}
