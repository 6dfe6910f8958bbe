/* newfile.c: see newfile.h.
 *
 * linkat(2) gives a file its first name but replaces none, so over an existing file it is two steps: a
 * hidden name, then rename(2). Naming what has no name takes /proc, or a capability: where neither is to be
 * had, the file has a hidden name from the beginning. */
#include <sockeye/newfile.h>

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/base.h"

struct eye_newfile {
    int fd, dir_fd; /* dir_fd is our own */
    bool exclusive, no_sync;
    bool hidden; /* it has the hidden name */
    char *name;  /* in dir_fd */
    char *temp;  /* the hidden name, in dir_fd */
};

/* The directory that the name is in, and the name; an existing name's links are followed. */
static int split(int dir_fd, const char *path, bool follow, eye_newfile *file) {
    char at[64];
    char *real = NULL;
    AUTO_FD int target = follow ? openat(dir_fd, path, O_PATH | O_CLOEXEC) : -1;
    if (target >= 0) {
        char link[4096];
        snprintf(at, sizeof at, "/proc/self/fd/%d", target);
        ssize_t n = readlink(at, link, sizeof link - 1);
        struct stat by_fd, by_name;
        link[n > 0 ? n : 0] = '\0';
        /* Not where the path is another's view: a chroot, a name with " (deleted)". */
        if (n > 0 && fstat(target, &by_fd) == 0 && lstat(link, &by_name) == 0 &&
            by_fd.st_ino == by_name.st_ino && by_fd.st_dev == by_name.st_dev && S_ISREG(by_fd.st_mode))
            real = strdup(link);
    }
    const char *whole = real ? real : path, *slash = strrchr(whole, '/');
    char *folder = slash ? strndup(whole, (size_t)(slash - whole) + 1) : strdup(".");
    file->name = strdup(slash ? slash + 1 : whole);
    if (folder)
        file->dir_fd = openat(dir_fd, folder, O_PATH | O_DIRECTORY | O_CLOEXEC);
    int r = !folder || !file->name ? -ENOMEM : file->dir_fd < 0 ? -errno : file->name[0] ? 0 : -EISDIR;
    free(folder);
    free(real);
    return r;
}

/* Room for a suffix within NAME_MAX, and a name that nobody guesses. */
static int choose_temp(eye_newfile *file) {
    uint32_t number;
    if (getrandom(&number, sizeof number, 0) != sizeof number)
        return -EIO;
    free(file->temp);
    return asprintf(&file->temp, ".%.*s.sockeye-%08x", 200, file->name, number) < 0 ? -ENOMEM : 0;
}

static int open_hidden(eye_newfile *file, mode_t mode) {
    int r;
    do {
        r = choose_temp(file);
        if (r < 0)
            return r;
        file->fd = openat(file->dir_fd, file->temp, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, mode);
    } while (file->fd < 0 && errno == EEXIST);
    file->hidden = file->fd >= 0;
    return file->hidden ? 0 : -errno;
}

static int open_file(eye_newfile *file, mode_t mode) {
    if (access("/proc/self/fd", X_OK) == 0)
        file->fd = openat(file->dir_fd, ".", O_TMPFILE | O_RDWR | O_CLOEXEC, mode);
    return file->fd >= 0 ? 0 : open_hidden(file, mode);
}

int eye_newfile_open(int dir_fd, const char *path, mode_t mode, unsigned flags, eye_newfile **ret_file) {
    eye_newfile *file = calloc(1, sizeof *file);
    if (!file)
        return -ENOMEM;
    file->fd = file->dir_fd = -1;
    file->exclusive = flags & EYE_NEWFILE_EXCLUSIVE;
    file->no_sync = flags & EYE_NEWFILE_NO_SYNC;
    struct stat old = {0};
    int r = split(dir_fd, path, !file->exclusive, file);
    bool exists = r == 0 && fstatat(file->dir_fd, file->name, &old, AT_SYMLINK_NOFOLLOW) == 0;
    if (exists)
        r = file->exclusive        ? -EEXIST
            : S_ISREG(old.st_mode) ? 0
            : S_ISDIR(old.st_mode) ? -EISDIR
                                   : -EMEDIUMTYPE;
    if (r == 0)
        r = open_file(file, exists ? old.st_mode & 0777 : mode);
    if (r == 0 && exists && fchmod(file->fd, old.st_mode & 0777) < 0)
        r = -errno;
    if (r < 0) {
        eye_newfile_free(file);
        return r;
    }
    *ret_file = file;
    return 0;
}

int eye_newfile_fd(const eye_newfile *file) {
    return file->fd;
}

/* Gives a file without a name one that is free. */
static int give_name(const eye_newfile *file, const char *name) {
    char own[64];
    snprintf(own, sizeof own, "/proc/self/fd/%d", file->fd);
    return linkat(AT_FDCWD, own, file->dir_fd, name, AT_SYMLINK_FOLLOW) < 0 ? -errno : 0;
}

static int give_hidden_name(eye_newfile *file) {
    int r;
    do {
        r = choose_temp(file);
        if (r == 0)
            r = give_name(file, file->temp);
    } while (r == -EEXIST);
    file->hidden = r == 0;
    return r;
}

static int rename_hidden(eye_newfile *file) {
    unsigned flags = file->exclusive ? RENAME_NOREPLACE : 0;
    int r = renameat2(file->dir_fd, file->temp, file->dir_fd, file->name, flags) < 0 ? -errno : 0;
    if (r == -EINVAL && flags) /* a file system that does not know the flag; free removes the other name */
        return linkat(file->dir_fd, file->temp, file->dir_fd, file->name, 0) < 0 ? -errno : 0;
    file->hidden = r < 0;
    return r;
}

int eye_newfile_commit(eye_newfile *file) {
    /* EINVAL: a file system that cannot. */
    if (!file->no_sync && fsync(file->fd) < 0 && errno != EINVAL)
        return -errno;
    int r = file->hidden ? -EEXIST : give_name(file, file->name);
    if (r == -EEXIST && !file->hidden && !file->exclusive)
        r = give_hidden_name(file);
    return file->hidden ? rename_hidden(file) : r;
}

eye_newfile *eye_newfile_free(eye_newfile *file) {
    if (!file)
        return NULL;
    if (file->hidden)
        unlinkat(file->dir_fd, file->temp, 0);
    if (file->fd >= 0)
        close(file->fd);
    if (file->dir_fd >= 0)
        close(file->dir_fd);
    free(file->name);
    free(file->temp);
    free(file);
    return NULL;
}
