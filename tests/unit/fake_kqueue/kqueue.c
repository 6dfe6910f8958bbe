/* kqueue.c: see sys/event.h: a fake. One epoll registration, edge-triggered, stands for both filters of a
 * descriptor. */
#include <errno.h>
#include <stdbool.h>
#include <sys/epoll.h>
#include <sys/event.h>

#define FD_MAX 4096

/* The epoll events of the filters that are registered, by descriptor. */
static uint32_t watched[FD_MAX];

int kqueue(void) {
    return epoll_create1(0);
}

static int apply(int kq, const struct kevent *change) {
    int fd = (int)change->ident;
    uint32_t bit = change->filter == EVFILT_READ ? EPOLLIN | EPOLLRDHUP : EPOLLOUT;
    if (fd < 0 || fd >= FD_MAX) {
        errno = EBADF;
        return -1;
    }
    struct epoll_event event = {.data.fd = fd};
    if (change->flags & EV_DELETE) {
        watched[fd] &= ~bit;
        event.events = watched[fd] | EPOLLET;
        return epoll_ctl(kq, watched[fd] ? EPOLL_CTL_MOD : EPOLL_CTL_DEL, fd, &event);
    }
    event.events = bit | EPOLLET;
    if (epoll_ctl(kq, EPOLL_CTL_ADD, fd, &event) == 0) {
        watched[fd] = bit; /* a new descriptor of that number, whatever the last one had */
        return 0;
    }
    watched[fd] |= bit;
    event.events = watched[fd] | EPOLLET;
    return errno == EEXIST ? epoll_ctl(kq, EPOLL_CTL_MOD, fd, &event) : -1;
}

static int tell(struct kevent *event, int fd, int filter, bool eof) {
    EV_SET(event, (uintptr_t)fd, filter, EV_CLEAR | (eof ? EV_EOF : 0), 0, 0, NULL);
    return 1;
}

int kevent(int kq, const struct kevent *changes, int change_count, struct kevent *ret_events, int event_max,
           const struct timespec *timeout) {
    for (int i = 0; i < change_count; i++)
        if (apply(kq, &changes[i]) < 0)
            return -1;
    if (event_max < 2)
        return 0;
    struct epoll_event events[128];
    int most = event_max / 2 < 128 ? event_max / 2 : 128;
    int ms = timeout ? (int)(timeout->tv_sec * 1000 + (timeout->tv_nsec + 999999) / 1000000) : -1;
    int n = epoll_wait(kq, events, most, ms);
    int told = 0;
    for (int i = 0; i < n; i++) {
        uint32_t e = events[i].events;
        int fd = events[i].data.fd;
        bool broken = e & (EPOLLHUP | EPOLLERR);
        if ((watched[fd] & EPOLLIN) && (broken || (e & (EPOLLIN | EPOLLRDHUP))))
            told += tell(&ret_events[told], fd, EVFILT_READ, broken || (e & EPOLLRDHUP));
        if ((watched[fd] & EPOLLOUT) && (broken || (e & EPOLLOUT)))
            told += tell(&ret_events[told], fd, EVFILT_WRITE, broken);
    }
    return n < 0 ? n : told;
}
