/* timer.c: deadlines in a binary heap, the earliest on top; of one deadline, the first that was set. */
#include <errno.h>
#include <stdlib.h>

#include "loop/loop.h"

static bool before(const eye_op *a, const eye_op *b) {
    const struct op *x = op_of_const(a), *y = op_of_const(b);
    if (x->u.timer.deadline_ns != y->u.timer.deadline_ns)
        return x->u.timer.deadline_ns < y->u.timer.deadline_ns;
    return x->u.timer.order < y->u.timer.order;
}

static void place(eye_loop *loop, size_t i, eye_op *op) {
    loop->timers.heap[i] = op;
    op_of(op)->heap_index = (uint32_t)i;
}

static void sift_up(eye_loop *loop, size_t i, eye_op *op) {
    for (; i > 0; i = (i - 1) / 2) {
        eye_op *parent = loop->timers.heap[(i - 1) / 2];
        if (!before(op, parent))
            break;
        place(loop, i, parent);
    }
    place(loop, i, op);
}

static void sift_down(eye_loop *loop, size_t i, eye_op *op) {
    for (;;) {
        size_t child = 2 * i + 1;
        if (child >= loop->timers.count)
            break;
        if (child + 1 < loop->timers.count && before(loop->timers.heap[child + 1], loop->timers.heap[child]))
            child++;
        if (!before(loop->timers.heap[child], op))
            break;
        place(loop, i, loop->timers.heap[child]);
        i = child;
    }
    place(loop, i, op);
}

static void heap_remove(eye_loop *loop, eye_op *op) {
    size_t i = op_of(op)->heap_index;
    eye_op *last = loop->timers.heap[--loop->timers.count];
    if (last == op)
        return;
    if (i > 0 && before(last, loop->timers.heap[(i - 1) / 2]))
        sift_up(loop, i, last);
    else
        sift_down(loop, i, last);
}

static void timer_cancel(eye_op *op) {
    eye_loop *loop = op_of(op)->at.loop;
    heap_remove(loop, op);
    op_finish(loop, op, -ECANCELED);
}

static const struct op_kind op_timer = {.name = "timer", .cancel = timer_cancel};

void eye_timer(eye_loop *loop, eye_op *op, int64_t deadline_ns, eye_done *done) {
    op_begin(loop, op, &op_timer, done);
    if (loop->timers.count == loop->timers.size) {
        size_t size = MAX(loop->timers.size * 2, (size_t)16);
        eye_op **heap = realloc(loop->timers.heap, size * sizeof(eye_op *));
        if (!heap) {
            op_finish(loop, op, -ENOMEM);
            return;
        }
        loop->timers.heap = heap;
        loop->timers.size = size;
    }
    /* One that has passed already counts from now, or it would be fired before those that are due, for
     * ever where its done sets it again. */
    op_of(op)->u.timer.deadline_ns = MAX(deadline_ns, loop->now_ns);
    op_of(op)->u.timer.order = loop->timers.order++;
    sift_up(loop, loop->timers.count++, op);
}

void timers_fire(eye_loop *loop) {
    uint64_t limit = loop->timers.order; /* one that is set while these fire waits for the next turn */
    while (loop->timers.count > 0) {
        eye_op *op = loop->timers.heap[0];
        if (op_of(op)->u.timer.deadline_ns > loop->now_ns || op_of(op)->u.timer.order >= limit)
            break;
        heap_remove(loop, op);
        op_deliver(loop, op, 0);
    }
}

int64_t timers_next(const eye_loop *loop) {
    return loop->timers.count ? op_of(loop->timers.heap[0])->u.timer.deadline_ns : INT64_MAX;
}

void timers_done(eye_loop *loop) {
    free(loop->timers.heap);
}
