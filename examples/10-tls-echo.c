/* TLS echo: what makes it TLS is the endpoint. Hands are shaken before a peer is one, its end is told from a
 * cut, and who is turned away is told why. */
#include <stdio.h>
#include <stdlib.h>

#include <sockeye/sockeye.h>

static void answer(eye_peer *peer, struct eye_bytes bytes) {
    eye_peer_send(peer, bytes.data, bytes.size);
}

static void happened(void *user, const struct eye_event *event) {
    (void)user;
    if (event->kind == EYE_EVENT_LISTENING)
        printf("listening on %s\n", event->address);
    if (event->kind == EYE_EVENT_LISTENING && event->pin)
        printf("clients say pin=%s\n", event->pin);
    if (event->kind == EYE_EVENT_TLS)
        printf("%s, %s\n", event->tls->version, event->tls->cipher);
    if (event->kind == EYE_EVENT_CLOSED)
        printf("%s%s%s\n", eye_reason_name(event->reason), event->error ? ": " : "",
               event->error ? event->error->text : "");
}

int main(int argc, char **argv) {
    const struct eye_observer observer = {.event = happened};
    const struct eye_handler echo = {.data = answer, .observer = &observer};
    struct eye_endpoint endpoint;
    struct eye_err err;
    eye_loop *loop;
    eye_server *server;

    setlinebuf(stdout);
    if (eye_endpoint_parse(argc > 1 ? argv[1] : "tls:127.0.0.1:5566", &endpoint, &err) == 0 &&
        eye_loop_new(NULL, &loop, &err) == 0 && eye_serve(loop, &endpoint, &echo, &server, &err) == 0)
        return eye_loop_run(loop, -1) < 0;
    fprintf(stderr, "%s\n", err.text);
    return 1;
}
