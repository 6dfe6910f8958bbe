/* send_file.c: a file's bytes to a stream: by sendfile(2) where the stream has a socket for it, else read
 * and sent piece by piece, which goes over every stream there is. */
#include <errno.h>
#include <stdlib.h>

#include "net/net.h"
#include "sys/sys.h"

#define PIECE_BYTES (64 * 1024)

struct pieces {
    eye_op send; /* of one piece */
    eye_op *op;  /* the caller's */
    eye_stream *stream;
    eye_loop *loop;
    int fd;
    int64_t offset, size, moved;
    size_t piece_bytes;
    uint8_t piece[PIECE_BYTES];
};

static void pieces_end(struct pieces *p, int64_t result) {
    eye_loop *loop = p->loop;
    eye_op *op = p->op;
    if (p->moved > 0 && (result >= 0 || result == -ECANCELED))
        result = p->moved;
    free(p);
    op_finish(loop, op, result);
}

static void piece_sent(eye_op *op, int64_t n);

static void piece_next(struct pieces *p) {
    size_t size = (size_t)MIN(p->size - p->moved, (int64_t)PIECE_BYTES);
    int64_t n = size ? sys_pread(p->fd, p->piece, size, p->offset + p->moved) : 0;
    if (n <= 0) { /* what failed is told by the next call, as with sendfile(2) */
        pieces_end(p, p->moved > 0 ? 0 : n);
        return;
    }
    p->piece_bytes = (size_t)n;
    eye_send(p->stream, &p->send, p->piece, p->piece_bytes, piece_sent);
}

static void piece_sent(eye_op *op, int64_t n) {
    struct pieces *p = eye_container_of(op, struct pieces, send);
    if (n > 0)
        p->moved += n;
    if (n < 0 || (size_t)n < p->piece_bytes)
        pieces_end(p, n < 0 ? n : -ECANCELED);
    else
        piece_next(p);
}

static void pieces_cancel(eye_op *op) {
    struct pieces *p = op_of(op)->u.own.of;
    eye_cancel(p->loop, &p->send);
}

static const struct op_kind op_pieces = {.name = "send file in pieces", .cancel = pieces_cancel};

bool stream_sends_files(const eye_stream *stream) {
    return eye_stream_fd(stream, EYE_OUT) >= 0 && (stream_slot(stream, EYE_OUT)->flags & SLOT_SOCKET);
}

void eye_send_file(eye_stream *stream, eye_op *op, int fd, int64_t offset, int64_t size, eye_done *done) {
    eye_loop *loop = stream_loop(stream);
    if (stream_sends_files(stream)) {
        io_send_file(stream_slot(stream, EYE_OUT), op, fd, offset, size, done);
        return;
    }
    struct pieces *p = malloc(sizeof *p);
    op_begin(loop, op, &op_pieces, done);
    op_of(op)->u.own.of = p;
    if (!p) {
        op_finish(loop, op, -ENOMEM);
        return;
    }
    p->send = (eye_op){0};
    p->op = op;
    p->stream = stream;
    p->loop = loop;
    p->fd = fd;
    p->offset = offset;
    p->size = size;
    p->moved = 0;
    piece_next(p);
}
