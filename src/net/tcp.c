/* tcp.c: the tcp scheme: sockets with their options. tcp(7), ipv6(7), socket(7) */
#include <netinet/tcp.h>

#include "net/ip.h"
#include "net/net.h"
#include "sys/sys.h"

static int tcp_socket(const struct eye_endpoint *e, const struct eye_addr *addr, bool listening) {
    AUTO_FD int fd = sys_socket(addr->u.sa.sa_family, SOCK_STREAM, IPPROTO_TCP);
    if (fd < 0)
        return fd;
    const struct int_option ints[] = {
        /* A server that restarts must not wait for the connections of its former life to time out. */
        {listening, SOL_SOCKET, SO_REUSEADDR, 1},
        /* Said either way, since sysctl net.ipv6.bindv6only may turn the default around. */
        {listening && addr->u.sa.sa_family == AF_INET6, IPPROTO_IPV6, IPV6_V6ONLY,
         e->v6only || e->family == 6},
        {e->reuseport, SOL_SOCKET, SO_REUSEPORT, 1},
        {e->nodelay, IPPROTO_TCP, TCP_NODELAY, 1},
        {e->keepalive, SOL_SOCKET, SO_KEEPALIVE, 1},
    };
    int r = ip_set_options(fd, e, ints, ARRAY_LEN(ints));
    if (r == 0 && e->bind && !listening)
        r = ip_bind_local(fd, e, addr);
    if (r < 0)
        return r;
    int ret_fd = fd;
    fd = -1; /* the caller's now */
    return ret_fd;
}

static unsigned tcp_slot_flags(const struct eye_endpoint *e, int fd) {
    (void)e, (void)fd;
    return SLOT_SOCKET | SLOT_TCP | SLOT_SPLICE;
}

const struct scheme scheme_tcp = {
    .socket = tcp_socket,
    .bind = ip_bind,
    .slot_flags = tcp_slot_flags,
};
