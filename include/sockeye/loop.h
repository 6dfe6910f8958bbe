/* loop.h: operations on a loop.
 *
 * An operation is the caller's memory: a struct eye_op embedded in a struct of the caller's own. It is
 * submitted with a function to call, and completes exactly once, never inside the call that submitted
 * it; on entry to done the op is the caller's again and may be submitted anew or freed with what holds
 * it. An eye_op must be zero before its first use. A loop and all that stands on it belong to the
 * thread that runs it. */
#ifndef SOCKEYE_LOOP_H
#define SOCKEYE_LOOP_H

#include <stdbool.h>

#include <sockeye/err.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct eye_loop eye_loop;
typedef struct eye_op eye_op;

/* result: 0 or more as the operation says, or a negative code (-ECANCELED after eye_cancel). */
typedef void eye_done(eye_op *op, int64_t result);

struct eye_op {
    void *user;       /* the caller's, never touched */
    uint64_t priv[9]; /* the library's; the size is part of the ABI */
};

/* The struct that holds this member. */
#define eye_container_of(ptr, type, member) ((type *)(void *)((char *)(ptr)-offsetof(type, member)))

/* The directions of a descriptor or stream. */
enum eye_way { EYE_IN, EYE_OUT };

/* Bytes that the library lends. */
struct eye_bytes {
    const uint8_t *data;
    size_t size;
};

struct eye_loop_opts {
    const char *engine; /* "auto" or NULL, or the one to use and no other: see eye_engine_probe */
};

/* Makes a loop; the caller owns it. opts may be NULL. Ignores SIGPIPE for the process, since writing
 * to a peer that left is an error here and no death. Errors: EYE_EUNAVAILABLE for an engine that does
 * not exist or that this host refuses, EYE_EFDSETSIZE, -ENOMEM, -EMFILE. */
EYE_API int eye_loop_new(const struct eye_loop_opts *opts, eye_loop **ret_loop, struct eye_err *reterr);

/* Runs the loop: until no operation is pending, eye_loop_stop is called, or timeout_ns has passed
 * (negative: no limit; 0: one turn, without waiting). Returns the operations still pending, or the
 * -errno with which the engine failed. */
EYE_API int64_t eye_loop_run(eye_loop *loop, int64_t timeout_ns);

/* Makes eye_loop_run return after the present turn. */
EYE_API void eye_loop_stop(eye_loop *loop);

/* Frees the loop. No operation may be pending, no stream or listener open. Returns NULL. */
EYE_API eye_loop *eye_loop_free(eye_loop *loop);

/* The name of the engine that it runs on: what "auto" chose. */
EYE_API const char *eye_loop_engine(const eye_loop *loop);

/* Where "auto" passed over an engine that it would have taken first: a line that says which and why, of the
 * loop's memory; else NULL. */
EYE_API const char *eye_loop_passed_over(const eye_loop *loop);

/* CLOCK_MONOTONIC in ns, read once a turn. */
EYE_API int64_t eye_loop_now(const eye_loop *loop);

/* Completes with 0 when eye_loop_now reaches deadline_ns. Timers of one deadline fire in the order in
 * which they were set. */
EYE_API void eye_timer(eye_loop *loop, eye_op *op, int64_t deadline_ns, eye_done *done);

/* Completes with the poll(2) bits when a descriptor of the caller's is readable (EYE_IN) or writable
 * (EYE_OUT), or has ended. Errors: -EBADF; EYE_EFDSETSIZE. */
EYE_API void eye_poll(eye_loop *loop, eye_op *op, int fd, enum eye_way way, eye_done *done);

/* Runs work(op->user) on a helper thread with all signals blocked and completes with what it returned.
 * Cancelling takes effect only before it has begun. Errors: -ENOMEM, -EAGAIN (pthread_create(3)). */
EYE_API void eye_work(eye_loop *loop, eye_op *op, int64_t (*work)(void *user), eye_done *done);

/* Completes with signum when that signal arrives; submit again for the next. The process's former
 * disposition returns when no operation waits for the signal. Errors: -EBUSY when another loop waits
 * for it; -EINVAL; EYE_EFDSETSIZE, -ENOMEM, -EMFILE. */
EYE_API void eye_signal(eye_loop *loop, eye_op *op, int signum, eye_done *done);

/* Asks an operation to end now. done still runs, once, later: with the bytes that it had moved if it
 * had moved any or its result if it had one, else -ECANCELED. No effect on an op that is not pending. */
EYE_API void eye_cancel(eye_loop *loop, eye_op *op);

/* Whether the op has been submitted and its done has not run yet. */
EYE_API bool eye_op_pending(const eye_op *op);

/* The names of the engines, in the order in which `auto` tries them; NULL past the last. */
EYE_API const char *eye_engine_name(size_t index);

/* The same, each tried: 0 if usable here, or the error that says why
 * not; -ENOENT past the last. *ret_name is static and set in both cases but the last. */
EYE_API int eye_engine_probe(size_t index, const char **ret_name, struct eye_err *reterr);

#ifdef __cplusplus
}
#endif
#endif
