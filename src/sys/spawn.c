/* spawn.c: see spawn.h. */
#include "sys/spawn.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

extern char **environ;

/* Returns 0 or -ENOMEM. */
static int set_actions(posix_spawn_file_actions_t *actions, const struct spawn_io *io) {
    /* The first terminal that a session's leader opens becomes its controlling one. dup2 to another number
     * takes CLOEXEC off; both are above 2. */
    int r = io->terminal ? posix_spawn_file_actions_addopen(actions, STDIN_FILENO, io->terminal, O_RDWR, 0)
                         : posix_spawn_file_actions_adddup2(actions, io->in, STDIN_FILENO);
    int out = io->terminal ? STDIN_FILENO : io->out;
    return -(r ? r : posix_spawn_file_actions_adddup2(actions, out, STDOUT_FILENO));
}

static void set_signals(posix_spawnattr_t *attr) {
    sigset_t set;
    sigemptyset(&set);
    posix_spawnattr_setsigmask(attr, &set);
    sigfillset(&set);
    posix_spawnattr_setsigdefault(attr, &set);
}

int sys_spawn(const char *command, const struct spawn_io *io, pid_t *ret_pid) {
    posix_spawn_file_actions_t actions;
    posix_spawnattr_t attr;
    posix_spawn_file_actions_init(&actions);
    posix_spawnattr_init(&attr);
    int r = set_actions(&actions, io);
    set_signals(&attr);
    posix_spawnattr_setflags(&attr, (short)(POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF |
                                            (io->terminal ? POSIX_SPAWN_SETSID : 0)));
    char *argv[] = {"sh", "-c", (char *)command, NULL};
    pid_t pid = -1;
    if (r == 0)
        r = -posix_spawn(&pid, "/bin/sh", &actions, &attr, argv, environ);
    posix_spawn_file_actions_destroy(&actions);
    posix_spawnattr_destroy(&attr);
    if (r < 0)
        return r;
    int pidfd = (int)syscall(SYS_pidfd_open, pid, 0);
    if (pidfd < 0) {
        r = -errno;
        kill(pid, SIGKILL);
        waitpid(pid, NULL, 0);
        return r;
    }
    *ret_pid = pid;
    return pidfd;
}

int sys_reap(int pidfd, int *ret_status) {
    siginfo_t info = {0};
    int r;
    do
        r = waitid(P_PIDFD, (id_t)pidfd, &info, WEXITED | WNOHANG);
    while (r < 0 && errno == EINTR);
    if (r < 0)
        return -errno;
    if (info.si_pid == 0)
        return -EAGAIN;
    *ret_status = info.si_code == CLD_EXITED ? W_EXITCODE(info.si_status, 0) : W_EXITCODE(0, info.si_status);
    return 0;
}

int sys_pidfd_kill(int pidfd, int signum) {
    return syscall(SYS_pidfd_send_signal, pidfd, signum, NULL, 0) < 0 ? -errno : 0;
}
