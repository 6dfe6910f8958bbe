/* udp.c: the udp scheme: sockets with their options. udp(7), ip(7), ipv6(7)
 *
 * SO_REUSEADDR stays off: on UDP it would let another program take the port over unseen. */
#include <errno.h>
#include <net/if.h>

#include "net/ip.h"
#include "net/net.h"

static int join_group(int fd, const struct eye_endpoint *e) {
    unsigned ifindex = e->device ? if_nametoindex(e->device) : 0;
    const struct eye_addr *group = e->join;
    if (group->u.sa.sa_family == AF_INET) {
        struct ip_mreqn v4 = {.imr_multiaddr = group->u.in.sin_addr, .imr_ifindex = (int)ifindex};
        return setsockopt(fd, IPPROTO_IP, IP_ADD_MEMBERSHIP, &v4, sizeof v4) < 0 ? -errno : 0;
    }
    struct ipv6_mreq v6 = {.ipv6mr_multiaddr = group->u.in6.sin6_addr,
                           .ipv6mr_interface = ifindex ? ifindex : group->u.in6.sin6_scope_id};
    return setsockopt(fd, IPPROTO_IPV6, IPV6_JOIN_GROUP, &v6, sizeof v6) < 0 ? -errno : 0;
}

static int udp_socket(const struct eye_endpoint *e, const struct eye_addr *addr, bool listening) {
    bool v6 = addr->u.sa.sa_family == AF_INET6;
    const struct int_option ints[] = {
        {listening && v6, IPPROTO_IPV6, IPV6_V6ONLY, e->v6only || e->family == 6},
        /* Told with each datagram, the address that it came to is the one to answer from. */
        {listening && v6, IPPROTO_IPV6, IPV6_RECVPKTINFO, 1},
        /* For IPv4, on a socket of both too: only this says what a broadcast is to be answered from. */
        {listening, IPPROTO_IP, IP_PKTINFO, 1},
        {e->reuseport, SOL_SOCKET, SO_REUSEPORT, 1},
        {e->broadcast, SOL_SOCKET, SO_BROADCAST, 1},
        {e->ttl > 0 && !v6, IPPROTO_IP, IP_TTL, e->ttl},
        {e->ttl > 0 && !v6, IPPROTO_IP, IP_MULTICAST_TTL, e->ttl},
        {e->ttl > 0 && v6, IPPROTO_IPV6, IPV6_UNICAST_HOPS, e->ttl},
        {e->ttl > 0 && v6, IPPROTO_IPV6, IPV6_MULTICAST_HOPS, e->ttl},
    };
    int fd = ip_socket(e, addr, listening, SOCK_DGRAM, ints, ARRAY_LEN(ints));
    int r = fd >= 0 && e->join ? join_group(fd, e) : 0;
    if (r < 0) {
        close(fd);
        return r;
    }
    return fd;
}

static unsigned udp_slot_flags(const struct eye_endpoint *e, int fd) {
    (void)e, (void)fd;
    return SLOT_SOCKET | SLOT_MESSAGES | SLOT_ENDLESS;
}

const struct scheme scheme_udp = {
    .socket = udp_socket,
    .bind = ip_bind,
    .slot_flags = udp_slot_flags,
};
