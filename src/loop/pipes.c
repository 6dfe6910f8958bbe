/* pipes.c: see pipes.h. A pipe costs two descriptors and up to a megabyte of the kernel's memory, so it
 * is held only while it has bytes, and the pool has a bound: past it the relay copies.
 *
 * To make one costs three system calls, so pipes that are given back are kept as long as they are of use:
 * those that nobody took within a while are closed, by a timer that runs only while some are kept. Else they
 * would count against what the user may have (pipe-user-pages-soft), in other programs too. */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>

#include "loop/pipes.h"
#include "sys/sys.h"

#define PIPES_MAX  128
#define PIPE_BYTES (1024 * 1024)
#define TRIM_NS    (250 * NS_PER_MS)

struct pipe_pool {
    struct kpipe *idle;
    unsigned idle_count, count;
    unsigned idle_least; /* since the last time that it was trimmed: so many were not needed */
    eye_op trim_op;      /* timer */
};

static void pipe_free(struct pipe_pool *pool, struct kpipe *pipe) {
    close(pipe->fd[0]);
    close(pipe->fd[1]);
    free(pipe);
    pool->count--;
}

static struct kpipe *pipe_new(struct pipe_pool *pool) {
    if (pool->count == PIPES_MAX)
        return NULL;
    struct kpipe *pipe = malloc(sizeof *pipe);
    if (!pipe)
        return NULL;
    if (pipe2(pipe->fd, O_CLOEXEC | O_NONBLOCK) < 0) {
        free(pipe);
        return NULL;
    }
    /* An unprivileged user gets few pipes of this size (pipe(7), pipe-user-pages-soft), then EPERM. */
    int size = fcntl(pipe->fd[1], F_SETPIPE_SZ, PIPE_BYTES);
    if (size < 0)
        size = fcntl(pipe->fd[1], F_GETPIPE_SZ);
    pipe->size = size > 0 ? (size_t)size : 4096;
    pool->count++;
    return pipe;
}

static struct kpipe *pipe_pop(struct pipe_pool *pool) {
    struct kpipe *pipe = pool->idle;
    pool->idle = pipe->next;
    pool->idle_count--;
    return pipe;
}

struct kpipe *pipe_get(eye_loop *loop) {
    if (!loop->pipes)
        loop->pipes = calloc(1, sizeof *loop->pipes);
    struct pipe_pool *pool = loop->pipes;
    if (!pool)
        return NULL;
    if (!pool->idle)
        return pipe_new(pool);
    struct kpipe *pipe = pipe_pop(pool);
    pool->idle_least = MIN(pool->idle_least, pool->idle_count);
    return pipe;
}

int64_t pipe_drain(eye_loop *loop, const struct kpipe *pipe, struct eye_bytes *ret_bytes) {
    int64_t n = sys_read(pipe->fd[0], loop->lend, LEND_BYTES);
    if (n >= 0)
        *ret_bytes = (struct eye_bytes){.data = loop->lend, .size = (size_t)n};
    return n;
}

static void trim_done(eye_op *op, int64_t result);

static void trim_later(eye_loop *loop) {
    eye_timer(loop, &loop->pipes->trim_op, time_after(loop->now_ns, TRIM_NS), trim_done);
    op_uncount(loop, &loop->pipes->trim_op);
}

static void trim_done(eye_op *op, int64_t result) {
    struct pipe_pool *pool = eye_container_of(op, struct pipe_pool, trim_op);
    (void)result; /* also -ENOMEM: then what is kept goes at once */
    for (; pool->idle_least > 0; pool->idle_least--)
        pipe_free(pool, pipe_pop(pool));
    pool->idle_least = pool->idle_count;
    if (pool->idle_count > 0)
        trim_later(op->user);
}

void pipe_put(eye_loop *loop, struct kpipe *pipe, bool empty) {
    struct pipe_pool *pool = loop->pipes;
    if (!empty) {
        pipe_free(pool, pipe);
        return;
    }
    pipe->next = pool->idle;
    pool->idle = pipe;
    pool->idle_count++;
    if (!eye_op_pending(&pool->trim_op)) {
        pool->trim_op.user = loop;
        trim_later(loop);
    }
}

void pipes_done(eye_loop *loop) {
    struct pipe_pool *pool = loop->pipes;
    while (pool && pool->idle)
        pipe_free(pool, pipe_pop(pool));
    free(pool);
}
