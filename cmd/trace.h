/* trace.h: `--trace`: what passes through a join, as a hex dump.
 *
 * Each piece has a line of its own, then its bytes as hexdump -C shows them, at their places in their
 * direction's stream:
 *
 *     > 2026-11-24T06:00:00.000000Z  connection 1, from the first end, 12 bytes
 *     00000000  48 65 6c 6c 6f 20 57 6f  72 6c 64 0a              |Hello World.|
 *
 * '>' is from the first end to the second, '<' the other way. A reader of the dump that is slow makes the
 * join slow: nothing is left out. What cannot be written is told once, and is a failure at the end. */
#ifndef CMD_TRACE_H
#define CMD_TRACE_H

#include <stdio.h>

#include <sockeye/flow.h>

struct trace {
    struct eye_tracer tracer; /* for the library */
    const char *name;         /* of the file */
    FILE *file;
    bool failed;
};

/* Opens the file; name may be NULL, for no trace, or "" for standard error. Reports its errors; returns the
 * exit status. trace must stay where it is. */
int trace_open(struct trace *trace, const char *name);

/* Returns status, or a failure where not all could be written. */
int trace_close(struct trace *trace, int status);

#endif
