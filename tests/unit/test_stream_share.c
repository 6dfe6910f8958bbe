/* test_stream_share.c: one endpoint on several loops (eye_share). One thread runs them by turns here. */
#include <sys/stat.h>

#include "suite.h"

#define LOOPS 2

static struct {
    struct eye_endpoint endpoint, shares[LOOPS];
    eye_loop *loops[LOOPS];
    eye_listener *listeners[LOOPS];
    struct got accepts[LOOPS];
    eye_stream *streams[LOOPS];
    struct eye_addr addr;
} shared;

static void share(eye_loop *loop, struct eye_endpoint endpoint) {
    const struct eye_loop_opts opts = {.engine = suite.engine};
    struct eye_err err = {0};
    shared.endpoint = endpoint;
    shared.loops[0] = loop;
    if (!CHECK_INT(eye_loop_new(&opts, &shared.loops[1], NULL), 0) ||
        !CHECK_INT(eye_share(loop, &shared.endpoint, LOOPS, shared.shares, &err), 0)) {
        fprintf(stderr, "# %s\n", err.text);
        exit(1);
    }
}

static void share_listen(eye_loop *loop, struct eye_endpoint endpoint) {
    share(loop, endpoint);
    for (int i = 0; i < LOOPS; i++) {
        if (!CHECK_INT(eye_listen(shared.loops[i], &shared.shares[i], &shared.listeners[i], 1, NULL), 1))
            exit(1);
        SUBMIT(eye_accept(shared.listeners[i], &shared.accepts[i].op, &shared.streams[i], got_done));
    }
    CHECK_INT(eye_listener_addr(shared.listeners[0], &shared.addr), 0);
}

/* A turn of the loops that the suite does not run. */
static bool turn(void) {
    return eye_loop_run(shared.loops[1], 0) >= 0;
}

static bool all_accepted(void) {
    return turn() && shared.accepts[0].count > 0 && shared.accepts[1].count > 0;
}

static void share_ends(void) {
    for (int i = 0; i < LOOPS; i++) {
        struct got closed = {0};
        if (shared.streams[i])
            SUBMIT(eye_close(shared.streams[i], &closed.op, got_done));
        UNTIL(turn() && !eye_op_pending(&closed.op));
        eye_listener_free(shared.listeners[i]);
    }
    eye_shares_done(shared.shares, LOOPS);
    UNTIL(turn() && !eye_op_pending(&shared.accepts[0].op) && !eye_op_pending(&shared.accepts[1].op));
    CHECK_INT(eye_loop_run(shared.loops[1], 0), 0);
    eye_loop_free(shared.loops[1]);
    eye_endpoint_done(&shared.endpoint);
}

/* The kernel divides the peers by their addresses, so that of many both loops have some. */
static void one_address(eye_loop *loop) {
    int fds[200], count = 0;
    struct eye_addr other;
    share_listen(loop, suite_endpoint("tcp:127.0.0.1:0"));
    CHECK_INT(eye_listener_addr(shared.listeners[1], &other), 0);
    CHECK(other.len == shared.addr.len && memcmp(&other.u, &shared.addr.u, other.len) == 0);
    while (count < (int)ARRAY_LEN(fds) && !all_accepted()) {
        fds[count++] = suite_connect(&shared.addr);
        suite_turns(1);
    }
    UNTIL(all_accepted());
    for (int i = 0; i < LOOPS; i++)
        CHECK_INT(shared.accepts[i].result, 0);
    share_ends();
    while (count > 0)
        close(fds[--count]);
}

/* Of a Unix socket there is one queue, for which they compete; its file goes with the first. */
static void one_queue(eye_loop *loop) {
    char dir[64];
    struct stat st;
    suite_tempdir(dir);
    share_listen(loop, suite_endpoint("unix:%s/s", dir));
    int one = suite_connect(&shared.addr), two = suite_connect(&shared.addr);
    UNTIL(all_accepted());
    share_ends();
    CHECK(stat(shared.addr.u.un.sun_path, &st) < 0 && errno == ENOENT);
    close(one);
    close(two);
    suite_remove(dir);
}

static void never_served(eye_loop *loop) {
    share(loop, suite_endpoint("tcp:127.0.0.1:0"));
    share_ends();
}

static void peers_divided(eye_loop *loop) {
    share(loop, suite_endpoint("tcp:127.0.0.1:0,max=5"));
    CHECK_INT(shared.shares[0].peers_max, 3);
    CHECK_INT(shared.shares[1].peers_max, 2);
    share_ends();
}

static void refused(eye_loop *loop) {
    static const char *const texts[] = {"tcp:127.0.0.1:0,max=1", "fd:0"};
    for (size_t i = 0; i < ARRAY_LEN(texts); i++) {
        struct eye_endpoint endpoint = suite_endpoint("%s", texts[i]), shares[LOOPS];
        struct eye_err err = {0};
        CHECK_INT(eye_share(loop, &endpoint, LOOPS, shares, &err), EYE_ESYNTAX);
        CHECK(strstr(err.text, texts[i]) != NULL);
        eye_endpoint_done(&endpoint);
    }
}

static const struct suite_case cases[] = {
    {"two loops listen on one address, and both have peers", one_address},
    {"two loops share the queue of a Unix socket", one_queue},
    {"what no loop has served is closed", never_served},
    {"max= is divided", peers_divided},
    {"what cannot be shared is said", refused},
};

int main(int argc, char **argv) {
    return suite_main(cases, ARRAY_LEN(cases), argc, argv);
}
