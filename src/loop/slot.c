/* slot.c: descriptors and their queues; loop.h tells how they work. */
#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "loop/backend.h"
#include "loop/loop.h"

/* The ways whose heads are worth a try. */
static unsigned slot_runnable(const struct slot *slot) {
    unsigned ways = (slot->tail[EYE_IN] ? WAY_IN : 0) | (slot->tail[EYE_OUT] ? WAY_OUT : 0);
    return ways & slot->ready;
}

/* Keeps the slot in the run list while a head may go on. */
static void slot_schedule(struct slot *slot) {
    if (!slot_runnable(slot))
        list_remove(&slot->run);
    else if (list_empty(&slot->run))
        list_append(&slot->loop->run, &slot->run);
}

/* Tells the backend what the slot waits for, when that has changed. */
static void slot_want(struct slot *slot) {
    unsigned ways = (slot->tail[EYE_IN] ? WAY_IN : 0) | (slot->tail[EYE_OUT] ? WAY_OUT : 0);
    unsigned wanted = ways & ~(unsigned)slot->ready;
    if (wanted == slot->wanted)
        return;
    slot->wanted = (uint8_t)wanted;
    int r = slot->loop->backend->set(slot->loop, slot);
    if (r >= 0)
        return;
    slot->wanted = 0;
    if (r == -EPERM && !(slot->flags & SLOT_UNWATCHABLE)) {
        /* A regular file or the like: it never makes anybody wait (epoll_ctl(2)). */
        slot->flags |= SLOT_UNWATCHABLE;
        slot->ready = WAY_IN | WAY_OUT;
        slot_schedule(slot);
        return;
    }
    for (enum eye_way way = EYE_IN; way <= EYE_OUT; way++)
        while ((wanted & (1U << way)) && slot->tail[way])
            op_finish(slot->loop, ring_pop(&slot->tail[way]), r);
}

/* After operations have left: a slot made for eye_poll goes with its last one. */
static void slot_settle(struct slot *slot) {
    slot_schedule(slot);
    if ((slot->flags & SLOT_FOREIGN) && !slot->tail[EYE_IN] && !slot->tail[EYE_OUT]) {
        slot_detach(slot);
        free(slot);
        return;
    }
    slot_want(slot);
}

static int slots_grow(eye_loop *loop, int fd) {
    size_t size = MAX(loop->slots_size * 2, (size_t)64);
    while (size <= (size_t)fd)
        size *= 2;
    struct slot **slots = realloc(loop->slots, size * sizeof *slots);
    if (!slots)
        return -ENOMEM;
    memset(slots + loop->slots_size, 0, (size - loop->slots_size) * sizeof *slots);
    loop->slots = slots;
    loop->slots_size = size;
    return 0;
}

struct slot *slot_find(eye_loop *loop, int fd) {
    return fd >= 0 && (size_t)fd < loop->slots_size ? loop->slots[fd] : NULL;
}

int slot_open(eye_loop *loop, struct slot *slot, int fd, unsigned flags) {
    assert(fd >= 0 && !slot_find(loop, fd));
    if (loop->backend->fd_max && fd >= loop->backend->fd_max)
        return EYE_EFDSETSIZE;
    if ((size_t)fd >= loop->slots_size) {
        int r = slots_grow(loop, fd);
        if (r < 0)
            return r;
    }
    *slot = (struct slot){
        .loop = loop,
        .fd = fd,
        .position = -1,
        .flags = (uint16_t)flags,
        .ready = WAY_IN | WAY_OUT, /* a try costs less than asking */
    };
    list_init(&slot->run);
    loop->slots[fd] = slot;
    return 0;
}

void slot_detach(struct slot *slot) {
    eye_loop *loop = slot->loop;
    if (loop->ahead)
        loop->backend->recall(loop, slot, WAY_IN | WAY_OUT);
    for (enum eye_way way = EYE_IN; way <= EYE_OUT; way++)
        while (slot->tail[way]) {
            eye_op *op = ring_pop(&slot->tail[way]);
            op_finish(loop, op, op_of(op)->moved ? op_of(op)->moved : -ECANCELED);
        }
    list_remove(&slot->run);
    slot->wanted = 0;
    loop->backend->forget(loop, slot);
    loop->slots[slot->fd] = NULL;
}

void slot_submit(struct slot *slot, eye_op *op, const struct op_kind *kind, eye_done *done) {
    struct op *p = op_of(op);
    assert(p->state == OP_IDLE);
    p->done = done;
    p->kind = kind;
    p->at.slot = slot;
    p->moved = 0;
    p->begun = false;
    p->uncounted = false;
    p->code = 0;
    p->state = OP_QUEUED;
    slot->loop->pending++;
    ring_append(&slot->tail[kind->way], op);
    slot_settle(slot);
}

void slot_cancel(eye_op *op) {
    struct slot *slot = op_of(op)->at.slot;
    /* What it sends is the caller's again afterwards; and who no longer accepts takes nobody off the queue.
     */
    if (slot->loop->ahead && (op_of(op)->kind->ring == RING_SEND || op_of(op)->kind->ring == RING_ACCEPT))
        slot->loop->backend->recall(slot->loop, slot, 1U << op_of(op)->kind->way);
    ring_remove(&slot->tail[op_of(op)->kind->way], op);
    op_finish(slot->loop, op, op_of(op)->moved ? op_of(op)->moved : -ECANCELED);
    slot_settle(slot);
}

void slot_ready(struct slot *slot, unsigned ways, bool marked) {
    if (marked)
        slot->flags |= SLOT_MARKED;
    slot->ready |= (uint8_t)ways;
    slot_schedule(slot);
    slot_want(slot);
}

void slot_run_next(eye_loop *loop) {
    struct slot *slot = eye_container_of(loop->run.next, struct slot, run);
    list_remove(&slot->run);
    unsigned ways = slot_runnable(slot);
    /* The two ways take turns, or a busy one would starve the other. */
    enum eye_way way = ways == (WAY_IN | WAY_OUT) ? !slot->last : ways == WAY_OUT;
    slot->last = (uint8_t)way;
    eye_op *op = ring_head(slot->tail[way]);
    int64_t r = op_of(op)->kind->perform(slot, op);
    bool ends = r != -EAGAIN && r != OP_MORE;
    if (r == -EAGAIN)
        slot->ready &= (uint8_t) ~(1U << way);
    if (ends)
        ring_pop(&slot->tail[way]);
    slot_settle(slot);
    if (ends)
        op_deliver(loop, op, r); /* last of all, since done may free the slot */
}
