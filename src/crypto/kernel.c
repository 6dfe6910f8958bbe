/* kernel.c: AF_ALG sockets (Documentation/crypto/userspace-if.rst).
 *
 * socket, bind to an algorithm, ALG_SET_KEY and ALG_SET_AEAD_AUTHSIZE (the tag's length), then accept: the
 * operation takes data by send or splice and gives the result by recv. The key is set before accept: after
 * it, it is EBUSY. Every call on the operation is non-blocking, because a receive that asks for more than the
 * result would wait for ever, whatever SO_RCVTIMEO says, and so would a send beyond the socket's buffer.
 *
 * Splicing always promises more (SPLICE_F_MORE), as sendfile(2) promises by rules of its own; the end of the
 * data is said by a send, or for a digest by the recv. */
#include "crypto/kernel.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/if_alg.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#ifndef SOL_ALG
#define SOL_ALG 279
#endif

static const struct {
    int error;
    const char *cause;
} causes[] = {
    {EAFNOSUPPORT, "this kernel has no AF_ALG (CONFIG_CRYPTO_USER_API), or its module af_alg is not loaded"},
    {EPERM, "a container's seccomp profile or a security module denies AF_ALG"},
    {EACCES, "a security module, or a kernel that wants CAP_NET_ADMIN for it"},
    {ENOENT, "the kernel was built without this algorithm, its module cannot be loaded, or it keeps it from "
             "AF_ALG"},
    {ENOMEM, "the kernel's limit for a socket's options (net.core.optmem_max)"},
};

const char *alg_cause(int code) {
    for (size_t i = 0; i < ARRAY_LEN(causes); i++)
        if (causes[i].error == -code)
            return causes[i].cause;
    return NULL;
}

static int refused(const char *name, const char *driver, const char *call, struct eye_err *reterr) {
    int error = errno;
    int code = error == ENOMEM || error == EMFILE || error == ENFILE ? -error : EYE_EUNAVAILABLE;
    err_set(reterr, code, code == -error ? EYE_FAIL_OTHER : EYE_FAIL_UNAVAILABLE,
            "%s by the kernel: %s (%s): %s", name, call, driver, eye_strerror(-error));
    const char *cause = alg_cause(-error);
    if (cause)
        err_cause(reterr, "%s", cause);
    return code;
}

int alg_renew(struct alg *alg) {
    int op = accept4(alg->tfm, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
    if (op < 0)
        return -errno;
    if (alg->op >= 0)
        close(alg->op);
    alg->op = op;
    return 0;
}

static struct sockaddr_alg alg_address(const char *type, const char *driver) {
    struct sockaddr_alg addr = {.salg_family = AF_ALG};
    snprintf((char *)addr.salg_type, sizeof addr.salg_type, "%s", type);
    snprintf((char *)addr.salg_name, sizeof addr.salg_name, "%s", driver);
    return addr;
}

int alg_probe(const char *type, const char *driver) {
    const struct sockaddr_alg addr = alg_address(type, driver);
    AUTO_FD int fd = socket(AF_ALG, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
    return fd < 0 || bind(fd, (const struct sockaddr *)&addr, sizeof addr) < 0 ? -errno : 0;
}

int alg_open(struct alg *alg, const char *type, const char *name, const char *driver, const eye_key *key,
             size_t tag_bytes, struct eye_err *reterr) {
    const struct sockaddr_alg addr = alg_address(type, driver);
    const char *call = NULL;
    *alg = ALG_CLOSED;
    alg->tfm = socket(AF_ALG, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
    if (alg->tfm < 0)
        call = "socket";
    else if (bind(alg->tfm, (const struct sockaddr *)&addr, sizeof addr) < 0)
        call = "bind";
    else if (key &&
             setsockopt(alg->tfm, SOL_ALG, ALG_SET_KEY, eye_key_bytes(key), (socklen_t)eye_key_size(key)) < 0)
        call = "ALG_SET_KEY";
    else if (tag_bytes &&
             setsockopt(alg->tfm, SOL_ALG, ALG_SET_AEAD_AUTHSIZE, NULL, (socklen_t)tag_bytes) < 0)
        call = "ALG_SET_AEAD_AUTHSIZE";
    else if (alg_renew(alg) < 0)
        call = "accept";
    if (!call)
        return 0;
    int r = refused(name, driver, call, reterr);
    alg_close(alg);
    return r;
}

void alg_close(struct alg *alg) {
    const int fds[] = {alg->tfm, alg->op, alg->pipe[0], alg->pipe[1]};
    for (size_t i = 0; i < ARRAY_LEN(fds); i++)
        if (fds[i] >= 0)
            close(fds[i]);
    *alg = ALG_CLOSED;
}

int64_t alg_send(const struct alg *alg, const void *data, size_t size, bool more) {
    ssize_t n =
        TEMP_FAILURE_RETRY(send(alg->op, data, size, MSG_DONTWAIT | MSG_NOSIGNAL | (more ? MSG_MORE : 0)));
    return n < 0 ? -errno : n;
}

int64_t alg_recv(const struct alg *alg, void *buf, size_t size) {
    ssize_t n = TEMP_FAILURE_RETRY(recv(alg->op, buf, size, MSG_DONTWAIT));
    return n < 0 ? -errno : n;
}

/* All that is in our pipe goes on: what stayed would come before the next message. */
static int pipe_empty(struct alg *alg, size_t size) {
    while (size > 0) {
        ssize_t n = TEMP_FAILURE_RETRY(splice(alg->pipe[0], NULL, alg->op, NULL, size, SPLICE_F_MORE));
        if (n <= 0) {
            int r = n < 0 && errno != EAGAIN ? -errno : -EMSGSIZE;
            close(alg->pipe[0]);
            close(alg->pipe[1]);
            alg->pipe[0] = alg->pipe[1] = -1;
            return r;
        }
        size -= (size_t)n;
    }
    return 0;
}

int64_t alg_splice(struct alg *alg, int fd, int64_t offset, size_t size) {
    if (alg->pipe[0] < 0 && pipe2(alg->pipe, O_CLOEXEC) < 0)
        return -EOPNOTSUPP;
    loff_t at = offset;
    ssize_t n = TEMP_FAILURE_RETRY(splice(fd, offset < 0 ? NULL : &at, alg->pipe[1], NULL, size, 0));
    if (n < 0)
        return errno == EINVAL || errno == EAGAIN || errno == ESPIPE ? -EOPNOTSUPP : -errno;
    int r = pipe_empty(alg, (size_t)n);
    return r < 0 ? r : n;
}
