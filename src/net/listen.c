/* listen.c: listening and accepting, over the rows of schemes. */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>

#include "net/inbox.h"
#include "net/net.h"
#include "net/senders.h"
#include "net/share.h"
#include "sys/sys.h"

struct eye_listener {
    const struct eye_endpoint *endpoint;
    const struct scheme *scheme;
    struct bound bound;
    char *kept_path;        /* bound's, once the endpoint may have gone */
    struct list peers;      /* the inboxes of a UDP listener's peers */
    struct senders senders; /* the peers of one of Unix datagrams */
    struct tls_port *tls;   /* of a tls endpoint */
    struct slot slot;
};

int listen_on(const struct eye_endpoint *e, int fd) {
    if (eye_endpoint_endless(e))
        return 0;
    /* Linux cuts the backlog to net.core.somaxconn. */
    return listen(fd, e->backlog > 0 ? e->backlog : SOMAXCONN) < 0 ? -errno : 0;
}

/* A socket that is bound and listens. */
static int make_listening(const struct eye_endpoint *e, const struct eye_addr *addr, struct bound *ret_bound,
                          struct eye_err *reterr) {
    const struct scheme *scheme = scheme_of(e);
    AUTO_FD int fd = scheme->socket(e, addr, true);
    if (fd < 0)
        return net_fail(reterr, e, fd, true);
    AUTO_FD int lock = scheme->lock ? scheme->lock(e) : -1;
    int r = scheme->bind(fd, e, addr, ret_bound, reterr);
    if (r < 0)
        return r;
    /* The peers' sockets share the address. Said only now, so that a second server meets EADDRINUSE. */
    r = e->scheme == EYE_UDP ? sys_set_int(fd, SOL_SOCKET, SO_REUSEPORT, 1) : 0;
    if (r == 0)
        r = listen_on(e, fd);
    if (r < 0) {
        if (scheme->unbind)
            scheme->unbind(ret_bound);
        return net_fail(reterr, e, r, true);
    }
    int ret_fd = fd;
    fd = -1; /* the caller's now */
    return ret_fd;
}

static void listener_release(eye_listener *listener) {
    if (listener->scheme->unbind)
        listener->scheme->unbind(&listener->bound);
    slot_detach(&listener->slot);
    close(listener->slot.fd);
    free(listener->kept_path);
    free(listener);
}

static void senders_released(struct senders *senders) {
    listener_release(eye_container_of(senders, eye_listener, senders));
}

/* A listener over a descriptor, which it owns from then on; on failure that is closed. */
static int listener_over(eye_loop *loop, const struct eye_endpoint *e, int fd, unsigned slot_flags,
                         const struct bound *bound, eye_listener **ret_listener, struct eye_err *reterr) {
    eye_listener *listener = calloc(1, sizeof *listener);
    slot_flags |= SLOT_SOCKET | (eye_endpoint_endless(e) ? SLOT_ENDLESS : 0);
    int r = listener ? slot_open(loop, &listener->slot, fd, slot_flags) : -ENOMEM;
    if (r < 0) {
        if (scheme_of(e)->unbind)
            scheme_of(e)->unbind(bound);
        close(fd);
        free(listener);
        return net_fail(reterr, e, r, true);
    }
    listener->endpoint = e;
    listener->scheme = scheme_of(e);
    listener->bound = *bound;
    list_init(&listener->peers);
    senders_init(&listener->senders, &listener->slot, senders_released);
    r = e->scheme == EYE_TLS ? tls_port_new(listener, loop, e, &listener->tls, reterr) : 0;
    if (r < 0) {
        eye_listener_free(listener);
        return r;
    }
    *ret_listener = listener;
    return 0;
}

int listener_adopt(eye_loop *loop, const struct eye_endpoint *e, int fd, eye_listener **ret_listener,
                   struct eye_err *reterr) {
    const struct bound none = {0};
    return listener_over(loop, e, fd, SLOT_SHARED, &none, ret_listener, reterr);
}

/* Listens on an address, or without one on a descriptor that listens already, whose O_NONBLOCK is left alone.
 */
static int listener_new(eye_loop *loop, const struct eye_endpoint *e, const struct eye_addr *addr,
                        eye_listener **ret_listener, struct eye_err *reterr) {
    struct bound bound = {0};
    int fd = addr ? make_listening(e, addr, &bound, reterr) : scheme_of(e)->listening(loop, e, reterr);
    if (fd < 0)
        return fd;
    unsigned slot_flags = addr ? 0 : SLOT_SHARED | (fcntl(fd, F_GETFL) & O_NONBLOCK ? 0 : SLOT_BLOCKING);
    return listener_over(loop, e, fd, slot_flags, &bound, ret_listener, reterr);
}

/* No host was named: one IPv6 socket takes both families (RFC 3493, 5.3), or IPv4 alone where this host
 * has no IPv6. */
static int listen_anywhere(eye_loop *loop, const struct eye_endpoint *e, eye_listener **ret_listener,
                           const struct eye_addrs *addrs, struct eye_err *reterr) {
    int r = -EAFNOSUPPORT;
    for (int pass = 0; pass < 2; pass++)
        for (size_t i = 0; i < addrs->count; i++) {
            if ((addrs->list[i].u.sa.sa_family == AF_INET6) != (pass == 0))
                continue;
            r = listener_new(loop, e, &addrs->list[i], ret_listener, reterr);
            if (r != -EAFNOSUPPORT)
                return r;
        }
    return r;
}

static int listen_everywhere(eye_loop *loop, const struct eye_endpoint *e, eye_listener **ret_listeners,
                             size_t max, const struct eye_addrs *addrs, struct eye_err *reterr) {
    size_t count = 0;
    for (size_t i = 0; i < addrs->count && count < max; i++) {
        int r = listener_new(loop, e, &addrs->list[i], &ret_listeners[count], reterr);
        if (r < 0) {
            while (count > 0)
                eye_listener_free(ret_listeners[--count]);
            return r;
        }
        count++;
    }
    return (int)count;
}

int eye_listen(eye_loop *loop, const struct eye_endpoint *e, eye_listener **ret_listeners, size_t max,
               struct eye_err *reterr) {
    if (e->share)
        return share_take(loop, e, ret_listeners, reterr);
    if (scheme_of(e)->listening) {
        int r = listener_new(loop, e, NULL, ret_listeners, reterr);
        return r < 0 ? r : 1;
    }
    if (!scheme_of(e)->bind)
        return err_set(reterr, EYE_ESYNTAX, EYE_FAIL_USAGE, "%s: %s cannot listen", e->text,
                       eye_scheme_name(e->scheme));
    if (e->bind)
        return err_set(reterr, EYE_ESYNTAX, EYE_FAIL_USAGE,
                       "%s: bind= names the address to dial from; a server's stands in its target", e->text);
    struct lookup lookup;
    int r = lookup_new(e, true, &lookup);
    if (r < 0)
        return net_fail(reterr, e, r, true);
    struct eye_addrs addrs;
    r = lookup_run(&lookup, false, &addrs, reterr);
    lookup_done(&lookup);
    if (r < 0)
        return r;
    if (e->host && !*e->host) {
        r = listen_anywhere(loop, e, ret_listeners, &addrs, reterr);
        r = r < 0 ? r : 1;
    } else {
        r = listen_everywhere(loop, e, ret_listeners, max, &addrs, reterr);
    }
    eye_addrs_done(&addrs);
    return r;
}

static bool has_senders(const eye_listener *listener) {
    return eye_endpoint_endless(listener->endpoint) && listener->endpoint->scheme == EYE_UNIX;
}

static int64_t perform_accept(struct slot *slot, eye_op *op) {
    eye_listener *listener = eye_container_of(slot, eye_listener, slot);
    if (eye_endpoint_endless(listener->endpoint))
        return inbox_accept(slot, listener->endpoint, &listener->peers, op_of(op)->u.io.ret);
    int64_t fd = io_accept_now(slot);
    if (fd < 0)
        return fd;
    eye_stream *stream;
    unsigned flags = listener->scheme->slot_flags(listener->endpoint, (int)fd);
    int r = stream_new(slot->loop, (int)fd, flags, &stream);
    if (r < 0) {
        sys_set_reset((int)fd); /* as stream_refuse does */
        close((int)fd);
        return r;
    }
    *(eye_stream **)op_of(op)->u.io.ret = stream;
    return 0;
}

static const struct op_kind op_accept = {
    .name = "accept", .way = EYE_IN, .ring = RING_ACCEPT, .perform = perform_accept};

void accept_plain(eye_listener *listener, eye_op *op, eye_stream **ret_stream, eye_done *done) {
    if (has_senders(listener)) {
        senders_accept(&listener->senders, op, ret_stream, done);
        return;
    }
    op_of(op)->u.io.ret = ret_stream;
    slot_submit(&listener->slot, op, &op_accept, done);
}

void eye_accept(eye_listener *listener, eye_op *op, eye_stream **ret_stream, eye_done *done) {
    if (listener->tls)
        tls_port_accept(listener->tls, op, ret_stream, done);
    else
        accept_plain(listener, op, ret_stream, done);
}

const struct eye_refusal *eye_listener_refusal(const eye_listener *listener) {
    return listener->tls ? tls_port_refusal(listener->tls) : NULL;
}

int eye_listener_pin(const eye_listener *listener, char *buf, size_t size) {
    return listener->tls ? tls_port_pin(listener->tls, buf, size) : -ENOENT;
}

/* Not those who wait on an inherited socket, where somebody else may serve them. */
static bool queue_is_ours(const eye_listener *listener) {
    return !eye_endpoint_endless(listener->endpoint) && listener->endpoint->scheme != EYE_FD;
}

void listener_keep_out(eye_listener *listener) {
    if (queue_is_ours(listener))
        sys_set_deaf(listener->slot.fd);
}

bool listener_waited_for(const eye_listener *listener) {
    return queue_is_ours(listener) &&
           (slot_has_ahead(&listener->slot) || sys_poll_now(listener->slot.fd, POLLIN) > 0);
}

void listener_watch(eye_listener *listener, void (*shaking_changed)(void *user, int change), void *user) {
    if (listener->tls)
        tls_port_watch(listener->tls, shaking_changed, user);
}

struct slot *listener_slot(eye_listener *listener) {
    return &listener->slot;
}

int eye_listener_addr(const eye_listener *listener, struct eye_addr *ret_addr) {
    struct eye_addr addr = {.len = sizeof addr.u};
    if (getsockname(listener->slot.fd, &addr.u.sa, &addr.len) < 0)
        return -errno;
    *ret_addr = addr;
    return 0;
}

eye_listener *eye_listener_free(eye_listener *listener) {
    if (!listener)
        return NULL;
    tls_port_free(listener->tls);
    inbox_abandon(&listener->peers);
    if (!has_senders(listener)) {
        listener_release(listener);
        return NULL;
    }
    /* Accepted senders go on, to the path that they know, and may outlive the endpoint. */
    listener->kept_path = listener->bound.path ? strdup(listener->bound.path) : NULL;
    if (!listener->kept_path && listener->scheme->unbind)
        listener->scheme->unbind(&listener->bound);
    listener->bound.path = listener->kept_path;
    senders_close(&listener->senders);
    return NULL;
}
