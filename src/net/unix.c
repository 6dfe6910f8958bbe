/* unix.c: the unix scheme: stream and seqpacket sockets, in the file system or abstract. unix(7)
 *
 * The socket's mode is set before bind, so that its file is never more open than asked, even for a
 * moment. A file in the way is replaced only if it is a socket that nobody listens on; at the end only
 * the file that is still our own is unlinked. Servers that start at once take turns, by a lock on the
 * directory, or each could take the other's socket, bound and not yet listening, for a stale one. */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <time.h>

#include "net/net.h"
#include "sys/sys.h"

#define LOCK_TRIES    100
#define LOCK_PAUSE_NS (10 * NS_PER_MS)

static bool abstract(const struct eye_endpoint *e) {
    return e->path[0] == '@';
}

static int unix_socket(const struct eye_endpoint *e, const struct eye_addr *addr, bool listening) {
    AUTO_FD int fd = sys_socket(addr->u.sa.sa_family, e->type, 0);
    if (fd < 0)
        return fd;
    int r = 0;
    if (e->sndbuf_bytes > 0)
        r = sys_set_int(fd, SOL_SOCKET, SO_SNDBUF, (int)MIN(e->sndbuf_bytes, INT32_MAX));
    if (r == 0 && e->rcvbuf_bytes > 0)
        r = sys_set_int(fd, SOL_SOCKET, SO_RCVBUF, (int)MIN(e->rcvbuf_bytes, INT32_MAX));
    /* A datagram can be answered only if its sender has a name: an abstract one, picked by the kernel
     * (unix(7), autobind). */
    struct sockaddr_un any = {.sun_family = AF_UNIX};
    if (r == 0 && !listening && e->type == SOCK_DGRAM &&
        bind(fd, (struct sockaddr *)&any, sizeof any.sun_family) < 0)
        r = -errno;
    if (r == 0 && listening && !abstract(e) && fchmod(fd, e->mode) < 0)
        r = -errno;
    if (r < 0)
        return r;
    int ret_fd = fd;
    fd = -1; /* the caller's now */
    return ret_fd;
}

/* From before bind until it listens. Anybody who may read the directory may lock it, and not everybody may:
 * after a second, or where it cannot be opened, it goes on without. flock(2) */
static int unix_lock(const struct eye_endpoint *e) {
    if (abstract(e))
        return -1;
    const char *slash = strrchr(e->path, '/');
    char folder[PATH_MAX];
    snprintf(folder, sizeof folder, "%.*s", slash ? (int)(slash - e->path + 1) : 1, slash ? e->path : ".");
    int fd = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    for (int i = 0; fd >= 0 && i < LOCK_TRIES && flock(fd, LOCK_EX | LOCK_NB) < 0; i++)
        nanosleep(&(struct timespec){.tv_nsec = LOCK_PAUSE_NS}, NULL);
    return fd;
}

/* Removes a socket file that nobody listens on. -EADDRINUSE: somebody does, or it is something else. */
static int remove_stale(const struct eye_endpoint *e, const struct eye_addr *addr, struct eye_err *reterr) {
    struct stat before, now;
    if (lstat(e->path, &before) < 0)
        return errno == ENOENT ? 0 : net_fail(reterr, e, -errno, true);
    if (!S_ISSOCK(before.st_mode)) {
        net_fail(reterr, e, -EADDRINUSE, true);
        err_cause(reterr, "%s is there already and is no socket; it is left alone", e->path);
        return -EADDRINUSE;
    }
    AUTO_FD int fd = sys_socket(AF_UNIX, e->type, 0);
    if (fd < 0)
        return net_fail(reterr, e, fd, true);
    if (sys_connect(fd, addr) != -ECONNREFUSED) {
        net_fail(reterr, e, -EADDRINUSE, true);
        err_cause(reterr, "a live server listens there");
        return -EADDRINUSE;
    }
    if (lstat(e->path, &now) < 0 || now.st_ino != before.st_ino || now.st_dev != before.st_dev)
        return net_fail(reterr, e, -EADDRINUSE, true); /* another server was quicker */
    return unlink(e->path) < 0 ? net_fail(reterr, e, -errno, true) : 0;
}

/* Sets a mode that the umask has masked, and notes which file is ours. */
static int claim_file(const struct eye_endpoint *e, struct bound *ret_bound) {
    struct stat st;
    if (lstat(e->path, &st) < 0)
        return -errno;
    *ret_bound = (struct bound){.path = e->path, .dev = st.st_dev, .ino = st.st_ino};
    return e->mode_said && (st.st_mode & 0777) != e->mode && chmod(e->path, e->mode) < 0 ? -errno : 0;
}

static void unix_unbind(const struct bound *bound) {
    struct stat st;
    if (bound->path && lstat(bound->path, &st) == 0 && st.st_ino == bound->ino && st.st_dev == bound->dev)
        unlink(bound->path);
}

static int unix_bind(int fd, const struct eye_endpoint *e, const struct eye_addr *addr,
                     struct bound *ret_bound, struct eye_err *reterr) {
    *ret_bound = (struct bound){0};
    int r = bind(fd, &addr->u.sa, addr->len) < 0 ? -errno : 0;
    if (r == -EADDRINUSE && !abstract(e)) {
        r = remove_stale(e, addr, reterr);
        if (r < 0)
            return r;
        r = bind(fd, &addr->u.sa, addr->len) < 0 ? -errno : 0;
    }
    if (r == 0 && !abstract(e)) {
        r = claim_file(e, ret_bound);
        if (r < 0)
            unix_unbind(ret_bound);
    }
    return r < 0 ? net_fail(reterr, e, r, true) : 0;
}

static unsigned unix_slot_flags(const struct eye_endpoint *e, int fd) {
    (void)fd;
    switch (e->type) {
    case SOCK_SEQPACKET:
        return SLOT_SOCKET | SLOT_MESSAGES;
    case SOCK_DGRAM:
        return SLOT_SOCKET | SLOT_MESSAGES | SLOT_ENDLESS;
    default:
        return SLOT_SOCKET | SLOT_SPLICE;
    }
}

const struct scheme scheme_unix = {
    .socket = unix_socket,
    .lock = unix_lock,
    .bind = unix_bind,
    .unbind = unix_unbind,
    .slot_flags = unix_slot_flags,
};
