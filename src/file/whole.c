/* whole.c: one file, copied whole or not at all.
 *
 * The copy is written to a file without a name (newfile.h), which is checked and made durable before it gets
 * the name. Owner, setuid, setgid and sticky bits, access control lists and extended attributes are not
 * copied: a copy is a file of whoever makes it. Over a device or a pipe there is nothing to put in place, and
 * it is written to as it is. So are the process's own descriptors under their names in /dev, since a file
 * behind one belongs to whoever opened it; and they are read from where they stand, a socket among them,
 * which open(2) refuses by its name. */
#include <sockeye/newfile.h>

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/base.h"
#include "file/file.h"

/* The last part of a path, without the slashes after it. */
static const char *last_part(const char *path, int *ret_length) {
    size_t end = strlen(path);
    while (end > 1 && path[end - 1] == '/')
        end--;
    size_t begin = end;
    while (begin > 0 && path[begin - 1] != '/')
        begin--;
    *ret_length = (int)(end - begin);
    return path + begin;
}

char *copy_target(const char *from, const char *to) {
    struct stat st;
    char *target;
    if (stat(to, &st) < 0 || !S_ISDIR(st.st_mode))
        return strdup(to);
    int length;
    const char *name = last_part(from, &length);
    const char *slash = to[strlen(to) - 1] == '/' ? "" : "/";
    return asprintf(&target, "%s%s%.*s", to, slash, length, name) < 0 ? NULL : target;
}

static int fail(struct eye_err *reterr, int code, const char *from, const char *to) {
    switch (-code) {
    case ENOSPC:
    case EDQUOT:
    case EFBIG:
    case EROFS:
        return err_set(reterr, code, EYE_FAIL_OTHER, "%s: %s", to, eye_strerror(code));
    default:
        return err_set(reterr, code, EYE_FAIL_OTHER, "%s to %s: %s", from, to, eye_strerror(code));
    }
}

static int fail_at(struct eye_err *reterr, int code, const char *path) {
    return err_set(reterr, code, EYE_FAIL_OTHER, "%s: %s", path, eye_strerror(code));
}

/* The descriptor that a name in /dev stands for, or -1. */
static int own_descriptor(const char *path) {
    static const char folder[] = "/dev/fd/";
    static const char *const standard[] = {"/dev/stdin", "/dev/stdout", "/dev/stderr"};
    uint64_t fd;
    for (size_t i = 0; i < ARRAY_LEN(standard); i++)
        if (strcmp(path, standard[i]) == 0)
            return (int)i;
    if (strncmp(path, folder, sizeof folder - 1) != 0)
        return -1;
    const char *number = path + sizeof folder - 1;
    return text_parse_uint(number, strlen(number), INT_MAX, &fd) < 0 ? -1 : (int)fd;
}

static int fail_same(struct eye_err *reterr, const char *from, const char *to) {
    return err_set(reterr, -EINVAL, EYE_FAIL_USAGE, "%s and %s are the same file", from, to);
}

/* Into a device, a pipe, or a descriptor of our own. */
static int copy_into(int from, const char *from_path, const char *to, const struct eye_copy_opts *opts,
                     struct eye_copy_stats *stats, struct eye_err *reterr) {
    struct stat in, out;
    int own = own_descriptor(to);
    AUTO_FD int fd = own >= 0 ? fcntl(own, F_DUPFD_CLOEXEC, 3) : open(to, O_WRONLY | O_NOCTTY | O_CLOEXEC);
    if (fd < 0 || fstat(from, &in) < 0 || fstat(fd, &out) < 0)
        return fail_at(reterr, -errno, to);
    if (S_ISREG(in.st_mode) && stat_same(&in, &out)) /* it would feed itself without an end */
        return fail_same(reterr, from_path, to);
    int64_t n = copy_fd(from, fd, from_path, opts, stats);
    /* EINVAL: a pipe or a terminal, which keep nothing. */
    if (n >= 0 && !(opts && opts->no_sync) && fsync(fd) < 0 && errno != EINVAL && errno != EROFS)
        n = -errno;
    if (n < 0)
        return fail(reterr, (int)n, from_path, to);
    stats->files++;
    return 0;
}

/* Fills a new file and gives it the source's bits and times; a negative code leaves it without a name. */
static int fill(eye_newfile *file, int from, const char *path, const struct eye_copy_opts *opts,
                struct eye_copy_stats *stats) {
    int to = eye_newfile_fd(file);
    struct stat before, after, made;
    if (fstat(from, &before) < 0)
        return -errno;
    int64_t n = copy_fd(from, to, path, opts, stats);
    if (n < 0)
        return (int)n;
    if (fstat(from, &after) < 0 || fstat(to, &made) < 0)
        return -errno;
    if (made.st_size != n)
        return -EIO;
    stats->changed += S_ISREG(before.st_mode) && stat_changed(&before, &after);
    const struct timespec times[] = {before.st_atim, before.st_mtim};
    if (S_ISREG(before.st_mode) && (fchmod(to, before.st_mode & 0777) < 0 || futimens(to, times) < 0))
        return -errno;
    return eye_newfile_commit(file);
}

/* A file that we may not write to is not replaced either. */
static int check_target(int from, const char *to) {
    struct stat in, out;
    if (stat(to, &out) < 0)
        return errno == ENOENT ? 0 : -errno;
    if (fstat(from, &in) < 0)
        return -errno;
    if (stat_same(&in, &out))
        return -EINVAL;
    return faccessat(AT_FDCWD, to, W_OK, AT_EACCESS) < 0 ? -errno : 0;
}

int copy_whole(const char *from, const char *to, const struct eye_copy_opts *opts,
               struct eye_copy_stats *stats, struct eye_err *reterr) {
    struct stat st;
    int own = own_descriptor(from);
    AUTO_FD int fd = own >= 0 ? fcntl(own, F_DUPFD_CLOEXEC, 3) : open(from, O_RDONLY | O_NOCTTY | O_CLOEXEC);
    if (fd < 0 || fstat(fd, &st) < 0)
        return fail_at(reterr, -errno, from);
    if (S_ISDIR(st.st_mode))
        return fail_at(reterr, -EISDIR, from);
    if (own_descriptor(to) >= 0)
        return copy_into(fd, from, to, opts, stats, reterr);
    int r = check_target(fd, to);
    if (r == -EINVAL)
        return fail_same(reterr, from, to);
    eye_newfile *file = NULL;
    unsigned flags = opts && opts->no_sync ? EYE_NEWFILE_NO_SYNC : 0;
    if (r == 0)
        r = eye_newfile_open(AT_FDCWD, to, S_ISREG(st.st_mode) ? 0600 : 0666, flags, &file);
    if (r == -EMEDIUMTYPE)
        return copy_into(fd, from, to, opts, stats, reterr);
    if (r < 0)
        return fail_at(reterr, r, to);
    r = fill(file, fd, from, opts, stats);
    eye_newfile_free(file);
    if (r < 0)
        return fail(reterr, r, from, to);
    stats->files++;
    return 0;
}

int eye_copy_file(const char *from, const char *to, const struct eye_copy_opts *opts,
                  struct eye_copy_stats *stats, struct eye_err *reterr) {
    char *target = copy_target(from, to);
    if (!target)
        return fail_at(reterr, -ENOMEM, to);
    int r = copy_whole(from, target, opts, stats, reterr);
    if (r == -EISDIR)
        err_cause(reterr, "a directory is copied with -r");
    free(target);
    return r;
}
