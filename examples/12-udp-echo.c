/* UDP echo: each datagram goes back to who sent it, from the address that it was sent to; the empty one and
 * the largest too. Senders are no peers with a life of their own here, so no number of them fills anything.
 */
#include <stdio.h>
#include <stdlib.h>

#include <sockeye/sockeye.h>

static _Noreturn void fail(const struct eye_err *err) {
    fprintf(stderr, "%s%s%s\n", err->text, *err->cause ? "; likely cause: " : "", err->cause);
    exit(1);
}

static void answer(eye_peer *peer, struct eye_bytes bytes) {
    struct eye_addr addr;
    char text[EYE_ADDR_TEXT_MAX];

    if (eye_peer_addr(peer, &addr) == 0 && eye_addr_format(&addr, text, sizeof text) >= 0)
        printf("%zu bytes from %s\n", bytes.size, text);
    eye_peer_send(peer, bytes.data, bytes.size);
}

static void happened(void *user, const struct eye_event *event) {
    (void)user;
    if (event->kind == EYE_EVENT_LISTENING)
        printf("listening on %s\n", event->address);
}

int main(int argc, char **argv) {
    const struct eye_observer observer = {.event = happened};
    const struct eye_handler echo = {.data = answer, .observer = &observer};
    struct eye_endpoint endpoint;
    struct eye_err err;
    eye_loop *loop;
    eye_server *server;

    setlinebuf(stdout);
    if (eye_endpoint_parse(argc > 1 ? argv[1] : "udp:127.0.0.1:5566", &endpoint, &err) < 0 ||
        eye_loop_new(NULL, &loop, &err) < 0 || eye_serve(loop, &endpoint, &echo, &server, &err) < 0)
        fail(&err);
    return eye_loop_run(loop, -1) < 0;
}
