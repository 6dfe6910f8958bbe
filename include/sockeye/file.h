/* file.h: copying files inside the kernel, whole or not at all. Plain blocking code that needs no loop. */
#ifndef SOCKEYE_FILE_H
#define SOCKEYE_FILE_H

#include <stdbool.h>

#include <sockeye/err.h>

#ifdef __cplusplus
extern "C" {
#endif

/* How bytes can be copied, the cheapest first. What one step does not take, the next takes up at the same
 * offset. */
enum eye_copy_step {
    EYE_COPY_REFLINK,  /* the two files share their blocks: FICLONE, ioctl_ficlone(2) */
    EYE_COPY_RANGE,    /* copy_file_range(2) */
    EYE_COPY_SENDFILE, /* sendfile(2) */
    EYE_COPY_READ,     /* read(2) and write(2) */
    EYE_COPY_STEP_MAX
};

/* "reflink", "copy_file_range", "sendfile", "read and write". */
EYE_API const char *eye_copy_step_name(enum eye_copy_step step);

/* What was copied, of one file or of several. */
struct eye_copy_stats {
    uint64_t files;                    /* that stand under their names */
    uint64_t bytes[EYE_COPY_STEP_MAX]; /* that each step carried; for a reflink, the file's size */
    uint64_t hole_bytes;               /* that were holes and are holes again */
    uint64_t changed;                  /* files whose size or time changed while they were read */
};

struct eye_copy_opts {
    bool no_sync; /* leave it to the system when the bytes become durable: no fsync(2) */

    /* How far the present file is, of how many bytes (0 where that is not known): called a few times a
     * second at least while bytes move. False stops: -ECANCELED. NULL: nobody asks. */
    bool (*progress)(void *user, const char *path, uint64_t done_bytes, uint64_t total_bytes);
    /* eye_copy_tree: one entry could not be copied; the others are. NULL: nobody asks. */
    void (*failed)(void *user, const struct eye_err *err);
    void *user;
};

/* Copies all that is to be read from one descriptor to the other, from where it stands to its end, whatever
 * a file's size was said to be (proc(5) says 0); a regular file from its beginning with its holes (SEEK_HOLE,
 * lseek(2)) where `to` is an empty one. Adds to *stats. opts may be NULL. Returns the bytes copied, holes
 * included, or what failed. Errors: as read(2), write(2); -ECANCELED. */
EYE_API int64_t eye_copy_fd(int from, int to, const struct eye_copy_opts *opts, struct eye_copy_stats *stats);

/* Copies a file. `to` is then the new file, whole, with the permission bits (not setuid, setgid, sticky) and
 * the times of `from`; or what it was before, whatever happens (see newfile.h). Where `to` is a directory, it
 * is to/NAME. A device, a pipe or a socket as `to` is written to. Adds to *stats. Errors: as open(2),
 * read(2), write(2); -EISDIR for a directory as `from`; -EINVAL for the same file twice; -EIO where not all
 * bytes arrived. */
EYE_API int eye_copy_file(const char *from, const char *to, const struct eye_copy_opts *opts,
                          struct eye_copy_stats *stats, struct eye_err *reterr);

/* The same for a directory and all that is in it; each file is whole or not at all. Where `to` is a
 * directory, it is to/NAME; what is there already and is not in `from` stays. Symbolic links are copied as
 * links. Devices, pipes and sockets are not copied and count as failures. Returns 0, or the code of the
 * first failure; -EINVAL, with nothing written, where `to` is `from` or in it. */
EYE_API int eye_copy_tree(const char *from, const char *to, const struct eye_copy_opts *opts,
                          struct eye_copy_stats *stats, struct eye_err *reterr);

#ifdef __cplusplus
}
#endif
#endif
