/* backend_kqueue.c: kqueue(2) of the BSDs and macOS. A filter is registered once for each way of a descriptor
 * that was ever waited for, with EV_CLEAR, which tells of a change once as epoll's edges do; what it told is
 * kept in the slot. Closing a descriptor takes its filters out of the queue. slot->position holds the ways
 * that are registered.
 *
 * It is written to what FreeBSD, OpenBSD, NetBSD and macOS document alike, and has been run on Linux only,
 * over the tests' fake of kevent(2). */
#include <sys/types.h>

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/event.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

#include "loop/backend.h"

#define EVENTS_MAX 256

struct kqueue_state {
    int fd;
    struct kevent events[EVENTS_MAX];
};

static int kqueue_open(eye_loop *loop) {
    struct kqueue_state *state = malloc(sizeof *state);
    if (!state)
        return -ENOMEM;
    state->fd = kqueue();
    if (state->fd < 0) {
        free(state);
        return -errno;
    }
    fcntl(state->fd, F_SETFD, FD_CLOEXEC);
    loop->backend_state = state;
    return 0;
}

static void kqueue_close(eye_loop *loop) {
    struct kqueue_state *state = loop->backend_state;
    close(state->fd);
    free(state);
}

/* The ways that are registered; a slot begins with position -1. */
static unsigned registered(const struct slot *slot) {
    return slot->position < 0 ? 0 : (unsigned)slot->position;
}

static int change(const struct kqueue_state *state, const struct slot *slot, enum eye_way way, int action) {
    struct kevent event;
    EV_SET(&event, (uintptr_t)slot->fd, way == EYE_IN ? EVFILT_READ : EVFILT_WRITE, action, 0, 0, NULL);
    return kevent(state->fd, &event, 1, NULL, 0, NULL) < 0 ? -errno : 0;
}

/* Files and devices that the queue does not take never make anybody wait; and a pipe whose reader has gone is
 * refused with EPIPE on FreeBSD, where a write says the same. */
static bool is_always_ready(int code) {
    return code == -EINVAL || code == -ENODEV || code == -EPIPE || code == -EOPNOTSUPP || code == -EPERM;
}

static int kqueue_set(eye_loop *loop, struct slot *slot) {
    const struct kqueue_state *state = loop->backend_state;
    unsigned missing = slot->wanted & ~registered(slot);
    for (enum eye_way way = EYE_IN; way <= EYE_OUT; way++) {
        if (!(missing & (1U << way)))
            continue;
        int r = change(state, slot, way, EV_ADD | EV_CLEAR);
        if (r < 0)
            return is_always_ready(r) ? -EPERM : r;
        slot->position = (int32_t)(registered(slot) | (1U << way));
    }
    return 0;
}

static void kqueue_forget(eye_loop *loop, struct slot *slot) {
    const struct kqueue_state *state = loop->backend_state;
    /* Only of a descriptor that stays open; close(2) does it for the others. */
    if (slot->flags & SLOT_FOREIGN)
        for (enum eye_way way = EYE_IN; way <= EYE_OUT; way++)
            if (registered(slot) & (1U << way))
                change(state, slot, way, EV_DELETE);
    slot->position = -1;
}

static int kqueue_wait(eye_loop *loop, int64_t timeout_ns) {
    struct kqueue_state *state = loop->backend_state;
    const struct timespec limit = {.tv_sec = (time_t)(timeout_ns / NS_PER_S),
                                   .tv_nsec = timeout_ns % NS_PER_S};
    int n = kevent(state->fd, NULL, 0, state->events, EVENTS_MAX, timeout_ns < 0 ? NULL : &limit);
    if (n < 0)
        return errno == EINTR ? 0 : -errno;
    for (int i = 0; i < n; i++) {
        const struct kevent *event = &state->events[i];
        struct slot *slot = slot_find(loop, (int)event->ident);
        unsigned ways = event->filter == EVFILT_READ ? WAY_IN : WAY_OUT;
        if (slot && (registered(slot) & ways)) /* or it has gone since */
            slot_ready(slot, ways, true);
    }
    return 0;
}

const struct backend backend_kqueue = {
    .name = "kqueue",
    .since = "FreeBSD 4.1, macOS 10.3",
    .open = kqueue_open,
    .close = kqueue_close,
    .set = kqueue_set,
    .forget = kqueue_forget,
    .wait = kqueue_wait,
};
