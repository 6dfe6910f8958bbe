/* child.h: child processes for the tour: started with pipes, awaited by what they print, ended.
 *
 * Nothing is waited for longer than CHILD_WAIT_MS. A child gets SIGTERM when we end before it does
 * (prctl(2), PR_SET_PDEATHSIG), so that none is left behind. Its standard error goes where its standard
 * output goes. */
#ifndef CMD_CHILD_H
#define CMD_CHILD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#define CHILD_WAIT_MS  10000
#define CHILD_TEXT_MAX (16 * 1024) /* what is kept of each stream */
#define CHILD_ARGS_MAX 16
#define CHILD_PIPE     (-1)

/* What a child says: its output, or its events. */
struct child_text {
    int fd; /* or -1 once it has ended */
    size_t used;
    char data[CHILD_TEXT_MAX + 1];
};

struct child {
    pid_t pid;
    int pidfd;
    int in; /* or -1 */
    struct child_text out, events;
};

/* How to start one. "sockeye" as the program is the running binary itself. */
struct child_how {
    const char *argv[CHILD_ARGS_MAX]; /* ended by NULL */
    bool events;                      /* with --events to a pipe of ours */
    int in, out;                      /* descriptors, or CHILD_PIPE */
};

/* Returns 0 or -errno; -ENOENT where the program is not installed. */
int child_start(const struct child_how *how, struct child *ret_child);

/* Reads a stream until it holds the needle; false at its end, at the deadline or when interrupted. */
bool child_await(struct child_text *text, const char *needle);

bool child_send(struct child *child, const char *line);
void child_send_end(struct child *child);

/* Waits for its end, reading its output; returns the exit status as a shell sees it, or -ETIMEDOUT. */
int child_wait(struct child *child);

/* Ends it if it still runs, and releases it. */
void child_end(struct child *child);

/* Whether a program is in PATH. */
bool child_installed(const char *program);

/* SIGINT and SIGTERM interrupt what is awaited from now on; child_signal is the one that came, or 0. */
void child_interruptible(void);
int child_signal(void);

#endif
