/* test_flow_memory.c: memory that runs out, at each allocation in turn: the linker's --wrap puts the
 * functions below before the allocator's, and a session is run once for each allocation that it makes,
 * which then fails. Its result must be right or an error; nothing may hang, crash or leak. */
#include "suite.h"

static long alloc_live;      /* pieces in use, by any thread */
static long alloc_fail = -1; /* how many more succeed before one fails; negative: all do */

void *__real_malloc(size_t size);
void *__real_calloc(size_t count, size_t size);
void *__real_realloc(void *memory, size_t size);
char *__real_strdup(const char *text);
void __real_free(void *memory);
void *__wrap_malloc(size_t size);
void *__wrap_calloc(size_t count, size_t size);
void *__wrap_realloc(void *memory, size_t size);
char *__wrap_strdup(const char *text);
void __wrap_free(void *memory);

static bool allowed(bool counts) {
    if (__atomic_load_n(&alloc_fail, __ATOMIC_RELAXED) >= 0 &&
        __atomic_fetch_sub(&alloc_fail, 1, __ATOMIC_RELAXED) == 0) {
        errno = ENOMEM;
        return false;
    }
    __atomic_fetch_add(&alloc_live, counts, __ATOMIC_RELAXED);
    return true;
}

void *__wrap_malloc(size_t size) {
    return allowed(true) ? __real_malloc(size) : NULL;
}
void *__wrap_calloc(size_t count, size_t size) {
    return allowed(true) ? __real_calloc(count, size) : NULL;
}
void *__wrap_realloc(void *memory, size_t size) {
    return allowed(!memory) ? __real_realloc(memory, size) : NULL;
}
char *__wrap_strdup(const char *text) {
    return allowed(true) ? __real_strdup(text) : NULL;
}
void __wrap_free(void *memory) {
    if (memory)
        __atomic_fetch_sub(&alloc_live, 1, __ATOMIC_RELAXED);
    __real_free(memory);
}

/* ---- each allocation in turn ---- */

static struct eye_endpoint echo_endpoint, name_endpoint, from_endpoint, to_endpoint;
static struct seen seen; /* what the observer of a session saw */

static void each_in_turn(void (*session)(eye_loop *loop)) {
    long n = 0, left = -1;
    for (; left < 0; n++) {
        long live = alloc_live;
        int fds = suite_count_fds();
        eye_loop *loop = NULL;
        struct eye_loop_opts opts = {.engine = suite.engine};
        seen = (struct seen){.observer = {.event = seen_event, .user = &seen}};
        alloc_fail = n;
        int r = eye_loop_new(&opts, &loop, NULL);
        if (r == 0) {
            eye_loop *outer = suite.loop;
            suite.loop = loop;
            session(loop);
            eye_loop_free(loop);
            suite.loop = outer;
        } else {
            CHECK(r == -ENOMEM || r == EYE_EUNAVAILABLE);
        }
        left = alloc_fail; /* still to come: all have had their turn */
        alloc_fail = -1;
        if (!CHECK_INT(alloc_live, live) || !CHECK_INT(suite_count_fds(), fds) || tap.failed) {
            fprintf(stderr, "# with allocation %ld failing\n", n);
            return;
        }
    }
    CHECK(n > 8);
}

/* Runs until that holds; gives whether it does. */
#define RUN_UNTIL(condition)                                                                                 \
    ({                                                                                                       \
        int64_t end_ns = sys_now() + SUITE_LIMIT_NS;                                                         \
        while (!(condition) && sys_now() < end_ns)                                                           \
            eye_loop_run(suite.loop, 5 * NS_PER_MS);                                                         \
        CHECK(condition);                                                                                    \
    })

static void echo_data(eye_peer *peer, struct eye_bytes bytes) {
    /* In two pieces, so that one waits for the other. */
    eye_peer_send(peer, bytes.data, 1);
    eye_peer_send(peer, bytes.data + 1, bytes.size - 1);
}

/* Says something and reads the answer until its end; whether it was right. */
static bool client_asks(eye_loop *loop, eye_stream *stream) {
    struct got sent = {0}, finish = {0};
    SUBMIT(eye_send_copy(stream, &sent.op, "question", 8, got_done));
    SUBMIT(eye_finish(stream, &finish.op, got_done));
    char answer[16] = "";
    size_t size = 0;
    int64_t n = 1;
    (void)loop;
    while (n > 0 && size < sizeof answer) {
        struct got in = {0};
        SUBMIT(eye_recv(stream, &in.op, answer + size, sizeof answer - size, got_done));
        if (!RUN_UNTIL(in.count > 0)) {
            SUBMIT(eye_cancel(loop, &in.op));
            RUN_UNTIL(in.count > 0);
        }
        n = in.result;
        size += n > 0 ? (size_t)n : 0;
    }
    RUN_UNTIL(sent.count > 0 && finish.count > 0);
    struct got closed = {0};
    SUBMIT(eye_close(stream, &closed.op, got_done));
    RUN_UNTIL(closed.count > 0);
    CHECK(size == 0 || memcmp(answer, "question", size) == 0);
    return n == 0 && size == 8;
}

/* Dials and asks; whether the answer was right, else an error was told. */
static bool client(eye_loop *loop, const struct eye_endpoint *e, unsigned port) {
    static struct eye_dialled dialled;
    struct eye_endpoint there = *e;
    char text[16];
    snprintf(text, sizeof text, "%u", port);
    there.port = text;
    struct got got = {0};
    SUBMIT(eye_dial(loop, &got.op, &there, &dialled, got_done));
    if (!RUN_UNTIL(got.count > 0))
        return false;
    if (got.result < 0) {
        CHECK_INT(dialled.err.code, got.result);
        return false;
    }
    return client_asks(loop, dialled.stream);
}

static void echo_session(eye_loop *loop) {
    struct eye_handler handler = {.data = echo_data, .observer = &seen.observer};
    eye_server *server = NULL;
    struct eye_err err = {0};
    int r = eye_serve(loop, &echo_endpoint, &handler, &server, &err);
    if (r < 0) {
        CHECK_INT(err.code, r);
        return;
    }
    unsigned port = eye_addr_port(&seen.address);
    unsigned right = client(loop, &echo_endpoint, port);
    right += client(loop, &name_endpoint, port);
    CHECK(right > 0); /* one allocation harms one connection at most */
    struct got stopped = {0};
    SUBMIT(eye_server_stop(server, &stopped.op, 0, got_done));
    RUN_UNTIL(stopped.count > 0);
    eye_server_free(server);
}

static void forward_session(eye_loop *loop) {
    struct eye_handler handler = {.data = echo_data};
    struct seen target = {.observer = {.event = seen_event, .user = &target}};
    handler.observer = &target.observer;
    struct eye_outcome outcome = {0};
    struct eye_endpoint to = to_endpoint;
    eye_server *server;
    if (eye_serve(loop, &echo_endpoint, &handler, &server, NULL) < 0)
        return;
    char text[16];
    snprintf(text, sizeof text, "%u", eye_addr_port(&target.address));
    to.port = text;
    struct eye_forward_opts opts = {
        .from = &from_endpoint, .to = &to, .once = true, .observer = &seen.observer};
    struct got run = {0};
    eye_forward *forward = NULL;
    int r = eye_forward_new(loop, &opts, &forward, NULL);
    if (r == 0) {
        SUBMIT(eye_forward_run(forward, &run.op, &outcome, got_done));
        bool right = false;
        if (seen.count[EYE_EVENT_LISTENING] > 0)
            right = client(loop, &from_endpoint, eye_addr_port(&seen.address));
        if (seen.count[EYE_EVENT_CONNECTED] == 0)
            SUBMIT(eye_forward_stop(forward, 0));
        RUN_UNTIL(run.count > 0);
        /* Success is told only where there was one. */
        CHECK(right || run.result < 0 || seen.count[EYE_EVENT_CONNECTED] == 0);
        CHECK_INT(outcome.err.code, run.result);
        eye_forward_free(forward);
    }
    struct got stopped = {0};
    SUBMIT(eye_server_stop(server, &stopped.op, 0, got_done));
    RUN_UNTIL(stopped.count > 0);
    eye_server_free(server);
}

static void endpoints_new(void) {
    echo_endpoint = suite_endpoint("tcp:127.0.0.1:0,idle=60s");
    name_endpoint = suite_endpoint("tcp:localhost:0,family=4");
    from_endpoint = suite_endpoint("tcp:127.0.0.1:0,idle=60s");
    to_endpoint = suite_endpoint("tcp:127.0.0.1:0");
}

static void endpoints_done(void) {
    eye_endpoint_done(&echo_endpoint);
    eye_endpoint_done(&name_endpoint);
    eye_endpoint_done(&from_endpoint);
    eye_endpoint_done(&to_endpoint);
}

static void echo(eye_loop *loop) {
    (void)loop;
    endpoints_new();
    each_in_turn(echo_session);
    endpoints_done();
}

static void forward(eye_loop *loop) {
    (void)loop;
    endpoints_new();
    each_in_turn(forward_session);
    endpoints_done();
}

/* A server whose time to finish cannot be measured ends its peers at once; it does not wait for ever. */
static void stop_session(eye_loop *loop) {
    struct eye_handler handler = {.data = echo_data, .observer = &seen.observer};
    struct eye_endpoint endpoint = to_endpoint; /* it needs no timer before */
    eye_server *server = NULL;
    if (eye_serve(loop, &endpoint, &handler, &server, NULL) < 0)
        return;
    int fd = suite_connect(&seen.address);
    RUN_UNTIL(seen.count[EYE_EVENT_CONNECTED] + seen.count[EYE_EVENT_PAUSED] > 0);
    struct got stopped = {0};
    SUBMIT(eye_server_stop(server, &stopped.op, NS_PER_MS, got_done));
    RUN_UNTIL(stopped.count > 0);
    eye_server_free(server);
    close(fd);
}

static void stop(eye_loop *loop) {
    (void)loop;
    endpoints_new();
    each_in_turn(stop_session);
    endpoints_done();
}

/* Two signals and work of the caller's, while the loop's own waiting may fail. */
static int64_t seven(void *user) {
    (void)user;
    return 7;
}

static void helpers_session(eye_loop *loop) {
    struct got timer = {0}, work = {0}, signals[2] = {0};
    SUBMIT(eye_timer(loop, &timer.op, 0, got_done));
    SUBMIT(eye_work(loop, &work.op, seven, got_done));
    for (int i = 0; i < 2; i++) {
        SUBMIT(eye_signal(loop, &signals[i].op, SIGUSR1, got_done));
        eye_loop_run(loop, 0);
        if (signals[i].count == 0)
            raise(SIGUSR1);
        RUN_UNTIL(signals[i].count > 0);
        CHECK(signals[i].result == SIGUSR1 || signals[i].result == -ENOMEM);
    }
    RUN_UNTIL(work.count > 0 && timer.count > 0);
    CHECK(work.result == 7 || work.result == -ENOMEM);
    CHECK(timer.result == 0 || timer.result == -ENOMEM);
}

static void helpers(eye_loop *loop) {
    (void)loop;
    each_in_turn(helpers_session);
}

static const struct suite_case cases[] = {
    {"memory runs out in an echo session", echo},
    {"memory runs out in a forward", forward},
    {"memory runs out as a server stops", stop},
    {"memory runs out under timers, work and signals", helpers},
};

int main(int argc, char **argv) {
    return suite_main(cases, ARRAY_LEN(cases), argc, argv);
}
