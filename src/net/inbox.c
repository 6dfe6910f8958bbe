/* inbox.c: peers on a datagram socket.
 *
 * Theory of operation. What an unknown sender sends is kept in an inbox of its own. When that is accepted,
 * a socket is made for this peer alone, bound to the address that its first datagram came to and connected
 * to it: from then on the kernel sorts its datagrams out by itself, and everything that works on streams
 * works on it. Until connect(2) has taken effect, more of them may have come to the listening socket, and
 * to the new one those of others, so both are emptied once more; and the inbox is read before the socket.
 * Thus each gets its own, in order. Where the first datagram came to a broadcast or multicast address the
 * socket is bound to that, and the kernel then answers from an address of the interface. Of what comes to
 * such an address every socket gets a copy, and the listener's is passed over once the peer has its own.
 *
 * While nobody accepts, nothing is taken from the listening socket, whose buffer has its bound. */
#include "net/inbox.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "net/net.h"
#include "sys/sys.h"

#define INBOX_BYTES_MAX (256 * 1024)
#define DRAIN_MAX       1024
#define STRANGERS_MAX   64 /* senders that wait to be accepted; the datagrams of more are dropped */

struct parcel {
    struct parcel *next;
    size_t size;
    uint8_t data[];
};

static struct inbox *inbox_new(const struct datagram *first) {
    struct inbox *inbox = calloc(1, sizeof *inbox);
    if (!inbox)
        return NULL;
    inbox->peer = first->peer;
    inbox->local = first->to;
    inbox->end = &inbox->first;
    return inbox;
}

/* Keeps a copy; a bounded number of bytes: more is dropped, as a full socket buffer drops it. */
static void inbox_add(struct inbox *inbox, const void *data, size_t size) {
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

/* The address that the listener has, or of all of them the one that the first datagram came to. */
static int local_address(const struct slot *slot, const struct inbox *inbox, struct eye_addr *ret_addr) {
    struct eye_addr addr = {.len = sizeof addr.u};
    if (getsockname(slot->fd, &addr.u.sa, &addr.len) < 0)
        return -errno;
    if (inbox->local.len && inbox->local.u.sa.sa_family == addr.u.sa.sa_family) {
        in_port_t port = addr.u.in.sin_port; /* at the same place in both families */
        addr = inbox->local;
        addr.u.in.sin_port = port;
    }
    *ret_addr = addr;
    return 0;
}

static int peer_socket(const struct slot *slot, const struct eye_endpoint *e, const struct inbox *inbox) {
    struct eye_addr local;
    int r = local_address(slot, inbox, &local);
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
        r = sys_connect(fd, &inbox->peer);
    if (r < 0)
        return r == -EAGAIN ? -ENOBUFS : r; /* "insufficient entries in the routing cache", connect(2) */
    int ret_fd = fd;
    fd = -1; /* the caller's now */
    return ret_fd;
}

static int peer_stream(struct slot *slot, const struct eye_endpoint *e, struct inbox *inbox) {
    int fd = peer_socket(slot, e, inbox);
    if (fd < 0)
        return fd;
    int r = stream_new(slot->loop, fd, scheme_of(e)->slot_flags(e, fd), &inbox->stream);
    if (r < 0) {
        close(fd);
        return r;
    }
    inbox->stream->u.inbox = inbox;
    inbox->stream->has_inbox = true;
    return 0;
}

static size_t strangers(const struct list *peers) {
    size_t count = 0;
    for (const struct list *at = peers->next; at != peers; at = at->next)
        count += !eye_container_of(at, const struct inbox, node)->stream;
    return count;
}

/* Puts what has come to a socket into the inboxes; made is the one whose socket is new, or NULL. */
static void drain(const struct slot *slot, struct list *peers, const struct inbox *made) {
    size_t room = STRANGERS_MAX - MIN(strangers(peers), (size_t)STRANGERS_MAX);
    for (int i = 0; i < DRAIN_MAX; i++) {
        struct datagram d;
        int64_t n = batch_recv_one(slot, slot->loop->lend, &d);
        if (n == -EAGAIN)
            return;
        if (n < 0)
            continue; /* an error that an earlier datagram met on its way */
        if (made && !d.to.len)
            d.to = made->local; /* a new socket is not asked to tell */
        struct inbox *inbox = find(peers, &d.peer);
        if (!inbox && room > 0 && (inbox = inbox_new(&d))) {
            list_append(peers, &inbox->node);
            room--;
        }
        bool copy = inbox && inbox->stream && inbox != made && d.group;
        if (inbox && !copy)
            inbox_add(inbox, d.data, d.size);
    }
}

static struct inbox *first_stranger(struct list *peers) {
    for (struct list *at = peers->next; at != peers; at = at->next)
        if (!eye_container_of(at, struct inbox, node)->stream)
            return eye_container_of(at, struct inbox, node);
    return NULL;
}

/* What may be had later: the peer waits for it. */
static bool scarce(int code) {
    return code == -EMFILE || code == -ENFILE || code == -ENOMEM || code == -ENOBUFS;
}

int64_t inbox_accept(struct slot *slot, const struct eye_endpoint *e, struct list *peers,
                     eye_stream **ret_stream) {
    if (!first_stranger(peers))
        drain(slot, peers, NULL);
    struct inbox *inbox = first_stranger(peers);
    if (!inbox)
        return -EAGAIN;
    int r = peer_stream(slot, e, inbox);
    if (r < 0 && !scarce(r))
        inbox_free(inbox);
    if (r < 0)
        return r;
    drain(slot, peers, inbox);
    drain(&inbox->stream->slot[0], peers, inbox);
    *ret_stream = inbox->stream;
    return 0;
}

void inbox_abandon(struct list *peers) {
    struct list *next;
    for (struct list *at = peers->next; at != peers; at = next) {
        next = at->next;
        struct inbox *inbox = eye_container_of(at, struct inbox, node);
        list_remove(at);
        if (!inbox->stream)
            inbox_free(inbox);
    }
}
