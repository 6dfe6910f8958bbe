/* sys.h: thin wrappers over system calls.
 *
 * Each returns what the call returns, or -errno; EINTR never leaves them, since nothing here waits (every
 * descriptor is non-blocking, or MSG_DONTWAIT is said). All of them pass one seam, where tests put
 * faults. */
#ifndef SOCKEYE_SYS_H
#define SOCKEYE_SYS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <sockeye/addr.h>

/* The seam: NULL outside tests. Called before each attempt with the call's name and descriptor; may
 * shorten *size, and returns 0 to let the call happen or -errno in its place. */
typedef int sys_fault_fn(const char *call, int fd, size_t *size);
extern sys_fault_fn *sys_fault;

int64_t sys_read(int fd, void *buf, size_t size);
int64_t sys_write(int fd, const void *buf, size_t size);
/* recv(2) with MSG_DONTWAIT. */
int64_t sys_recv(int fd, void *buf, size_t size);
/* The same for a message, EYE_ETRUNCATED when it did not fit. */
int64_t sys_recv_message(int fd, void *buf, size_t size);
/* send(2) with MSG_DONTWAIT and MSG_NOSIGNAL. */
int64_t sys_send(int fd, const void *buf, size_t size);
/* recvmsg(2) and sendmsg(2), recvmmsg(2) and sendmmsg(2), with the same flags. */
int64_t sys_recvmsg(int fd, struct msghdr *msg);
int64_t sys_sendmsg(int fd, const struct msghdr *msg);
/* recvmsg(2) that leaves the message where it is (MSG_PEEK). */
int64_t sys_peekmsg(int fd, struct msghdr *msg);
int sys_recvmmsg(int fd, struct mmsghdr *msgs, unsigned count);
int sys_sendmmsg(int fd, struct mmsghdr *msgs, unsigned count);
/* splice(2) with SPLICE_F_MOVE and SPLICE_F_NONBLOCK; no offsets. */
int64_t sys_splice(int from, int to, size_t size);
/* sendfile(2), pread(2), pwrite(2) and copy_file_range(2) without flags. *offset moves on with the bytes. */
int64_t sys_sendfile(int to, int from, int64_t *offset, size_t size);
int64_t sys_pread(int fd, void *buf, size_t size, int64_t offset);
int64_t sys_pwrite(int fd, const void *buf, size_t size, int64_t offset);
int64_t sys_copy_range(int from, int64_t *from_offset, int to, int64_t *to_offset, size_t size);
/* accept4(2): the new descriptor is non-blocking and closed on exec. */
int sys_accept(int fd);
int sys_connect(int fd, const struct eye_addr *addr);
/* socket(2): non-blocking, closed on exec. */
int sys_socket(int family, int type, int protocol);
/* The poll(2) bits that hold now, 0 for none. */
int sys_poll_now(int fd, short events);
/* setsockopt(2) of an int. */
int sys_set_int(int fd, int level, int name, int value);
/* Closing fd will be seen as a reset over TCP, and as no orderly end (SO_LINGER of zero, socket(7)). */
void sys_set_reset(int fd);
/* No handshake is begun on a TCP socket from now on: a filter drops each SYN (SO_ATTACH_FILTER, socket(7)).
 * Those that were begun are completed, for their peers may know themselves connected already. */
void sys_set_deaf(int fd);
/* SO_ERROR, as a negative code or 0. */
int sys_socket_error(int fd);
/* Whether the next byte of a TCP socket is urgent (sockatmark(3)). */
bool sys_at_mark(int fd);
/* CLOCK_MONOTONIC in ns. */
int64_t sys_now(void);

#endif
