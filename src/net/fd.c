/* fd.c: the fd scheme: an inherited descriptor by its number, connected or listening. */
#include <errno.h>
#include <fcntl.h>
#include <sys/socket.h>

#include "net/net.h"

bool fd_listens(int fd) {
    int listening = 0;
    socklen_t len = sizeof listening;
    return getsockopt(fd, SOL_SOCKET, SO_ACCEPTCONN, &listening, &len) == 0 && listening;
}

static bool has_way(int fd, enum eye_way way) {
    int access = fcntl(fd, F_GETFL) & O_ACCMODE;
    return access == O_RDWR || access == (way == EYE_IN ? O_RDONLY : O_WRONLY);
}

static int open_way(int fd, enum eye_way way, unsigned *ret_flags) {
    return has_way(fd, way) ? inherit_way(fd, way, ret_flags) : nowhere(way, ret_flags);
}

static int open_both(eye_loop *loop, int fd, eye_stream **ret_stream) {
    unsigned flags[2];
    if (fcntl(fd, F_GETFL) < 0)
        return -errno;
    AUTO_FD int in = open_way(fd, EYE_IN, &flags[EYE_IN]);
    if (in < 0)
        return in;
    AUTO_FD int out = open_way(fd, EYE_OUT, &flags[EYE_OUT]);
    if (out < 0)
        return out;
    int r = loop_null_over(loop, fd);
    if (r == 0)
        r = stream_new_two(loop, (const int[]){in, out}, flags, ret_stream);
    if (r < 0)
        return r;
    in = out = -1; /* the stream's now */
    return 0;
}

static int fd_fail(int code, const struct eye_endpoint *e, struct eye_err *reterr) {
    net_fail(reterr, e, code, false);
    if (code == -EBADF)
        err_cause(reterr, "no descriptor of that number was inherited");
    return code;
}

static int fd_open(eye_loop *loop, const struct eye_endpoint *e, eye_stream **ret_stream,
                   struct eye_err *reterr) {
    int r = open_both(loop, e->fd, ret_stream);
    return r < 0 ? fd_fail(r, e, reterr) : 0;
}

static int fd_listening(eye_loop *loop, const struct eye_endpoint *e, struct eye_err *reterr) {
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

static unsigned fd_slot_flags(const struct eye_endpoint *e) {
    (void)e;
    return SLOT_SOCKET | SLOT_STREAM | SLOT_SPLICE;
}

const struct scheme scheme_fd = {.open = fd_open, .listening = fd_listening, .slot_flags = fd_slot_flags};
