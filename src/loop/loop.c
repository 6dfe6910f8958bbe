/* loop.c: the turn, and how operations begin and end. */
#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>

#include "loop/backend.h"
#include "loop/loop.h"
#include "sys/sys.h"

/* How many performs a turn makes before it asks the backend and the timers again. */
#define TURN_PERFORMS_MAX 256

static int backend_choose(eye_loop *loop, const char *engine, struct eye_err *reterr) {
    bool any = !engine || strcmp(engine, "auto") == 0;
    for (size_t i = 0; backends[i]; i++) {
        if (!any && strcmp(engine, backends[i]->name) != 0)
            continue;
        struct eye_err err;
        int r = backend_open(loop, backends[i], &err);
        if (r >= 0 && any && backends[i]->serves_well && !backends[i]->serves_well(loop)) {
            backends[i]->close(loop);
            loop->ahead = 0;
            r = err_set(&err, EYE_EUNAVAILABLE, EYE_FAIL_UNAVAILABLE,
                        "engine %s: this kernel's is older than it should be", backends[i]->name);
        }
        if (r >= 0)
            return 0;
        if (any && !backends[i]->missing && !loop->passed_over)
            loop->passed_over = strdup(err.text);
        if (any && backends[i + 1])
            continue;
        if (reterr)
            *reterr = err;
        return EYE_EUNAVAILABLE;
    }
    return err_set(reterr, EYE_EUNAVAILABLE, EYE_FAIL_UNAVAILABLE, "engine %s: no such engine", engine);
}

int eye_loop_new(const struct eye_loop_opts *opts, eye_loop **ret_loop, struct eye_err *reterr) {
    eye_loop *loop = calloc(1, sizeof *loop);
    if (!loop)
        return err_set(reterr, -ENOMEM, EYE_FAIL_OTHER, "loop: %s", eye_strerror(-ENOMEM));
    list_init(&loop->run);
    loop->reserve_fd = -1;
    loop->now_ns = sys_now();
    int r = backend_choose(loop, opts ? opts->engine : NULL, reterr);
    if (r < 0) {
        free(loop->passed_over);
        free(loop);
        return r;
    }
    loop->lend = malloc(LEND_BYTES);
    r = loop->lend ? mailbox_open(loop) : -ENOMEM;
    if (r >= 0) {
        loop_reserve_take(loop);
        r = loop->reserve_fd < 0 ? -errno : 0;
    }
    if (r < 0) {
        eye_loop_free(loop);
        return err_set(reterr, r, EYE_FAIL_OTHER, "loop: %s", eye_strerror(r));
    }
    signal(SIGPIPE, SIG_IGN);
    *ret_loop = loop;
    return 0;
}

eye_loop *eye_loop_free(eye_loop *loop) {
    if (!loop)
        return NULL;
    assert(loop->pending == 0);
    mailbox_done(loop);
    signals_done(loop); /* frees an operation that is queued as finished, so nothing is queued after it */
    pipes_done(loop);
    timers_done(loop);
    loop->backend->close(loop);
    if (loop->reserve_fd >= 0)
        close(loop->reserve_fd);
    free(loop->slots);
    free(loop->lend);
    free(loop->passed_over);
    free(loop->scratch);
    free(loop);
    return NULL;
}

uint8_t *loop_scratch(eye_loop *loop, enum eye_way way) {
    if (!loop->scratch)
        loop->scratch = malloc(2 * (size_t)SCRATCH_BYTES);
    return loop->scratch ? loop->scratch + (way == EYE_OUT ? SCRATCH_BYTES : 0) : NULL;
}

const char *eye_loop_engine(const eye_loop *loop) {
    return loop->backend->name;
}

const char *eye_loop_passed_over(const eye_loop *loop) {
    return loop->passed_over;
}

int64_t eye_loop_now(const eye_loop *loop) {
    return loop->now_ns;
}

void eye_loop_stop(eye_loop *loop) {
    loop->stop = true;
}

/* ---- operations ---- */

bool eye_op_pending(const eye_op *op) {
    return op_of_const(op)->state != OP_IDLE;
}

void op_begin(eye_loop *loop, eye_op *op, const struct op_kind *kind, eye_done *done) {
    struct op *p = op_of(op);
    assert(p->state == OP_IDLE);
    p->done = done;
    p->kind = kind;
    p->at.loop = loop;
    p->moved = 0;
    p->begun = false;
    p->uncounted = false;
    p->state = OP_QUEUED;
    loop->pending++;
}

void op_uncount(eye_loop *loop, eye_op *op) {
    op_of(op)->uncounted = true;
    loop->pending--;
}

void op_finish(eye_loop *loop, eye_op *op, int64_t result) {
    assert(op_of(op)->state == OP_QUEUED);
    op_of(op)->state = OP_FINISHED;
    op_of(op)->moved = result;
    ring_append(&loop->finished_tail, op);
}

void op_deliver(eye_loop *loop, eye_op *op, int64_t result) {
    struct op *p = op_of(op);
    if (p->kind->release)
        p->kind->release(op);
    p->state = OP_IDLE;
    if (!p->uncounted)
        loop->pending--;
    p->done(op, result);
}

void eye_cancel(eye_loop *loop, eye_op *op) {
    (void)loop;
    if (op_of(op)->state != OP_QUEUED)
        return;
    if (op_of(op)->kind->perform)
        slot_cancel(op);
    else
        op_of(op)->kind->cancel(op);
}

/* ---- the turn ---- */

static bool loop_runnable(const eye_loop *loop) {
    return loop->finished_tail || !list_empty(&loop->run);
}

static void deliver_finished(eye_loop *loop) {
    eye_op *tail = loop->finished_tail; /* what is added meanwhile waits for the next round */
    loop->finished_tail = NULL;
    while (tail) {
        eye_op *op = ring_pop(&tail);
        op_deliver(loop, op, op_of(op)->moved);
    }
}

static int turn(eye_loop *loop, int64_t timeout_ns) {
    int r = loop->backend->wait(loop, timeout_ns);
    if (r < 0)
        return r;
    loop->now_ns = sys_now();
    timers_fire(loop);
    for (int i = 0; i < TURN_PERFORMS_MAX && loop_runnable(loop); i++) {
        deliver_finished(loop);
        if (!list_empty(&loop->run))
            slot_run_next(loop);
    }
    signals_settle(loop);
    return 0;
}

int64_t eye_loop_run(eye_loop *loop, int64_t timeout_ns) {
    loop->stop = false;
    loop->now_ns = sys_now();
    int64_t until_ns = timeout_ns < 0 ? INT64_MAX : time_after(loop->now_ns, timeout_ns);
    while (loop->pending > 0) {
        int64_t next_ns = MIN(until_ns, timers_next(loop));
        int64_t wait_ns = next_ns == INT64_MAX ? -1 : MAX(next_ns - loop->now_ns, 0);
        int r = turn(loop, loop_runnable(loop) ? 0 : wait_ns);
        if (r < 0)
            return r;
        if (loop->stop || loop->now_ns >= until_ns)
            break;
    }
    return loop->pending;
}

/* ---- the descriptor in reserve ---- */

bool loop_reserve_give(eye_loop *loop) {
    if (loop->reserve_fd < 0)
        return false;
    close(loop->reserve_fd);
    loop->reserve_fd = -1;
    return true;
}

void loop_reserve_take(eye_loop *loop) {
    if (loop->reserve_fd < 0)
        loop->reserve_fd = open("/dev/null", O_RDWR | O_CLOEXEC);
}

int loop_null_over(eye_loop *loop, int fd) {
    loop_reserve_take(loop);
    return dup3(loop->reserve_fd, fd, O_CLOEXEC) < 0 ? -errno : 0;
}
