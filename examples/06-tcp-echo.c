/* TCP echo: every peer gets back what it sends, again and again until it ends; all peers at once. An
 * observer hears of each connection. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include <sockeye/sockeye.h>

static _Noreturn void fail(const struct eye_err *err) {
    fprintf(stderr, "%s%s%s\n", err->text, *err->cause ? "; likely cause: " : "", err->cause);
    exit(1);
}

/* Sends all of it, in as many steps as that takes; until it has gone, nothing more is read from the peer. */
static void answer(eye_peer *peer, struct eye_bytes bytes) {
    eye_peer_send(peer, bytes.data, bytes.size);
}

static void happened(void *user, const struct eye_event *event) {
    (void)user;
    if (event->kind == EYE_EVENT_LISTENING)
        printf("listening on %s\n", event->address);
    if (event->kind == EYE_EVENT_CONNECTED)
        printf("%" PRIu64 ": connected from %s\n", event->conn, event->peer);
    if (event->kind == EYE_EVENT_CLOSED)
        printf("%" PRIu64 ": %s, %" PRIu64 " bytes received, %" PRIu64 " sent\n", event->conn,
               eye_reason_name(event->reason), event->bytes[0], event->bytes[1]);
}

int main(int argc, char **argv) {
    const struct eye_observer observer = {.event = happened};
    const struct eye_handler echo = {.data = answer, .observer = &observer};
    struct eye_endpoint endpoint;
    struct eye_err err;
    eye_loop *loop;
    eye_server *server;

    setlinebuf(stdout);
    if (eye_endpoint_parse(argc > 1 ? argv[1] : "tcp:127.0.0.1:5566", &endpoint, &err) < 0 ||
        eye_loop_new(NULL, &loop, &err) < 0 || eye_serve(loop, &endpoint, &echo, &server, &err) < 0)
        fail(&err);
    return eye_loop_run(loop, -1) < 0;
}
