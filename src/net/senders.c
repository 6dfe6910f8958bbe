/* senders.c: senders of Unix datagrams as streams.
 *
 * Theory of operation. Only the listening socket itself can answer: no second one can be bound to its path,
 * and a sender that has connected takes datagrams from nobody else (EPERM; unix(7)). So each sender's stream
 * is one end of a socketpair(2) that keeps boundaries, and the listening socket stays in between: what it
 * receives is sorted into the pairs, and what a stream sends comes out of its pair and goes to the sender's
 * address. Both ways peek, pass on, and only then take, so a datagram that finds no room stays in the
 * kernel, and nothing is held here.
 *
 * Senders without an address (unbound ones, as syslog(3) has) cannot be told apart or answered: together they
 * are one stream, whose sending has ended from the beginning. A sender whose address has gone sees its stream
 * reset, since a pair that is closed with something unread says ECONNRESET.
 *
 * Unix datagrams are not lost, their senders wait; and all senders share the one queue of the listening
 * socket. So a stream that is not read holds up the others, too, until it is read or ended. Those that nobody
 * has accepted hold up nobody: what finds no room is dropped, as it is for more of them than wait here. */
#include "net/senders.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>

#include "net/net.h"
#include "sys/sys.h"

#define STRANGERS_MAX  64                /* senders that wait to be accepted */
#define TURN_MAX       64                /* datagrams that one perform moves */
#define PAUSE_NS       (100 * NS_PER_MS) /* where descriptors or memory are short */
#define BUSY_DELAY_NS  (10 * NS_PER_MS)  /* a receiver whose queue is full cannot be waited for */
#define LEAVE_LIMIT_NS (1 * NS_PER_S)    /* for what a stream has sent and its sender does not take */

struct sender {
    struct list node;
    struct senders *senders;
    struct eye_addr addr;
    eye_stream *stream; /* until it has left */
    struct slot pair;   /* our end */
    eye_op out_op;      /* carrying its answers, or waiting to try again */
    eye_op room_op;     /* waiting for room in the pair */
    bool accepted, gone;
    int64_t left_ns; /* when its stream left; 0: not yet */
};

static void sort_go_on(struct senders *all);

/* ---- one of them ---- */

static bool has_address(const struct sender *s) {
    return s->addr.len > sizeof s->addr.u.sa.sa_family;
}

const struct eye_addr *sender_addr(const struct sender *s) {
    return &s->addr;
}

int sender_fd(const struct sender *s) {
    return s->senders->slot->fd;
}

/* Frees it when its stream has left and nothing is under way; the last one may release them all. */
static void sender_settle(struct sender *s) {
    struct senders *all = s->senders;
    if (!s->gone || !s->left_ns || eye_op_pending(&s->out_op) || eye_op_pending(&s->room_op))
        return;
    free(s);
    all->count--;
    sort_go_on(all);
}

/* Nothing passes any more. What its stream has sent and nobody took makes its stream a reset one. */
static void sender_end(struct sender *s) {
    if (s->gone)
        return;
    s->gone = true;
    list_remove(&s->node);
    if (s->senders->full == s)
        s->senders->full = NULL;
    slot_detach(&s->pair);
    close(s->pair.fd);
}

/* Passes on what its stream has sent. Completes with 0 at the end of that, or with what it failed with:
 * -EBUSY where the sender has no room. */
static int64_t perform_answer(struct slot *slot, eye_op *op) {
    const struct sender *s = eye_container_of(slot, struct sender, pair);
    (void)op;
    for (int i = 0; i < TURN_MAX; i++) {
        struct iovec iov = {.iov_base = slot->loop->lend, .iov_len = LEND_BYTES};
        struct msghdr msg = {.msg_iov = &iov, .msg_iovlen = 1};
        int64_t n = sys_peekmsg(slot->fd, &msg);
        if (n < 0)
            return n;
        if (n == 0 && (sys_poll_now(slot->fd, POLLRDHUP) & POLLRDHUP))
            return 0;
        iov.iov_len = (size_t)n;
        msg.msg_name = (void *)(uintptr_t)&s->addr.u;
        msg.msg_namelen = s->addr.len;
        int64_t r = sys_sendmsg(s->senders->slot->fd, &msg);
        if (r < 0)
            return r == -EAGAIN ? -EBUSY : r;
        n = sys_recv(slot->fd, iov.iov_base, 0); /* takes all of it */
        if (n < 0)
            return n;
    }
    return OP_MORE;
}

static const struct op_kind op_answer = {.name = "answer", .way = EYE_IN, .perform = perform_answer};

static void answer_done(eye_op *op, int64_t result);

static void again(eye_op *op, int64_t result) {
    struct sender *s = eye_container_of(op, struct sender, out_op);
    (void)result;
    if (!s->gone)
        slot_submit(&s->pair, op, &op_answer, answer_done);
    else
        sender_settle(s);
}

static void answer_done(eye_op *op, int64_t result) {
    struct sender *s = eye_container_of(op, struct sender, out_op);
    eye_loop *loop = s->senders->slot->loop;
    bool in_time = !s->left_ns || loop->now_ns - s->left_ns < LEAVE_LIMIT_NS;
    if (result == -EBUSY && in_time && !s->gone) {
        eye_timer(loop, op, loop->now_ns + BUSY_DELAY_NS, again);
        return;
    }
    if (result < 0 || s->left_ns)
        sender_end(s);
    sender_settle(s);
}

void sender_leave(struct sender *s) {
    s->left_ns = s->senders->slot->loop->now_ns;
    s->stream = NULL;
    list_remove(&s->node);           /* what it sends from now on makes it a new one */
    if (!eye_op_pending(&s->out_op)) /* else that sees the end of what was sent */
        sender_end(s);
    sender_settle(s);
}

/* Takes both ends of the pair over on success. */
static int sender_open(struct sender *s, const int pair[2]) {
    eye_loop *loop = s->senders->slot->loop;
    int r = stream_new(loop, pair[0], SLOT_SOCKET | SLOT_MESSAGES | SLOT_ENDLESS, &s->stream);
    if (r < 0)
        return r;
    r = slot_open(loop, &s->pair, pair[1], SLOT_SOCKET | SLOT_MESSAGES);
    if (r < 0) {
        slot_detach(&s->stream->slot[0]);
        free(s->stream);
        return r;
    }
    s->stream->u.sender = s;
    s->stream->has_sender = true;
    if (has_address(s))
        slot_submit(&s->pair, &s->out_op, &op_answer, answer_done);
    else
        shutdown(pair[0], SHUT_WR);
    return 0;
}

static int sender_new(struct senders *all, const struct eye_addr *addr, struct sender **ret_sender) {
    struct sender *s = calloc(1, sizeof *s);
    int pair[2];
    if (!s)
        return -ENOMEM;
    s->senders = all;
    s->addr = *addr;
    int r = socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, pair) < 0 ? -errno : 0;
    if (r == 0) {
        r = sender_open(s, pair);
        if (r < 0) {
            close(pair[0]);
            close(pair[1]);
        }
    }
    if (r < 0) {
        free(s);
        return r;
    }
    list_append(&all->list, &s->node);
    all->count++;
    *ret_sender = s;
    return 0;
}

/* ---- what they send ---- */

static struct sender *find(struct senders *all, const struct eye_addr *addr) {
    for (struct list *at = all->list.next; at != &all->list; at = at->next) {
        struct sender *s = eye_container_of(at, struct sender, node);
        if (s->addr.len == addr->len && memcmp(&s->addr.u, &addr->u, addr->len) == 0)
            return s;
    }
    return NULL;
}

static size_t strangers(const struct senders *all) {
    size_t count = 0;
    for (const struct list *at = all->list.next; at != &all->list; at = at->next)
        count += !eye_container_of(at, const struct sender, node)->accepted;
    return count;
}

/* Gives those that are new to who waits for one. */
static void introduce(struct senders *all) {
    for (struct list *at = all->list.next; at != &all->list && all->accepting; at = at->next) {
        struct sender *s = eye_container_of(at, struct sender, node);
        if (s->accepted)
            continue;
        eye_op *op = ring_pop(&all->accepting);
        s->accepted = true;
        *(eye_stream **)op_of(op)->u.io.ret = s->stream;
        op_finish(all->slot->loop, op, 0);
    }
}

/* Sorts one datagram. -EBUSY: its stream has no room, and it stays where it is. */
static int64_t sort_one(struct senders *all) {
    struct slot *slot = all->slot;
    struct eye_addr addr = {0};
    struct iovec iov = {.iov_base = slot->loop->lend};
    struct msghdr msg = {.msg_name = &addr.u, .msg_namelen = sizeof addr.u, .msg_iov = &iov, .msg_iovlen = 1};
    int64_t n = sys_peekmsg(slot->fd, &msg);
    if (n < 0)
        return n;
    addr.len = msg.msg_namelen;
    struct sender *s = find(all, &addr);
    int r = s || all->closed || strangers(all) == STRANGERS_MAX ? 0 : sender_new(all, &addr, &s);
    if (r < 0)
        return r;
    if (s && s->accepted && sys_poll_now(s->pair.fd, POLLOUT) == 0) {
        all->full = s;
        return -EBUSY;
    }
    iov.iov_len = LEND_BYTES;
    msg = (struct msghdr){.msg_iov = &iov, .msg_iovlen = 1};
    n = sys_recvmsg(slot->fd, &msg);
    if (n >= 0 && s && !(msg.msg_flags & MSG_TRUNC))
        sys_send(s->pair.fd, iov.iov_base, (size_t)n);
    return MIN(n, 0);
}

static int64_t perform_sort(struct slot *slot, eye_op *op) {
    struct senders *all = eye_container_of(op, struct senders, sort_op);
    (void)slot;
    for (int i = 0; i < TURN_MAX; i++) {
        int64_t r = sort_one(all);
        if (r < 0)
            return r;
        introduce(all);
    }
    return OP_MORE;
}

static const struct op_kind op_sort = {.name = "sort", .way = EYE_IN, .perform = perform_sort};

static void room_done(eye_op *op, int64_t result) {
    struct sender *s = eye_container_of(op, struct sender, room_op);
    struct senders *all = s->senders;
    (void)result;
    if (all->full == s)
        all->full = NULL;
    sort_go_on(all);
    sender_settle(s);
}

static void pause_done(eye_op *op, int64_t result) {
    (void)result;
    sort_go_on(eye_container_of(op, struct senders, sort_op));
}

static void sort_done(eye_op *op, int64_t result) {
    struct senders *all = eye_container_of(op, struct senders, sort_op);
    eye_loop *loop = all->slot->loop;
    if (all->full) {
        io_wait(&all->full->pair, &all->full->room_op, EYE_OUT, room_done);
    } else if (result < 0 && result != -ECANCELED) {
        if (all->accepting)
            op_finish(loop, ring_pop(&all->accepting), result);
        eye_timer(loop, op, loop->now_ns + PAUSE_NS, pause_done);
    } else {
        sort_go_on(all);
    }
}

/* Receives while somebody waits for a new one or there are any; at the end releases the listener. */
static void sort_go_on(struct senders *all) {
    bool wanted = all->accepting || all->count > 0;
    if (eye_op_pending(&all->sort_op)) {
        if (!wanted)
            eye_cancel(all->slot->loop, &all->sort_op);
    } else if (all->closed && all->count == 0) {
        all->released(all);
    } else if (wanted && !all->full) {
        slot_submit(all->slot, &all->sort_op, &op_sort, sort_done);
    }
}

/* ---- the listener's side ---- */

static void accept_cancel(eye_op *op) {
    struct senders *all = (void *)op_of(op)->u.io.data;
    ring_remove(&all->accepting, op);
    op_finish(all->slot->loop, op, -ECANCELED);
    sort_go_on(all);
}

static const struct op_kind op_accept = {.name = "accept sender", .cancel = accept_cancel};

void senders_accept(struct senders *all, eye_op *op, eye_stream **ret_stream, eye_done *done) {
    op_begin(all->slot->loop, op, &op_accept, done);
    op_of(op)->u.io.data = (void *)all;
    op_of(op)->u.io.ret = ret_stream;
    ring_append(&all->accepting, op);
    introduce(all);
    sort_go_on(all);
}

void senders_init(struct senders *all, struct slot *slot, void (*released)(struct senders *senders)) {
    *all = (struct senders){.slot = slot, .released = released};
    list_init(&all->list);
}

void senders_close(struct senders *all) {
    struct list *next;
    all->closed = true;
    all->count++; /* held until we are done here */
    while (all->accepting)
        op_finish(all->slot->loop, ring_pop(&all->accepting), -ECANCELED);
    for (struct list *at = all->list.next; at != &all->list; at = next) {
        struct sender *s = eye_container_of(at, struct sender, node);
        next = at->next;
        if (!s->accepted)
            stream_drop(s->stream);
    }
    all->count--;
    sort_go_on(all);
}
