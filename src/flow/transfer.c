/* transfer.c: the connection of a transfer; transfer.h tells how it works. */
#include "flow/transfer.h"

#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "file/digest.h"
#include "loop/loop.h"
#include "net/net.h"
#include "sys/sys.h"

static void transfer_settle(struct transfer *t);
static void next_peer(struct transfer *t);

bool transfer_leaves(struct transfer *t) {
    if (!t->ending)
        return false;
    transfer_settle(t);
    return true;
}

/* ---- its end ---- */

void transfer_end(struct transfer *t) {
    if (t->ending)
        return;
    t->ending = true;
    __atomic_store_n(&t->stop, true, __ATOMIC_RELAXED);
    eye_op *const ops[] = {&t->open_op, &t->in_op, &t->out_op, &t->timer_op, &t->work_op};
    for (size_t i = 0; i < ARRAY_LEN(ops); i++)
        eye_cancel(t->loop, ops[i]);
    transfer_settle(t);
}

void transfer_fail(struct transfer *t, int code, enum eye_fail fail, const char *fmt, ...) {
    if (t->ending)
        return;
    char text[512];
    va_list args;
    va_start(args, fmt);
    vsnprintf(text, sizeof text, fmt, args);
    va_end(args);
    t->code = err_set(&t->err, code, fail, "%s", text);
    transfer_end(t);
}

void transfer_broken(struct transfer *t, int64_t code) {
    bool cut = code == -ECONNRESET || code == -EPIPE || code == EYE_ETRUNCATED;
    transfer_fail(t, (int)code, cut ? EYE_FAIL_TRUNCATED : EYE_FAIL_OTHER, "%s: %s", t->opts.endpoint->text,
                  eye_strerror((int)code));
}

void transfer_send_failed(struct transfer *t, int64_t code) {
    bool gone = code == -ECONNRESET || code == -EPIPE;
    if (!gone || !eye_op_pending(&t->in_op))
        transfer_broken(t, code);
}

static enum eye_reason reason_of(const struct transfer *t) {
    if (t->code == 0)
        return EYE_REASON_END;
    if (t->err.fail == EYE_FAIL_DEADLINE)
        return t->greeted ? EYE_REASON_IDLE : EYE_REASON_TIMEOUT;
    if (t->err.fail == EYE_FAIL_TRUNCATED)
        return t->code == -ECONNRESET ? EYE_REASON_RESET : EYE_REASON_TRUNCATED;
    return t->stream || t->started_ns ? EYE_REASON_ERROR : EYE_REASON_REFUSED;
}

static void transfer_finish(struct transfer *t) {
    eye_loop *loop = t->loop;
    eye_op *op = t->op;
    int result = t->ret->err.code;
    await_free(t->await);
    free(t->dialled);
    if (t->side->done)
        t->side->done(t);
    free(t);
    op_finish(loop, op, result);
}

/* The peer has gone. */
static void peer_gone(struct transfer *t) {
    t->side->drop(t);
    if (t->started_ns)
        observe(t->opts.observer, &(struct eye_event){.kind = EYE_EVENT_CLOSED,
                                                      .conn = t->conn,
                                                      .bytes = {t->moved[EYE_IN], t->moved[EYE_OUT]},
                                                      .path = {t->moved[EYE_IN] ? t->path[EYE_IN] : NULL,
                                                               t->moved[EYE_OUT] ? t->path[EYE_OUT] : NULL},
                                                      .reason = reason_of(t),
                                                      .error = t->code ? &t->err : NULL,
                                                      .ms = (t->loop->now_ns - t->started_ns) / NS_PER_MS});
    /* Failures of single files have been noted already, as the first ones. */
    if (t->code && !t->ret->err.code)
        t->ret->err = t->err;
    t->over |= !t->opts.keep || (t->code && !t->started_ns);
    if (t->over) {
        transfer_finish(t);
        return;
    }
    t->ret->err = (struct eye_err){0};
    next_peer(t);
}

static void closed(eye_op *op, int64_t result) {
    (void)result;
    peer_gone(eye_container_of(op, struct transfer, close_op));
}

static void transfer_settle(struct transfer *t) {
    const eye_op *const ops[] = {&t->open_op, &t->in_op, &t->out_op, &t->timer_op, &t->work_op, &t->close_op};
    for (size_t i = 0; i < ARRAY_LEN(ops); i++)
        if (eye_op_pending(ops[i]))
            return;
    if (t->stream) {
        eye_stream *stream = t->stream;
        t->stream = NULL;
        eye_close(stream, &t->close_op, closed);
        return;
    }
    peer_gone(t);
}

/* ---- reading and sending ---- */

static void watch(struct transfer *t);

static void recv_done(eye_op *op, int64_t n) {
    struct transfer *t = eye_container_of(op, struct transfer, in_op);
    if (transfer_leaves(t))
        return;
    t->active_ns = t->loop->now_ns;
    if (n < 0) {
        transfer_broken(t, n);
    } else if (n == 0) {
        t->side->ended(t);
    } else {
        t->in_used += (size_t)n;
        t->moved[EYE_IN] += (uint64_t)n;
        transfer_take(t);
    }
}

static size_t take_hello(struct transfer *t, const uint8_t *data, size_t size) {
    static const char other[] = "%s: the peer does not speak this protocol: '%.*s'";
    size_t magic = MIN(size, (size_t)HELLO_MAGIC_BYTES);
    if (memcmp(data, HELLO_MAGIC, magic) != 0) {
        transfer_fail(t, -EPROTO, EYE_FAIL_OTHER, other, t->opts.endpoint->text, (int)MIN(size, 40U), data);
        err_cause(&t->err, "--raw takes and sends bare bytes, as nc does");
        return 0;
    }
    if (size < HELLO_BYTES)
        return 0;
    uint8_t version = data[8], role = data[9];
    if (version != PROTOCOL_VERSION)
        transfer_fail(t, -EPROTO, EYE_FAIL_OTHER, "%s: the peer speaks version %u of the protocol, and we %u",
                      t->opts.endpoint->text, version, PROTOCOL_VERSION);
    else if (role != (t->side->receives ? 's' : 'r'))
        transfer_fail(t, -EPROTO, EYE_FAIL_USAGE, "%s: both sides %s", t->opts.endpoint->text,
                      t->side->receives ? "receive" : "send");
    if (t->ending)
        return 0;
    t->greeted = true;
    eye_cancel(t->loop, &t->timer_op); /* another limit holds from now on */
    t->side->begin(t, data[10], get_be(data + 16, 8));
    return HELLO_BYTES;
}

/* Nothing is taken while the disk is at work, nor while answers pile up. */
static bool busy(const struct transfer *t) {
    return eye_op_pending(&t->work_op) || t->out_used > OUT_BYTES / 2;
}

void transfer_take(struct transfer *t) {
    size_t at = 0, n = 0;
    if (eye_op_pending(&t->in_op)) /* into the buffer as it lies */
        return;
    do {
        if (busy(t))
            n = 0;
        else if (t->greeted)
            n = t->side->take(t, t->in + at, t->in_used - at);
        else
            n = t->in_used > at ? take_hello(t, t->in + at, t->in_used - at) : 0;
        at += n;
    } while (n > 0 && !t->ending && at < t->in_used);
    if (t->ending)
        return; /* and gone, perhaps */
    memmove(t->in, t->in + at, t->in_used - at);
    t->in_used -= at;
    if (t->in_used < IN_BYTES && !busy(t))
        eye_recv(t->stream, &t->in_op, t->in + t->in_used, IN_BYTES - t->in_used, recv_done);
}

static void flushed(eye_op *op, int64_t n) {
    struct transfer *t = eye_container_of(op, struct transfer, out_op);
    if (transfer_leaves(t))
        return;
    t->active_ns = t->loop->now_ns;
    if (n < 0) {
        transfer_send_failed(t, n);
        return;
    }
    t->moved[EYE_OUT] += (uint64_t)n;
    t->out_used -= (size_t)n;
    memmove(t->out, t->out + n, t->out_used);
    if (t->out_used > 0)
        transfer_flush(t);
    else if (t->side->sent)
        t->side->sent(t);
}

void transfer_flush(struct transfer *t) {
    if (!t->ending && t->out_used > 0 && !eye_op_pending(&t->out_op))
        eye_send(t->stream, &t->out_op, t->out, t->out_used, flushed);
}

uint8_t *transfer_put(struct transfer *t, size_t size) {
    assert(size <= OUT_BYTES - t->out_used);
    uint8_t *p = t->out + t->out_used;
    t->out_used += size;
    return p;
}

uint8_t *transfer_frame(struct transfer *t, enum frame_type type, size_t size) {
    uint8_t *p = transfer_put(t, FRAME_HEADER_BYTES + size);
    put_be(p, (uint64_t)type << 56 | size, FRAME_HEADER_BYTES);
    return p + FRAME_HEADER_BYTES;
}

void transfer_text(struct transfer *t, enum frame_type type, enum eye_fail fail, const char *text) {
    size_t size = strnlen(text, FRAME_TEXT_MAX);
    uint8_t *p = transfer_frame(t, type, 1 + size);
    *p = (uint8_t)fail;
    memcpy(p + 1, text, size);
}

/* ---- work and deadlines ---- */

static void work_done(eye_op *op, int64_t result) {
    struct transfer *t = op->user;
    if (transfer_leaves(t))
        return;
    t->active_ns = t->loop->now_ns;
    if (result < 0)
        transfer_fail(t, (int)result, EYE_FAIL_OTHER, "helper thread: %s", eye_strerror((int)result));
    else
        t->side->worked(t);
}

void transfer_work(struct transfer *t, int64_t (*work)(void *t)) {
    t->work_op.user = t;
    eye_work(t->loop, &t->work_op, work, work_done);
}

int transfer_digest(struct transfer *t, int fd, int64_t from, int64_t to, struct digest *digest) {
    size_t used = 0;
    while (from < to) {
        if (transfer_stops(t))
            return -ECANCELED;
        size_t room = sizeof t->piece - used;
        int64_t n = sys_pread(fd, t->piece + used, (size_t)MIN(to - from, (int64_t)room), from);
        if (n <= 0)
            return n < 0 ? (int)n : -ENODATA;
        digest_update(digest, t->piece + used, (size_t)n);
        used = (used + (size_t)n) % sizeof t->piece;
        from += n;
    }
    return 0;
}

static int64_t limit_of(const struct transfer *t) {
    return t->greeted ? t->opts.endpoint->idle_ns : t->opts.endpoint->timeout_ns;
}

static void watch_done(eye_op *op, int64_t result) {
    struct transfer *t = eye_container_of(op, struct transfer, timer_op);
    if (transfer_leaves(t))
        return;
    if (eye_op_pending(&t->work_op)) /* it is we who are busy */
        t->active_ns = t->loop->now_ns;
    if (result == 0 && limit_of(t) > 0 && t->loop->now_ns - t->active_ns >= limit_of(t))
        transfer_fail(t, EYE_EDEADLINE, EYE_FAIL_DEADLINE, "%s: nothing came for %g s",
                      t->opts.endpoint->text, (double)limit_of(t) / (double)NS_PER_S);
    else
        watch(t);
}

static void watch(struct transfer *t) {
    if (limit_of(t) > 0)
        eye_timer(t->loop, &t->timer_op, time_after(t->active_ns, limit_of(t)), watch_done);
}

/* ---- opening ---- */

static void opened(struct transfer *t) {
    t->conn++;
    t->started_ns = t->active_ns = t->loop->now_ns;
    t->path[EYE_IN] = t->path[EYE_OUT] = "copy";
    observe_connected(t->opts.observer, t->conn, t->await ? EYE_FROM : EYE_TO, t->opts.endpoint, t->stream,
                      t->dialled);
    if (t->side->raw) {
        t->greeted = true;
        watch(t);
        t->side->begin(t, 0, 0);
        return;
    }
    uint8_t *hello = transfer_put(t, HELLO_BYTES);
    memset(hello, 0, HELLO_BYTES);
    put_bytes(hello, HELLO_MAGIC, HELLO_MAGIC_BYTES);
    hello[8] = PROTOCOL_VERSION;
    hello[9] = t->side->receives ? 'r' : 's';
    hello[10] = t->opts.no_digest ? 0 : FLAG_DIGESTS;
    put_be(hello + 16, t->side->receives ? 0 : t->total_bytes, 8);
    transfer_flush(t);
    watch(t);
    transfer_take(t);
}

static void open_done(eye_op *op, int64_t result) {
    struct transfer *t = eye_container_of(op, struct transfer, open_op);
    if (t->dialled && result == 0)
        t->stream = t->dialled->stream;
    if (transfer_leaves(t))
        return;
    if (result == 0) {
        opened(t);
    } else if (t->dialled) {
        t->err = t->dialled->err;
        t->code = (int)result;
        transfer_end(t);
    } else {
        transfer_fail(t, (int)result, EYE_FAIL_CONNECT, "%s: %s", t->opts.endpoint->text,
                      eye_strerror((int)result));
    }
}

static void next_peer(struct transfer *t) {
    t->greeted = t->ending = t->stop = false;
    t->code = 0;
    t->err = (struct eye_err){0};
    t->started_ns = 0;
    t->moved[EYE_IN] = t->moved[EYE_OUT] = 0;
    t->in_used = t->out_used = 0;
    t->done_bytes = 0;
    if (t->await)
        await_peer(t->await, &t->open_op, &t->stream, open_done);
    else
        eye_dial(t->loop, &t->open_op, t->opts.endpoint, t->dialled, open_done);
}

static int transfer_open(struct transfer *t) {
    const struct eye_endpoint *e = t->opts.endpoint;
    if (e->scheme == EYE_UDP || e->scheme == EYE_FILE || (e->scheme == EYE_UNIX && e->type != SOCK_STREAM))
        return err_set(&t->err, EYE_ESYNTAX, EYE_FAIL_USAGE, "%s: files go over streams", e->text);
    if (t->side->prepare) {
        int r = t->side->prepare(t, &t->err);
        if (r < 0)
            return r;
    }
    if (t->opts.listen)
        return await_new(t->loop, e, t->opts.observer, &t->await, &t->err);
    t->dialled = calloc(1, sizeof *t->dialled);
    return t->dialled ? 0 : err_set(&t->err, -ENOMEM, EYE_FAIL_OTHER, "%s", eye_strerror(-ENOMEM));
}

static void transfer_cancel(eye_op *op) {
    struct transfer *t = op_of(op)->u.own.of;
    t->over = true;
    transfer_fail(t, -ECANCELED, EYE_FAIL_OTHER, "%s: %s", t->opts.endpoint->text, eye_strerror(-ECANCELED));
}

static const struct op_kind op_transfer = {.name = "transfer", .cancel = transfer_cancel};

void transfer_start(eye_loop *loop, eye_op *op, const struct side *side, const struct eye_transfer_opts *opts,
                    struct eye_transfer_result *ret, eye_done *done) {
    struct transfer *t = calloc(1, side->size);
    *ret = (struct eye_transfer_result){0};
    op_begin(loop, op, &op_transfer, done);
    op_of(op)->u.own.of = t;
    if (!t) {
        op_finish(loop, op, err_set(&ret->err, -ENOMEM, EYE_FAIL_OTHER, "%s", eye_strerror(-ENOMEM)));
        return;
    }
    t->side = side;
    t->loop = loop;
    t->op = op;
    t->opts = *opts;
    t->opts.listen |= opts->keep;
    t->ret = ret;
    int r = transfer_open(t);
    if (r < 0) {
        t->code = r;
        transfer_end(t);
    } else {
        next_peer(t);
    }
}

/* ---- what is told ---- */

void transfer_told(struct transfer *t, const struct eye_transfer_file *file) {
    if (file->err) {
        t->ret->failed++;
        if (!t->ret->err.code)
            t->ret->err = *file->err;
    } else if (file->folder) {
        t->ret->folders++;
    } else {
        t->ret->files++;
        t->ret->resumed_bytes += file->resumed_bytes;
    }
    if (t->opts.file)
        t->opts.file(t->opts.user, file);
}

void transfer_progress(struct transfer *t, const char *name, uint64_t bytes) {
    t->done_bytes += bytes;
    if (t->opts.progress)
        t->opts.progress(t->opts.user, name, t->done_bytes, t->total_bytes);
}
