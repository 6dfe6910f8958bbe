/* send.c: the sending side of a transfer.
 *
 * The tree is walked while it is sent. Whenever nothing is under way, the next *step* is asked for: it puts
 * frames into the buffer, or starts an operation, or says that it has to wait for the receiver's word. Small
 * files are read whole and go many in one send. Of others each frame's bytes are digested first, which also
 * brings them into memory, and then sent by the kernel (eye_send_file); where the stream is none of the
 * kernel's, as TLS, the bytes that were digested are those that are sent, so that they are read once. A file
 * that cannot be read on, or that changed, is given up: its frame is filled up with zeros and the receiver
 * told. */
#include <errno.h>
#include <fcntl.h>
#include <fts.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "file/digest.h"
#include "file/file.h"
#include "flow/transfer.h"
#include "loop/io.h"
#include "loop/loop.h"
#include "net/net.h"
#include "sys/sys.h"

#define SMALL_BYTES (32 * 1024)
#define FLUSH_BYTES (64 * 1024)

/* An entry that the receiver has not answered yet. */
struct sent {
    char *name;
    uint64_t bytes, resumed_bytes, digest;
    bool folder, folder_end, given_up;
};

struct sender {
    struct transfer t;
    char **roots; /* ended by NULL */
    FTS *fts;
    size_t skip; /* how much of fts_path is not part of the name */
    bool (*step)(struct sender *s);
    struct sent window[WINDOW_MAX];
    size_t first, count;

    int fd; /* the present file, or -1; it is the window's last */
    struct stat st;
    int64_t at, data_end; /* data_end: where the data that we are in end */
    int64_t frame_bytes;  /* of the frame that is being sent, still to come */
    bool in_piece;        /* they are what t.piece holds */
    struct digest digest;
    bool refused;             /* by the receiver, midway */
    char why[FRAME_TEXT_MAX]; /* it is given up, and why; or "" */
    struct digest prefix;     /* of what the receiver holds */
    int64_t prefix_bytes;
    uint64_t prefix_wanted;
    int prefix_code;
};

static struct sender *sender_of(struct transfer *t) {
    return eye_container_of(t, struct sender, t);
}

static struct sent *last_of(struct sender *s) {
    return &s->window[(s->first + s->count - 1) % WINDOW_MAX];
}

static bool step_entry(struct sender *s);
static bool step_frame(struct sender *s);
static bool step_wait(struct sender *s);
static void sender_go(struct sender *s);

/* ---- entries ---- */

static void told_failed(struct sender *s, const char *name, const char *why) {
    struct eye_err err;
    err_set(&err, -EIO, EYE_FAIL_OTHER, "%s: %s", name, why);
    transfer_told(&s->t, &(struct eye_transfer_file){.name = name, .err = &err});
}

/* What could not even be begun: the receiver is told, so that both sides know. */
static void missing(struct sender *s, const char *name, const char *why) {
    char text[FRAME_TEXT_MAX * 2];
    told_failed(s, name, why);
    snprintf(text, sizeof text, "%.180s: %.60s", name, why);
    transfer_text(&s->t, FRAME_MISSING, EYE_FAIL_OTHER, text);
}

/* Puts an entry into the window and its frame into the buffer. */
static int announce(struct sender *s, enum frame_type type, const char *name, const struct stat *st) {
    size_t size = strlen(name);
    char *copy = strdup(name);
    if (!copy)
        return -ENOMEM;
    s->window[(s->first + s->count++) % WINDOW_MAX] =
        (struct sent){.name = copy,
                      .bytes = type == FRAME_FILE ? (uint64_t)st->st_size : 0,
                      .folder = type != FRAME_FILE,
                      .folder_end = type == FRAME_FOLDER_END};
    uint8_t *p = transfer_frame(&s->t, type, FRAME_ENTRY_BYTES + size);
    put_be(p, type == FRAME_FILE ? (uint64_t)st->st_size : 0, 8);
    put_be(p + 8, (uint64_t)st->st_mtim.tv_sec, 8);
    put_be(p + 16, (uint64_t)st->st_mtim.tv_nsec, 4);
    put_be(p + 20, st->st_mode & 07777, 4);
    put_bytes(p + FRAME_ENTRY_BYTES, name, size);
    return 0;
}

static void close_file(struct sender *s) {
    close(s->fd);
    s->fd = -1;
    s->refused = false;
    s->why[0] = '\0';
    s->step = step_entry;
}

static void put_end(struct sender *s) {
    uint64_t digest = s->t.opts.no_digest ? 0 : digest_value(&s->digest);
    put_be(transfer_frame(&s->t, FRAME_END, 8), digest, 8);
    last_of(s)->digest = digest;
}

/* Reads all of a small file, and sends it only where that is what it was said to be. */
static void put_small(struct sender *s, const char *name) {
    uint8_t data[SMALL_BYTES + 1];
    struct stat after;
    size_t size = (size_t)s->st.st_size;
    int64_t n = sys_pread(s->fd, data, sizeof data, 0);
    if (n < 0 || fstat(s->fd, &after) < 0) {
        missing(s, name, eye_strerror(n < 0 ? (int)n : -errno));
    } else if ((size_t)n != size || stat_changed(&s->st, &after)) {
        missing(s, name, "changed while it was read");
    } else if (announce(s, FRAME_FILE, name, &s->st) < 0) {
        missing(s, name, eye_strerror(-ENOMEM));
    } else {
        digest_begin(&s->digest);
        digest_update(&s->digest, data, s->t.opts.no_digest ? 0 : size);
        if (size > 0)
            memcpy(transfer_frame(&s->t, FRAME_DATA, size), data, size);
        put_end(s);
        s->t.ret->bytes += size;
        transfer_progress(&s->t, name, size);
    }
    close_file(s);
}

static void put_file(struct sender *s, const FTSENT *entry, const char *name) {
    s->fd = open(entry->fts_accpath, O_RDONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
    if (s->fd < 0) {
        missing(s, name, eye_strerror(-errno));
        return;
    }
    if (fstat(s->fd, &s->st) < 0 || !S_ISREG(s->st.st_mode)) {
        missing(s, name, "not a regular file any more");
        close_file(s);
        return;
    }
    if (s->st.st_size <= SMALL_BYTES) {
        put_small(s, name);
        return;
    }
    if (announce(s, FRAME_FILE, name, &s->st) < 0) {
        missing(s, name, eye_strerror(-ENOMEM));
        close_file(s);
        return;
    }
    digest_begin(&s->digest);
    s->at = s->data_end = 0;
    s->step = WAITS_FOR_GO(s->st.st_size) ? step_wait : step_frame;
}

static void put_entry(struct sender *s, FTSENT *entry, const char *name) {
    int r = 0;
    switch (entry->fts_info) {
    case FTS_F:
        put_file(s, entry, name);
        return;
    case FTS_D:
        r = announce(s, FRAME_FOLDER, name, entry->fts_statp);
        break;
    case FTS_DP:
        r = announce(s, FRAME_FOLDER_END, name, entry->fts_statp);
        break;
    case FTS_SL:
    case FTS_SLNONE:
        missing(s, name, entry->fts_level ? "a symbolic link, which is not sent" : "leads nowhere");
        return;
    case FTS_DEFAULT:
        missing(s, name, "a device, pipe or socket, which is not sent");
        return;
    default:
        r = -entry->fts_errno;
        break;
    }
    if (r < 0)
        missing(s, name, eye_strerror(r));
}

static bool step_entry(struct sender *s) {
    if (s->count == WINDOW_MAX)
        return false;
    errno = 0;
    FTSENT *entry = fts_read(s->fts);
    if (!entry && errno) {
        transfer_fail(&s->t, -errno, EYE_FAIL_OTHER, "reading folders: %s", eye_strerror(-errno));
    } else if (!entry) {
        transfer_frame(&s->t, FRAME_BYE, 0);
        s->step = step_wait;
    } else {
        if (entry->fts_level == 0) {
            const char *slash = strrchr(entry->fts_path, '/');
            s->skip = slash ? (size_t)(slash + 1 - entry->fts_path) : 0;
        }
        put_entry(s, entry, entry->fts_path + s->skip);
    }
    return !s->t.ending;
}

static bool step_wait(struct sender *s) {
    (void)s;
    return false;
}

/* ---- a file in frames ---- */

static void give_up(struct sender *s, const char *why) {
    if (!s->why[0])
        snprintf(s->why, sizeof s->why, "%s", why);
}

static bool step_give_up(struct sender *s) {
    struct sent *sent = last_of(s);
    transfer_text(&s->t, FRAME_GIVE_UP, EYE_FAIL_OTHER, s->why);
    if (!s->refused) {
        told_failed(s, sent->name, s->why);
        sent->given_up = true;
    }
    close_file(s);
    return true;
}

static bool step_end(struct sender *s) {
    struct stat now;
    if (fstat(s->fd, &now) < 0 || stat_changed(&s->st, &now)) {
        give_up(s, "changed while it was sent");
        return step_give_up(s);
    }
    put_end(s);
    close_file(s);
    return true;
}

/* Moves over a hole, if we are at one, and finds where the data end. */
static void find_data(struct sender *s) {
    int64_t size = s->st.st_size, data = s->at;
    s->data_end = size;
    if (s->st.st_blocks >= size / 512)
        return;
    data = lseek(s->fd, s->at, SEEK_DATA);
    if (data < 0 && errno == ENXIO)
        data = size;
    data = data < 0 ? s->at : MIN(data, size);
    if (data > s->at) {
        int64_t hole = data - s->at;
        put_be(transfer_frame(&s->t, FRAME_HOLE, 8), (uint64_t)hole, 8);
        digest_hole(&s->digest, s->t.opts.no_digest ? 0 : (uint64_t)hole);
        s->at = data;
        transfer_progress(&s->t, last_of(s)->name, (uint64_t)hole);
    }
    int64_t end = data < size ? lseek(s->fd, data, SEEK_HOLE) : size;
    s->data_end = end > data ? MIN(end, size) : size;
}

static void frame_sent(eye_op *op, int64_t n);

static void header_sent(eye_op *op, int64_t n) {
    struct sender *s = eye_container_of(op, struct sender, t.out_op);
    if (transfer_leaves(&s->t))
        return;
    if (n < 0) {
        transfer_send_failed(&s->t, n);
        return;
    }
    s->t.moved[EYE_OUT] += (uint64_t)n;
    s->t.out_used = 0;
    if (s->in_piece)
        eye_send(s->t.stream, op, s->t.piece, (size_t)s->frame_bytes, frame_sent);
    else
        eye_send_file(s->t.stream, op, s->fd, s->at, s->frame_bytes, frame_sent);
}

/* Fills up a frame whose file ended before it. */
static void pad(struct sender *s, eye_done *done) {
    static const uint8_t zeros[64 * 1024];
    size_t size = (size_t)MIN(s->frame_bytes, (int64_t)sizeof zeros);
    eye_send(s->t.stream, &s->t.out_op, zeros, size, done);
}

static void pad_sent(eye_op *op, int64_t n) {
    struct sender *s = eye_container_of(op, struct sender, t.out_op);
    if (transfer_leaves(&s->t))
        return;
    if (n < 0) {
        transfer_send_failed(&s->t, n);
        return;
    }
    s->frame_bytes -= n;
    if (s->frame_bytes > 0)
        pad(s, pad_sent);
    else
        sender_go(s);
}

/* Whether it is the file that does not go on at this place, and why. */
static int file_fault(const struct sender *s) {
    uint8_t byte;
    int64_t n = sys_pread(s->fd, &byte, 1, s->at);
    return n == 0 ? -ENODATA : (int)MIN(n, 0);
}

static void frame_sent(eye_op *op, int64_t n) {
    struct sender *s = eye_container_of(op, struct sender, t.out_op);
    if (transfer_leaves(&s->t))
        return;
    s->t.active_ns = s->t.loop->now_ns;
    if (n > 0) {
        s->at += n;
        s->frame_bytes -= n;
        s->t.moved[EYE_OUT] += (uint64_t)n;
        s->t.ret->bytes += (uint64_t)n;
        transfer_progress(&s->t, last_of(s)->name, (uint64_t)n);
    }
    int fault = n <= 0 || s->frame_bytes > 0 ? file_fault(s) : 0;
    if (fault == 0 && io_of_file(n))
        fault = (int)n; /* sendfile(2) alone cannot */
    if (fault) {
        give_up(s, fault == -ENODATA ? "became shorter while it was sent" : eye_strerror(fault));
        pad(s, pad_sent);
    } else if (n < 0) {
        transfer_send_failed(&s->t, n);
    } else if (s->frame_bytes > 0) {
        eye_send_file(s->t.stream, op, s->fd, s->at, s->frame_bytes, frame_sent);
    } else {
        sender_go(s);
    }
}

static bool step_frame(struct sender *s) {
    if (s->refused || s->why[0])
        return step_give_up(s);
    if (s->at >= s->data_end)
        find_data(s);
    if (s->at >= s->st.st_size)
        return step_end(s);
    s->in_piece = !s->t.opts.no_digest && !stream_sends_files(s->t.stream);
    int64_t size = MIN(s->data_end - s->at, (int64_t)(s->in_piece ? DIGEST_PIECE_BYTES : FRAME_DATA_MAX));
    if (!s->t.opts.no_digest) {
        int r = transfer_digest(&s->t, s->fd, s->at, s->at + size, &s->digest);
        if (r < 0) {
            give_up(s, r == -ENODATA ? "became shorter while it was sent" : eye_strerror(r));
            return step_give_up(s);
        }
    }
    put_be(transfer_put(&s->t, FRAME_HEADER_BYTES), (uint64_t)FRAME_DATA << 56 | (uint64_t)size, 8);
    s->frame_bytes = size;
    eye_send(s->t.stream, &s->t.out_op, s->t.out, s->t.out_used, header_sent);
    return true;
}

/* ---- what the receiver says ---- */

static bool protocol_error(struct sender *s, const char *what) {
    transfer_fail(&s->t, -EPROTO, EYE_FAIL_OTHER, "%s: the receiver breaks the protocol: %s",
                  s->t.opts.endpoint->text, what);
    return false;
}

static int64_t digest_prefix(void *user) {
    struct sender *s = sender_of(user);
    s->prefix_code = transfer_digest(&s->t, s->fd, 0, s->prefix_bytes, &s->prefix);
    return 0;
}

/* Goes on from what the receiver holds, where that is what we have there. */
static void put_from(struct sender *s) {
    bool same = s->prefix_bytes > 0 && s->prefix_code == 0 && digest_value(&s->prefix) == s->prefix_wanted;
    s->at = s->data_end = same ? s->prefix_bytes : 0;
    if (same)
        s->digest = s->prefix;
    last_of(s)->resumed_bytes = (uint64_t)s->at;
    put_be(transfer_frame(&s->t, FRAME_FROM, 8), (uint64_t)s->at, 8);
    transfer_progress(&s->t, last_of(s)->name, (uint64_t)s->at);
    s->step = step_frame;
}

static bool got_go(struct sender *s, const uint8_t *p, size_t size) {
    if (size != 16 || s->fd < 0 || s->step != step_wait)
        return protocol_error(s, "go");
    uint64_t offset = get_be(p, 8);
    s->prefix_bytes = offset <= (uint64_t)s->st.st_size && !s->t.opts.no_digest ? (int64_t)offset : 0;
    s->prefix_wanted = get_be(p + 8, 8);
    digest_begin(&s->prefix);
    if (s->prefix_bytes > 0)
        transfer_work(&s->t, digest_prefix);
    else
        put_from(s);
    return true;
}

static void sender_worked(struct transfer *t) {
    struct sender *s = sender_of(t);
    put_from(s);
    sender_go(s);
    transfer_take(t);
}

static bool got_answer(struct sender *s, const struct eye_err *err) {
    if (s->count == 0)
        return protocol_error(s, "an answer to nothing");
    struct sent *sent = &s->window[s->first];
    if (s->count == 1 && s->fd >= 0) { /* the present file: it can only be refused before its end */
        if (!err)
            return protocol_error(s, "taken before the end");
        s->refused = true;
        if (s->step == step_wait)
            close_file(s);
    }
    s->first = (s->first + 1) % WINDOW_MAX;
    s->count--;
    if (err ? !sent->given_up : !sent->folder_end)
        transfer_told(&s->t, &(struct eye_transfer_file){.name = sent->name,
                                                         .bytes = sent->bytes,
                                                         .resumed_bytes = sent->resumed_bytes,
                                                         .digest = sent->digest,
                                                         .has_digest = !sent->folder && !s->t.opts.no_digest,
                                                         .folder = sent->folder,
                                                         .err = err});
    free(sent->name);
    return true;
}

static bool got_refused(struct sender *s, const uint8_t *p, size_t size) {
    struct eye_err err;
    const char *name = s->count > 0 ? s->window[s->first].name : "";
    if (size < 1 || size > 1 + FRAME_TEXT_MAX || *p >= EYE_FAIL_MAX)
        return protocol_error(s, "a refusal");
    err_set(&err, -EREMOTEIO, *p, "the receiver: %.160s: %.*s", name, (int)(size - 1), (const char *)p + 1);
    return got_answer(s, &err);
}

static bool got_frame(struct sender *s, enum frame_type type, const uint8_t *p, size_t size) {
    switch (type) {
    case FRAME_GO:
        return got_go(s, p, size);
    case FRAME_TAKEN:
        return size == 0 ? got_answer(s, NULL) : protocol_error(s, "taken");
    case FRAME_REFUSED:
        return got_refused(s, p, size);
    case FRAME_DONE:
        if (size != 0 || s->count > 0 || s->fd >= 0 || s->step != step_wait)
            return protocol_error(s, "done too early");
        transfer_end(&s->t);
        return false;
    default:
        return protocol_error(s, "an unknown frame");
    }
}

static size_t sender_take(struct transfer *t, const uint8_t *data, size_t size) {
    struct sender *s = sender_of(t);
    if (size < FRAME_HEADER_BYTES)
        return 0;
    uint64_t header = get_be(data, FRAME_HEADER_BYTES), length = header & ~(UINT64_C(0xff) << 56);
    if (length > FRAME_CONTROL_MAX) {
        protocol_error(s, "a frame of that length");
        return 0;
    }
    if (size < FRAME_HEADER_BYTES + length)
        return 0;
    if (!got_frame(s, (enum frame_type)(header >> 56), data + FRAME_HEADER_BYTES, length))
        return 0;
    sender_go(s);
    return FRAME_HEADER_BYTES + length;
}

/* ---- the whole ---- */

static void sender_go(struct sender *s) {
    struct transfer *t = &s->t;
    while (!t->ending && !eye_op_pending(&t->out_op) && !eye_op_pending(&t->work_op)) {
        if (t->out_used < FLUSH_BYTES && s->step(s))
            continue;
        if (t->out_used == 0)
            return;
        transfer_flush(t);
    }
}

static void sender_sent(struct transfer *t) {
    if (t->greeted)
        sender_go(sender_of(t));
    if (!t->ending)
        transfer_take(t);
}

static void sender_begin(struct transfer *t, unsigned flags, uint64_t total_bytes) {
    (void)flags, (void)total_bytes;
    if (stream_sends_files(t->stream))
        t->path[EYE_OUT] = "sendfile";
    sender_go(sender_of(t));
}

static void sender_ended(struct transfer *t) {
    transfer_fail(t, EYE_ETRUNCATED, EYE_FAIL_TRUNCATED, "%s: the receiver has left before its word",
                  t->opts.endpoint->text);
}

/* Looks at what is to be sent: names, and sizes for the progress. */
static int measure(struct sender *s, struct eye_err *reterr) {
    FTS *fts = fts_open(s->roots, FTS_PHYSICAL | FTS_COMFOLLOW | FTS_NOCHDIR, NULL);
    FTSENT *entry;
    while (fts && (entry = fts_read(fts)))
        if (entry->fts_info == FTS_F)
            s->t.total_bytes += (uint64_t)entry->fts_statp->st_size;
    if (!fts)
        return err_set(reterr, -errno, EYE_FAIL_OTHER, "%s", eye_strerror(-errno));
    fts_close(fts);
    s->fts = fts_open(s->roots, FTS_PHYSICAL | FTS_COMFOLLOW | FTS_NOCHDIR, NULL);
    return s->fts ? 0 : err_set(reterr, -errno, EYE_FAIL_OTHER, "%s", eye_strerror(-errno));
}

/* A path whose last part is the name to send under: `.` has none. */
static char *named(const char *path) {
    char *name = strdup(path);
    size_t size = name ? strlen(name) : 0;
    while (size > 1 && name[size - 1] == '/')
        name[--size] = '\0';
    const char *slash = name ? strrchr(name, '/') : NULL, *last = slash ? slash + 1 : name;
    if (!name || (strcmp(last, ".") != 0 && strcmp(last, "..") != 0 && *last))
        return name;
    free(name);
    return realpath(path, NULL);
}

static int sender_prepare(struct transfer *t, struct eye_err *reterr) {
    struct sender *s = sender_of(t);
    s->fd = -1;
    s->step = step_entry;
    s->roots = calloc(t->opts.path_count + 1, sizeof *s->roots);
    if (!s->roots)
        return err_set(reterr, -ENOMEM, EYE_FAIL_OTHER, "%s", eye_strerror(-ENOMEM));
    for (size_t i = 0; i < t->opts.path_count; i++) {
        const char *path = t->opts.paths[i];
        struct stat st;
        if (stat(path, &st) < 0)
            return err_set(reterr, -errno, EYE_FAIL_OTHER, "%s: %s", path, eye_strerror(-errno));
        s->roots[i] = named(path);
        if (!s->roots[i] || strcmp(s->roots[i], "/") == 0)
            return err_set(reterr, -EINVAL, EYE_FAIL_USAGE, "%s: has no name to send it under", path);
    }
    return measure(s, reterr);
}

static void sender_drop(struct transfer *t) {
    struct sender *s = sender_of(t);
    if (s->fd >= 0)
        close(s->fd);
    for (; s->count > 0; s->count--, s->first++)
        free(s->window[s->first % WINDOW_MAX].name);
}

static void sender_done(struct transfer *t) {
    struct sender *s = sender_of(t);
    if (s->fts) {
        fts_read(s->fts); /* glibc's fts_close(3) loses what was never begun */
        fts_close(s->fts);
    }
    for (char **root = s->roots; root && *root; root++)
        free(*root);
    free(s->roots);
}

const struct side side_send = {.size = sizeof(struct sender),
                               .prepare = sender_prepare,
                               .begin = sender_begin,
                               .take = sender_take,
                               .ended = sender_ended,
                               .sent = sender_sent,
                               .worked = sender_worked,
                               .drop = sender_drop,
                               .done = sender_done};

void eye_transfer_send(eye_loop *loop, eye_op *op, const struct eye_transfer_opts *opts,
                       struct eye_transfer_result *ret, eye_done *done) {
    transfer_start(loop, op, opts->raw ? &side_send_raw : &side_send, opts, ret, done);
}
