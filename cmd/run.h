/* run.h: what every command on a loop shares: the engine, the events, and the orderly end.
 *
 * The first SIGINT or SIGTERM asks the command to stop: it accepts nobody any more and gives its peers
 * --grace. A second one ends at once. After the orderly end the signal is raised again with its default
 * action, so that a shell and systemd see what ended us (signal(7)). */
#ifndef CMD_RUN_H
#define CMD_RUN_H

#include "events.h"

struct run {
    eye_loop *loop;
    struct events events;
    int64_t grace_ns;
    void (*stop)(struct run *run, int64_t grace_ns);
    eye_op signals[2];
    int signum;       /* the signal that asked for the end, or 0 */
    int signals_code; /* why signals cannot be waited for, or 0 */
};

/* Makes the loop and opens the events. stop is called when a signal asks for the end; the command calls
 * run_ended once it has stopped, then or by itself. Reports its errors; returns the exit status. */
int run_open(struct run *run, const struct common *common, void (*stop)(struct run *run, int64_t grace_ns));

/* Runs until run_ended. Where the engine fails, nothing that stands on it can end in good order: then it
 * says so and the process ends. */
void run_loop(struct run *run);
void run_ended(struct run *run);

/* Closes everything; does not return if a signal asked for the end. Returns status. */
int run_close(struct run *run, int status);

/* Ends the process by a signal's default action, once all is in order. */
void run_end_by(int signum);

/* Tells a name that does not exist, which is wrong usage, from an engine that cannot be had. */
int run_engine_check(const char *engine, struct eye_err *reterr);

/* Reads an endpoint, or reports why not and returns the exit status. */
int run_endpoint(const char *text, struct eye_endpoint *ret_endpoint);

#endif
