/* pipes.c: see pipes.h. A pipe costs two descriptors and up to a megabyte of the kernel's memory, so it
 * is held only while it has bytes, and the pool has a bound: past it the relay copies. */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>

#include "loop/pipes.h"
#include "sys/sys.h"

#define PIPES_MAX      128
#define PIPES_IDLE_MAX 16
#define PIPE_BYTES     (1024 * 1024)

struct pipe_pool {
    struct kpipe *idle;
    unsigned idle_count, count;
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

struct kpipe *pipe_get(eye_loop *loop) {
    if (!loop->pipes)
        loop->pipes = calloc(1, sizeof *loop->pipes);
    struct pipe_pool *pool = loop->pipes;
    if (!pool)
        return NULL;
    struct kpipe *pipe = pool->idle;
    if (!pipe)
        return pipe_new(pool);
    pool->idle = pipe->next;
    pool->idle_count--;
    return pipe;
}

int64_t pipe_drain(eye_loop *loop, const struct kpipe *pipe, struct eye_bytes *ret_bytes) {
    int64_t n = sys_read(pipe->fd[0], loop->lend, LEND_BYTES);
    if (n >= 0)
        *ret_bytes = (struct eye_bytes){.data = loop->lend, .size = (size_t)n};
    return n;
}

void pipe_put(eye_loop *loop, struct kpipe *pipe, bool empty) {
    struct pipe_pool *pool = loop->pipes;
    if (!empty || pool->idle_count == PIPES_IDLE_MAX) {
        pipe_free(pool, pipe);
        return;
    }
    pipe->next = pool->idle;
    pool->idle = pipe;
    pool->idle_count++;
}

void pipes_done(eye_loop *loop) {
    struct pipe_pool *pool = loop->pipes;
    while (pool && pool->idle) {
        struct kpipe *pipe = pool->idle;
        pool->idle = pipe->next;
        pipe_free(pool, pipe);
    }
    free(pool);
}
