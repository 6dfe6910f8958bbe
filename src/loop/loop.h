/* loop.h: what the loop's own files and the floors above share. The public face is <sockeye/loop.h>.
 *
 * Theory of operation. A *slot* stands for one descriptor and holds two first-in-first-out queues of
 * operations, in and out. The head of a queue is *performed* (its system call is made) when its slot's
 * way is ready or was never tried; -EAGAIN clears the readiness and leaves it to the *backend* to say
 * when to try again. So order holds, a backend knows descriptors and never operations, and no backend
 * makes a system call that moves bytes. Slots whose heads may go on stand in the run list, each gets one
 * perform in turn, and a perform moves a bounded amount, so that one fast peer starves nobody.
 *
 * An operation completes from the run list directly, or through the finished list when it ended inside
 * some call (cancel, close): never inside the call that submitted it. */
#ifndef SOCKEYE_LOOP_INTERNAL_H
#define SOCKEYE_LOOP_INTERNAL_H

#include <sockeye/loop.h>

#include "base/base.h"
#include "base/list.h"

struct slot;

enum { WAY_IN = 1 << EYE_IN, WAY_OUT = 1 << EYE_OUT };

/* What a backend that makes calls itself does for a kind of operation. RING_POLL: it only waits. */
enum ring_form { RING_POLL, RING_RECV, RING_ACCEPT, RING_SEND };

enum op_state { OP_IDLE, OP_QUEUED, OP_FINISHED };

/* What perform returns besides a result: -EAGAIN waits for the backend; OP_MORE has moved its share of
 * this turn and goes on in the next. */
#define OP_MORE INT64_MIN

/* A kind of operation: one table row. */
struct op_kind {
    const char *name;
    enum eye_way way;
    enum ring_form ring;
    int64_t (*perform)(struct slot *slot, eye_op *op); /* NULL for those that stand in no slot's queue */
    void (*cancel)(eye_op *op);                        /* for those: ends the op by op_finish, now or later */
    void (*release)(eye_op *op);                       /* runs just before done, or NULL */
    int (*keep)(eye_op *op);                           /* copies what it has borrowed: it will take long */
};

/* The library's side of a struct eye_op: an overlay of its priv words. */
struct op {
    eye_done *done;
    const struct op_kind *kind;
    eye_op *next; /* in its slot's queue (a ring) or the finished list */
    union {
        struct slot *slot; /* where kind->perform is set */
        eye_loop *loop;
        void *owner; /* whatever queues it in the loop's place */
    } at;
    int64_t moved; /* bytes so far; the result once finished */
    union {
        uint32_t heap_index; /* a timer's */
        int32_t code;        /* an error that the backend met */
    };
    uint8_t state;  /* enum op_state */
    bool uncounted; /* the loop's own: does not keep eye_loop_run running */
    bool begun;
    union {
        struct {
            uint8_t *data;
            size_t size;
            void *ret;
        } io;
        struct {
            struct eye_bytes bytes; /* see op_lent */
            struct eye_bytes *ret;
        } lent;
        struct {
            int64_t offset, size;
            int fd;
        } file;
        struct {
            int64_t deadline_ns;
            uint64_t order;
        } timer;
        struct {
            void *of; /* whatever the kind works for */
            int value;
        } own;
    } u;
} __attribute__((may_alias));
_Static_assert(sizeof(struct op) <= sizeof(((eye_op *)NULL)->priv), "an operation fits its public memory");

static inline struct op *op_of(eye_op *op) {
    return (struct op *)(void *)op->priv;
}

static inline const struct op *op_of_const(const eye_op *op) {
    return (const struct op *)(const void *)op->priv;
}

/* Where a receive that lends may put what it lends: words of the operation's own, to be read in its done. */
static inline struct eye_bytes *op_lent(eye_op *op) {
    return &op_of(op)->u.lent.bytes;
}

enum slot_flags {
    SLOT_SOCKET = 1,        /* recv and send instead of read and write */
    SLOT_TCP = 2,           /* a short receive means that it is drained (epoll(7), Q9) */
    SLOT_MESSAGES = 4,      /* a seqpacket socket: message boundaries count */
    SLOT_BLOCKING = 8,      /* O_NONBLOCK could not be had: ask poll(2) before each call */
    SLOT_SHARED = 16,       /* others may hold the same open file description */
    SLOT_FOREIGN = 32,      /* made for eye_poll: goes with its last operation */
    SLOT_WATCHED = 64,      /* the backend's: it knows this descriptor */
    SLOT_MARKED = 128,      /* the peer's end or urgent data were seen: a short receive says nothing */
    SLOT_UNWATCHABLE = 256, /* no backend can wait for it, and it needs none: a regular file */
    SLOT_SPLICE = 512,      /* the kernel may move its bytes by splice(2) */
    SLOT_PIPE = 1024,       /* a pipe, so that no second one is needed for that */
    SLOT_FINISHED = 2048,   /* no socket, and its sending has ended */
    SLOT_TERMINAL = 4096,   /* a terminal's master side: ends by its own rules (pty(7)) */
    SLOT_ENDLESS = 8192,    /* a datagram socket: a receive of 0 is an empty message and no end */
    SLOT_COMMAND = 16384,   /* a command's socketpair, which is no peer's that could reset it */
    SLOT_EACH = 32768,      /* accepts: each peer needs descriptors of its own before the next is taken */
};

struct slot {
    struct list run; /* in the loop's run list */
    eye_loop *loop;
    eye_op *tail[2]; /* last of each way's ring, or NULL */
    int fd;
    int32_t position; /* the backend's */
    uint16_t flags;
    uint8_t ready;  /* ways worth a try */
    uint8_t wanted; /* ways that wait for the backend */
    uint8_t last;   /* the way that went last */
    uint8_t flight; /* the backend's: what it has asked the kernel for */
};

/* ---- slots (slot.c) ---- */

/* Takes fd into the loop. It stays the caller's on failure: EYE_EFDSETSIZE, -ENOMEM. */
int slot_open(eye_loop *loop, struct slot *slot, int fd, unsigned flags);
/* Cancels both queues and takes the slot out of the loop; the caller closes fd after the last of its
 * operations has completed (they are in the finished list by then). */
void slot_detach(struct slot *slot);
/* Takes op out of its queue and ends it. */
void slot_cancel(eye_op *op);
/* Submits op to its kind's queue; op_of(op)->u was filled in by the caller. */
void slot_submit(struct slot *slot, eye_op *op, const struct op_kind *kind, eye_done *done);
/* The backend's word: these ways are worth a try. marked: the peer has ended, or urgent data is among its
 * bytes, where a receive stops short with more behind it (tcp(7)). */
void slot_ready(struct slot *slot, unsigned ways, bool marked);
/* The slot that stands for fd, or NULL. */
struct slot *slot_find(eye_loop *loop, int fd);
/* Lets the head of the run list go on once. */
void slot_run_next(eye_loop *loop);

/* ---- operations that stand in no slot's queue (loop.c) ---- */

/* Marks op as submitted; kind->cancel ends it. */
void op_begin(eye_loop *loop, eye_op *op, const struct op_kind *kind, eye_done *done);
/* This op is the loop's own: it keeps nobody waiting. */
void op_uncount(eye_loop *loop, eye_op *op);
/* Ends an op: done runs from the loop, soon, with result. */
void op_finish(eye_loop *loop, eye_op *op, int64_t result);
/* Runs done now: only for the loop's own turn. */
void op_deliver(eye_loop *loop, eye_op *op, int64_t result);

/* ---- the rest of the loop's innards, by file ---- */

/* A moment after another; INT64_MAX, which never comes, where that is too far. */
static inline int64_t time_after(int64_t from_ns, int64_t after_ns) {
    int64_t until_ns;
    return __builtin_add_overflow(from_ns, after_ns, &until_ns) ? INT64_MAX : until_ns;
}

void timers_fire(eye_loop *loop);
int64_t timers_next(const eye_loop *loop); /* the earliest deadline, or INT64_MAX */
void timers_done(eye_loop *loop);

void signals_settle(eye_loop *loop); /* gives signals that nobody waits for back */
void signals_done(eye_loop *loop);

int mailbox_open(eye_loop *loop);
void mailbox_done(eye_loop *loop);

struct pipe_pool;
void pipes_done(eye_loop *loop);

/* The loop's descriptor in reserve (/dev/null), for the one that has to be had when the table is full:
 * gives it up, so that the next open succeeds; taken back when a descriptor is free again. */
bool loop_reserve_give(eye_loop *loop);
void loop_reserve_take(eye_loop *loop);
/* Puts /dev/null in the place of fd, which keeps its number. */
int loop_null_over(eye_loop *loop, int fd);

/* What a receive may borrow. A seqpacket message of the default socket buffer fits. */
#define LEND_BYTES (256 * 1024)

/* A buffer of the loop's for those who change bytes on their way, one for each direction; what is in it lasts
 * until the next done. NULL where memory is short; once it was there, it stays. */
#define SCRATCH_BYTES (96 * 1024)
uint8_t *loop_scratch(eye_loop *loop, enum eye_way way);

struct signals;
struct mailbox;
struct backend;

struct eye_loop {
    const struct backend *backend;
    void *backend_state;
    char *passed_over;   /* why `auto` did not take an engine that stands before this one, or NULL */
    struct slot **slots; /* by descriptor */
    size_t slots_size;
    uint8_t ahead; /* what the backend does itself: bits, 1 << enum ring_form */
    struct list run;
    eye_op *finished_tail; /* a ring, like a slot's queue */
    int64_t now_ns;
    int64_t pending;
    bool stop;
    int reserve_fd;
    uint8_t *lend;
    uint8_t *scratch; /* both ways', or NULL: see loop_scratch */
    struct {
        eye_op **heap;
        size_t count, size;
        uint64_t order;
    } timers;
    struct signals *signals;
    struct mailbox *mailbox;
    struct slot mailbox_slot;
    eye_op mailbox_op;
    struct pipe_pool *pipes;
};

/* Whether the backend makes such calls for the slot itself: for sockets of streams that are ours alone. */
static inline bool slot_on_ring(const struct slot *slot, enum ring_form form) {
    const unsigned others =
        SLOT_MESSAGES | SLOT_ENDLESS | SLOT_BLOCKING | SLOT_SHARED | SLOT_FOREIGN | SLOT_EACH;
    return (slot->loop->ahead & (1U << form)) && (slot->flags & (SLOT_SOCKET | others)) == SLOT_SOCKET;
}

/* Whether bytes or an end have come for it, ahead of who asks. */
static inline bool slot_has_ahead(const struct slot *slot) {
    return slot->loop->ahead && slot->position >= 0;
}

/* The ring of operations that a tail pointer stands for. */
static inline eye_op *ring_head(eye_op *tail) {
    return tail ? op_of(tail)->next : NULL;
}

static inline void ring_append(eye_op **tail, eye_op *op) {
    if (*tail) {
        op_of(op)->next = op_of(*tail)->next;
        op_of(*tail)->next = op;
    } else {
        op_of(op)->next = op;
    }
    *tail = op;
}

static inline eye_op *ring_pop(eye_op **tail) {
    eye_op *head = op_of(*tail)->next;
    if (head == *tail)
        *tail = NULL;
    else
        op_of(*tail)->next = op_of(head)->next;
    return head;
}

/* Takes op out from wherever it stands; queues are short. */
static inline void ring_remove(eye_op **tail, eye_op *op) {
    eye_op *before = *tail;
    while (op_of(before)->next != op)
        before = op_of(before)->next;
    if (before == op) {
        *tail = NULL;
        return;
    }
    op_of(before)->next = op_of(op)->next;
    if (*tail == op)
        *tail = before;
}

#endif
