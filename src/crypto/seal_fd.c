/* seal_fd.c: whole files through seal.c, by any number of threads.
 *
 * The work is cut into units of a few chunks. A thread takes the next unit, reads, encrypts or decrypts and
 * writes it. What is read or written in order (a pipe) waits for its turn; a regular file is read, and by
 * several threads written, at the unit's own place. With one thread the caller does it all. Memory: two units
 * a thread, whatever the size.
 *
 * Of a unit in which a chunk does not verify, those before it are written. The first unit that fails ends the
 * others. */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

#include "crypto/seal.h"

#define UNIT_CHUNKS 8
#define UNIT_BYTES  (UNIT_CHUNKS * (size_t)SEAL_CHUNK_BYTES)
#define UNIT_TEXT   (UNIT_CHUNKS * (int64_t)SEAL_TEXT_BYTES)
#define THREADS_MAX 256

struct work {
    const struct eye_seal_opts *opts;
    struct seal seal;
    enum eye_cipher_way way;
    size_t chunk_in, chunk_out; /* bytes of a whole one */
    int in, out;
    int64_t in_at, in_bytes; /* of a regular file: where chunk 0 is, and what is there from it on; else -1 */
    int64_t out_at;          /* where the first unit's result goes; -1: in order */
    uint64_t last_unit;      /* the one with the last chunk; UINT64_MAX until that is known */
    uint64_t end_unit;       /* the one after which to stop */
    int64_t first, last;     /* of the text, both counted, what is written */

    pthread_mutex_t lock;
    pthread_cond_t turned;
    uint64_t next, turn; /* the units to be taken and, in order, to be written */
    int64_t taken, written;
    int code; /* of the first unit that failed */
    struct eye_err err;
};

struct unit {
    uint64_t number;
    size_t size;
    bool last, by_fd; /* by_fd: the cipher takes the chunks from the file itself */
    uint8_t *in, *out;
    int64_t out_bytes; /* of the chunks that are done, and verified */
};

/* ---- one unit ---- */

static int64_t unit_offset(const struct work *w, const struct unit *unit) {
    return w->in_at + (int64_t)(unit->number * UNIT_CHUNKS * w->chunk_in);
}

/* Takes the next unit: 1, or 0 when there is none. Reads it where that goes in order. */
static int unit_take(struct work *w, struct unit *unit) {
    size_t wanted = UNIT_CHUNKS * w->chunk_in;
    pthread_mutex_lock(&w->lock);
    int64_t r = w->code == 0 && w->next <= w->end_unit;
    if (r > 0) {
        unit->number = w->next++;
        unit->size = wanted;
        unit->out_bytes = 0;
        if (w->in_at < 0) {
            r = io_read(w->in, unit->in, wanted, -1);
            unit->size = r < 0 ? 0 : (size_t)r;
            if (unit->size < wanted)
                w->last_unit = w->end_unit = unit->number;
            r = r < 0 ? r : 1;
        }
        unit->last = unit->number == w->last_unit;
    }
    pthread_mutex_unlock(&w->lock);
    return (int)r;
}

/* What is at the unit's place in the file, as much as there was when its size was taken. */
static int unit_read(const struct work *w, struct unit *unit) {
    if (w->in_at >= 0 && unit->last)
        unit->size = (size_t)w->in_bytes % (UNIT_CHUNKS * w->chunk_in);
    if (w->in_at < 0 || unit->by_fd)
        return 0;
    int64_t n = io_read(w->in, unit->in, unit->size, unit_offset(w, unit));
    return n < 0 ? (int)n : n < (int64_t)unit->size ? EYE_ETRUNCATED : 0;
}

/* Encrypts or decrypts the unit's chunks, until one fails. */
static int unit_crypt(const struct work *w, eye_cipher *cipher, struct unit *unit) {
    uint64_t number = unit->number * UNIT_CHUNKS;
    uint8_t tag[EYE_TAG_BYTES];
    /* The last chunk is a short one, and it is there even if nothing is left for it. */
    for (size_t at = 0; at < unit->size || (unit->last && at == unit->size); at += w->chunk_in, number++) {
        size_t size = MIN(w->chunk_in, unit->size - at);
        struct piece piece = {
            .data = unit->in + at, .fd = w->in, .offset = unit_offset(w, unit) + (int64_t)at};
        uint8_t *out = unit->out + unit->out_bytes, *tag_at = out + size;
        piece.size = size;
        if (w->way == EYE_DECRYPT) {
            if (size < EYE_TAG_BYTES)
                return -EBADMSG;
            piece.size = size - EYE_TAG_BYTES;
            tag_at = unit->in + at + piece.size;
        }
        if (unit->by_fd && size > 0) {
            piece.data = NULL;
            if (w->way == EYE_DECRYPT) {
                int64_t n = io_read(w->in, tag, sizeof tag, piece.offset + (int64_t)piece.size);
                if (n < (int64_t)sizeof tag)
                    return n < 0 ? (int)n : EYE_ETRUNCATED;
                tag_at = tag;
            }
        }
        int r = seal_chunk(&w->seal, cipher, w->way, number, &piece, out, tag_at);
        if (r < 0)
            return r;
        unit->out_bytes += (int64_t)(piece.size + (w->way == EYE_ENCRYPT ? EYE_TAG_BYTES : 0));
    }
    return 0;
}

/* Writes the part of a unit's result that is wanted, in its turn or at its place. */
static int64_t unit_write(const struct work *w, const struct unit *unit) {
    int64_t at = (int64_t)(unit->number * UNIT_CHUNKS * w->chunk_out), size = unit->out_bytes;
    if (w->out_at >= 0)
        return io_write(w->out, unit->out, (size_t)size, w->out_at + at);
    int64_t skip = w->first > at ? w->first - at : 0;
    if (size - 1 > w->last - at)
        size = w->last - at + 1;
    return skip < size ? io_write(w->out, unit->out + skip, (size_t)(size - skip), -1) : 0;
}

/* text_at: the first byte of the text that is not known. */
static void fail(struct work *w, int code, int64_t text_at) {
    if (w->code < 0)
        return;
    w->code = code;
    if (code == -EBADMSG)
        err_set(&w->err, code, EYE_FAIL_AUTHENTIC,
                text_at == 0 ? "does not verify from the beginning"
                             : "does not verify from byte %lld of the text on: changed, or cut there",
                (long long)text_at);
    else
        err_set(&w->err, code, EYE_FAIL_OTHER, "%s", eye_strerror(code));
}

/* Ends a unit that failed, or is done: what it has is written either way. */
static void unit_end(struct work *w, const struct unit *unit, int code) {
    bool in_order = w->out_at < 0;
    int64_t n = in_order ? 0 : unit_write(w, unit);
    pthread_mutex_lock(&w->lock);
    while (in_order && w->turn != unit->number && w->code == 0)
        pthread_cond_wait(&w->turned, &w->lock);
    if (in_order && w->code == 0)
        n = unit_write(w, unit);
    w->turn++;
    if (n < 0 || code < 0) {
        fail(w, n < 0 ? (int)n : code, (int64_t)unit->number * UNIT_TEXT + unit->out_bytes);
    } else {
        w->taken += (int64_t)unit->size;
        w->written += n;
        if (w->opts->progress)
            w->opts->progress(w->opts->user, w->taken);
    }
    pthread_cond_broadcast(&w->turned);
    pthread_mutex_unlock(&w->lock);
}

/* ---- all of them ---- */

static int unit_run(struct work *w, eye_cipher *cipher, struct unit *unit) {
    int r = unit_read(w, unit);
    if (r == 0)
        r = unit_crypt(w, cipher, unit);
    if (r != -EOPNOTSUPP || !unit->by_fd)
        return r;
    unit->by_fd = false; /* not from this file system */
    unit->out_bytes = 0;
    return unit_run(w, cipher, unit);
}

static void *worker(void *user) {
    struct work *w = user;
    eye_cipher *cipher = NULL;
    struct eye_err err;
    struct unit unit = {.in = malloc(UNIT_BYTES), .out = malloc(UNIT_BYTES)};
    int r = -ENOMEM;
    if (unit.in && unit.out)
        r = seal_cipher(&w->seal, w->opts->provider, &cipher, &err);
    else
        err_set(&err, r, EYE_FAIL_OTHER, "%s", eye_strerror(r));
    if (r < 0) {
        pthread_mutex_lock(&w->lock);
        if (w->code == 0)
            w->err = err;
        w->code = w->code < 0 ? w->code : r;
        pthread_cond_broadcast(&w->turned);
        pthread_mutex_unlock(&w->lock);
    }
    unit.by_fd = cipher && cipher_takes_fd(cipher) && w->in_at >= 0;
    while (r >= 0 && (r = unit_take(w, &unit)) != 0)
        unit_end(w, &unit, r < 0 ? r : unit_run(w, cipher, &unit));
    eye_cipher_free(cipher);
    for (int i = 0; i < 2; i++) {
        uint8_t *buf = i ? unit.in : unit.out;
        if (buf)
            explicit_bzero(buf, UNIT_BYTES);
        free(buf);
    }
    return NULL;
}

/* The caller and, where there is work for more and the system gives them, other threads. */
static int work_run(struct work *w) {
    pthread_t threads[THREADS_MAX];
    size_t count = 0, wanted = MIN(w->opts->threads, THREADS_MAX);
    sigset_t all, before;
    pthread_mutex_init(&w->lock, NULL);
    pthread_cond_init(&w->turned, NULL);
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before); /* signals are the caller's */
    while (count + 1 < wanted && pthread_create(&threads[count], NULL, worker, w) == 0)
        count++;
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    worker(w);
    for (size_t i = 0; i < count; i++)
        pthread_join(threads[i], NULL);
    pthread_cond_destroy(&w->turned);
    pthread_mutex_destroy(&w->lock);
    return w->code;
}

/* Where the input is a regular file its size is known, and where several threads write one they need not
 * wait. */
static void work_look(struct work *w) {
    struct stat st;
    if (fstat(w->in, &st) == 0 && S_ISREG(st.st_mode)) {
        w->in_at = lseek(w->in, 0, SEEK_CUR);
        w->in_bytes = MAX(st.st_size - w->in_at, 0);
        w->last_unit = w->end_unit = (uint64_t)w->in_bytes / (UNIT_CHUNKS * w->chunk_in);
    }
    if (w->opts->threads > 1 && fstat(w->out, &st) == 0 && S_ISREG(st.st_mode) &&
        !(fcntl(w->out, F_GETFL) & O_APPEND))
        w->out_at = lseek(w->out, 0, SEEK_CUR);
}

static struct work work_new(int in, int out, enum eye_cipher_way way, const struct eye_seal_opts *opts) {
    bool encrypts = way == EYE_ENCRYPT;
    return (struct work){.opts = opts,
                         .way = way,
                         .chunk_in = encrypts ? SEAL_TEXT_BYTES : SEAL_CHUNK_BYTES,
                         .chunk_out = encrypts ? SEAL_CHUNK_BYTES : SEAL_TEXT_BYTES,
                         .in = in,
                         .out = out,
                         .in_at = -1,
                         .in_bytes = -1,
                         .out_at = -1,
                         .last_unit = UINT64_MAX,
                         .end_unit = UINT64_MAX,
                         .last = INT64_MAX - 1};
}

static int64_t work_done(struct work *w, struct eye_err *reterr) {
    int r = work_run(w);
    seal_done(&w->seal);
    if (r < 0 && reterr)
        *reterr = w->err;
    if (r < 0)
        return r;
    if (w->out_at >= 0)
        lseek(w->out, w->out_at + w->written, SEEK_SET);
    return w->written;
}

int64_t eye_seal_fd(int in, int out, const eye_key *key, const struct eye_seal_opts *opts,
                    struct eye_err *reterr) {
    struct work w = work_new(in, out, EYE_ENCRYPT, opts);
    uint8_t salt[SEAL_SALT_BYTES];
    if (getrandom(salt, sizeof salt, 0) != sizeof salt)
        return err_set(reterr, -EIO, EYE_FAIL_OTHER, "no random bytes: %s", eye_strerror(-errno));
    int r = seal_derive(key, salt, opts, &w.seal, reterr);
    if (r < 0)
        return r;
    int64_t n = io_write(out, salt, sizeof salt, -1);
    if (n >= 0)
        n = io_write(out, w.seal.commitment, SEAL_COMMIT_BYTES, -1);
    if (n < 0) {
        seal_done(&w.seal);
        return err_set(reterr, (int)n, EYE_FAIL_OTHER, "%s", eye_strerror((int)n));
    }
    work_look(&w);
    n = work_done(&w, reterr);
    return n < 0 ? n : n + SEAL_HEAD_BYTES;
}

/* ---- opening ---- */

static int open_head(struct work *w, const eye_key *key, struct eye_err *reterr) {
    uint8_t head[SEAL_HEAD_BYTES], different = 0;
    int64_t n = io_read(w->in, head, sizeof head, -1);
    if (n < 0)
        return err_set(reterr, (int)n, EYE_FAIL_OTHER, "%s", eye_strerror((int)n));
    if (n < (int64_t)sizeof head)
        return err_set(reterr, -EBADMSG, EYE_FAIL_AUTHENTIC,
                       "%lld bytes are fewer than the %d that begin a file", (long long)n, SEAL_HEAD_BYTES);
    int r = seal_derive(key, head, w->opts, &w->seal, reterr);
    if (r < 0)
        return r;
    for (size_t i = 0; i < SEAL_COMMIT_BYTES; i++)
        different |= (uint8_t)(head[SEAL_SALT_BYTES + i] ^ w->seal.commitment[i]);
    if (!different)
        return 0;
    seal_done(&w->seal);
    err_set(reterr, -EBADMSG, EYE_FAIL_AUTHENTIC, "it was encrypted with another key or another context");
    err_cause(reterr, "or its first %d bytes were changed, or it is no encrypted file", SEAL_HEAD_BYTES);
    return -EBADMSG;
}

/* Only some of the text: the last chunk is decrypted first, since it alone says where the text ends. */
static int open_range(struct work *w, struct eye_err *reterr) {
    uint64_t chunks = (uint64_t)w->in_bytes / SEAL_CHUNK_BYTES;
    int64_t rest = w->in_bytes % SEAL_CHUNK_BYTES,
            text = (int64_t)chunks * SEAL_TEXT_BYTES + rest - EYE_TAG_BYTES;
    uint8_t in[SEAL_CHUNK_BYTES], out[SEAL_CHUNK_BYTES];
    eye_cipher *cipher = NULL;
    if (w->in_at < 0)
        return err_set(reterr, -ESPIPE, EYE_FAIL_USAGE, "a range can be had of a regular file only");
    int r = seal_cipher(&w->seal, w->opts->provider, &cipher, reterr);
    if (r < 0)
        return r;
    int64_t n = io_read(w->in, in, (size_t)rest, w->in_at + (int64_t)chunks * SEAL_CHUNK_BYTES);
    r = n == rest && rest >= EYE_TAG_BYTES ? 0 : -EBADMSG;
    if (r == 0)
        r = seal_chunk(&w->seal, cipher, EYE_DECRYPT, chunks,
                       &(struct piece){.data = in, .size = (size_t)rest - EYE_TAG_BYTES}, out,
                       in + rest - EYE_TAG_BYTES);
    eye_cipher_free(cipher);
    explicit_bzero(out, sizeof out);
    if (r < 0)
        return err_set(reterr, r, r == -EBADMSG ? EYE_FAIL_AUTHENTIC : EYE_FAIL_OTHER,
                       "its end does not verify: changed, or cut");
    if (w->opts->first >= text)
        return err_set(reterr, -ERANGE, EYE_FAIL_OTHER,
                       "the text has %lld bytes, and the range begins at %lld", (long long)text,
                       (long long)w->opts->first);
    w->first = w->opts->first;
    w->last = MIN(w->opts->last, text - 1);
    w->next = w->turn = (uint64_t)(w->first / UNIT_TEXT);
    w->end_unit = (uint64_t)(w->last / UNIT_TEXT);
    w->out_at = -1;
    return 0;
}

int64_t eye_open_fd(int in, int out, const eye_key *key, const struct eye_seal_opts *opts,
                    struct eye_err *reterr) {
    struct work w = work_new(in, out, EYE_DECRYPT, opts);
    int r = open_head(&w, key, reterr);
    if (r < 0)
        return r;
    work_look(&w);
    if (opts->range && (r = open_range(&w, reterr)) < 0) {
        seal_done(&w.seal);
        return r;
    }
    return work_done(&w, reterr);
}
