/* progress.h: how far a transfer is, on a terminal only: one line that is written over. */
#ifndef CMD_PROGRESS_H
#define CMD_PROGRESS_H

#include <stdbool.h>
#include <stdint.h>

struct progress {
    bool wanted, shown;
    int64_t started_ns, printed_ns;
    uint64_t started_bytes, last_bytes; /* where it was at the beginning: what was there already */
};

/* Not wanted where standard error is no terminal, or quiet. */
void progress_begin(struct progress *progress, bool quiet);

/* So many bytes of so many (0: nobody knows) have been moved; name is what is being moved, or NULL. At most
 * five times a second anything is printed. Time and rate count from the first call on, and anew where it is
 * fewer bytes than before: of the next file. */
void progress_at(struct progress *progress, const char *name, uint64_t done_bytes, uint64_t total_bytes);

/* Another file: time and rate are measured anew from here. */
void progress_next(struct progress *progress, uint64_t done_bytes);

/* Clears the line, before anything else is printed. */
void progress_clear(struct progress *progress);

/* "1.5 GB", as people read it. Returns buf, of at least 16 bytes. */
const char *progress_bytes(uint64_t bytes, char *buf);

#endif
