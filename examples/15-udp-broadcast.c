/* Tells the time to everybody on the network: ENDPOINT [EVERY [COUNT]]. The endpoint must say `broadcast`;
 * without it the kernel refuses to send to such an address (SO_BROADCAST, socket(7)). */
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include <sockeye/sockeye.h>

static char text[32];
static eye_loop *loop;
static eye_stream *stream;
static int64_t every_ns = 5000000000, next_ns;
static long count = -1; /* for ever */

static void closed(eye_op *op, int64_t result) {
    (void)op, (void)result;
}

static void send_next(eye_op *op, int64_t result);

static void sent(eye_op *op, int64_t result) {
    if (result < 0) /* a network that is down for a while may come back */
        fprintf(stderr, "not sent: %s\n", eye_strerror((int)result));
    if (--count == 0)
        eye_close(stream, op, closed);
    else
        eye_timer(loop, op, next_ns += every_ns, send_next);
}

static void send_next(eye_op *op, int64_t result) {
    struct timespec now;
    (void)result;
    clock_gettime(CLOCK_REALTIME, &now);
    int size = snprintf(text, sizeof text, "%lld.%02ld\n", (long long)now.tv_sec, now.tv_nsec / 10000000);
    eye_send(stream, op, text, (size_t)size, sent);
}

static void dialled(eye_op *op, int64_t result) {
    struct eye_dialled *dialled = op->user;
    if (result < 0) {
        fprintf(stderr, "%s; likely cause: %s\n", dialled->err.text, dialled->err.cause);
        exit(1);
    }
    stream = dialled->stream;
    next_ns = eye_loop_now(loop);
    send_next(op, 0);
}

int main(int argc, char **argv) {
    struct eye_dialled dial;
    struct eye_endpoint endpoint;
    eye_op op = {.user = &dial};

    count = argc > 3 ? atol(argv[3]) : -1;
    if (eye_endpoint_parse(argc > 1 ? argv[1] : "udp:255.255.255.255:5566,broadcast", &endpoint, NULL) < 0 ||
        eye_loop_new(NULL, &loop, NULL) < 0 || (argc > 2 && eye_parse_duration(argv[2], &every_ns) < 0))
        return 2;
    eye_dial(loop, &op, &endpoint, &dial, dialled);
    return eye_loop_run(loop, -1) < 0;
}
