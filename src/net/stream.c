/* stream.c: the operations of a stream, each handed to its slot. */
#include <assert.h>
#include <errno.h>
#include <signal.h>
#include <stdlib.h>

#include "net/inbox.h"
#include "net/net.h"
#include "net/senders.h"
#include "sys/sys.h"

int stream_new(eye_loop *loop, int fd, unsigned slot_flags, eye_stream **ret_stream) {
    eye_stream *stream = calloc(1, sizeof *stream + sizeof stream->slot[0]);
    if (!stream)
        return -ENOMEM;
    int r = slot_open(loop, &stream->slot[0], fd, slot_flags);
    if (r < 0) {
        free(stream);
        return r;
    }
    *ret_stream = stream;
    return 0;
}

int stream_new_two(eye_loop *loop, const int fds[2], const unsigned slot_flags[2], eye_stream **ret_stream) {
    eye_stream *stream = calloc(1, sizeof *stream + 2 * sizeof stream->slot[0]);
    if (!stream)
        return -ENOMEM;
    stream->two = true;
    for (int i = 0; i < 2; i++) {
        int r = slot_open(loop, &stream->slot[i], fds[i], slot_flags[i]);
        if (r < 0) {
            if (i == 1)
                slot_detach(&stream->slot[0]);
            free(stream);
            return r;
        }
    }
    *ret_stream = stream;
    return 0;
}

int stream_new_layered(struct layer *layer, eye_stream **ret_stream) {
    eye_stream *stream = calloc(1, sizeof *stream);
    if (!stream)
        return -ENOMEM;
    stream->has_layer = true;
    stream->u.layer = layer;
    *ret_stream = stream;
    return 0;
}

/* The stream at the bottom, which has the descriptors. */
static const eye_stream *stream_bottom(const eye_stream *stream) {
    while (stream->has_layer)
        stream = stream->u.layer->below;
    return stream;
}

eye_loop *stream_loop(const eye_stream *stream) {
    return stream_bottom(stream)->slot[0].loop;
}

/* Takes the layers away, and gives the stream at the bottom. */
static eye_stream *stream_bare(eye_stream *stream) {
    while (stream->has_layer) {
        struct layer *layer = stream->u.layer;
        eye_stream *below = layer->below;
        layer->ops->drop(layer);
        free(stream);
        stream = below;
    }
    return stream;
}

static void stream_close_fds(eye_stream *stream) {
    eye_loop *loop = stream->slot[0].loop;
    for (int i = 0; i <= stream->two; i++)
        close(stream->slot[i].fd);
    loop_reserve_take(loop);
    if (stream->has_child)
        eye_child_free(stream->u.child);
    if (stream->has_inbox)
        inbox_free(stream->u.inbox);
    if (stream->has_sender)
        sender_leave(stream->u.sender);
    free(stream);
}

void stream_drop(eye_stream *stream) {
    stream = stream_bare(stream);
    for (int i = 0; i <= stream->two; i++)
        slot_detach(&stream->slot[i]);
    stream_close_fds(stream);
}

void stream_refuse(eye_stream *stream) {
    stream = stream_bare(stream);
    for (int i = 0; i <= stream->two; i++)
        sys_set_reset(stream->slot[i].fd);
    stream_drop(stream);
}

void eye_recv(eye_stream *stream, eye_op *op, void *buf, size_t size, eye_done *done) {
    assert(size > 0);
    if (stream->has_layer) {
        stream->u.layer->ops->recv(stream->u.layer, op, buf, size, done);
        return;
    }
    if (stream->has_inbox && inbox_receive(stream->u.inbox, stream->slot[0].loop, op, NULL, buf, size, done))
        return;
    io_recv(stream_slot(stream, EYE_IN), op, buf, size, done);
}

void stream_recv_lent(eye_stream *stream, eye_op *op, struct eye_bytes *ret_bytes, size_t most,
                      eye_done *done) {
    if (stream->has_layer) {
        stream->u.layer->ops->recv_lent(stream->u.layer, op, ret_bytes, most, done);
        return;
    }
    if (stream->has_inbox &&
        inbox_receive(stream->u.inbox, stream->slot[0].loop, op, ret_bytes, NULL, 0, done))
        return;
    io_recv_lent(stream_slot(stream, EYE_IN), op, ret_bytes, most, done);
}

void eye_recv_lent(eye_stream *stream, eye_op *op, struct eye_bytes *ret_bytes, eye_done *done) {
    stream_recv_lent(stream, op, ret_bytes, SIZE_MAX, done);
}

void eye_send(eye_stream *stream, eye_op *op, const void *buf, size_t size, eye_done *done) {
    if (stream->has_layer)
        stream->u.layer->ops->send(stream->u.layer, op, buf, size, false, done);
    else
        io_send(stream_slot(stream, EYE_OUT), op, buf, size, done);
}

void eye_send_copy(eye_stream *stream, eye_op *op, const void *buf, size_t size, eye_done *done) {
    if (stream->has_layer)
        stream->u.layer->ops->send(stream->u.layer, op, buf, size, true, done);
    else
        io_send_copy(stream_slot(stream, EYE_OUT), op, buf, size, done);
}

void eye_finish(eye_stream *stream, eye_op *op, eye_done *done) {
    if (stream->has_layer)
        stream->u.layer->ops->finish(stream->u.layer, op, done);
    else
        io_finish(stream_slot(stream, EYE_OUT), op, done);
}

static void close_release(eye_op *op) {
    stream_close_fds(op_of(op)->u.own.of);
}

static const struct op_kind op_close = {.name = "close", .release = close_release};

void eye_close(eye_stream *stream, eye_op *op, eye_done *done) {
    if (stream->has_layer) {
        stream->u.layer->ops->close(stream->u.layer, op, false, done);
        free(stream);
        return;
    }
    eye_loop *loop = stream->slot[0].loop;
    for (int i = 0; i <= stream->two; i++)
        slot_detach(&stream->slot[i]);
    op_begin(loop, op, &op_close, done);
    op_of(op)->u.own.of = stream;
    op_finish(loop, op, 0);
}

void eye_abort(eye_stream *stream, eye_op *op, eye_done *done) {
    if (stream->has_layer) {
        stream->u.layer->ops->close(stream->u.layer, op, true, done);
        free(stream);
        return;
    }
    for (int i = 0; i <= stream->two; i++)
        sys_set_reset(stream->slot[i].fd);
    if (stream->has_child)
        eye_child_kill(stream->u.child, SIGHUP);
    eye_close(stream, op, done);
}

int eye_stream_fd(const eye_stream *stream, enum eye_way way) {
    if (stream->has_layer)
        return -1;
    const struct slot *slot = stream_slot(stream, way);
    return slot->flags & SLOT_SPLICE ? slot->fd : -1;
}

int eye_stream_tls(const eye_stream *stream, struct eye_tls_info *ret_info) {
    if (!stream->has_layer)
        return -ENOENT;
    return stream->u.layer->ops->tls(stream->u.layer, ret_info);
}

bool eye_stream_endless(const eye_stream *stream) {
    return !stream->has_layer && stream->slot[0].flags & SLOT_ENDLESS;
}

eye_child *eye_stream_take_child(eye_stream *stream) {
    if (stream->has_layer)
        return eye_stream_take_child(stream->u.layer->below);
    eye_child *child = stream->has_child ? stream->u.child : NULL;
    stream->has_child = false;
    return child;
}

static int stream_name(const eye_stream *stream, int (*name)(int, struct sockaddr *, socklen_t *),
                       struct eye_addr *ret_addr) {
    struct eye_addr addr = {.len = sizeof addr.u};
    const eye_stream *bottom = stream_bottom(stream);
    int fd = bottom->has_sender ? sender_fd(bottom->u.sender) : bottom->slot[0].fd;
    if (name(fd, &addr.u.sa, &addr.len) < 0)
        return -errno;
    *ret_addr = addr;
    return 0;
}

int eye_stream_peer(const eye_stream *stream, struct eye_addr *ret_addr) {
    if (stream->has_sender) {
        *ret_addr = *sender_addr(stream->u.sender);
        return 0;
    }
    return stream_name(stream, getpeername, ret_addr);
}

int eye_stream_local(const eye_stream *stream, struct eye_addr *ret_addr) {
    return stream_name(stream, getsockname, ret_addr);
}
