/* stdio.c: the stdio scheme: standard input and output as one stream.
 *
 * O_NONBLOCK belongs to the open file description, which the shell and other programs share with us and
 * keep after us, so it is never set on an inherited descriptor. Pipes and terminals are opened anew
 * through /proc/self/fd, with a description of our own; sockets take MSG_DONTWAIT; regular files make
 * nobody wait; where the reopening is refused, poll(2) is asked before each call. In the place of a
 * descriptor that was taken over stands /dev/null, so that the stream holds the last reference and
 * closing it tells the other end. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>

#include "net/net.h"

static bool opened;

static unsigned socket_flags(int fd) {
    int type = 0;
    socklen_t len = sizeof type;
    getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &len);
    return SLOT_SOCKET | (type == SOCK_STREAM ? 0 : SLOT_MESSAGES);
}

/* A pipe or character device with a description of our own; -1 where that is refused, and where the
 * descriptor itself is open for the other direction only: what cannot be used must not come to work. */
static int reopen(int fd, int access) {
    char path[64];
    int mode = fcntl(fd, F_GETFL) & O_ACCMODE;
    if (mode != access && mode != O_RDWR)
        return -1;
    snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
    return open(path, access | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
}

/* Takes over an inherited descriptor: returns the one to use, and the flags of its slot. */
static int take_over(eye_loop *loop, int fd, int access, unsigned *ret_flags) {
    struct stat st;
    if (fstat(fd, &st) < 0)
        return -errno;
    int own = -1;
    unsigned flags = 0;
    if (S_ISFIFO(st.st_mode) || S_ISCHR(st.st_mode)) {
        own = reopen(fd, access);
        flags = (own < 0 ? SLOT_BLOCKING | SLOT_SHARED : 0) |
                (S_ISFIFO(st.st_mode) ? SLOT_PIPE | (own < 0 ? 0 : SLOT_SPLICE) : 0);
    } else if (S_ISSOCK(st.st_mode)) {
        flags = socket_flags(fd) | SLOT_SHARED;
    } else if (S_ISREG(st.st_mode)) {
        /* splice(2) refuses to append. */
        flags = SLOT_SHARED | (fcntl(fd, F_GETFL) & O_APPEND ? 0 : SLOT_SPLICE);
    } else {
        flags = SLOT_SHARED;
    }
    if (own < 0) {
        own = fcntl(fd, F_DUPFD_CLOEXEC, 3);
        if (own < 0)
            return -errno;
    }
    int r = loop_null_over(loop, fd);
    if (r < 0) {
        close(own);
        return r;
    }
    *ret_flags = flags;
    return own;
}

static int open_both(eye_loop *loop, eye_stream *stream) {
    unsigned flags[2] = {0};
    AUTO_FD int in = take_over(loop, STDIN_FILENO, O_RDONLY, &flags[EYE_IN]);
    if (in < 0)
        return in;
    AUTO_FD int out = take_over(loop, STDOUT_FILENO, O_WRONLY, &flags[EYE_OUT]);
    if (out < 0)
        return out;
    int r = slot_open(loop, &stream->slot[EYE_IN], in, flags[EYE_IN]);
    if (r < 0)
        return r;
    r = slot_open(loop, &stream->slot[EYE_OUT], out, flags[EYE_OUT]);
    if (r < 0) {
        slot_detach(&stream->slot[EYE_IN]);
        return r;
    }
    in = out = -1; /* the stream's now */
    return 0;
}

static int stdio_open(eye_loop *loop, const struct eye_endpoint *e, eye_stream **ret_stream,
                      struct eye_err *reterr) {
    if (opened) {
        net_fail(reterr, e, -EBUSY, false);
        err_cause(reterr, "standard input and output can be one end of one connection");
        return -EBUSY;
    }
    eye_stream *stream = calloc(1, sizeof *stream + 2 * sizeof stream->slot[0]);
    int r = stream ? open_both(loop, stream) : -ENOMEM;
    if (r < 0) {
        free(stream);
        return net_fail(reterr, e, r, false);
    }
    stream->two = true;
    opened = true;
    *ret_stream = stream;
    return 0;
}

const struct scheme scheme_stdio = {.open = stdio_open};
