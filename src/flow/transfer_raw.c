/* transfer_raw.c: a file over a stream without a protocol, as nc and socat send and take it. The end of the
 * stream is the file's end, and that is all that either side knows of it: a sender that is cut by a FIN looks
 * the same as one that has sent all. */
#include <sockeye/newfile.h>

#include <errno.h>
#include <fcntl.h>
#include <linux/sockios.h>
#include <sys/ioctl.h>
#include <sys/stat.h>

#include "file/file.h"
#include "flow/transfer.h"
#include "loop/loop.h"
#include "net/net.h"
#include "sys/sys.h"

#define PIECE_BYTES (4 * 1024 * 1024)
#define LINGER_NS   NS_PER_S

struct raw {
    struct transfer t;
    const char *path;
    eye_newfile *file; /* receiving */
    int fd;            /* sending: owned */
    struct stat st;
    int64_t at;
    bool finished;
};

static struct raw *raw_of(struct transfer *t) {
    return eye_container_of(t, struct raw, t);
}

static int raw_fail(struct eye_err *reterr, const struct raw *raw, int code) {
    return err_set(reterr, code, EYE_FAIL_OTHER, "%s: %s", raw->path,
                   code == -EEXIST ? "there already, and --overwrite was not said" : eye_strerror(code));
}

static void tell(struct raw *raw) {
    transfer_told(&raw->t, &(struct eye_transfer_file){.name = raw->path, .bytes = (uint64_t)raw->at});
    transfer_end(&raw->t);
}

/* ---- sending ---- */

static int send_prepare(struct transfer *t, struct eye_err *reterr) {
    struct raw *raw = raw_of(t);
    raw->path = t->opts.paths[0];
    raw->fd = open(raw->path, O_RDONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
    if (raw->fd < 0 || fstat(raw->fd, &raw->st) < 0)
        return raw_fail(reterr, raw, -errno);
    t->total_bytes = (uint64_t)raw->st.st_size;
    return S_ISREG(raw->st.st_mode) ? 0 : raw_fail(reterr, raw, S_ISDIR(raw->st.st_mode) ? -EISDIR : -EINVAL);
}

/* What is still on its way is waited for, so that closing does not cut it off (tcp(7), SIOCOUTQ); a peer that
 * keeps its end open is not. */
static void lingered(eye_op *op, int64_t result) {
    struct raw *raw = eye_container_of(op, struct raw, t.open_op);
    int left = 0, fd = raw->t.stream ? eye_stream_fd(raw->t.stream, EYE_OUT) : -1;
    (void)result;
    if (transfer_leaves(&raw->t))
        return;
    if (fd >= 0 && ioctl(fd, SIOCOUTQ, &left) == 0 && left > 0)
        eye_timer(raw->t.loop, op, time_after(raw->t.loop->now_ns, LINGER_NS), lingered);
    else
        tell(raw);
}

static void finish_done(eye_op *op, int64_t result) {
    struct raw *raw = eye_container_of(op, struct raw, t.out_op);
    if (transfer_leaves(&raw->t))
        return;
    if (result < 0) {
        transfer_broken(&raw->t, result);
        return;
    }
    raw->finished = true;
    eye_timer(raw->t.loop, &raw->t.open_op, time_after(raw->t.loop->now_ns, LINGER_NS), lingered);
}

static void piece_sent(eye_op *op, int64_t n) {
    struct raw *raw = eye_container_of(op, struct raw, t.out_op);
    struct transfer *t = &raw->t;
    struct stat now;
    if (transfer_leaves(t))
        return;
    t->active_ns = t->loop->now_ns;
    if (n < 0) {
        transfer_broken(t, n);
    } else if (n > 0) {
        raw->at += n;
        t->moved[EYE_OUT] += (uint64_t)n;
        t->ret->bytes += (uint64_t)n;
        transfer_progress(t, raw->path, (uint64_t)n);
        eye_send_file(t->stream, op, raw->fd, raw->at, PIECE_BYTES, piece_sent);
    } else if (fstat(raw->fd, &now) < 0 || stat_changed(&raw->st, &now)) {
        transfer_fail(t, -EIO, EYE_FAIL_OTHER, "%s: changed while it was sent", raw->path);
    } else {
        eye_finish(t->stream, op, finish_done);
    }
}

static void send_begin(struct transfer *t, unsigned flags, uint64_t total_bytes) {
    struct raw *raw = raw_of(t);
    (void)flags, (void)total_bytes;
    if (stream_sends_files(t->stream))
        t->path[EYE_OUT] = "sendfile";
    transfer_take(t);
    eye_send_file(t->stream, &t->out_op, raw->fd, 0, PIECE_BYTES, piece_sent);
}

/* Answers are none of ours. */
static size_t send_take(struct transfer *t, const uint8_t *data, size_t size) {
    (void)t, (void)data;
    return size;
}

static void send_ended(struct transfer *t) {
    struct raw *raw = raw_of(t);
    if (raw->finished)
        tell(raw);
}

static void send_drop(struct transfer *t) {
    struct raw *raw = raw_of(t);
    if (raw->fd >= 0)
        close(raw->fd);
}

/* ---- receiving ---- */

static int receive_prepare(struct transfer *t, struct eye_err *reterr) {
    struct raw *raw = raw_of(t);
    raw->path = t->opts.folder;
    unsigned flags =
        (t->opts.overwrite ? 0 : EYE_NEWFILE_EXCLUSIVE) | (t->opts.no_sync ? EYE_NEWFILE_NO_SYNC : 0);
    int r = eye_newfile_open(AT_FDCWD, raw->path, 0666, flags, &raw->file);
    return r < 0 ? raw_fail(reterr, raw, r) : 0;
}

static void receive_begin(struct transfer *t, unsigned flags, uint64_t total_bytes) {
    (void)flags, (void)total_bytes;
    transfer_take(t);
}

static size_t receive_take(struct transfer *t, const uint8_t *data, size_t size) {
    struct raw *raw = raw_of(t);
    for (size_t done = 0; done < size;) {
        int64_t n = sys_write(eye_newfile_fd(raw->file), data + done, size - done);
        if (n <= 0) {
            int code = n < 0 ? (int)n : -EIO;
            transfer_fail(t, code, EYE_FAIL_OTHER, "%s: %s", raw->path, eye_strerror(code));
            return 0;
        }
        done += (size_t)n;
    }
    raw->at += (int64_t)size;
    t->ret->bytes += size;
    transfer_progress(t, raw->path, size);
    return size;
}

static int64_t commit(void *user) {
    return eye_newfile_commit(raw_of(user)->file);
}

static void receive_ended(struct transfer *t) {
    transfer_work(t, commit);
}

static void receive_worked(struct transfer *t) {
    tell(raw_of(t));
}

static void receive_drop(struct transfer *t) {
    raw_of(t)->file = eye_newfile_free(raw_of(t)->file);
}

const struct side side_send_raw = {.size = sizeof(struct raw),
                                   .raw = true,
                                   .prepare = send_prepare,
                                   .begin = send_begin,
                                   .take = send_take,
                                   .ended = send_ended,
                                   .drop = send_drop};

const struct side side_receive_raw = {.size = sizeof(struct raw),
                                      .receives = true,
                                      .raw = true,
                                      .prepare = receive_prepare,
                                      .begin = receive_begin,
                                      .take = receive_take,
                                      .ended = receive_ended,
                                      .worked = receive_worked,
                                      .drop = receive_drop};
