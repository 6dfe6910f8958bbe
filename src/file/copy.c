/* copy.c: copying bytes from descriptor to descriptor down a ladder of system calls.
 *
 * Theory of operation. A sparse file is copied range by range as SEEK_DATA and SEEK_HOLE tell; anything else
 * is one range without an end. A range is copied by the cheapest step that still works between these two
 * descriptors. A step that refuses (another file system, a file in /proc, a pipe) is left for good and the
 * next goes on at the same offset. A step that says 0 has met the end, or thinks so: copy_file_range says it
 * of files in /proc, whose size is 0 (copy_file_range(2), BUGS). So the end is what read(2) says, and nothing
 * that fstat(2) said before: the file may have grown or shrunk since. */
#include <sockeye/file.h>

#include <errno.h>
#include <linux/fs.h>
#include <poll.h>
#include <sys/ioctl.h>
#include <sys/stat.h>

#include "base/base.h"
#include "file/file.h"
#include "sys/sys.h"

#define SLICE_BYTES  (16 * 1024 * 1024) /* what one call is asked for: milliseconds */
#define BUFFER_BYTES (128 * 1024)

struct copy {
    int from, to;
    bool from_file, to_file; /* regular: they have offsets of ours */
    int64_t begin;           /* where a regular source stood */
    int64_t at;              /* how far we are, in both */
    int64_t size;            /* what a regular source had from there on */
    enum eye_copy_step step;
    const struct eye_copy_opts *opts;
    struct eye_copy_stats *stats;
    const char *path;
};

const char *eye_copy_step_name(enum eye_copy_step step) {
    static const char *const names[] = {[EYE_COPY_REFLINK] = "reflink",
                                        [EYE_COPY_RANGE] = "copy_file_range",
                                        [EYE_COPY_SENDFILE] = "sendfile",
                                        [EYE_COPY_READ] = "read and write"};
    _Static_assert(ARRAY_LEN(names) == EYE_COPY_STEP_MAX, "name every step");
    return names[step];
}

static bool progress(const struct copy *c) {
    int64_t total = c->size > 0 ? MAX(c->size, c->at) : 0;
    return !c->opts->progress || c->opts->progress(c->opts->user, c->path, (uint64_t)c->at, (uint64_t)total);
}

/* ---- the steps: bytes moved at most size, 0 at the end, or a negative code ---- */

static int64_t step_range(struct copy *c, size_t size) {
    if (!c->from_file || !c->to_file)
        return -EINVAL;
    int64_t from_at = c->begin + c->at, to_at = c->at;
    return sys_copy_range(c->from, &from_at, c->to, &to_at, size);
}

static int64_t step_sendfile(struct copy *c, size_t size) {
    if (!c->from_file)
        return -EINVAL;
    if (c->to_file && lseek(c->to, c->at, SEEK_SET) < 0)
        return -errno;
    int64_t at = c->begin + c->at;
    return sys_sendfile(c->to, c->from, &at, size);
}

static int64_t write_all(const struct copy *c, const uint8_t *data, size_t size) {
    for (size_t done = 0; done < size;) {
        int64_t n = c->to_file ? sys_pwrite(c->to, data + done, size - done, c->at + (int64_t)done)
                               : sys_write(c->to, data + done, size - done);
        if (n <= 0)
            return n < 0 ? n : -EIO;
        done += (size_t)n;
    }
    return (int64_t)size;
}

/* A pipe or a terminal may make us wait, which a signal has to be able to end. */
static bool comes(const struct copy *c) {
    struct pollfd pfd = {.fd = c->from, .events = POLLIN};
    return c->from_file || poll(&pfd, 1, -1) >= 0 || errno != EINTR;
}

static int64_t step_read(struct copy *c, size_t size) {
    uint8_t buffer[BUFFER_BYTES];
    size = MIN(size, sizeof buffer);
    while (!comes(c))
        if (!progress(c))
            return -ECANCELED;
    int64_t n =
        c->from_file ? sys_pread(c->from, buffer, size, c->begin + c->at) : sys_read(c->from, buffer, size);
    return n > 0 ? write_all(c, buffer, (size_t)n) : n;
}

/* The row's number is the step's; a reflink is of whole files and not in the loop. */
static int64_t (*const steps[])(struct copy *c, size_t size) = {
    [EYE_COPY_RANGE] = step_range, [EYE_COPY_SENDFILE] = step_sendfile, [EYE_COPY_READ] = step_read};
_Static_assert(ARRAY_LEN(steps) == EYE_COPY_STEP_MAX, "a function for every step");

/* Whether a code says that the call does not work between these two, and nothing of the bytes. */
static bool refuses(int64_t code) {
    static const int codes[] = {EXDEV, EINVAL, EOPNOTSUPP, ENOSYS, EBADF, ETXTBSY, EOVERFLOW, ENOTTY, EPERM};
    for (size_t i = 0; i < ARRAY_LEN(codes); i++)
        if (code == -codes[i])
            return true;
    return false;
}

/* From c->at up to end: 1 there, 0 where the file ended before, or a negative code. */
static int copy_range(struct copy *c, int64_t end) {
    enum eye_copy_step step = c->step;
    while (c->at < end) {
        if (!progress(c))
            return -ECANCELED;
        int64_t n = steps[step](c, (size_t)MIN(end - c->at, (int64_t)SLICE_BYTES));
        if (n > 0) {
            c->at += n;
            c->stats->bytes[step] += (uint64_t)n;
            c->step = step; /* those above it refused, or took for the end what is none */
            continue;
        }
        if (step == EYE_COPY_READ || (n < 0 && !refuses(n)))
            return (int)n;
        step++;
    }
    return 1;
}

/* ---- holes ---- */

/* The file's present size. */
static int64_t size_of(int fd) {
    struct stat st;
    return fstat(fd, &st) < 0 ? -errno : st.st_size;
}

/* Range by range. Where a file system does not know holes, all is one range up to the size. */
static int copy_sparse(struct copy *c) {
    for (;;) {
        int64_t data = lseek(c->from, c->at, SEEK_DATA);
        int64_t end = data < 0 ? -errno : lseek(c->from, data, SEEK_HOLE);
        if (data < 0 && end != -ENXIO)
            return copy_range(c, INT64_MAX);
        if (data < 0) { /* nothing but a hole up to the end, or the end */
            data = size_of(c->from);
            end = data;
        }
        if (data < 0 || end < 0)
            return (int)MIN(data, end);
        if (data > c->at)
            c->stats->hole_bytes += (uint64_t)(data - c->at);
        c->at = MAX(c->at, data);
        if (data == end)
            return 0;
        int r = copy_range(c, end);
        if (r <= 0)
            return r;
    }
}

/* All of a regular file into an empty one, in no time and no space, where the file system can. */
static bool reflinked(struct copy *c) {
    if (!c->from_file || !c->to_file || c->begin > 0 || c->size == 0 || ioctl(c->to, FICLONE, c->from) < 0)
        return false;
    c->at = size_of(c->to);
    c->stats->bytes[EYE_COPY_REFLINK] += (uint64_t)c->at;
    return true;
}

/* All of it: the bytes, or a negative code. */
static int64_t copy_all(struct copy *c, bool sparse) {
    if (reflinked(c))
        return c->at;
    int r = sparse ? copy_sparse(c) : copy_range(c, INT64_MAX);
    if (r < 0)
        return r;
    if (sparse && ftruncate(c->to, c->at) < 0) /* the hole at the end */
        return -errno;
    return progress(c) ? c->at : -ECANCELED;
}

int64_t copy_fd(int from, int to, const char *path, const struct eye_copy_opts *opts,
                struct eye_copy_stats *stats) {
    static const struct eye_copy_opts none;
    struct stat in, out;
    if (fstat(from, &in) < 0 || fstat(to, &out) < 0)
        return -errno;
    struct copy c = {.from = from,
                     .to = to,
                     .from_file = S_ISREG(in.st_mode),
                     .to_file = S_ISREG(out.st_mode) && out.st_size == 0,
                     .step = EYE_COPY_RANGE,
                     .opts = opts ? opts : &none,
                     .stats = stats,
                     .path = path};
    if (c.from_file) {
        c.begin = lseek(from, 0, SEEK_CUR);
        c.size = MAX(in.st_size - c.begin, 0);
    }
    /* Files in /proc have a size of 0 and content; those in /sys have a size and less of that. */
    bool sparse = c.from_file && c.to_file && c.begin == 0 && c.size > 0 && in.st_blocks < in.st_size / 512;
    int64_t n = copy_all(&c, sparse);
    /* Most steps leave the places in the files alone: whoever shares the descriptors goes on after us. */
    if (c.from_file)
        lseek(from, c.begin + c.at, SEEK_SET);
    if (c.to_file)
        lseek(to, c.at, SEEK_SET);
    return n;
}

int64_t eye_copy_fd(int from, int to, const struct eye_copy_opts *opts, struct eye_copy_stats *stats) {
    return copy_fd(from, to, NULL, opts, stats);
}
