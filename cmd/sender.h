/* sender.h: `connect --send TEXT`: sends a text, once or again and again, in the place of standard input.
 *
 * In the text `{time}` is the Unix time with two decimals and `{n}` how many times it has been sent, this
 * time included; `\n`, `\r`, `\t`, `\\` and `\xHH` are the bytes that they are in C. Any other `{` or `\` is
 * wrong usage, so that a text that means something else is not sent by mistake; `\x7b` is a brace. */
#ifndef CMD_SENDER_H
#define CMD_SENDER_H

#include "options.h"

struct sender {
    const char *to; /* an endpoint's text */
    const char *text;
    int64_t every_ns; /* from one to the next, or 0 */
    int64_t count;    /* how many times, or 0: once, or with every_ns for ever */
};

/* Runs until it has ended. Reports its errors; returns the exit status. */
int sender_run(const struct common *common, const struct sender *how);

#endif
