/* tree.c: a directory and all that is in it, each file by copy_whole.
 *
 * Directories are made 0700 and get the bits and times of theirs when all in them is done, since filling one
 * changes its times and a read-only one could not be filled. What cannot be copied is told, and the rest goes
 * on; only a full disk ends it. A directory is not copied into itself, which is seen before anything is
 * written; where mounts hide it, when the walk meets what it has made. */
#include <errno.h>
#include <fcntl.h>
#include <fts.h>
#include <libgen.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#include "base/base.h"
#include "file/file.h"

#define UPWARDS_FLAGS (O_PATH | O_DIRECTORY | O_CLOEXEC)
#define SKIPPED       1 /* fts_number of a directory that is not entered */

struct tree {
    size_t from_length; /* of the root's name */
    const char *to;
    struct stat to_stat; /* of the new root, to find it inside the old one */
    const struct eye_copy_opts *opts;
    struct eye_copy_stats *stats;
    struct eye_err first; /* failure */
};

/* Notes a failure, whose line is in err. */
static void tree_failed(struct tree *tree, const struct eye_err *err) {
    if (!tree->first.code)
        tree->first = *err;
    if (tree->opts && tree->opts->failed)
        tree->opts->failed(tree->opts->user, err);
}

static void tree_fail(struct tree *tree, int code, const char *path, const char *what) {
    struct eye_err err;
    err_set(&err, code, EYE_FAIL_OTHER, "%s: %s", path, what);
    tree_failed(tree, &err);
}

static void tree_fail_to(struct tree *tree, int code, const char *from, const char *to) {
    struct eye_err err;
    err_set(&err, code, EYE_FAIL_OTHER, "%s to %s: %s", from, to, eye_strerror(code));
    tree_failed(tree, &err);
}

static int make_folder(const char *to) {
    struct stat st;
    if (mkdir(to, 0700) == 0)
        return 0;
    if (errno != EEXIST)
        return -errno;
    if (lstat(to, &st) < 0)
        return -errno;
    return S_ISDIR(st.st_mode) ? 0 : -ENOTDIR;
}

static int finish_folder(const char *to, const struct stat *st) {
    const struct timespec times[] = {st->st_atim, st->st_mtim};
    AUTO_FD int fd = open(to, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (fd < 0 || fchmod(fd, st->st_mode & 0777) < 0 || futimens(fd, times) < 0)
        return -errno;
    return 0;
}

/* A link that leads to target, under a hidden name in the folder of `to` and then under its own. */
static int put_link(const char *target, const char *to, const struct stat *st) {
    const struct timespec times[] = {st->st_atim, st->st_mtim};
    const char *slash = strrchr(to, '/');
    uint32_t number;
    char *hidden;
    if (getrandom(&number, sizeof number, 0) != sizeof number)
        return -EIO;
    if (asprintf(&hidden, "%.*s.sockeye-%08x", slash ? (int)(slash + 1 - to) : 0, to, number) < 0)
        return -ENOMEM;
    int r = symlink(target, hidden) < 0 ? -errno : 0;
    if (r == 0 && (utimensat(AT_FDCWD, hidden, times, AT_SYMLINK_NOFOLLOW) < 0 || rename(hidden, to) < 0)) {
        r = -errno;
        unlink(hidden);
    }
    free(hidden);
    return r;
}

static int copy_link(const char *from, const char *to, const struct stat *st) {
    char target[PATH_MAX];
    ssize_t n = readlink(from, target, sizeof target - 1);
    if (n < 0)
        return -errno;
    target[n] = '\0';
    return put_link(target, to, st);
}

/* Nothing in this directory is visited; the walk still says that it leaves it. */
static void skip(FTS *fts, FTSENT *entry) {
    entry->fts_number = SKIPPED;
    fts_set(fts, entry, FTS_SKIP);
}

/* One entry of the walk; a negative code ends it. */
static int tree_entry(struct tree *tree, FTS *fts, FTSENT *entry, const char *to) {
    struct eye_err err;
    int r = 0;
    switch (entry->fts_info) {
    case FTS_D:
        if (entry->fts_level > 0 && stat_same(entry->fts_statp, &tree->to_stat)) {
            tree_fail(tree, -ELOOP, entry->fts_path, "the directory that is being copied to");
            skip(fts, entry);
            return 0;
        }
        r = make_folder(to);
        if (r == 0 && entry->fts_level == 0)
            r = stat(to, &tree->to_stat) < 0 ? -errno : 0;
        if (r < 0)
            skip(fts, entry);
        break;
    case FTS_DP:
        r = entry->fts_number == SKIPPED ? 0 : finish_folder(to, entry->fts_statp);
        break;
    case FTS_F:
        r = copy_whole(entry->fts_accpath, to, tree->opts, tree->stats, &err);
        if (r < 0)
            tree_failed(tree, &err);
        return r == -ENOSPC || r == -EDQUOT || r == -ECANCELED ? r : 0;
    case FTS_SL:
    case FTS_SLNONE:
        r = copy_link(entry->fts_accpath, to, entry->fts_statp);
        break;
    case FTS_DEFAULT:
        tree_fail(tree, -EINVAL, entry->fts_path, "a device, pipe or socket, which is not copied");
        return 0;
    default:
        tree_fail(tree, -entry->fts_errno, entry->fts_path, eye_strerror(-entry->fts_errno));
        return 0;
    }
    if (r < 0)
        tree_fail_to(tree, r, entry->fts_path, to);
    return 0;
}

static int tree_walk(struct tree *tree, FTS *fts) {
    FTSENT *entry;
    int r = 0;
    while (r == 0 && (errno = 0, entry = fts_read(fts))) {
        char *to;
        if (asprintf(&to, "%s%s", tree->to, entry->fts_path + tree->from_length) < 0)
            return -ENOMEM;
        r = tree_entry(tree, fts, entry, to);
        free(to);
    }
    return r < 0 ? r : -errno;
}

/* Whether path, which need not be there yet, is that directory or in it: seen from there upwards. */
static bool is_in(const char *path, const struct stat *folder) {
    struct stat st, below = {0};
    bool found = false;
    int fd = open(path, UPWARDS_FLAGS);
    char *copy = fd < 0 ? strdup(path) : NULL;
    if (copy)
        fd = open(dirname(copy), UPWARDS_FLAGS);
    free(copy);
    while (fd >= 0 && !found && fstat(fd, &st) == 0 && !stat_same(&st, &below)) {
        found = stat_same(&st, folder);
        below = st;
        int above = openat(fd, "..", UPWARDS_FLAGS);
        close(fd);
        fd = above;
    }
    if (fd >= 0)
        close(fd);
    return found;
}

int eye_copy_tree(const char *from, const char *to, const struct eye_copy_opts *opts,
                  struct eye_copy_stats *stats, struct eye_err *reterr) {
    struct stat st;
    bool there = stat(from, &st) == 0;
    if (there && !S_ISDIR(st.st_mode))
        return eye_copy_file(from, to, opts, stats, reterr);
    char *target = copy_target(from, to), *root = strdup(from);
    if (there && target && is_in(target, &st)) {
        err_set(reterr, -EINVAL, EYE_FAIL_USAGE, "%s: a directory is not copied into itself, to %s", from,
                target);
        free(root);
        free(target);
        return -EINVAL;
    }
    struct tree tree = {.to = target, .opts = opts, .stats = stats};
    FTS *fts = NULL;
    if (root) {
        size_t length = strlen(root);
        while (length > 1 && root[length - 1] == '/')
            root[--length] = '\0';
        tree.from_length = strcmp(root, "/") == 0 ? 0 : length;
        fts = fts_open((char *const[]){root, NULL}, FTS_PHYSICAL | FTS_COMFOLLOW | FTS_NOCHDIR, NULL);
    }
    int r = -ENOMEM;
    if (target && fts)
        r = tree_walk(&tree, fts);
    if (fts)
        fts_close(fts);
    free(root);
    free(target);
    if (tree.first.code && reterr)
        *reterr = tree.first;
    if (tree.first.code)
        return tree.first.code;
    return r < 0 ? err_set(reterr, r, EYE_FAIL_OTHER, "%s: %s", from, eye_strerror(r)) : 0;
}
