/* exec.c: the exec scheme: a command, run by the shell, joined by a socketpair, by two pipes, or by a
 * terminal of its own. A socketpair ends each way by itself and costs least; programs that open /dev/stdin
 * cannot open a socket (ENXIO) and want pipes; programs that behave otherwise without a terminal want one. */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <termios.h>

#include "net/child.h"
#include "net/net.h"

static int by_socketpair(eye_loop *loop, const char *command, eye_stream **ret_stream,
                         eye_child **ret_child) {
    int pair[2];
    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) < 0)
        return -errno;
    AUTO_FD int ours = pair[0];
    AUTO_FD int theirs = pair[1];
    eye_stream *stream;
    if (fcntl(ours, F_SETFL, O_RDWR | O_NONBLOCK) < 0)
        return -errno;
    int r = stream_new(loop, ours, SLOT_SOCKET | SLOT_SPLICE | SLOT_COMMAND, &stream);
    if (r < 0)
        return r;
    ours = -1; /* the stream's now */
    r = child_new(loop, command, &(struct spawn_io){.in = theirs, .out = theirs}, ret_child);
    if (r < 0)
        stream_drop(stream);
    else
        *ret_stream = stream;
    return r;
}

static int by_pipes(eye_loop *loop, const char *command, eye_stream **ret_stream, eye_child **ret_child) {
    static const unsigned flags[] = {SLOT_PIPE | SLOT_SPLICE, SLOT_PIPE | SLOT_SPLICE};
    int to[2], from[2];
    if (pipe2(to, O_CLOEXEC) < 0)
        return -errno;
    AUTO_FD int their_in = to[0];
    AUTO_FD int our_out = to[1];
    if (pipe2(from, O_CLOEXEC) < 0)
        return -errno;
    AUTO_FD int our_in = from[0];
    AUTO_FD int their_out = from[1];
    eye_stream *stream;
    /* The two ends of a pipe are two open file descriptions: the child's stay as programs expect them. */
    if (fcntl(our_in, F_SETFL, O_NONBLOCK) < 0 || fcntl(our_out, F_SETFL, O_NONBLOCK) < 0)
        return -errno;
    int r = stream_new_two(loop, (const int[]){our_in, our_out}, flags, &stream);
    if (r < 0)
        return r;
    our_in = our_out = -1; /* the stream's now */
    r = child_new(loop, command, &(struct spawn_io){.in = their_in, .out = their_out}, ret_child);
    if (r < 0)
        stream_drop(stream);
    else
        *ret_stream = stream;
    return r;
}

/* No echo, and no CR before NL: what the program writes is what the peer gets, as far as a terminal can. */
static int open_terminal(int *ret_master, int *ret_slave, char *path, size_t size) {
    AUTO_FD int master = posix_openpt(O_RDWR | O_NOCTTY | O_CLOEXEC | O_NONBLOCK);
    if (master < 0 || grantpt(master) < 0 || unlockpt(master) < 0 || ptsname_r(master, path, size) != 0)
        return -errno;
    AUTO_FD int slave = open(path, O_RDWR | O_NOCTTY | O_CLOEXEC);
    struct termios mode;
    if (slave < 0 || tcgetattr(slave, &mode) < 0)
        return -errno;
    mode.c_lflag &= ~(tcflag_t)(ECHO | ECHOE | ECHOK | ECHONL);
    mode.c_oflag &= ~(tcflag_t)ONLCR;
    if (tcsetattr(slave, TCSANOW, &mode) < 0)
        return -errno;
    *ret_master = master;
    *ret_slave = slave;
    master = slave = -1; /* the caller's now */
    return 0;
}

static int by_terminal(eye_loop *loop, const char *command, eye_stream **ret_stream, eye_child **ret_child) {
    char path[64];
    int fds[2] = {-1, -1};
    int r = open_terminal(&fds[0], &fds[1], path, sizeof path);
    if (r < 0)
        return r;
    AUTO_FD int master = fds[0];
    /* Held until the child has it: a terminal that nobody has open reads as hung up. */
    AUTO_FD int slave = fds[1];
    eye_stream *stream;
    r = stream_new(loop, master, SLOT_TERMINAL, &stream);
    if (r < 0)
        return r;
    master = -1; /* the stream's now */
    r = child_new(loop, command, &(struct spawn_io){.in = -1, .out = -1, .terminal = path}, ret_child);
    if (r < 0)
        stream_drop(stream);
    else
        *ret_stream = stream;
    return r;
}

static int exec_open(eye_loop *loop, const struct eye_endpoint *e, eye_stream **ret_stream,
                     struct eye_err *reterr) {
    eye_child *child = NULL;
    int r = e->pty     ? by_terminal(loop, e->path, ret_stream, &child)
            : e->pipes ? by_pipes(loop, e->path, ret_stream, &child)
                       : by_socketpair(loop, e->path, ret_stream, &child);
    if (r < 0)
        return net_fail(reterr, e, r, false);
    (*ret_stream)->u.child = child;
    (*ret_stream)->has_child = true;
    return 0;
}

const struct scheme scheme_exec = {.open = exec_open};

int eye_pair(eye_loop *loop, const char *command_a, const char *command_b, eye_child *ret_children[2],
             struct eye_err *reterr) {
    int pair[2];
    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) < 0)
        return err_set(reterr, -errno, EYE_FAIL_OTHER, "socketpair: %s", eye_strerror(-errno));
    AUTO_FD int a = pair[0];
    AUTO_FD int b = pair[1];
    eye_child *children[2];
    int r = child_new(loop, command_a, &(struct spawn_io){.in = a, .out = a}, &children[0]);
    if (r < 0)
        return err_set(reterr, r, EYE_FAIL_OTHER, "%s: %s", command_a, eye_strerror(r));
    r = child_new(loop, command_b, &(struct spawn_io){.in = b, .out = b}, &children[1]);
    if (r < 0) {
        eye_child_kill(children[0], SIGTERM);
        eye_child_free(children[0]);
        return err_set(reterr, r, EYE_FAIL_OTHER, "%s: %s", command_b, eye_strerror(r));
    }
    ret_children[0] = children[0];
    ret_children[1] = children[1];
    return 0;
}
