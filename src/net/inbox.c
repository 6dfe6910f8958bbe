/* inbox.c: peers on a datagram socket.
 *
 * Theory of operation. The first datagram of an unknown sender makes a socket for that peer alone, bound to
 * the address that the datagram came to and connected to the sender: from then on the kernel sorts its
 * datagrams out by itself, and everything that works on streams works on it. Until connect(2) has taken
 * effect, more of them may have come to the listening socket, so that is emptied at once: what is of a
 * known peer goes to its inbox, which is read before its socket. Thus order is kept. */
#include "net/inbox.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "net/net.h"
#include "sys/sys.h"

#define INBOX_BYTES_MAX (256 * 1024)
#define DRAIN_MAX       1024

struct parcel {
    struct parcel *next;
    size_t size;
    uint8_t data[];
};

struct inbox *inbox_new(eye_stream *stream, const struct eye_addr *peer) {
    struct inbox *inbox = calloc(1, sizeof *inbox);
    if (!inbox)
        return NULL;
    inbox->stream = stream;
    inbox->peer = *peer;
    inbox->end = &inbox->first;
    list_init(&inbox->node);
    return inbox;
}

void inbox_add(struct inbox *inbox, const void *data, size_t size) {
    struct parcel *parcel = inbox->bytes + size > INBOX_BYTES_MAX ? NULL : malloc(sizeof *parcel + size);
    if (!parcel)
        return;
    parcel->next = NULL;
    parcel->size = size;
    memcpy(parcel->data, data, size);
    inbox->bytes += sizeof *parcel + size;
    *inbox->end = parcel;
    inbox->end = &parcel->next;
}

static void receive_cancel(eye_op *op) {
    (void)op; /* it is finished as soon as it has begun */
}

static const struct op_kind op_receive = {.name = "recv from inbox", .way = EYE_IN, .cancel = receive_cancel};

bool inbox_receive(struct inbox *inbox, eye_loop *loop, eye_op *op, struct eye_bytes *ret_bytes, void *buf,
                   size_t size, eye_done *done) {
    free(inbox->lent);
    struct parcel *parcel = inbox->lent = inbox->first;
    if (!parcel)
        return false;
    inbox->first = parcel->next;
    if (!inbox->first)
        inbox->end = &inbox->first;
    inbox->bytes -= sizeof *parcel + parcel->size;
    op_begin(loop, op, &op_receive, done);
    int64_t result = (int64_t)parcel->size;
    if (ret_bytes)
        *ret_bytes = (struct eye_bytes){.data = parcel->data, .size = parcel->size};
    else if (parcel->size <= size)
        memcpy(buf, parcel->data, parcel->size);
    else
        result = EYE_ETRUNCATED;
    op_finish(loop, op, result);
    return true;
}

void inbox_free(struct inbox *inbox) {
    if (!inbox)
        return;
    list_remove(&inbox->node);
    while (inbox->first) {
        struct parcel *parcel = inbox->first;
        inbox->first = parcel->next;
        free(parcel);
    }
    free(inbox->lent);
    free(inbox);
}

/* ---- the listener's side ---- */

static bool same_address(const struct eye_addr *a, const struct eye_addr *b) {
    return a->len == b->len && memcmp(&a->u, &b->u, a->len) == 0;
}

static struct inbox *find(struct list *peers, const struct eye_addr *peer) {
    for (struct list *at = peers->next; at != peers; at = at->next) {
        struct inbox *inbox = eye_container_of(at, struct inbox, node);
        if (same_address(&inbox->peer, peer))
            return inbox;
    }
    return NULL;
}

/* The address that the listener has, or of all of them the one that the datagram came to. */
static int local_address(const struct slot *slot, const struct datagram *d, struct eye_addr *ret_addr) {
    struct eye_addr addr = {.len = sizeof addr.u};
    if (getsockname(slot->fd, &addr.u.sa, &addr.len) < 0)
        return -errno;
    if (d->local.len && d->local.u.sa.sa_family == addr.u.sa.sa_family) {
        in_port_t port = addr.u.in.sin_port; /* at the same place in both families */
        addr = d->local;
        addr.u.in.sin_port = port;
    }
    *ret_addr = addr;
    return 0;
}

static int peer_socket(const struct slot *slot, const struct eye_endpoint *e, const struct datagram *d) {
    struct eye_addr local;
    int r = local_address(slot, d, &local);
    if (r < 0)
        return r;
    AUTO_FD int fd = scheme_of(e)->socket(e, &local, false);
    if (fd < 0)
        return fd;
    /* Two sockets of one address: only between the two of us, since the listener said so after its bind. */
    r = sys_set_int(fd, SOL_SOCKET, SO_REUSEPORT, 1);
    if (r == 0 && local.u.sa.sa_family == AF_INET6)
        r = sys_set_int(fd, IPPROTO_IPV6, IPV6_V6ONLY, 0);
    if (r == 0 && bind(fd, &local.u.sa, local.len) < 0)
        r = -errno;
    if (r == 0)
        r = sys_connect(fd, &d->peer);
    if (r < 0)
        return r;
    int ret_fd = fd;
    fd = -1; /* the caller's now */
    return ret_fd;
}

static int peer_new(struct slot *slot, const struct eye_endpoint *e, const struct datagram *d,
                    struct list *peers, struct inbox **ret_inbox) {
    int fd = peer_socket(slot, e, d);
    if (fd < 0)
        return fd;
    eye_stream *stream;
    int r = stream_new(slot->loop, fd, scheme_of(e)->slot_flags(e, fd), &stream);
    if (r < 0) {
        close(fd);
        return r;
    }
    struct inbox *inbox = inbox_new(stream, &d->peer);
    if (!inbox) {
        stream_drop(stream);
        return -ENOMEM;
    }
    stream->u.inbox = inbox;
    stream->has_inbox = true;
    list_append(peers, &inbox->node);
    *ret_inbox = inbox;
    return 0;
}

/* Sorts what has come; returns the error with which a peer could not be had. */
static int drain(struct slot *slot, const struct eye_endpoint *e, struct list *peers) {
    for (int i = 0; i < DRAIN_MAX; i++) {
        struct datagram d;
        int64_t n = batch_recv_one(slot, slot->loop->lend, &d);
        if (n == -EAGAIN)
            return 0;
        if (n < 0)
            continue; /* an error that an earlier datagram met on its way */
        struct inbox *inbox = find(peers, &d.peer);
        int r = inbox ? 0 : peer_new(slot, e, &d, peers, &inbox);
        if (r < 0)
            return r;
        inbox_add(inbox, d.data, d.size);
    }
    return 0;
}

static struct inbox *waiting_peer(struct list *peers) {
    for (struct list *at = peers->next; at != peers; at = at->next)
        if (!eye_container_of(at, struct inbox, node)->handed)
            return eye_container_of(at, struct inbox, node);
    return NULL;
}

int64_t inbox_accept(struct slot *slot, const struct eye_endpoint *e, struct list *peers,
                     eye_stream **ret_stream) {
    struct inbox *inbox = waiting_peer(peers);
    if (!inbox) {
        int r = drain(slot, e, peers);
        inbox = waiting_peer(peers);
        if (!inbox)
            return r < 0 ? r : -EAGAIN;
    }
    inbox->handed = true;
    *ret_stream = inbox->stream;
    return 0;
}

void inbox_abandon(struct list *peers) {
    while (!list_empty(peers)) {
        struct inbox *inbox = eye_container_of(peers->next, struct inbox, node);
        if (inbox->handed)
            list_remove(&inbox->node);
        else
            stream_drop(inbox->stream);
    }
}
