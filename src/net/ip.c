/* ip.c: see ip.h. ip(7), ipv6(7), socket(7) */
#include "net/ip.h"

#include <errno.h>
#include <string.h>

#include "sys/sys.h"

static int set_ints(int fd, const struct int_option *ints, size_t count) {
    for (size_t i = 0; i < count; i++) {
        int r = ints[i].set ? sys_set_int(fd, ints[i].level, ints[i].name, ints[i].value) : 0;
        if (r < 0)
            return r;
    }
    return 0;
}

static int set_options(int fd, const struct eye_endpoint *e, const struct int_option *ints, size_t count) {
    const struct int_option buffers[] = {
        {e->sndbuf_bytes > 0, SOL_SOCKET, SO_SNDBUF, (int)e->sndbuf_bytes},
        {e->rcvbuf_bytes > 0, SOL_SOCKET, SO_RCVBUF, (int)e->rcvbuf_bytes},
    };
    int r = set_ints(fd, ints, count);
    if (r == 0)
        r = set_ints(fd, buffers, ARRAY_LEN(buffers));
    if (r == 0 && e->device &&
        setsockopt(fd, SOL_SOCKET, SO_BINDTODEVICE, e->device, (socklen_t)strlen(e->device)) < 0)
        r = -errno;
    return r;
}

/* With its port 0, one is picked at connect, so that it need not be free for every peer (ip(7)). */
static int bind_local(int fd, const struct eye_endpoint *e, const struct eye_addr *addr) {
    if (e->bind->u.sa.sa_family != addr->u.sa.sa_family)
        return -EAFNOSUPPORT;
    if (eye_addr_port(e->bind) == 0)
        sys_set_int(fd, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, 1);
    return bind(fd, &e->bind->u.sa, e->bind->len) < 0 ? -errno : 0;
}

int ip_socket(const struct eye_endpoint *e, const struct eye_addr *addr, bool listening, int type,
              const struct int_option *ints, size_t count) {
    AUTO_FD int fd = sys_socket(addr->u.sa.sa_family, type, 0);
    if (fd < 0)
        return fd;
    int r = set_options(fd, e, ints, count);
    if (r == 0 && e->bind && !listening)
        r = bind_local(fd, e, addr);
    if (r < 0)
        return r;
    int ret_fd = fd;
    fd = -1; /* the caller's now */
    return ret_fd;
}

int ip_bind(int fd, const struct eye_endpoint *e, const struct eye_addr *addr, struct bound *ret_bound,
            struct eye_err *reterr) {
    *ret_bound = (struct bound){0};
    return bind(fd, &addr->u.sa, addr->len) < 0 ? net_fail(reterr, e, -errno, true) : 0;
}
