/* test_stream_commands.c: commands as endpoints, by socketpair, pipes and terminal: what reaches them and
 * what they find, how they end, and that each is reaped. */
#include <sys/resource.h>

#include "suite.h"

#define BIG_BYTES ((size_t)1 << 20) /* more than a socket, a pipe or a terminal holds */

static const char *const kinds[] = {"exec", "exec,pipes", "exec,pty"};
#define EACH_KIND(kind) for (const char *const *kind = kinds; kind < kinds + ARRAY_LEN(kinds); kind++)

/* Starts a command. */
static eye_stream *run(eye_loop *loop, const char *kind, const char *command) {
    struct eye_endpoint e = suite_endpoint("%s:%s", kind, command);
    struct eye_dialled dialled;
    struct got got = {0};
    SUBMIT(eye_dial(loop, &got.op, &e, &dialled, got_done));
    AWAIT_INT(got, 0);
    eye_endpoint_done(&e);
    return dialled.stream;
}

static void send_text(eye_stream *s, const char *text) {
    struct got got = {0};
    SUBMIT(eye_send(s, &got.op, text, strlen(text), got_done));
    AWAIT_INT(got, strlen(text));
}

static void finish(eye_stream *s) {
    struct got got = {0};
    SUBMIT(eye_finish(s, &got.op, got_done));
    AWAIT_INT(got, 0);
}

/* Receives to the end of the stream, or until buf is full; a string. */
static size_t receive(eye_stream *s, char *buf, size_t size) {
    size_t used = 0;
    while (used + 1 < size) {
        struct got got = {0};
        SUBMIT(eye_recv(s, &got.op, buf + used, size - 1 - used, got_done));
        AWAIT(got);
        CHECK(got.result >= 0);
        if (got.result <= 0)
            break;
        used += (size_t)got.result;
    }
    buf[used] = '\0';
    return used;
}

static void receive_line(eye_stream *s, const char *want) {
    char buf[64];
    receive(s, buf, strlen(want) + 1);
    CHECK_STR(buf, want);
}

/* Takes the child, waits for it, and closes the stream. */
static int status_of(eye_stream *s) {
    eye_child *child = eye_stream_take_child(s);
    struct got got = {0};
    CHECK(child && eye_child_pid(child) > 0);
    CHECK(!eye_stream_take_child(s));
    SUBMIT(eye_child_wait(child, &got.op, got_done));
    AWAIT(got);
    suite_close(s);
    CHECK_INT(eye_child_kill(child, SIGTERM), -ESRCH);
    CHECK(!eye_child_free(child));
    return (int)got.result;
}

/* No child of this process is left, running or not. */
static void check_reaped(eye_loop *loop) {
    UNTIL(eye_loop_run(loop, 0) == 0);
    CHECK(waitpid(-1, NULL, WNOHANG) == -1 && errno == ECHILD);
}

/* ---- what passes ---- */

static void dialogue(eye_loop *loop) {
    EACH_KIND(kind) {
        eye_stream *s = run(loop, *kind, "cat");
        send_text(s, "hello\n");
        receive_line(s, "hello\n");
        send_text(s, "again\n");
        finish(s);
        char rest[32];
        receive(s, rest, sizeof rest);
        CHECK_STR(rest, "again\n");
        CHECK_INT(status_of(s), 0);
    }
}

static void late_answer(eye_loop *loop) {
    EACH_KIND(kind) {
        eye_stream *s = run(loop, *kind, "cat > /dev/null; echo late");
        send_text(s, "question\n");
        finish(s);
        char rest[32];
        receive(s, rest, sizeof rest);
        CHECK_STR(rest, "late\n");
        CHECK_INT(status_of(s), 0);
    }
}

static void a_lot(eye_loop *loop) {
    uint8_t *data = suite_pattern(BIG_BYTES);
    char *came = malloc(BIG_BYTES + 2);
    for (int i = 0; i < 2; i++) { /* a terminal has its limits for lines, and no wish for all bytes */
        eye_stream *s = run(loop, kinds[i], "cat");
        struct got sent = {0}, finished = {0};
        SUBMIT(eye_send(s, &sent.op, data, BIG_BYTES, got_done));
        SUBMIT(eye_finish(s, &finished.op, got_done));
        CHECK_INT(receive(s, came, BIG_BYTES + 2), BIG_BYTES);
        CHECK(memcmp(came, data, BIG_BYTES) == 0);
        AWAIT_INT(sent, BIG_BYTES);
        AWAIT_INT(finished, 0);
        CHECK_INT(status_of(s), 0);
    }
    free(data);
    free(came);
}

/* Its output is whole and ends; what it does not take is a broken pipe, and no reset. */
static void input_left_unread(eye_loop *loop) {
    char *lines = malloc(BIG_BYTES);
    for (size_t i = 0; i < BIG_BYTES; i++)
        lines[i] = i % 4 == 3 ? '\n' : 'x';
    EACH_KIND(kind) {
        eye_stream *s = run(loop, *kind, "read line; echo \"$line\"; exit 4");
        struct got sent = {0};
        char out[32];
        SUBMIT(eye_send(s, &sent.op, lines, BIG_BYTES, got_done));
        receive(s, out, sizeof out);
        CHECK_STR(out, "xxx\n");
        AWAIT(sent);
        CHECK_INT(sent.result, -EPIPE);
        CHECK_INT(status_of(s), W_EXITCODE(4, 0));
    }
    free(lines);
}

static void opens_its_input_by_name(eye_loop *loop) {
    eye_stream *s = run(loop, "exec,pipes", "cat /dev/stdin > /dev/stdout");
    send_text(s, "by name");
    finish(s);
    char out[32];
    receive(s, out, sizeof out);
    CHECK_STR(out, "by name");
    CHECK_INT(status_of(s), 0);
}

static void has_a_terminal(eye_loop *loop) {
    static const char command[] = "test -t 0 && test -t 1 && : < /dev/tty && echo yes";
    eye_stream *s = run(loop, "exec,pty", command);
    receive_line(s, "yes\n");
    CHECK_INT(status_of(s), 0);
    s = run(loop, "exec", command);
    CHECK_INT(status_of(s), W_EXITCODE(1, 0));
}

/* ---- what it inherits ---- */

static void signals_are_default(eye_loop *loop) {
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, SIGUSR1);
    sigprocmask(SIG_BLOCK, &set, NULL);
    signal(SIGUSR2, SIG_IGN);
    EACH_KIND(kind) {
        eye_stream *s = run(loop, *kind, "exec sed -n 's/^Sig\\(Blk\\|Ign\\):.//p' /proc/self/status");
        char out[128], *ignored;
        receive(s, out, sizeof out);
        CHECK_INT(strtoull(out, &ignored, 16), 0);
        /* The C library keeps two for its threads, which it ignores in what it spawns. */
        CHECK_INT(strtoull(ignored, NULL, 16) & ~UINT64_C(0x180000000), 0);
        CHECK_INT(status_of(s), 0);
    }
}

static void descriptors_are_not_inherited(eye_loop *loop) {
    size_t ours = 0;
    for (int fd = 3; fd < 1024; fd++)
        ours += fcntl(fd, F_GETFD) == 0;
    EACH_KIND(kind) {
        eye_stream *s = run(loop, *kind, "ls /proc/self/fd | wc -l");
        char out[32], want[32];
        receive(s, out, sizeof out);
        snprintf(want, sizeof want, "%zu\n", 3 + 1 + ours); /* and the folder that it reads */
        CHECK_STR(out, want);
        CHECK_INT(status_of(s), 0);
    }
}

/* ---- how it ends ---- */

static void exit_status(eye_loop *loop) {
    static const struct {
        const char *command;
        int status;
    } rows[] = {
        {"true", 0},
        {"exit 3", W_EXITCODE(3, 0)},
        {"exec /no/such/program 2> /dev/null", W_EXITCODE(127, 0)},
        {"kill -9 $$", W_EXITCODE(0, SIGKILL)},
        {"kill -15 $$", W_EXITCODE(0, SIGTERM)},
    };
    EACH_KIND(kind)
    for (size_t i = 0; i < ARRAY_LEN(rows); i++)
        CHECK_INT(status_of(run(loop, *kind, rows[i].command)), rows[i].status);
    check_reaped(loop);
}

static void waiting_is_cancelled(eye_loop *loop) {
    eye_stream *s = run(loop, "exec", "exec cat");
    eye_child *child = eye_stream_take_child(s);
    struct got first = {0}, second = {0};
    SUBMIT(eye_child_wait(child, &first.op, got_done));
    suite_turns(3);
    SUBMIT(eye_cancel(loop, &first.op));
    AWAIT_INT(first, -ECANCELED);
    CHECK_INT(eye_child_kill(child, SIGKILL), 0);
    SUBMIT(eye_child_wait(child, &second.op, got_done));
    AWAIT_INT(second, W_EXITCODE(0, SIGKILL));
    eye_child_free(child);
    suite_close(s);
    check_reaped(loop);
}

static void freed_while_it_runs(eye_loop *loop) {
    EACH_KIND(kind) {
        eye_stream *s = run(loop, *kind, "echo ready; exec cat");
        receive_line(s, "ready\n");
        CHECK(!eye_child_free(eye_stream_take_child(s)));
        suite_turns(3);
        CHECK(waitpid(-1, NULL, WNOHANG) == 0); /* it runs */
        suite_close(s);
        check_reaped(loop);
    }
}

static void never_taken(eye_loop *loop) {
    EACH_KIND(kind) {
        suite_close(run(loop, *kind, "exec cat"));
        check_reaped(loop);
    }
}

/* It would not notice the end of its input. */
static void abort_hangs_up(eye_loop *loop) {
    EACH_KIND(kind) {
        eye_stream *s = run(loop, *kind, "echo ready; exec sleep 1000");
        struct got aborted = {0};
        receive_line(s, "ready\n");
        SUBMIT(eye_abort(s, &aborted.op, got_done));
        AWAIT_INT(aborted, 0);
        check_reaped(loop);
    }
}

/* ---- two commands ---- */

static void pair(eye_loop *loop) {
    eye_child *child[2];
    struct eye_err err;
    struct got got[2] = {0};
    if (!CHECK_INT(eye_pair(loop, "echo ping; read x; test \"$x\" = pong; cat; exit 3",
                            "read x; test \"$x\" = ping && echo pong", child, &err),
                   0))
        return;
    for (int i = 0; i < 2; i++)
        SUBMIT(eye_child_wait(child[i], &got[i].op, got_done));
    AWAIT_INT(got[0], W_EXITCODE(3, 0)); /* its cat ended: so did the other */
    AWAIT_INT(got[1], 0);
    for (int i = 0; i < 2; i++)
        eye_child_free(child[i]);
    check_reaped(loop);
}

static void no_descriptors(eye_loop *loop) {
    struct rlimit limit;
    getrlimit(RLIMIT_NOFILE, &limit);
    const struct rlimit none = {.rlim_cur = 3, .rlim_max = limit.rlim_max};
    setrlimit(RLIMIT_NOFILE, &none);
    EACH_KIND(kind) {
        struct eye_endpoint e = suite_endpoint("%s:cat", *kind);
        struct eye_dialled dialled;
        struct got got = {0};
        SUBMIT(eye_dial(loop, &got.op, &e, &dialled, got_done));
        AWAIT_INT(got, -EMFILE);
        CHECK_INT(dialled.err.code, -EMFILE);
        eye_endpoint_done(&e);
    }
    eye_child *child[2];
    CHECK_INT(eye_pair(loop, "cat", "cat", child, NULL), -EMFILE);
    setrlimit(RLIMIT_NOFILE, &limit);
    check_reaped(loop);
}

int main(int argc, char **argv) {
    static const struct suite_case cases[] = {
        {"a dialogue with a command", dialogue},
        {"an answer after the end of its input", late_answer},
        {"a lot both ways at once", a_lot},
        {"input that it leaves unread", input_left_unread},
        {"with pipes it can open /dev/stdin", opens_its_input_by_name},
        {"with pty it has a terminal, and else none", has_a_terminal},
        {"its signals are at their defaults, and none is blocked", signals_are_default},
        {"it inherits no descriptor of ours", descriptors_are_not_inherited},
        {"its exit status or signal is told, and it is reaped", exit_status},
        {"waiting for it is cancelled, and begun again", waiting_is_cancelled},
        {"a child that is freed while it runs is reaped", freed_while_it_runs},
        {"a child that nobody takes is reaped", never_taken},
        {"aborting hangs up on it", abort_hangs_up},
        {"two commands joined to each other", pair},
        {"no descriptor for it", no_descriptors},
    };
    return suite_main(cases, ARRAY_LEN(cases), argc, argv);
}
