/* receive.c: the receiving side of a transfer.
 *
 * Frames are taken from the buffer as they come; of data frames, whatever is there. A file lands under a
 * private name (file/landing.h). Files that are whole and verified wait in a queue, with what has to be
 * answered in between, until it is worth the disk's time: then a helper thread writes all of them out and
 * gives them their names, and they are answered in their order. That is after each file that is not small,
 * when the sender's window is full, and at the end.
 *
 * A file that is there already is compared instead of written: where it is what the sender has, it counts as
 * taken, so that a transfer that was cut can be begun anew. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "file/beneath.h"
#include "file/digest.h"
#include "file/landing.h"
#include "flow/transfer.h"
#include "loop/loop.h"

#define DEPTH_MAX 256

/* Something to be answered, in its order. */
struct item {
    enum { ITEM_ANSWER, ITEM_FILE, ITEM_FOLDER_END } kind;
    char *name;
    int code; /* 0: taken; else what failed, and why, without the name */
    enum eye_fail fail;
    char why[FRAME_TEXT_MAX];
    struct landing landing;
    unsigned mode;
    struct timespec mtime;
    uint64_t bytes, resumed_bytes, digest;
    bool folder;
};

struct receiver {
    struct transfer t;
    int root_fd;
    bool digests;
    struct item queue[WINDOW_MAX];
    size_t queued;
    bool bye, done_said;
    void (*then)(struct receiver *r); /* when the work is done */

    bool open;        /* within a file */
    bool skipping;    /* which is refused: what comes of it is thrown away */
    bool present;     /* which is there already: what comes of it is compared */
    bool waits_from;  /* the sender has been told where to go on */
    struct item file; /* its landing, where it is neither skipped nor present */
    int present_fd;   /* or -1 */
    int64_t at;       /* how far it is */
    struct digest digest;
    int64_t held_bytes; /* what is there of it */
    struct digest held;
    int held_code;
    size_t data_left; /* of the frame we are in */

    size_t depth;
    struct {
        uint64_t name_hash;
        bool made;
    } folders[DEPTH_MAX];
};

static struct receiver *receiver_of(struct transfer *t) {
    return eye_container_of(t, struct receiver, t);
}

static bool protocol_error(struct receiver *r, const char *what) {
    transfer_fail(&r->t, -EPROTO, EYE_FAIL_OTHER, "%s: the sender breaks the protocol: %s",
                  r->t.opts.endpoint->text, what);
    return false;
}

/* ---- answers ---- */

static void item_fail(struct item *item, int code, enum eye_fail fail, const char *why) {
    item->code = code;
    item->fail = fail;
    snprintf(item->why, sizeof item->why, "%s", why);
}

static void item_answer(struct receiver *r, struct item *item) {
    struct eye_err err;
    if (item->code) {
        err_set(&err, item->code, item->fail, "%.160s: %s", item->name, item->why);
        transfer_text(&r->t, FRAME_REFUSED, item->fail, item->why);
    } else {
        transfer_frame(&r->t, FRAME_TAKEN, 0);
    }
    if (item->code || item->kind != ITEM_FOLDER_END)
        transfer_told(&r->t, &(struct eye_transfer_file){.name = item->name,
                                                         .bytes = item->bytes,
                                                         .resumed_bytes = item->resumed_bytes,
                                                         .digest = item->digest,
                                                         .has_digest = r->digests && !item->folder,
                                                         .folder = item->folder,
                                                         .err = item->code ? &err : NULL});
    free(item->name);
}

static void answer_all(struct receiver *r) {
    for (size_t i = 0; i < r->queued; i++)
        item_answer(r, &r->queue[i]);
    r->queued = 0;
    if (r->bye && !r->done_said) {
        transfer_frame(&r->t, FRAME_DONE, 0);
        r->done_said = true;
    }
    transfer_flush(&r->t);
}

/* On the helper thread: one file is written out by itself; of several the whole file system is, at once. */
static int sync_files(const struct receiver *r) {
    const struct item *last = NULL;
    size_t files = 0;
    for (size_t i = 0; i < r->queued; i++)
        if (r->queue[i].kind == ITEM_FILE) {
            last = &r->queue[i];
            files++;
        }
    if (files == 0 || r->t.opts.no_sync)
        return 0;
    int s = files == 1 ? fsync(last->landing.fd) : syncfs(r->root_fd);
    return s < 0 && errno != EINVAL ? -errno : 0;
}

static int64_t place_all(void *user) {
    struct receiver *r = receiver_of(user);
    int synced = sync_files(r);
    for (size_t i = 0; i < r->queued; i++) {
        struct item *item = &r->queue[i];
        if (item->kind == ITEM_FOLDER_END)
            item->code = landing_folder_end(r->root_fd, item->name, item->mode, &item->mtime, item->why);
        if (item->kind != ITEM_FILE)
            continue;
        int s = synced < 0 ? synced : landing_place(&item->landing, item->mode, &item->mtime);
        landing_done(&item->landing, false);
        if (s < 0)
            item_fail(item, s, EYE_FAIL_OTHER,
                      s == -EEXIST ? "there already, and --overwrite was not said" : eye_strerror(s));
    }
    return 0;
}

static void work(struct receiver *r, int64_t (*run)(void *user), void (*then)(struct receiver *r)) {
    r->then = then;
    transfer_work(&r->t, run);
}

static void flush(struct receiver *r) {
    for (size_t i = 0; i < r->queued; i++)
        if (r->queue[i].kind != ITEM_ANSWER) {
            work(r, place_all, answer_all);
            return;
        }
    answer_all(r);
}

static void enqueue(struct receiver *r, struct item *item) {
    r->queue[r->queued++] = *item;
}

/* ---- the present file ---- */

static void close_present(struct receiver *r) {
    if (r->present_fd >= 0)
        close(r->present_fd);
    r->present_fd = -1;
    r->present = false;
}

/* The file is over, with r->file.code telling how. */
static void file_over(struct receiver *r) {
    bool small = !WAITS_FOR_GO(r->file.bytes);
    enqueue(r, &r->file);
    close_present(r);
    r->open = r->skipping;
    if (!small || r->file.code || r->queued == WINDOW_MAX)
        flush(r);
}

/* The file is refused midway: what lies there is removed, and what still comes thrown away. */
static void refuse(struct receiver *r) {
    if (!r->present && r->file.kind == ITEM_FILE)
        landing_done(&r->file.landing, false);
    r->file.kind = ITEM_ANSWER;
    r->skipping = true;
    file_over(r);
}

static void refuse_for(struct receiver *r, int code, enum eye_fail fail, const char *why) {
    item_fail(&r->file, code, fail, why);
    refuse(r);
}

static void say_go(struct receiver *r) {
    if (r->held_code < 0)
        r->held_bytes = 0;
    uint8_t *p = transfer_frame(&r->t, FRAME_GO, 16);
    put_be(p, (uint64_t)r->held_bytes, 8);
    put_be(p + 8, r->held_bytes > 0 ? digest_value(&r->held) : 0, 8);
    r->waits_from = true;
    transfer_flush(&r->t);
}

static int64_t digest_held(void *user) {
    struct receiver *r = receiver_of(user);
    int fd = r->present ? r->present_fd : r->file.landing.fd;
    r->held_code = transfer_digest(&r->t, fd, 0, r->held_bytes, &r->held);
    return 0;
}

/* Digests what is there of the file, and goes on. */
static void digest_there(struct receiver *r, int64_t bytes, void (*then)(struct receiver *r)) {
    r->held_bytes = bytes;
    r->held_code = 0;
    digest_begin(&r->held);
    if (bytes > 0)
        work(r, digest_held, then);
    else
        then(r);
}

/* Opens a regular file of that size that is there already under the name; what it holds is only compared. */
static bool open_present(struct receiver *r) {
    const char *last;
    struct stat st;
    if (!r->digests)
        return false;
    AUTO_FD int folder = beneath_open(r->root_fd, r->file.name, &last);
    if (folder < 0)
        return false;
    r->present_fd = openat(folder, last, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
    r->present = r->present_fd >= 0 && fstat(r->present_fd, &st) == 0 && S_ISREG(st.st_mode) &&
                 (uint64_t)st.st_size == r->file.bytes;
    if (!r->present)
        close_present(r);
    return r->present;
}

static void begin_file(struct receiver *r) {
    struct item *file = &r->file;
    bool waits = WAITS_FOR_GO(file->bytes);
    int s = landing_open(r->root_fd, file->name, r->t.opts.overwrite, waits && r->digests, &file->landing,
                         file->why);
    r->open = true;
    r->skipping = false;
    r->at = 0;
    digest_begin(&r->digest);
    if (s < 0 && (s != -EEXIST || !open_present(r))) {
        file->kind = ITEM_ANSWER;
        file->code = s;
        r->skipping = !waits; /* else nothing of it comes */
        file_over(r);
        return;
    }
    int64_t held_bytes = r->present ? (int64_t)file->bytes : file->landing.held_bytes;
    if (waits)
        digest_there(r, held_bytes <= (int64_t)file->bytes ? held_bytes : 0, say_go);
}

/* Where a present file turns out to be another. */
static void refuse_present(struct receiver *r) {
    refuse_for(r, -EEXIST, EYE_FAIL_OTHER, "there already, and --overwrite was not said");
}

static bool got_from(struct receiver *r, uint64_t offset) {
    if (!r->waits_from || (offset != 0 && offset != (uint64_t)r->held_bytes))
        return protocol_error(r, "from where nothing is");
    r->waits_from = false;
    if (r->present && offset == 0) {
        refuse_present(r);
        return true;
    }
    if (offset > 0)
        r->digest = r->held;
    r->at = (int64_t)offset;
    r->file.resumed_bytes = offset;
    transfer_progress(&r->t, r->file.name, offset);
    int s = r->present ? 0 : landing_seek(&r->file.landing, (int64_t)offset);
    if (s < 0)
        refuse_for(r, s, EYE_FAIL_OTHER, eye_strerror(s));
    return true;
}

/* Bytes of the file, or of a hole where data is NULL. */
static void got_bytes(struct receiver *r, const uint8_t *data, uint64_t size) {
    int s = r->skipping || r->present ? 0
            : data                    ? landing_write(&r->file.landing, data, (size_t)size)
                                      : landing_hole(&r->file.landing, (int64_t)size);
    if (s < 0)
        refuse_for(r, s, EYE_FAIL_OTHER, eye_strerror(s));
    if (r->skipping)
        return;
    if (r->digests && data)
        digest_update(&r->digest, data, (size_t)size);
    else if (r->digests)
        digest_hole(&r->digest, size);
    r->at += (int64_t)size;
    r->t.ret->bytes += data ? size : 0;
    transfer_progress(&r->t, r->file.name, size);
}

static void end_present(struct receiver *r) {
    if (r->held_code < 0 || digest_value(&r->held) != r->file.digest) {
        refuse_present(r);
        r->open = r->skipping = false;
        return;
    }
    r->file.kind = ITEM_ANSWER;
    r->file.resumed_bytes = r->file.bytes;
    file_over(r);
}

static bool got_end(struct receiver *r, uint64_t digest) {
    if (r->skipping) {
        r->open = r->skipping = false;
        return true;
    }
    if ((uint64_t)r->at != r->file.bytes)
        return protocol_error(r, "an end before the end");
    r->file.digest = digest;
    if (r->digests && digest != digest_value(&r->digest)) {
        refuse_for(r, -EBADMSG, EYE_FAIL_AUTHENTIC, "what came is not what was sent: the digests differ");
        r->open = r->skipping = false;
    } else if (r->present) {
        if (WAITS_FOR_GO(r->file.bytes))
            end_present(r);
        else
            digest_there(r, (int64_t)r->file.bytes, end_present);
    } else {
        file_over(r);
    }
    return true;
}

static bool got_give_up(struct receiver *r, const uint8_t *p, size_t size) {
    if (size < 1 || size > 1 + FRAME_TEXT_MAX)
        return protocol_error(r, "giving up");
    if (!r->skipping) {
        char why[FRAME_TEXT_MAX];
        snprintf(why, sizeof why, "the sender gave it up: %.*s", (int)(size - 1), (const char *)p + 1);
        refuse_for(r, -EREMOTEIO, EYE_FAIL_OTHER, why);
    }
    r->open = r->skipping = false;
    return true;
}

/* ---- entries ---- */

/* Reads FILE, FOLDER or FOLDER_END; what cannot be a name is refused by whoever looks it up. */
static bool read_entry(struct item *item, const uint8_t *p, size_t size) {
    if (size < FRAME_ENTRY_BYTES)
        return false;
    *item = (struct item){.bytes = get_be(p, 8),
                          .mtime = {.tv_sec = (time_t)get_be(p + 8, 8), .tv_nsec = (long)get_be(p + 16, 4)},
                          .mode = (unsigned)get_be(p + 20, 4)};
    size -= FRAME_ENTRY_BYTES;
    if (item->bytes > INT64_MAX || item->mtime.tv_nsec >= NS_PER_S ||
        memchr(p + FRAME_ENTRY_BYTES, '\0', size))
        return false;
    item->name = strndup((const char *)p + FRAME_ENTRY_BYTES, size);
    return item->name != NULL;
}

static bool got_folder(struct receiver *r, struct item *item) {
    if (r->depth == DEPTH_MAX)
        return protocol_error(r, "folders too deep");
    char why[LANDING_WHY_BYTES];
    int s = landing_folder(r->root_fd, item->name, item->mode, why);
    if (s < 0)
        item_fail(item, s, EYE_FAIL_OTHER, why);
    r->folders[r->depth].name_hash = digest_of(item->name, strlen(item->name));
    r->folders[r->depth++].made = s == 1;
    item->kind = ITEM_ANSWER;
    return true;
}

static bool got_folder_end(struct receiver *r, struct item *item) {
    if (r->depth == 0 || r->folders[--r->depth].name_hash != digest_of(item->name, strlen(item->name)))
        return protocol_error(r, "the end of another folder");
    item->kind = r->folders[r->depth].made ? ITEM_FOLDER_END : ITEM_ANSWER;
    return true;
}

static bool got_entry(struct receiver *r, enum frame_type type, const uint8_t *p, size_t size) {
    struct item item;
    if (r->queued == WINDOW_MAX)
        return protocol_error(r, "more than the window");
    if (!read_entry(&item, p, size))
        return protocol_error(r, "an entry");
    item.folder = type != FRAME_FILE;
    if (type == FRAME_FILE) {
        item.kind = ITEM_FILE;
        r->file = item;
        begin_file(r);
        return true;
    }
    if (!(type == FRAME_FOLDER ? got_folder : got_folder_end)(r, &item)) {
        free(item.name);
        return false;
    }
    enqueue(r, &item);
    if (r->queued == WINDOW_MAX)
        flush(r);
    return true;
}

static bool got_missing(struct receiver *r, const uint8_t *p, size_t size) {
    struct eye_err err;
    if (size < 1 || size > 1 + FRAME_TEXT_MAX)
        return protocol_error(r, "what is missing");
    err_set(&err, -EREMOTEIO, EYE_FAIL_OTHER, "the sender: %.*s", (int)(size - 1), (const char *)p + 1);
    transfer_told(&r->t, &(struct eye_transfer_file){.name = "", .err = &err});
    return true;
}

static bool got_bye(struct receiver *r) {
    if (r->depth > 0)
        return protocol_error(r, "the end within a folder");
    r->bye = true;
    flush(r);
    return true;
}

/* ---- frames ---- */

/* A number of eight bytes. */
static bool got_number(struct receiver *r, enum frame_type type, const uint8_t *p, size_t size) {
    uint64_t value = size == 8 ? get_be(p, 8) : 0;
    if (size != 8)
        return protocol_error(r, "a number");
    if (type == FRAME_FROM)
        return got_from(r, value);
    if (r->waits_from)
        return protocol_error(r, "not said from where");
    if (type == FRAME_END)
        return got_end(r, value);
    if (!r->skipping && value > r->file.bytes - (uint64_t)r->at)
        return protocol_error(r, "a hole past the end");
    if (!r->skipping && value > FRAME_HOLE_MAX)
        refuse_for(r, -EFBIG, EYE_FAIL_OTHER, "a hole of more than 64 TiB");
    got_bytes(r, NULL, value);
    return true;
}

static bool got_frame(struct receiver *r, enum frame_type type, const uint8_t *p, size_t size) {
    bool in_file = type >= FRAME_FROM && type <= FRAME_GIVE_UP;
    if (r->bye || in_file != r->open)
        return protocol_error(r, r->open ? "a frame within a file" : "a frame outside a file");
    switch (type) {
    case FRAME_FILE:
    case FRAME_FOLDER:
    case FRAME_FOLDER_END:
        return got_entry(r, type, p, size);
    case FRAME_FROM:
    case FRAME_HOLE:
    case FRAME_END:
        return got_number(r, type, p, size);
    case FRAME_GIVE_UP:
        return got_give_up(r, p, size);
    case FRAME_MISSING:
        return got_missing(r, p, size);
    case FRAME_BYE:
        return size == 0 ? got_bye(r) : protocol_error(r, "bye");
    default:
        return protocol_error(r, "an unknown frame");
    }
}

static size_t take_data(struct receiver *r, const uint8_t *data, size_t size) {
    size_t n = MIN(size, r->data_left);
    r->data_left -= n;
    got_bytes(r, data, n);
    return n;
}

/* The header of a data frame. */
static size_t take_data_header(struct receiver *r, uint64_t length) {
    bool fits = r->skipping || length <= r->file.bytes - (uint64_t)r->at;
    if (!r->open || r->waits_from || length == 0 || length > FRAME_DATA_MAX || !fits) {
        protocol_error(r, "data");
        return 0;
    }
    r->data_left = (size_t)length;
    return FRAME_HEADER_BYTES;
}

static size_t receiver_take(struct transfer *t, const uint8_t *data, size_t size) {
    struct receiver *r = receiver_of(t);
    if (r->data_left > 0)
        return take_data(r, data, size);
    if (size < FRAME_HEADER_BYTES)
        return 0;
    uint64_t header = get_be(data, FRAME_HEADER_BYTES), length = header & ~(UINT64_C(0xff) << 56);
    enum frame_type type = (enum frame_type)(header >> 56);
    if (type == FRAME_DATA)
        return take_data_header(r, length);
    if (length > FRAME_CONTROL_MAX) {
        protocol_error(r, "a frame of that length");
        return 0;
    }
    if (size < FRAME_HEADER_BYTES + length)
        return 0;
    return got_frame(r, type, data + FRAME_HEADER_BYTES, length) ? FRAME_HEADER_BYTES + length : 0;
}

static void receiver_worked(struct transfer *t) {
    struct receiver *r = receiver_of(t);
    r->then(r);
    if (!t->ending)
        transfer_take(t);
}

/* ---- the whole ---- */

static void finish_done(eye_op *op, int64_t result) {
    struct transfer *t = eye_container_of(op, struct transfer, out_op);
    (void)result; /* the word has been sent; the sender may have gone already */
    if (!transfer_leaves(t))
        transfer_end(t);
}

static void receiver_sent(struct transfer *t) {
    struct receiver *r = receiver_of(t);
    if (r->done_said)
        eye_finish(t->stream, &t->out_op, finish_done);
    else
        transfer_take(t);
}

static void receiver_begin(struct transfer *t, unsigned flags, uint64_t total_bytes) {
    struct receiver *r = receiver_of(t);
    r->digests = (flags & FLAG_DIGESTS) && !t->opts.no_digest;
    t->total_bytes = total_bytes;
}

static void receiver_ended(struct transfer *t) {
    struct receiver *r = receiver_of(t);
    if (!r->done_said)
        transfer_fail(t, EYE_ETRUNCATED, EYE_FAIL_TRUNCATED, "%s: the sender has left before the end%s%s",
                      t->opts.endpoint->text, r->open && !r->skipping ? ", within " : "",
                      r->open && !r->skipping ? r->file.name : "");
}

static int receiver_prepare(struct transfer *t, struct eye_err *reterr) {
    struct receiver *r = receiver_of(t);
    r->present_fd = -1;
    r->root_fd = open(t->opts.folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (r->root_fd < 0)
        return err_set(reterr, -errno, EYE_FAIL_OTHER, "%s: %s", t->opts.folder, eye_strerror(-errno));
    return 0;
}

/* What is verified but has no name yet is removed; what came of a large file is kept to go on from. */
static void receiver_drop(struct transfer *t) {
    struct receiver *r = receiver_of(t);
    for (size_t i = 0; i < r->queued; i++) {
        if (r->queue[i].kind == ITEM_FILE)
            landing_done(&r->queue[i].landing, WAITS_FOR_GO(r->queue[i].bytes));
        free(r->queue[i].name);
    }
    if (r->open && !r->skipping) {
        if (!r->present)
            landing_done(&r->file.landing, r->digests && r->at >= DIGEST_BLOCK_BYTES);
        free(r->file.name);
    }
    if (r->present_fd >= 0)
        close_present(r);
    r->queued = r->data_left = r->depth = 0;
    r->bye = r->done_said = r->open = r->skipping = r->waits_from = false;
}

static void receiver_done(struct transfer *t) {
    struct receiver *r = receiver_of(t);
    if (r->root_fd >= 0)
        close(r->root_fd);
}

const struct side side_receive = {.size = sizeof(struct receiver),
                                  .receives = true,
                                  .prepare = receiver_prepare,
                                  .begin = receiver_begin,
                                  .take = receiver_take,
                                  .ended = receiver_ended,
                                  .sent = receiver_sent,
                                  .worked = receiver_worked,
                                  .drop = receiver_drop,
                                  .done = receiver_done};

void eye_transfer_receive(eye_loop *loop, eye_op *op, const struct eye_transfer_opts *opts,
                          struct eye_transfer_result *ret, eye_done *done) {
    transfer_start(loop, op, opts->raw ? &side_receive_raw : &side_receive, opts, ret, done);
}
