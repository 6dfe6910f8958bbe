/* backend_epoll.c: epoll(7). Each descriptor is registered once, edge-triggered both ways; what it told
 * is kept in the slot, so that waiting costs one system call whatever the number of descriptors.
 *
 * Only a socket of datagrams is asked about its sending when a send waits, and no longer: it is told to be
 * writable for every datagram that has left it (udp(7) knows no low-water mark), which would end each wait.
 */
#include <errno.h>
#include <stdlib.h>
#include <sys/epoll.h>

#include "loop/backend.h"

#define EVENTS_MAX 256

struct epoll_state {
    int fd;
    struct epoll_event events[EVENTS_MAX];
};

static int epoll_open(eye_loop *loop) {
    struct epoll_state *state = malloc(sizeof *state);
    if (!state)
        return -ENOMEM;
    state->fd = epoll_create1(EPOLL_CLOEXEC);
    if (state->fd < 0) {
        free(state);
        return -errno;
    }
    loop->backend_state = state;
    return 0;
}

static void epoll_close(eye_loop *loop) {
    struct epoll_state *state = loop->backend_state;
    close(state->fd);
    free(state);
}

/* slot->flight has the ways that it is registered for. */
static int epoll_set(eye_loop *loop, struct slot *slot) {
    const struct epoll_state *state = loop->backend_state;
    bool out = !(slot->flags & SLOT_ENDLESS) || (slot->wanted & WAY_OUT);
    unsigned ways = WAY_IN | (out ? WAY_OUT : 0);
    bool watched = slot->flags & SLOT_WATCHED;
    if (watched ? slot->flight == ways : slot->wanted == 0)
        return 0;
    struct epoll_event event = {
        .events = EPOLLIN | EPOLLPRI | (out ? EPOLLOUT : 0U) | EPOLLRDHUP | EPOLLET,
        .data.fd = slot->fd,
    };
    if (epoll_ctl(state->fd, watched ? EPOLL_CTL_MOD : EPOLL_CTL_ADD, slot->fd, &event) < 0)
        return -errno;
    slot->flags |= SLOT_WATCHED;
    slot->flight = (uint8_t)ways;
    return 0;
}

static void epoll_forget(eye_loop *loop, struct slot *slot) {
    const struct epoll_state *state = loop->backend_state;
    /* close(2) does this by itself, unless somebody else holds the same open file description. */
    if ((slot->flags & SLOT_WATCHED) && (slot->flags & (SLOT_SHARED | SLOT_FOREIGN)))
        epoll_ctl(state->fd, EPOLL_CTL_DEL, slot->fd, NULL);
    slot->flags &= (uint16_t)~SLOT_WATCHED;
}

static int epoll_wait_for(eye_loop *loop, int64_t timeout_ns) {
    struct epoll_state *state = loop->backend_state;
    int n = epoll_wait(state->fd, state->events, EVENTS_MAX, backend_timeout_ms(timeout_ns));
    if (n < 0)
        return errno == EINTR ? 0 : -errno;
    for (int i = 0; i < n; i++) {
        uint32_t e = state->events[i].events;
        struct slot *slot = slot_find(loop, state->events[i].data.fd);
        if (!slot || !(slot->flags & SLOT_WATCHED))
            continue; /* of a descriptor that has gone since, or of its number's next user */
        bool broken = e & (EPOLLHUP | EPOLLERR);
        unsigned ways = (broken || (e & (EPOLLIN | EPOLLPRI | EPOLLRDHUP)) ? WAY_IN : 0) |
                        (broken || (e & EPOLLOUT) ? WAY_OUT : 0);
        slot_ready(slot, ways, broken || (e & (EPOLLRDHUP | EPOLLPRI)));
    }
    return 0;
}

const struct backend backend_epoll = {
    .name = "epoll",
    .since = "Linux 2.6",
    .open = epoll_open,
    .close = epoll_close,
    .set = epoll_set,
    .forget = epoll_forget,
    .wait = epoll_wait_for,
};
