/* event.h: a FAKE of kqueue(2) for the tests, over epoll(7), with what src/loop/backend_kqueue.c uses of it:
 * the read and write filters with EV_ADD, EV_CLEAR and EV_DELETE, and EV_EOF in what it tells. It shows that
 * the backend's code does what the conformance suite asks, not that a BSD's kernel agrees. */
#ifndef FAKE_KQUEUE_EVENT_H
#define FAKE_KQUEUE_EVENT_H

#include <stdint.h>
#include <time.h>

#define EVFILT_READ  (-1)
#define EVFILT_WRITE (-2)

#define EV_ADD    0x0001
#define EV_DELETE 0x0002
#define EV_CLEAR  0x0020
#define EV_EOF    0x8000

struct kevent {
    uintptr_t ident;
    int16_t filter;
    uint16_t flags;
    uint32_t fflags;
    int64_t data;
    void *udata;
};

#define EV_SET(event, id, fi, fl, ff, da, ud)                                                                \
    (*(event) = (struct kevent){.ident = (id),                                                               \
                                .filter = (int16_t)(fi),                                                     \
                                .flags = (uint16_t)(fl),                                                     \
                                .fflags = (ff),                                                              \
                                .data = (da),                                                                \
                                .udata = (ud)})

int kqueue(void);
int kevent(int kq, const struct kevent *changes, int change_count, struct kevent *ret_events, int event_max,
           const struct timespec *timeout);

#endif
