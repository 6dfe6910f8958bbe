/* pipes.h: the pool of pipes through which splice(2) moves bytes between two sockets. */
#ifndef SOCKEYE_PIPES_H
#define SOCKEYE_PIPES_H

#include "loop/loop.h"

struct kpipe {
    int fd[2]; /* to read from, to write to */
    size_t size;
    struct kpipe *next; /* in the pool */
};

/* An empty pipe, or NULL when the pool's bound or the system's is reached. */
struct kpipe *pipe_get(eye_loop *loop);
/* Takes bytes back out, into the loop's buffer for lending. */
int64_t pipe_drain(eye_loop *loop, const struct kpipe *pipe, struct eye_bytes *ret_bytes);
/* Gives it back; one that still holds bytes is closed. */
void pipe_put(eye_loop *loop, struct kpipe *pipe, bool empty);

#endif
