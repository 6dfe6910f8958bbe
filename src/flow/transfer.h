/* transfer.h: what the sides of a transfer share: the connection, its buffers, and its end.
 *
 * Theory of operation. A transfer is one connection (or, with keep, one after another) and a *side*: sender,
 * receiver, and the two raw ones. The connection reads into one buffer and hands what came to the side, which
 * says how much of it it took; it sends what the side has put into another. Everything that can wait is an
 * operation; reading back for digests and writing out to the disk run on a helper thread. However it ends, by
 * transfer_end, everything pending is cancelled first and nothing outlives it. */
#ifndef SOCKEYE_TRANSFER_INTERNAL_H
#define SOCKEYE_TRANSFER_INTERNAL_H

#include <string.h>

#include <sockeye/transfer.h>

#include "flow/flow.h"

/* ---- the protocol, see docs/transfer-protocol.md ---- */

#define HELLO_BYTES       24
#define HELLO_MAGIC       "sockeye\n"
#define HELLO_MAGIC_BYTES 8
#define PROTOCOL_VERSION  1
#define FLAG_DIGESTS      1

enum frame_type {
    /* the sender's */
    FRAME_FILE = 1,
    FRAME_FROM,
    FRAME_DATA,
    FRAME_HOLE,
    FRAME_END,
    FRAME_GIVE_UP,
    FRAME_FOLDER,
    FRAME_FOLDER_END,
    FRAME_MISSING,
    FRAME_BYE,
    /* the receiver's */
    FRAME_GO = 16,
    FRAME_TAKEN,
    FRAME_REFUSED,
    FRAME_DONE,
    FRAME_TYPE_MAX
};

#define FRAME_HEADER_BYTES  8
#define FRAME_DATA_MAX      (1024 * 1024)
#define FRAME_HOLE_MAX      (UINT64_C(1) << 46) /* what the digest takes in half a second */
#define FRAME_CONTROL_MAX   8192                /* any other frame */
#define FRAME_TEXT_MAX      256
#define FRAME_ENTRY_BYTES   24 /* before the name, of FILE, FOLDER and FOLDER_END */
#define WINDOW_MAX          64 /* entries that may be unanswered */
#define WAITS_FOR_GO(bytes) ((bytes) > FRAME_DATA_MAX)

static inline void put_be(uint8_t *p, uint64_t value, size_t size) {
    for (; size > 0; value >>= 8)
        p[--size] = (uint8_t)value;
}

static inline uint64_t get_be(const uint8_t *p, size_t size) {
    uint64_t value = 0;
    while (size-- > 0)
        value = value << 8 | *p++;
    return value;
}

static inline void put_bytes(uint8_t *p, const void *data, size_t size) {
    memcpy(p, data, size);
}

/* ---- a transfer ---- */

#define IN_BYTES           (96 * 1024)
#define OUT_BYTES          (128 * 1024)
/* Measured: the fewer the cheaper, as long as a piece stays in the cache until it has been sent. */
#define DIGEST_PIECE_BYTES (256 * 1024)
_Static_assert(IN_BYTES > FRAME_HEADER_BYTES + FRAME_CONTROL_MAX, "a control frame fits");

struct transfer;

struct side {
    size_t size; /* of the struct that begins with struct transfer */
    bool receives, raw;
    /* Before anything is opened, once. */
    int (*prepare)(struct transfer *t, struct eye_err *reterr);
    /* A peer is there; of the protocol's, once it has said hello. total_bytes: as its hello says. */
    void (*begin)(struct transfer *t, unsigned flags, uint64_t total_bytes);
    /* Takes bytes that came; returns how many of them. 0: more are needed, or it is not the time. */
    size_t (*take)(struct transfer *t, const uint8_t *data, size_t size);
    /* The peer has ended its sending. */
    void (*ended)(struct transfer *t);
    /* All that was in out has been sent. */
    void (*sent)(struct transfer *t);
    /* Work has ended. */
    void (*worked)(struct transfer *t);
    /* This peer is gone: frees what belongs to it. */
    void (*drop)(struct transfer *t);
    /* The transfer is over. */
    void (*done)(struct transfer *t);
};

struct transfer {
    const struct side *side;
    eye_loop *loop;
    eye_op *op; /* the caller's */
    struct eye_transfer_opts opts;
    struct eye_transfer_result *ret;
    bool over; /* no further peer */

    struct await *await;
    struct eye_dialled *dialled;
    eye_stream *stream;
    uint64_t conn;
    int64_t started_ns, active_ns;
    uint64_t moved[2]; /* bytes received and sent */
    const char *path[2];
    bool greeted, ending;
    bool stop; /* work on a helper thread is to end soon; atomic */
    int code;  /* how this peer went */
    struct eye_err err;
    uint64_t total_bytes, done_bytes;

    eye_op open_op, in_op, out_op, timer_op, work_op, close_op;
    size_t in_used, out_used;
    uint8_t in[IN_BYTES], out[OUT_BYTES];
    uint8_t piece[DIGEST_PIECE_BYTES]; /* of a file that is digested; touched where one is */
};

/* Starts it; op completes when it is over. */
void transfer_start(eye_loop *loop, eye_op *op, const struct side *side, const struct eye_transfer_opts *opts,
                    struct eye_transfer_result *ret, eye_done *done);

/* Ends this peer: with 0, or by a line that says why not. */
void transfer_end(struct transfer *t);
void transfer_fail(struct transfer *t, int code, enum eye_fail fail, const char *fmt, ...) PRINTF_LIKE(4, 5);
/* The stream failed with that code. */
void transfer_broken(struct transfer *t, int64_t code);
/* Sending did. A peer that is gone may have said why before: then reading tells. */
void transfer_send_failed(struct transfer *t, int64_t code);

/* Room in out for size bytes, which fits. */
uint8_t *transfer_put(struct transfer *t, size_t size);
/* A frame with room for that payload. */
uint8_t *transfer_frame(struct transfer *t, enum frame_type type, size_t size);
/* A frame of a kind of failure and its words. */
void transfer_text(struct transfer *t, enum frame_type type, enum eye_fail fail, const char *text);
/* Sends what is in out, unless that is under way; side->sent follows. */
void transfer_flush(struct transfer *t);
/* Hands the side what is in the buffer, and reads on unless the buffer is full. */
void transfer_take(struct transfer *t);
/* Runs work(t) on a helper thread; side->worked follows. */
void transfer_work(struct transfer *t, int64_t (*work)(void *t));
/* Whether an operation that has completed was of a transfer that is ending: then this peer is cleared away.
 */
bool transfer_leaves(struct transfer *t);

/* A file has ended: counts it and tells. err NULL: well. */
void transfer_told(struct transfer *t, const struct eye_transfer_file *file);
void transfer_progress(struct transfer *t, const char *name, uint64_t bytes);

/* Whether work is to end. */
static inline bool transfer_stops(const struct transfer *t) {
    return __atomic_load_n(&t->stop, __ATOMIC_RELAXED);
}

/* Goes on with the digest of a file's bytes: 0, -ECANCELED, or what failed; -ENODATA where the file ends
 * before. Where they fit, they are in t->piece then. */
struct digest;
int transfer_digest(struct transfer *t, int fd, int64_t from, int64_t to, struct digest *digest);

extern const struct side side_send, side_receive, side_send_raw, side_receive_raw;

#endif
