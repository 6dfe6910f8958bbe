/* tls_secure.c: from a stream to one with TLS by a deadline, and dialling tls endpoints: what they stand on
 * is dialled as ever, then hands are shaken in what is left of the endpoint's timeout. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "net/net.h"
#include "sys/sys.h"
#include "tls/tls.h"

struct secure {
    eye_loop *loop;
    eye_op *op; /* the caller's */
    const struct eye_endpoint *endpoint;
    eye_stream **ret_stream;
    struct eye_err *reterr;
    eye_stream *stream;
    eye_op step_op; /* the handshake, then closing where it failed */
    eye_op deadline_op;
    bool late, closed;
    int result;
};

static void secure_settle(struct secure *s) {
    if (eye_op_pending(&s->step_op) || eye_op_pending(&s->deadline_op))
        return;
    eye_loop *loop = s->loop;
    eye_op *op = s->op;
    int result = s->result;
    if (result == 0)
        *s->ret_stream = s->stream;
    free(s);
    op_finish(loop, op, result);
}

static void secure_closed(eye_op *op, int64_t result) {
    (void)result;
    secure_settle(eye_container_of(op, struct secure, step_op));
}

/* The endpoint without its options, which are long, and would leave no room for what is wrong. */
static void short_name(const struct eye_endpoint *e, char *out, size_t size) {
    bool v6 = e->host && strchr(e->host, ':');
    if (e->path)
        snprintf(out, size, "tls:%s", e->path);
    else
        snprintf(out, size, "tls:%s%s%s:%s", v6 ? "[" : "", e->host, v6 ? "]" : "", e->port);
}

/* What failed is told with the endpoint before it. */
static void secure_blame(struct secure *s, int64_t result) {
    struct eye_err err = *s->reterr;
    char name[128];
    short_name(s->endpoint, name, sizeof name);
    s->result = (int)result;
    if (s->late)
        s->result = err_set(s->reterr, EYE_EDEADLINE, EYE_FAIL_DEADLINE, "%s: no TLS handshake within %g s",
                            name, (double)s->endpoint->timeout_ns / (double)NS_PER_S);
    else if (result == -ECANCELED)
        err_set(s->reterr, s->result, EYE_FAIL_OTHER, "%s: %s", name, eye_strerror(s->result));
    else {
        if (err.fail == EYE_FAIL_HANDSHAKE && result > EYE_ESYNTAX)
            s->result = EYE_EHANDSHAKE; /* a reset, say */
        err_set(s->reterr, s->result, err.fail, "%s: %s", name, err.text);
        if (err.cause[0])
            err_cause(s->reterr, "%s", err.cause);
    }
}

static void shaken(eye_op *op, int64_t result) {
    struct secure *s = eye_container_of(op, struct secure, step_op);
    eye_cancel(s->loop, &s->deadline_op);
    s->result = 0;
    if (result < 0) {
        secure_blame(s, result);
        eye_close(s->stream, op, secure_closed); /* an alert is still to go */
    }
    secure_settle(s);
}

static void deadline_done(eye_op *op, int64_t result) {
    struct secure *s = eye_container_of(op, struct secure, deadline_op);
    s->late = result != -ECANCELED;
    if (s->late)
        eye_cancel(s->loop, &s->step_op);
    secure_settle(s);
}

static void secure_cancel(eye_op *op) {
    struct secure *s = op_of(op)->u.own.of;
    eye_cancel(s->loop, &s->step_op);
}

static const struct op_kind op_secure = {.name = "tls", .cancel = secure_cancel};

void tls_secure(eye_stream *below, eye_op *op, const struct eye_endpoint *endpoint,
                struct tls_context *context, int64_t deadline_ns, eye_stream **ret_stream,
                struct eye_err *reterr, eye_done *done) {
    eye_loop *loop = stream_loop(below);
    op_begin(loop, op, &op_secure, done);
    struct secure *s = calloc(1, sizeof *s);
    int r = s ? tls_stream_new(below, context, &s->stream) : -ENOMEM;
    if (r < 0) {
        free(s);
        stream_refuse(below);
        op_finish(loop, op, err_set(reterr, r, EYE_FAIL_OTHER, "%s: %s", endpoint->text, eye_strerror(r)));
        return;
    }
    s->loop = loop;
    s->op = op;
    s->endpoint = endpoint;
    s->ret_stream = ret_stream;
    s->reterr = reterr;
    op_of(op)->u.own.of = s;
    eye_timer(loop, &s->deadline_op, deadline_ns, deadline_done);
    tls_stream_handshake(s->stream, &s->step_op, reterr, shaken);
}

/* ---- dialling ---- */

struct tls_dialling {
    eye_loop *loop;
    eye_op *op; /* the caller's */
    eye_op step_op;
    const struct eye_endpoint *endpoint;
    struct tls_context *context;
    struct eye_dialled *ret;
    int64_t deadline_ns;
    bool cancelled;
};

static void dialling_end(struct tls_dialling *d, int64_t result) {
    op_finish(d->loop, d->op, result);
    free(d);
}

static void dialled_secured(eye_op *op, int64_t result) {
    dialling_end(eye_container_of(op, struct tls_dialling, step_op), result);
}

static void dialled(eye_op *op, int64_t result) {
    struct tls_dialling *d = eye_container_of(op, struct tls_dialling, step_op);
    if (result < 0) {
        dialling_end(d, result);
        return;
    }
    eye_stream *below = d->ret->stream;
    d->ret->stream = NULL;
    tls_secure(below, op, d->endpoint, d->context, d->deadline_ns, &d->ret->stream, &d->ret->err,
               dialled_secured);
    if (d->cancelled)
        eye_cancel(d->loop, op);
}

static void dialling_cancel(eye_op *op) {
    struct tls_dialling *d = op_of(op)->u.own.of;
    d->cancelled = true;
    eye_cancel(d->loop, &d->step_op);
}

static const struct op_kind op_dial_tls = {.name = "tls dial", .cancel = dialling_cancel};

void tls_dial(eye_loop *loop, eye_op *op, const struct eye_endpoint *endpoint, struct eye_dialled *ret,
              eye_done *done) {
    *ret = (struct eye_dialled){0};
    op_begin(loop, op, &op_dial_tls, done);
    struct tls_context *context = NULL;
    int r = tls_context_of(endpoint, false, &context, &ret->err);
    struct tls_dialling *d = r == 0 ? calloc(1, sizeof *d) : NULL;
    if (!d) {
        op_finish(loop, op, r < 0 ? r : net_fail(&ret->err, endpoint, -ENOMEM, false));
        return;
    }
    *d = (struct tls_dialling){.loop = loop,
                               .op = op,
                               .endpoint = endpoint,
                               .context = context,
                               .ret = ret,
                               .deadline_ns = time_after(sys_now(), endpoint->timeout_ns)};
    op_of(op)->u.own.of = d;
    dial_plain(loop, &d->step_op, endpoint, ret, dialled);
}
