/* signal.c: signals as operations, by a self-pipe.
 *
 * The handler writes the signal's number into a pipe of the loop that waits for it. Nothing is blocked,
 * so children inherit an ordinary signal mask, and it works the same on every system. A signal that
 * arrives between two operations is kept for the next one. */
#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>

#include "loop/io.h"

struct signals {
    int pipe[2];
    struct slot slot; /* its end to read from */
    eye_op op;
    bool settle; /* some signal may have nobody waiting any more */
    struct {
        eye_op *tail; /* the operations that wait for it */
        bool taken;   /* its disposition is ours */
        bool arrived; /* with nobody waiting */
        struct sigaction former;
    } of[NSIG];
};

/* Where the handler writes, by signal; -1 where no loop waits. A process's dispositions are one for all
 * its threads, so a signal belongs to one loop. */
static volatile int pipe_of[NSIG] = {[0 ... NSIG - 1] = -1};

static void handler(int signum) {
    int saved = errno;
    uint8_t byte = (uint8_t)signum;
    /* A full pipe holds enough of them already. */
    (void)!write(pipe_of[signum], &byte, 1);
    errno = saved;
}

static void signals_pump(eye_op *op, int64_t result);

static void signals_wait(eye_loop *loop) {
    io_wait(&loop->signals->slot, &loop->signals->op, EYE_IN, signals_pump);
    op_uncount(loop, &loop->signals->op);
}

static void signal_arrived(eye_loop *loop, int signum) {
    struct signals *s = loop->signals;
    s->of[signum].arrived = !s->of[signum].tail;
    while (s->of[signum].tail)
        op_finish(loop, ring_pop(&s->of[signum].tail), signum);
    s->settle = true;
}

/* Where waiting itself has failed (-ENOMEM), it is tried again: what is in the pipe is not lost. */
static void signals_pump(eye_op *op, int64_t result) {
    (void)result;
    struct signals *s = eye_container_of(op, struct signals, op);
    eye_loop *loop = op->user;
    uint8_t bytes[64];
    ssize_t n;
    while ((n = read(s->pipe[0], bytes, sizeof bytes)) > 0)
        for (ssize_t i = 0; i < n; i++)
            signal_arrived(loop, bytes[i]);
    signals_wait(loop);
}

static int signals_open(eye_loop *loop) {
    struct signals *s = calloc(1, sizeof *s);
    if (!s)
        return -ENOMEM;
    if (pipe2(s->pipe, O_CLOEXEC | O_NONBLOCK) < 0) {
        free(s);
        return -errno;
    }
    int r = slot_open(loop, &s->slot, s->pipe[0], 0);
    if (r < 0) {
        close(s->pipe[0]);
        close(s->pipe[1]);
        free(s);
        return r;
    }
    s->op.user = loop;
    loop->signals = s;
    signals_wait(loop);
    return 0;
}

static int signal_take(eye_loop *loop, int signum) {
    struct signals *s = loop->signals;
    if (s->of[signum].taken)
        return 0;
    if (pipe_of[signum] >= 0)
        return -EBUSY;
    struct sigaction action = {.sa_handler = handler, .sa_flags = SA_RESTART};
    sigfillset(&action.sa_mask);
    pipe_of[signum] = s->pipe[1];
    if (sigaction(signum, &action, &s->of[signum].former) < 0) {
        pipe_of[signum] = -1;
        return -errno;
    }
    s->of[signum].taken = true;
    return 0;
}

static void signal_cancel(eye_op *op) {
    eye_loop *loop = op_of(op)->at.loop;
    ring_remove(&loop->signals->of[op_of(op)->u.own.value].tail, op);
    loop->signals->settle = true;
    op_finish(loop, op, -ECANCELED);
}

static const struct op_kind op_signal = {.name = "signal", .cancel = signal_cancel};

void eye_signal(eye_loop *loop, eye_op *op, int signum, eye_done *done) {
    op_begin(loop, op, &op_signal, done);
    op_of(op)->u.own.value = signum;
    int r = signum > 0 && signum < NSIG ? 0 : -EINVAL;
    if (r == 0 && !loop->signals)
        r = signals_open(loop);
    if (r == 0) {
        assert(loop->signals);
        r = signal_take(loop, signum);
    }
    if (r == 0 && !loop->signals->of[signum].arrived) {
        ring_append(&loop->signals->of[signum].tail, op);
        return;
    }
    if (r == 0)
        loop->signals->of[signum].arrived = false;
    op_finish(loop, op, r == 0 ? signum : r);
}

static void signal_give_back(struct signals *s, int signum) {
    sigaction(signum, &s->of[signum].former, NULL);
    pipe_of[signum] = -1;
    s->of[signum].taken = false;
}

void signals_settle(eye_loop *loop) {
    struct signals *s = loop->signals;
    /* Operations that are about to be delivered may ask again. */
    if (!s || !s->settle || loop->finished_tail)
        return;
    s->settle = false;
    for (int signum = 1; signum < NSIG; signum++)
        if (s->of[signum].taken && !s->of[signum].tail && !s->of[signum].arrived)
            signal_give_back(s, signum);
}

void signals_done(eye_loop *loop) {
    struct signals *s = loop->signals;
    if (!s)
        return;
    for (int signum = 1; signum < NSIG; signum++)
        if (s->of[signum].taken)
            signal_give_back(s, signum);
    slot_detach(&s->slot);
    close(s->pipe[0]);
    close(s->pipe[1]);
    free(s);
}
