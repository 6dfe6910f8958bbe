/* tree.c: a directory and all that is in it, each file by copy_whole.
 *
 * Directories are made 0700 and get the bits and times of theirs when all in them is done, since filling one
 * changes its times and a read-only one could not be filled. What cannot be copied is told, and the rest goes
 * on; only a full disk ends it. */
#include <errno.h>
#include <fcntl.h>
#include <fts.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/base.h"
#include "file/file.h"

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

static int copy_link(const char *from, const char *to, const struct stat *st) {
    char target[PATH_MAX];
    const struct timespec times[] = {st->st_atim, st->st_mtim};
    ssize_t n = readlink(from, target, sizeof target - 1);
    if (n < 0)
        return -errno;
    target[n] = '\0';
    if (symlink(target, to) < 0)
        return -errno;
    return utimensat(AT_FDCWD, to, times, AT_SYMLINK_NOFOLLOW) < 0 ? -errno : 0;
}

static bool same_file(const struct stat *a, const struct stat *b) {
    return a->st_dev == b->st_dev && a->st_ino == b->st_ino;
}

/* One entry of the walk; a negative code ends it. */
static int tree_entry(struct tree *tree, FTS *fts, FTSENT *entry, const char *to) {
    struct eye_err err;
    int r = 0;
    switch (entry->fts_info) {
    case FTS_D:
        r = make_folder(to);
        if (r == 0 && entry->fts_level == 0)
            r = stat(to, &tree->to_stat) < 0 ? -errno : 0;
        else if (r == 0 && same_file(entry->fts_statp, &tree->to_stat))
            r = -ELOOP;
        if (r < 0)
            fts_set(fts, entry, FTS_SKIP);
        break;
    case FTS_DP:
        r = finish_folder(to, entry->fts_statp);
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
        r = -entry->fts_errno;
        break;
    }
    if (r < 0)
        tree_fail(tree, r, entry->fts_path,
                  r == -ELOOP ? "the directory that is being copied to" : eye_strerror(r));
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

int eye_copy_tree(const char *from, const char *to, const struct eye_copy_opts *opts,
                  struct eye_copy_stats *stats, struct eye_err *reterr) {
    struct stat st;
    if (stat(from, &st) == 0 && !S_ISDIR(st.st_mode))
        return eye_copy_file(from, to, opts, stats, reterr);
    char *target = copy_target(from, to), *root = strdup(from);
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
