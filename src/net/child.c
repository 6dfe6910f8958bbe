/* child.c: children as operations: a pidfd becomes readable when its process has exited (pidfd_open(2)),
 * so that nobody waits for SIGCHLD, and no number is ever mistaken for a later process's. */
#include <assert.h>
#include <errno.h>
#include <stdlib.h>

#include "net/child.h"
#include "sys/spawn.h"

struct eye_child {
    eye_loop *loop;
    pid_t pid;
    int pidfd;
    eye_op poll_op;
    eye_op *waiter; /* the caller's operation */
    bool orphan;    /* nobody wants to know any more */
};

static void child_destroy(eye_child *child) {
    close(child->pidfd);
    free(child);
}

int child_new(eye_loop *loop, const char *command, const struct spawn_io *io, eye_child **ret_child) {
    eye_child *child = calloc(1, sizeof *child);
    if (!child)
        return -ENOMEM;
    child->loop = loop;
    child->pidfd = sys_spawn(command, io, &child->pid);
    if (child->pidfd < 0) {
        int r = child->pidfd;
        free(child);
        return r;
    }
    *ret_child = child;
    return 0;
}

static void exited(eye_op *op, int64_t result) {
    eye_child *child = eye_container_of(op, eye_child, poll_op);
    int status = 0;
    int r = result < 0 ? (int)result : sys_reap(child->pidfd, &status);
    if (r == -EAGAIN || (child->orphan && r == -ECANCELED)) {
        eye_poll(child->loop, op, child->pidfd, EYE_IN, exited);
    } else if (child->orphan) {
        child_destroy(child);
    } else {
        eye_op *waiter = child->waiter;
        child->waiter = NULL;
        op_finish(child->loop, waiter, r < 0 ? r : status);
    }
}

static void wait_cancel(eye_op *op) {
    eye_child *child = op_of(op)->u.own.of;
    eye_cancel(child->loop, &child->poll_op); /* its done ends op */
}

static const struct op_kind op_wait = {.name = "child", .cancel = wait_cancel};

void eye_child_wait(eye_child *child, eye_op *op, eye_done *done) {
    assert(!child->waiter && !child->orphan);
    op_begin(child->loop, op, &op_wait, done);
    op_of(op)->u.own.of = child;
    child->waiter = op;
    eye_poll(child->loop, &child->poll_op, child->pidfd, EYE_IN, exited);
}

int64_t eye_child_pid(const eye_child *child) {
    return child->pid;
}

int eye_child_kill(eye_child *child, int signum) {
    return sys_pidfd_kill(child->pidfd, signum);
}

eye_child *eye_child_free(eye_child *child) {
    if (!child)
        return NULL;
    assert(!child->waiter);
    int status;
    /* Whatever keeps a child from being waited for (it was reaped already, say), it is done with. */
    if (sys_reap(child->pidfd, &status) != -EAGAIN) {
        child_destroy(child);
        return NULL;
    }
    child->orphan = true;
    eye_poll(child->loop, &child->poll_op, child->pidfd, EYE_IN, exited);
    return NULL;
}
