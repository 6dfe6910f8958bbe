/* newfile.h: a file that appears under its name whole, or not at all.
 *
 * What is written goes to a file that has no name yet (O_TMPFILE, open(2)), so that whatever ends the
 * process leaves nothing behind; where the file system has no such files it is a hidden one beside the
 * target, `.NAME.sockeye-XXXXXX`. Committing makes it durable and gives it its name in one step. */
#ifndef SOCKEYE_NEWFILE_H
#define SOCKEYE_NEWFILE_H

#include <sys/types.h>

#include <sockeye/err.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct eye_newfile eye_newfile;

enum {
    EYE_NEWFILE_EXCLUSIVE = 1, /* refuse a name that is taken, at the start and when it is committed */
    EYE_NEWFILE_NO_SYNC = 2,   /* leave it to the system when it becomes durable: no fsync(2) */
};

/* Begins a file that is to be dir_fd/path (AT_FDCWD: as open(2) takes it). A symbolic link is followed to
 * the file it leads to, unless EXCLUSIVE; that file keeps its permission bits, a new one gets mode without
 * the umask's. The directory's descriptor is not needed any more afterwards. Errors: those of open(2) and
 * fstatat(2); -EEXIST for a name that is taken under EXCLUSIVE; -EISDIR; -EMEDIUMTYPE where the name is that
 * of a device, pipe or socket, which are written to and not replaced. */
EYE_API int eye_newfile_open(int dir_fd, const char *path, mode_t mode, unsigned flags,
                             eye_newfile **ret_file);

/* Where to write; of the file, not to be closed. */
EYE_API int eye_newfile_fd(const eye_newfile *file);

/* fsync(2), unless NO_SYNC, then the name. Returns 0, or what failed: the name is then what it was before. */
EYE_API int eye_newfile_commit(eye_newfile *file);

/* Gives it up, unless it was committed, and frees it. NULL is fine. Returns NULL. */
EYE_API eye_newfile *eye_newfile_free(eye_newfile *file);

#ifdef __cplusplus
}
#endif
#endif
