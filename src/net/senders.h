/* senders.h: the senders of a Unix datagram socket, each as a stream. */
#ifndef SOCKEYE_SENDERS_H
#define SOCKEYE_SENDERS_H

#include <sockeye/stream.h>

#include "base/list.h"
#include "loop/loop.h"

struct sender;

/* Part of a listener; it must stay until released has run, after senders_close and the last stream's end. */
struct senders {
    struct slot *slot; /* the listening socket's */
    struct list list;
    size_t count;
    eye_op *accepting; /* those who wait for one, in a ring */
    eye_op sort_op;
    struct sender *full; /* whose stream must take some before more is received */
    bool closed;
    void (*released)(struct senders *senders);
};

void senders_init(struct senders *senders, struct slot *slot, void (*released)(struct senders *senders));
/* As eye_accept: the next sender that is new, with all that it has sent. */
void senders_accept(struct senders *senders, eye_op *op, eye_stream **ret_stream, eye_done *done);
/* No more of them. The socket stays for those that are there, whose answers only it can send. */
void senders_close(struct senders *senders);

/* For its stream: where it sends from, the socket that it sends to, and the end. */
const struct eye_addr *sender_addr(const struct sender *sender);
int sender_fd(const struct sender *sender);
void sender_leave(struct sender *sender);

#endif
