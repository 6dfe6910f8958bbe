/* file.h: what the files of this floor share. The public face is <sockeye/file.h>. */
#ifndef SOCKEYE_FILE_INTERNAL_H
#define SOCKEYE_FILE_INTERNAL_H

#include <sys/stat.h>

#include <sockeye/file.h>

/* eye_copy_fd, with the name that progress tells. */
int64_t copy_fd(int from, int to, const char *path, const struct eye_copy_opts *opts,
                struct eye_copy_stats *stats);

/* to, or to/NAME where it is a directory; to be freed. NULL: no memory. */
char *copy_target(const char *from, const char *to);

/* eye_copy_file, of what is no directory, to exactly that name. */
int copy_whole(const char *from, const char *to, const struct eye_copy_opts *opts,
               struct eye_copy_stats *stats, struct eye_err *reterr);

/* Whether these are looks at one and the same file. */
static inline bool stat_same(const struct stat *a, const struct stat *b) {
    return a->st_dev == b->st_dev && a->st_ino == b->st_ino;
}

/* Whether the file was written to between these two looks at it. */
static inline bool stat_changed(const struct stat *a, const struct stat *b) {
    return a->st_size != b->st_size || a->st_mtim.tv_sec != b->st_mtim.tv_sec ||
           a->st_mtim.tv_nsec != b->st_mtim.tv_nsec;
}

#endif
