/* A relay: for each peer of the first endpoint, the second is opened and the two are joined, until SIGINT. */
#include <signal.h>
#include <stdio.h>

#include <sockeye/sockeye.h>

static eye_forward *forward;

static void happened(void *user, const struct eye_event *event) {
    (void)user;
    if (event->kind == EYE_EVENT_LISTENING)
        printf("listening on %s\n", event->address);
    else if (event->kind == EYE_EVENT_CLOSED)
        printf("peer %llu: %llu bytes to, %llu back, %s\n", (unsigned long long)event->conn,
               (unsigned long long)event->bytes[0], (unsigned long long)event->bytes[1],
               eye_reason_name(event->reason));
    fflush(stdout);
}

static void interrupted(eye_op *op, int64_t result) {
    (void)op;
    if (result == SIGINT)
        eye_forward_stop(forward, 1000000000); /* peers get a second */
}

static void ended(eye_op *op, int64_t result) {
    (void)result;
    eye_loop_stop(op->user);
}

int main(int argc, char **argv) {
    const struct eye_observer observer = {.event = happened};
    struct eye_endpoint from, to;
    struct eye_outcome outcome;
    struct eye_err err;
    eye_loop *loop;
    eye_op run = {0}, sigint = {0};

    if (argc != 3 || eye_endpoint_parse(argv[1], &from, &err) < 0 ||
        eye_endpoint_parse(argv[2], &to, &err) < 0 || eye_loop_new(NULL, &loop, &err) < 0)
        return fprintf(stderr, "usage: relay FROM TO\n"), 2;
    const struct eye_forward_opts opts = {.from = &from, .to = &to, .observer = &observer};
    if (eye_forward_new(loop, &opts, &forward, &err) < 0)
        return fprintf(stderr, "%s\n", err.text), 1;
    run.user = loop;
    eye_signal(loop, &sigint, SIGINT, interrupted);
    eye_forward_run(forward, &run, &outcome, ended);
    eye_loop_run(loop, -1);
    if (outcome.err.code < 0)
        fprintf(stderr, "%s\n", outcome.err.text);
    eye_cancel(loop, &sigint);
    eye_loop_run(loop, -1);
    eye_forward_free(forward);
    eye_loop_free(loop);
    eye_endpoint_done(&from);
    eye_endpoint_done(&to);
    return outcome.err.code < 0;
}
