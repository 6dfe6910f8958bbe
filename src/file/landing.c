/* landing.c: see landing.h. */
#include "file/landing.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>

#include "base/base.h"
#include "file/beneath.h"
#include "file/digest.h"
#include "sys/sys.h"

#define PART_SUFFIX    ".sockeye-part"
#define OPEN_TRIES_MAX 16

static int fail(char why[LANDING_WHY_BYTES], int code) {
    const char *text = code == -EEXIST  ? "there already, and --overwrite was not said"
                       : code == -EBUSY ? "another receiver is writing it"
                       : code == -ELOOP ? "a symbolic link on the way"
                                        : eye_strerror(code);
    snprintf(why, LANDING_WHY_BYTES, "%s", text);
    return code;
}

static int refuse(char why[LANDING_WHY_BYTES], const char *fault) {
    snprintf(why, LANDING_WHY_BYTES, "refused as a name: %s", fault);
    return -EINVAL;
}

static bool is_part(const char *name) {
    size_t size = strlen(name), suffix = sizeof PART_SUFFIX - 1;
    return name[0] == '.' && size > suffix && strcmp(name + size - suffix, PART_SUFFIX) == 0;
}

/* The folder of a name, and its last part. */
static int open_folder(int root_fd, const char *name, const char **ret_last, char why[LANDING_WHY_BYTES]) {
    const char *fault = beneath_fault(name, strlen(name));
    if (fault)
        return refuse(why, fault);
    int fd = beneath_open(root_fd, name, ret_last);
    if (fd < 0)
        return fail(why, fd);
    if (!is_part(*ret_last))
        return fd;
    close(fd);
    return refuse(why, "that of a part");
}

static void name_part(struct landing *landing, const char *name) {
    if (strlen(name) + sizeof PART_SUFFIX < NAME_MAX) {
        snprintf(landing->part, sizeof landing->part, ".%.230s" PART_SUFFIX, name);
        return;
    }
    snprintf(landing->part, sizeof landing->part, ".%016llx" PART_SUFFIX,
             (unsigned long long)digest_of(name, strlen(name)));
}

static bool is_ours(const struct stat *st) {
    return S_ISREG(st->st_mode) && st->st_uid == geteuid() && (st->st_mode & 077) == 0 && st->st_nlink == 1;
}

/* Whether the part's name still leads to what was opened and locked: another receiver may have placed or
 * removed it in between. */
static bool still_there(const struct landing *landing, const struct stat *st) {
    struct stat now;
    return fstatat(landing->folder_fd, landing->part, &now, AT_SYMLINK_NOFOLLOW) == 0 &&
           now.st_dev == st->st_dev && now.st_ino == st->st_ino;
}

/* Opens and locks the part; -EAGAIN: look again. */
static int open_part(struct landing *landing, bool keep) {
    struct stat st;
    landing->fd = openat(landing->folder_fd, landing->part,
                         O_RDWR | O_CREAT | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY | O_CLOEXEC, 0600);
    if (landing->fd < 0 && errno != ELOOP && errno != ENXIO && errno != EISDIR)
        return -errno;
    if (landing->fd >= 0 && flock(landing->fd, LOCK_EX | LOCK_NB) < 0)
        return errno == EWOULDBLOCK ? -EBUSY : -errno;
    if (landing->fd >= 0 && fstat(landing->fd, &st) < 0)
        return -errno;
    if (landing->fd >= 0 && !still_there(landing, &st))
        return -EAGAIN;
    if (landing->fd < 0 || !is_ours(&st))
        return unlinkat(landing->folder_fd, landing->part, 0) < 0 ? -errno : -EAGAIN;
    landing->held_bytes = keep ? st.st_size / DIGEST_BLOCK_BYTES * DIGEST_BLOCK_BYTES : 0;
    return 0;
}

static int check_target(const struct landing *landing) {
    struct stat st;
    if (fstatat(landing->folder_fd, landing->name, &st, AT_SYMLINK_NOFOLLOW) < 0)
        return errno == ENOENT ? 0 : -errno;
    return landing->overwrite && S_ISREG(st.st_mode) ? 0 : -EEXIST;
}

int landing_open(int root_fd, const char *name, bool overwrite, bool keep, struct landing *ret_landing,
                 char why[LANDING_WHY_BYTES]) {
    struct landing landing = {.fd = -1, .overwrite = overwrite};
    const char *last;
    landing.folder_fd = open_folder(root_fd, name, &last, why);
    if (landing.folder_fd < 0)
        return landing.folder_fd;
    name_part(&landing, last);
    landing.name = strdup(last);
    int r = landing.name ? check_target(&landing) : -ENOMEM;
    if (r == 0) {
        r = -EAGAIN;
        for (int i = 0; i < OPEN_TRIES_MAX && r == -EAGAIN; i++) {
            if (landing.fd >= 0)
                close(landing.fd);
            r = open_part(&landing, keep);
        }
    }
    if (r == 0 && !landing.held_bytes) {
        r = landing_seek(&landing, 0);
        if (r < 0)
            unlinkat(landing.folder_fd, landing.part, 0);
    }
    if (r < 0) {
        close(landing.folder_fd);
        if (landing.fd >= 0)
            close(landing.fd);
        free(landing.name);
        return fail(why, r);
    }
    *ret_landing = landing;
    return 0;
}

int landing_seek(struct landing *landing, int64_t offset) {
    landing->at = offset;
    return ftruncate(landing->fd, offset) < 0 ? -errno : 0;
}

int landing_write(struct landing *landing, const void *data, size_t size) {
    const uint8_t *p = data;
    while (size > 0) {
        int64_t n = sys_pwrite(landing->fd, p, size, landing->at);
        if (n <= 0)
            return n < 0 ? (int)n : -EIO;
        landing->at += n;
        p += n;
        size -= (size_t)n;
    }
    return 0;
}

int landing_hole(struct landing *landing, int64_t size) {
    landing->at += size;
    return ftruncate(landing->fd, landing->at) < 0 ? -errno : 0;
}

/* Where the name must not be there yet. */
static int rename_new(const struct landing *landing) {
    int fd = landing->folder_fd;
    if (renameat2(fd, landing->part, fd, landing->name, RENAME_NOREPLACE) == 0)
        return 0;
    if (errno != EINVAL && errno != ENOSYS)
        return -errno;
    /* A file system that does not know the flag. */
    if (linkat(fd, landing->part, fd, landing->name, 0) < 0)
        return -errno;
    return unlinkat(fd, landing->part, 0) < 0 ? -errno : 0;
}

int landing_place(struct landing *landing, unsigned mode, const struct timespec *mtime) {
    const struct timespec times[] = {{.tv_nsec = UTIME_OMIT}, *mtime};
    if (fchmod(landing->fd, mode & 0777) < 0 || futimens(landing->fd, times) < 0)
        return -errno;
    int fd = landing->folder_fd, r = check_target(landing);
    if (r == 0 && landing->overwrite)
        r = renameat(fd, landing->part, fd, landing->name) < 0 ? -errno : 0;
    else if (r == 0)
        r = rename_new(landing);
    if (r == 0)
        landing->part[0] = '\0';
    return r;
}

void landing_done(struct landing *landing, bool keep) {
    if (landing->part[0] && !keep)
        unlinkat(landing->folder_fd, landing->part, 0);
    close(landing->fd);
    close(landing->folder_fd);
    free(landing->name);
    *landing = (struct landing){.fd = -1, .folder_fd = -1};
}

int landing_folder(int root_fd, const char *name, unsigned mode, char why[LANDING_WHY_BYTES]) {
    const char *last;
    struct stat st;
    AUTO_FD int fd = open_folder(root_fd, name, &last, why);
    if (fd < 0)
        return fd;
    if (mkdirat(fd, last, (mode & 0777) | S_IRWXU) == 0)
        return 1;
    if (errno != EEXIST)
        return fail(why, -errno);
    if (fstatat(fd, last, &st, AT_SYMLINK_NOFOLLOW) < 0)
        return fail(why, -errno);
    return S_ISDIR(st.st_mode) ? 0 : fail(why, -ENOTDIR);
}

int landing_folder_end(int root_fd, const char *name, unsigned mode, const struct timespec *mtime,
                       char why[LANDING_WHY_BYTES]) {
    const struct timespec times[] = {{.tv_nsec = UTIME_OMIT}, *mtime};
    const char *last;
    AUTO_FD int fd = open_folder(root_fd, name, &last, why);
    if (fd < 0)
        return fd;
    AUTO_FD int own = openat(fd, last, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (own < 0 || fchmod(own, mode & 0777) < 0 || futimens(own, times) < 0)
        return fail(why, -errno);
    return 0;
}
