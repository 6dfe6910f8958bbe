/* datagrams.c: a data handler on a datagram socket.
 *
 * A batch is received, each datagram in it is told in its order, the answers are gathered in a batch and
 * sent, then the next is received. Where the kernel has joined the datagrams of one sender (UDP_GRO), they
 * are told one by one, and answers that lie one behind the other in memory, of one size and to one peer, are
 * joined again (UDP_SEGMENT). Joined datagrams can be many more than a batch of answers holds, so what was
 * received is told in as many steps as that takes, each sent before the next. No peer has a state here, so
 * none can fill the memory. */
#include "flow/datagrams.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "net/net.h"
#include "sys/sys.h"

#ifndef UDP_GRO
#define UDP_GRO 104 /* linux/udp.h, since Linux 5.0 */
#endif

#define ANSWERS_EACH (BATCH_ROOM - BATCH_MAX) /* there is room for so many whenever a datagram is told */

struct datagram_service {
    struct slot *slot;
    struct datagram_client client;
    eye_op op;
    size_t at, at_byte;             /* of what was received, what is told next */
    const struct datagram *current; /* the one that is being told */
    bool telling, stopped;
    bool joined;   /* the kernel joins datagrams here */
    size_t copies; /* of answers that lie elsewhere than in buffer */
    uint8_t *copied[BATCH_ROOM];
    struct batch received, answers;
    uint8_t buffer[BATCH_BYTES];
};

static void go_on(struct datagram_service *s);

static void ended(struct datagram_service *s) {
    s->client.ended(s->client.user);
}

static void forget_copies(struct datagram_service *s) {
    while (s->copies > 0)
        free(s->copied[--s->copies]);
}

static void send_done(eye_op *op, int64_t result) {
    struct datagram_service *s = eye_container_of(op, struct datagram_service, op);
    forget_copies(s);
    if (result == -ECANCELED)
        ended(s);
    else
        go_on(s);
}

/* Tells what came, as long as there is room for its answers. */
static void tell(struct datagram_service *s) {
    s->telling = true;
    while (s->at < s->received.count && s->answers.count <= BATCH_MAX && !s->stopped) {
        const struct datagram *d = s->current = &s->received.list[s->at];
        size_t left = d->size - s->at_byte;
        size_t size = d->segment_bytes ? MIN(d->segment_bytes, left) : left;
        if (!d->cut && s->client.admits(s->client.user, &d->peer))
            s->client.datagram(s->client.user,
                               (struct eye_bytes){.data = d->data + s->at_byte, .size = size});
        s->at_byte += size;
        if (s->at_byte == d->size) {
            s->at++;
            s->at_byte = 0;
        }
    }
    s->telling = false;
}

static void recv_done(eye_op *op, int64_t result) {
    struct datagram_service *s = eye_container_of(op, struct datagram_service, op);
    if (result == -ECANCELED) {
        ended(s);
        return;
    }
    s->at = s->at_byte = 0;
    if (result < 0) /* which some datagram sent earlier has met on its way */
        s->received.count = 0;
    go_on(s);
}

static void go_on(struct datagram_service *s) {
    s->answers.count = 0;
    tell(s);
    if (s->stopped) {
        forget_copies(s);
        ended(s);
    } else if (s->answers.count > 0) {
        io_send_batch(s->slot, &s->op, &s->answers, send_done);
    } else {
        io_recv_batch(s->slot, &s->op, &s->received, s->buffer, recv_done);
    }
}

/* Appends to the last answer what lies right behind it and may go with it in one piece. */
static bool join_answer(struct datagram_service *s, const uint8_t *data, size_t size) {
    struct datagram *last = s->answers.count > 0 ? &s->answers.list[s->answers.count - 1] : NULL;
    if (!s->joined || !last || last->data + last->size != data || size == 0)
        return false;
    size_t segment = last->segment_bytes ? last->segment_bytes : last->size;
    bool last_is_full = last->size % segment == 0;
    if (size > segment || !last_is_full || last->size / segment >= SEGMENTS_MAX ||
        last->size + size > DATAGRAM_PAYLOAD_MAX || last->peer.len != s->current->peer.len ||
        memcmp(&last->peer.u, &s->current->peer.u, last->peer.len) != 0)
        return false;
    last->segment_bytes = segment;
    last->size += size;
    return true;
}

static bool lies_in_buffer(const struct datagram_service *s, const uint8_t *data, size_t size) {
    return data >= s->buffer && data + size <= s->buffer + sizeof s->buffer;
}

void datagrams_answer(struct datagram_service *s, const void *data, size_t size) {
    const uint8_t *from = data;
    if (lies_in_buffer(s, from, size) && join_answer(s, from, size))
        return;
    if (s->answers.count == BATCH_ROOM)
        return; /* more than ANSWERS_EACH: dropped, as a full socket buffer drops them */
    if (!lies_in_buffer(s, from, size)) {
        uint8_t *copy = malloc(MAX(size, (size_t)1));
        if (!copy)
            return;
        memcpy(copy, data, size);
        s->copied[s->copies++] = copy;
        from = copy;
    }
    struct datagram *answer = &s->answers.list[s->answers.count++];
    answer->data = (uint8_t *)(uintptr_t)from;
    answer->size = size;
    answer->segment_bytes = 0;
    addr_copy(&answer->peer, &s->current->peer);
    addr_copy(&answer->local, &s->current->local);
}

/* Unix datagrams are as large as their sender's buffer (unix(7)); of them fewer are taken at once. */
static bool is_unix(const struct slot *slot) {
    struct eye_addr addr = {.len = sizeof addr.u};
    return getsockname(slot->fd, &addr.u.sa, &addr.len) == 0 && addr.u.sa.sa_family == AF_UNIX;
}

struct datagram_service *datagrams_new(eye_listener *listener, const struct datagram_client *client) {
    struct datagram_service *s = malloc(sizeof *s);
    if (!s)
        return NULL;
    /* Not zeroed as a whole: pages of the buffer that no datagram reaches are never touched. */
    memset(s, 0, offsetof(struct datagram_service, buffer));
    s->slot = listener_slot(listener);
    s->client = *client;
    s->received.each_bytes = is_unix(s->slot) ? LEND_BYTES : 0;
    s->joined = sys_set_int(s->slot->fd, IPPROTO_UDP, UDP_GRO, 1) == 0;
    return s;
}

void datagrams_start(struct datagram_service *s) {
    go_on(s);
}

void datagrams_stop(struct datagram_service *s) {
    s->stopped = true;
}

const struct eye_addr *datagrams_peer(const struct datagram_service *s) {
    return &s->current->peer;
}

bool datagrams_busy(const struct datagram_service *s) {
    return s->telling || eye_op_pending(&s->op);
}

struct datagram_service *datagrams_free(struct datagram_service *s) {
    if (s)
        forget_copies(s);
    free(s);
    return NULL;
}
