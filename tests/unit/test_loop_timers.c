/* test_loop_timers.c: timers, and how long eye_loop_run runs. */
#include <time.h>

#include "suite.h"

#define MANY 10000

static struct got many[MANY];
static int64_t deadline_of[MANY];

/* Deadlines spread over 20 ms, in no order and with equals; every third is cancelled. */
static void ten_thousand(eye_loop *loop) {
    uint32_t x = 1;
    int64_t now_ns = eye_loop_now(loop);
    for (int i = 0; i < MANY; i++) {
        x = x * 1664525 + 1013904223;
        deadline_of[i] = now_ns + (x >> 16) % 4096 * 5000;
        SUBMIT(eye_timer(loop, &many[i].op, deadline_of[i], got_done));
    }
    for (int i = 0; i < MANY; i += 3)
        SUBMIT(eye_cancel(loop, &many[i].op));
    UNTIL(suite.dones == MANY);
    static int by_order[MANY + 1];
    for (int i = 0; i < MANY; i++) {
        bool ok = many[i].count == 1 && many[i].result == (i % 3 == 0 ? -ECANCELED : 0);
        if (!tap_check(ok, __FILE__, __LINE__, "timer %d: %u times, %lld", i, many[i].count,
                       (long long)many[i].result))
            return;
        by_order[many[i].order] = i;
    }
    int last = -1;
    for (int order = 1; order <= MANY; order++) {
        int i = by_order[order];
        if (many[i].result < 0)
            continue;
        bool ok = last < 0 || deadline_of[last] < deadline_of[i] ||
                  (deadline_of[last] == deadline_of[i] && last < i);
        if (!tap_check(ok, __FILE__, __LINE__, "timer %d fired after %d", i, last))
            return;
        last = i;
    }
}

static void equal_deadlines(eye_loop *loop) {
    int64_t deadline_ns = eye_loop_now(loop) + NS_PER_MS;
    for (int i = 0; i < 100; i++)
        SUBMIT(eye_timer(loop, &many[i].op, deadline_ns, got_done));
    for (int i = 0; i < 100; i += 7)
        SUBMIT(eye_cancel(loop, &many[i].op));
    UNTIL(suite.dones == 100);
    unsigned order = 0;
    for (int i = 0; i < 100; i++)
        if (i % 7 != 0 && CHECK(many[i].order > order))
            order = many[i].order;
}

static void check_time(struct got *got) {
    CHECK(eye_loop_now(suite.loop) >= deadline_of[got - many]);
}

static void never_early(eye_loop *loop) {
    for (int i = 0; i < 50; i++) {
        deadline_of[i] = eye_loop_now(loop) + i * 333 * 1000;
        many[i].then = check_time;
        SUBMIT(eye_timer(loop, &many[i].op, deadline_of[i], got_done));
    }
    UNTIL(suite.dones == 50);
}

/* ---- past deadlines ---- */

static bool enough;

static void again_past(struct got *got) {
    if (!enough)
        SUBMIT(eye_timer(suite.loop, &got->op, 0, got_done));
}

static void past_starves_nobody(eye_loop *loop) {
    int fd[2];
    suite_socketpair(SOCK_STREAM, fd);
    eye_stream *s = suite_stream(loop, fd[0], FLAGS_UNIX);
    struct got past = {.then = again_past}, later = {0}, in = {0};
    char buf[8];
    SUBMIT(eye_timer(loop, &past.op, 0, got_done));
    SUBMIT(eye_recv(s, &in.op, buf, sizeof buf, got_done));
    SUBMIT(eye_timer(loop, &later.op, eye_loop_now(loop) + NS_PER_MS, got_done));
    suite_turns(3);
    CHECK(past.count <= 3); /* once a turn */
    suite_write(loop, fd[1], "x", 1);
    AWAIT_INT(in, 1);
    AWAIT_INT(later, 0);
    CHECK(past.count > 1);
    enough = true;
    suite_turns(2);
    suite_close(s);
    close(fd[1]);
}

static struct got other;

static void cancel_other(struct got *got) {
    (void)got;
    SUBMIT(eye_cancel(suite.loop, &other.op));
}

static void cancel_due(eye_loop *loop) {
    /* Both are due in one turn; the first cancels the second. */
    struct got first = {.then = cancel_other};
    SUBMIT(eye_timer(loop, &first.op, 1, got_done));
    SUBMIT(eye_timer(loop, &other.op, 2, got_done));
    AWAIT_INT(first, 0);
    AWAIT_INT(other, -ECANCELED);
}

static void never(eye_loop *loop) {
    struct got got = {0};
    SUBMIT(eye_timer(loop, &got.op, INT64_MAX, got_done));
    CHECK_INT(eye_loop_run(loop, NS_PER_MS), 1);
    CHECK_INT(got.count, 0);
    SUBMIT(eye_cancel(loop, &got.op));
    AWAIT_INT(got, -ECANCELED);
}

/* ---- running ---- */

static void run_times_out(eye_loop *loop) {
    struct got got = {0};
    SUBMIT(eye_timer(loop, &got.op, INT64_MAX, got_done));
    int64_t before_ns = sys_now();
    CHECK_INT(eye_loop_run(loop, 20 * NS_PER_MS), 1);
    CHECK(sys_now() - before_ns >= 20 * NS_PER_MS);
    SUBMIT(eye_cancel(loop, &got.op));
    CHECK_INT(eye_loop_run(loop, INT64_MAX), 0);
    IS_DONE_ONCE(got, -ECANCELED);
    CHECK_INT(eye_loop_run(loop, -1), 0); /* nothing pending: nothing to run for */
}

static void run_stops(eye_loop *loop) {
    struct got got[2] = {0}; /* got_done calls eye_loop_stop */
    SUBMIT(eye_timer(loop, &got[0].op, 0, got_done));
    SUBMIT(eye_timer(loop, &got[1].op, INT64_MAX, got_done));
    CHECK_INT(eye_loop_run(loop, -1), 1);
    IS_DONE_ONCE(got[0], 0);
    SUBMIT(eye_cancel(loop, &got[1].op));
    AWAIT_INT(got[1], -ECANCELED);
}

static void waits_without_cpu(eye_loop *loop) {
    struct got got = {0};
    struct timespec before, after;
    SUBMIT(eye_timer(loop, &got.op, eye_loop_now(loop) + 200 * NS_PER_MS, got_done));
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &before);
    AWAIT_INT(got, 0);
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &after);
    int64_t ns = (after.tv_sec - before.tv_sec) * NS_PER_S + after.tv_nsec - before.tv_nsec;
    CHECK(ns < 60 * NS_PER_MS);
}

static const struct suite_case cases[] = {
    {"ten thousand timers, a third of them cancelled, fire in order", ten_thousand},
    {"timers of one deadline fire in the order in which they were set", equal_deadlines},
    {"no timer fires early", never_early},
    {"a past deadline that is set again and again starves nobody", past_starves_nobody},
    {"a timer that is due is cancelled by another", cancel_due},
    {"a deadline that never comes", never},
    {"running ends when its time is over", run_times_out},
    {"running ends when it is told to stop", run_stops},
    {"waiting for a timer costs no time of the processor", waits_without_cpu},
};

int main(int argc, char **argv) {
    return suite_main(cases, ARRAY_LEN(cases), argc, argv);
}
