#include "child.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/pidfd.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static volatile sig_atomic_t interrupted;

static void on_signal(int signum) {
    interrupted = signum;
}

void child_interruptible(void) {
    struct sigaction action = {.sa_handler = on_signal};
    sigaction(SIGINT, &action, NULL);
    sigaction(SIGTERM, &action, NULL);
}

int child_signal(void) {
    return interrupted;
}

bool child_installed(const char *program) {
    const char *path = getenv("PATH");
    char name[4096];
    for (size_t n; path && *path; path += n + (path[n] == ':')) {
        n = strcspn(path, ":");
        snprintf(name, sizeof name, "%.*s/%s", (int)n, path, program);
        if (access(name, X_OK) == 0)
            return true;
    }
    return false;
}

/* ---- starting ---- */

struct pipes {
    int in[2], out[2], events[2];
};

static void close_pair(int pair[2]) {
    for (int i = 0; i < 2; i++) {
        if (pair[i] >= 0)
            close(pair[i]);
    }
}

static void close_pipes(struct pipes *p) {
    close_pair(p->in);
    close_pair(p->out);
    close_pair(p->events);
}

static int open_pipes(const struct child_how *how, struct pipes *p) {
    *p = (struct pipes){{-1, -1}, {-1, -1}, {-1, -1}};
    if ((how->in == CHILD_PIPE && pipe2(p->in, O_CLOEXEC) < 0) ||
        (how->out == CHILD_PIPE && pipe2(p->out, O_CLOEXEC) < 0) ||
        (how->events && pipe2(p->events, O_CLOEXEC) < 0)) {
        int error = errno;
        close_pipes(p);
        return -error;
    }
    return 0;
}

/* In the child: never returns. */
__attribute__((noreturn)) static void become(const struct child_how *how, const struct pipes *p) {
    const char *argv[CHILD_ARGS_MAX + 3];
    char number[16];
    sigset_t none;
    size_t count = 0;

    prctl(PR_SET_PDEATHSIG, SIGTERM);
    signal(SIGPIPE, SIG_DFL);
    signal(SIGINT, SIG_DFL);
    signal(SIGTERM, SIG_DFL);
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, NULL);
    dup2(how->in == CHILD_PIPE ? p->in[0] : how->in, STDIN_FILENO);
    dup2(how->out == CHILD_PIPE ? p->out[1] : how->out, STDOUT_FILENO);
    if (how->out == CHILD_PIPE)
        dup2(p->out[1], STDERR_FILENO);
    for (; how->argv[count]; count++)
        argv[count] = how->argv[count];
    if (how->events) {
        fcntl(p->events[1], F_SETFD, 0);
        snprintf(number, sizeof number, "%d", p->events[1]);
        argv[count++] = "--events";
        argv[count++] = number;
    }
    argv[count] = NULL;
    if (strcmp(argv[0], "sockeye") == 0)
        execv("/proc/self/exe", (char *const *)argv);
    else
        execvp(argv[0], (char *const *)argv);
    _exit(127);
}

int child_start(const struct child_how *how, struct child *ret_child) {
    struct pipes p;
    int r;

    if (strcmp(how->argv[0], "sockeye") != 0 && !child_installed(how->argv[0]))
        return -ENOENT;
    r = open_pipes(how, &p);
    if (r < 0)
        return r;
    pid_t pid = fork();
    if (pid < 0) {
        r = -errno;
        close_pipes(&p);
        return r;
    }
    if (pid == 0)
        become(how, &p);
    *ret_child =
        (struct child){.pid = pid, .in = p.in[1], .out = {.fd = p.out[0]}, .events = {.fd = p.events[0]}};
    ret_child->pidfd = pidfd_open(pid, 0);
    p.in[1] = p.out[0] = p.events[0] = -1;
    close_pipes(&p);
    return 0;
}

/* ---- waiting ---- */

static int64_t now_ms(void) {
    struct timespec ts;
    clock_gettime(CLOCK_MONOTONIC, &ts);
    return ts.tv_sec * INT64_C(1000) + ts.tv_nsec / 1000000;
}

/* Waits until fd is readable: false at the deadline or when interrupted. */
static bool readable(int fd, int64_t deadline_ms) {
    while (!interrupted) {
        struct pollfd p = {.fd = fd, .events = POLLIN};
        int64_t left = deadline_ms - now_ms();
        int n = left > 0 ? poll(&p, 1, (int)left) : 0;
        if (n >= 0 || errno != EINTR)
            return n > 0;
    }
    return false;
}

/* Reads once what is there; what is past the limit is read and left out. False at the end. */
static bool text_read(struct child_text *text) {
    char piece[4096];
    ssize_t n = read(text->fd, piece, sizeof piece);
    if (n <= 0) {
        close(text->fd);
        text->fd = -1;
        return false;
    }
    size_t room = CHILD_TEXT_MAX - text->used, kept = (size_t)n < room ? (size_t)n : room;
    memcpy(text->data + text->used, piece, kept);
    text->used += kept;
    text->data[text->used] = '\0';
    return true;
}

bool child_await(struct child_text *text, const char *needle) {
    int64_t deadline_ms = now_ms() + CHILD_WAIT_MS;
    while (!strstr(text->data, needle)) {
        if (text->fd < 0 || !readable(text->fd, deadline_ms) || !text_read(text))
            return false;
    }
    return true;
}

bool child_send(struct child *child, const char *line) {
    size_t size = strlen(line);
    return write(child->in, line, size) == (ssize_t)size;
}

void child_send_end(struct child *child) {
    if (child->in >= 0)
        close(child->in);
    child->in = -1;
}

static int reap(struct child *child) {
    int status = 0;
    while (waitpid(child->pid, &status, 0) < 0 && errno == EINTR)
        continue;
    child->pid = -1;
    return WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
}

int child_wait(struct child *child) {
    int64_t deadline_ms = now_ms() + CHILD_WAIT_MS;
    while (child->out.fd >= 0 && readable(child->out.fd, deadline_ms))
        text_read(&child->out);
    if (child->out.fd >= 0 || !readable(child->pidfd, deadline_ms))
        return -ETIMEDOUT;
    return reap(child);
}

void child_end(struct child *child) {
    child_send_end(child);
    if (child->pid > 0) {
        kill(child->pid, SIGKILL);
        reap(child);
    }
    if (child->out.fd >= 0)
        close(child->out.fd);
    if (child->events.fd >= 0)
        close(child->events.fd);
    if (child->pidfd >= 0)
        close(child->pidfd);
}
