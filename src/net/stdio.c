/* stdio.c: the stdio scheme: standard input and output as one stream. In the place of both stands
 * /dev/null afterwards, so that the stream holds the last reference and closing it tells the other end. */
#include <errno.h>

#include "net/net.h"

static bool opened;

static int stdio_open(eye_loop *loop, const struct eye_endpoint *e, eye_stream **ret_stream,
                      struct eye_err *reterr) {
    if (opened) {
        net_fail(reterr, e, -EBUSY, false);
        err_cause(reterr, "standard input and output can be one end of one connection");
        return -EBUSY;
    }
    int r = inherit_both(loop, (const int[]){STDIN_FILENO, STDOUT_FILENO}, inherit_way, ret_stream);
    if (r < 0)
        return net_fail(reterr, e, r, false);
    opened = true;
    return 0;
}

const struct scheme scheme_stdio = {.open = stdio_open};
