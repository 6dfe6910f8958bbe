/* backend.h: how the kernel is asked which descriptors are worth a try. A backend is one file and one
 * row of the table in backends.c. */
#ifndef SOCKEYE_BACKEND_H
#define SOCKEYE_BACKEND_H

#include "loop/loop.h"

struct backend {
    const char *name;
    const char *since;   /* the first kernel that has it */
    const char *missing; /* why this build has not got it, or NULL; of what follows it then has nothing */
    int fd_max;          /* descriptors from here on cannot be watched; 0: no such limit */
    int (*open)(eye_loop *loop);
    void (*close)(eye_loop *loop);
    /* Whether `auto` takes it, once it is open, and not the next one; NULL: always. */
    bool (*serves_well)(const eye_loop *loop);
    /* slot->wanted has changed. -EPERM: this descriptor cannot be watched and is always ready. */
    int (*set)(eye_loop *loop, struct slot *slot);
    /* The slot leaves the loop; its descriptor is still open. */
    void (*forget)(eye_loop *loop, struct slot *slot);
    /* Waits at most timeout_ns (negative: without limit) and calls slot_ready for what it hears. A
     * signal ends it early. */
    int (*wait)(eye_loop *loop, int64_t timeout_ns);

    /* ---- of a backend that makes calls itself, for what slot_on_ring says ---- */

    /* Nothing of these ways is in flight any more; what had come has come, what was sent is counted. */
    void (*recall)(eye_loop *loop, struct slot *slot, unsigned ways);
    /* At most size bytes of what has come, lent until the next wait: their number, 0 at the end, or an error;
     * -EAGAIN: nothing has come yet. */
    int64_t (*recv)(struct slot *slot, struct eye_bytes *ret_bytes, size_t size);
    /* A connection that has come, as accept(2). */
    int (*accept)(struct slot *slot);
    /* Sends from memory that stays: -EAGAIN, and later counts what went in the head of the queue's moved, or
     * puts an error into its code, and calls slot_ready. */
    int64_t (*send)(struct slot *slot, const void *data, size_t size);
    /* Keeps what was lent last until let_go; NULL where the bytes are not of it. */
    void *(*hold)(eye_loop *loop, const void *data, size_t size);
    void (*let_go)(eye_loop *loop, void *held);
};

extern const struct backend backend_epoll, backend_io_uring, backend_kqueue, backend_poll, backend_select,
    backend_thread;

/* Every backend, in the order in which `auto` tries them, ended by NULL. */
extern const struct backend *const backends[];

/* Opens a backend for the loop, or says why not: EYE_EUNAVAILABLE. */
int backend_open(eye_loop *loop, const struct backend *backend, struct eye_err *reterr);

/* A timeout in ns as whole milliseconds for poll(2) and its kin: rounded up, so that a timer is never
 * polled for in a busy loop; -1 for no limit. */
int backend_timeout_ms(int64_t timeout_ns);

#endif
