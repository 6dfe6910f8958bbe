/* test_sys_newfile.c: a file appears whole or not at all, with a nameless file and with a hidden one. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include <sockeye/newfile.h>

#include "base/base.h"
#include "tap.h"

int __real_access(const char *path, int mode);
int __wrap_access(const char *path, int mode);
int __wrap_fsync(int fd);

static bool no_proc;
static int fsync_error;
static char folder[64];
static int dir_fd;

int __wrap_access(const char *path, int mode) {
    return no_proc ? -1 : __real_access(path, mode);
}

/* fsync is slow on a busy disk, and no test can tell what it does. */
int __wrap_fsync(int fd) {
    (void)fd;
    errno = fsync_error;
    return fsync_error ? -1 : 0;
}

static int entries(void) {
    int count = -2; /* . and .. */
    DIR *dir = opendir(folder);
    while (dir && readdir(dir))
        count++;
    closedir(dir);
    return count;
}

static bool holds(const char *name, const char *text) {
    char got[64] = "";
    AUTO_FD int fd = openat(dir_fd, name, O_RDONLY);
    ssize_t n = fd < 0 ? -1 : read(fd, got, sizeof got - 1);
    return n >= 0 && strcmp(got, text) == 0;
}

static mode_t mode_of(const char *name) {
    struct stat st = {0};
    fstatat(dir_fd, name, &st, 0);
    return st.st_mode & 07777;
}

static void put(const char *name, const char *text, mode_t mode) {
    AUTO_FD int fd = openat(dir_fd, name, O_WRONLY | O_CREAT | O_TRUNC, 0600);
    CHECK(write(fd, text, strlen(text)) == (ssize_t)strlen(text));
    CHECK(fchmod(fd, mode) == 0);
}

static eye_newfile *begun(const char *name, unsigned flags) {
    eye_newfile *file = NULL;
    if (CHECK_INT(eye_newfile_open(dir_fd, name, 0666, flags, &file), 0))
        CHECK(write(eye_newfile_fd(file), "new", 3) == 3);
    return file;
}

static void new_name(void) {
    eye_newfile *file = begun("a", 0);
    CHECK(faccessat(dir_fd, "a", F_OK, 0) < 0);
    CHECK_INT(eye_newfile_commit(file), 0);
    eye_newfile_free(file);
    CHECK(holds("a", "new"));
    CHECK_INT(mode_of("a"), 0640);
    CHECK_INT(entries(), 1);
}

static void given_up(void) {
    eye_newfile_free(begun("a", 0));
    put("b", "old", 0600);
    eye_newfile_free(begun("b", 0));
    CHECK(holds("b", "old"));
    CHECK_INT(entries(), 1);
}

static void replaced(void) {
    put("a", "old", 0604);
    eye_newfile *file = begun("a", 0);
    CHECK(holds("a", "old"));
    CHECK_INT(eye_newfile_commit(file), 0);
    eye_newfile_free(file);
    CHECK(holds("a", "new"));
    CHECK_INT(mode_of("a"), 0604);
    CHECK_INT(entries(), 1);
}

static void by_link(void) {
    put("real", "old", 0600);
    CHECK(symlinkat("real", dir_fd, "a") == 0);
    eye_newfile *file = begun("a", 0);
    CHECK_INT(eye_newfile_commit(file), 0);
    eye_newfile_free(file);
    CHECK(holds("real", "new"));
    struct stat st;
    CHECK(fstatat(dir_fd, "a", &st, AT_SYMLINK_NOFOLLOW) == 0 && S_ISLNK(st.st_mode));
    CHECK_INT(entries(), 2);
}

static void exclusive(void) {
    eye_newfile *file = begun("a", EYE_NEWFILE_EXCLUSIVE), *none = NULL;
    put("a", "other", 0600); /* in between */
    CHECK_INT(eye_newfile_commit(file), -EEXIST);
    eye_newfile_free(file);
    CHECK_INT(eye_newfile_open(dir_fd, "a", 0600, EYE_NEWFILE_EXCLUSIVE, &none), -EEXIST);
    CHECK(holds("a", "other"));
    file = begun("b", EYE_NEWFILE_EXCLUSIVE);
    CHECK_INT(eye_newfile_commit(file), 0);
    eye_newfile_free(file);
    CHECK(holds("b", "new"));
    CHECK_INT(entries(), 2);
}

static void refused(void) {
    eye_newfile *none = NULL;
    CHECK(mkdirat(dir_fd, "folder", 0700) == 0 && mkfifoat(dir_fd, "pipe", 0600) == 0);
    CHECK_INT(eye_newfile_open(dir_fd, "folder", 0600, 0, &none), -EISDIR);
    CHECK_INT(eye_newfile_open(dir_fd, "folder/", 0600, 0, &none), -EISDIR);
    CHECK_INT(eye_newfile_open(dir_fd, "pipe", 0600, 0, &none), -EMEDIUMTYPE);
    CHECK_INT(eye_newfile_open(dir_fd, "none/a", 0600, 0, &none), -ENOENT);
    CHECK_INT(eye_newfile_open(dir_fd, "pipe/a", 0600, 0, &none), -ENOTDIR);
    CHECK(none == NULL);
    CHECK_INT(entries(), 2);
}

static void broken_disk(void) {
    put("a", "old", 0600);
    eye_newfile *file = begun("a", 0);
    fsync_error = EIO;
    CHECK_INT(eye_newfile_commit(file), -EIO);
    fsync_error = 0;
    eye_newfile_free(file);
    CHECK(holds("a", "old"));
    CHECK_INT(entries(), 1);
}

static const struct {
    const char *name;
    void (*run)(void);
} rows[] = {
    {"a new name", new_name}, {"given up", given_up}, {"replaced", replaced},         {"by a link", by_link},
    {"exclusive", exclusive}, {"refused", refused},   {"a broken disk", broken_disk},
};

static void clear(void) {
    static const char *const names[] = {"a", "b", "real", "pipe", "folder"};
    for (size_t i = 0; i < ARRAY_LEN(names); i++)
        unlinkat(dir_fd, names[i], i == ARRAY_LEN(names) - 1 ? AT_REMOVEDIR : 0);
    if (!CHECK_INT(entries(), 0))
        exit(tap_done());
}

int main(void) {
    umask(026);
    strcpy(folder, "/tmp/sockeye-test-XXXXXX");
    if (!mkdtemp(folder) || (dir_fd = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC)) < 0)
        return 1;
    for (size_t i = 0; i < 2 * ARRAY_LEN(rows); i++) {
        no_proc = i % 2;
        tap_case("%s, %s", rows[i / 2].name, no_proc ? "a hidden file" : "a nameless file");
        rows[i / 2].run();
        clear();
    }
    close(dir_fd);
    rmdir(folder);
    return tap_done();
}
