/* bare_epoll.c PORT: TCP echo by epoll(7), edge-triggered: one recv(2) and one send(2) for what comes. What a
 * peer does not take is kept, and no more is read from it until it has. */
#include <errno.h>
#include <sys/epoll.h>

#include "bare.h"

#define EVENTS 256

struct conn {
    int fd;
    unsigned at, size;
    char *rest; /* what the peer has not taken */
};

static char buffer[65536];
static int epoll;

static void end(struct conn *conn) {
    close(conn->fd);
    free(conn->rest);
    free(conn);
}

static void accept_all(int listener) {
    int fd;
    while ((fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC)) >= 0) {
        struct conn *conn = calloc(1, sizeof *conn);
        struct epoll_event event = {.events = EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLET, .data.ptr = conn};
        if (!conn)
            die("calloc");
        conn->fd = fd;
        epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &event);
    }
}

/* Returns whether all of it went, -1 at an error. */
static int send_rest(struct conn *conn) {
    ssize_t n = send(conn->fd, conn->rest + conn->at, conn->size - conn->at, MSG_NOSIGNAL);
    if (n < 0)
        return errno == EAGAIN ? 0 : -1;
    conn->at += (unsigned)n;
    if (conn->at < conn->size)
        return 0;
    free(conn->rest);
    conn->rest = NULL;
    return 1;
}

static int echo(struct conn *conn, size_t size) {
    ssize_t n = send(conn->fd, buffer, size, MSG_NOSIGNAL);
    if (n == (ssize_t)size)
        return 1;
    if (n < 0 && errno != EAGAIN)
        return -1;
    n = n < 0 ? 0 : n;
    conn->at = 0;
    conn->size = (unsigned)(size - (size_t)n);
    conn->rest = malloc(conn->size);
    if (!conn->rest)
        die("malloc");
    memcpy(conn->rest, buffer + n, conn->size);
    return 0;
}

static void go_on(struct conn *conn, unsigned events) {
    int went = conn->rest ? send_rest(conn) : 1;
    while (went == 1) {
        ssize_t n = recv(conn->fd, buffer, sizeof buffer, 0);
        if (n == 0 || (n < 0 && errno != EAGAIN)) {
            end(conn);
            return;
        }
        if (n < 0)
            return;
        went = echo(conn, (size_t)n);
        if (went == 1 && (size_t)n < sizeof buffer && !(events & EPOLLRDHUP))
            return; /* the next would say EAGAIN (epoll(7), question 9) */
    }
    if (went < 0)
        end(conn);
}

int main(int argc, char **argv) {
    int listener = serve_at(argc > 1 ? argv[1] : "0", SOCK_STREAM);
    struct epoll_event events[EVENTS], event = {.events = EPOLLIN | EPOLLET};
    epoll = epoll_create1(EPOLL_CLOEXEC);
    epoll_ctl(epoll, EPOLL_CTL_ADD, listener, &event);
    for (;;) {
        int n = epoll_wait(epoll, events, EVENTS, -1);
        for (int i = 0; i < n; i++) {
            if (events[i].data.ptr)
                go_on(events[i].data.ptr, events[i].events);
            else
                accept_all(listener);
        }
    }
}
