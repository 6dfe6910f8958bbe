/* io.h: the operations on a slot. Results are as the system call's, a negative code on failure. */
#ifndef SOCKEYE_IO_H
#define SOCKEYE_IO_H

#include <sockeye/addr.h>

#include "loop/loop.h"
#include "loop/pipes.h"

void io_recv(struct slot *slot, eye_op *op, void *buf, size_t size, eye_done *done);
/* At most so many bytes into the loop's buffer; *ret_bytes is valid until done returns. */
void io_recv_lent(struct slot *slot, eye_op *op, struct eye_bytes *ret_bytes, size_t most, eye_done *done);
/* All of it. */
void io_send(struct slot *slot, eye_op *op, const void *buf, size_t size, eye_done *done);
/* The same, with a copy of what does not go at once. */
void io_send_copy(struct slot *slot, eye_op *op, const void *buf, size_t size, eye_done *done);
/* size bytes of a file, from offset on, to a socket (sendfile(2)): completes with their number, fewer where
 * the file ends before or cannot be read on. */
void io_send_file(struct slot *slot, eye_op *op, int fd, int64_t offset, int64_t size, eye_done *done);
/* Whether that failed by the file, and not by the socket. */
bool io_of_file(int64_t code);
/* For perform functions that accept: the new descriptor, non-blocking; -EAGAIN, OP_MORE or an error.
 * Connections that died in the queue are passed over. */
int64_t io_accept_now(struct slot *slot);
/* -EBUSY where connect(2) says EAGAIN: a Unix socket whose queue is full; try again later. addr must
 * stay until done. */
void io_connect(struct slot *slot, eye_op *op, const struct eye_addr *addr, eye_done *done);
/* Completes with the poll(2) bits when the slot is worth a try that way. */
void io_wait(struct slot *slot, eye_op *op, enum eye_way way, eye_done *done);
/* After all that is queued: a FIN on a socket; elsewhere the descriptor becomes /dev/null. */
void io_finish(struct slot *slot, eye_op *op, eye_done *done);

/* From a slot to a pipe of the pool's, which is taken only when there are bytes to hold: completes with
 * their number and the pipe, 0 at the end, or -ENOBUFS when the pool is empty. -EINVAL: the kernel does not
 * splice here, or not past the next byte; receive instead. */
void io_splice_in(struct slot *slot, eye_op *op, struct kpipe **ret_pipe, eye_done *done);
/* All size bytes of the pipe to a slot. */
void io_splice_out(struct slot *slot, eye_op *op, const struct kpipe *pipe, size_t size, eye_done *done);
/* From a slot to a descriptor, one of them a pipe. -ENOBUFS: there are bytes, but to_fd takes none now. */
void io_splice(struct slot *slot, eye_op *op, int to_fd, eye_done *done);

#endif
