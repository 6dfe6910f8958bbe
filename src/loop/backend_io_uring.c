/* backend_io_uring.c: io_uring(7), by liburing.
 *
 * What waits in a slot's queue is asked for on the ring, and all that was asked for in a turn goes to the
 * kernel in the one call that also waits. By its kind's row an operation is
 *   - a receive or an accept: armed once for each descriptor and told again and again (multishot). What comes
 *     before it is asked for is kept *ahead* of the slot's queue, see below;
 *   - a send: made on the ring with MSG_DONTWAIT, so that it ends inside the call that brings it there and
 *     never waits in the kernel with somebody's memory;
 *   - anything else: polled on the ring, once; then its perform makes the system call, as with any engine.
 *
 * What comes ahead stands in buffers of the kernel's choice (pool.h). They are lent on as they are, and an
 * answer that is lent bytes goes from where they came to. A slot that nobody receives from when the turn ends
 * gets its bytes copied to memory of its own and its receive cancelled: so a peer that is stuck starves
 * nobody of buffers, and costs what one turn brought.
 *
 * Nothing is in flight when a descriptor is closed, since the kernel would hold it open, without a FIN: it is
 * cancelled and reaped first. That is rare: a peer's end is also the end of its receive.
 *
 * Never a polling thread in the kernel (SQPOLL): it burns a core. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <poll.h>
#include <sys/socket.h>

#include "loop/backend.h"
#include "loop/pool.h"
#include "sys/sys.h"

#define SUBMISSIONS   512U
#define COMPLETIONS   4096U
#define FDS_AHEAD_MAX 64

/* Messages are received one to an entry of the small pool, a stream's bytes into entries of the large one. No
 * bundles of entries (since Linux 6.10): the kernel goes on past the length that was asked for, to the end of
 * the pool, and a peer that is stuck would cost that much. */
enum { SMALL, LARGE, POOLS };
#define SMALL_BYTES 512U
#define LARGE_BYTES (128U * 1024)

/* What a slot has in flight: bits of slot->flight, and with the slot's address the requests' names. */
enum { RECV = 1, ACCEPT, WAIT_IN, WAIT_OUT, SEND, KIND_MAX };
#define BIT(kind)  (1U << (kind))
#define INTO_LARGE BIT(0) /* the receive in flight is of a stream's bytes */
#define STREAMS    BIT(6) /* what came last filled a small entry */
#define STOPPING   BIT(7) /* its receive or accept is being cancelled */
#define BITS_AHEAD (BIT(RECV) | BIT(ACCEPT))

/* No end has come yet. */
#define GOES_ON 1

/* What has come for a slot before it was asked for; slot->position is its place among all of them. */
struct ahead {
    struct slot *slot;
    struct piece *first, *last;
    int64_t end; /* what comes after the pieces: 0, an error, or GOES_ON */
    int *fds;    /* accepted */
    int fd_count, fd_next;
};

struct ring_state {
    struct io_uring ring;
    bool enabled, deferred;
    struct ahead *aheads;
    int32_t count, size, armed; /* armed: slots with a receive or accept in flight */
    struct piece *dropped;      /* lent this turn; go when the next one begins */
    struct piece *lent;         /* the one lent last, and what of it */
    struct eye_bytes lent_bytes;
    struct pool pool[POOLS];
};

/* ---- making and ending ---- */

/* From the best to what Linux 5.11 has. The ring is enabled when the loop first runs, by the thread that will
 * be the only one to use it. */
static const unsigned setups[] = {
    IORING_SETUP_R_DISABLED | IORING_SETUP_CQSIZE | IORING_SETUP_SINGLE_ISSUER | IORING_SETUP_DEFER_TASKRUN,
    IORING_SETUP_R_DISABLED | IORING_SETUP_CQSIZE | IORING_SETUP_COOP_TASKRUN,
    IORING_SETUP_R_DISABLED | IORING_SETUP_CQSIZE,
};

static int ring_init(struct io_uring *ring, bool *ret_deferred) {
    int r = -EINVAL;
    unsigned features = 0;
    for (size_t i = 0; i < ARRAY_LEN(setups) && r == -EINVAL; i++) {
        struct io_uring_params params = {.flags = setups[i], .cq_entries = COMPLETIONS};
        r = io_uring_queue_init_params(SUBMISSIONS, ring, &params);
        features = params.features;
        *ret_deferred = i == 0;
    }
    if (r >= 0 && !(features & IORING_FEAT_EXT_ARG)) {
        io_uring_queue_exit(ring);
        return -ENOSYS; /* cannot wait for a limited time */
    }
    return r;
}

static int ring_open(eye_loop *loop) {
    struct ring_state *state = calloc(1, sizeof *state);
    if (!state)
        return -ENOMEM;
    int r = ring_init(&state->ring, &state->deferred);
    if (r < 0) {
        free(state);
        return r;
    }
    loop->backend_state = state;
    if (pool_open(&state->pool[LARGE], &state->ring, LARGE, 32, LARGE_BYTES, false) >= 0 &&
        pool_open(&state->pool[SMALL], &state->ring, SMALL, 512, SMALL_BYTES, true) >= 0)
        loop->ahead =
            1U << RING_RECV | 1U << RING_ACCEPT; /* kernels with the former (5.19) have the latter */
    loop->ahead |= 1U << RING_SEND;
    return 0;
}

/* Without what Linux 6.1 brought it loses to epoll. */
static bool ring_serves_well(const eye_loop *loop) {
    const struct ring_state *state = loop->backend_state;
    return state->deferred && state->pool[SMALL].ring;
}

static void drop(struct ring_state *state, struct piece *piece) {
    piece_drop(&state->pool[pool_has(&state->pool[LARGE], piece) ? LARGE : SMALL], piece);
}

static void drop_lent(struct ring_state *state) {
    while (state->dropped) {
        struct piece *piece = state->dropped;
        state->dropped = piece->next;
        drop(state, piece);
    }
    state->lent = NULL;
}

static void ring_close(eye_loop *loop) {
    struct ring_state *state = loop->backend_state;
    drop_lent(state);
    io_uring_queue_exit(&state->ring);
    pool_close(&state->pool[SMALL]);
    pool_close(&state->pool[LARGE]);
    free(state->aheads);
    free(state);
}

/* ---- what is ahead ---- */

static struct ahead *ahead_of(const struct ring_state *state, const struct slot *slot) {
    return slot->position < 0 ? NULL : &state->aheads[slot->position];
}

/* There is always room for every slot that is armed and every one that has something. */
static int ahead_reserve(struct ring_state *state) {
    if (state->count + state->armed < state->size)
        return 0;
    int32_t size = MAX(state->size * 2, 64);
    struct ahead *aheads = realloc(state->aheads, (size_t)size * sizeof *aheads);
    if (!aheads)
        return -ENOMEM;
    state->aheads = aheads;
    state->size = size;
    return 0;
}

static struct ahead *ahead_make(struct ring_state *state, struct slot *slot) {
    if (slot->position < 0) {
        slot->position = state->count++;
        state->aheads[slot->position] = (struct ahead){.slot = slot, .end = GOES_ON};
    }
    return &state->aheads[slot->position];
}

/* Takes it out when it is empty: the last one moves into the gap. */
static void ahead_settle(struct ring_state *state, struct slot *slot) {
    struct ahead *ahead = ahead_of(state, slot);
    if (ahead->first || ahead->end != GOES_ON || ahead->fd_next < ahead->fd_count)
        return;
    free(ahead->fds);
    *ahead = state->aheads[--state->count];
    ahead->slot->position = slot->position;
    slot->position = -1;
    slot->ready &= (uint8_t)~WAY_IN;
}

static void ahead_add(const struct pool *pool, struct ahead *ahead, struct piece *piece) {
    struct piece *last = ahead->last;
    if (!ahead->first) {
        ahead->first = ahead->last = piece;
    } else if (pool_follows(pool, last, piece)) {
        last->size += piece->size;
        last->count += piece->count;
    } else {
        last->next = piece;
        ahead->last = piece;
    }
}

/* Takes the first piece off; its memory stays until the next turn. */
static void ahead_shift(struct ring_state *state, struct ahead *ahead) {
    struct piece *piece = ahead->first;
    ahead->first = piece->next;
    piece->next = state->dropped;
    state->dropped = piece;
}

static void ahead_forget(struct ring_state *state, struct slot *slot) {
    struct ahead *ahead = ahead_of(state, slot);
    if (!ahead)
        return;
    while (ahead->first)
        ahead_shift(state, ahead);
    /* Connections that nobody took: they see a reset, as those do that the kernel had not given out yet. */
    while (ahead->fd_next < ahead->fd_count) {
        sys_set_reset(ahead->fds[ahead->fd_next]);
        close(ahead->fds[ahead->fd_next++]);
    }
    ahead->end = GOES_ON;
    ahead_settle(state, slot);
}

/* ---- asking ---- */

static struct io_uring_sqe *ring_sqe(struct ring_state *state) {
    struct io_uring_sqe *sqe = io_uring_get_sqe(&state->ring);
    for (int tries = 0; !sqe && tries < 8; tries++) {
        io_uring_submit(&state->ring);
        sqe = io_uring_get_sqe(&state->ring);
    }
    return sqe;
}

static void ring_name(struct io_uring_sqe *sqe, struct slot *slot, unsigned kind) {
    io_uring_sqe_set_data64(sqe, (uintptr_t)slot | kind);
    slot->flight |= (uint8_t)BIT(kind);
}

/* A stream's bytes are received when they are asked for, messages as they come. */
static void prepare_recv(struct io_uring_sqe *sqe, struct slot *slot) {
    if (slot->flight & STREAMS) {
        io_uring_prep_recv(sqe, slot->fd, NULL, LARGE_BYTES, 0);
        slot->flight |= INTO_LARGE;
    } else {
        io_uring_prep_recv_multishot(sqe, slot->fd, NULL, 0, 0);
        slot->flight &= (uint8_t)~INTO_LARGE;
    }
    sqe->flags |= IOSQE_BUFFER_SELECT;
    sqe->buf_group = slot->flight & INTO_LARGE ? LARGE : SMALL;
}

static void prepare(struct io_uring_sqe *sqe, struct slot *slot, unsigned kind) {
    switch (kind) {
    case RECV:
        prepare_recv(sqe, slot);
        break;
    case ACCEPT:
        io_uring_prep_multishot_accept(sqe, slot->fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
        break;
    default:
        io_uring_prep_poll_add(sqe, slot->fd, kind == WAIT_IN ? POLLIN | POLLRDHUP : POLLOUT);
        break;
    }
}

static int arm(struct ring_state *state, struct slot *slot, unsigned kind) {
    if (slot->flight & BIT(kind))
        return 0;
    int r = BIT(kind) & BITS_AHEAD ? ahead_reserve(state) : 0;
    if (r < 0)
        return r;
    struct io_uring_sqe *sqe = ring_sqe(state);
    if (!sqe)
        return -ENOMEM;
    prepare(sqe, slot, kind);
    ring_name(sqe, slot, kind);
    state->armed += BIT(kind) & BITS_AHEAD ? 1 : 0;
    return 0;
}

/* How the head of the queue is asked for. */
static unsigned kind_in(const struct slot *slot) {
    enum ring_form form = op_of(ring_head(slot->tail[EYE_IN]))->kind->ring;
    if (slot->flight & BITS_AHEAD)
        return 0; /* what is in flight tells, whoever asks */
    return !slot_on_ring(slot, form) ? WAIT_IN : form == RING_RECV ? RECV : ACCEPT;
}

static int ring_set(eye_loop *loop, struct slot *slot) {
    struct ring_state *state = loop->backend_state;
    int r = 0;
    if ((slot->wanted & WAY_IN) && slot->position >= 0) {
        slot_ready(slot, WAY_IN, false);
    } else if (slot->wanted & WAY_IN) {
        unsigned kind = kind_in(slot);
        r = kind ? arm(state, slot, kind) : 0;
    }
    if (r == 0 && (slot->wanted & WAY_OUT) && !(slot->flight & BIT(SEND)))
        r = arm(state, slot, WAIT_OUT);
    return r;
}

static void stop(struct ring_state *state, struct slot *slot, unsigned kind) {
    struct io_uring_sqe *sqe = ring_sqe(state);
    if (!sqe)
        return;
    io_uring_prep_cancel64(sqe, (uintptr_t)slot | kind, 0);
    io_uring_sqe_set_data64(sqe, 0);
    if (BIT(kind) & BITS_AHEAD)
        slot->flight |= STOPPING;
}

/* ---- what the kernel tells ---- */

static void told_recv(struct ring_state *state, struct slot *slot, const struct io_uring_cqe *cqe) {
    if (cqe->flags & IORING_CQE_F_BUFFER) {
        struct pool *pool = &state->pool[slot->flight & INTO_LARGE ? LARGE : SMALL];
        struct piece *piece =
            pool_take(pool, cqe->flags >> IORING_CQE_BUFFER_SHIFT, (size_t)MAX(cqe->res, 0));
        if (cqe->res > 0)
            ahead_add(pool, ahead_make(state, slot), piece);
        else
            piece_drop(pool, piece);
        bool streams = cqe->res >= (int)SMALL_BYTES;
        slot->flight = (uint8_t)(streams ? slot->flight | STREAMS : slot->flight & ~STREAMS);
        if (streams && (cqe->flags & IORING_CQE_F_MORE) && !(slot->flight & STOPPING))
            stop(state, slot, RECV);
    }
    switch (cqe->res) {
    case -ENOBUFS:
    case -ECANCELED:
        break;
    case -EINVAL: /* a kernel without multishot receives (before 6.0): they are polled for from now on */
        slot->loop->ahead &= (uint8_t) ~(1U << RING_RECV);
        break;
    default:
        if (cqe->res <= 0)
            ahead_make(state, slot)->end = cqe->res;
    }
}

static void told_accept(struct ring_state *state, struct slot *slot, const struct io_uring_cqe *cqe) {
    if (cqe->res == -ECANCELED)
        return;
    struct ahead *ahead = ahead_make(state, slot);
    /* As many as that wait here, the others in the kernel's queue. */
    if (ahead->fd_count - ahead->fd_next == FDS_AHEAD_MAX && !(slot->flight & STOPPING))
        stop(state, slot, ACCEPT);
    if (cqe->res < 0) {
        ahead->end = cqe->res;
        return;
    }
    if (ahead->fd_count % FDS_AHEAD_MAX == 0) {
        int *fds = realloc(ahead->fds, (size_t)(ahead->fd_count + FDS_AHEAD_MAX) * sizeof *fds);
        if (!fds) {
            sys_set_reset(cqe->res);
            close(cqe->res);
            ahead->end = -ENOMEM;
            return;
        }
        ahead->fds = fds;
    }
    ahead->fds[ahead->fd_count++] = cqe->res;
}

static void told_send(struct slot *slot, int result) {
    eye_op *op = ring_head(slot->tail[EYE_OUT]);
    struct op *p = op_of(op);
    if (result == -EAGAIN) {
        /* It may take long: what it sends of ours is copied. */
        int r = p->kind->keep ? p->kind->keep(op) : 0;
        if (r == 0 && ring_set(slot->loop, slot) == 0)
            return;
        result = -ENOMEM;
    }
    if (result >= 0)
        p->moved += result;
    else if (result != -EINTR)
        p->code = result;
    slot_ready(slot, WAY_OUT, false);
}

static void told(struct ring_state *state, const struct io_uring_cqe *cqe) {
    unsigned kind = cqe->user_data & 7;
    struct slot *slot = (struct slot *)(uintptr_t)(cqe->user_data & ~UINT64_C(7)); // NOLINT
    if (!slot)
        return;
    if (!(cqe->flags & IORING_CQE_F_MORE)) {
        slot->flight &= (uint8_t) ~(BIT(kind) | (BIT(kind) & BITS_AHEAD ? STOPPING : 0));
        state->armed -= BIT(kind) & BITS_AHEAD ? 1 : 0;
    }
    switch (kind) {
    case SEND:
        told_send(slot, cqe->res);
        return;
    case WAIT_IN:
        slot_ready(slot, WAY_IN, false);
        return;
    case WAIT_OUT:
        slot_ready(slot, WAY_OUT, false);
        return;
    case RECV:
        told_recv(state, slot, cqe);
        break;
    default:
        told_accept(state, slot, cqe);
        break;
    }
    if (slot->position >= 0)
        slot_ready(slot, WAY_IN, false);
    else if (slot->wanted & WAY_IN)
        ring_set(slot->loop, slot); /* it ended with nothing to tell: armed anew */
}

static void told_all(struct ring_state *state) {
    struct io_uring_cqe *cqe;
    unsigned head, count = 0;
    io_uring_for_each_cqe(&state->ring, head, cqe) {
        told(state, cqe);
        count++;
    }
    io_uring_cq_advance(&state->ring, count);
}

/* ---- waiting ---- */

static void ring_enable(struct ring_state *state) {
    if (!state->enabled)
        io_uring_register((unsigned)state->ring.ring_fd, IORING_REGISTER_ENABLE_RINGS, NULL, 0);
    state->enabled = true;
}

/* What nobody has taken leaves the pool. */
static void ahead_spill(struct ring_state *state, struct ahead *ahead) {
    if (ahead->slot->tail[EYE_IN])
        return;
    for (struct piece **at = &ahead->first; *at; at = &(*at)->next) {
        struct piece *copy = (*at)->count ? piece_copy(*at) : NULL;
        if (!copy)
            continue;
        copy->next = (*at)->next;
        if (ahead->last == *at)
            ahead->last = copy;
        drop(state, *at);
        *at = copy;
    }
    if ((ahead->slot->flight & BITS_AHEAD) && !(ahead->slot->flight & STOPPING))
        stop(state, ahead->slot, ahead->slot->flight & BIT(RECV) ? RECV : ACCEPT);
}

static int ring_wait(eye_loop *loop, int64_t timeout_ns) {
    struct ring_state *state = loop->backend_state;
    ring_enable(state);
    drop_lent(state);
    for (int32_t i = 0; i < state->count; i++)
        ahead_spill(state, &state->aheads[i]);
    struct __kernel_timespec limit = {.tv_sec = timeout_ns / NS_PER_S, .tv_nsec = timeout_ns % NS_PER_S};
    struct io_uring_cqe *cqe;
    int r = timeout_ns == 0 ? io_uring_submit_and_get_events(&state->ring)
                            : io_uring_submit_and_wait_timeout(&state->ring, &cqe, 1,
                                                               timeout_ns < 0 ? NULL : &limit, NULL);
    told_all(state);
    bool again = r == -ETIME || r == -EINTR || r == -EAGAIN || r == -EBUSY;
    return again ? 0 : MIN(r, 0);
}

/* Cancels what the slot has in flight of these kinds, and waits until the kernel has let go of it. */
static void reap(struct ring_state *state, struct slot *slot, unsigned bits) {
    if (!(slot->flight & bits))
        return;
    if (bits & BITS_AHEAD)
        slot->wanted &= (uint8_t)~WAY_IN; /* or it would be armed anew */
    ring_enable(state);
    for (unsigned kind = RECV; kind < KIND_MAX; kind++)
        if ((slot->flight & bits & BIT(kind)) && kind != SEND)
            stop(state, slot, kind);
    int r = io_uring_submit(&state->ring); /* a send ends in here */
    told_all(state);
    while ((slot->flight & bits) && (r >= 0 || r == -EINTR || r == -EAGAIN || r == -EBUSY)) {
        r = io_uring_submit_and_wait(&state->ring, 1);
        told_all(state);
    }
}

static void ring_recall(eye_loop *loop, struct slot *slot, unsigned ways) {
    reap(loop->backend_state, slot, (ways & WAY_IN ? BITS_AHEAD : 0U) | (ways & WAY_OUT ? BIT(SEND) : 0U));
}

static void ring_forget(eye_loop *loop, struct slot *slot) {
    struct ring_state *state = loop->backend_state;
    slot->wanted = 0;
    reap(state, slot, BIT(KIND_MAX) - BIT(RECV));
    ahead_forget(state, slot);
}

/* ---- calls that the ring makes ---- */

/* Faults that tests put in. */
static int64_t fault(const char *call, const struct slot *slot, size_t *size) {
    int64_t r = 0;
    do
        r = sys_fault ? sys_fault(call, slot->fd, size) : 0;
    while (r == -EINTR);
    return r;
}

static int64_t ring_recv(struct slot *slot, struct eye_bytes *ret_bytes, size_t size) {
    struct ring_state *state = slot->loop->backend_state;
    struct ahead *ahead = ahead_of(state, slot);
    if (!ahead)
        return -EAGAIN;
    int64_t n = fault("recv", slot, &size);
    if (n < 0)
        return n;
    struct piece *piece = ahead->first;
    if (piece) {
        n = (int64_t)MIN(piece->size, size);
        *ret_bytes = (struct eye_bytes){.data = piece->data, .size = (size_t)n};
        piece->data += n;
        piece->size -= (size_t)n;
        state->lent = piece;
        state->lent_bytes = *ret_bytes;
        if (piece->size == 0)
            ahead_shift(state, ahead);
    } else {
        n = ahead->end;
        ahead->end = GOES_ON;
        *ret_bytes = (struct eye_bytes){0};
    }
    ahead_settle(state, slot);
    return n;
}

static int ring_accept(struct slot *slot) {
    struct ring_state *state = slot->loop->backend_state;
    struct ahead *ahead = ahead_of(state, slot);
    size_t none = 0;
    if (!ahead)
        return -EAGAIN;
    int64_t r = fault("accept", slot, &none);
    if (r < 0)
        return (int)r;
    if (ahead->fd_next < ahead->fd_count) {
        r = ahead->fds[ahead->fd_next++];
    } else {
        r = ahead->end;
        ahead->end = GOES_ON;
    }
    ahead_settle(state, slot);
    return (int)r;
}

static int64_t ring_send(struct slot *slot, const void *data, size_t size) {
    struct ring_state *state = slot->loop->backend_state;
    int64_t r = fault("send", slot, &size);
    if (r < 0)
        return r;
    struct io_uring_sqe *sqe = ring_sqe(state);
    if (!sqe)
        return -ENOMEM;
    io_uring_prep_send(sqe, slot->fd, data, size, MSG_DONTWAIT | MSG_NOSIGNAL);
    ring_name(sqe, slot, SEND);
    return -EAGAIN;
}

static void *ring_hold(eye_loop *loop, const void *data, size_t size) {
    const struct ring_state *state = loop->backend_state;
    const struct eye_bytes *lent = &state->lent_bytes;
    const uint8_t *from = data;
    if (!state->lent || from < lent->data || from + size > lent->data + lent->size)
        return NULL;
    state->lent->users++;
    return state->lent;
}

static void ring_let_go(eye_loop *loop, void *held) {
    drop(loop->backend_state, held);
}

const struct backend backend_io_uring = {
    .name = "io_uring",
    .since = "Linux 5.11",
    .open = ring_open,
    .close = ring_close,
    .set = ring_set,
    .forget = ring_forget,
    .wait = ring_wait,
    .serves_well = ring_serves_well,
    .recall = ring_recall,
    .recv = ring_recv,
    .accept = ring_accept,
    .send = ring_send,
    .hold = ring_hold,
    .let_go = ring_let_go,
};
