/* Sends a datagram to an endpoint again and again: ENDPOINT [EVERY [COUNT]]. Where a host says that nobody
 * listens, that is the error of the next one. */
#include <stdio.h>
#include <stdlib.h>

#include <sockeye/sockeye.h>

static const char text[] = "Hello\n";
static eye_loop *loop;
static eye_stream *stream;
static int64_t every_ns = 5000000000, next_ns;
static long count = -1; /* for ever */
static int status;

static void send_next(eye_op *op, int64_t result);

static void closed(eye_op *op, int64_t result) {
    (void)op, (void)result;
}

static void sent(eye_op *op, int64_t result) {
    if (result < 0) {
        fprintf(stderr, "not sent: %s\n", eye_strerror((int)result));
        status = 1;
    }
    if (result < 0 || --count == 0)
        eye_close(stream, op, closed);
    else /* reckoned from when this one was due, so that the times do not drift */
        eye_timer(loop, op, next_ns += every_ns, send_next);
}

static void send_next(eye_op *op, int64_t result) {
    (void)result;
    eye_send(stream, op, text, sizeof text - 1, sent);
}

static void dialled(eye_op *op, int64_t result) {
    struct eye_dialled *dialled = op->user;
    if (result < 0) {
        fprintf(stderr, "%s\n", dialled->err.text);
        exit(1);
    }
    stream = dialled->stream;
    next_ns = eye_loop_now(loop);
    send_next(op, 0);
}

int main(int argc, char **argv) {
    struct eye_dialled dial;
    struct eye_endpoint endpoint;
    struct eye_err err;
    eye_op op = {.user = &dial};

    count = argc > 3 ? atol(argv[3]) : -1;
    if (eye_endpoint_parse(argc > 1 ? argv[1] : "udp:127.0.0.1:5566", &endpoint, &err) < 0 ||
        eye_loop_new(NULL, &loop, &err) < 0 || (argc > 2 && eye_parse_duration(argv[2], &every_ns) < 0))
        return fprintf(stderr, "usage: 14-udp-sender ENDPOINT [EVERY [COUNT]]\n"), 2;
    eye_dial(loop, &op, &endpoint, &dial, dialled);
    return eye_loop_run(loop, -1) < 0 ? 1 : status;
}
