/* test_loop_limits.c: a full table of descriptors, and descriptors that select(2) cannot watch. */
#include <poll.h>
#include <sys/resource.h>
#include <time.h>

#include "suite.h"

static void echo_data(eye_peer *peer, struct eye_bytes bytes) {
    eye_peer_send(peer, bytes.data, bytes.size);
}

/* An echo server, and one peer that is there already. */
static struct {
    struct eye_endpoint endpoint;
    struct eye_handler handler;
    struct seen *seen;
    eye_server *server;
    int peer;
} echo;

static bool echoes(eye_loop *loop, int fd) {
    char buf[4] = "";
    suite_write(loop, fd, "ping", 4);
    return CHECK_INT(suite_read(loop, fd, buf, 4), 4) && CHECK(memcmp(buf, "ping", 4) == 0);
}

static void echo_start(eye_loop *loop) {
    echo.endpoint = suite_endpoint("tcp:127.0.0.1:0");
    echo.seen = seen_new();
    echo.handler = (struct eye_handler){.data = echo_data, .observer = &echo.seen->observer};
    if (!CHECK_INT(eye_serve(loop, &echo.endpoint, &echo.handler, &echo.server, NULL), 0))
        exit(1);
    echo.peer = suite_connect(&echo.seen->address);
    echoes(loop, echo.peer);
}

static void echo_stop(eye_loop *loop) {
    struct got stopped = {0};
    (void)loop;
    close(echo.peer);
    SUBMIT(eye_server_stop(echo.server, &stopped.op, SUITE_LIMIT_NS, got_done));
    AWAIT_INT(stopped, 0);
    eye_server_free(echo.server);
    eye_endpoint_done(&echo.endpoint);
    free(echo.seen);
}

static int fillers[2048];
static int filler_count;

/* Takes descriptors until the next one would have at least that number, or there are no more. */
static void fill(int number) {
    int fd;
    while ((fd = fcntl(0, F_DUPFD_CLOEXEC, 0)) >= 0 && fd < number)
        fillers[filler_count++] = fd;
    if (fd >= 0)
        close(fd);
}

static void drain(void) {
    while (filler_count > 0)
        close(fillers[--filler_count]);
}

static void limit(rlim_t count) {
    struct rlimit limit;
    getrlimit(RLIMIT_NOFILE, &limit);
    if (limit.rlim_max < count)
        suite_skip("no more than %lu descriptors here", (unsigned long)limit.rlim_max);
    limit.rlim_cur = count;
    CHECK_INT(setrlimit(RLIMIT_NOFILE, &limit), 0);
}

static int64_t cpu_ns(void) {
    struct timespec ts;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &ts);
    return ts.tv_sec * NS_PER_S + ts.tv_nsec;
}

static void full_table(eye_loop *loop) {
    limit(200);
    echo_start(loop);
    int late = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    fill(INT32_MAX);
    CHECK_INT(connect(late, &echo.seen->address.u.sa, echo.seen->address.len), 0);
    fcntl(late, F_SETFL, O_NONBLOCK);
    suite_write(loop, late, "late", 4);
    UNTIL(echo.seen->count[EYE_EVENT_PAUSED] > 0);
    int64_t began_ns = sys_now(), began_cpu_ns = cpu_ns();
    while (sys_now() < began_ns + 1200 * NS_PER_MS) {
        eye_loop_run(loop, 50 * NS_PER_MS);
        echoes(loop, echo.peer); /* who is there never notices */
    }
    CHECK(cpu_ns() - began_cpu_ns < 360 * NS_PER_MS);
    unsigned told = echo.seen->count[EYE_EVENT_PAUSED]; /* once a second */
    CHECK(told >= 2 && told <= 2 + (sys_now() - began_ns) / NS_PER_S);
    CHECK_INT(echo.seen->count[EYE_EVENT_CONNECTED], 1);
    close(fillers[--filler_count]);
    char buf[4];
    CHECK_INT(suite_read(loop, late, buf, 4), 4); /* nobody was turned away */
    CHECK(memcmp(buf, "late", 4) == 0);
    drain();
    close(late);
    echo_stop(loop);
}

static void reserve(eye_loop *loop) {
    /* For a peer that was accepted with the last descriptor, the one in reserve is given up to dial. */
    limit(100);
    struct eye_addr addr;
    int listener = suite_tcp_listener(4, &addr);
    struct eye_endpoint e = suite_endpoint("tcp:127.0.0.1:%u", eye_addr_port(&addr));
    fill(INT32_MAX);
    struct got got[2] = {0};
    struct eye_dialled dialled[2];
    SUBMIT(eye_dial(loop, &got[0].op, &e, &dialled[0], got_done));
    AWAIT_INT(got[0], 0);
    SUBMIT(eye_dial(loop, &got[1].op, &e, &dialled[1], got_done));
    AWAIT_INT(got[1], -EMFILE);
    CHECK(strstr(dialled[1].err.cause, "ulimit"));
    suite_close(dialled[0].stream);
    struct got third = {0}; /* it is there again */
    SUBMIT(eye_dial(loop, &third.op, &e, &dialled[0], got_done));
    AWAIT_INT(third, 0);
    suite_close(dialled[0].stream);
    drain();
    close(listener);
    eye_endpoint_done(&e);
}

static void high_numbers(eye_loop *loop) {
    limit(1100);
    bool limited = loop->backend->fd_max > 0;
    echo_start(loop);
    fill(1024);
    int high = suite_connect(&echo.seen->address);
    CHECK(high >= 1024);
    char buf[4];
    suite_write(loop, high, "ping", 4);
    if (limited) {
        CHECK_INT(suite_next(loop, high, buf, 4), -ECONNRESET);
        CHECK_INT(echo.seen->count[EYE_EVENT_PAUSED], 1);
    } else {
        CHECK_INT(suite_read(loop, high, buf, 4), 4);
    }
    echoes(loop, echo.peer);
    int low = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    close(fillers[--filler_count]); /* one low number, for the server's end of the next */
    CHECK_INT(connect(low, &echo.seen->address.u.sa, echo.seen->address.len), 0);
    fcntl(low, F_SETFL, O_NONBLOCK);
    echoes(loop, low);
    close(low);
    close(high);
    drain();
    echo_stop(loop);
}

static void high_poll_and_dial(eye_loop *loop) {
    limit(1100);
    bool limited = loop->backend->fd_max > 0;
    struct eye_addr addr;
    int listener = suite_tcp_listener(4, &addr);
    struct eye_endpoint e = suite_endpoint("tcp:127.0.0.1:%u", eye_addr_port(&addr));
    fill(1024);
    int fd[2];
    suite_pipe(fd);
    struct got polled = {0}, got = {0};
    struct eye_dialled dialled;
    SUBMIT(eye_poll(loop, &polled.op, fd[1], EYE_OUT, got_done));
    AWAIT_INT(polled, limited ? EYE_EFDSETSIZE : POLLOUT);
    SUBMIT(eye_dial(loop, &got.op, &e, &dialled, got_done));
    AWAIT_INT(got, limited ? EYE_EFDSETSIZE : 0);
    if (got.result == 0)
        suite_close(dialled.stream);
    drain();
    close(fd[0]);
    close(fd[1]);
    close(listener);
    eye_endpoint_done(&e);
}

static int64_t seven(void *user) {
    (void)user;
    return 7;
}

static void high_loop(eye_loop *loop) {
    /* A loop whose own descriptors are too high says so when it is made, or works. */
    limit(1100);
    struct eye_loop_opts opts = {.engine = suite.engine};
    struct eye_err err;
    fill(1024);
    eye_loop *high = NULL;
    int r = eye_loop_new(&opts, &high, &err);
    if (loop->backend->fd_max > 0) {
        CHECK_INT(r, EYE_EFDSETSIZE);
    } else if (CHECK_INT(r, 0)) {
        suite.loop = high;
        struct got got = {0};
        SUBMIT(eye_work(high, &got.op, seven, got_done));
        AWAIT_INT(got, 7);
        eye_loop_free(high);
        suite.loop = loop;
    }
    struct got signalled = {0};
    SUBMIT(eye_signal(loop, &signalled.op, SIGUSR1, got_done));
    suite_turns(2);
    if (signalled.count == 0)
        raise(SIGUSR1);
    AWAIT_INT(signalled, loop->backend->fd_max > 0 ? EYE_EFDSETSIZE : SIGUSR1);
    drain();
}

static const struct suite_case cases[] = {
    {"a full table of descriptors pauses accepting, and it recovers", full_table},
    {"a descriptor is held in reserve", reserve},
    {"a peer whose number is too high is turned away, the others are served", high_numbers},
    {"polling and dialling with numbers that are too high", high_poll_and_dial},
    {"a loop and a signal whose numbers are too high", high_loop},
};

int main(int argc, char **argv) {
    return suite_main(cases, ARRAY_LEN(cases), argc, argv);
}
