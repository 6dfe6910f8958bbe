/* spawn.h: starting a command as a child process. */
#ifndef SOCKEYE_SPAWN_H
#define SOCKEYE_SPAWN_H

#include <sys/types.h>

/* What becomes of the child's standard input and output. */
struct spawn_io {
    int in, out;          /* descriptors of ours, or -1: then the terminal */
    const char *terminal; /* the path of a terminal, which becomes the controlling one of a new session */
};

/* Runs command by the shell, with signals as a program expects them: nothing blocked, all default, for an
 * ignored SIGPIPE would be inherited. Returns a pidfd (pidfd_open(2)) and the process's number, or -errno. */
int sys_spawn(const char *command, const struct spawn_io *io, pid_t *ret_pid);

/* The wait(2) status of an exited child, by its pidfd, which reaps it; -EAGAIN while it runs. */
int sys_reap(int pidfd, int *ret_status);

int sys_pidfd_kill(int pidfd, int signum);

#endif
