/* fd.c: the fd scheme: an inherited descriptor by its number, connected or listening. It is taken once; in
 * its place stands /dev/null afterwards, as with stdio. */
#include <errno.h>
#include <fcntl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

#include "net/net.h"

bool fd_listens(int fd) {
    int listening = 0;
    socklen_t len = sizeof listening;
    return getsockopt(fd, SOL_SOCKET, SO_ACCEPTCONN, &listening, &len) == 0 && listening;
}

/* Whether it is what loop_null_over leaves. An inherited /dev/null has no FD_CLOEXEC. */
static bool taken(int fd) {
    struct stat st;
    return (fcntl(fd, F_GETFD) & FD_CLOEXEC) && fstat(fd, &st) == 0 && S_ISCHR(st.st_mode) &&
           st.st_rdev == makedev(1, 3);
}

static bool has_way(int fd, enum eye_way way) {
    int access = fcntl(fd, F_GETFL) & O_ACCMODE;
    return access == O_RDWR || access == (way == EYE_IN ? O_RDONLY : O_WRONLY);
}

static int open_way(int fd, enum eye_way way, unsigned *ret_flags) {
    return has_way(fd, way) ? inherit_way(fd, way, ret_flags) : nowhere(way, ret_flags);
}

static int open_both(eye_loop *loop, int fd, eye_stream **ret_stream) {
    if (fcntl(fd, F_GETFL) < 0)
        return -errno;
    if (taken(fd))
        return -EBUSY;
    return inherit_both(loop, (const int[]){fd, fd}, open_way, ret_stream);
}

static int fd_fail(int code, const struct eye_endpoint *e, struct eye_err *reterr) {
    net_fail(reterr, e, code, false);
    if (code == -EBADF)
        err_cause(reterr, "no descriptor of that number was inherited");
    if (code == -EBUSY)
        err_cause(reterr, "a descriptor can be one end of one connection");
    return code;
}

/* Whether each datagram that it is to send wants an address. */
static bool is_unconnected(int fd) {
    struct sockaddr_storage peer;
    int type = 0;
    socklen_t len = sizeof type, peer_len = sizeof peer;
    return getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &len) == 0 && type == SOCK_DGRAM &&
           getpeername(fd, (struct sockaddr *)&peer, &peer_len) < 0 && errno == ENOTCONN;
}

static int no_address(const struct eye_endpoint *e, struct eye_err *reterr) {
    return err_set(reterr, EYE_ESYNTAX, EYE_FAIL_USAGE,
                   "%s: an inherited socket of datagrams that is not connected; name its address, as "
                   "udp:HOST:PORT",
                   e->text);
}

static int fd_open(eye_loop *loop, const struct eye_endpoint *e, eye_stream **ret_stream,
                   struct eye_err *reterr) {
    if (fd_listens(e->fd))
        return err_set(reterr, EYE_ESYNTAX, EYE_FAIL_USAGE, "%s: the descriptor listens", e->text);
    if (is_unconnected(e->fd))
        return no_address(e, reterr);
    int r = open_both(loop, e->fd, ret_stream);
    return r < 0 ? fd_fail(r, e, reterr) : 0;
}

static int fd_listening(eye_loop *loop, const struct eye_endpoint *e, struct eye_err *reterr) {
    if (fcntl(e->fd, F_GETFL) < 0)
        return fd_fail(-errno, e, reterr);
    if (is_unconnected(e->fd))
        return no_address(e, reterr);
    if (!fd_listens(e->fd))
        return err_set(reterr, EYE_ESYNTAX, EYE_FAIL_USAGE, "%s: the descriptor does not listen", e->text);
    AUTO_FD int own = fcntl(e->fd, F_DUPFD_CLOEXEC, 3);
    int r = own < 0 ? -errno : loop_null_over(loop, e->fd);
    if (r < 0)
        return fd_fail(r, e, reterr);
    int ret_fd = own;
    own = -1; /* the caller's now */
    return ret_fd;
}

static unsigned fd_slot_flags(const struct eye_endpoint *e, int fd) {
    int type = 0, protocol = 0;
    socklen_t len = sizeof type;
    (void)e;
    getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &len);
    getsockopt(fd, SOL_SOCKET, SO_PROTOCOL, &protocol, &len);
    return SLOT_SOCKET | (type == SOCK_STREAM ? SLOT_SPLICE : SLOT_MESSAGES) |
           (protocol == IPPROTO_TCP ? SLOT_TCP : 0);
}

const struct scheme scheme_fd = {.open = fd_open, .listening = fd_listening, .slot_flags = fd_slot_flags};
