/* backends.c: the table of engines. */
#include <errno.h>
#include <stdlib.h>

#include "loop/backend.h"

const struct backend *const backends[] = {&backend_epoll, &backend_poll, &backend_select, NULL};

int backend_timeout_ms(int64_t timeout_ns) {
    if (timeout_ns < 0)
        return -1;
    int64_t ms = (timeout_ns + NS_PER_MS - 1) / NS_PER_MS;
    return (int)MIN(ms, (int64_t)INT32_MAX);
}

int eye_engine_probe(size_t index, const char **ret_name, struct eye_err *reterr) {
    if (index >= ARRAY_LEN(backends) - 1)
        return -ENOENT;
    *ret_name = backends[index]->name;
    struct eye_loop_opts opts = {.engine = backends[index]->name};
    eye_loop *loop;
    int r = eye_loop_new(&opts, &loop, reterr);
    if (r < 0)
        return r;
    eye_loop_free(loop);
    return 0;
}
