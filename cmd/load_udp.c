/* load_udp.c: datagrams, a window of them under way. They are sent 64 at a time, by one call for all
 * (sendmmsg(2)) or as one that the kernel cuts (UDP_SEGMENT, udp(7)). What does not come back within
 * LOST_MS counts as lost, and the window is filled anew. */
#include <errno.h>
#include <netinet/in.h>
#include <netinet/udp.h>
#include <poll.h>
#include <string.h>

#include "load_kinds.h"

#define BATCH        64
#define JOINED       4     /* joined datagrams that one call receives, of 64 KiB at most each */
#define PAYLOAD_MAX  65507 /* udp(7) */
#define LOST_MS      100
#define CHECKS       20 /* so often is the first datagram sent before there is no server */
#define RCVBUF_BYTES (4 << 20)

#ifndef UDP_GRO
#define UDP_GRO 104 /* linux/udp.h, since Linux 5.0 */
#endif

static int readable(int fd) {
    struct pollfd p = {.fd = fd, .events = POLLIN};
    int r = poll(&p, 1, LOST_MS);
    return r < 0 && errno != EINTR ? -errno : r;
}

int load_datagram_connect(struct load *load) {
    struct load_conn *conn = &load->conns[0];
    int bytes = RCVBUF_BYTES, one = 1, segment = (int)load->how.size;
    conn->fd = load_dial(load, SOCK_DGRAM, 0);
    if (conn->fd < 0)
        return conn->fd;
    setsockopt(conn->fd, SOL_SOCKET, SO_RCVBUF, &bytes, sizeof bytes);
    if (load->how.segments && (setsockopt(conn->fd, IPPROTO_UDP, UDP_SEGMENT, &segment, sizeof segment) < 0 ||
                               setsockopt(conn->fd, IPPROTO_UDP, UDP_GRO, &one, sizeof one) < 0))
        return -errno;
    for (int i = 0; i < CHECKS; i++) {
        if (send(conn->fd, load->out, load->how.size, 0) < 0)
            return -errno;
        int r = readable(conn->fd);
        if (r < 0)
            return r;
        if (r == 0)
            continue;
        ssize_t n = recv(conn->fd, load->in, LOAD_BYTES, 0);
        if (n < 0)
            return -errno;
        return (size_t)n == load->how.size && memcmp(load->in, load->out, (size_t)n) == 0 ? 0 : -EBADMSG;
    }
    return -ETIMEDOUT;
}

/* So many are sent at a time. */
static size_t batch_of(const struct load_how *how) {
    size_t count = how->window < BATCH ? how->window : BATCH;
    return how->segments && PAYLOAD_MAX / how->size < count ? PAYLOAD_MAX / how->size : count;
}

/* Sends a batch. Returns the number of datagrams that went, 0 where there is no room. */
static int64_t datagrams_send(const struct load *load, int fd, size_t count) {
    struct iovec piece[BATCH];
    struct mmsghdr messages[BATCH];
    for (size_t i = 0; i < count; i++) {
        piece[i] = (struct iovec){.iov_base = load->out, .iov_len = load->how.size};
        messages[i] = (struct mmsghdr){.msg_hdr = {.msg_iov = &piece[i], .msg_iovlen = 1}};
    }
    messages[0].msg_hdr.msg_iovlen = load->how.segments ? count : 1;
    int n = sendmmsg(fd, messages, load->how.segments ? 1 : (unsigned)count, MSG_DONTWAIT);
    if (n < 0)
        return errno == EAGAIN || errno == ENOBUFS ? 0 : -errno;
    return load->how.segments ? (int64_t)count : n;
}

/* Takes what has come. Returns the number of datagrams, 0 where there is none. */
static int64_t datagrams_recv(const struct load *load, int fd) {
    unsigned most = load->how.segments ? JOINED : BATCH;
    struct iovec piece[BATCH];
    struct mmsghdr messages[BATCH];
    for (unsigned i = 0; i < most; i++) {
        size_t at = load->how.segments ? i * (LOAD_BYTES / JOINED) : 0; /* the others are not looked at */
        piece[i] = (struct iovec){.iov_base = load->in + at, .iov_len = LOAD_BYTES / JOINED};
        messages[i] = (struct mmsghdr){.msg_hdr = {.msg_iov = &piece[i], .msg_iovlen = 1}};
    }
    int n = recvmmsg(fd, messages, most, MSG_DONTWAIT, NULL);
    if (n < 0)
        return errno == EAGAIN ? 0 : -errno;
    int64_t count = 0;
    for (int i = 0; i < n; i++)
        count += (int64_t)(messages[i].msg_len / load->how.size);
    return count;
}

/* Until the deadline, and a while longer where nothing has come back. */
static bool goes_on(const struct load *load, int64_t deadline_ns) {
    int64_t late_ns = load_now() - deadline_ns;
    return late_ns < (load->units > 0 ? 0 : LOAD_WAIT_MS * INT64_C(1000000));
}

int load_datagram_run(struct load *load, int64_t deadline_ns) {
    int fd = load->conns[0].fd;
    size_t under_way = 0, batch = batch_of(&load->how);
    while (load->running || under_way > 0) {
        load->running = load->running && goes_on(load, deadline_ns);
        int64_t sent = 0, got;
        if (load->running && under_way + batch <= load->how.window)
            sent = datagrams_send(load, fd, batch);
        if (sent < 0)
            return (int)sent;
        under_way += (size_t)sent;
        got = datagrams_recv(load, fd);
        if (got < 0)
            return (int)got;
        load->units += (uint64_t)got;
        under_way -= (size_t)got < under_way ? (size_t)got : under_way;
        if (got > 0 || sent > 0)
            continue;
        int r = readable(fd);
        if (r < 0)
            return r;
        if (r == 0) {
            load->lost += under_way;
            under_way = 0;
        }
    }
    return load->units > 0 ? 0 : -ETIMEDOUT;
}
