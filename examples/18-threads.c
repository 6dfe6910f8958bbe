/* Asynchronous TCP echo by threads: each has a loop, and the kernel gives each a share of the peers. */
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>

#include <sockeye/sockeye.h>

#define THREADS 4

static _Noreturn void fail(const struct eye_err *err) {
    fprintf(stderr, "%s\n", err->text);
    exit(1);
}

static void answer(eye_peer *peer, struct eye_bytes bytes) {
    eye_peer_send(peer, bytes.data, bytes.size);
}

static void happened(void *user, const struct eye_event *event) {
    (void)user;
    if (event->kind == EYE_EVENT_LISTENING)
        printf("listening on %s by threads\n", event->address);
}

static void serve(eye_loop *loop, const struct eye_endpoint *share) {
    static const struct eye_observer observer = {.event = happened};
    static const struct eye_handler echo = {.data = answer, .observer = &observer};
    eye_server *server;
    struct eye_err err;
    if (eye_serve(loop, share, &echo, &server, &err) < 0)
        fail(&err);
    eye_loop_run(loop, -1);
}

static void *serve_share(void *user) {
    eye_loop *loop;
    struct eye_err err;
    if (eye_loop_new(NULL, &loop, &err) < 0)
        fail(&err);
    serve(loop, user);
    return NULL;
}

int main(int argc, char **argv) {
    struct eye_endpoint endpoint, shares[THREADS];
    struct eye_err err;
    eye_loop *loop;
    pthread_t thread;

    setlinebuf(stdout);
    if (eye_loop_new(NULL, &loop, &err) < 0 ||
        eye_endpoint_parse(argc > 1 ? argv[1] : "tcp:127.0.0.1:5566", &endpoint, &err) < 0 ||
        eye_share(loop, &endpoint, THREADS, shares, &err) < 0)
        fail(&err);
    for (int i = 1; i < THREADS; i++)
        if (pthread_create(&thread, NULL, serve_share, &shares[i]) != 0)
            return 1;
    serve(loop, &shares[0]);
    return 1;
}
