/* ip.h: what sockets of the Internet protocols have in common. */
#ifndef SOCKEYE_IP_H
#define SOCKEYE_IP_H

#include "net/net.h"

/* A socket option of type int, set where it applies. */
struct int_option {
    bool set;
    int level, name, value;
};

/* A socket to dial addr or to listen on it, with these options, the endpoint's buffers and device, and to
 * dial its local address: one of the other family cannot reach addr (-EAFNOSUPPORT). */
int ip_socket(const struct eye_endpoint *endpoint, const struct eye_addr *addr, bool listening, int type,
              const struct int_option *ints, size_t count);

int ip_bind(int fd, const struct eye_endpoint *endpoint, const struct eye_addr *addr, struct bound *ret_bound,
            struct eye_err *reterr);

#endif
