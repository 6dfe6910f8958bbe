/* share.c: the listening sockets of one endpoint on several loops.
 *
 * The first loop's are made as always. For each other loop there is a second socket on the same address,
 * which the kernel gives a share of the peers (SO_REUSEPORT, socket(7)), or where that does not exist a
 * duplicate of the one descriptor: then the loops compete for its peers. So they do on the engine thread,
 * whose loops come and want one peer each: there the duplicate is made when the share is taken. SO_REUSEPORT
 * is said when the first bind has found the port free, so that another server still meets EADDRINUSE.
 *
 * Refused: inherited descriptors, which may block in accept(2) when another loop was quicker; and streams of
 * datagrams' senders (serve.c), since the kernel may give a sender's first datagram to one loop and its
 * second to another. */
#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>

#include "net/net.h"
#include "net/share.h"
#include "sys/sys.h"

/* What all the shares of an endpoint have in common. */
struct shared {
    size_t references;
    uint64_t conns;
};

struct eye_share {
    struct shared *shared;
    bool first;
    size_t count;
    eye_listener *listeners[EYE_LISTENER_MAX]; /* the first's, until they are taken */
    int fds[EYE_LISTENER_MAX];                 /* the others', or with later those to duplicate */
    bool later;
};

bool share_tells(const struct eye_endpoint *e) {
    return !e->share || e->share->first;
}

uint64_t share_number(const struct eye_endpoint *e) {
    return __atomic_add_fetch(&e->share->shared->conns, 1, __ATOMIC_RELAXED);
}

int share_take(eye_loop *loop, const struct eye_endpoint *e, eye_listener **ret_listeners,
               struct eye_err *reterr) {
    struct eye_share *share = e->share;
    size_t count = share->count;
    if (!share->later)
        share->count = 0;
    for (size_t i = 0; i < count; i++) {
        ret_listeners[i] = share->listeners[i];
        int fd = share->fds[i];
        if (share->later)
            fd = fcntl(fd, F_DUPFD_CLOEXEC, 3);
        int r = share->first ? 0
                : fd < 0     ? net_fail(reterr, e, -errno, true)
                             : listener_adopt(loop, e, fd, &ret_listeners[i], reterr);
        if (r == 0)
            continue;
        for (size_t j = i + 1; j < count && !share->later; j++)
            close(share->fds[j]);
        while (i > 0)
            eye_listener_free(ret_listeners[--i]);
        return r;
    }
    return (int)count;
}

/* Another socket on the address of one that listens. */
static int listen_beside(const struct eye_endpoint *e, eye_listener *first) {
    struct slot *slot = listener_slot(first);
    struct eye_addr addr;
    int r = eye_listener_addr(first, &addr);
    if (r < 0)
        return r;
    if (addr.u.sa.sa_family == AF_UNIX) {
        slot->flags |= SLOT_SHARED;
        int fd = fcntl(slot->fd, F_DUPFD_CLOEXEC, 3);
        return fd < 0 ? -errno : fd;
    }
    r = sys_set_int(slot->fd, SOL_SOCKET, SO_REUSEPORT, 1);
    AUTO_FD int fd = r < 0 ? r : scheme_of(e)->socket(e, &addr, true);
    if (fd < 0)
        return fd;
    r = sys_set_int(fd, SOL_SOCKET, SO_REUSEPORT, 1);
    if (r == 0 && bind(fd, &addr.u.sa, addr.len) < 0)
        r = -errno;
    if (r == 0)
        r = listen_on(e, fd);
    if (r < 0)
        return r;
    int ret_fd = fd;
    fd = -1; /* the caller's now */
    return ret_fd;
}

static void share_free(struct eye_share *share) {
    for (size_t i = 0; i < share->count; i++) {
        if (share->first)
            eye_listener_free(share->listeners[i]);
        else if (!share->later)
            close(share->fds[i]);
    }
    if (--share->shared->references == 0)
        free(share->shared);
    free(share);
}

void eye_shares_done(struct eye_endpoint *shares, size_t count) {
    for (size_t i = 0; i < count; i++) {
        if (shares[i].share)
            share_free(shares[i].share);
        shares[i] = (struct eye_endpoint){0};
    }
}

/* Fills in the i-th of count shares; the first one has its listeners. */
static int share_open(struct eye_endpoint *shares, size_t i, size_t count) {
    struct eye_endpoint *e = &shares[i];
    assert(count > 0);
    struct eye_share *share = calloc(1, sizeof *share), *first = shares[0].share;
    if (!share)
        return -ENOMEM;
    share->first = i == 0;
    share->shared = first ? first->shared : calloc(1, sizeof *share->shared);
    if (!share->shared) {
        free(share);
        return -ENOMEM;
    }
    share->shared->references++;
    e->peers_max = e->peers_max / (int64_t)count + ((int64_t)i < e->peers_max % (int64_t)count);
    const struct eye_endpoint plain = *e;
    share->later = i > 0 && strcmp(eye_loop_engine(listener_slot(first->listeners[0])->loop), "thread") == 0;
    e->share = share;
    for (; i > 0 && share->count < first->count; share->count++) {
        struct slot *slot = listener_slot(first->listeners[share->count]);
        if (share->later)
            slot->flags |= SLOT_SHARED;
        int fd = share->later ? slot->fd : listen_beside(&plain, first->listeners[share->count]);
        if (fd < 0)
            return fd;
        share->fds[share->count] = fd;
    }
    return 0;
}

int eye_share(eye_loop *loop, const struct eye_endpoint *endpoint, size_t count,
              struct eye_endpoint *ret_shares, struct eye_err *reterr) {
    if (endpoint->scheme == EYE_FD)
        return err_set(reterr, EYE_ESYNTAX, EYE_FAIL_USAGE, "%s: an inherited socket is for one thread",
                       endpoint->text);
    if (endpoint->peers_max > 0 && (size_t)endpoint->peers_max < count)
        return err_set(reterr, EYE_ESYNTAX, EYE_FAIL_USAGE, "%s: max= is below the %zu threads",
                       endpoint->text, count);
    for (size_t i = 0; i < count; i++) {
        ret_shares[i] = *endpoint;
        ret_shares[i].share = NULL;
    }
    int r = share_open(ret_shares, 0, count);
    if (r < 0)
        return net_fail(reterr, endpoint, r, true);
    /* Its listeners know the share as their endpoint, which stays where it is. */
    struct eye_share *first = ret_shares[0].share;
    ret_shares[0].share = NULL;
    r = eye_listen(loop, &ret_shares[0], first->listeners, EYE_LISTENER_MAX, reterr);
    ret_shares[0].share = first;
    first->count = r < 0 ? 0 : (size_t)r;
    bool told = r < 0;
    for (size_t i = 1; i < count && r >= 0; i++)
        r = share_open(ret_shares, i, count);
    if (r >= 0)
        return 0;
    eye_shares_done(ret_shares, count);
    return told ? r : net_fail(reterr, endpoint, r, true);
}
