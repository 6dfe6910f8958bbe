/* load_tcp.c: the kinds of load over TCP. Connections that make requests are watched edge-triggered, so that
 * the client makes no call that a server need not make as well. */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <string.h>
#include <sys/epoll.h>
#include <unistd.h>

#include "load_kinds.h"

#define EVENTS 256

static size_t least(size_t a, size_t b) {
    return a < b ? a : b;
}

static int watch(const struct load *load, struct load_conn *conn, uint32_t events) {
    struct epoll_event event = {.events = events, .data.ptr = conn};
    int flags = fcntl(conn->fd, F_GETFL);
    if (fcntl(conn->fd, F_SETFL, flags | O_NONBLOCK) < 0 ||
        epoll_ctl(load->epoll, EPOLL_CTL_ADD, conn->fd, &event) < 0)
        return -errno;
    return 0;
}

/* Waits for one descriptor, as long as anything may take. */
static int await(int fd, short events) {
    struct pollfd p = {.fd = fd, .events = events};
    int r;
    do
        r = poll(&p, 1, LOAD_WAIT_MS);
    while (r < 0 && errno == EINTR);
    return r < 0 ? -errno : r == 0 ? -ETIMEDOUT : 0;
}

/* ---- requests on connections that stay ---- */

static void request_begin(struct load *load, struct load_conn *conn) {
    conn->to_send = conn->to_recv = load->how.size;
    conn->sent_ns = load_now();
    load->busy++;
}

static int request_send(const struct load *load, struct load_conn *conn) {
    while (conn->to_send > 0) {
        ssize_t n = send(conn->fd, load->out + load->how.size - conn->to_send, conn->to_send, MSG_NOSIGNAL);
        if (n < 0)
            return errno == EAGAIN ? 0 : -errno;
        conn->to_send -= (size_t)n;
    }
    return 0;
}

/* Takes what has come, at most the rest of the answer; with `check` it is compared with what was sent. */
static int request_recv(const struct load *load, struct load_conn *conn, bool check) {
    while (conn->to_recv > 0) {
        size_t most = least(conn->to_recv, LOAD_BYTES);
        ssize_t n = recv(conn->fd, load->in, most, check ? 0 : MSG_TRUNC);
        if (n < 0)
            return errno == EAGAIN ? 0 : -errno;
        if (n == 0)
            return -ECONNRESET;
        if (check && memcmp(load->in, load->out + load->how.size - conn->to_recv, (size_t)n) != 0)
            return -EBADMSG;
        conn->to_recv -= (size_t)n;
        if ((size_t)n < most)
            return 0; /* the next would only say EAGAIN, or is announced anew (epoll(7), question 9) */
    }
    return 0;
}

/* What a descriptor's event leads to: the answer, and the next request behind it. */
static int request_go_on(struct load *load, struct load_conn *conn) {
    int r = conn->to_recv > 0 ? request_recv(load, conn, false) : 0;
    if (r == 0 && conn->to_recv == 0 && conn->sent_ns) {
        load_latency(load, load_now() - conn->sent_ns);
        load->units++;
        load->busy--;
        conn->sent_ns = 0;
        if (load->running)
            request_begin(load, conn);
    }
    return r < 0 ? r : request_send(load, conn);
}

static int request_once(struct load *load, struct load_conn *conn) {
    int r = 0;
    request_begin(load, conn);
    while (r == 0 && conn->to_recv > 0) {
        r = request_send(load, conn);
        if (r == 0)
            r = await(conn->fd, conn->to_send > 0 ? POLLIN | POLLOUT : POLLIN);
        if (r == 0)
            r = request_recv(load, conn, true);
    }
    conn->sent_ns = 0;
    load->busy--;
    return r;
}

int load_echo_connect(struct load *load) {
    for (size_t i = 0; i < load->how.connections; i++) {
        struct load_conn *conn = &load->conns[i];
        conn->fd = load_dial(load, SOCK_STREAM, i);
        int r = conn->fd < 0 ? conn->fd : watch(load, conn, EPOLLIN | EPOLLOUT | EPOLLET);
        if (r == 0)
            r = request_once(load, conn);
        if (r < 0)
            return r;
    }
    return 0;
}

/* Handles events until the deadline and until something has come, and then until nothing is under way. */
static int handle(struct load *load, int64_t deadline_ns, int (*go_on)(struct load *, struct load_conn *)) {
    struct epoll_event events[EVENTS];
    while (load->running || load->busy > 0) {
        int n = epoll_wait(load->epoll, events, EVENTS, LOAD_WAIT_MS);
        if (n < 0 && errno != EINTR)
            return -errno;
        if (n == 0)
            return -ETIMEDOUT;
        if (load_now() >= deadline_ns && load->units > 0)
            load->running = false;
        for (int i = 0; i < n; i++) {
            int r = go_on(load, events[i].data.ptr);
            if (r < 0)
                return r;
        }
    }
    return 0;
}

int load_echo_run(struct load *load, int64_t deadline_ns) {
    for (size_t i = 0; i < load->how.connections; i++) {
        request_begin(load, &load->conns[i]);
        int r = request_send(load, &load->conns[i]);
        if (r < 0)
            return r;
    }
    return handle(load, deadline_ns, request_go_on);
}

/* ---- a connection for each request ---- */

static int answer_await(const struct load *load, int fd) {
    for (size_t left = load->how.size; left > 0;) {
        int r = await(fd, POLLIN);
        ssize_t n = r < 0 ? 0 : recv(fd, load->in, least(left, LOAD_BYTES), MSG_DONTWAIT);
        if (r < 0 || n <= 0)
            return r < 0 ? r : n < 0 ? -errno : -ECONNRESET;
        left -= (size_t)n;
    }
    return 0;
}

/* All connect and send, then all await: on loopback connect(2) does not wait. */
int load_connect_run(struct load *load, int64_t deadline_ns) {
    for (uint64_t turn = 0; turn == 0 || load_now() < deadline_ns; turn++) {
        for (size_t i = 0; i < load->how.connections; i++) {
            struct load_conn *conn = &load->conns[i];
            conn->sent_ns = load_now();
            conn->fd = load_dial(load, SOCK_STREAM, (size_t)turn);
            if (conn->fd < 0)
                return conn->fd;
            if (send(conn->fd, load->out, load->how.size, MSG_NOSIGNAL) != (ssize_t)load->how.size)
                return -errno;
        }
        for (size_t i = 0; i < load->how.connections; i++) {
            struct load_conn *conn = &load->conns[i];
            int r = answer_await(load, conn->fd);
            if (r < 0)
                return r;
            close(conn->fd);
            conn->fd = -1;
            load_latency(load, load_now() - conn->sent_ns);
            load->units++;
        }
    }
    return 0;
}

/* ---- a stream through a relay ---- */

/* A connection of the first half sends, one of the second receives; a call each, so that all take turns. */
static int stream_go_on(struct load *load, struct load_conn *conn) {
    bool sends = conn < load->conns + load->how.connections;
    ssize_t n = sends ? send(conn->fd, load->out, load->how.size, MSG_NOSIGNAL)
                      : recv(conn->fd, load->in, LOAD_BYTES, MSG_TRUNC);
    if (n < 0)
        return errno == EAGAIN ? 0 : -errno;
    if (n == 0)
        return -ECONNRESET;
    if (!sends)
        load->units += (uint64_t)n;
    return 0;
}

/* What is sent into the one arrives at the other. */
static int stream_check(const struct load *load, int from, int to) {
    size_t size = least(load->how.size, LOAD_BYTES);
    ssize_t sent = send(from, load->out, size, MSG_NOSIGNAL);
    if (sent < 0)
        return -errno;
    for (ssize_t at = 0; at < sent;) {
        int r = await(to, POLLIN);
        ssize_t n = r < 0 ? 0 : recv(to, load->in, (size_t)(sent - at), 0);
        if (r < 0 || n <= 0)
            return r < 0 ? r : n < 0 ? -errno : -ECONNRESET;
        if (memcmp(load->in, load->out + at, (size_t)n) != 0)
            return -EBADMSG;
        at += n;
    }
    return 0;
}

int load_stream_connect(struct load *load) {
    for (size_t i = 0; i < load->how.connections; i++) {
        struct load_conn *from = &load->conns[i], *to = from + load->how.connections;
        from->fd = load_dial(load, SOCK_STREAM, i);
        int r = from->fd < 0 ? from->fd : await(load->sink, POLLIN);
        if (r < 0)
            return r;
        to->fd = accept4(load->sink, NULL, NULL, SOCK_CLOEXEC);
        if (to->fd < 0)
            return -errno;
        r = stream_check(load, from->fd, to->fd);
        if (r == 0)
            r = watch(load, from, EPOLLOUT);
        if (r == 0)
            r = watch(load, to, EPOLLIN);
        if (r < 0)
            return r;
    }
    return 0;
}

int load_stream_run(struct load *load, int64_t deadline_ns) {
    return handle(load, deadline_ns, stream_go_on);
}
