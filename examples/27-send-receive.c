/* A file from one side to the other in one process: a receiver that listens on a Unix socket, and a sender
 * that dials it. Each could be a process of its own, on hosts of their own. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include <sockeye/sockeye.h>

static void told(void *user, const struct eye_transfer_file *file) {
    if (file->err)
        printf("%s: %s\n", (const char *)user, file->err->text);
    else
        printf("%s: %s, %" PRIu64 " bytes, %" PRIu64 " of them were there\n", (const char *)user, file->name,
               file->bytes, file->resumed_bytes);
}

static void done(eye_op *op, int64_t result) {
    (void)op, (void)result; /* the loop ends with the last operation */
}

int main(int argc, char **argv) {
    struct eye_endpoint endpoint;
    struct eye_transfer_result sent, received;
    eye_op send_op = {0}, receive_op = {0};
    eye_loop *loop;
    struct eye_err err;

    if (argc != 3) {
        fprintf(stderr, "usage: %s FILE DIR\n", argv[0]);
        return 2;
    }
    if (eye_endpoint_parse("unix:./transfer.sock", &endpoint, &err) < 0 ||
        eye_loop_new(NULL, &loop, &err) < 0) {
        fprintf(stderr, "%s\n", err.text);
        return 1;
    }
    struct eye_transfer_opts in = {
        .endpoint = &endpoint, .listen = true, .folder = argv[2], .file = told, .user = "receiver"};
    struct eye_transfer_opts out = {.endpoint = &endpoint,
                                    .paths = (const char *const *)&argv[1],
                                    .path_count = 1,
                                    .file = told,
                                    .user = "sender"};
    eye_transfer_receive(loop, &receive_op, &in, &received, done);
    eye_transfer_send(loop, &send_op, &out, &sent, done);
    eye_loop_run(loop, -1);
    eye_loop_free(loop);
    eye_endpoint_done(&endpoint);
    return sent.err.code || received.err.code;
}
