/* batch.c: see batch.h. */
#include "loop/batch.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/udp.h>
#include <string.h>

#include "sys/sys.h"

#ifndef UDP_SEGMENT
#define UDP_SEGMENT 103 /* linux/udp.h, since Linux 4.18 */
#endif
#ifndef UDP_GRO
#define UDP_GRO 104 /* since Linux 5.0 */
#endif

/* Room for a PKTINFO of both families, which a socket of both gives, and a segment size. */
#define CONTROL_BYTES                                                                                        \
    (CMSG_SPACE(sizeof(struct in6_pktinfo)) + CMSG_SPACE(sizeof(struct in_pktinfo)) + CMSG_SPACE(sizeof(int)))

struct message {
    struct iovec iov;
    _Alignas(struct cmsghdr) uint8_t control[CONTROL_BYTES];
};

/* ---- receiving ---- */

static void prepare_recv(struct msghdr *msg, struct message *message, struct datagram *d, uint8_t *buffer,
                         size_t size) {
    message->iov = (struct iovec){.iov_base = buffer, .iov_len = size};
    d->data = buffer;
    *msg = (struct msghdr){
        .msg_name = &d->peer.u,
        .msg_namelen = sizeof d->peer.u,
        .msg_iov = &message->iov,
        .msg_iovlen = 1,
        .msg_control = message->control,
        .msg_controllen = sizeof message->control,
    };
}

static void set_in(struct eye_addr *addr, struct in_addr in) {
    addr->len = sizeof addr->u.in;
    addr->u.in = (struct sockaddr_in){.sin_family = AF_INET, .sin_addr = in};
}

static void set_in6(struct eye_addr *addr, const struct in6_addr *in6, uint32_t scope_id) {
    addr->len = sizeof addr->u.in6;
    addr->u.in6 =
        (struct sockaddr_in6){.sin6_family = AF_INET6, .sin6_addr = *in6, .sin6_scope_id = scope_id};
}

static void read_pktinfo4(struct datagram *d, const struct in_pktinfo *info) {
    d->group = info->ipi_addr.s_addr != info->ipi_spec_dst.s_addr;
    if (d->to.len) { /* on a socket of both families, which has told the address as a mapped one */
        addr_copy(&d->local, &d->to);
        memcpy(&d->local.u.in6.sin6_addr.s6_addr[12], &info->ipi_spec_dst, sizeof info->ipi_spec_dst);
        return;
    }
    set_in(&d->local, info->ipi_spec_dst);
    set_in(&d->to, info->ipi_addr);
}

/* The local address to answer from. For IPv4 the kernel names one of its own even where the datagram came
 * to a broadcast or multicast address (ip(7), ipi_spec_dst); for IPv6 such a one is left to the kernel. */
static void read_control(const struct msghdr *msg, struct datagram *d) {
    d->local.len = d->to.len = 0;
    d->group = false;
    d->segment_bytes = 0;
    for (struct cmsghdr *c = CMSG_FIRSTHDR(msg); c; c = CMSG_NXTHDR((struct msghdr *)(uintptr_t)msg, c)) {
        if (c->cmsg_level == IPPROTO_IP && c->cmsg_type == IP_PKTINFO) {
            struct in_pktinfo info;
            memcpy(&info, CMSG_DATA(c), sizeof info);
            read_pktinfo4(d, &info);
        } else if (c->cmsg_level == IPPROTO_IPV6 && c->cmsg_type == IPV6_PKTINFO) {
            struct in6_pktinfo info;
            memcpy(&info, CMSG_DATA(c), sizeof info);
            bool link = IN6_IS_ADDR_LINKLOCAL(&info.ipi6_addr) || IN6_IS_ADDR_MC_LINKLOCAL(&info.ipi6_addr);
            set_in6(&d->to, &info.ipi6_addr, link ? info.ipi6_ifindex : 0);
            d->group = IN6_IS_ADDR_MULTICAST(&info.ipi6_addr);
            if (!d->group)
                addr_copy(&d->local, &d->to);
        } else if (c->cmsg_level == IPPROTO_UDP && c->cmsg_type == UDP_GRO) {
            int segment;
            memcpy(&segment, CMSG_DATA(c), sizeof segment);
            d->segment_bytes = segment > 0 ? (size_t)segment : 0;
        }
    }
}

static void finish_recv(const struct msghdr *msg, struct datagram *d, size_t size) {
    d->size = size;
    d->peer.len = msg->msg_namelen;
    d->cut = msg->msg_flags & MSG_TRUNC;
    read_control(msg, d);
    if (d->segment_bytes >= size)
        d->segment_bytes = 0;
}

int64_t batch_recv_one(const struct slot *slot, uint8_t *buffer, struct datagram *ret_datagram) {
    struct message message;
    struct msghdr msg;
    prepare_recv(&msg, &message, ret_datagram, buffer, DATAGRAM_BYTES);
    int64_t n = sys_recvmsg(slot->fd, &msg);
    if (n >= 0)
        finish_recv(&msg, ret_datagram, (size_t)n);
    return n;
}

static int64_t perform_recv_batch(struct slot *slot, eye_op *op) {
    struct batch *batch = op_of(op)->u.io.ret;
    struct message messages[BATCH_MAX];
    struct mmsghdr msgs[BATCH_MAX];
    size_t each = batch->each_bytes ? batch->each_bytes : DATAGRAM_BYTES;
    unsigned most = (unsigned)(BATCH_MAX * (size_t)DATAGRAM_BYTES / each);
    for (size_t i = 0; i < most; i++)
        prepare_recv(&msgs[i].msg_hdr, &messages[i], &batch->list[i],
                     op_of(op)->u.io.data + i * (each + DATAGRAM_APART), each);
    int n = sys_recvmmsg(slot->fd, msgs, most);
    if (n < 0)
        return n;
    for (int i = 0; i < n; i++)
        finish_recv(&msgs[i].msg_hdr, &batch->list[i], msgs[i].msg_len);
    batch->count = (size_t)n;
    if ((unsigned)n < most)
        slot->ready &= (uint8_t)~WAY_IN; /* drained; what comes later is told */
    return n;
}

/* ---- sending ---- */

static void *add_control(struct msghdr *msg, int level, int type, size_t size) {
    struct cmsghdr *c = (struct cmsghdr *)(void *)((uint8_t *)msg->msg_control + msg->msg_controllen);
    *c = (struct cmsghdr){.cmsg_level = level, .cmsg_type = type, .cmsg_len = CMSG_LEN(size)};
    msg->msg_controllen += CMSG_SPACE(size);
    return CMSG_DATA(c);
}

static void add_source(struct msghdr *msg, const struct eye_addr *local) {
    if (local->u.sa.sa_family == AF_INET) {
        struct in_pktinfo info = {.ipi_spec_dst = local->u.in.sin_addr};
        memcpy(add_control(msg, IPPROTO_IP, IP_PKTINFO, sizeof info), &info, sizeof info);
    } else if (local->u.sa.sa_family == AF_INET6) {
        struct in6_pktinfo info = {.ipi6_addr = local->u.in6.sin6_addr,
                                   .ipi6_ifindex = local->u.in6.sin6_scope_id};
        memcpy(add_control(msg, IPPROTO_IPV6, IPV6_PKTINFO, sizeof info), &info, sizeof info);
    }
}

static void prepare_send(struct msghdr *msg, struct message *message, const struct datagram *d,
                         bool segmented) {
    message->iov = (struct iovec){.iov_base = d->data, .iov_len = d->size};
    *msg = (struct msghdr){
        .msg_name = d->peer.len ? (void *)(uintptr_t)&d->peer.u : NULL,
        .msg_namelen = d->peer.len,
        .msg_iov = &message->iov,
        .msg_iovlen = 1,
        .msg_control = message->control,
    };
    if (d->local.len)
        add_source(msg, &d->local);
    if (segmented) {
        uint16_t segment = (uint16_t)d->segment_bytes;
        memcpy(add_control(msg, IPPROTO_UDP, UDP_SEGMENT, sizeof segment), &segment, sizeof segment);
    }
    if (msg->msg_controllen == 0)
        msg->msg_control = NULL;
}

static bool is_segmented(const struct datagram *d) {
    return d->segment_bytes > 0 && d->segment_bytes < d->size;
}

/* Takes the first datagram off a joined piece; what is left stays in it. */
static int64_t send_first_segment(const struct slot *slot, struct datagram *d) {
    struct datagram first = *d;
    struct message message;
    struct msghdr msg;
    first.size = MIN(d->segment_bytes, d->size);
    prepare_send(&msg, &message, &first, false);
    int64_t n = sys_sendmsg(slot->fd, &msg);
    if (n == -EAGAIN)
        return n;
    d->data += first.size;
    d->size -= first.size;
    return n;
}

/* A datagram was refused. A joined piece is sent one by one: its segments may be above the route's MTU,
 * where a plain datagram would be fragmented (udp(7), UDP_SEGMENT). */
static int64_t send_refused(const struct slot *slot, struct batch *batch, struct datagram *d) {
    if (!is_segmented(d)) {
        batch->lost++;
        return 0;
    }
    while (d->size > 0) {
        int64_t n = send_first_segment(slot, d);
        if (n == -EAGAIN)
            return n;
        batch->lost += n < 0;
    }
    return 0;
}

static int64_t perform_send_batch(struct slot *slot, eye_op *op) {
    struct op *p = op_of(op);
    struct batch *batch = p->u.io.ret;
    struct message messages[BATCH_MAX];
    struct mmsghdr msgs[BATCH_MAX];
    while ((size_t)p->moved < batch->count) {
        size_t first = (size_t)p->moved, left = MIN(batch->count - first, (size_t)BATCH_MAX);
        for (size_t i = 0; i < left; i++) {
            const struct datagram *d = &batch->list[first + i];
            prepare_send(&msgs[i].msg_hdr, &messages[i], d, is_segmented(d));
        }
        int n = sys_sendmmsg(slot->fd, msgs, (unsigned)left);
        /* A Unix socket says so of one receiver that does not read, which is not to hold up the others. */
        if (n == -EAGAIN && batch->list[first].peer.u.sa.sa_family != AF_UNIX)
            return n;
        if (n > 0) {
            p->moved += n;
            continue;
        }
        int64_t r = send_refused(slot, batch, &batch->list[first]);
        if (r < 0)
            return r;
        p->moved++;
    }
    return p->moved;
}

static const struct op_kind op_recv_batch = {
    .name = "recv batch", .way = EYE_IN, .perform = perform_recv_batch};
static const struct op_kind op_send_batch = {
    .name = "send batch", .way = EYE_OUT, .perform = perform_send_batch};

void io_recv_batch(struct slot *slot, eye_op *op, struct batch *batch, uint8_t *buffer, eye_done *done) {
    op_of(op)->u.io.ret = batch;
    op_of(op)->u.io.data = buffer;
    slot_submit(slot, op, &op_recv_batch, done);
}

void io_send_batch(struct slot *slot, eye_op *op, struct batch *batch, eye_done *done) {
    op_of(op)->u.io.ret = batch;
    slot_submit(slot, op, &op_send_batch, done);
}
