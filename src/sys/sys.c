/* sys.c: see sys.h. */
#include "sys/sys.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/filter.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/sendfile.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

sys_fault_fn *sys_fault;

/* A call as every wrapper makes it: through the seam, again after EINTR, with errno as the result. */
#define CALL(name, fd, size, expr)                                                                           \
    ({                                                                                                       \
        int64_t call_r;                                                                                      \
        do {                                                                                                 \
            call_r = sys_fault ? sys_fault(name, fd, &(size)) : 0;                                           \
            if (call_r == 0) {                                                                               \
                call_r = (int64_t)(expr);                                                                    \
                if (call_r < 0)                                                                              \
                    call_r = -errno;                                                                         \
            }                                                                                                \
        } while (call_r == -EINTR);                                                                          \
        call_r;                                                                                              \
    })

int64_t sys_read(int fd, void *buf, size_t size) {
    return CALL("read", fd, size, read(fd, buf, size));
}

int64_t sys_write(int fd, const void *buf, size_t size) {
    return CALL("write", fd, size, write(fd, buf, size));
}

int64_t sys_recv(int fd, void *buf, size_t size) {
    return CALL("recv", fd, size, recv(fd, buf, size, MSG_DONTWAIT));
}

int64_t sys_recv_message(int fd, void *buf, size_t size) {
    struct iovec iov = {.iov_base = buf, .iov_len = size};
    struct msghdr msg = {.msg_iov = &iov, .msg_iovlen = 1};
    int64_t n = CALL("recv", fd, iov.iov_len, recvmsg(fd, &msg, MSG_DONTWAIT));
    return n >= 0 && (msg.msg_flags & MSG_TRUNC) ? EYE_ETRUNCATED : n;
}

int64_t sys_send(int fd, const void *buf, size_t size) {
    return CALL("send", fd, size, send(fd, buf, size, MSG_DONTWAIT | MSG_NOSIGNAL));
}

int64_t sys_recvmsg(int fd, struct msghdr *msg) {
    size_t none = 0;
    return CALL("recv", fd, none, recvmsg(fd, msg, MSG_DONTWAIT));
}

int64_t sys_peekmsg(int fd, struct msghdr *msg) {
    size_t none = 0;
    return CALL("recv", fd, none, recvmsg(fd, msg, MSG_DONTWAIT | MSG_PEEK));
}

int64_t sys_sendmsg(int fd, const struct msghdr *msg) {
    size_t none = 0;
    return CALL("send", fd, none, sendmsg(fd, msg, MSG_DONTWAIT | MSG_NOSIGNAL));
}

int sys_recvmmsg(int fd, struct mmsghdr *msgs, unsigned count) {
    size_t size = count;
    return (int)CALL("recv", fd, size, recvmmsg(fd, msgs, (unsigned)size, MSG_DONTWAIT, NULL));
}

int sys_sendmmsg(int fd, struct mmsghdr *msgs, unsigned count) {
    size_t size = count;
    return (int)CALL("send", fd, size, sendmmsg(fd, msgs, (unsigned)size, MSG_DONTWAIT | MSG_NOSIGNAL));
}

int64_t sys_splice(int from, int to, size_t size) {
    return CALL("splice", from, size, splice(from, NULL, to, NULL, size, SPLICE_F_MOVE | SPLICE_F_NONBLOCK));
}

int64_t sys_sendfile(int to, int from, int64_t *offset, size_t size) {
    return CALL("sendfile", from, size, sendfile(to, from, offset, size));
}

int64_t sys_pread(int fd, void *buf, size_t size, int64_t offset) {
    return CALL("pread", fd, size, pread(fd, buf, size, offset));
}

int64_t sys_pwrite(int fd, const void *buf, size_t size, int64_t offset) {
    return CALL("pwrite", fd, size, pwrite(fd, buf, size, offset));
}

int64_t sys_copy_range(int from, int64_t *from_offset, int to, int64_t *to_offset, size_t size) {
    return CALL("copy_file_range", from, size, copy_file_range(from, from_offset, to, to_offset, size, 0));
}

int sys_accept(int fd) {
    size_t none = 0;
    return (int)CALL("accept", fd, none, accept4(fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC));
}

int sys_connect(int fd, const struct eye_addr *addr) {
    size_t none = 0;
    /* After EINTR a connect goes on by itself (connect(2)); ours cannot be interrupted, since it does
     * not wait. */
    return (int)CALL("connect", fd, none, connect(fd, &addr->u.sa, addr->len));
}

int sys_socket(int family, int type, int protocol) {
    size_t none = 0;
    return (int)CALL("socket", -1, none, socket(family, type | SOCK_NONBLOCK | SOCK_CLOEXEC, protocol));
}

int sys_poll_now(int fd, short events) {
    struct pollfd pfd = {.fd = fd, .events = events};
    size_t none = 0;
    int r = (int)CALL("poll", fd, none, poll(&pfd, 1, 0));
    return r <= 0 ? r : pfd.revents;
}

int sys_set_int(int fd, int level, int name, int value) {
    return setsockopt(fd, level, name, &value, sizeof value) < 0 ? -errno : 0;
}

void sys_set_reset(int fd) {
    const struct linger now = {.l_onoff = 1};
    setsockopt(fd, SOL_SOCKET, SO_LINGER, &now, sizeof now);
}

void sys_set_deaf(int fd) {
    /* SYN without ACK: byte 13 of the TCP header (RFC 9293, 3.1), where a TCP socket's packets begin. */
    struct sock_filter first[] = {
        BPF_STMT(BPF_LD | BPF_B | BPF_ABS, 13),
        BPF_STMT(BPF_ALU | BPF_AND | BPF_K, TH_SYN | TH_ACK),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, TH_SYN, 0, 1),
        BPF_STMT(BPF_RET | BPF_K, 0),
        BPF_STMT(BPF_RET | BPF_K, UINT32_MAX),
    };
    const struct sock_fprog program = {.len = sizeof first / sizeof first[0], .filter = first};
    setsockopt(fd, SOL_SOCKET, SO_ATTACH_FILTER, &program, sizeof program);
}

int sys_socket_error(int fd) {
    int error = 0;
    socklen_t len = sizeof error;
    if (getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &len) < 0)
        return -errno;
    return -error;
}

bool sys_at_mark(int fd) {
    return sockatmark(fd) == 1;
}

int64_t sys_now(void) {
    struct timespec ts;
    clock_gettime(CLOCK_MONOTONIC, &ts);
    return (int64_t)ts.tv_sec * 1000000000 + ts.tv_nsec;
}
