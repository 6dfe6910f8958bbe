/* inherit.c: descriptors that somebody else opened, and ways that a descriptor lacks.
 *
 * O_NONBLOCK belongs to the open file description, which the shell and other programs share with us and
 * keep after us, so it is never set on an inherited descriptor. Pipes and terminals are opened anew
 * through /proc/self/fd, with a description of our own; sockets take MSG_DONTWAIT; regular files make
 * nobody wait; where the reopening is refused, poll(2) is asked before each call. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>

#include "net/net.h"

static unsigned socket_flags(int fd) {
    int type = 0;
    socklen_t len = sizeof type;
    getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &len);
    return SLOT_SOCKET | (type == SOCK_STREAM ? 0 : SLOT_MESSAGES) | (type == SOCK_DGRAM ? SLOT_ENDLESS : 0);
}

int inherit_flags(int fd, unsigned *ret_flags) {
    struct stat st;
    if (fstat(fd, &st) < 0)
        return -errno;
    int access = fcntl(fd, F_GETFL);
    if (S_ISFIFO(st.st_mode))
        *ret_flags = SLOT_PIPE | SLOT_SPLICE;
    else if (S_ISSOCK(st.st_mode))
        *ret_flags = socket_flags(fd);
    else if (S_ISREG(st.st_mode))
        *ret_flags = access & O_APPEND ? 0 : SLOT_SPLICE; /* splice(2) refuses to append */
    else
        *ret_flags = 0;
    return 0;
}

/* A pipe or character device with a description of our own; -1 where that is refused, and where the
 * descriptor itself is open for the other direction only: what cannot be used must not come to work. */
static int reopen(int fd, enum eye_way way) {
    char path[64];
    int access = way == EYE_IN ? O_RDONLY : O_WRONLY, mode = fcntl(fd, F_GETFL) & O_ACCMODE;
    if (mode != access && mode != O_RDWR)
        return -1;
    snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
    return open(path, access | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
}

static bool worth_reopening(int fd) {
    struct stat st;
    return fstat(fd, &st) == 0 && (S_ISFIFO(st.st_mode) || S_ISCHR(st.st_mode));
}

int inherit_way(int fd, enum eye_way way, unsigned *ret_flags) {
    unsigned flags = 0;
    int r = inherit_flags(fd, &flags);
    if (r < 0)
        return r;
    int own = worth_reopening(fd) ? reopen(fd, way) : -1;
    if (own < 0) {
        own = fcntl(fd, F_DUPFD_CLOEXEC, 3);
        if (own < 0)
            return -errno;
        flags |= SLOT_SHARED;
        if (worth_reopening(fd) || (flags & SLOT_SOCKET))
            flags &= ~(unsigned)SLOT_SPLICE; /* it would wait */
        if (worth_reopening(fd))
            flags |= SLOT_BLOCKING;
    }
    *ret_flags = flags;
    return own;
}

int nowhere(enum eye_way way, unsigned *ret_flags) {
    *ret_flags = 0;
    if (way == EYE_IN) {
        int fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
        return fd < 0 ? -errno : fd;
    }
    int pipe[2];
    if (pipe2(pipe, O_CLOEXEC | O_NONBLOCK) < 0)
        return -errno;
    close(pipe[0]);
    return pipe[1];
}

int inherit_both(eye_loop *loop, const int fds[2],
                 int (*open_way)(int fd, enum eye_way way, unsigned *ret_flags), eye_stream **ret_stream) {
    unsigned flags[2] = {0};
    AUTO_FD int in = open_way(fds[EYE_IN], EYE_IN, &flags[EYE_IN]);
    if (in < 0)
        return in;
    AUTO_FD int out = open_way(fds[EYE_OUT], EYE_OUT, &flags[EYE_OUT]);
    if (out < 0)
        return out;
    int r = loop_null_over(loop, fds[EYE_IN]);
    if (r == 0 && fds[EYE_OUT] != fds[EYE_IN])
        r = loop_null_over(loop, fds[EYE_OUT]);
    if (r == 0)
        r = stream_new_two(loop, (const int[]){in, out}, flags, ret_stream);
    if (r < 0)
        return r;
    in = out = -1; /* the stream's now */
    return 0;
}
