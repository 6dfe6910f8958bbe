/* output.h: exit statuses, error lines, and the end of standard output.
 *
 * An error's first line is complete: `sockeye: relay: tcp:host:80: connection refused`. What follows it
 * is indented: the likely cause, the name that was meant, or the text that was wrong with a caret under
 * the place. Whatever comes from outside is escaped (eye_escape) before it reaches a terminal. */
#ifndef CMD_OUTPUT_H
#define CMD_OUTPUT_H

#include <errno.h>
#include <stdio.h>

#include <sockeye/err.h>

/* The exit statuses; those that end a command by a signal are 128 and its number. */
enum {
    STATUS_OK = 0,
    STATUS_OTHER = 1,
    STATUS_USAGE = 2,
    STATUS_RESOLVE = 3,
    STATUS_CONNECT = 4,
    STATUS_HANDSHAKE = 5,
    STATUS_AUTHENTIC = 6,
    STATUS_TRUNCATED = 7,
    STATUS_UNAVAILABLE = 8,
    STATUS_DEADLINE = 124,
};

/* A kind of failure, its exit status, and what the help and the manual say of it. */
struct status_row {
    int status;
    const char *meaning;
};
const struct status_row *status_of(enum eye_fail fail);

/* Before anything is printed, and once a command is known: the name that lines begin with. */
void output_begin(void);
void output_name(const char *command);

/* Flushes standard output. What could not be written is a failure with its line, whatever status the
 * command had reached. Returns the exit status. */
int output_end(int status);

/* Reports an error and returns its exit status. */
int report(const struct eye_err *err);

/* The same with the text that was wrong and a caret under err->column, where it has one. */
int report_in(const struct eye_err *err, const char *text);

/* The same for a bare code: "WHAT: no such file or directory". */
int report_code(int code, const char *what);

/* A line on standard error: `sockeye: echo: ...`. What comes from outside must be escaped already. */
void notice(const char *fmt, ...) __attribute__((format(printf, 1, 2)));

#endif
