/* bare_uring.c PORT BUFFER_BYTES COUNT [bundle]: TCP echo by io_uring(7): multishot accept and receive, a
 * ring of provided buffers, DEFER_TASKRUN with SINGLE_ISSUER. With `bundle` one receive takes as many buffers
 * as have come (Linux 6.10). What has come on a connection goes out by one send, and the next one when that
 * is done. */
#include <errno.h>
#include <liburing.h>

#include "bare.h"

#define ENTRIES 4096
#define PIECES  256 /* of one connection, that are received and not sent */
#define GROUP   1

#ifndef IORING_RECVSEND_BUNDLE
#define IORING_RECVSEND_BUNDLE (1U << 4) /* linux/io_uring.h, since Linux 6.10 */
#endif

enum { ACCEPT, RECV, SEND, TAGS = 3 };

struct conn {
    int fd, receiving, ended, starved;
    unsigned queued, sending; /* pieces that wait, of which these are in the send under way */
    struct msghdr message;
    unsigned short *ids;
    struct iovec *pieces; /* made with the first answer that is not a single piece */
    struct conn *next;    /* of those that found no buffer */
    unsigned short id;    /* the piece of one that has only one */
    struct iovec piece;
};

static struct io_uring ring;
static struct io_uring_buf_ring *buffers;
static char *memory;
static unsigned buffer_bytes, buffer_count, buffer_head, buffer_tail;
static unsigned short *buffer_order; /* the ring's, as the kernel takes from it */
static int bundle;
static struct conn *starved;

static struct io_uring_sqe *sqe_for(struct conn *conn, unsigned long tag) {
    struct io_uring_sqe *sqe = io_uring_get_sqe(&ring);
    if (!sqe) {
        io_uring_submit(&ring);
        sqe = io_uring_get_sqe(&ring);
    }
    io_uring_sqe_set_data64(sqe, (unsigned long)conn | tag);
    return sqe;
}

static void arm_accept(int listener) {
    struct io_uring_sqe *sqe = sqe_for(NULL, ACCEPT);
    io_uring_prep_multishot_accept(sqe, listener, NULL, NULL, SOCK_CLOEXEC);
    io_uring_sqe_set_data64(sqe, ACCEPT);
}

static void arm_recv(struct conn *conn) {
    struct io_uring_sqe *sqe = sqe_for(conn, RECV);
    io_uring_prep_recv_multishot(sqe, conn->fd, NULL, 0, 0);
    io_uring_sqe_set_data64(sqe, (unsigned long)conn | RECV);
    sqe->flags |= IOSQE_BUFFER_SELECT;
    sqe->buf_group = GROUP;
    if (bundle)
        sqe->ioprio |= IORING_RECVSEND_BUNDLE;
    conn->receiving = 1;
}

static void give_back(unsigned short id) {
    unsigned mask = buffer_count - 1;
    buffer_order[buffer_tail++ & mask] = id;
    io_uring_buf_ring_add(buffers, memory + (size_t)id * buffer_bytes, buffer_bytes, id, (int)mask, 0);
    io_uring_buf_ring_advance(buffers, 1);
}

/* ---- sending ---- */

static struct iovec *pieces_of(struct conn *conn) {
    return conn->pieces ? conn->pieces : &conn->piece;
}

static unsigned short *ids_of(struct conn *conn) {
    return conn->ids ? conn->ids : &conn->id;
}

static void queue(struct conn *conn, unsigned short id, unsigned size) {
    if (conn->queued == 1 && !conn->pieces) {
        conn->pieces = calloc(PIECES, sizeof *conn->pieces);
        conn->ids = calloc(PIECES, sizeof *conn->ids);
        if (!conn->pieces || !conn->ids)
            die("calloc");
        conn->pieces[0] = conn->piece;
        conn->ids[0] = conn->id;
    }
    if (conn->queued == PIECES) {
        errno = ENOBUFS;
        die("a peer that does not read");
    }
    ids_of(conn)[conn->queued] = id;
    pieces_of(conn)[conn->queued++] = (struct iovec){memory + (size_t)id * buffer_bytes, size};
}

static void send_queued(struct conn *conn) {
    struct io_uring_sqe *sqe = sqe_for(conn, SEND);
    struct iovec *pieces = pieces_of(conn);
    conn->sending = conn->queued;
    if (conn->queued == 1) {
        io_uring_prep_send(sqe, conn->fd, pieces->iov_base, pieces->iov_len, MSG_WAITALL | MSG_NOSIGNAL);
    } else {
        conn->message = (struct msghdr){.msg_iov = pieces, .msg_iovlen = conn->queued};
        io_uring_prep_sendmsg(sqe, conn->fd, &conn->message, MSG_WAITALL | MSG_NOSIGNAL);
    }
    io_uring_sqe_set_data64(sqe, (unsigned long)conn | SEND);
}

static void settle(struct conn *conn) {
    if (conn->queued > 0 && conn->sending == 0)
        send_queued(conn);
    if (!conn->ended || conn->receiving || conn->starved || conn->queued > 0)
        return;
    close(conn->fd);
    free(conn->pieces);
    free(conn->ids);
    free(conn);
}

static void sent(struct conn *conn, int result) {
    /* MSG_WAITALL: all of it, or the connection has failed. */
    for (unsigned i = 0; i < conn->sending; i++)
        give_back(ids_of(conn)[i]);
    conn->queued -= conn->sending;
    if (conn->queued > 0) {
        memmove(conn->pieces, conn->pieces + conn->sending, conn->queued * sizeof *conn->pieces);
        memmove(conn->ids, conn->ids + conn->sending, conn->queued * sizeof *conn->ids);
    }
    conn->sending = 0;
    if (result < 0)
        shutdown(conn->fd, SHUT_RDWR);
    while (starved) {
        struct conn *other = starved;
        starved = other->next;
        other->starved = 0;
        arm_recv(other);
    }
    settle(conn);
}

/* ---- receiving ---- */

static void received(struct conn *conn, const struct io_uring_cqe *cqe) {
    int left = cqe->res;
    if (!(cqe->flags & IORING_CQE_F_MORE))
        conn->receiving = 0;
    while (left > 0) {
        unsigned short id = buffer_order[buffer_head++ & (buffer_count - 1)];
        unsigned size = (unsigned)left < buffer_bytes ? (unsigned)left : buffer_bytes;
        queue(conn, id, size);
        left -= (int)size;
    }
    if (cqe->res == -ENOBUFS) {
        conn->starved = 1;
        conn->next = starved;
        starved = conn;
    } else if (cqe->res <= 0) {
        conn->ended = 1;
    } else if (!conn->receiving) {
        arm_recv(conn);
    }
    settle(conn);
}

static void accepted(const struct io_uring_cqe *cqe, int listener) {
    if (cqe->res >= 0) {
        struct conn *conn = calloc(1, sizeof *conn);
        if (!conn)
            die("calloc");
        conn->fd = cqe->res;
        arm_recv(conn);
    }
    if (!(cqe->flags & IORING_CQE_F_MORE))
        arm_accept(listener);
}

static void open_ring(void) {
    struct io_uring_params params = {
        .flags = IORING_SETUP_SINGLE_ISSUER | IORING_SETUP_DEFER_TASKRUN | IORING_SETUP_CQSIZE,
        .cq_entries = 4 * ENTRIES,
    };
    int r = io_uring_queue_init_params(ENTRIES, &ring, &params);
    errno = -r;
    if (r < 0)
        die("io_uring_setup");
    size_t ring_bytes = buffer_count * sizeof(struct io_uring_buf);
    if (posix_memalign((void **)&buffers, 4096, ring_bytes) != 0 ||
        posix_memalign((void **)&memory, 4096, (size_t)buffer_count * buffer_bytes) != 0)
        die("buffers");
    buffer_order = calloc(buffer_count, sizeof *buffer_order);
    struct io_uring_buf_reg reg = {
        .ring_addr = (unsigned long)buffers, .ring_entries = buffer_count, .bgid = GROUP};
    io_uring_buf_ring_init(buffers);
    r = io_uring_register_buf_ring(&ring, &reg, 0);
    errno = -r;
    if (r < 0)
        die("io_uring_register");
    for (unsigned i = 0; i < buffer_count; i++)
        give_back((unsigned short)i);
}

int main(int argc, char **argv) {
    if (argc < 4)
        return 2;
    int listener = serve_at(argv[1], SOCK_STREAM);
    buffer_bytes = (unsigned)atoi(argv[2]);
    buffer_count = (unsigned)atoi(argv[3]);
    bundle = argc > 4;
    open_ring();
    arm_accept(listener);
    for (;;) {
        struct io_uring_cqe *cqe;
        unsigned head, count = 0;
        io_uring_submit_and_wait(&ring, 1);
        io_uring_for_each_cqe(&ring, head, cqe) {
            unsigned long data = cqe->user_data;
            struct conn *conn = (struct conn *)(data & ~(unsigned long)TAGS);
            count++;
            if ((data & TAGS) == ACCEPT)
                accepted(cqe, listener);
            else if ((data & TAGS) == RECV)
                received(conn, cqe);
            else
                sent(conn, cqe->res);
        }
        io_uring_cq_advance(&ring, count);
    }
}
