/* suite.h: one body of cases, run over every engine of the loop.
 *
 *     static void case_x(eye_loop *loop) { ... }
 *     static const struct suite_case cases[] = {{"what is promised", case_x}, ...};
 *     return suite_main(cases, ARRAY_LEN(cases), argc, argv);
 *
 * The rows of engines come from eye_engine_probe, so that a new one joins by itself; one that cannot run
 * here is skipped by name with the reason. Each case runs in a process of its own, which makes a crash, a
 * hang or a leak the failure of that case alone, and lets it change limits, signals and namespaces. After
 * each the loop must have nothing pending, and every descriptor must be closed again. An argument runs
 * only the cases that have it in their name, "io_uring: " for instance.
 *
 * Nothing sleeps: a case submits operations and runs the loop until what it awaits has come, or fails when
 * SUITE_LIMIT_NS have passed. */
#ifndef SUITE_H
#define SUITE_H

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/wait.h>

#include <sockeye/flow.h>

#include "base/base.h"
#include "loop/backend.h"
#include "net/net.h"
#include "sys/sys.h"
#include "tap.h"

#define SUITE_LIMIT_NS (20 * NS_PER_S)

struct suite_case {
    const char *name;
    void (*run)(eye_loop *loop);
};

static struct {
    eye_loop *loop;
    const char *engine;
    int submitting; /* a call that submits is on the stack */
    unsigned dones;
    int skip_fd; /* where a case says why it cannot run here */
} suite;

/* Ends this case: it cannot run here, for that reason. */
__attribute__((format(printf, 1, 2), noreturn)) static inline void suite_skip(const char *fmt, ...) {
    va_list args;
    va_start(args, fmt);
    vdprintf(suite.skip_fd, fmt, args);
    va_end(args);
    _exit(0);
}

/* ---- operations that are awaited ---- */

/* An operation that notes how it went. */
struct got {
    eye_op op;
    unsigned count; /* how often it was done */
    unsigned order; /* of all that were done, from 1 */
    int64_t result;
    void (*then)(struct got *got); /* runs in done, or NULL */
};

static inline void got_done(eye_op *op, int64_t result) {
    struct got *got = eye_container_of(op, struct got, op);
    CHECK(suite.submitting == 0);
    CHECK(!eye_op_pending(op));
    got->count++;
    got->order = ++suite.dones;
    got->result = result;
    eye_loop_stop(suite.loop);
    if (got->then)
        got->then(got);
}

/* A call that submits: done must not run inside. */
#define SUBMIT(call)                                                                                         \
    do {                                                                                                     \
        suite.submitting++;                                                                                  \
        call;                                                                                                \
        suite.submitting--;                                                                                  \
    } while (0)

/* Runs the loop until the condition holds; gives whether it does. */
#define UNTIL(condition)                                                                                     \
    ({                                                                                                       \
        int64_t limit_ns = sys_now() + SUITE_LIMIT_NS;                                                       \
        bool holds;                                                                                          \
        while (!(holds = (condition)) && sys_now() < limit_ns &&                                             \
               eye_loop_run(suite.loop, 5 * NS_PER_MS) >= 0)                                                 \
            ;                                                                                                \
        tap_check(holds, __FILE__, __LINE__, "%s", #condition);                                              \
    })

#define AWAIT(got)              UNTIL((got).count > 0)
#define AWAIT_INT(got, want)    (void)(AWAIT(got) && CHECK_INT((got).result, want) && CHECK_INT((got).count, 1))
#define IS_DONE_ONCE(got, want) (void)(CHECK_INT((got).count, 1) && CHECK_INT((got).result, want))

/* A few turns: what can be done by then is done, nothing is waited for. */
static inline void suite_turns(int turns) {
    for (int i = 0; i < turns; i++)
        eye_loop_run(suite.loop, 0);
}

/* ---- descriptors and streams ---- */

enum { FLAGS_TCP = SLOT_SOCKET | SLOT_TCP | SLOT_SPLICE, FLAGS_UNIX = SLOT_SOCKET | SLOT_SPLICE };
enum { FLAGS_MESSAGES = SLOT_SOCKET | SLOT_MESSAGES };
enum { FLAGS_PIPE = SLOT_PIPE | SLOT_SPLICE };

/* The two ends of a Unix socket, or of a TCP connection over loopback; non-blocking. */
void suite_socketpair(int type, int ret_fd[2]);
void suite_tcp_pair(int ret_fd[2]);
void suite_pipe(int ret_fd[2]);
/* A TCP socket of 127.0.0.1 that listens, and its address. */
int suite_tcp_listener(int backlog, struct eye_addr *ret_addr);
/* Connects to an address, blocking; the socket is non-blocking afterwards. */
int suite_connect(const struct eye_addr *addr);
void suite_reset(int fd);

/* A stream over a descriptor, which it owns from then on. */
eye_stream *suite_stream(eye_loop *loop, int fd, unsigned slot_flags);
/* The same over two, to read from and to write to. */
eye_stream *suite_stream_two(eye_loop *loop, int in, unsigned in_flags, int out, unsigned out_flags);

static inline void suite_close(eye_stream *stream) {
    struct got closed = {0};
    SUBMIT(eye_close(stream, &closed.op, got_done));
    AWAIT_INT(closed, 0);
}

/* Sends or receives all of it on a plain descriptor while the loop runs; the bytes moved. */
size_t suite_write(eye_loop *loop, int fd, const void *data, size_t size);
size_t suite_read(eye_loop *loop, int fd, void *buf, size_t size);

/* What a receive on a plain descriptor gives next, while the loop runs: bytes, 0 at the end, or -errno. */
int64_t suite_next(eye_loop *loop, int fd, void *buf, size_t size);
#define CHECK_END(fd)                                                                                        \
    ({                                                                                                       \
        char end_buf[1];                                                                                     \
        CHECK_INT(suite_next(suite.loop, fd, end_buf, 1), 0);                                                \
    })

/* Bytes that tell where they stand. */
uint8_t *suite_pattern(size_t size);

int suite_count_fds(void);
/* A new directory; suite_remove removes it with all that is in it. */
void suite_tempdir(char ret_path[64]);
void suite_remove(const char *path);

static inline struct eye_endpoint suite_endpoint(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
static inline struct eye_endpoint suite_endpoint(const char *fmt, ...) {
    char text[512];
    va_list args;
    va_start(args, fmt);
    vsnprintf(text, sizeof text, fmt, args);
    va_end(args);
    struct eye_endpoint endpoint = {0};
    struct eye_err err = {0};
    if (!CHECK(eye_endpoint_parse(text, &endpoint, &err) == 0))
        exit(1);
    return endpoint;
}

/* ---- what an observer saw ---- */

struct seen {
    unsigned count[EYE_EVENT_MAX];
    struct eye_addr address; /* where it listens */
    enum eye_reason reason;  /* of the last that closed, and so on */
    int error;
    uint64_t bytes[2];
    char path[2][8];
    unsigned ends; /* bits: 1 << enum eye_side */
    struct eye_observer observer;
};

void seen_event(void *user, const struct eye_event *event);

static inline struct seen *seen_new(void) {
    struct seen *seen = calloc(1, sizeof *seen);
    seen->observer = (struct eye_observer){.event = seen_event, .user = seen};
    return seen;
}

/* ---- running them ---- */

static inline void suite_child(const struct suite_case *c) {
    alarm(60);
    int fds = suite_count_fds();
    struct eye_loop_opts opts = {.engine = suite.engine};
    if (CHECK(eye_loop_new(&opts, &suite.loop, NULL) == 0)) {
        c->run(suite.loop);
        suite_turns(2);
        if (CHECK_INT(eye_loop_run(suite.loop, 0), 0))
            eye_loop_free(suite.loop);
        CHECK_INT(suite_count_fds(), fds);
    }
    exit(tap.failed);
}

static inline void suite_run(const struct suite_case *c) {
    int pipe_fd[2];
    if (pipe2(pipe_fd, O_CLOEXEC) < 0)
        abort();
    fflush(NULL);
    pid_t pid = fork();
    if (pid == 0) {
        close(pipe_fd[0]);
        suite.skip_fd = pipe_fd[1];
        suite_child(c);
    }
    close(pipe_fd[1]);
    char why[128];
    ssize_t n = read(pipe_fd[0], why, sizeof why - 1);
    close(pipe_fd[0]);
    int status = 0;
    waitpid(pid, &status, 0);
    if (n > 0)
        tap_skip("%.*s", (int)n, why);
    if (WIFSIGNALED(status))
        tap_check(false, __FILE__, __LINE__, "%s: %s", tap.name,
                  WTERMSIG(status) == SIGALRM ? "does not end" : strsignal(WTERMSIG(status)));
    else
        tap_check(WEXITSTATUS(status) == 0, __FILE__, __LINE__, "%s: exit status %d", tap.name,
                  WEXITSTATUS(status));
}

static inline int suite_main(const struct suite_case *cases, size_t count, int argc, char **argv) {
    int r;
    struct eye_err err;
    for (size_t i = 0; (r = eye_engine_probe(i, &suite.engine, &err)) != -ENOENT; i++) {
        if (strcmp(suite.engine, "thread") == 0)
            continue; /* its loops are poll's */
        if (r < 0) {
            tap_case("%s", suite.engine);
            tap_skip("%s", err.text);
            continue;
        }
        /* The backend's code is real, the kernel's side of it the fake in fake_kqueue/. */
        const char *fake = strcmp(suite.engine, "kqueue") == 0 ? " (fake)" : "";
        for (size_t c = 0; c < count; c++) {
            char name[256];
            snprintf(name, sizeof name, "%s%s: %s", suite.engine, fake, cases[c].name);
            if (argc > 1 && !strstr(name, argv[1]))
                continue;
            tap_case("%s", name);
            suite_run(&cases[c]);
        }
    }
    return tap_done();
}

#endif
