/* work.h: blocking work on helper threads, for floors above. */
#ifndef SOCKEYE_WORK_H
#define SOCKEYE_WORK_H

#include "loop/loop.h"

/* A piece of work, on the heap, embedded in its owner's struct. From work_submit on it belongs to the
 * machinery, which calls drop once: after done, or when the thread has finished if it was orphaned. So
 * nobody waits for a thread that hangs in a resolver. */
struct work {
    int64_t (*run)(struct work *work); /* on the helper thread */
    void (*take)(
        struct work *work); /* on the loop's, when op completes by run: hands over what was found; or NULL */
    void (*drop)(struct work *work); /* on either */
    bool stays;                      /* run uses the caller's memory: once begun it cannot be cancelled */
    eye_op *op;                      /* NULL: orphaned */
    struct mailbox *mailbox;
    struct work *next;
    int64_t result;
    enum { WORK_WAITING, WORK_RUNNING, WORK_DONE } state;
};

/* Runs work; op completes with what run returned. Where no thread can be had: -EAGAIN. */
void work_submit(eye_loop *loop, eye_op *op, struct work *work, eye_done *done);

#endif
