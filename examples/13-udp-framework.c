/* A UDP echo server in a dozen lines: the handler of the TCP one, on an endpoint of another scheme. */
#include <stdio.h>

#include <sockeye/sockeye.h>

static void answer(eye_peer *peer, struct eye_bytes bytes) {
    eye_peer_send(peer, bytes.data, bytes.size);
}

static void happened(void *user, const struct eye_event *event) {
    (void)user;
    if (event->kind == EYE_EVENT_LISTENING)
        printf("listening on %s\n", event->address), fflush(stdout);
}

int main(int argc, char **argv) {
    struct eye_handler echo = {.data = answer, .observer = &(struct eye_observer){.event = happened}};
    struct eye_endpoint endpoint;
    struct eye_err err;
    eye_loop *loop;
    eye_server *server;

    if (eye_endpoint_parse(argc > 1 ? argv[1] : "udp:localhost:5566", &endpoint, &err) == 0 &&
        eye_loop_new(NULL, &loop, &err) == 0 && eye_serve(loop, &endpoint, &echo, &server, &err) == 0)
        return eye_loop_run(loop, -1) < 0;
    fprintf(stderr, "%s\n", err.text);
    return 1;
}
