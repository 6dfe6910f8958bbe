/* inout.h: `[IN [OUT]]` of the commands that turn one file into another. OUT appears whole or not at all;
 * what goes to a pipe can be held back until all of it is known to be right. */
#ifndef CMD_INOUT_H
#define CMD_INOUT_H

#include <sys/types.h>

#include <sockeye/newfile.h>

#include "commands.h"
#include "progress.h"

struct inout {
    const char *in_name, *out_name; /* for errors */
    int in, out;                    /* out: where to write */
    uint64_t in_bytes;              /* of a regular file; else 0 */
    eye_newfile *file;              /* gets its name at the end */
    int held_for;                   /* the descriptor that gets at the end what is held back in out; or -1 */
    struct progress progress;
};

enum {
    INOUT_HOLD = 1,    /* what goes to a pipe is held back */
    INOUT_NO_SYNC = 2, /* the output is not written out to the disk before it gets its name */
    INOUT_QUIET = 4,
};

/* Each may be left out, or "-", for standard input and output. Reports its errors; returns the exit status.
 */
int inout_open(struct inout *inout, const char *in, const char *out, unsigned flags);

/* The library's progress, with the inout as user. */
void inout_progress(void *user, int64_t bytes);

/* With a status of 0 gives the output its name, or lets go what was held back; else nothing is left. Returns
 * the exit status. */
int inout_close(struct inout *inout, int status);

/* An error of the library's, said of the input or output by its name. Returns the exit status. */
int inout_report(struct inout *inout, const struct eye_err *err);

#endif
