/* backends.c: the table of engines. */
#include <errno.h>
#include <stdlib.h>

#include "loop/backend.h"

#ifndef HAVE_KQUEUE
const struct backend backend_kqueue = {.name = "kqueue",
                                       .since = "FreeBSD 4.1, macOS 10.3",
                                       .missing = "this system has none: it is the BSDs' and macOS's"};
#endif

#ifndef HAVE_LIBURING
const struct backend backend_io_uring = {
    .name = "io_uring", .since = "Linux 5.11", .missing = "left out when this was built (liburing)"};
#endif

const struct backend *const backends[] = {&backend_io_uring,
                                          &backend_epoll,
                                          &backend_kqueue,
                                          &backend_poll,
                                          &backend_select,
                                          &backend_thread,
                                          NULL};

const char *eye_engine_name(size_t index) {
    return index < ARRAY_LEN(backends) - 1 ? backends[index]->name : NULL;
}

int backend_open(eye_loop *loop, const struct backend *backend, struct eye_err *reterr) {
    int r = backend->missing ? -ENOSYS : backend->open(loop);
    if (r >= 0) {
        loop->backend = backend;
        return 0;
    }
    err_set(reterr, EYE_EUNAVAILABLE, EYE_FAIL_UNAVAILABLE, "engine %s: %s", backend->name,
            backend->missing ? backend->missing : eye_strerror(r));
    if (r == -EPERM)
        err_cause(reterr, "a container's seccomp profile, a security module or a sysctl (io_uring_disabled)");
    return r;
}

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
    if (!loop)
        return err_set(reterr, -ENOMEM, EYE_FAIL_OTHER, "loop: %s", eye_strerror(-ENOMEM));
    int r = backend_open(loop, backends[index], reterr);
    if (r >= 0)
        loop->backend->close(loop);
    free(loop);
    return r;
}
