/* test_flow_relay.c: what a relay carries, and by which road: spliced, through a pipe of the pool, copied,
 * and from one to the other in the middle of it. */
#include <sys/resource.h>
#include <time.h>

#include "loop/batch.h"
#include "relays.h"

#define BYTES ((size_t)3 << 20)

/* Sends BYTES both ways at once, as fast as it goes, and compares; then both ends end. */
static void carry_both(eye_loop *loop) {
    uint8_t *data = suite_pattern(BYTES), *came[2] = {malloc(BYTES), malloc(BYTES)};
    size_t sent[2] = {0}, got[2] = {0};
    int64_t until_ns = sys_now() + SUITE_LIMIT_NS;
    while ((got[0] < BYTES || got[1] < BYTES) && sys_now() < until_ns) {
        bool moved = false;
        for (int i = 0; i < 2; i++) {
            ssize_t n = sent[i] < BYTES ? write(joined.far[i].out, data + sent[i], BYTES - sent[i]) : 0;
            sent[i] += n > 0 ? (size_t)n : 0;
            ssize_t m = got[i] < BYTES ? read(joined.far[i].in, came[i] + got[i], BYTES - got[i]) : 0;
            got[i] += m > 0 ? (size_t)m : 0;
            moved |= n > 0 || m > 0;
        }
        eye_loop_run(loop, moved ? 0 : NS_PER_MS);
    }
    for (int i = 0; i < 2; i++) {
        CHECK_INT(got[i], BYTES);
        CHECK(memcmp(data, came[i], BYTES) == 0);
        free(came[i]);
    }
    free(data);
    for (int i = 0; i < 2; i++)
        far_finish(i);
}

static void carry(eye_loop *loop, enum end_kind a, enum end_kind b, const char *path) {
    join(loop, a, b);
    carry_both(loop);
    CHECK_END(joined.far[0].in);
    CHECK_END(joined.far[1].in);
    join_ends(0, EYE_REASON_END);
    for (int way = 0; way < 2; way++) {
        CHECK_INT(joined.outcome.bytes[way], BYTES);
        CHECK_STR(joined.outcome.path[way], path);
    }
}

static void tcp_tcp(eye_loop *loop) {
    carry(loop, END_TCP, END_TCP, "splice");
}

static void unix_tcp(eye_loop *loop) {
    carry(loop, END_UNIX, END_TCP, "splice");
}

static void pipes_tcp(eye_loop *loop) {
    carry(loop, END_PIPES, END_TCP, "splice");
}

static void unix_pipes(eye_loop *loop) {
    carry(loop, END_UNIX, END_PIPES, "splice");
}

static void pipes_pipes(eye_loop *loop) {
    carry(loop, END_PIPES, END_PIPES, "splice");
}

static void copied(eye_loop *loop) {
    carry(loop, END_COPY, END_TCP, "copy");
}

/* No piece of a stream is larger than a datagram. */
static void copied_to_datagrams(eye_loop *loop) {
    enum { SIZE = 2 * 65536 };
    uint8_t *pattern = suite_pattern(SIZE), *got = malloc(SIZE);
    joined.opts = (struct eye_relay_opts){.side[0].eof = EYE_EOF_CLOSE};
    join(loop, END_COPY, END_DATAGRAMS);
    CHECK_INT(suite_write(loop, joined.far[0].out, pattern, SIZE), SIZE);
    for (int64_t come = 0, n; come < SIZE; come += n) {
        n = suite_next(loop, joined.far[1].in, got, SIZE);
        if (!CHECK(n > 0 && n <= DATAGRAM_PAYLOAD_MAX))
            break;
        CHECK(memcmp(got, pattern + come, (size_t)n) == 0);
    }
    far_finish(0);
    join_ends(0, EYE_REASON_END);
    free(pattern);
    free(got);
}

/* Those that are given back are kept while they are of use, and no longer. */
static void idle_pipes_go(eye_loop *loop) {
    struct kpipe *held[32];
    struct got runs = {0}; /* what keeps the loop running: trimming does not */
    int fds = suite_count_fds();
    for (size_t i = 0; i < ARRAY_LEN(held); i++)
        CHECK((held[i] = pipe_get(loop)) != NULL);
    for (size_t i = 0; i < ARRAY_LEN(held); i++)
        pipe_put(loop, held[i], true);
    CHECK_INT(suite_count_fds(), fds + 2 * (int)ARRAY_LEN(held));
    struct kpipe *again = pipe_get(loop);
    CHECK(again == held[ARRAY_LEN(held) - 1]);
    pipe_put(loop, again, true);
    CHECK_INT(eye_loop_run(loop, -1), 0);
    eye_timer(loop, &runs.op, eye_loop_now(loop) + SUITE_LIMIT_NS, got_done);
    UNTIL(suite_count_fds() == fds);
    eye_cancel(loop, &runs.op);
    AWAIT_INT(runs, -ECANCELED);
}

static void copied_to_pipes(eye_loop *loop) {
    carry(loop, END_PIPES, END_COPY, "copy");
}

/* ---- from one road to the other ---- */

static void no_pipes_left(eye_loop *loop) {
    struct kpipe *held[1024];
    size_t count = 0;
    while (count < ARRAY_LEN(held) && (held[count] = pipe_get(loop)))
        count++;
    CHECK(count > 0 && count < ARRAY_LEN(held)); /* the pool has a bound */
    carry(loop, END_TCP, END_TCP, "copy");
    while (count > 0)
        pipe_put(loop, held[--count], true);
}

static void no_descriptors_left(eye_loop *loop) {
    join(loop, END_TCP, END_TCP);
    struct rlimit limit, former;
    getrlimit(RLIMIT_NOFILE, &former);
    limit = former;
    limit.rlim_cur = 3; /* all of them are taken */
    setrlimit(RLIMIT_NOFILE, &limit);
    carry_both(loop);
    setrlimit(RLIMIT_NOFILE, &former);
    join_ends(0, EYE_REASON_END);
    CHECK_STR(joined.outcome.path[0], "copy");
}

static const char *refuse_what;
static unsigned refuse_after;

/* The kernel says EINVAL to splice from then on: it does not do it for these two. */
static int refuse_splice(const char *call, int fd, size_t *size) {
    (void)fd;
    if (strcmp(call, refuse_what) != 0)
        return 0;
    *size = MIN(*size, (size_t)100 * 1000);
    if (refuse_after > 0) {
        refuse_after--;
        return 0;
    }
    return -EINVAL;
}

static void refused_in_the_middle(eye_loop *loop) {
    refuse_what = "splice";
    /* By each parity a different one is refused: taking from a socket, giving to one. */
    for (unsigned after = 0; after < 12; after++) {
        refuse_after = after;
        sys_fault = refuse_splice;
        join(loop, END_TCP, END_UNIX);
        carry_both(loop);
        sys_fault = NULL;
        join_ends(0, EYE_REASON_END);
        CHECK_INT(joined.outcome.bytes[0], BYTES);
        CHECK_INT(joined.outcome.bytes[1], BYTES);
        CHECK_STR(joined.outcome.path[0], "copy");
    }
}

static void interrupted(eye_loop *loop) {
    refuse_what = "none";
    sys_fault = refuse_splice;
    carry(loop, END_TCP, END_PIPES, "splice");
    sys_fault = NULL;
}

/* ---- files ---- */

static void to_file(eye_loop *loop, int extra, const char *path_want) {
    char dir[64], path[80];
    suite_tempdir(dir);
    snprintf(path, sizeof path, "%s/out", dir);
    int null = open("/dev/null", O_RDONLY | O_CLOEXEC);
    int out = open(path, O_WRONLY | O_CREAT | O_CLOEXEC | extra, 0600);
    CHECK_INT(write(out, "before ", 7), 7);
    struct far far;
    eye_stream *a = end_make(loop, END_TCP, &far);
    eye_stream *b = suite_stream_two(loop, null, 0, out, SLOT_SHARED | SLOT_SPLICE);
    eye_relay *relay;
    CHECK_INT(eye_relay_new(loop, a, b, NULL, &relay), 0);
    struct got run = {0};
    SUBMIT(eye_relay_run(relay, &run.op, got_done));
    uint8_t *data = suite_pattern(BYTES), *came = malloc(BYTES + 7);
    CHECK_INT(suite_write(loop, far.out, data, BYTES), BYTES);
    shutdown(far.out, SHUT_WR);
    AWAIT_INT(run, 0);
    struct eye_outcome outcome;
    eye_relay_outcome(relay, &outcome);
    CHECK_STR(outcome.path[0], path_want);
    int in = open(path, O_RDONLY | O_CLOEXEC);
    CHECK_INT(suite_read(loop, in, came, BYTES + 7), BYTES + 7);
    CHECK(memcmp(came, "before ", 7) == 0 && memcmp(came + 7, data, BYTES) == 0);
    close(in);
    eye_relay_free(relay);
    close(far.in);
    free(data);
    free(came);
    suite_remove(dir);
}

static void file(eye_loop *loop) {
    to_file(loop, 0, "splice");
}

static void file_append(eye_loop *loop) {
    to_file(loop, O_APPEND, "copy"); /* splice(2) refuses it with the pipe full of bytes */
}

static void from_file(eye_loop *loop) {
    char dir[64], path[80];
    suite_tempdir(dir);
    snprintf(path, sizeof path, "%s/in", dir);
    uint8_t *data = suite_pattern(BYTES), *came = malloc(BYTES);
    int in = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    CHECK_INT(write(in, data, BYTES), BYTES);
    lseek(in, 0, SEEK_SET);
    struct far far;
    eye_stream *a =
        suite_stream_two(loop, in, SLOT_SHARED | SLOT_SPLICE, open("/dev/null", O_WRONLY | O_CLOEXEC), 0);
    eye_stream *b = end_make(loop, END_TCP, &far);
    eye_relay *relay;
    CHECK_INT(eye_relay_new(loop, a, b, NULL, &relay), 0);
    struct got run = {0};
    SUBMIT(eye_relay_run(relay, &run.op, got_done));
    CHECK_INT(suite_read(loop, far.in, came, BYTES), BYTES);
    CHECK(memcmp(came, data, BYTES) == 0);
    CHECK_END(far.in);
    close(far.in);
    AWAIT_INT(run, 0);
    eye_relay_free(relay);
    free(data);
    free(came);
    suite_remove(dir);
}

/* ---- urgent data, at which a splice stops and does not pass ---- */

static void urgent(eye_loop *loop, enum end_kind sink) {
    join(loop, END_TCP, sink);
    pass_text(loop, 0, "abc");
    suite_write(loop, joined.far[0].out, "def", 3);
    CHECK_INT(send(joined.far[0].out, "!", 1, MSG_OOB), 1);
    suite_write(loop, joined.far[0].out, "ghi", 3);
    char buf[8] = "";
    CHECK_INT(suite_read(loop, joined.far[1].in, buf, 6), 6);
    CHECK_STR(buf, "defghi");
    pass_text(loop, 0, "jkl");
    /* And nothing spins. */
    struct timespec before, after;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &before);
    eye_loop_run(loop, 100 * NS_PER_MS);
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &after);
    CHECK((after.tv_sec - before.tv_sec) * NS_PER_S + after.tv_nsec - before.tv_nsec < 40 * NS_PER_MS);
    far_finish(0);
    far_finish(1);
    join_ends(0, EYE_REASON_END);
}

static void urgent_at_the_end(eye_loop *loop) {
    /* What a splice takes for the end is none. */
    join(loop, END_TCP, END_TCP);
    CHECK_INT(write(joined.far[0].out, "abc", 3), 3);
    CHECK_INT(send(joined.far[0].out, "!", 1, MSG_OOB), 1);
    CHECK_INT(write(joined.far[0].out, "def", 3), 3);
    far_finish(0); /* all of it is there before the relay looks */
    char buf[8] = "";
    CHECK_INT(suite_read(loop, joined.far[1].in, buf, 6), 6);
    CHECK_STR(buf, "abcdef");
    CHECK_END(joined.far[1].in);
    far_finish(1);
    join_ends(0, EYE_REASON_END);
}

static void urgent_to_socket(eye_loop *loop) {
    urgent(loop, END_TCP);
}

static void urgent_to_pipe(eye_loop *loop) {
    urgent(loop, END_PIPES);
}

/* ---- messages ---- */

static void messages(eye_loop *loop) {
    join(loop, END_MESSAGES, END_MESSAGES);
    char buf[64];
    static const char *const texts[] = {"one", "", "three", "", "", "six"};
    for (size_t i = 0; i < ARRAY_LEN(texts); i++)
        CHECK_INT(send(joined.far[0].out, texts[i], strlen(texts[i]), 0), strlen(texts[i]));
    for (size_t i = 0; i < ARRAY_LEN(texts); i++)
        if (texts[i][0]) {
            CHECK_INT(suite_next(loop, joined.far[1].in, buf, sizeof buf), strlen(texts[i]));
            CHECK(memcmp(buf, texts[i], strlen(texts[i])) == 0);
        }
    uint8_t *data = suite_pattern(150000), *came = malloc(200000);
    for (int i = 0; i < 20; i++) {
        size_t size = 150000 - (size_t)i;
        while (send(joined.far[1].out, data, size, 0) < 0 && errno == EAGAIN)
            eye_loop_run(loop, NS_PER_MS);
        CHECK_INT(suite_next(loop, joined.far[0].in, came, 200000), size);
        CHECK(memcmp(came, data, size) == 0);
    }
    free(data);
    free(came);
    far_finish(0);
    far_finish(1);
    join_ends(0, EYE_REASON_END);
}

static void message_too_long(eye_loop *loop) {
    /* More than the relay holds: it ends loudly, and gives no part of it. */
    size_t size = (size_t)300 * 1024;
    join(loop, END_MESSAGES, END_MESSAGES);
    int most = (int)size * 2;
    setsockopt(joined.far[0].out, SOL_SOCKET, SO_SNDBUFFORCE, &most, sizeof most);
    uint8_t *data = suite_pattern(size);
    if (send(joined.far[0].out, data, size, 0) < 0)
        suite_skip("the system takes no message of %zu bytes: %s", size, strerror(errno));
    CHECK_END(joined.far[1].in);
    free(data);
    join_ends(EYE_ETRUNCATED, EYE_REASON_TRUNCATED);
    CHECK_INT(joined.outcome.bytes[0], 0);
}

static const struct suite_case cases[] = {
    {"TCP to TCP", tcp_tcp},
    {"a Unix socket to TCP", unix_tcp},
    {"pipes to TCP", pipes_tcp},
    {"a Unix socket to pipes", unix_pipes},
    {"pipes to pipes", pipes_pipes},
    {"what may not be spliced is copied", copied},
    {"pipes of the pool that nobody needs are closed", idle_pipes_go},
    {"pipes are copied", copied_to_pipes},
    {"a stream's bytes are cut into datagrams", copied_to_datagrams},
    {"with the pool of pipes empty it copies", no_pipes_left},
    {"with no descriptor left it copies", no_descriptors_left},
    {"a splice that is refused in the middle loses nothing", refused_in_the_middle},
    {"short splices", interrupted},
    {"to a file", file},
    {"to a file that is appended to", file_append},
    {"from a file", from_file},
    {"urgent data on the way to a socket holds nothing up", urgent_to_socket},
    {"urgent data on the way to a pipe holds nothing up", urgent_to_pipe},
    {"urgent data before the end is not taken for it", urgent_at_the_end},
    {"messages keep their bounds, empty ones are passed over", messages},
    {"a message that is too long is no short one", message_too_long},
};

int main(int argc, char **argv) {
    return suite_main(cases, ARRAY_LEN(cases), argc, argv);
}
