/* share.h: the listening sockets of one endpoint on several loops. */
#ifndef SOCKEYE_SHARE_H
#define SOCKEYE_SHARE_H

#include <sockeye/stream.h>

/* eye_listen for an endpoint that is a share: gives its listeners. */
int share_take(eye_loop *loop, const struct eye_endpoint *endpoint, eye_listener **ret_listeners,
               struct eye_err *reterr);
/* Whether this one tells where it listens: not a share, or the first. */
bool share_tells(const struct eye_endpoint *endpoint);
/* The next number of a peer over all shares of an endpoint. */
uint64_t share_number(const struct eye_endpoint *endpoint);

/* ---- from listen.c ---- */

/* Begins to listen on a socket that is bound. */
int listen_on(const struct eye_endpoint *endpoint, int fd);
/* A listener over a descriptor that listens, which it owns from then on; on failure that is closed. */
int listener_adopt(eye_loop *loop, const struct eye_endpoint *endpoint, int fd, eye_listener **ret_listener,
                   struct eye_err *reterr);

#endif
