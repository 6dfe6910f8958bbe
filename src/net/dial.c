/* dial.c: dialling: resolve, then race the addresses. RFC 8305 ("Happy Eyeballs"), sections 4 and 5
 *
 * The caller's operation stands for a small machine of operations of its own: the lookup, a deadline, a
 * timer for the next attempt, and one connect for each attempt in flight. The first connection wins;
 * then everything else is cancelled, and the caller's operation completes when the last of them has,
 * so that nothing outlives it. A loser that connected after all is closed. */
#include <errno.h>
#include <stdlib.h>

#include "loop/work.h"
#include "net/net.h"
#include "sys/sys.h"

#define ATTEMPT_DELAY_NS (250 * NS_PER_MS) /* RFC 8305, 5: "Connection Attempt Delay" */
#define BUSY_DELAY_NS    (20 * NS_PER_MS)  /* a Unix socket whose queue is full cannot be waited for */

struct attempt {
    eye_op op;
    struct dial *dial;
    eye_stream *stream; /* while it is in flight */
    int64_t started_ns;
    size_t record; /* in ret->attempts, or past them */
};

struct dial {
    eye_loop *loop;
    eye_op *op; /* the caller's */
    const struct eye_endpoint *endpoint;
    struct eye_dialled *ret;
    struct eye_addrs addrs;
    struct attempt *attempts; /* one for each address */
    size_t next;              /* the next address to try */
    unsigned flying;          /* attempts in flight */
    unsigned pending;         /* operations of ours that have not completed */
    bool over;
    int result; /* once over; before, the last attempt's failure */
    eye_op lookup_op, deadline_op, next_op;
};

static void dial_settle(struct dial *d) {
    if (!d->over || d->pending > 0)
        return;
    eye_loop *loop = d->loop;
    eye_op *op = d->op;
    int result = d->result;
    eye_addrs_done(&d->addrs);
    free(d->attempts);
    free(d);
    op_finish(loop, op, result);
}

static void dial_over(struct dial *d, int result) {
    if (d->over)
        return;
    d->over = true;
    d->result = result;
    eye_cancel(d->loop, &d->lookup_op);
    eye_cancel(d->loop, &d->deadline_op);
    eye_cancel(d->loop, &d->next_op);
    for (size_t i = 0; i < d->next; i++)
        eye_cancel(d->loop, &d->attempts[i].op);
    dial_settle(d);
}

/* An operation of ours has completed; false when the race is over and it was the last straw or not. */
static bool dial_goes_on(struct dial *d) {
    d->pending--;
    if (!d->over)
        return true;
    dial_settle(d);
    return false;
}

static void dial_fail(struct dial *d) {
    net_fail(&d->ret->err, d->endpoint, d->result, false);
    dial_over(d, d->result);
}

/* ---- attempts ---- */

static void record_end(struct attempt *a, int error) {
    if (a->record >= EYE_ATTEMPT_MAX)
        return;
    struct eye_attempt *record = &a->dial->ret->attempts[a->record];
    record->ms = (a->dial->loop->now_ns - a->started_ns) / NS_PER_MS;
    record->error = error;
}

static void attempts_go_on(struct dial *d);

static void next_done(eye_op *op, int64_t result) {
    (void)result;
    struct dial *d = eye_container_of(op, struct dial, next_op);
    if (dial_goes_on(d))
        attempts_go_on(d);
}

static void next_after(struct dial *d, int64_t delay_ns) {
    d->pending++;
    eye_timer(d->loop, &d->next_op, d->loop->now_ns + delay_ns, next_done);
}

/* A Unix socket's queue is full: the same address again, soon, until the deadline. */
static void attempt_again(struct attempt *a) {
    struct dial *d = a->dial;
    d->next = (size_t)(a - d->attempts);
    if (a->record < EYE_ATTEMPT_MAX)
        d->ret->attempt_count = a->record;
    next_after(d, BUSY_DELAY_NS);
}

static void attempt_done(eye_op *op, int64_t result) {
    struct attempt *a = eye_container_of(op, struct attempt, op);
    struct dial *d = a->dial;
    eye_stream *stream = a->stream;
    a->stream = NULL;
    d->flying--;
    record_end(a, d->over ? -ECANCELED : (int)result);
    if (result == 0 && !d->over) {
        d->ret->stream = stream;
        d->pending--;
        dial_over(d, 0);
        return;
    }
    stream_drop(stream);
    if (!dial_goes_on(d))
        return;
    if (result == -EBUSY) {
        attempt_again(a);
        return;
    }
    d->result = (int)result;
    eye_cancel(d->loop, &d->next_op); /* its done starts the next attempt at once */
    if (!eye_op_pending(&d->next_op))
        attempts_go_on(d);
}

/* Where the table of descriptors is full, the one in reserve is given up for a peer that was already
 * accepted. */
static int attempt_socket(struct dial *d, const struct eye_addr *addr) {
    const struct scheme *scheme = scheme_of(d->endpoint);
    int fd = scheme->socket(d->endpoint, addr, false);
    if ((fd == -EMFILE || fd == -ENFILE) && loop_reserve_give(d->loop))
        fd = scheme->socket(d->endpoint, addr, false);
    return fd;
}

static int attempt_open(struct attempt *a, const struct eye_addr *addr) {
    struct dial *d = a->dial;
    if (!eye_endpoint_admits(d->endpoint, addr))
        return EYE_EDENIED;
    int fd = attempt_socket(d, addr);
    if (fd < 0)
        return fd;
    int r = stream_new(d->loop, fd, scheme_of(d->endpoint)->slot_flags(d->endpoint, fd), &a->stream);
    if (r < 0)
        close(fd);
    return r;
}

/* Starts attempts until one is in flight; ends the dialling when none is and none is left. */
static void attempts_go_on(struct dial *d) {
    while (d->next < d->addrs.count) {
        struct attempt *a = &d->attempts[d->next];
        const struct eye_addr *addr = &d->addrs.list[d->next++];
        *a = (struct attempt){.dial = d, .started_ns = d->loop->now_ns, .record = d->ret->attempt_count};
        if (a->record < EYE_ATTEMPT_MAX)
            d->ret->attempts[d->ret->attempt_count++].addr = *addr;
        int r = attempt_open(a, addr);
        if (r < 0) {
            record_end(a, r);
            d->result = r;
            continue;
        }
        d->flying++;
        d->pending++;
        io_connect(&a->stream->slot[0], &a->op, addr, attempt_done);
        if (d->next < d->addrs.count)
            next_after(d, ATTEMPT_DELAY_NS);
        return;
    }
    if (d->flying == 0)
        dial_fail(d);
}

/* RFC 8305, 4: the families take turns, the preferred one first. */
static void interleave(struct eye_addrs *addrs) {
    for (size_t i = 1; i < addrs->count; i++) {
        sa_family_t last = addrs->list[i - 1].u.sa.sa_family;
        size_t j = i;
        while (j < addrs->count && addrs->list[j].u.sa.sa_family == last)
            j++;
        if (j == addrs->count)
            return;
        struct eye_addr other = addrs->list[j];
        for (; j > i; j--)
            addrs->list[j] = addrs->list[j - 1];
        addrs->list[i] = other;
    }
}

static void attempts_start(struct dial *d) {
    interleave(&d->addrs);
    d->attempts = calloc(d->addrs.count, sizeof *d->attempts);
    d->result = -ENOMEM;
    if (d->attempts)
        attempts_go_on(d);
    else
        dial_fail(d);
}

/* ---- the lookup, on a helper thread ---- */

struct lookup_work {
    struct work work;
    struct dial *dial;
    struct lookup lookup;
    struct eye_addrs addrs;
    struct eye_err err;
};

static int64_t lookup_work_run(struct work *work) {
    struct lookup_work *lw = eye_container_of(work, struct lookup_work, work);
    return lookup_run(&lw->lookup, false, &lw->addrs, &lw->err);
}

static void lookup_work_take(struct work *work) {
    struct lookup_work *lw = eye_container_of(work, struct lookup_work, work);
    lw->dial->addrs = lw->addrs;
    lw->addrs = (struct eye_addrs){0};
    if (work->result < 0)
        lw->dial->ret->err = lw->err;
}

static void lookup_work_drop(struct work *work) {
    struct lookup_work *lw = eye_container_of(work, struct lookup_work, work);
    lookup_done(&lw->lookup);
    eye_addrs_done(&lw->addrs);
    free(lw);
}

static void lookup_op_done(eye_op *op, int64_t result) {
    struct dial *d = eye_container_of(op, struct dial, lookup_op);
    if (!dial_goes_on(d))
        return;
    if (result < 0 && d->ret->err.code) {
        dial_over(d, (int)result);
    } else if (result < 0) { /* no thread to look it up */
        d->result = (int)result;
        dial_fail(d);
    } else {
        attempts_start(d);
    }
}

/* Takes lookup over. */
static void lookup_start(struct dial *d, struct lookup *lookup) {
    struct lookup_work *lw = calloc(1, sizeof *lw);
    if (!lw) {
        lookup_done(lookup);
        d->result = -ENOMEM;
        dial_fail(d);
        return;
    }
    lw->work.run = lookup_work_run;
    lw->work.take = lookup_work_take;
    lw->work.drop = lookup_work_drop;
    lw->dial = d;
    lw->lookup = *lookup;
    d->pending++;
    work_submit(d->loop, &d->lookup_op, &lw->work, lookup_op_done);
}

/* ---- the whole ---- */

static void deadline_done(eye_op *op, int64_t result) {
    struct dial *d = eye_container_of(op, struct dial, deadline_op);
    if (!dial_goes_on(d))
        return;
    if (result < 0) {
        d->result = (int)result;
        dial_fail(d);
        return;
    }
    err_set(&d->ret->err, EYE_EDEADLINE, EYE_FAIL_DEADLINE, "%s: no connection within %g s",
            d->endpoint->text, (double)d->endpoint->timeout_ns / (double)NS_PER_S);
    dial_over(d, EYE_EDEADLINE);
}

static void dial_cancel(eye_op *op) {
    dial_over(op_of(op)->u.own.of, -ECANCELED);
}

static const struct op_kind op_dial = {.name = "dial", .cancel = dial_cancel};

static void dial_start(struct dial *d) {
    d->pending++;
    /* From now, not from the turn's beginning: before the loop runs that may be long ago. */
    eye_timer(d->loop, &d->deadline_op, time_after(sys_now(), d->endpoint->timeout_ns), deadline_done);
    struct lookup lookup;
    int r = lookup_new(d->endpoint, false, &lookup);
    if (r < 0) {
        d->result = r;
        dial_fail(d);
        return;
    }
    /* A literal needs no helper thread. */
    if (lookup_run(&lookup, true, &d->addrs, NULL) < 0) {
        lookup_start(d, &lookup);
        return;
    }
    lookup_done(&lookup);
    attempts_start(d);
}

void dial_plain(eye_loop *loop, eye_op *op, const struct eye_endpoint *endpoint, struct eye_dialled *ret,
                eye_done *done) {
    *ret = (struct eye_dialled){0};
    op_begin(loop, op, &op_dial, done);
    const struct scheme *scheme = scheme_of(endpoint);
    int r = 0;
    if (scheme->open)
        r = scheme->open(loop, endpoint, &ret->stream, &ret->err);
    else if (endpoint->bare_port)
        r = err_set(&ret->err, EYE_ESYNTAX, EYE_FAIL_USAGE,
                    "%s: a port alone is for servers; to connect, say HOST:PORT", endpoint->text);
    if (scheme->open || r < 0) {
        op_finish(loop, op, r);
        return;
    }
    struct dial *d = calloc(1, sizeof *d);
    if (!d) {
        op_finish(loop, op, net_fail(&ret->err, endpoint, -ENOMEM, false));
        return;
    }
    *d = (struct dial){.loop = loop, .op = op, .endpoint = endpoint, .ret = ret};
    op_of(op)->u.own.of = d;
    dial_start(d);
}

void eye_dial(eye_loop *loop, eye_op *op, const struct eye_endpoint *endpoint, struct eye_dialled *ret,
              eye_done *done) {
    if (endpoint->scheme == EYE_TLS)
        tls_dial(loop, op, endpoint, ret, done);
    else
        dial_plain(loop, op, endpoint, ret, done);
}
