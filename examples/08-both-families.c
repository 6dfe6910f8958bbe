/* TCP echo for both families on one socket. A peer over IPv4 appears with an IPv4-mapped IPv6 address
 * (RFC 3493, 3.7; RFC 4291, 2.5.5.2); `v6only` after the endpoint keeps IPv4 out. */
#include <stdio.h>
#include <stdlib.h>

#include <sockeye/sockeye.h>

static _Noreturn void fail(const struct eye_err *err) {
    fprintf(stderr, "%s%s%s\n", err->text, *err->cause ? "; likely cause: " : "", err->cause);
    exit(1);
}

static void answer(eye_peer *peer, struct eye_bytes bytes) {
    eye_peer_send(peer, bytes.data, bytes.size);
}

static const char *family_of(const char *text) {
    struct eye_addr addr;

    if (eye_addr_parse(text, &addr, NULL) < 0 || addr.u.sa.sa_family != AF_INET6)
        return "not by IPv6's socket";
    return IN6_IS_ADDR_V4MAPPED(&addr.u.in6.sin6_addr) ? "by IPv4" : "by IPv6";
}

static void happened(void *user, const struct eye_event *event) {
    (void)user;
    if (event->kind == EYE_EVENT_LISTENING)
        printf("listening on %s\n", event->address);
    if (event->kind == EYE_EVENT_CONNECTED)
        printf("%s came %s\n", event->peer, family_of(event->peer));
}

int main(int argc, char **argv) {
    const struct eye_observer observer = {.event = happened};
    const struct eye_handler echo = {.data = answer, .observer = &observer};
    struct eye_endpoint endpoint;
    struct eye_err err;
    eye_loop *loop;
    eye_server *server;

    setlinebuf(stdout);
    if (eye_endpoint_parse(argc > 1 ? argv[1] : "tcp:[::]:5566", &endpoint, &err) < 0 ||
        eye_loop_new(NULL, &loop, &err) < 0 || eye_serve(loop, &endpoint, &echo, &server, &err) < 0)
        fail(&err);
    return eye_loop_run(loop, -1) < 0;
}
