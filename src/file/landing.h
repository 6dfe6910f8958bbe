/* landing.h: where a file that comes from elsewhere lands: beneath a folder, whole or not at all, resumable.
 *
 * It is written under a private name beside the final one, `.NAME.sockeye-part` (a hash in the place of a
 * NAME too long for that), mode 0600, locked (flock(2)) against a second receiver. What stands there from a
 * transfer that was cut is gone on with, once the sender has confirmed its digest. It is a name and no file
 * without one (newfile.h), because what came has to be there when both sides have ended. A part that is not
 * ours alone (owner, mode, links) is thrown away. */
#ifndef SOCKEYE_LANDING_H
#define SOCKEYE_LANDING_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <time.h>

#define LANDING_WHY_BYTES 96

struct landing {
    int folder_fd, fd; /* owned */
    char *name;        /* in folder_fd; owned */
    char part[256];    /* likewise */
    bool overwrite;
    int64_t held_bytes; /* what the part held when it was opened: whole blocks of the digest */
    int64_t at;         /* where the next byte goes */
};

/* Opens the place of a file, name relative to root_fd. Where keep is not set, what a part holds is thrown
 * away. Errors: -EINVAL for a name that is refused; -EEXIST for one that is there already, unless overwrite
 * and a regular file; -EBUSY for one that another is receiving; -ELOOP; as openat(2). why is then the reason,
 * without the name and nothing of it in it: it goes to the other side as it is. */
int landing_open(int root_fd, const char *name, bool overwrite, bool keep, struct landing *ret_landing,
                 char why[LANDING_WHY_BYTES]);

/* Goes on from offset, which is at most held_bytes. */
int landing_seek(struct landing *landing, int64_t offset);
int landing_write(struct landing *landing, const void *data, size_t size);
int landing_hole(struct landing *landing, int64_t size);

/* Gives the file its bits (no setuid, setgid, sticky), its time and its name. Making it durable before is the
 * caller's. Errors: -EEXIST where the name was taken meanwhile; as rename(2). */
int landing_place(struct landing *landing, unsigned mode, const struct timespec *mtime);

/* Closes; what is not placed is removed, or kept to be resumed. */
void landing_done(struct landing *landing, bool keep);

/* A folder: made where it is not there, with its bits (as the umask allows, and what we need to fill it), so
 * that those of a transfer that is cut can be looked into; finished when all in it is. Returns 1 where it was
 * made: only that one is to be finished, or a sender could open up folders that were there before. Errors: as
 * above; -ENOTDIR for a name that is something else. */
int landing_folder(int root_fd, const char *name, unsigned mode, char why[LANDING_WHY_BYTES]);
int landing_folder_end(int root_fd, const char *name, unsigned mode, const struct timespec *mtime,
                       char why[LANDING_WHY_BYTES]);

#endif
