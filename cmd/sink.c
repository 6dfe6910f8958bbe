#include "sink.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "options.h"
#include "output.h"

#define QUEUE_BYTES (64 * (size_t)1024)
#define FINISH_MS   250

/* ---- ways to write without waiting ---- */

static int always_ready(int fd) {
    (void)fd;
    return 1;
}

static int poll_ready(int fd) {
    struct pollfd p = {.fd = fd, .events = POLLOUT};
    return poll(&p, 1, 0);
}

static ssize_t put_file(int fd, const void *data, size_t size) {
    return write(fd, data, size);
}

/* A pipe that polls as writable takes this much without blocking (pipe(7)). */
static ssize_t put_polled(int fd, const void *data, size_t size) {
    return write(fd, data, size < PIPE_BUF ? size : PIPE_BUF);
}

static ssize_t put_socket(int fd, const void *data, size_t size) {
    return send(fd, data, size, MSG_DONTWAIT | MSG_NOSIGNAL);
}

/* ---- opening ---- */

static int open_number(struct sink *sink, int fd) {
    char path[32];
    struct stat st;
    int flags = fcntl(fd, F_GETFL);

    if (flags < 0 || (flags & O_ACCMODE) == O_RDONLY)
        return -EBADF;
    if (fstat(fd, &st) < 0)
        return -errno;
    sink->put = S_ISSOCK(st.st_mode) ? put_socket : put_file;
    if (S_ISFIFO(st.st_mode) || S_ISCHR(st.st_mode)) {
        snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
        sink->fd = open(path, O_WRONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
        if (sink->fd >= 0)
            return 0;
        if (errno == ENXIO) /* a pipe without a reader */
            return -EPIPE;
        sink->ready = poll_ready;
        sink->put = put_polled;
    }
    sink->fd = fcntl(fd, F_DUPFD_CLOEXEC, 0);
    return sink->fd < 0 ? -errno : 0;
}

static int open_path(struct sink *sink, const char *path) {
    struct stat st;
    int mode = stat(path, &st) == 0 && S_ISFIFO(st.st_mode) ? O_RDWR : O_WRONLY | O_CREAT | O_APPEND;
    sink->put = put_file;
    sink->fd = open(path, mode | O_NONBLOCK | O_NOCTTY | O_CLOEXEC, 0666);
    return sink->fd < 0 ? -errno : 0;
}

int sink_open(struct sink *ret_sink, const char *spec, struct eye_err *reterr) {
    struct sink sink = {.fd = -1, .ready = always_ready, .lock = PTHREAD_MUTEX_INITIALIZER, .news_fd = -1};
    bool number = *spec && spec[strspn(spec, "0123456789")] == '\0';
    int r;

    if (number && strlen(spec) > 9)
        r = -EBADF;
    else
        r = number ? open_number(&sink, atoi(spec)) : open_path(&sink, spec);
    if (r == 0 && !(sink.queue = malloc(QUEUE_BYTES))) {
        close(sink.fd);
        r = -ENOMEM;
    }
    if (r < 0) {
        usage_error(reterr, NULL, "--events %s: %s", spec, eye_strerror(r));
        reterr->code = r;
        reterr->fail = r == -EBADF ? EYE_FAIL_USAGE : EYE_FAIL_OTHER;
        return r;
    }
    *ret_sink = sink;
    return 0;
}

/* ---- writing ---- */

/* Writes what can be written now; returns how much that was. */
static size_t put_now(struct sink *sink, const char *data, size_t size) {
    size_t done = 0;
    while (done < size && !sink->gone && sink->ready(sink->fd) > 0) {
        ssize_t n = sink->put(sink->fd, data + done, size - done);
        if (n > 0) {
            done += (size_t)n;
        } else if (n < 0 && errno == EAGAIN) {
            break;
        } else if (n < 0 && errno != EINTR) {
            sink->gone = true;
            report_code(-errno, "--events");
        }
    }
    return done;
}

static void flush(struct sink *sink) {
    size_t n = put_now(sink, sink->queue + sink->head, sink->used);
    sink->head += n;
    sink->used -= n;
    if (sink->used == 0 || sink->gone)
        sink->head = sink->used = 0;
}

static void writable_done(eye_op *op, int64_t result);

static void watch(struct sink *sink) {
    if (sink->used == 0 || !sink->loop)
        return;
    if (!pthread_equal(pthread_self(), sink->home))
        eventfd_write(sink->news_fd, 1);
    else if (!eye_op_pending(&sink->op))
        eye_poll(sink->loop, &sink->op, sink->fd, EYE_OUT, writable_done);
}

static void writable_done(eye_op *op, int64_t result) {
    struct sink *sink = eye_container_of(op, struct sink, op);
    if (result >= 0) /* else cancelled, or this engine cannot watch it: the next event tries again */
        sink_tend(sink);
}

void sink_tend(struct sink *sink) {
    pthread_mutex_lock(&sink->lock);
    flush(sink);
    watch(sink);
    pthread_mutex_unlock(&sink->lock);
}

void sink_attach(struct sink *sink, eye_loop *loop) {
    sink->home = pthread_self();
    sink->loop = loop;
    watch(sink);
}

static bool take(struct sink *sink, const char *line, size_t size) {
    flush(sink);
    if (sink->used == 0) {
        size_t n = put_now(sink, line, size);
        line += n;
        size -= n;
    }
    if (sink->gone)
        return true;
    if (sink->used + size > QUEUE_BYTES)
        return false;
    if (sink->head + sink->used + size > QUEUE_BYTES) {
        memmove(sink->queue, sink->queue + sink->head, sink->used);
        sink->head = 0;
    }
    memcpy(sink->queue + sink->head + sink->used, line, size);
    sink->used += size;
    watch(sink);
    return true;
}

bool sink_write(struct sink *sink, const char *line, size_t size) {
    pthread_mutex_lock(&sink->lock);
    bool taken = take(sink, line, size);
    pthread_mutex_unlock(&sink->lock);
    return taken;
}

static int64_t now_ms(void) {
    struct timespec ts;
    clock_gettime(CLOCK_MONOTONIC, &ts);
    return ts.tv_sec * INT64_C(1000) + ts.tv_nsec / 1000000;
}

void sink_finish(struct sink *sink) {
    int64_t end = now_ms() + FINISH_MS, left;
    if (sink->loop && eye_op_pending(&sink->op))
        eye_cancel(sink->loop, &sink->op);
    flush(sink);
    while (sink->used > 0 && (left = end - now_ms()) > 0) {
        struct pollfd p = {.fd = sink->fd, .events = POLLOUT};
        poll(&p, 1, (int)left);
        flush(sink);
    }
    sink->loop = NULL;
}

void sink_close(struct sink *sink) {
    if (sink->fd >= 0)
        close(sink->fd);
    free(sink->queue);
    *sink = (struct sink){.fd = -1};
}
