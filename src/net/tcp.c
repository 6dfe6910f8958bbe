/* tcp.c: the tcp scheme: sockets with their options. tcp(7), ipv6(7), socket(7) */
#include <errno.h>
#include <netinet/tcp.h>
#include <string.h>

#include "net/net.h"
#include "sys/sys.h"

static int set_options(int fd, const struct eye_endpoint *e, const struct eye_addr *addr, bool listening) {
    const struct {
        bool set;
        int level, name, value;
    } ints[] = {
        /* A server that restarts must not wait for the connections of its former life to time out. */
        {listening, SOL_SOCKET, SO_REUSEADDR, 1},
        /* Said either way, since sysctl net.ipv6.bindv6only may turn the default around. */
        {listening && addr->u.sa.sa_family == AF_INET6, IPPROTO_IPV6, IPV6_V6ONLY,
         e->v6only || e->family == 6},
        {e->reuseport, SOL_SOCKET, SO_REUSEPORT, 1},
        {e->nodelay, IPPROTO_TCP, TCP_NODELAY, 1},
        {e->keepalive, SOL_SOCKET, SO_KEEPALIVE, 1},
        {e->sndbuf_bytes > 0, SOL_SOCKET, SO_SNDBUF, (int)MIN(e->sndbuf_bytes, INT32_MAX)},
        {e->rcvbuf_bytes > 0, SOL_SOCKET, SO_RCVBUF, (int)MIN(e->rcvbuf_bytes, INT32_MAX)},
    };
    for (size_t i = 0; i < ARRAY_LEN(ints); i++) {
        int r = ints[i].set ? sys_set_int(fd, ints[i].level, ints[i].name, ints[i].value) : 0;
        if (r < 0)
            return r;
    }
    if (e->device && setsockopt(fd, SOL_SOCKET, SO_BINDTODEVICE, e->device, (socklen_t)strlen(e->device)) < 0)
        return -errno;
    return 0;
}

/* The local address to dial from; one of the other family cannot reach this address. */
static int bind_local(int fd, const struct eye_endpoint *e, const struct eye_addr *addr) {
    if (e->bind->u.sa.sa_family != addr->u.sa.sa_family)
        return -EAFNOSUPPORT;
    /* With port 0 the port is picked at connect, so that it need not be free for every peer (ip(7)). */
    if (eye_addr_port(e->bind) == 0)
        sys_set_int(fd, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, 1);
    return bind(fd, &e->bind->u.sa, e->bind->len) < 0 ? -errno : 0;
}

static int tcp_socket(const struct eye_endpoint *e, const struct eye_addr *addr, bool listening) {
    AUTO_FD int fd = sys_socket(addr->u.sa.sa_family, SOCK_STREAM, IPPROTO_TCP);
    if (fd < 0)
        return fd;
    int r = set_options(fd, e, addr, listening);
    if (r == 0 && e->bind && !listening)
        r = bind_local(fd, e, addr);
    if (r < 0)
        return r;
    int ret_fd = fd;
    fd = -1; /* the caller's now */
    return ret_fd;
}

static int tcp_bind(int fd, const struct eye_endpoint *e, const struct eye_addr *addr,
                    struct bound *ret_bound, struct eye_err *reterr) {
    *ret_bound = (struct bound){0};
    return bind(fd, &addr->u.sa, addr->len) < 0 ? net_fail(reterr, e, -errno, true) : 0;
}

static unsigned tcp_slot_flags(const struct eye_endpoint *e, int fd) {
    (void)e, (void)fd;
    return SLOT_SOCKET | SLOT_TCP | SLOT_SPLICE;
}

const struct scheme scheme_tcp = {
    .socket = tcp_socket,
    .bind = tcp_bind,
    .slot_flags = tcp_slot_flags,
};
