/* tcp.c: the tcp scheme: sockets with their options. tcp(7), ipv6(7), socket(7) */
#include <netinet/tcp.h>

#include "net/ip.h"
#include "net/net.h"

static int tcp_socket(const struct eye_endpoint *e, const struct eye_addr *addr, bool listening) {
    const struct int_option ints[] = {
        /* A server that restarts must not wait for the connections of its former life to time out. */
        {listening, SOL_SOCKET, SO_REUSEADDR, 1},
        /* Said either way, since sysctl net.ipv6.bindv6only may turn the default around. */
        {listening && addr->u.sa.sa_family == AF_INET6, IPPROTO_IPV6, IPV6_V6ONLY,
         e->v6only || e->family == 6},
        {e->reuseport, SOL_SOCKET, SO_REUSEPORT, 1},
        /* Small pieces wait for nothing: whoever passes on what others wrote does not know whether more
         * follows, and what comes behind a piece under way would wait for its acknowledgement (RFC 896),
         * which peers hold back for 40 ms (RFC 1122, 4.2.3.2). A listener's peers inherit it. */
        {!e->nagle, IPPROTO_TCP, TCP_NODELAY, 1},
        {e->keepalive, SOL_SOCKET, SO_KEEPALIVE, 1},
    };
    return ip_socket(e, addr, listening, SOCK_STREAM, ints, ARRAY_LEN(ints));
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
