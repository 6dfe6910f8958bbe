#include "crypto/provider.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>

#include "sys/sys.h"

const char *const eye_providers[] = {"openssl", "kernel", NULL};

static const struct provider providers[] = {
    {"openssl", &crypto_openssl_hash, &crypto_openssl_cipher},
    {"kernel", &crypto_kernel_hash, &crypto_kernel_cipher},
};
_Static_assert(ARRAY_LEN(providers) + 1 == ARRAY_LEN(eye_providers), "a name for every provider");

const struct provider *provider_find(const char *name, struct eye_err *reterr) {
    if (!name)
        return &providers[0];
    for (size_t i = 0; i < ARRAY_LEN(providers); i++)
        if (strcmp(providers[i].name, name) == 0)
            return &providers[i];
    provider_no_such("provider", name, eye_providers, reterr);
    return NULL;
}

int provider_no_such(const char *what, const char *name, const char *const *names, struct eye_err *reterr) {
    err_set(reterr, EYE_ESYNTAX, EYE_FAIL_USAGE, "no such %s: %s", what, name);
    const char *near = eye_nearest(name, strlen(name), names);
    if (near) {
        err_cause(reterr, "did you mean '%s'?", near);
        return EYE_ESYNTAX;
    }
    char list[200] = "";
    for (size_t i = 0, used = 0; names[i] && used < sizeof list; i++)
        used += (size_t)snprintf(list + used, sizeof list - used, " %s", names[i]);
    err_cause(reterr, "there are:%s", list);
    return EYE_ESYNTAX;
}

/* ---- descriptors ---- */

static int64_t await(int fd, short events, int64_t r) {
    if (r != -EAGAIN)
        return r;
    struct pollfd pfd = {.fd = fd, .events = events};
    return poll(&pfd, 1, -1) < 0 && errno != EINTR ? -errno : 0;
}

int64_t io_read_some(int fd, void *buf, size_t size) {
    int64_t n;
    while ((n = sys_read(fd, buf, size)) == -EAGAIN && await(fd, POLLIN, n) == 0)
        ;
    return n;
}

int64_t io_read(int fd, void *buf, size_t size, int64_t offset) {
    size_t done = 0;
    while (done < size) {
        int64_t n = offset < 0 ? sys_read(fd, (uint8_t *)buf + done, size - done)
                               : sys_pread(fd, (uint8_t *)buf + done, size - done, offset + (int64_t)done);
        if (n == 0)
            break;
        if (n < 0 && (n = await(fd, POLLIN, n)) < 0)
            return n;
        done += (size_t)n;
    }
    return (int64_t)done;
}

int64_t io_write(int fd, const void *buf, size_t size, int64_t offset) {
    size_t done = 0;
    while (done < size) {
        int64_t n = offset < 0
                        ? sys_write(fd, (const uint8_t *)buf + done, size - done)
                        : sys_pwrite(fd, (const uint8_t *)buf + done, size - done, offset + (int64_t)done);
        if (n < 0 && (n = await(fd, POLLOUT, n)) < 0)
            return n;
        done += (size_t)n;
    }
    return (int64_t)done;
}
