/* Echo on a Unix domain socket, with an orderly end: on SIGTERM or SIGINT no more peers are taken, those
 * that are there get a second to finish, and the socket's file is gone. */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>

#include <sockeye/sockeye.h>

static eye_loop *loop;
static eye_server *server;
static eye_op signal_ops[2], stop_op;

static _Noreturn void fail(const struct eye_err *err) {
    fprintf(stderr, "%s%s%s\n", err->text, *err->cause ? "; likely cause: " : "", err->cause);
    exit(1);
}

static void answer(eye_peer *peer, struct eye_bytes bytes) {
    eye_peer_send(peer, bytes.data, bytes.size);
}

static void happened(void *user, const struct eye_event *event) {
    (void)user;
    if (event->kind == EYE_EVENT_LISTENING)
        printf("listening on %s\n", event->address);
}

static void stopped(eye_op *op, int64_t result) {
    (void)op, (void)result;
    eye_cancel(loop, &signal_ops[0]); /* with the last operation eye_loop_run returns */
    eye_cancel(loop, &signal_ops[1]);
}

static void signalled(eye_op *op, int64_t signum) {
    (void)op;
    if (signum > 0 && !eye_op_pending(&stop_op))
        eye_server_stop(server, &stop_op, 1000000000, stopped);
}

int main(int argc, char **argv) {
    const struct eye_observer observer = {.event = happened};
    const struct eye_handler echo = {.data = answer, .observer = &observer};
    struct eye_endpoint endpoint;
    struct eye_err err;

    setlinebuf(stdout);
    if (eye_endpoint_parse(argc > 1 ? argv[1] : "unix:./domain.sock", &endpoint, &err) < 0 ||
        eye_loop_new(NULL, &loop, &err) < 0 || eye_serve(loop, &endpoint, &echo, &server, &err) < 0)
        fail(&err);
    eye_signal(loop, &signal_ops[0], SIGTERM, signalled);
    eye_signal(loop, &signal_ops[1], SIGINT, signalled);
    int64_t left = eye_loop_run(loop, -1);
    printf("ended in good order\n");
    eye_server_free(server);
    eye_loop_free(loop);
    eye_endpoint_done(&endpoint);
    return left < 0;
}
