/* datagrams.h: a data handler on a datagram socket. */
#ifndef SOCKEYE_DATAGRAMS_H
#define SOCKEYE_DATAGRAMS_H

#include "flow/flow.h"
#include "loop/batch.h"

struct datagram_service;

/* Who is to be told: each datagram that admits lets pass, and the end, after the listener has been freed. */
struct datagram_client {
    void (*datagram)(void *user, struct eye_bytes bytes);
    void (*ended)(void *user);
    bool (*admits)(void *user, const struct eye_addr *peer);
    void *user;
};

/* To serve the listener's datagrams in batches, from datagrams_start on. NULL where memory is short. */
struct datagram_service *datagrams_new(eye_listener *listener, const struct datagram_client *client);
void datagrams_start(struct datagram_service *service);
/* Before the listener is freed, maybe from inside datagram: nothing more is told. */
void datagrams_stop(struct datagram_service *service);
/* From inside datagram: answers its sender, from the address that it came to; at least 16 times. */
void datagrams_answer(struct datagram_service *service, const void *data, size_t size);
bool datagrams_busy(const struct datagram_service *service);
/* The sender of the datagram that is being told. */
const struct eye_addr *datagrams_peer(const struct datagram_service *service);
struct datagram_service *datagrams_free(struct datagram_service *service);

#endif
