/* suite.c: see suite.h. */
#include <dirent.h>
#include <errno.h>
#include <ftw.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>

#include "base/base.h"
#include "net/net.h"
#include "suite.h"

/* Setting up must work; the case has no business going on where it does not. */
static int must(int r, const char *what) {
    if (r >= 0)
        return r;
    perror(what);
    abort();
}

void suite_socketpair(int type, int ret_fd[2]) {
    must(socketpair(AF_UNIX, type | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, ret_fd), "socketpair");
}

void suite_pipe(int ret_fd[2]) {
    must(pipe2(ret_fd, O_NONBLOCK | O_CLOEXEC), "pipe2");
}

int suite_tcp_listener(int backlog, struct eye_addr *ret_addr) {
    int fd = must(socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0), "socket");
    struct eye_addr addr = {.len = sizeof addr.u.in};
    addr.u.in.sin_family = AF_INET;
    addr.u.in.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    must(bind(fd, &addr.u.sa, addr.len), "bind");
    must(listen(fd, backlog), "listen");
    must(getsockname(fd, &addr.u.sa, &addr.len), "getsockname");
    *ret_addr = addr;
    return fd;
}

int suite_connect(const struct eye_addr *addr) {
    int fd = must(socket(addr->u.sa.sa_family, SOCK_STREAM | SOCK_CLOEXEC, 0), "socket");
    int r = connect(fd, &addr->u.sa, addr->len);
    struct pollfd connected = {.fd = fd, .events = POLLOUT};
    while (r < 0 && errno == EINTR) /* it goes on by itself (connect(2)) */
        r = poll(&connected, 1, -1);
    must(r, "connect");
    must(fcntl(fd, F_SETFL, O_NONBLOCK), "fcntl");
    return fd;
}

void suite_tcp_pair(int ret_fd[2]) {
    struct eye_addr addr;
    int listener = suite_tcp_listener(1, &addr);
    ret_fd[1] = suite_connect(&addr);
    ret_fd[0] = must(accept4(listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC), "accept");
    close(listener);
}

void suite_reset(int fd) {
    const struct linger now = {.l_onoff = 1};
    must(setsockopt(fd, SOL_SOCKET, SO_LINGER, &now, sizeof now), "SO_LINGER");
    close(fd);
}

eye_stream *suite_stream(eye_loop *loop, int fd, unsigned slot_flags) {
    eye_stream *stream = NULL;
    must(stream_new(loop, fd, slot_flags, &stream), "stream_new");
    return stream;
}

eye_stream *suite_stream_two(eye_loop *loop, int in, unsigned in_flags, int out, unsigned out_flags) {
    eye_stream *stream = calloc(1, sizeof *stream + 2 * sizeof stream->slot[0]);
    must(slot_open(loop, &stream->slot[EYE_IN], in, in_flags), "slot_open");
    must(slot_open(loop, &stream->slot[EYE_OUT], out, out_flags), "slot_open");
    stream->two = true;
    return stream;
}

size_t suite_write(eye_loop *loop, int fd, const void *data, size_t size) {
    int64_t until_ns = sys_now() + SUITE_LIMIT_NS;
    size_t moved = 0;
    while (moved < size && sys_now() < until_ns) {
        ssize_t n = write(fd, (const char *)data + moved, size - moved);
        if (n < 0 && errno != EAGAIN && errno != EINTR)
            break;
        moved += n > 0 ? (size_t)n : 0;
        eye_loop_run(loop, n > 0 ? 0 : NS_PER_MS);
    }
    return moved;
}

int64_t suite_next(eye_loop *loop, int fd, void *buf, size_t size) {
    int64_t until_ns = sys_now() + SUITE_LIMIT_NS;
    while (sys_now() < until_ns) {
        ssize_t n = read(fd, buf, size);
        if (n >= 0)
            return n;
        if (errno != EAGAIN && errno != EINTR)
            return -errno;
        eye_loop_run(loop, NS_PER_MS);
    }
    return -ETIMEDOUT;
}

size_t suite_read(eye_loop *loop, int fd, void *buf, size_t size) {
    size_t moved = 0;
    while (moved < size) {
        int64_t n = suite_next(loop, fd, (char *)buf + moved, size - moved);
        if (n <= 0)
            break;
        moved += (size_t)n;
    }
    return moved;
}

uint8_t *suite_pattern(size_t size) {
    uint8_t *data = malloc(size);
    uint32_t x = 12345;
    for (size_t i = 0; i < size; i++) {
        x = x * 1664525 + 1013904223;
        data[i] = (uint8_t)(x >> 24);
    }
    return data;
}

int suite_count_fds(void) {
    DIR *dir = opendir("/proc/self/fd");
    int count = -3; /* ".", ".." and its own */
    while (dir && readdir(dir))
        count++;
    closedir(dir);
    return count;
}

void suite_tempdir(char ret_path[64]) {
    strcpy(ret_path, "/tmp/sockeye-test-XXXXXX");
    if (!mkdtemp(ret_path))
        must(-1, "mkdtemp");
}

static int remove_one(const char *path, const struct stat *st, int type, struct FTW *ftw) {
    (void)st, (void)type, (void)ftw;
    return remove(path);
}

void suite_remove(const char *path) {
    must(nftw(path, remove_one, 8, FTW_DEPTH | FTW_PHYS), "nftw");
}

void seen_event(void *user, const struct eye_event *event) {
    struct seen *seen = user;
    seen->count[event->kind]++;
    seen->ends |= event->kind == EYE_EVENT_EOF ? 1U << event->side : 0U;
    if (event->kind == EYE_EVENT_LISTENING)
        eye_addr_parse(event->address, &seen->address, NULL);
    if (event->kind != EYE_EVENT_CLOSED)
        return;
    seen->reason = event->reason;
    seen->error = event->error ? event->error->code : 0;
    for (int way = 0; way < 2; way++) {
        seen->bytes[way] = event->bytes[way];
        snprintf(seen->path[way], sizeof seen->path[way], "%s", event->path[way] ? event->path[way] : "");
    }
}
