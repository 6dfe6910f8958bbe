/* work.c: helper threads for what cannot be waited for otherwise (the system's resolver).
 *
 * One process has one bounded set of detached threads, started on demand, that take work from one list.
 * A finished piece is put in the mailbox of its loop, which an eventfd wakes. The mailbox is counted: a
 * loop may be freed, and the process may exit, while a thread still hangs in getaddrinfo(3). */
#include "loop/work.h"

#include <assert.h>
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/eventfd.h>

#include "loop/io.h"
#include "sys/sys.h"

#define THREADS_MAX 4
#define STACK_BYTES (512 * 1024) /* the resolver's modules want room */

/* One lock for all: work is rare and long. */
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t arrived = PTHREAD_COND_INITIALIZER;
static struct work *waiting_first, **waiting_end = &waiting_first;
static int threads, threads_idle, waiting;

struct mailbox {
    int fd; /* eventfd; -1 when the loop has gone */
    int references;
    struct work *first, **end;
};

static void mailbox_release(struct mailbox *mailbox) {
    if (--mailbox->references == 0)
        free(mailbox);
}

static void waiting_add(struct work *work) {
    work->next = NULL;
    *waiting_end = work;
    waiting_end = &work->next;
    waiting++;
}

static void waiting_take(struct work *work) {
    struct work **at = &waiting_first;
    while (*at != work)
        at = &(*at)->next;
    *at = work->next;
    if (!*at)
        waiting_end = at;
    waiting--;
}

/* Takes the next piece, runs it, posts it; for ever. */
static void *thread_main(void *unused) {
    (void)unused;
    pthread_mutex_lock(&lock);
    for (;;) {
        while (!waiting_first) {
            threads_idle++;
            pthread_cond_wait(&arrived, &lock);
            threads_idle--;
        }
        struct work *work = waiting_first;
        waiting_take(work);
        work->state = WORK_RUNNING;
        pthread_mutex_unlock(&lock);
        int64_t result = work->run(work);
        pthread_mutex_lock(&lock);

        work->result = result;
        work->state = WORK_DONE;
        struct mailbox *mailbox = work->mailbox;
        if (work->op) {
            work->next = NULL;
            *mailbox->end = work;
            mailbox->end = &work->next;
            eventfd_write(mailbox->fd, 1);
            continue;
        }
        mailbox_release(mailbox);
        pthread_mutex_unlock(&lock);
        work->drop(work);
        pthread_mutex_lock(&lock);
    }
    return NULL;
}

/* With all signals blocked: they are the main thread's. Called with the lock held. */
static int thread_start(void) {
    if (threads == THREADS_MAX)
        return 0;
    pthread_attr_t attr;
    pthread_attr_init(&attr);
    pthread_attr_setdetachstate(&attr, PTHREAD_CREATE_DETACHED);
    pthread_attr_setstacksize(&attr, STACK_BYTES);
    sigset_t all, old;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &old);
    pthread_t thread;
    int r = pthread_create(&thread, &attr, thread_main, NULL);
    pthread_sigmask(SIG_SETMASK, &old, NULL);
    pthread_attr_destroy(&attr);
    if (r != 0)
        return threads > 0 ? 0 : -r; /* those that run will come to it */
    threads++;
    return 0;
}

static void work_cancel(eye_op *op) {
    struct work *work = op_of(op)->u.own.of;
    pthread_mutex_lock(&lock);
    bool drop = work->state == WORK_WAITING;
    bool ends = drop || (work->state == WORK_RUNNING && !work->stays);
    if (drop) {
        waiting_take(work);
        mailbox_release(work->mailbox);
    } else if (ends) {
        work->op = NULL;
    }
    pthread_mutex_unlock(&lock);
    if (drop)
        work->drop(work);
    if (ends)
        op_finish(op_of(op)->at.loop, op, -ECANCELED);
}

static const struct op_kind op_work = {.name = "work", .cancel = work_cancel};

void work_submit(eye_loop *loop, eye_op *op, struct work *work, eye_done *done) {
    op_begin(loop, op, &op_work, done);
    op_of(op)->u.own.of = work;
    work->op = op;
    work->mailbox = loop->mailbox;
    work->state = WORK_WAITING;
    pthread_mutex_lock(&lock);
    int r = threads_idle > waiting ? 0 : thread_start();
    if (r == 0) {
        loop->mailbox->references++;
        waiting_add(work);
        pthread_cond_signal(&arrived);
    }
    pthread_mutex_unlock(&lock);
    if (r < 0) {
        work->drop(work);
        op_finish(loop, op, r);
    }
}

/* ---- the loop's end ---- */

static void mailbox_wait_done(eye_op *op, int64_t result);

static void mailbox_wait(eye_loop *loop) {
    io_wait(&loop->mailbox_slot, &loop->mailbox_op, EYE_IN, mailbox_wait_done);
    op_uncount(loop, &loop->mailbox_op);
}

/* Where waiting itself has failed (-ENOMEM), it is tried again: what is in the mailbox is not lost. */
static void mailbox_wait_done(eye_op *op, int64_t result) {
    (void)result;
    eye_loop *loop = eye_container_of(op, eye_loop, mailbox_op);
    struct mailbox *mailbox = loop->mailbox;
    eventfd_t count;
    eventfd_read(mailbox->fd, &count);
    pthread_mutex_lock(&lock);
    struct work *work = mailbox->first;
    mailbox->first = NULL;
    mailbox->end = &mailbox->first;
    pthread_mutex_unlock(&lock);
    while (work) {
        struct work *next = work->next;
        pthread_mutex_lock(&lock);
        assert(mailbox->references > 1); /* the last one is the loop's */
        mailbox_release(mailbox);
        pthread_mutex_unlock(&lock);
        if (work->take)
            work->take(work);
        op_finish(loop, work->op, work->result);
        work->drop(work);
        work = next;
    }
    mailbox_wait(loop);
}

int mailbox_open(eye_loop *loop) {
    struct mailbox *mailbox = malloc(sizeof *mailbox);
    if (!mailbox)
        return -ENOMEM;
    *mailbox = (struct mailbox){.fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK), .references = 1};
    mailbox->end = &mailbox->first;
    int r = mailbox->fd < 0 ? -errno : slot_open(loop, &loop->mailbox_slot, mailbox->fd, 0);
    if (r < 0) {
        if (mailbox->fd >= 0)
            close(mailbox->fd);
        free(mailbox);
        return r;
    }
    loop->mailbox = mailbox;
    mailbox_wait(loop);
    return 0;
}

void mailbox_done(eye_loop *loop) {
    struct mailbox *mailbox = loop->mailbox;
    if (!mailbox)
        return;
    slot_detach(&loop->mailbox_slot);
    pthread_mutex_lock(&lock);
    close(mailbox->fd);
    mailbox->fd = -1;
    mailbox_release(mailbox);
    pthread_mutex_unlock(&lock);
}

/* ---- eye_work ---- */

struct caller_work {
    struct work work;
    int64_t (*run)(void *user);
    void *user;
};

static int64_t caller_run(struct work *work) {
    struct caller_work *cw = eye_container_of(work, struct caller_work, work);
    return cw->run(cw->user);
}

static void caller_drop(struct work *work) {
    free(eye_container_of(work, struct caller_work, work));
}

void eye_work(eye_loop *loop, eye_op *op, int64_t (*work)(void *user), eye_done *done) {
    struct caller_work *cw = calloc(1, sizeof *cw);
    if (!cw) {
        op_begin(loop, op, &op_work, done);
        op_finish(loop, op, -ENOMEM);
        return;
    }
    *cw = (struct caller_work){
        .work = {.run = caller_run, .drop = caller_drop, .stays = true},
        .run = work,
        .user = op->user,
    };
    work_submit(loop, op, &cw->work, done);
}
