/* test_loop_faults.c: what the system may do at any call, put into the seam of src/sys/sys.h: EINTR,
 * EAGAIN, short reads and writes, errors; and a real storm of signals. */
#include <pthread.h>

#include "suite.h"

#define BYTES ((size_t)200 * 1000)

static unsigned calls;
static uint32_t dice;

static uint32_t roll(uint32_t sides) {
    dice = dice * 1664525 + 1013904223;
    return (dice >> 16) % sides;
}

/* Sends BYTES through a stream to another of the same loop, both with pieces of their own size, and back
 * to be compared. */
static struct {
    eye_stream *stream[2];
    struct got in, out;
    uint8_t *data, *came;
    size_t in_bytes, out_bytes;
} pass;

static void pass_recv(void);

static void pass_recv_done(struct got *got) {
    if (!CHECK(got->result > 0))
        return;
    pass.in_bytes += (size_t)got->result;
    if (pass.in_bytes < BYTES)
        pass_recv();
}

static void pass_recv(void) {
    SUBMIT(eye_recv(pass.stream[1], &pass.in.op, pass.came + pass.in_bytes, MIN(7000, BYTES - pass.in_bytes),
                    got_done));
}

static void pass_send(void) {
    size_t size = MIN(9000, BYTES - pass.out_bytes);
    if (pass.out.count % 2)
        SUBMIT(eye_send_copy(pass.stream[0], &pass.out.op, pass.data + pass.out_bytes, size, got_done));
    else
        SUBMIT(eye_send(pass.stream[0], &pass.out.op, pass.data + pass.out_bytes, size, got_done));
}

static void pass_send_done(struct got *got) {
    if (!CHECK(got->result > 0))
        return;
    pass.out_bytes += (size_t)got->result;
    if (pass.out_bytes < BYTES)
        pass_send();
}

static void pass_all(eye_loop *loop, void (*make)(int fd[2]), unsigned flags) {
    int fd[2];
    make(fd);
    for (int i = 0; i < 2; i++)
        pass.stream[i] = suite_stream(loop, fd[i], flags);
    pass.in.then = pass_recv_done;
    pass.out.then = pass_send_done;
    pass.data = suite_pattern(BYTES);
    pass.came = calloc(1, BYTES);
    pass_recv();
    pass_send();
    UNTIL(pass.in_bytes == BYTES && pass.out_bytes == BYTES);
    sys_fault = NULL;
    CHECK(memcmp(pass.data, pass.came, BYTES) == 0);
    for (int i = 0; i < 2; i++)
        suite_close(pass.stream[i]);
    free(pass.data);
    free(pass.came);
}

static void make_unix(int fd[2]) {
    suite_socketpair(SOCK_STREAM, fd);
}

static void make_pipe(int fd[2]) {
    int swapped[2];
    suite_pipe(swapped);
    fd[0] = swapped[1];
    fd[1] = swapped[0];
}

static int fault_eintr(const char *call, int fd, size_t *size) {
    (void)call, (void)fd, (void)size;
    return ++calls % 5 ? -EINTR : 0;
}

static void eintr(eye_loop *loop) {
    sys_fault = fault_eintr;
    pass_all(loop, suite_tcp_pair, FLAGS_TCP);
    CHECK(calls > 100);
}

static int fault_short(const char *call, int fd, size_t *size) {
    (void)call, (void)fd;
    calls++;
    size_t most = 1 + roll(100);
    *size = MIN(*size, most);
    return 0;
}

static void short_tcp(eye_loop *loop) {
    sys_fault = fault_short;
    /* The seam's short receives are not the kernel's, which would mean that there is no more. */
    pass_all(loop, suite_tcp_pair, FLAGS_TCP | SLOT_MARKED);
    CHECK(calls > 2000);
}

static void short_unix(eye_loop *loop) {
    sys_fault = fault_short;
    pass_all(loop, make_unix, FLAGS_UNIX);
}

static void short_pipe(eye_loop *loop) {
    sys_fault = fault_short;
    pass_all(loop, make_pipe, FLAGS_PIPE);
}

/* EAGAIN where it is true in the end: an edge-triggered engine hears of a descriptor again only when the
 * kernel has said EAGAIN itself, or when it has not been watched before. */
static int fault_eagain_first(const char *call, int fd, size_t *size) {
    static bool seen[2][1024];
    (void)size;
    bool in = strcmp(call, "recv") == 0;
    if ((!in && strcmp(call, "send") != 0) || fd >= 1024 || seen[in][fd])
        return 0;
    calls++;
    seen[in][fd] = true;
    return -EAGAIN;
}

static void eagain(eye_loop *loop) {
    sys_fault = fault_eagain_first;
    pass_all(loop, suite_tcp_pair, FLAGS_TCP);
    CHECK(calls >= 2);
}

/* ---- a real storm ---- */

static volatile sig_atomic_t storm_count;
static volatile bool storm_over;

static void storm_handler(int signum) {
    (void)signum;
    storm_count++;
}

static void *storm_main(void *target) {
    while (!storm_over) {
        pthread_kill(*(pthread_t *)target, SIGUSR1);
        usleep(50);
    }
    return NULL;
}

static void storm(eye_loop *loop) {
    struct sigaction action = {.sa_handler = storm_handler}; /* without SA_RESTART */
    sigaction(SIGUSR1, &action, NULL);
    pthread_t self = pthread_self(), thread;
    pthread_create(&thread, NULL, storm_main, &self);
    struct got timer = {0};
    int64_t deadline_ns = eye_loop_now(loop) + 100 * NS_PER_MS;
    SUBMIT(eye_timer(loop, &timer.op, deadline_ns, got_done));
    pass_all(loop, suite_tcp_pair, FLAGS_TCP);
    AWAIT_INT(timer, 0); /* waiting is interrupted again and again */
    CHECK(sys_now() >= deadline_ns);
    UNTIL(storm_count > 100);
    storm_over = true;
    pthread_join(thread, NULL);
}

/* ---- errors ---- */

static const char *fault_call;
static int fault_code;
static unsigned fault_times;

static int fault_error(const char *call, int fd, size_t *size) {
    (void)fd, (void)size;
    if (strcmp(call, fault_call) != 0 || fault_times == 0)
        return 0;
    fault_times--;
    return fault_code;
}

static void inject(const char *call, int code, unsigned times) {
    fault_call = call;
    fault_code = code;
    fault_times = times;
    sys_fault = fault_error;
}

static void errors_told(eye_loop *loop) {
    static const struct {
        const char *call;
        int code;
    } rows[] = {{"recv", -ECONNRESET}, {"recv", -ETIMEDOUT}, {"send", -ENOBUFS}, {"send", -EHOSTUNREACH}};
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        int fd[2];
        make_unix(fd);
        eye_stream *s = suite_stream(loop, fd[0], FLAGS_UNIX);
        struct got got = {0}, next = {0};
        char buf[8];
        suite_write(loop, fd[1], "x", 1);
        inject(rows[i].call, rows[i].code, 1);
        if (rows[i].call[0] == 'r') {
            SUBMIT(eye_recv(s, &got.op, buf, sizeof buf, got_done));
            SUBMIT(eye_recv(s, &next.op, buf, sizeof buf, got_done));
        } else {
            SUBMIT(eye_send(s, &got.op, "x", 1, got_done));
            SUBMIT(eye_send(s, &next.op, "x", 1, got_done));
        }
        AWAIT_INT(got, rows[i].code);
        AWAIT_INT(next, 1); /* each operation has its own result */
        sys_fault = NULL;
        suite_close(s);
        close(fd[1]);
    }
}

static void error_of_copied_send(eye_loop *loop) {
    /* A socket's error is told once (SO_ERROR): it must be this operation's. */
    int fd[2];
    make_unix(fd);
    eye_stream *s = suite_stream(loop, fd[0], FLAGS_UNIX);
    struct got got = {0};
    inject("send", -ECONNRESET, 1);
    SUBMIT(eye_send_copy(s, &got.op, "x", 1, got_done));
    AWAIT_INT(got, -ECONNRESET);
    sys_fault = NULL;
    suite_close(s);
    close(fd[1]);
}

static void accept_errors(eye_loop *loop) {
    struct eye_endpoint e = suite_endpoint("tcp:127.0.0.1:0");
    eye_listener *listener;
    struct eye_addr addr;
    if (!CHECK_INT(eye_listen(loop, &e, &listener, 1, NULL), 1) ||
        !CHECK_INT(eye_listener_addr(listener, &addr), 0))
        return;
    int fd = suite_connect(&addr);
    static const int rows[] = {-EMFILE, -ENFILE, -ENOMEM, -ENOBUFS};
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct got got = {0};
        eye_stream *s = NULL;
        inject("accept", rows[i], 1);
        SUBMIT(eye_accept(listener, &got.op, &s, got_done));
        AWAIT_INT(got, rows[i]);
        CHECK(!s);
    }
    /* A thousand that died in the queue are passed over. */
    struct got got = {0}, timer = {0};
    eye_stream *s = NULL;
    inject("accept", -ECONNABORTED, 1000);
    SUBMIT(eye_accept(listener, &got.op, &s, got_done));
    SUBMIT(eye_timer(loop, &timer.op, 0, got_done));
    AWAIT_INT(got, 0);
    CHECK(fault_times == 0 && timer.order < got.order);
    sys_fault = NULL;
    if (s)
        suite_close(s);
    close(fd);
    eye_listener_free(listener);
    eye_endpoint_done(&e);
}

static const struct suite_case cases[] = {
    {"four calls of five are interrupted", eintr},
    {"short reads and writes on TCP", short_tcp},
    {"short reads and writes on a Unix socket", short_unix},
    {"short reads and writes on a pipe", short_pipe},
    {"the first try of each way would have waited", eagain},
    {"a storm of signals", storm},
    {"an error is one operation's result, and the next goes on", errors_told},
    {"an error that a copied send meets at once is its own", error_of_copied_send},
    {"accepting tells what runs out and passes over the dead", accept_errors},
};

int main(int argc, char **argv) {
    return suite_main(cases, ARRAY_LEN(cases), argc, argv);
}
