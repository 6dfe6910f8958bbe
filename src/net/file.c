/* file.c: the file scheme: a path, opened.
 *
 * A regular file is read from, unless `append` or `create` say that it is written to: never both, so that
 * no answer of a peer ends up in the file that was sent to it. A device goes both ways, as far as its
 * permissions do. A FIFO is read from or written to likewise. */
#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>

#include "net/net.h"

#define FLAGS (O_NONBLOCK | O_NOCTTY | O_CLOEXEC)

static int open_fd(const char *path, int flags) {
    int fd = open(path, flags | FLAGS, 0666);
    return fd < 0 ? -errno : fd;
}

static int open_sink(const struct eye_endpoint *e) {
    int create = e->create ? O_CREAT | (e->append ? 0 : O_TRUNC) : 0;
    return open_fd(e->path, O_WRONLY | create | (e->append ? O_APPEND : 0));
}

static bool is_device(const char *path) {
    struct stat st;
    return stat(path, &st) == 0 && S_ISCHR(st.st_mode);
}

/* Opens the ways that the file has; the other is nowhere. */
static int open_ways(const struct eye_endpoint *e, int fds[2], unsigned flags[2]) {
    bool sink = e->append || e->create;
    enum eye_way way = sink ? EYE_OUT : EYE_IN, other = sink ? EYE_IN : EYE_OUT;
    int fd = -EACCES;
    if (!sink && is_device(e->path))
        fd = open_fd(e->path, O_RDWR);
    bool both = fd >= 0;
    if (fd == -EACCES || fd == -EPERM || fd == -EROFS)
        fd = sink ? open_sink(e) : open_fd(e->path, O_RDONLY);
    if (fd < 0)
        return fd;
    fds[way] = fd;
    struct stat st;
    int r = inherit_flags(fd, &flags[way]);
    if (r == 0 && fstat(fd, &st) == 0 && S_ISDIR(st.st_mode))
        r = -EISDIR;
    if (r < 0)
        return r;
    /* A FIFO that nobody has opened for writing yet would read as ended; poll(2) knows better. */
    if (way == EYE_IN && (flags[way] & SLOT_PIPE))
        flags[way] = SLOT_PIPE | SLOT_BLOCKING;
    flags[other] = flags[way];
    fds[other] = both ? fcntl(fd, F_DUPFD_CLOEXEC, 3) : nowhere(other, &flags[other]);
    return fds[other] < 0 ? (both ? -errno : fds[other]) : 0;
}

static int file_open(eye_loop *loop, const struct eye_endpoint *e, eye_stream **ret_stream,
                     struct eye_err *reterr) {
    int fds[2] = {-1, -1};
    unsigned flags[2];
    int r = open_ways(e, fds, flags);
    if (r == 0)
        r = stream_new_two(loop, fds, flags, ret_stream);
    if (r == 0)
        return 0;
    for (int i = 0; i < 2; i++)
        if (fds[i] >= 0)
            close(fds[i]);
    net_fail(reterr, e, r, false);
    if (r == -ENOENT)
        err_cause(reterr, "the file does not exist; create makes it");
    if (r == -ENXIO)
        err_cause(reterr, "a FIFO that nobody reads from, or a Unix socket, which is unix:");
    return r;
}

const struct scheme scheme_file = {.open = file_open};
