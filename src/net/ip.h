/* ip.h: what sockets of the Internet protocols have in common. */
#ifndef SOCKEYE_IP_H
#define SOCKEYE_IP_H

#include "net/net.h"

/* A socket option of type int, set where it applies. */
struct int_option {
    bool set;
    int level, name, value;
};

/* Sets these, the buffers and the device of the endpoint. */
int ip_set_options(int fd, const struct eye_endpoint *endpoint, const struct int_option *ints, size_t count);

/* Binds to the endpoint's bind=, to dial addr from there; one of the other family cannot reach it. */
int ip_bind_local(int fd, const struct eye_endpoint *endpoint, const struct eye_addr *addr);

int ip_bind(int fd, const struct eye_endpoint *endpoint, const struct eye_addr *addr, struct bound *ret_bound,
            struct eye_err *reterr);

#endif
