/* source_raw.c: the kernel's own raw sockets, without any library.
 *
 * A socket of raw(7) gives what this host receives of one IP protocol, each packet from its IPv4 header on,
 * after the kernel has put fragments together. It does not see what is sent to others, and over loopback each
 * packet once. A socket of packet(7) gives whole frames, both those received and those sent; a tag of VLAN
 * that the kernel took out is put beside the packet (PACKET_AUXDATA).
 *
 * Expressions are applied here and not by the kernel, whose filter could only be put in when packets are in
 * the socket's queue already. */
#include <arpa/inet.h>
#include <assert.h>
#include <errno.h>
#include <linux/if_packet.h>
#include <net/ethernet.h>
#include <net/if.h>
#include <net/if_arp.h>
#include <netdb.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "sys/sys.h"
#include "wire/source.h"

enum { FRAME_MAX = 65536 + 64 };

struct raw {
    struct eye_source source;
    bool frames;
    char name[64];
    uint8_t buffer[FRAME_MAX];
};

int source_denied(const char *name, struct eye_err *reterr) {
    err_set(reterr, EYE_EUNAVAILABLE, EYE_FAIL_UNAVAILABLE,
            "%s: capturing needs CAP_NET_RAW, which is not held", name);
    err_cause(reterr, "run it as root, or grant the capability: setcap cap_net_raw=ep $(command -v sockeye)");
    return EYE_EUNAVAILABLE;
}

static void raw_free(eye_source *source) {
    struct raw *raw = (struct raw *)source;
    if (raw->source.fd >= 0)
        close(raw->source.fd);
    free(raw);
}

/* Protocol is in the order that socket(2) wants for its family. */
static int raw_open(int family, int protocol, const char *name, const struct eye_source_opts *opts,
                    struct raw **ret_raw, struct eye_err *reterr) {
    struct raw *raw = malloc(sizeof *raw);
    if (!raw)
        return err_set(reterr, -ENOMEM, EYE_FAIL_OTHER, "%s: %s", name, eye_strerror(-ENOMEM));
    memset(raw, 0, offsetof(struct raw, buffer));
    snprintf(raw->name, sizeof raw->name, "%s", name);
    raw->frames = family == AF_PACKET;
    raw->source.link = raw->frames ? EYE_LINK_ETHERNET : EYE_LINK_RAW;
    raw->source.nano = true;
    raw->source.fd = sys_socket(family, SOCK_RAW, protocol);
    int r = MIN(raw->source.fd, 0);
    if (r == 0)
        r = sys_set_int(raw->source.fd, SOL_SOCKET, SO_TIMESTAMPNS, 1);
    if (r == 0 && opts->buffer_bytes > 0 &&
        sys_set_int(raw->source.fd, SOL_SOCKET, SO_RCVBUFFORCE,
                    (int)MIN(opts->buffer_bytes, (int64_t)INT32_MAX)) < 0)
        r = sys_set_int(raw->source.fd, SOL_SOCKET, SO_RCVBUF,
                        (int)MIN(opts->buffer_bytes, (int64_t)INT32_MAX));
    if (r < 0) {
        raw_free(&raw->source);
        return r == -EPERM ? source_denied(name, reterr)
                           : err_set(reterr, r, EYE_FAIL_CONNECT, "%s: %s", name, eye_strerror(r));
    }
    *ret_raw = raw;
    return 0;
}

static int ip_open(const char *protocol, const struct eye_source_opts *opts, eye_source **ret_source,
                   struct eye_err *reterr) {
    uint64_t number;
    struct protoent entry, *found;
    char room[1024];
    if (text_parse_uint(protocol, strlen(protocol), UINT8_MAX, &number) < 0) {
        if (getprotobyname_r(protocol, &entry, room, sizeof room, &found) != 0 || !found)
            return err_set(reterr, EYE_ESYNTAX, EYE_FAIL_USAGE, "'%s' is no protocol of IP", protocol);
        number = (uint64_t)found->p_proto;
    }
    struct raw *raw = NULL;
    int r = raw_open(AF_INET, (int)number, protocol, opts, &raw, reterr);
    assert(r < 0 || raw);
    if (r == 0)
        *ret_source = &raw->source;
    return r;
}

static int packet_join(struct raw *raw, const char *interface, const struct eye_source_opts *opts) {
    struct sockaddr_ll addr = {.sll_family = AF_PACKET, .sll_protocol = htons(ETH_P_ALL)};
    if (strcmp(interface, "any") != 0 && (addr.sll_ifindex = (int)if_nametoindex(interface)) == 0)
        return -ENODEV;
    int r = sys_set_int(raw->source.fd, SOL_PACKET, PACKET_AUXDATA, 1);
    if (r == 0 && bind(raw->source.fd, (const struct sockaddr *)&addr, sizeof addr) < 0)
        r = -errno;
    struct packet_mreq promiscuous = {.mr_ifindex = addr.sll_ifindex, .mr_type = PACKET_MR_PROMISC};
    if (r == 0 && opts->promiscuous && addr.sll_ifindex &&
        setsockopt(raw->source.fd, SOL_PACKET, PACKET_ADD_MEMBERSHIP, &promiscuous, sizeof promiscuous) < 0)
        r = -errno;
    return r;
}

static int packet_open(const char *interface, const struct eye_source_opts *opts, eye_source **ret_source,
                       struct eye_err *reterr) {
    struct raw *raw = NULL;
    /* Protocol 0 receives nothing until the socket is bound: no packet of another interface is in its queue.
     */
    int r = raw_open(AF_PACKET, 0, interface, opts, &raw, reterr);
    if (r < 0)
        return r;
    assert(raw);
    r = packet_join(raw, interface, opts);
    if (r < 0) {
        raw_free(&raw->source);
        return err_set(reterr, r, EYE_FAIL_CONNECT, "%s: %s", interface, eye_strerror(r));
    }
    *ret_source = &raw->source;
    return 0;
}

/* What the kernel tells beside a packet: when it came, its whole length, and a tag that was taken out. */
static void raw_beside(struct msghdr *msg, struct eye_packet *packet) {
    for (struct cmsghdr *c = CMSG_FIRSTHDR(msg); c; c = CMSG_NXTHDR(msg, c)) {
        if (c->cmsg_level == SOL_SOCKET && c->cmsg_type == SO_TIMESTAMPNS) {
            struct timespec ts;
            memcpy(&ts, CMSG_DATA(c), sizeof ts);
            packet->time_ns = ts.tv_sec * NS_PER_S + ts.tv_nsec;
        } else if (c->cmsg_level == SOL_PACKET && c->cmsg_type == PACKET_AUXDATA) {
            struct tpacket_auxdata aux;
            memcpy(&aux, CMSG_DATA(c), sizeof aux);
            if (aux.tp_status & TP_STATUS_VLAN_VALID)
                packet->vlan = EYE_VLAN_TAG | aux.tp_vlan_tci;
        }
    }
}

/* What frames are not wanted: those of a link layer that is not Ethernet's, and on loopback those that are
 * sent, which come again as received ones. */
static bool is_passed_over(const struct raw *raw, const struct sockaddr_ll *from) {
    if (!raw->frames)
        return false;
    return (from->sll_hatype != ARPHRD_ETHER && from->sll_hatype != ARPHRD_LOOPBACK) ||
           (from->sll_hatype == ARPHRD_LOOPBACK && from->sll_pkttype == PACKET_OUTGOING);
}

static int raw_next(eye_source *source, struct eye_packet *ret_packet, struct eye_err *reterr) {
    struct raw *raw = (struct raw *)source;
    union {
        struct cmsghdr head;
        char room[256];
    } control;
    struct sockaddr_ll from = {0};
    struct iovec iov = {raw->buffer, sizeof raw->buffer};
    struct msghdr msg;
    int64_t n;
    do {
        msg = (struct msghdr){.msg_name = raw->frames ? &from : NULL,
                              .msg_namelen = raw->frames ? sizeof from : 0,
                              .msg_iov = &iov,
                              .msg_iovlen = 1,
                              .msg_control = &control,
                              .msg_controllen = sizeof control};
        n = sys_recvmsg(source->fd, &msg);
    } while (n >= 0 && is_passed_over(raw, &from));
    if (n == -EAGAIN)
        return -EAGAIN;
    if (n == -ENETDOWN && raw->frames && strcmp(raw->name, "any") != 0 && if_nametoindex(raw->name) == 0)
        return err_set(reterr, -ENODEV, EYE_FAIL_OTHER, "%s: the interface disappeared", raw->name);
    if (n < 0)
        return err_set(reterr, (int)n, EYE_FAIL_OTHER, "%s: %s", raw->name, eye_strerror((int)n));
    *ret_packet = (struct eye_packet){
        .link = (uint32_t)source->link, .caplen = (uint32_t)n, .len = (uint32_t)n, .data = raw->buffer};
    raw_beside(&msg, ret_packet);
    return 1;
}

static void packet_drops(eye_source *source, struct eye_source_stats *stats) {
    struct tpacket_stats now;
    socklen_t size = sizeof now;
    /* Reading the counters clears them. */
    if (getsockopt(source->fd, SOL_PACKET, PACKET_STATISTICS, &now, &size) == 0)
        stats->dropped_kernel += now.tp_drops;
}

const struct source_kind source_ip = {"ip", ip_open, raw_next, NULL, raw_free};
const struct source_kind source_packet = {"packet", packet_open, raw_next, packet_drops, raw_free};
