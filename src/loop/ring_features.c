/* ring_features.c: each thing that came to io_uring after Linux 5.11 and that the engine uses is tried on a
 * small ring of its own. What a kernel does not know it answers by EINVAL. */
#include "loop/ring_features.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>

#include "base/base.h"

#ifdef HAVE_LIBURING
#include "loop/pool.h"
#include "sys/sys.h"

#define ENTRIES     8U
#define ENTRY_BYTES 512U

struct trial {
    struct io_uring ring;
    struct pool pool;
    int fd[2]; /* the one that is tried, and its peer */
};

static int absent(int r) {
    return r == -EINVAL ? -ENOSYS : r;
}

static struct trial *trial_free(struct trial *t) {
    for (int i = 0; i < 2; i++)
        if (t->fd[i] >= 0)
            close(t->fd[i]);
    io_uring_queue_exit(&t->ring);
    pool_close(&t->pool);
    free(t);
    return NULL;
}

static int trial_new(struct trial **ret_trial) {
    struct trial *t = calloc(1, sizeof *t);
    if (!t)
        return -ENOMEM;
    int r = io_uring_queue_init(ENTRIES, &t->ring, 0);
    if (r < 0) {
        free(t);
        return r;
    }
    t->fd[0] = t->fd[1] = -1;
    *ret_trial = t;
    return 0;
}

/* What the request that was prepared first tells: its result, which is to be followed by more. */
static int trial_told(struct trial *t, bool more) {
    struct io_uring_cqe *cqe;
    struct __kernel_timespec limit = {.tv_sec = 1};
    int r = io_uring_wait_cqe_timeout(&t->ring, &cqe, &limit);
    if (r < 0)
        return r;
    r = cqe->res >= 0 && more && !(cqe->flags & IORING_CQE_F_MORE) ? -EINVAL : cqe->res;
    io_uring_cqe_seen(&t->ring, cqe);
    return r;
}

static int try_one_issuer(void) {
    struct io_uring ring;
    int r = io_uring_queue_init(ENTRIES, &ring, IORING_SETUP_SINGLE_ISSUER | IORING_SETUP_DEFER_TASKRUN);
    if (r < 0)
        return absent(r);
    io_uring_queue_exit(&ring);
    return 0;
}

static int accepts(struct trial *t) {
    struct sockaddr_un addr = {.sun_family = AF_UNIX}; /* the kernel picks an abstract name (unix(7)) */
    socklen_t size = sizeof addr;
    t->fd[0] = sys_socket(AF_UNIX, SOCK_STREAM, 0);
    t->fd[1] = sys_socket(AF_UNIX, SOCK_STREAM, 0);
    if (t->fd[0] < 0 || t->fd[1] < 0 ||
        bind(t->fd[0], (struct sockaddr *)&addr, sizeof addr.sun_family) < 0 || listen(t->fd[0], 1) < 0 ||
        getsockname(t->fd[0], (struct sockaddr *)&addr, &size) < 0 ||
        connect(t->fd[1], (struct sockaddr *)&addr, size) < 0)
        return -errno;
    io_uring_prep_multishot_accept(io_uring_get_sqe(&t->ring), t->fd[0], NULL, NULL, SOCK_CLOEXEC);
    int r = io_uring_submit(&t->ring);
    r = r < 0 ? r : trial_told(t, true);
    if (r >= 0)
        close(r);
    return r;
}

/* Receives what fills two entries, by one request. */
static int receives_again(struct trial *t) {
    static const uint8_t bytes[2 * ENTRY_BYTES];
    int r = pool_open(&t->pool, &t->ring, 0, ENTRIES, ENTRY_BYTES, true);
    if (r < 0)
        return r;
    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, t->fd) < 0)
        return -errno;
    int64_t n = sys_send(t->fd[1], bytes, sizeof bytes);
    if (n < 0)
        return (int)n;
    struct io_uring_sqe *sqe = io_uring_get_sqe(&t->ring);
    io_uring_prep_recv_multishot(sqe, t->fd[0], NULL, 0, 0);
    sqe->flags |= IOSQE_BUFFER_SELECT;
    r = io_uring_submit(&t->ring);
    r = r < 0 ? r : trial_told(t, true);
    return r >= 0 && (size_t)r != ENTRY_BYTES ? -EINVAL : MIN(r, 0);
}

static int has_pool(struct trial *t) {
    return pool_open(&t->pool, &t->ring, 0, ENTRIES, ENTRY_BYTES, true);
}

static int try_with(int (*use)(struct trial *t)) {
    struct trial *t;
    int r = trial_new(&t);
    if (r < 0)
        return r;
    r = use(t);
    trial_free(t);
    return absent(MIN(r, 0));
}

static int try_pool(void) {
    return try_with(has_pool);
}
static int try_accept(void) {
    return try_with(accepts);
}
static int try_recv(void) {
    return try_with(receives_again);
}
#else
static int left_out(void) {
    return -ENOPKG;
}
#define try_pool       left_out
#define try_accept     left_out
#define try_recv       left_out
#define try_one_issuer left_out
#endif

static const struct ring_feature features[] = {
    {"buffer-ring", "Linux 5.19", "polling, then the call", try_pool},
    {"multishot-accept", "Linux 5.19", "polling, then accept4", try_accept},
    {"multishot-receive", "Linux 6.0", "polling, then recv", try_recv},
    {"one-issuer", "Linux 6.1", "epoll, unless io_uring is asked for", try_one_issuer},
};

const struct ring_feature *ring_feature(size_t index) {
    return index < ARRAY_LEN(features) ? &features[index] : NULL;
}
