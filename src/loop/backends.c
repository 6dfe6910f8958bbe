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
    eye_loop *loop = calloc(1, sizeof *loop);
    int r = loop ? backends[index]->open(loop) : -ENOMEM;
    if (r >= 0)
        backends[index]->close(loop);
    free(loop);
    return r >= 0 ? 0
                  : err_set(reterr, r, EYE_FAIL_UNAVAILABLE, "engine %s: %s", backends[index]->name,
                            eye_strerror(r));
}
