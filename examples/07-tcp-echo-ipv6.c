/* TCP echo on IPv6, which says who sent what. A link-local address means something only together with its
 * zone, the interface (RFC 4007): a socket address carries it as the scope id, its text after a '%'. */
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

    if (eye_peer_addr(peer, &addr) == 0 && eye_addr_format(&addr, text, sizeof text) > 0)
        printf("%s (scope id %u) sent %zu bytes\n", text, addr.u.in6.sin6_scope_id, bytes.size);
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
    if (eye_endpoint_parse(argc > 1 ? argv[1] : "tcp:[::1]:5566", &endpoint, &err) < 0)
        fail(&err);
    endpoint.family = 6; /* as the text's family=6 would: no IPv4, even where the host is a name */
    if (eye_loop_new(NULL, &loop, &err) < 0 || eye_serve(loop, &endpoint, &echo, &server, &err) < 0)
        fail(&err);
    return eye_loop_run(loop, -1) < 0;
}
