/* test_loop_foreign.c: what the loop does for others: polling their descriptors, work on helper threads,
 * signals. */
#include <poll.h>
#include <pthread.h>

#include "loop/work.h"
#include "suite.h"

/* ---- polling ---- */

static void poll_several(eye_loop *loop) {
    int fd[2];
    suite_socketpair(SOCK_STREAM, fd);
    struct got in[2] = {0}, out = {0};
    SUBMIT(eye_poll(loop, &in[0].op, fd[0], EYE_IN, got_done));
    SUBMIT(eye_poll(loop, &in[1].op, fd[0], EYE_IN, got_done));
    SUBMIT(eye_poll(loop, &out.op, fd[0], EYE_OUT, got_done));
    AWAIT_INT(out, POLLOUT);
    suite_turns(3);
    CHECK(in[0].count == 0 && in[1].count == 0);
    suite_write(loop, fd[1], "x", 1);
    AWAIT_INT(in[1], POLLIN);
    IS_DONE_ONCE(in[0], POLLIN);
    CHECK(in[0].order < in[1].order);
    close(fd[0]);
    close(fd[1]);
}

static void poll_again(eye_loop *loop) {
    /* A poll tells what holds, not what has changed. */
    int fd[2];
    suite_pipe(fd);
    suite_write(loop, fd[1], "x", 1);
    for (int i = 0; i < 3; i++) {
        struct got got = {0};
        SUBMIT(eye_poll(loop, &got.op, fd[0], EYE_IN, got_done));
        AWAIT_INT(got, POLLIN);
    }
    char byte;
    CHECK_INT(read(fd[0], &byte, 1), 1);
    struct got got = {0};
    SUBMIT(eye_poll(loop, &got.op, fd[0], EYE_IN, got_done));
    suite_turns(3);
    CHECK_INT(got.count, 0);
    close(fd[1]);
    AWAIT(got);
    CHECK(got.result & POLLHUP);
    close(fd[0]);
}

static void poll_cancel(eye_loop *loop) {
    int fd[2];
    suite_pipe(fd);
    struct got got = {0};
    SUBMIT(eye_poll(loop, &got.op, fd[0], EYE_IN, got_done));
    suite_turns(3);
    SUBMIT(eye_cancel(loop, &got.op));
    AWAIT_INT(got, -ECANCELED);
    close(fd[0]);
    close(fd[1]);
    /* The numbers are free for others. */
    suite_pipe(fd);
    struct got next = {0};
    SUBMIT(eye_poll(loop, &next.op, fd[0], EYE_IN, got_done));
    suite_write(loop, fd[1], "x", 1);
    AWAIT_INT(next, POLLIN);
    close(fd[0]);
    close(fd[1]);
}

static void poll_shared(eye_loop *loop) {
    /* Two descriptors of one description, one closed while the other is still polled. */
    int fd[2];
    suite_pipe(fd);
    int copy = dup(fd[0]);
    struct got got[2] = {0};
    SUBMIT(eye_poll(loop, &got[0].op, fd[0], EYE_IN, got_done));
    SUBMIT(eye_poll(loop, &got[1].op, copy, EYE_IN, got_done));
    suite_turns(3);
    SUBMIT(eye_cancel(loop, &got[0].op));
    AWAIT_INT(got[0], -ECANCELED);
    close(fd[0]);
    suite_turns(1);
    suite_write(loop, fd[1], "x", 1);
    AWAIT_INT(got[1], POLLIN);
    close(copy);
    close(fd[1]);
}

static void poll_file(eye_loop *loop) {
    int fd = open("/proc/self/exe", O_RDONLY | O_CLOEXEC);
    struct got got[2] = {0};
    SUBMIT(eye_poll(loop, &got[0].op, fd, EYE_IN, got_done));
    SUBMIT(eye_poll(loop, &got[1].op, fd, EYE_IN, got_done));
    AWAIT_INT(got[0], POLLIN);
    AWAIT_INT(got[1], POLLIN);
    close(fd);
}

static void poll_closed(eye_loop *loop) {
    int fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
    close(fd);
    struct got got = {0};
    SUBMIT(eye_poll(loop, &got.op, fd, EYE_IN, got_done));
    AWAIT_INT(got, -EBADF);
}

static void recv_file(eye_loop *loop) {
    /* A regular file makes nobody wait, and no engine can watch it. */
    char dir[64], path[80], buf[32] = "";
    suite_tempdir(dir);
    snprintf(path, sizeof path, "%s/file", dir);
    int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    eye_stream *s = suite_stream(loop, fd, SLOT_SPLICE);
    struct got out = {0}, in[2] = {0};
    SUBMIT(eye_send(s, &out.op, "contents", 8, got_done));
    AWAIT_INT(out, 8);
    lseek(fd, 0, SEEK_SET);
    SUBMIT(eye_recv(s, &in[0].op, buf, sizeof buf, got_done));
    SUBMIT(eye_recv(s, &in[1].op, buf + 8, sizeof buf - 8, got_done));
    AWAIT_INT(in[0], 8);
    AWAIT_INT(in[1], 0);
    CHECK_STR(buf, "contents");
    suite_close(s);
    suite_remove(dir);
}

/* ---- work ---- */

/* A helper thread waits here until it is let go. */
static pthread_mutex_t gate_lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t gate_moved = PTHREAD_COND_INITIALIZER;
static int gate_waiting;
static bool gate_open;

static int64_t wait_at_gate(void *user) {
    sigset_t blocked;
    pthread_sigmask(SIG_BLOCK, NULL, &blocked);
    pthread_mutex_lock(&gate_lock);
    gate_waiting++;
    while (!gate_open)
        pthread_cond_wait(&gate_moved, &gate_lock);
    pthread_mutex_unlock(&gate_lock);
    *(int *)user += 1;
    return sigismember(&blocked, SIGTERM) && sigismember(&blocked, SIGCHLD) ? 42 : -EPERM;
}

static int gate_count(void) {
    pthread_mutex_lock(&gate_lock);
    int count = gate_waiting;
    pthread_mutex_unlock(&gate_lock);
    return count;
}

static void gate_let_go(void) {
    pthread_mutex_lock(&gate_lock);
    gate_open = true;
    pthread_cond_broadcast(&gate_moved);
    pthread_mutex_unlock(&gate_lock);
}

static void work_results(eye_loop *loop) {
    gate_let_go();
    enum { PIECES = 40 };
    struct got got[PIECES] = {0};
    int ran[PIECES] = {0};
    for (int i = 0; i < PIECES; i++) {
        got[i].op.user = &ran[i];
        SUBMIT(eye_work(loop, &got[i].op, wait_at_gate, got_done));
    }
    for (int i = 0; i < PIECES; i++) {
        AWAIT_INT(got[i], 42); /* with every signal blocked */
        CHECK_INT(ran[i], 1);
    }
}

static void work_cancel_waiting(eye_loop *loop) {
    /* More pieces than threads, all of which hang: the last has not begun. */
    enum { PIECES = 16 };
    struct got got[PIECES] = {0};
    int ran[PIECES] = {0};
    for (int i = 0; i < PIECES; i++) {
        got[i].op.user = &ran[i];
        SUBMIT(eye_work(loop, &got[i].op, wait_at_gate, got_done));
    }
    UNTIL(gate_count() > 0);
    CHECK(gate_count() < PIECES);
    SUBMIT(eye_cancel(loop, &got[PIECES - 1].op));
    AWAIT_INT(got[PIECES - 1], -ECANCELED);
    SUBMIT(eye_cancel(loop, &got[0].op)); /* this one has begun: it takes no effect */
    suite_turns(3);
    CHECK_INT(got[0].count, 0);
    gate_let_go();
    for (int i = 0; i < PIECES - 1; i++)
        AWAIT_INT(got[i], 42);
    CHECK_INT(ran[PIECES - 1], 0);
}

static void work_others_go_on(eye_loop *loop) {
    int fd[2], ran = 0;
    suite_socketpair(SOCK_STREAM, fd);
    eye_stream *s = suite_stream(loop, fd[0], FLAGS_UNIX);
    struct got work = {.op.user = &ran}, in = {0};
    char buf[8];
    SUBMIT(eye_work(loop, &work.op, wait_at_gate, got_done));
    SUBMIT(eye_recv(s, &in.op, buf, sizeof buf, got_done));
    suite_write(loop, fd[1], "x", 1);
    AWAIT_INT(in, 1);
    CHECK_INT(work.count, 0);
    gate_let_go();
    AWAIT_INT(work, 42);
    suite_close(s);
    close(fd[1]);
}

/* Work that may be orphaned, as a lookup is. */
struct orphan {
    struct work work;
    int ran;
};
static int dropped;

static int64_t orphan_run(struct work *work) {
    return wait_at_gate(&eye_container_of(work, struct orphan, work)->ran);
}

static void orphan_drop(struct work *work) {
    free(eye_container_of(work, struct orphan, work));
    pthread_mutex_lock(&gate_lock);
    dropped++;
    pthread_cond_broadcast(&gate_moved);
    pthread_mutex_unlock(&gate_lock);
}

static struct got *orphan_submit(eye_loop *loop, struct got *got) {
    struct orphan *orphan = calloc(1, sizeof *orphan);
    orphan->work.run = orphan_run;
    orphan->work.drop = orphan_drop;
    SUBMIT(work_submit(loop, &got->op, &orphan->work, got_done));
    return got;
}

static void wait_dropped(int count) {
    pthread_mutex_lock(&gate_lock);
    while (dropped < count)
        pthread_cond_wait(&gate_moved, &gate_lock);
    pthread_mutex_unlock(&gate_lock);
}

static void work_orphaned(eye_loop *loop) {
    struct got got = {0};
    orphan_submit(loop, &got);
    UNTIL(gate_count() == 1);
    SUBMIT(eye_cancel(loop, &got.op));
    AWAIT_INT(got, -ECANCELED); /* at once: nobody waits for the thread */
    CHECK_INT(dropped, 0);
    gate_let_go();
    wait_dropped(1);
    suite_turns(3);
    CHECK_INT(got.count, 1);
}

static void work_outlives_loop(eye_loop *loop) {
    struct eye_loop_opts opts = {.engine = eye_loop_engine(loop)};
    eye_loop *other;
    if (!CHECK_INT(eye_loop_new(&opts, &other, NULL), 0))
        return;
    suite.loop = other;
    struct got got = {0};
    orphan_submit(other, &got);
    UNTIL(gate_count() == 1);
    SUBMIT(eye_cancel(other, &got.op));
    AWAIT_INT(got, -ECANCELED);
    eye_loop_free(other);
    suite.loop = loop;
    gate_let_go();
    wait_dropped(1); /* the thread has found no loop, and has freed what was left */
}

/* ---- signals ---- */

static volatile sig_atomic_t heard;

static void former_handler(int signum) {
    heard = signum;
}

static void signal_restored(eye_loop *loop) {
    signal(SIGUSR1, former_handler);
    struct got got[2] = {0};
    SUBMIT(eye_signal(loop, &got[0].op, SIGUSR1, got_done));
    SUBMIT(eye_signal(loop, &got[1].op, SIGUSR1, got_done));
    raise(SIGUSR1);
    AWAIT_INT(got[0], SIGUSR1);
    AWAIT_INT(got[1], SIGUSR1); /* one signal is for all who wait */
    suite_turns(2);
    CHECK_INT(heard, 0);
    raise(SIGUSR1);
    CHECK_INT(heard, SIGUSR1);
    struct got cancelled = {0};
    SUBMIT(eye_signal(loop, &cancelled.op, SIGUSR1, got_done));
    SUBMIT(eye_cancel(loop, &cancelled.op));
    AWAIT_INT(cancelled, -ECANCELED);
    suite_turns(2);
    heard = 0;
    raise(SIGUSR1);
    CHECK_INT(heard, SIGUSR1);
}

static void signal_in_between(eye_loop *loop) {
    struct got got = {0}, next = {0};
    signal(SIGUSR1, former_handler);
    SUBMIT(eye_signal(loop, &got.op, SIGUSR1, got_done));
    raise(SIGUSR1);
    raise(SIGUSR1); /* with nobody waiting for a second one yet */
    AWAIT_INT(got, SIGUSR1);
    SUBMIT(eye_signal(loop, &next.op, SIGUSR1, got_done));
    AWAIT_INT(next, SIGUSR1);
    CHECK_INT(heard, 0);
}

static struct got again_got;

static void signal_again(struct got *got) {
    raise(SIGUSR1); /* just before it is asked for again */
    if (got->count < 100)
        SUBMIT(eye_signal(suite.loop, &got->op, SIGUSR1, got_done));
}

static void signal_none_lost(eye_loop *loop) {
    signal(SIGUSR1, former_handler);
    again_got.then = signal_again;
    SUBMIT(eye_signal(loop, &again_got.op, SIGUSR1, got_done));
    raise(SIGUSR1);
    UNTIL(again_got.count == 100);
    CHECK_INT(again_got.result, SIGUSR1);
    CHECK_INT(heard, 0);
}

static void signal_two_loops(eye_loop *loop) {
    struct eye_loop_opts opts = {.engine = eye_loop_engine(loop)};
    eye_loop *other;
    if (!CHECK_INT(eye_loop_new(&opts, &other, NULL), 0))
        return;
    struct got mine = {0}, refused = {0}, theirs = {0};
    SUBMIT(eye_signal(loop, &mine.op, SIGUSR1, got_done));
    SUBMIT(eye_signal(other, &refused.op, SIGUSR1, got_done));
    SUBMIT(eye_signal(other, &theirs.op, SIGUSR2, got_done));
    suite.loop = other;
    AWAIT_INT(refused, -EBUSY);
    raise(SIGUSR2);
    AWAIT_INT(theirs, SIGUSR2);
    suite.loop = loop;
    CHECK_INT(mine.count, 0);
    raise(SIGUSR1);
    AWAIT_INT(mine, SIGUSR1);
    suite_turns(2);
    /* It is free for the other now. */
    struct got later = {0};
    SUBMIT(eye_signal(other, &later.op, SIGUSR1, got_done));
    raise(SIGUSR1);
    suite.loop = other;
    AWAIT_INT(later, SIGUSR1);
    eye_loop_run(other, 0);
    eye_loop_free(other);
    suite.loop = loop;
}

static void sigpipe_ignored(eye_loop *loop) {
    int fd[2];
    suite_pipe(fd);
    close(fd[0]);
    eye_stream *s = suite_stream(loop, fd[1], FLAGS_PIPE);
    struct got got = {0};
    SUBMIT(eye_send(s, &got.op, "x", 1, got_done));
    AWAIT_INT(got, -EPIPE);
    suite_close(s);
}

static const struct suite_case cases[] = {
    {"several polls of one descriptor, in order", poll_several},
    {"a poll tells what holds", poll_again},
    {"a poll is cancelled, and its descriptor's number used again", poll_cancel},
    {"two descriptors of one description are polled, one is closed", poll_shared},
    {"a regular file is always ready", poll_file},
    {"a descriptor that is not open", poll_closed},
    {"a regular file is read and written", recv_file},
    {"forty pieces of work on a few threads", work_results},
    {"work is cancelled before it has begun, and only then", work_cancel_waiting},
    {"others go on while work hangs", work_others_go_on},
    {"orphaned work completes at once", work_orphaned},
    {"a loop is freed while its orphan still runs", work_outlives_loop},
    {"a signal's former disposition returns", signal_restored},
    {"a signal that arrives between two operations is kept", signal_in_between},
    {"a hundred signals, each just before it is waited for", signal_none_lost},
    {"two loops and two signals", signal_two_loops},
    {"a pipe without a reader is an error and no death", sigpipe_ignored},
};

int main(int argc, char **argv) {
    return suite_main(cases, ARRAY_LEN(cases), argc, argv);
}
