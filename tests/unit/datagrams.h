/* datagrams.h: what tests of datagrams share: sockets of the test, and datagrams that can be told apart. */
#ifndef DATAGRAMS_H
#define DATAGRAMS_H

#include "loop/batch.h"
#include "suite.h"

static inline struct eye_addr address(const char *host, unsigned port) {
    struct eye_addr addr;
    char text[80];
    snprintf(text, sizeof text, strchr(host, ':') ? "[%s]:%u" : "%s:%u", host, port);
    if (!CHECK_INT(eye_addr_parse(text, &addr, NULL), 0))
        exit(1);
    return addr;
}

/* A bound socket with room for big datagrams, non-blocking. */
static inline int udp_socket(const char *host, struct eye_addr *ret_addr) {
    struct eye_addr addr = address(host, 0);
    int fd = socket(addr.u.sa.sa_family, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    sys_set_int(fd, SOL_SOCKET, SO_RCVBUF, 1 << 20);
    sys_set_int(fd, SOL_SOCKET, SO_SNDBUF, 1 << 20);
    if (!CHECK_INT(bind(fd, &addr.u.sa, addr.len), 0))
        exit(1);
    CHECK_INT(getsockname(fd, &addr.u.sa, &addr.len), 0);
    if (ret_addr)
        *ret_addr = addr;
    return fd;
}

/* One that is connected, so that what comes from elsewhere does not reach it. */
static inline int client(const char *host, unsigned port) {
    struct eye_addr addr = address(host, port);
    int fd = udp_socket(strchr(host, ':') ? "::1" : "127.0.0.1", NULL);
    CHECK_INT(connect(fd, &addr.u.sa, addr.len), 0);
    return fd;
}

static uint8_t *pattern; /* DATAGRAM_BYTES of it */

static inline void send_pattern(int fd, size_t size) {
    CHECK_INT(send(fd, pattern, size, 0), size);
}

/* The next datagram is the beginning of the pattern, of that size. */
static inline void expect_pattern(eye_loop *loop, int fd, size_t size) {
    static uint8_t buf[DATAGRAM_BYTES];
    if (CHECK_INT(suite_next(loop, fd, buf, sizeof buf), size))
        CHECK(memcmp(buf, pattern, size) == 0);
}

#endif
