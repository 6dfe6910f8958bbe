/* batch.h: many datagrams in one operation, each with its peer, the local address that it came to or leaves
 * from, and where the kernel joins several of one peer, their size. recvmmsg(2), sendmmsg(2), udp(7) */
#ifndef SOCKEYE_BATCH_H
#define SOCKEYE_BATCH_H

#include <string.h>

#include <sockeye/addr.h>

#include "loop/loop.h"

#define BATCH_MAX            64               /* in one call */
#define BATCH_ROOM           (BATCH_MAX + 16) /* so that what answers a batch need not stop in its middle */
#define DATAGRAM_BYTES       65536 /* what one receive may bring: one datagram, or several joined (UDP_GRO) */
#define DATAGRAM_APART       64    /* so that their beginnings do not all fall into one set of a cache */
#define BATCH_BYTES          (BATCH_MAX * (DATAGRAM_BYTES + DATAGRAM_APART))
#define DATAGRAM_PAYLOAD_MAX 65507 /* of one UDP datagram, and of joined ones (udp(7)) */
#define SEGMENTS_MAX         64    /* UDP_MAX_SEGMENTS of the kernels before 6.9 */

struct datagram {
    uint8_t *data;
    size_t size;
    size_t segment_bytes;  /* above 0: datagrams of this size, the last perhaps shorter, in one piece */
    struct eye_addr peer;  /* len 0: none (a connected or an unnamed peer) */
    struct eye_addr local; /* to answer from; len 0: unknown; the port does not count */
    struct eye_addr to;    /* received ones: where it was sent to, the same or a group's; len 0: unknown */
    bool group;            /* it was sent to a broadcast or multicast address */
    bool cut;              /* it did not fit, and its end is lost */
};

/* As far as it is filled: the structure is five times as large as an IPv6 address. */
static inline void addr_copy(struct eye_addr *to, const struct eye_addr *from) {
    to->len = from->len;
    memcpy(&to->u, &from->u, from->len);
}

struct batch {
    size_t count;
    uint64_t lost;     /* sent ones that the kernel refused, each for a reason of its own */
    size_t each_bytes; /* room for each that is received; 0: DATAGRAM_BYTES */
    struct datagram list[BATCH_ROOM];
};

/* Fills the batch: its list's data point into buffer, which has BATCH_BYTES, and the room that each_bytes
 * asks for, for fewer of them. Completes with the number of entries. */
void io_recv_batch(struct slot *slot, eye_op *op, struct batch *batch, uint8_t *buffer, eye_done *done);

/* Sends all of it, in order; completes with the number of entries. A datagram that the kernel refuses is
 * counted as lost, as the network might have lost it. */
void io_send_batch(struct slot *slot, eye_op *op, struct batch *batch, eye_done *done);

/* For perform functions: one datagram into a buffer of DATAGRAM_BYTES; -EAGAIN, or an error. */
int64_t batch_recv_one(const struct slot *slot, uint8_t *buffer, struct datagram *ret_datagram);

#endif
