/* children.c: the commands at the ends of a join: each is waited for, reaped and told of, so that a join
 * has ended only when its commands have. Where the join was cut, they are told by SIGHUP, as a terminal's
 * programs are when it hangs up; where the server ends, by SIGTERM, and by SIGKILL if that does not help. */
#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/wait.h>

#include "flow/flow.h"
#include "loop/loop.h"

#define KILL_AFTER_NS (2 * NS_PER_S)

struct ended_child {
    struct children *children;
    eye_child *child;
    eye_op op;
    enum eye_side side;
};

struct children {
    eye_loop *loop;
    const struct eye_observer *observer;
    uint64_t conn;
    struct ended_child of[2];
    eye_op kill_op;
    eye_op *op; /* the caller's */
};

static bool children_running(const struct children *c) {
    return c->of[0].child || c->of[1].child;
}

static void children_settle(struct children *c) {
    if (!c->op || children_running(c))
        return;
    eye_cancel(c->loop, &c->kill_op);
    if (eye_op_pending(&c->kill_op))
        return;
    eye_op *op = c->op;
    c->op = NULL;
    op_finish(c->loop, op, 0);
}

static void child_exited(eye_op *op, int64_t status) {
    struct ended_child *ended = eye_container_of(op, struct ended_child, op);
    struct children *c = ended->children;
    if (status >= 0)
        observe(c->observer, &(struct eye_event){
                                 .kind = EYE_EVENT_EXIT,
                                 .conn = c->conn,
                                 .side = ended->side,
                                 .pid = eye_child_pid(ended->child),
                                 .status = WIFEXITED((int)status) ? WEXITSTATUS((int)status) : 0,
                                 .signum = WIFSIGNALED((int)status) ? WTERMSIG((int)status) : 0,
                             });
    ended->child = eye_child_free(ended->child);
    children_settle(c);
}

int children_take(eye_loop *loop, eye_stream *const sides[2], uint64_t conn,
                  const struct eye_observer *observer, struct children **ret_children) {
    eye_child *child[2];
    for (int i = 0; i < 2; i++)
        child[i] = sides[i] ? eye_stream_take_child(sides[i]) : NULL;
    *ret_children = NULL;
    if (!child[0] && !child[1])
        return 0;
    struct children *c = calloc(1, sizeof *c);
    if (!c) {
        for (int i = 0; i < 2; i++)
            eye_child_free(child[i]);
        return -ENOMEM;
    }
    *c = (struct children){.loop = loop, .observer = observer, .conn = conn};
    for (int i = 0; i < 2; i++) {
        struct ended_child *ended = &c->of[i];
        *ended = (struct ended_child){.children = c, .child = child[i], .side = i == 0 ? EYE_FROM : EYE_TO};
        if (ended->child)
            eye_child_wait(ended->child, &ended->op, child_exited);
    }
    *ret_children = c;
    return 0;
}

void children_kill(struct children *c, int signum) {
    for (int i = 0; i < 2; i++)
        if (c->of[i].child)
            eye_child_kill(c->of[i].child, signum);
}

static void kill_done(eye_op *op, int64_t result) {
    struct children *c = eye_container_of(op, struct children, kill_op);
    if (result != -ECANCELED) /* also where the time cannot be measured (-ENOMEM) */
        children_kill(c, SIGKILL);
    children_settle(c);
}

void children_end(struct children *c) {
    children_kill(c, SIGTERM);
    if (children_running(c) && !eye_op_pending(&c->kill_op))
        eye_timer(c->loop, &c->kill_op, c->loop->now_ns + KILL_AFTER_NS, kill_done);
}

static void wait_cancel(eye_op *op) {
    children_end(op_of(op)->u.own.of); /* it ends when they have */
}

static const struct op_kind op_children = {.name = "children", .cancel = wait_cancel};

void children_wait(struct children *c, eye_op *op, eye_done *done) {
    op_begin(c->loop, op, &op_children, done);
    op_of(op)->u.own.of = c;
    c->op = op;
    children_settle(c);
}

struct children *children_free(struct children *c) {
    free(c);
    return NULL;
}
