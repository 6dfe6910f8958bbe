/* Asynchronous TCP echo by the engine that is asked for: select, poll, epoll, kqueue or io_uring. The
 * code that serves knows nothing of engines. Without arguments it lists those that this host has. */
#include <errno.h>
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

static void happened(void *user, const struct eye_event *event) {
    (void)user;
    if (event->kind == EYE_EVENT_LISTENING)
        printf("listening on %s by %s\n", event->address, event->engine);
    if (event->kind == EYE_EVENT_PAUSED)
        fprintf(stderr, "%s\n", event->error->text);
}

static int list_engines(void) {
    const char *name;
    struct eye_err err;
    int r;

    for (size_t i = 0; (r = eye_engine_probe(i, &name, &err)) != -ENOENT; i++)
        if (r == 0)
            puts(name);
    return 0;
}

int main(int argc, char **argv) {
    const struct eye_observer observer = {.event = happened};
    const struct eye_handler echo = {.data = answer, .observer = &observer};
    const struct eye_loop_opts opts = {.engine = argv[1]};
    struct eye_endpoint endpoint;
    struct eye_err err;
    eye_loop *loop;
    eye_server *server;

    setlinebuf(stdout);
    if (argc < 2)
        return list_engines();
    if (eye_loop_new(&opts, &loop, &err) < 0 ||
        eye_endpoint_parse(argc > 2 ? argv[2] : "tcp:127.0.0.1:5566", &endpoint, &err) < 0 ||
        eye_serve(loop, &endpoint, &echo, &server, &err) < 0)
        fail(&err);
    return eye_loop_run(loop, -1) < 0;
}
