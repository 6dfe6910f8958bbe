/* backend.h: how the kernel is asked which descriptors are worth a try. A backend is one file and one
 * row of the table in backends.c. */
#ifndef SOCKEYE_BACKEND_H
#define SOCKEYE_BACKEND_H

#include "loop/loop.h"

struct backend {
    const char *name;
    const char *since; /* the first kernel that has it */
    int fd_max;        /* descriptors from here on cannot be watched; 0: no such limit */
    int (*open)(eye_loop *loop);
    void (*close)(eye_loop *loop);
    /* slot->wanted has changed. -EPERM: this descriptor cannot be watched and is always ready. */
    int (*set)(eye_loop *loop, struct slot *slot);
    /* The slot leaves the loop; its descriptor is still open. */
    void (*forget)(eye_loop *loop, struct slot *slot);
    /* Waits at most timeout_ns (negative: without limit) and calls slot_ready for what it hears. A
     * signal ends it early. */
    int (*wait)(eye_loop *loop, int64_t timeout_ns);
};

extern const struct backend backend_epoll, backend_poll, backend_select;

/* Every backend of this system, in the order in which `auto` tries them, ended by NULL. */
extern const struct backend *const backends[];

/* A timeout in ns as whole milliseconds for poll(2) and its kin: rounded up, so that a timer is never
 * polled for in a busy loop; -1 for no limit. */
int backend_timeout_ms(int64_t timeout_ns);

#endif
