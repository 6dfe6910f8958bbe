/* io.c: the operations on a slot, one table row and one perform function each. Every call that moves
 * bytes on a loop is made here. */
#include "loop/io.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>

#include "loop/backend.h"
#include "loop/batch.h"
#include "sys/sys.h"

/* What one perform moves at most, so that peers take turns. */
#define RECV_TURN_BYTES                                                                                      \
    (128 * 1024) /* above 64 KiB, a common piece, so that a short one shows that it is all */
#define SEND_TURN_BYTES (256 * 1024)
#define ACCEPT_TURN_MAX 64
#define EMPTY_TURN_MAX  64

/* A descriptor without O_NONBLOCK: would the next call wait? */
static bool would_wait(const struct slot *slot, enum eye_way way) {
    return (slot->flags & SLOT_BLOCKING) && sys_poll_now(slot->fd, way == EYE_IN ? POLLIN : POLLOUT) == 0;
}

/* Whether a receive of 0 was the end, and no empty message. */
static bool at_end(const struct slot *slot) {
    int left_bytes = 0;
    return (sys_poll_now(slot->fd, POLLIN | POLLRDHUP) & POLLRDHUP) &&
           (ioctl(slot->fd, FIONREAD, &left_bytes) < 0 || left_bytes == 0);
}

/* Empty messages are passed over where they look like the end, a bounded number of them in one turn. */
static int64_t recv_message(const struct slot *slot, void *buf, size_t size) {
    if (slot->flags & SLOT_ENDLESS)
        return sys_recv_message(slot->fd, buf, size);
    for (int i = 0; i < EMPTY_TURN_MAX; i++) {
        int64_t n = sys_recv_message(slot->fd, buf, size);
        if (n != 0 || at_end(slot))
            return n;
    }
    return OP_MORE;
}

/* Whether an error says that a command has left. Its terminal fails with EIO once the last who had it open
 * has closed it (pty(7)). A socketpair says ECONNRESET of a command that exited with input unread: its output
 * has ended all the same, and it takes no more, as with a pipe. */
static bool command_gone(const struct slot *slot, int64_t n) {
    return (n == -EIO && (slot->flags & SLOT_TERMINAL)) || (n == -ECONNRESET && (slot->flags & SLOT_COMMAND));
}

/* A terminal whose queue was full when it was closed says EAGAIN for ever. */
static int64_t to_command(const struct slot *slot, int64_t n) {
    bool full = n == -EAGAIN && (slot->flags & SLOT_TERMINAL);
    return command_gone(slot, n) || (full && (sys_poll_now(slot->fd, POLLOUT) & POLLHUP)) ? -EPIPE : n;
}

/* From what the backend has received ahead. */
static int64_t recv_ahead(struct slot *slot, struct eye_bytes *ret_bytes, size_t size) {
    int64_t n = slot->loop->backend->recv(slot, ret_bytes, MIN(size, (size_t)RECV_TURN_BYTES));
    return command_gone(slot, n) ? 0 : n;
}

static int64_t recv_some(struct slot *slot, void *buf, size_t size) {
    if (would_wait(slot, EYE_IN))
        return -EAGAIN;
    if (slot->flags & SLOT_MESSAGES)
        return recv_message(slot, buf, size);
    size = MIN(size, (size_t)RECV_TURN_BYTES);
    int64_t n = slot->flags & SLOT_SOCKET ? sys_recv(slot->fd, buf, size) : sys_read(slot->fd, buf, size);
    if (command_gone(slot, n)) {
        slot->ready |= WAY_OUT; /* select(2) would not tell a writer */
        return 0;
    }
    /* A short receive from TCP means that the next one would wait, and is not made. Not so from a Unix
     * socket: it also stops short behind bytes that came with descriptors (unix(7)). */
    if (n >= 0 && (size_t)n < size && (slot->flags & SLOT_TCP) && !(slot->flags & SLOT_MARKED))
        slot->ready &= (uint8_t)~WAY_IN;
    return n;
}

static int64_t perform_recv(struct slot *slot, eye_op *op) {
    if (slot_on_ring(slot, RING_RECV)) {
        struct eye_bytes bytes;
        int64_t n = recv_ahead(slot, &bytes, op_of(op)->u.io.size);
        if (n > 0)
            memcpy(op_of(op)->u.io.data, bytes.data, (size_t)n);
        return n;
    }
    return recv_some(slot, op_of(op)->u.io.data, op_of(op)->u.io.size);
}

static int64_t perform_recv_lent(struct slot *slot, eye_op *op) {
    struct eye_bytes *ret_bytes = op_of(op)->u.lent.ret;
    size_t most = op_of(op)->u.lent.bytes.size;
    if (slot_on_ring(slot, RING_RECV))
        return recv_ahead(slot, ret_bytes, most);
    int64_t n = recv_some(slot, slot->loop->lend, MIN(most, (size_t)LEND_BYTES));
    if (n >= 0)
        *ret_bytes = (struct eye_bytes){.data = slot->loop->lend, .size = (size_t)n};
    return n;
}

static int64_t send_some(const struct slot *slot, const void *buf, size_t size) {
    if (slot->flags & SLOT_FINISHED)
        return -EPIPE;
    if (would_wait(slot, EYE_OUT))
        return -EAGAIN;
    /* A pipe that is worth a try takes PIPE_BUF bytes without waiting (pipe(7)). */
    size_t most = slot->flags & SLOT_BLOCKING ? MIN(size, (size_t)PIPE_BUF) : size;
    int64_t n = slot->flags & SLOT_SOCKET ? sys_send(slot->fd, buf, size) : sys_write(slot->fd, buf, most);
    return to_command(slot, n);
}

static int64_t perform_send(struct slot *slot, eye_op *op) {
    struct op *p = op_of(op);
    if (p->u.io.size == 0 && (slot->flags & SLOT_ENDLESS))
        return send_some(slot, p->u.io.data, 0); /* an empty datagram */
    size_t turn_bytes = 0;
    while ((size_t)p->moved < p->u.io.size) {
        if (turn_bytes >= SEND_TURN_BYTES)
            return OP_MORE;
        size_t left = p->u.io.size - (size_t)p->moved;
        if (!(slot->flags & SLOT_MESSAGES))
            left = MIN(left, (size_t)SEND_TURN_BYTES);
        if (p->code)
            return to_command(slot, p->code);
        int64_t n = slot_on_ring(slot, RING_SEND)
                        ? slot->loop->backend->send(slot, p->u.io.data + p->moved, left)
                        : send_some(slot, p->u.io.data + p->moved, left);
        if (n < 0)
            return n;
        p->moved += n;
        turn_bytes += (size_t)n;
    }
    return p->moved;
}

static void release_copy(eye_op *op) {
    free(op_of(op)->u.io.ret);
}

static void release_lent(eye_op *op) {
    eye_loop *loop = op_of(op)->at.slot->loop;
    loop->backend->let_go(loop, op_of(op)->u.io.ret);
}

int64_t io_accept_now(struct slot *slot) {
    if (!slot_on_ring(slot, RING_ACCEPT) && would_wait(slot, EYE_IN))
        return -EAGAIN;
    for (int i = 0; i < ACCEPT_TURN_MAX; i++) {
        int fd = slot_on_ring(slot, RING_ACCEPT) ? slot->loop->backend->accept(slot) : sys_accept(slot->fd);
        switch (-fd) {
        /* Connections that died in the queue, and errors of the network that accept(2) passes on. */
        case ECONNABORTED:
        case EPERM:
        case EPROTO:
        case ENETDOWN:
        case ENOPROTOOPT:
        case EHOSTDOWN:
        case ENONET:
        case EHOSTUNREACH:
        case EOPNOTSUPP:
        case ENETUNREACH:
        case ETIMEDOUT:
            continue;
        default:
            return fd;
        }
    }
    return OP_MORE;
}

static int64_t perform_connect(struct slot *slot, eye_op *op) {
    struct op *p = op_of(op);
    if (!p->begun) {
        p->begun = true;
        int r = sys_connect(slot->fd, p->u.io.ret);
        if (r == -EAGAIN)
            return -EBUSY;
        return r == -EINPROGRESS ? -EAGAIN : r;
    }
    int ready = sys_poll_now(slot->fd, POLLOUT);
    return ready == 0 ? -EAGAIN : ready < 0 ? ready : sys_socket_error(slot->fd);
}

static int64_t wait_for(const struct slot *slot, short events) {
    int r = sys_poll_now(slot->fd, events);
    if (r > 0 && (r & POLLNVAL))
        return -EBADF;
    return r == 0 ? -EAGAIN : r;
}

static int64_t perform_wait_in(struct slot *slot, eye_op *op) {
    (void)op;
    return slot_has_ahead(slot) ? POLLIN : wait_for(slot, POLLIN);
}

static int64_t perform_wait_out(struct slot *slot, eye_op *op) {
    (void)op;
    return wait_for(slot, POLLOUT);
}

/* A terminal has no half-close: its end-of-file character ends the input of a program that reads lines,
 * said twice where the last line was not complete. */
static int64_t finish_terminal(struct slot *slot) {
    static const char end_of_file[] = {4, 4};
    int64_t n = send_some(slot, end_of_file, sizeof end_of_file);
    if (n == -EAGAIN)
        return n;
    slot->flags |= SLOT_FINISHED;
    return n == -EPIPE ? 0 : MIN(n, 0);
}

static int64_t perform_finish(struct slot *slot, eye_op *op) {
    (void)op;
    if (slot->flags & SLOT_TERMINAL)
        return finish_terminal(slot);
    if (slot->flags & SLOT_SOCKET)
        return shutdown(slot->fd, SHUT_WR) < 0 ? -errno : 0;
    slot->wanted = 0;
    slot->loop->backend->forget(slot->loop, slot);
    /* Closing a copy first lets a file system say what it could not write (close(2)); dup(2) would not. */
    int copy = fcntl(slot->fd, F_DUPFD_CLOEXEC, 0);
    int r = copy >= 0 && close(copy) < 0 ? -errno : 0;
    int over = loop_null_over(slot->loop, slot->fd);
    slot->flags |= SLOT_FINISHED;
    return r < 0 ? r : over;
}

/* Whether bytes have been received ahead, which come before what a splice would move. */
static bool has_bytes(struct slot *slot) {
    if (slot_on_ring(slot, RING_RECV))
        slot->loop->backend->recall(slot->loop, slot, WAY_IN);
    return slot_has_ahead(slot);
}

/* Before urgent data a splice says for ever that it would wait, or that the end has come: it does not pass
 * it, as a receive does (tcp(7)). */
static int64_t splice_from(const struct slot *slot, int to, size_t size) {
    int64_t n = sys_splice(slot->fd, to, size);
    if (command_gone(slot, n))
        return 0;
    bool stuck = (n == 0 || n == -EAGAIN) && (slot->flags & SLOT_TCP) && sys_at_mark(slot->fd);
    return stuck ? -EINVAL : n;
}

static int64_t perform_splice_in(struct slot *slot, eye_op *op) {
    if (has_bytes(slot))
        return -ENOBUFS; /* so they are received, and the next ones spliced */
    struct kpipe *pipe = pipe_get(slot->loop);
    if (!pipe)
        return -ENOBUFS;
    int64_t n = splice_from(slot, pipe->fd[1], pipe->size);
    if (n <= 0)
        pipe_put(slot->loop, pipe, true);
    else
        *(struct kpipe **)op_of(op)->u.io.ret = pipe;
    return n;
}

static int64_t perform_splice_out(struct slot *slot, eye_op *op) {
    struct op *p = op_of(op);
    const struct kpipe *pipe = p->u.io.ret;
    while ((size_t)p->moved < p->u.io.size) {
        int64_t n = sys_splice(pipe->fd[0], slot->fd, p->u.io.size - (size_t)p->moved);
        if (n < 0)
            return to_command(slot, n);
        p->moved += n;
    }
    return p->moved;
}

static int64_t perform_splice(struct slot *slot, eye_op *op) {
    int to_fd = op_of(op)->u.own.value;
    int64_t n = has_bytes(slot) ? -EINVAL : splice_from(slot, to_fd, SEND_TURN_BYTES * 4);
    if (n == -ECONNRESET)
        return to_command(slot_find(slot->loop, to_fd), n);
    /* splice(2) does not say which of the two would have waited. */
    return n == -EAGAIN && sys_poll_now(slot->fd, POLLIN) != 0 ? -ENOBUFS : n;
}

static const struct op_kind op_recv = {
    .name = "recv", .way = EYE_IN, .ring = RING_RECV, .perform = perform_recv};
static const struct op_kind op_recv_lent = {
    .name = "recv lent", .way = EYE_IN, .ring = RING_RECV, .perform = perform_recv_lent};
static const struct op_kind op_send = {
    .name = "send", .way = EYE_OUT, .ring = RING_SEND, .perform = perform_send};
static const struct op_kind op_send_copy = {
    .name = "send copy", .way = EYE_OUT, .ring = RING_SEND, .perform = perform_send, .release = release_copy};

/* Sends bytes that the backend has lent, from where they are; only where that is not to be at once, from a
 * copy. */
static int keep_lent(eye_op *op) {
    struct op *p = op_of(op);
    size_t left = p->u.io.size - (size_t)p->moved;
    uint8_t *copy = malloc(left);
    if (!copy)
        return -ENOMEM;
    memcpy(copy, p->u.io.data + p->moved, left);
    release_lent(op);
    p->kind = &op_send_copy;
    p->u.io.data = copy - p->moved;
    p->u.io.ret = copy;
    return 0;
}

static const struct op_kind op_send_lent = {.name = "send lent",
                                            .way = EYE_OUT,
                                            .ring = RING_SEND,
                                            .perform = perform_send,
                                            .release = release_lent,
                                            .keep = keep_lent};
static const struct op_kind op_connect = {.name = "connect", .way = EYE_OUT, .perform = perform_connect};
static const struct op_kind op_wait[] = {
    [EYE_IN] = {.name = "wait in", .way = EYE_IN, .perform = perform_wait_in},
    [EYE_OUT] = {.name = "wait out", .way = EYE_OUT, .perform = perform_wait_out},
};
static const struct op_kind op_finish_way = {.name = "finish", .way = EYE_OUT, .perform = perform_finish};
static const struct op_kind op_splice_in = {.name = "splice in", .way = EYE_IN, .perform = perform_splice_in};
static const struct op_kind op_splice_out = {
    .name = "splice out", .way = EYE_OUT, .perform = perform_splice_out};
static const struct op_kind op_splice = {.name = "splice", .way = EYE_IN, .perform = perform_splice};

static void submit_io(struct slot *slot, eye_op *op, const struct op_kind *kind, const void *data,
                      size_t size, void *ret, eye_done *done) {
    op_of(op)->u.io.data = (uint8_t *)(uintptr_t)data;
    op_of(op)->u.io.size = size;
    op_of(op)->u.io.ret = ret;
    slot_submit(slot, op, kind, done);
}

void io_recv(struct slot *slot, eye_op *op, void *buf, size_t size, eye_done *done) {
    submit_io(slot, op, &op_recv, buf, size, NULL, done);
}

void io_recv_lent(struct slot *slot, eye_op *op, struct eye_bytes *ret_bytes, size_t most, eye_done *done) {
    op_of(op)->u.lent.bytes.size = most;
    op_of(op)->u.lent.ret = ret_bytes;
    slot_submit(slot, op, &op_recv_lent, done);
}

void io_send(struct slot *slot, eye_op *op, const void *buf, size_t size, eye_done *done) {
    submit_io(slot, op, &op_send, buf, size, NULL, done);
}

void io_send_copy(struct slot *slot, eye_op *op, const void *buf, size_t size, eye_done *done) {
    bool first = !slot->tail[EYE_OUT] && (slot->ready & WAY_OUT) && size > 0;
    void *held =
        first && slot_on_ring(slot, RING_SEND) ? slot->loop->backend->hold(slot->loop, buf, size) : NULL;
    if (held) {
        submit_io(slot, op, &op_send_lent, buf, size, held, done);
        return;
    }
    /* What goes at once needs no copy. An error is told from here: a socket tells it only once. */
    int64_t n = 0;
    if (first)
        n = send_some(slot, buf, size);
    if (n == -EAGAIN)
        n = 0;
    if (n < 0 || ((size_t)n == size && size > 0)) {
        op_begin(slot->loop, op, &op_send, done);
        op_finish(slot->loop, op, n);
        return;
    }
    uint8_t *copy = malloc(MAX(size - (size_t)n, (size_t)1));
    if (!copy) {
        op_begin(slot->loop, op, &op_send, done);
        op_finish(slot->loop, op, -ENOMEM);
        return;
    }
    memcpy(copy, (const uint8_t *)buf + n, size - (size_t)n);
    submit_io(slot, op, &op_send_copy, copy - n, size, copy, done);
    op_of(op)->moved = n;
}

void io_connect(struct slot *slot, eye_op *op, const struct eye_addr *addr, eye_done *done) {
    submit_io(slot, op, &op_connect, NULL, 0, (void *)(uintptr_t)addr, done);
}

void io_wait(struct slot *slot, eye_op *op, enum eye_way way, eye_done *done) {
    slot_submit(slot, op, &op_wait[way], done);
}

void io_finish(struct slot *slot, eye_op *op, eye_done *done) {
    slot_submit(slot, op, &op_finish_way, done);
}

void io_splice_in(struct slot *slot, eye_op *op, struct kpipe **ret_pipe, eye_done *done) {
    submit_io(slot, op, &op_splice_in, NULL, 0, ret_pipe, done);
}

void io_splice_out(struct slot *slot, eye_op *op, const struct kpipe *pipe, size_t size, eye_done *done) {
    submit_io(slot, op, &op_splice_out, NULL, size, (void *)(uintptr_t)pipe, done);
}

void io_splice(struct slot *slot, eye_op *op, int to_fd, eye_done *done) {
    op_of(op)->u.own.value = to_fd;
    slot_submit(slot, op, &op_splice, done);
}

void eye_poll(eye_loop *loop, eye_op *op, int fd, enum eye_way way, eye_done *done) {
    struct slot *slot = slot_find(loop, fd);
    int r = 0;
    if (!slot) {
        slot = malloc(sizeof *slot);
        r = !slot ? -ENOMEM : fd < 0 ? -EBADF : slot_open(loop, slot, fd, SLOT_FOREIGN);
    }
    if (r < 0) {
        free(slot);
        op_begin(loop, op, &op_wait[way], done);
        op_finish(loop, op, r);
        return;
    }
    io_wait(slot, op, way, done);
}
