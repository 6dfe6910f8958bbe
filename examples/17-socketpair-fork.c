/* Duplex between two processes: one socket of a pair for each, and both may speak. The parent is an echo
 * server on a loop, which takes its end over as fd:NUMBER; the child is plain C. */
#include <stdio.h>
#include <sys/wait.h>
#include <unistd.h>

#include <sockeye/sockeye.h>

static struct eye_dialled dialled; /* its stream is the parent's end */
static struct eye_bytes bytes;
static eye_done received;

static void closed(eye_op *op, int64_t result) {
    (void)op, (void)result;
}
static void listen_on(eye_op *op, int64_t result) {
    if (result >= 0)
        eye_recv_lent(dialled.stream, op, &bytes, received);
    else
        eye_close(dialled.stream, op, closed);
}
static void received(eye_op *op, int64_t n) {
    if (n <= 0) { /* the child has ended its sending */
        eye_close(dialled.stream, op, closed);
        return;
    }
    printf("child ---> parent: %.*s\n", (int)n, (const char *)bytes.data);
    eye_send_copy(dialled.stream, op, bytes.data, bytes.size, listen_on);
}

static int be_child(int fd) {
    char answer[12];
    if (send(fd, "Hello Parent", sizeof answer, 0) != (ssize_t)sizeof answer ||
        recv(fd, answer, sizeof answer, MSG_WAITALL) != (ssize_t)sizeof answer)
        return 1;
    printf("parent ---> child: %.*s\n", (int)sizeof answer, answer);
    return 0;
}

int main(void) {
    struct eye_endpoint end;
    eye_loop *loop;
    eye_op op = {0};
    int pair[2], status = -1;
    char text[16];

    if (setlinebuf(stdout), socketpair(AF_UNIX, SOCK_STREAM, 0, pair) < 0)
        return perror("socketpair"), 1;
    if (fork() == 0)
        return close(pair[0]), be_child(pair[1]);
    close(pair[1]); /* or the child's end would stay open, and its end never come */
    snprintf(text, sizeof text, "fd:%d", pair[0]);
    if (eye_endpoint_parse(text, &end, NULL) < 0 || eye_loop_new(NULL, &loop, NULL) < 0)
        return 1;
    eye_dial(loop, &op, &end, &dialled, listen_on);
    eye_loop_run(loop, -1);
    wait(&status);
    printf("the child exited with %d\n", WEXITSTATUS(status));
    return eye_loop_free(loop), eye_endpoint_done(&end), status != 0;
}
