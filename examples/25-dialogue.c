/* A long dialogue over a socketpair, then a clean end: a command is started at the other end, each line is
 * answered before the next is said, and it is waited for until it has exited. */
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>

#include <sockeye/sockeye.h>

static struct eye_dialled dialled;
static struct eye_bytes bytes;
static eye_child *child;
static char line[64];
static int rounds; /* said so far */
static eye_done answered;

static void check(int64_t result) {
    if (result < 0)
        exit(fprintf(stderr, "%s\n", dialled.stream ? eye_strerror((int)result) : dialled.err.text) > 0);
}
static void exited(eye_op *op, int64_t status) {
    (void)op, check(status);
    printf("%d rounds, and the command exited with %d\n", rounds, WEXITSTATUS((int)status));
    child = eye_child_free(child);
}
static void closed(eye_op *op, int64_t result) {
    (void)result, eye_child_wait(child, op, exited);
}
static void listen_on(eye_op *op, int64_t result) {
    check(result);
    eye_recv_lent(dialled.stream, op, &bytes, answered);
}
static void say_next(eye_op *op, int64_t result) {
    check(result);
    int n = snprintf(line, sizeof line, "Hi! Child! %d\n", ++rounds);
    eye_send(dialled.stream, op, line, (size_t)n, listen_on);
}
static void answered(eye_op *op, int64_t n) {
    check(n);
    if (n > 0 && (rounds == 1 || rounds == 10000))
        printf("%s%.*s", line, (int)n, (const char *)bytes.data);
    if (n == 0) /* it has ended its sending, too */
        child = eye_stream_take_child(dialled.stream), eye_close(dialled.stream, op, closed);
    else if (bytes.data[n - 1] != '\n') /* a stream has no messages: this is not the whole line */
        listen_on(op, 0);
    else if (rounds == 10000)
        eye_finish(dialled.stream, op, listen_on); /* the end of its input */
    else
        say_next(op, 0);
}
int main(int argc, char **argv) {
    static const char polite[] = "exec:while read -r line; do echo \"Hi! Parent! ${line##* }\"; done";
    struct eye_endpoint command;
    eye_loop *loop;
    eye_op op = {0};
    check(eye_endpoint_parse(argc > 1 ? argv[1] : polite, &command, &dialled.err));
    check(eye_loop_new(NULL, &loop, &dialled.err));
    eye_dial(loop, &op, &command, &dialled, say_next);
    eye_loop_run(loop, -1);
    return eye_loop_free(loop), eye_endpoint_done(&command), 0;
}
