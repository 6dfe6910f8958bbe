/* peer_libev.c PORT: TCP echo by libev: an ev_io for each peer, one recv(2) and one send(2) for what comes;
 * what a peer does not take at once is kept, and no more is read from it until it has. */
#include <errno.h>
#include <ev.h>

#include "bare.h"

struct conn {
    ev_io io;
    size_t at, size;
    char *rest;
};

static char buffer[65536];

static void end(struct ev_loop *loop, struct conn *conn) {
    ev_io_stop(loop, &conn->io);
    close(conn->io.fd);
    free(conn->rest);
    free(conn);
}

static void watch(struct ev_loop *loop, struct conn *conn, int events) {
    ev_io_stop(loop, &conn->io);
    ev_io_set(&conn->io, conn->io.fd, events);
    ev_io_start(loop, &conn->io);
}

static void writable(struct ev_loop *loop, struct conn *conn) {
    ssize_t n = send(conn->io.fd, conn->rest + conn->at, conn->size - conn->at, MSG_NOSIGNAL);
    if (n < 0 && errno != EAGAIN) {
        end(loop, conn);
        return;
    }
    conn->at += n < 0 ? 0 : (size_t)n;
    if (conn->at == conn->size) {
        free(conn->rest);
        conn->rest = NULL;
        watch(loop, conn, EV_READ);
    }
}

static void ready(struct ev_loop *loop, ev_io *io, int events) {
    struct conn *conn = (struct conn *)io;
    if (events & EV_WRITE) {
        writable(loop, conn);
        return;
    }
    ssize_t n = recv(io->fd, buffer, sizeof buffer, 0), sent;
    if (n < 0 && errno == EAGAIN)
        return;
    sent = n > 0 ? send(io->fd, buffer, (size_t)n, MSG_NOSIGNAL) : -1;
    if (n <= 0 || (sent < 0 && errno != EAGAIN)) {
        end(loop, conn);
        return;
    }
    sent = sent < 0 ? 0 : sent;
    if (sent < n) {
        conn->at = 0;
        conn->size = (size_t)(n - sent);
        conn->rest = malloc(conn->size);
        memcpy(conn->rest, buffer + sent, conn->size);
        watch(loop, conn, EV_WRITE);
    }
}

static void arrived(struct ev_loop *loop, ev_io *io, int events) {
    int fd;
    (void)events;
    while ((fd = accept4(io->fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC)) >= 0) {
        struct conn *conn = calloc(1, sizeof *conn);
        ev_io_init(&conn->io, ready, fd, EV_READ);
        ev_io_start(loop, &conn->io);
    }
}

int main(int argc, char **argv) {
    struct ev_loop *loop = ev_default_loop(EVFLAG_AUTO);
    ev_io listener;
    ev_io_init(&listener, arrived, serve_at(argc > 1 ? argv[1] : "0", SOCK_STREAM), EV_READ);
    ev_io_start(loop, &listener);
    return ev_run(loop, 0) ? 0 : 1;
}
