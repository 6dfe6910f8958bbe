/* stdio.c: the stdio scheme: standard input and output as one stream. In the place of both stands
 * /dev/null afterwards, so that the stream holds the last reference and closing it tells the other end. */
#include <errno.h>

#include "net/net.h"

static bool opened;

static int open_both(eye_loop *loop, eye_stream **ret_stream) {
    unsigned flags[2] = {0};
    AUTO_FD int in = inherit_way(STDIN_FILENO, EYE_IN, &flags[EYE_IN]);
    if (in < 0)
        return in;
    AUTO_FD int out = inherit_way(STDOUT_FILENO, EYE_OUT, &flags[EYE_OUT]);
    if (out < 0)
        return out;
    int r = loop_null_over(loop, STDIN_FILENO);
    if (r == 0)
        r = loop_null_over(loop, STDOUT_FILENO);
    if (r == 0)
        r = stream_new_two(loop, (const int[]){in, out}, flags, ret_stream);
    if (r < 0)
        return r;
    in = out = -1; /* the stream's now */
    return 0;
}

static int stdio_open(eye_loop *loop, const struct eye_endpoint *e, eye_stream **ret_stream,
                      struct eye_err *reterr) {
    if (opened) {
        net_fail(reterr, e, -EBUSY, false);
        err_cause(reterr, "standard input and output can be one end of one connection");
        return -EBUSY;
    }
    int r = open_both(loop, ret_stream);
    if (r < 0)
        return net_fail(reterr, e, r, false);
    opened = true;
    return 0;
}

const struct scheme scheme_stdio = {.open = stdio_open};
