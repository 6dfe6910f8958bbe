/* test_flow_serve.c: serving peers with a data handler: answers, limits, idle peers, the orderly end. */
#include "suite.h"

#define BIG_BYTES ((size_t)8 << 20)

/* A server and its observer; what its handler does with data is the case's. */
static struct {
    struct eye_endpoint endpoint;
    struct eye_handler handler;
    struct seen *seen;
    eye_server *server;
    struct got stopped;
} host;

static void echo_data(eye_peer *peer, struct eye_bytes bytes) {
    eye_peer_send(peer, bytes.data, bytes.size);
}

static void serve(eye_loop *loop, struct eye_endpoint endpoint,
                  void (*data)(eye_peer *peer, struct eye_bytes bytes)) {
    host.endpoint = endpoint;
    host.seen = seen_new();
    host.handler = (struct eye_handler){.data = data, .observer = &host.seen->observer};
    host.stopped = (struct got){0};
    if (!CHECK_INT(eye_serve(loop, &host.endpoint, &host.handler, &host.server, NULL), 0))
        exit(1);
    CHECK_INT(host.seen->count[EYE_EVENT_LISTENING], 1);
}

static void stop(int64_t grace_ns) {
    SUBMIT(eye_server_stop(host.server, &host.stopped.op, grace_ns, got_done));
}

static void stopped(void) {
    AWAIT_INT(host.stopped, 0);
    CHECK_INT(host.seen->count[EYE_EVENT_CLOSED], host.seen->count[EYE_EVENT_CONNECTED]);
    eye_server_free(host.server);
    eye_endpoint_done(&host.endpoint);
    free(host.seen);
}

static int peer_new(void) {
    return suite_connect(&host.seen->address);
}

static void ping(eye_loop *loop, int fd) {
    char buf[4] = "";
    suite_write(loop, fd, "ping", 4);
    CHECK_INT(suite_read(loop, fd, buf, 4), 4);
    CHECK(memcmp(buf, "ping", 4) == 0);
}

static unsigned closed_count(void) {
    return host.seen->count[EYE_EVENT_CLOSED];
}

/* ---- what the observer hears ---- */

static struct {
    unsigned connected;
    bool with_addresses;
} heard;

static void hear_event(void *user, const struct eye_event *event) {
    seen_event(user, event);
    if (event->kind != EYE_EVENT_CONNECTED)
        return;
    heard.connected++;
    heard.with_addresses = event->peer && event->local;
    CHECK_INT(!event->peer, !event->local);
}

/* Addresses are told unless the observer does without, and allow= knows them either way. */
static void addresses_where_wanted(eye_loop *loop) {
    for (int without = 0; without < 2; without++) {
        heard.connected = 0;
        serve(loop, suite_endpoint("tcp:127.0.0.1:0,allow=127.0.0.0/8"), echo_data);
        host.seen->observer.event = hear_event;
        host.seen->observer.without_addresses = without;
        int fd = peer_new();
        ping(loop, fd);
        CHECK_INT(heard.connected, 1);
        CHECK_INT(heard.with_addresses, !without);
        close(fd);
        stop(0);
        stopped();
    }
}

/* ---- answers ---- */

static void echoes(eye_loop *loop) {
    serve(loop, suite_endpoint("tcp:127.0.0.1:0"), echo_data);
    int fd = peer_new();
    for (int i = 0; i < 10; i++)
        ping(loop, fd);
    shutdown(fd, SHUT_WR);
    CHECK_END(fd);
    UNTIL(closed_count() == 1);
    CHECK(host.seen->bytes[0] == 40 && host.seen->bytes[1] == 40);
    CHECK_STR(eye_reason_name(host.seen->reason), "end");
    CHECK_STR(host.seen->path[1], "copy");
    close(fd);
    stop(0);
    stopped();
}

static void hundred_peers(eye_loop *loop) {
    serve(loop, suite_endpoint("tcp:127.0.0.1:0"), echo_data);
    int fd[100];
    for (int i = 0; i < 100; i++) {
        fd[i] = peer_new();
        suite_turns(1);
    }
    for (int round = 0; round < 3; round++)
        for (int i = 0; i < 100; i++)
            ping(loop, fd[i]);
    CHECK_INT(host.seen->count[EYE_EVENT_CONNECTED], 100);
    for (int i = 0; i < 100; i++)
        close(fd[i]);
    UNTIL(closed_count() == 100);
    stop(0);
    stopped();
}

static void pieces_data(eye_peer *peer, struct eye_bytes bytes) {
    for (size_t i = 0; i < bytes.size; i++) {
        eye_peer_send(peer, "<", 1);
        eye_peer_send(peer, "", 0);
        eye_peer_send(peer, bytes.data + i, 1);
        eye_peer_send(peer, ">", 1);
    }
}

static void many_sends(eye_loop *loop) {
    serve(loop, suite_endpoint("tcp:127.0.0.1:0"), pieces_data);
    int fd = peer_new();
    char buf[16] = "";
    suite_write(loop, fd, "abc", 3);
    CHECK_INT(suite_read(loop, fd, buf, 9), 9);
    CHECK_STR(buf, "<a><b><c>");
    close(fd);
    stop(SUITE_LIMIT_NS);
    stopped();
}

static uint8_t *big;

static void big_data(eye_peer *peer, struct eye_bytes bytes) {
    (void)bytes;
    for (int i = 0; i < 4; i++)
        eye_peer_send(peer, big + (size_t)i * BIG_BYTES / 4, BIG_BYTES / 4);
}

static void big_answer(eye_loop *loop) {
    /* More than a socket holds, for a reader that begins late and is slow; and its end behind it. */
    big = suite_pattern(BIG_BYTES);
    serve(loop, suite_endpoint("tcp:127.0.0.1:0"), big_data);
    int fd = peer_new();
    suite_write(loop, fd, "?", 1);
    shutdown(fd, SHUT_WR);
    suite_turns(20);
    uint8_t *came = malloc(BIG_BYTES);
    size_t got = 0;
    while (got < BIG_BYTES) {
        int64_t n = suite_next(loop, fd, came + got, MIN((size_t)20000, BIG_BYTES - got));
        if (!CHECK(n > 0))
            break;
        got += (size_t)n;
    }
    CHECK(memcmp(big, came, BIG_BYTES) == 0);
    CHECK_END(fd);
    close(fd);
    stop(SUITE_LIMIT_NS);
    stopped();
    free(came);
    free(big);
}

static void deaf_peer(eye_loop *loop) {
    /* One sends for ever and never reads: no more is read from it than is answered. */
    serve(loop, suite_endpoint("tcp:127.0.0.1:0,sndbuf=64KiB,rcvbuf=64KiB"), echo_data);
    int deaf = peer_new(), fd = peer_new();
    uint8_t *data = suite_pattern(BIG_BYTES);
    size_t taken = 0;
    for (int stuck = 0; stuck < 20; stuck++) {
        ssize_t n = write(deaf, data, BIG_BYTES);
        if (n > 0) {
            taken += (size_t)n;
            stuck = 0;
        }
        eye_loop_run(loop, NS_PER_MS);
    }
    CHECK(taken < 2 * BIG_BYTES);
    for (int i = 0; i < 20; i++)
        ping(loop, fd);
    stop(0);
    stopped();
    close(deaf);
    close(fd);
    free(data);
}

static void unix_messages(eye_loop *loop) {
    char name[64];
    snprintf(name, sizeof name, "sockeye-test-messages-%d", getpid());
    serve(loop, suite_endpoint("unix:@%s,type=seqpacket", name), echo_data);
    int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
    CHECK_INT(connect(fd, &host.seen->address.u.sa, host.seen->address.len), 0);
    fcntl(fd, F_SETFL, O_NONBLOCK);
    char buf[16];
    CHECK(send(fd, "one", 3, 0) == 3 && send(fd, "", 0, 0) == 0 && send(fd, "three", 5, 0) == 5);
    CHECK_INT(suite_next(loop, fd, buf, sizeof buf), 3);
    CHECK_INT(suite_next(loop, fd, buf, sizeof buf), 5);
    close(fd);
    stop(SUITE_LIMIT_NS);
    stopped();
}

/* ---- limits ---- */

static void peers_max(eye_loop *loop) {
    serve(loop, suite_endpoint("tcp:127.0.0.1:0,max=2"), echo_data);
    int fd[3];
    for (int i = 0; i < 3; i++)
        fd[i] = peer_new();
    ping(loop, fd[0]);
    ping(loop, fd[1]);
    suite_write(loop, fd[2], "ping", 4);
    suite_turns(10);
    CHECK_INT(host.seen->count[EYE_EVENT_CONNECTED], 2);
    char buf[4];
    CHECK(read(fd[2], buf, 4) < 0 && errno == EAGAIN); /* it waits, and is not turned away */
    close(fd[0]);
    CHECK_INT(suite_read(loop, fd[2], buf, 4), 4);
    CHECK_INT(host.seen->count[EYE_EVENT_CONNECTED], 3);
    ping(loop, fd[1]);
    close(fd[1]);
    close(fd[2]);
    stop(SUITE_LIMIT_NS);
    stopped();
}

static void idle(eye_loop *loop) {
    serve(loop, suite_endpoint("tcp:127.0.0.1:0,idle=500ms"), echo_data);
    int silent = peer_new(), busy = peer_new();
    int64_t began_ns = sys_now();
    while (closed_count() == 0 && sys_now() < began_ns + SUITE_LIMIT_NS) {
        int64_t until_ns = sys_now() + 20 * NS_PER_MS;
        while (sys_now() < until_ns)
            eye_loop_run(loop, until_ns - sys_now());
        ping(loop, busy);
    }
    CHECK(sys_now() - began_ns >= 500 * NS_PER_MS);
    CHECK_STR(eye_reason_name(host.seen->reason), "idle");
    CHECK_INT(host.seen->error, EYE_EDEADLINE);
    char buf[4];
    CHECK_INT(suite_next(loop, silent, buf, 1), -ECONNRESET);
    ping(loop, busy);
    close(busy);
    close(silent);
    UNTIL(closed_count() == 2);
    CHECK_STR(eye_reason_name(host.seen->reason), "end");
    stop(0);
    stopped();
}

static void denied(eye_loop *loop) {
    serve(loop, suite_endpoint("tcp:[::]:0,deny=127.0.0.0/8"), echo_data); /* it comes as a mapped one */
    struct eye_addr addr = {.len = sizeof addr.u.in};
    addr.u.in.sin_family = AF_INET;
    addr.u.in.sin_port = htons(eye_addr_port(&host.seen->address));
    addr.u.in.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    int fd = suite_connect(&addr);
    char buf[4];
    CHECK(suite_next(loop, fd, buf, 1) <= 0);
    UNTIL(closed_count() == 1);
    CHECK_STR(eye_reason_name(host.seen->reason), "denied");
    CHECK_INT(host.seen->bytes[0], 0);
    close(fd);
    stop(0);
    stopped();
}

static void peer_resets(eye_loop *loop) {
    serve(loop, suite_endpoint("tcp:127.0.0.1:0"), echo_data);
    int fd = peer_new(), other = peer_new();
    ping(loop, fd);
    suite_reset(fd);
    UNTIL(closed_count() == 1);
    CHECK_STR(eye_reason_name(host.seen->reason), "reset");
    ping(loop, other);
    close(other);
    stop(SUITE_LIMIT_NS);
    stopped();
}

/* ---- the end ---- */

static bool refused(const struct eye_addr *addr) {
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    CHECK(connect(fd, &addr->u.sa, addr->len) < 0 && errno == EINPROGRESS);
    int code = sys_socket_error(fd); /* over loopback the answer is there already */
    close(fd);
    return code == -ECONNREFUSED;
}

static void stop_waits(eye_loop *loop) {
    serve(loop, suite_endpoint("tcp:127.0.0.1:0"), echo_data);
    struct eye_addr addr = host.seen->address;
    int fd = peer_new();
    ping(loop, fd);
    stop(SUITE_LIMIT_NS);
    suite_turns(3);
    CHECK_INT(host.stopped.count, 0);
    UNTIL(refused(&addr)); /* soon: when handshakes that were begun have ended */
    ping(loop, fd);        /* who is there is served to the end */
    shutdown(fd, SHUT_WR);
    CHECK_END(fd);
    stopped();
    close(fd);
}

static void stop_cuts(eye_loop *loop) {
    serve(loop, suite_endpoint("tcp:127.0.0.1:0"), echo_data);
    int fd = peer_new();
    ping(loop, fd);
    int64_t began_ns = eye_loop_now(loop); /* the grace is counted from it */
    stop(50 * NS_PER_MS);
    char buf[4];
    CHECK_INT(suite_next(loop, fd, buf, 1), -ECONNRESET);
    AWAIT(host.stopped);
    CHECK(sys_now() - began_ns >= 45 * NS_PER_MS);
    CHECK_STR(eye_reason_name(host.seen->reason), "timeout");
    stopped();
    close(fd);
}

static void stop_again(eye_loop *loop) {
    serve(loop, suite_endpoint("tcp:127.0.0.1:0"), echo_data);
    struct got sooner = {0};
    int fd = peer_new();
    ping(loop, fd);
    stop(SUITE_LIMIT_NS);
    suite_turns(3);
    CHECK_INT(host.stopped.count, 0);
    SUBMIT(eye_server_stop(host.server, &sooner.op, 0, got_done));
    AWAIT_INT(sooner, 0);
    stopped();
    close(fd);
}

/* Who is in the queue when the stop is said believes itself connected. */
static void stop_serves_the_queue(eye_loop *loop) {
    enum { QUEUED = 20 };
    serve(loop, suite_endpoint("tcp:127.0.0.1:0"), echo_data);
    int fd[QUEUED];
    for (int i = 0; i < QUEUED; i++)
        fd[i] = peer_new();
    stop(SUITE_LIMIT_NS);
    for (int i = 0; i < QUEUED; i++) {
        ping(loop, fd[i]);
        shutdown(fd[i], SHUT_WR);
        CHECK_END(fd[i]);
        close(fd[i]);
    }
    stopped();
}

/* Stops with a peer in each state there is: just come, idle, being answered, finishing. */
static void stop_in_each_state(eye_loop *loop) {
    big = suite_pattern(BIG_BYTES);
    for (int turns = 0; turns < 8; turns++) {
        serve(loop, suite_endpoint("tcp:127.0.0.1:0,idle=10s"), turns % 2 ? big_data : echo_data);
        int fd[4];
        for (int i = 0; i < 4; i++)
            fd[i] = peer_new();
        CHECK(write(fd[1], "x", 1) == 1 && write(fd[2], "x", 1) == 1);
        shutdown(fd[2], SHUT_WR);
        suite_reset(fd[3]);
        suite_turns(turns);
        stop(0);
        stopped();
        for (int i = 0; i < 3; i++)
            close(fd[i]);
    }
    free(big);
}

static int no_accept(const char *call, int fd, size_t *size) {
    (void)fd, (void)size;
    return strcmp(call, "accept") == 0 ? -EMFILE : 0;
}

static void stop_while_paused(eye_loop *loop) {
    serve(loop, suite_endpoint("tcp:127.0.0.1:0"), echo_data);
    sys_fault = no_accept;
    int fd = peer_new();
    UNTIL(host.seen->count[EYE_EVENT_PAUSED] == 1);
    stop(SUITE_LIMIT_NS);
    sys_fault = NULL;
    UNTIL(host.seen->count[EYE_EVENT_CONNECTED] == 1); /* who is in the queue is served still */
    close(fd);
    stopped();
}

static void unlinked(eye_loop *loop) {
    char dir[64], path[80];
    suite_tempdir(dir);
    snprintf(path, sizeof path, "%s/socket", dir);
    serve(loop, suite_endpoint("unix:%s", path), echo_data);
    CHECK_INT(access(path, F_OK), 0);
    stop(0);
    CHECK(access(path, F_OK) < 0); /* at once: nobody need try it */
    stopped();
    suite_remove(dir);
}

/* ---- a handler that takes the stream over ---- */

static struct {
    eye_peer *peer;
    eye_stream *stream;
    struct got got;
    unsigned stops;
} taken;

static void take_closed(struct got *got) {
    (void)got;
    eye_peer_end(taken.peer, &(struct eye_outcome){.reason = EYE_REASON_END, .bytes = {1, 2}});
}

static void take_stream(eye_peer *peer, eye_stream *stream) {
    taken.peer = peer;
    taken.stream = stream;
}

static void take_stop(eye_peer *peer) {
    CHECK(peer == taken.peer);
    taken.stops++;
    taken.got.then = take_closed;
    SUBMIT(eye_close(taken.stream, &taken.got.op, got_done));
}

static void stream_handler(eye_loop *loop) {
    host.endpoint = suite_endpoint("tcp:127.0.0.1:0");
    host.seen = seen_new();
    host.handler =
        (struct eye_handler){.stream = take_stream, .stop = take_stop, .observer = &host.seen->observer};
    host.stopped = (struct got){0};
    CHECK_INT(eye_serve(loop, &host.endpoint, &host.handler, &host.server, NULL), 0);
    int fd = peer_new();
    UNTIL(taken.stream != NULL);
    stop(30 * NS_PER_MS);
    AWAIT(host.stopped);
    CHECK_INT(taken.stops, 1);
    CHECK(host.seen->bytes[0] == 1 && host.seen->bytes[1] == 2);
    stopped();
    close(fd);
}

static const struct suite_case cases[] = {
    {"addresses are told where the observer wants them", addresses_where_wanted},
    {"a peer is answered until it ends", echoes},
    {"a hundred peers", hundred_peers},
    {"many answers to one piece of data", many_sends},
    {"an answer larger than a socket holds, to a slow reader", big_answer},
    {"a peer that sends and never reads is bounded and holds nobody up", deaf_peer},
    {"messages are answered one by one", unix_messages},
    {"max= peers at once, the others wait", peers_max},
    {"idle= ends the silent and no other", idle},
    {"deny= holds for mapped addresses", denied},
    {"a reset is told as one", peer_resets},
    {"stopping lets peers finish", stop_waits},
    {"stopping ends them when their time is up", stop_cuts},
    {"stopping once more, to end sooner", stop_again},
    {"stopping serves who is in the queue", stop_serves_the_queue},
    {"stopping with peers in each state", stop_in_each_state},
    {"stopping while accepting is paused", stop_while_paused},
    {"stopping removes the Unix socket", unlinked},
    {"a handler that takes the stream over is asked to stop", stream_handler},
};

int main(int argc, char **argv) {
    return suite_main(cases, ARRAY_LEN(cases), argc, argv);
}
