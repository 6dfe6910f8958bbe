/* test_stream_dial.c: dialling: addresses that are raced, refused, denied, silent or unreachable, and
 * cancelling at every stage. The resolver is ours: the linker's --wrap puts it before getaddrinfo(3). */
#include <arpa/inet.h>
#include <netdb.h>
#include <poll.h>
#include <pthread.h>

#include "suite.h"

/* ---- a resolver of our own: names of the zone .test ---- */

int __real_getaddrinfo(const char *host, const char *port, const struct addrinfo *hints,
                       struct addrinfo **ret_found);
int __wrap_getaddrinfo(const char *host, const char *port, const struct addrinfo *hints,
                       struct addrinfo **ret_found);

static const struct {
    const char *name;
    const char *addresses[4];
} zone[] = {
    {"one.test", {"127.0.0.1"}},
    {"two.test", {"127.0.0.2", "127.0.0.1"}},
    {"race.test", {"127.0.0.1", "127.0.0.2"}},
    {"slow.test", {"127.0.0.1"}},
    {"mapped.test", {"::ffff:127.0.0.1"}},
    {"families.test", {"127.0.0.2", "127.0.0.3", "::1", "127.0.0.1"}},
};

static pthread_mutex_t gate_lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t gate_moved = PTHREAD_COND_INITIALIZER;
static bool gate_open;
static int gate_waiting, gate_passed;

static void gate_pass(void) {
    pthread_mutex_lock(&gate_lock);
    gate_waiting++;
    while (!gate_open)
        pthread_cond_wait(&gate_moved, &gate_lock);
    gate_passed++;
    pthread_cond_broadcast(&gate_moved);
    pthread_mutex_unlock(&gate_lock);
}

static int gate_count(void) {
    pthread_mutex_lock(&gate_lock);
    int count = gate_waiting;
    pthread_mutex_unlock(&gate_lock);
    return count;
}

static void gate_let_go(int until) {
    pthread_mutex_lock(&gate_lock);
    gate_open = true;
    pthread_cond_broadcast(&gate_moved);
    while (gate_passed < until)
        pthread_cond_wait(&gate_moved, &gate_lock);
    pthread_mutex_unlock(&gate_lock);
}

int __wrap_getaddrinfo(const char *host, const char *port, const struct addrinfo *hints,
                       struct addrinfo **ret_found) {
    if (!host || (hints->ai_flags & AI_NUMERICHOST) || !strstr(host, ".test"))
        return __real_getaddrinfo(host, port, hints, ret_found);
    if (strcmp(host, "slow.test") == 0)
        gate_pass();
    struct addrinfo literal = *hints, *found = NULL, **end = &found;
    literal.ai_flags |= AI_NUMERICHOST;
    for (size_t i = 0; i < ARRAY_LEN(zone); i++)
        for (int k = 0; strcmp(host, zone[i].name) == 0 && k < 4 && zone[i].addresses[k]; k++) {
            int r = __real_getaddrinfo(zone[i].addresses[k], port, &literal, end);
            if (r == EAI_ADDRFAMILY)
                continue;
            if (r != 0)
                return r;
            while (*end)
                end = &(*end)->ai_next;
        }
    *ret_found = found;
    return found ? 0 : EAI_NONAME;
}

/* ---- dialling ---- */

static struct eye_dialled dialled;

static bool dial(eye_loop *loop, const struct eye_endpoint *e, int64_t want) {
    struct got got = {0};
    SUBMIT(eye_dial(loop, &got.op, e, &dialled, got_done));
    if (!AWAIT(got) || !CHECK_INT(got.result, want))
        return false;
    CHECK_INT(dialled.err.code, want < 0 ? want : 0);
    if (want < 0 && CHECK(!dialled.stream))
        CHECK(strstr(dialled.err.text, want > EYE_EAI_BASE - 100 && want < EYE_EAI_BASE ? e->host : e->text));
    return true;
}

static unsigned port_of(const struct eye_addr *addr) {
    return eye_addr_port(addr);
}

/* Dials an endpoint that connects and one that does not. */
static void connects(eye_loop *loop, struct eye_endpoint e) {
    if (dial(loop, &e, 0))
        suite_close(dialled.stream);
    eye_endpoint_done(&e);
}

static void fails(eye_loop *loop, struct eye_endpoint e, int64_t want) {
    dial(loop, &e, want);
    eye_endpoint_done(&e);
}

/* A port of 127.0.0.1 where nothing listens, for as long as its socket is held. */
static int refused_port(unsigned *ret_port) {
    struct eye_addr addr;
    int fd = suite_tcp_listener(1, &addr), holder = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    int on = 1;
    setsockopt(fd, SOL_SOCKET, SO_REUSEPORT, &on, sizeof on);
    close(fd);
    CHECK_INT(bind(holder, &addr.u.sa, addr.len), 0);
    *ret_port = port_of(&addr);
    return holder;
}

static void literal(eye_loop *loop) {
    struct eye_addr addr;
    int listener = suite_tcp_listener(4, &addr);
    struct eye_endpoint e = suite_endpoint("tcp:127.0.0.1:%u", port_of(&addr));
    if (dial(loop, &e, 0)) {
        struct eye_addr peer;
        CHECK_INT(eye_stream_peer(dialled.stream, &peer), 0);
        CHECK_INT(port_of(&peer), port_of(&addr));
        CHECK_INT(dialled.attempt_count, 1);
        CHECK_INT(dialled.attempts[0].error, 0);
        suite_close(dialled.stream);
    }
    eye_endpoint_done(&e);
    close(listener);
}

static void name(eye_loop *loop) {
    struct eye_addr addr;
    int listener = suite_tcp_listener(4, &addr);
    connects(loop, suite_endpoint("tcp:one.test:%u", port_of(&addr)));
    fails(loop, suite_endpoint("tcp:none.test:%u", port_of(&addr)), EYE_EAI_BASE + EAI_NONAME);
    CHECK_INT(dialled.err.fail, EYE_FAIL_RESOLVE);
    close(listener);
}

static void refused(eye_loop *loop) {
    unsigned port;
    int holder = refused_port(&port);
    fails(loop, suite_endpoint("tcp:127.0.0.1:%u", port), -ECONNREFUSED);
    CHECK_INT(dialled.err.fail, EYE_FAIL_CONNECT);
    CHECK(dialled.err.cause[0]);
    fails(loop, suite_endpoint("tcp:two.test:%u", port), -ECONNREFUSED);
    CHECK_INT(dialled.attempt_count, 2);
    CHECK(dialled.attempts[0].error == -ECONNREFUSED && dialled.attempts[1].error == -ECONNREFUSED);
    close(holder);
}

static void first_refused(eye_loop *loop) {
    /* At once, and not after the delay between attempts. */
    struct eye_addr addr;
    int listener = suite_tcp_listener(4, &addr);
    int64_t least_ns = INT64_MAX;
    for (int i = 0; i < 3; i++) {
        int64_t began_ns = sys_now();
        connects(loop, suite_endpoint("tcp:two.test:%u", port_of(&addr)));
        least_ns = MIN(least_ns, sys_now() - began_ns);
        CHECK_INT(dialled.attempt_count, 2);
        CHECK(dialled.attempts[0].error == -ECONNREFUSED && dialled.attempts[1].error == 0);
    }
    CHECK(least_ns < 200 * NS_PER_MS); /* once in three, where the machine is busy */
    close(listener);
}

static void families(eye_loop *loop) {
    unsigned port;
    int holder = refused_port(&port);
    fails(loop, suite_endpoint("tcp:families.test:%u,family=4", port), -ECONNREFUSED);
    fails(loop, suite_endpoint("tcp:families.test:%u", port), -ECONNREFUSED);
    static const int order[] = {AF_INET, AF_INET6, AF_INET, AF_INET}; /* they take turns */
    CHECK_INT(dialled.attempt_count, 4);
    for (size_t i = 0; i < 4; i++)
        CHECK_INT(dialled.attempts[i].addr.u.sa.sa_family, order[i]);
    close(holder);
}

/* ---- silence ---- */

/* A listener that answers no more: its queue is full, so that what comes is dropped. */
static struct {
    int listener, queued[3];
    unsigned port;
} silent;

static void silent_start(void) {
    struct eye_addr addr;
    silent.listener = suite_tcp_listener(0, &addr);
    silent.port = port_of(&addr);
    for (size_t i = 0; i < ARRAY_LEN(silent.queued); i++) {
        silent.queued[i] = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
        connect(silent.queued[i], &addr.u.sa, addr.len);
    }
}

static void silent_stop(void) {
    for (size_t i = 0; i < ARRAY_LEN(silent.queued); i++)
        close(silent.queued[i]);
    close(silent.listener);
}

static void deadline(eye_loop *loop) {
    silent_start();
    int64_t began_ns = sys_now();
    fails(loop, suite_endpoint("tcp:127.0.0.1:%u,timeout=150ms", silent.port), EYE_EDEADLINE);
    int64_t took_ns = sys_now() - began_ns;
    CHECK(took_ns >= 150 * NS_PER_MS && took_ns < 5 * NS_PER_S);
    CHECK_INT(dialled.err.fail, EYE_FAIL_DEADLINE);
    CHECK_INT(dialled.attempt_count, 1);
    CHECK_INT(dialled.attempts[0].error, -ECANCELED);
    silent_stop();
}

static void deadline_from_now(eye_loop *loop) {
    /* The loop has not run for longer than the deadline is. */
    struct eye_addr addr;
    int listener = suite_tcp_listener(4, &addr);
    int64_t until_ns = eye_loop_now(loop) + 60 * NS_PER_MS;
    while (sys_now() < until_ns)
        ;
    connects(loop, suite_endpoint("tcp:127.0.0.1:%u,timeout=50ms", port_of(&addr)));
    close(listener);
}

static void first_silent(eye_loop *loop) {
    /* The second address has its turn 250 ms later, and wins. */
    silent_start();
    struct eye_addr addr = {.len = sizeof addr.u.in};
    addr.u.in.sin_family = AF_INET;
    addr.u.in.sin_port = htons((uint16_t)silent.port);
    inet_pton(AF_INET, "127.0.0.2", &addr.u.in.sin_addr);
    int listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    CHECK(bind(listener, &addr.u.sa, addr.len) == 0 && listen(listener, 4) == 0);
    int64_t began_ns = sys_now();
    connects(loop, suite_endpoint("tcp:race.test:%u", silent.port));
    int64_t took_ns = sys_now() - began_ns;
    CHECK(took_ns >= 250 * NS_PER_MS && took_ns < 5 * NS_PER_S);
    CHECK_INT(dialled.attempt_count, 2);
    CHECK(dialled.attempts[0].error == -ECANCELED && dialled.attempts[1].error == 0);
    close(listener);
    silent_stop();
}

static int connect_calls;

static int count_connects(const char *call, int fd, size_t *size) {
    (void)fd, (void)size;
    connect_calls += strcmp(call, "connect") == 0;
    return 0;
}

/* Both attempts hear nothing for a while, and then both have connected before the loop runs again: one is
 * given, the other closed. */
static void both_connect(eye_loop *loop) {
    struct eye_addr addr;
    struct pollfd listeners[2] = {{.fd = suite_tcp_listener(4, &addr), .events = POLLIN}, {.events = POLLIN}};
    struct eye_endpoint e = suite_endpoint("tcp:race.test:%u", port_of(&addr));
    inet_pton(AF_INET, "127.0.0.2", &addr.u.in.sin_addr);
    listeners[1].fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    CHECK(bind(listeners[1].fd, &addr.u.sa, addr.len) == 0 && listen(listeners[1].fd, 4) == 0);
    for (int i = 0; i < 2; i++)
        sys_set_deaf(listeners[i].fd);
    struct got got = {0};
    connect_calls = 0;
    sys_fault = count_connects;
    SUBMIT(eye_dial(loop, &got.op, &e, &dialled, got_done));
    UNTIL(connect_calls == 2);
    sys_fault = NULL;
    int connected[2];
    for (int i = 0; i < 2; i++) {
        CHECK_INT(setsockopt(listeners[i].fd, SOL_SOCKET, SO_DETACH_FILTER, &(int){0}, sizeof(int)), 0);
        CHECK_INT(poll(&listeners[i], 1, 10000), 1); /* when the SYN is said again */
        connected[i] = accept4(listeners[i].fd, NULL, NULL, SOCK_CLOEXEC);
    }
    AWAIT_INT(got, 0);
    CHECK_INT(dialled.attempt_count, 2);
    int winner = dialled.attempts[1].error == 0;
    CHECK_INT(dialled.attempts[!winner].error, -ECANCELED);
    char byte;
    CHECK(recv(connected[!winner], &byte, 1, 0) <= 0);
    CHECK(recv(connected[winner], &byte, 1, MSG_DONTWAIT) < 0 && errno == EAGAIN);
    suite_close(dialled.stream);
    for (int i = 0; i < 2; i++) {
        close(connected[i]);
        close(listeners[i].fd);
    }
    eye_endpoint_done(&e);
}

static void huge_timeout(eye_loop *loop) {
    struct eye_addr addr;
    int listener = suite_tcp_listener(4, &addr);
    struct eye_endpoint e = suite_endpoint("tcp:127.0.0.1:%u", port_of(&addr));
    e.timeout_ns = INT64_MAX;
    connects(loop, e);
    close(listener);
}

static void unreachable(eye_loop *loop) {
    if (unshare(CLONE_NEWUSER | CLONE_NEWNET) < 0 && unshare(CLONE_NEWNET) < 0)
        suite_skip("no network namespace to be had: %s", strerror(errno));
    fails(loop, suite_endpoint("tcp:192.0.2.1:9"), -ENETUNREACH);
    CHECK_STR(dialled.err.cause, "no route to that network");
}

/* ---- allow and deny ---- */

static void denied(eye_loop *loop) {
    struct eye_addr addr;
    int listener = suite_tcp_listener(8, &addr);
    unsigned port = port_of(&addr);
    fails(loop, suite_endpoint("tcp:127.0.0.1:%u,deny=127.0.0.0/8", port), EYE_EDENIED);
    fails(loop, suite_endpoint("tcp:127.0.0.1:%u,allow=192.0.2.0/24", port), EYE_EDENIED);
    fails(loop, suite_endpoint("tcp:one.test:%u,deny=127.0.0.1", port), EYE_EDENIED);
    /* No spelling dodges a rule. */
    fails(loop, suite_endpoint("tcp:[::ffff:127.0.0.1]:%u,deny=127.0.0.0/8", port), EYE_EDENIED);
    fails(loop, suite_endpoint("tcp:mapped.test:%u,deny=127.0.0.0/8", port), EYE_EDENIED);
    fails(loop, suite_endpoint("tcp:0x7f000001:%u,deny=127.0.0.1", port), EYE_EDENIED);
    fails(loop, suite_endpoint("tcp:127.0.0.1:%u,deny=::ffff:127.0.0.0/104", port), EYE_EDENIED);
    connects(loop, suite_endpoint("tcp:127.0.0.1:%u,allow=127.0.0.1,deny=192.0.2.0/24", port));
    /* What is left is tried. */
    connects(loop, suite_endpoint("tcp:two.test:%u,deny=127.0.0.2", port));
    CHECK(dialled.attempts[0].error == EYE_EDENIED && dialled.attempts[1].error == 0);
    close(listener);
}

/* ---- cancelling ---- */

static void cancels(eye_loop *loop, struct eye_endpoint e, int turns) {
    struct got got = {0};
    SUBMIT(eye_dial(loop, &got.op, &e, &dialled, got_done));
    suite_turns(turns);
    if (CHECK_INT(got.count, 0)) {
        SUBMIT(eye_cancel(loop, &got.op));
        AWAIT(got);
        CHECK(got.count == 1 && (got.result == -ECANCELED || got.result == 0));
    }
    if (got.count && got.result == 0)
        suite_close(dialled.stream);
    eye_endpoint_done(&e);
}

static void cancel_at_once(eye_loop *loop) {
    struct eye_addr addr;
    int listener = suite_tcp_listener(8, &addr);
    cancels(loop, suite_endpoint("tcp:127.0.0.1:%u", port_of(&addr)), 0);
    cancels(loop, suite_endpoint("tcp:one.test:%u", port_of(&addr)), 0);
    close(listener);
}

static void cancel_lookup(eye_loop *loop) {
    struct eye_endpoint e = suite_endpoint("tcp:slow.test:9");
    struct got got = {0};
    SUBMIT(eye_dial(loop, &got.op, &e, &dialled, got_done));
    UNTIL(gate_count() == 1);
    SUBMIT(eye_cancel(loop, &got.op));
    AWAIT_INT(got, -ECANCELED); /* while the resolver hangs */
    eye_endpoint_done(&e);
    gate_let_go(1);
}

static void deadline_of_lookup(eye_loop *loop) {
    fails(loop, suite_endpoint("tcp:slow.test:9,timeout=50ms"), EYE_EDEADLINE);
    gate_let_go(1);
}

static void cancel_attempt(eye_loop *loop) {
    silent_start();
    cancels(loop, suite_endpoint("tcp:127.0.0.1:%u", silent.port), 3);
    struct eye_endpoint e = suite_endpoint("tcp:race.test:%u", silent.port);
    struct got got = {0};
    SUBMIT(eye_dial(loop, &got.op, &e, &dialled, got_done));
    UNTIL(dialled.attempt_count == 1);
    suite_turns(2);
    SUBMIT(eye_cancel(loop, &got.op));
    AWAIT_INT(got, -ECANCELED);
    eye_endpoint_done(&e);
    silent_stop();
}

/* ---- Unix sockets ---- */

static int unix_listener(const char *name, int backlog) {
    struct sockaddr_un sun = {.sun_family = AF_UNIX};
    memcpy(sun.sun_path + 1, name, strlen(name));
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    CHECK_INT(bind(fd, (struct sockaddr *)&sun,
                   (socklen_t)(offsetof(struct sockaddr_un, sun_path) + 1 + strlen(name))),
              0);
    CHECK_INT(listen(fd, backlog), 0);
    return fd;
}

static void unix_full(eye_loop *loop) {
    char name[64];
    snprintf(name, sizeof name, "sockeye-test-full-%d", getpid());
    int listener = unix_listener(name, 0);
    struct eye_endpoint e = suite_endpoint("unix:@%s", name);
    struct eye_endpoint hasty = suite_endpoint("unix:@%s,timeout=100ms", name);
    eye_stream *first = NULL;
    if (dial(loop, &e, 0))
        first = dialled.stream;
    dial(loop, &hasty, EYE_EDEADLINE); /* the queue holds one */
    struct got got = {0}, cancelled = {0};
    struct eye_dialled other;
    SUBMIT(eye_dial(loop, &cancelled.op, &e, &other, got_done));
    SUBMIT(eye_dial(loop, &got.op, &e, &dialled, got_done));
    suite_turns(5);
    CHECK_INT(got.count, 0);
    SUBMIT(eye_cancel(loop, &cancelled.op));
    AWAIT_INT(cancelled, -ECANCELED);
    close(accept(listener, NULL, NULL));
    AWAIT_INT(got, 0);
    CHECK_INT(dialled.attempt_count, 1);
    suite_close(dialled.stream);
    if (first)
        suite_close(first);
    close(listener);
    eye_endpoint_done(&e);
    eye_endpoint_done(&hasty);
}

static void unix_wrong(eye_loop *loop) {
    char dir[64], path[80];
    suite_tempdir(dir);
    fails(loop, suite_endpoint("unix:%s/none", dir), -ENOENT);
    snprintf(path, sizeof path, "%s/plain", dir);
    close(open(path, O_CREAT | O_WRONLY | O_CLOEXEC, 0600));
    fails(loop, suite_endpoint("unix:%s/plain", dir), -ECONNREFUSED);
    struct eye_endpoint e = suite_endpoint("unix:%s/socket", dir);
    eye_listener *listener;
    CHECK_INT(eye_listen(loop, &e, &listener, 1, NULL), 1);
    fails(loop, suite_endpoint("unix:%s/socket,type=seqpacket", dir), -EPROTOTYPE);
    CHECK(strstr(dialled.err.cause, "type="));
    eye_listener_free(listener);
    eye_endpoint_done(&e);
    suite_remove(dir);
}

static const struct suite_case cases[] = {
    {"an address", literal},
    {"a name, and one that does not resolve", name},
    {"refused", refused},
    {"the first of two addresses refuses, the second is tried at once", first_refused},
    {"the families take turns", families},
    {"a deadline passes where nobody answers", deadline},
    {"a deadline counts from the call", deadline_from_now},
    {"the first address is silent, the second wins the race", first_silent},
    {"both have connected, one is closed", both_connect},
    {"a timeout that never ends", huge_timeout},
    {"a network without a route", unreachable},
    {"allow and deny, in every spelling", denied},
    {"cancelled at once", cancel_at_once},
    {"cancelled while the resolver hangs", cancel_lookup},
    {"a deadline passes while the resolver hangs", deadline_of_lookup},
    {"cancelled while attempts are in flight", cancel_attempt},
    {"a Unix socket whose queue is full", unix_full},
    {"a Unix socket that is none, or of another type", unix_wrong},
};

int main(int argc, char **argv) {
    return suite_main(cases, ARRAY_LEN(cases), argc, argv);
}
