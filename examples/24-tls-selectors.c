/* Row 23's program with a tls endpoint: handshakes, and records in pieces, are the stream's business. */
#include <stdio.h>
#include <stdlib.h>

#include <sockeye/sockeye.h>

struct client {
    eye_op op; /* one at a time */
    eye_stream *stream;
    struct eye_bytes bytes;
};
#define CLIENT(its_op) eye_container_of(its_op, struct client, op)
static eye_loop *loop;
static eye_listener *listener;
static eye_done received, accepted;

static void closed(eye_op *op, int64_t result) {
    (void)result;
    free(CLIENT(op));
}
static void sent(eye_op *op, int64_t n) {
    if (n >= 0)
        eye_recv_lent(CLIENT(op)->stream, op, &CLIENT(op)->bytes, received);
    else
        eye_abort(CLIENT(op)->stream, op, closed);
}
static void received(eye_op *op, int64_t n) {
    if (n > 0)
        eye_send_copy(CLIENT(op)->stream, op, CLIENT(op)->bytes.data, (size_t)n, sent);
    else if (n == 0) /* close_notify: it has said all; closing says ours */
        eye_close(CLIENT(op)->stream, op, closed);
    else /* cut, or broken: no orderly end for the peer either */
        eye_abort(CLIENT(op)->stream, op, closed);
}
static void accept_next(eye_op *op, int64_t result) {
    (void)result;
    eye_accept(listener, op, &CLIENT(op)->stream, accepted);
}
static void accepted(eye_op *op, int64_t result) {
    struct client *next = result == 0 ? calloc(1, sizeof *next) : NULL;
    if (next)
        accept_next(&next->op, 0), sent(op, 0);
    else if (result == 0) /* no memory for one more */
        eye_close(CLIENT(op)->stream, op, accept_next);
    else /* one was turned away in its handshake, say: the others have not waited for it */
        eye_timer(loop, op, eye_loop_now(loop) + 1000000, accept_next);
}
int main(int argc, char **argv) {
    struct client *first = calloc(1, sizeof *first);
    struct eye_endpoint endpoint;
    struct eye_err err = {.text = "out of memory"};
    struct eye_addr addr;
    if (!first || eye_endpoint_parse(argc > 1 ? argv[1] : "tls:127.0.0.1:5566", &endpoint, &err) < 0 ||
        eye_loop_new(NULL, &loop, &err) < 0 || eye_listen(loop, &endpoint, &listener, 1, &err) < 0)
        return free(first), fprintf(stderr, "%s\n", err.text), 1;
    if (eye_listener_addr(listener, &addr) == 0)
        printf("listening on port %u by %s\n", eye_addr_port(&addr), eye_loop_engine(loop)), fflush(stdout);
    eye_accept(listener, &first->op, &first->stream, accepted);
    return eye_loop_run(loop, -1) < 0;
}
