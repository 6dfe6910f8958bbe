/* doctor.c: the table of mechanisms and how each is tried. A mechanism is one row and one function. */
#include <sockeye/doctor.h>

#include <errno.h>
#include <fcntl.h>
#include <linux/landlock.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/select.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <sockeye/addr.h>
#include <sockeye/loop.h>
#include <sockeye/tls.h>

#include "base/base.h"
#include "crypto/kernel.h"
#include "loop/backend.h"
#include "loop/ring_features.h"
#include "sys/sys.h"
#include "wire/source.h"

static const char *const status_names[] = {
    [EYE_USABLE] = "usable", [EYE_DENIED] = "denied", [EYE_ABSENT] = "absent"};

const char *eye_status_name(enum eye_status status) {
    return status_names[status];
}

/* What an errno says of a mechanism: not there at all, or there and refused. */
static enum eye_status status_of(int code) {
    switch (-code) {
    case 0:
        return EYE_USABLE;
    case ENOSYS:
    case EAFNOSUPPORT:
    case EPROTONOSUPPORT:
    case ENOPROTOOPT:
    case EADDRNOTAVAIL:
    case ENOENT:
    case ENOPKG:
        return EYE_ABSENT;
    default:
        return EYE_DENIED;
    }
}

/* ---- tries: 0 or more, or a negative code ---- */

static int bind_loopback(int family, int v6only) {
    AUTO_FD int fd = sys_socket(family, SOCK_STREAM, 0);
    if (fd < 0)
        return fd;
    struct eye_addr addr = {.len = sizeof addr.u.in, .u.in = {.sin_family = AF_INET}};
    if (family == AF_INET)
        addr.u.in.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    if (family == AF_INET6) {
        addr = (struct eye_addr){.len = sizeof addr.u.in6, .u.in6 = {.sin6_family = AF_INET6}};
        addr.u.in6.sin6_addr = v6only ? in6addr_loopback : in6addr_any;
        int r = sys_set_int(fd, IPPROTO_IPV6, IPV6_V6ONLY, v6only);
        if (r < 0)
            return r;
    }
    return bind(fd, &addr.u.sa, addr.len) < 0 ? -errno : 0;
}

static int try_ipv4(char *detail, size_t size) {
    (void)detail, (void)size;
    return bind_loopback(AF_INET, 0);
}

static int try_ipv6(char *detail, size_t size) {
    (void)detail, (void)size;
    return bind_loopback(AF_INET6, 1);
}

static int try_dual_stack(char *detail, size_t size) {
    (void)detail, (void)size;
    return bind_loopback(AF_INET6, 0);
}

static int try_splice(char *detail, size_t size) {
    int pair[2], channel[2];
    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) < 0)
        return -errno;
    if (pipe2(channel, O_CLOEXEC) < 0) {
        int r = -errno;
        close(pair[0]);
        close(pair[1]);
        return r;
    }
    int64_t n = sys_send(pair[0], "sockeye", 7);
    if (n > 0)
        n = sys_splice(pair[1], channel[1], 7);
    int pipe_bytes = fcntl(channel[1], F_SETPIPE_SZ, 1024 * 1024);
    snprintf(detail, size, "pipes of %d KiB",
             (pipe_bytes > 0 ? pipe_bytes : fcntl(channel[1], F_GETPIPE_SZ)) / 1024);
    close(pair[0]);
    close(pair[1]);
    close(channel[0]);
    close(channel[1]);
    return (int)n;
}

static int try_reopen(char *detail, size_t size) {
    (void)detail, (void)size;
    int channel[2];
    if (pipe2(channel, O_CLOEXEC) < 0)
        return -errno;
    char path[64];
    snprintf(path, sizeof path, "/proc/self/fd/%d", channel[0]);
    int fd = open(path, O_RDONLY | O_NONBLOCK | O_CLOEXEC);
    int r = fd < 0 ? -errno : 0;
    if (fd >= 0)
        close(fd);
    close(channel[0]);
    close(channel[1]);
    return r;
}

static int try_descriptors(char *detail, size_t size) {
    struct rlimit limit;
    if (getrlimit(RLIMIT_NOFILE, &limit) < 0)
        return -errno;
    snprintf(detail, size, "%llu at once, %llu at most; select sees those below %d",
             (unsigned long long)limit.rlim_cur, (unsigned long long)limit.rlim_max, FD_SETSIZE);
    return 0;
}

static int try_somaxconn(char *detail, size_t size) {
    AUTO_FD int fd = open("/proc/sys/net/core/somaxconn", O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return -errno;
    char text[32] = "";
    int64_t n = sys_read(fd, text, sizeof text - 1);
    if (n < 0)
        return (int)n;
    text[strcspn(text, "\n")] = '\0';
    snprintf(detail, size, "at most %s connections wait to be accepted", text);
    return 0;
}

static int try_tls(char *detail, size_t size) {
    const char *library = eye_tls_library();
    snprintf(detail, size, "%s", library ? library : "");
    return library ? 0 : -ENOPKG;
}

static int try_capture(char *detail, size_t size) {
    AUTO_FD int fd = sys_socket(AF_PACKET, SOCK_RAW, 0);
    const char *version = filter_version();
    snprintf(detail, size, "%s", version ? version : "raw sockets alone: this build has no libpcap");
    return MIN(fd, 0);
}

static int try_landlock(char *detail, size_t size) {
    long version = syscall(SYS_landlock_create_ruleset, NULL, 0, LANDLOCK_CREATE_RULESET_VERSION);
    if (version < 0)
        return -errno;
    snprintf(detail, size, "version %ld", version);
    return 0;
}

static int try_seccomp(char *detail, size_t size) {
    (void)detail, (void)size;
    return prctl(PR_GET_SECCOMP, 0, 0, 0, 0) < 0 ? -ENOSYS : 0;
}

/* The kernel's ciphers, as the recipes use them; all by AF_ALG. */
static int try_kernel_hash(char *detail, size_t size) {
    snprintf(detail, size, "SHA-256 by AF_ALG");
    return alg_probe("hash", "sha256");
}

static int try_kernel_cbc(char *detail, size_t size) {
    snprintf(detail, size, "AES-CBC by AF_ALG");
    return alg_probe("skcipher", "cbc(aes)");
}

static int try_kernel_gcm(char *detail, size_t size) {
    snprintf(detail, size, "AES-GCM by AF_ALG");
    return alg_probe("aead", "gcm(aes)");
}

static const struct mechanism {
    const char *area, *name, *since, *instead;
    int (*attempt)(char *detail, size_t size);
    const char *(*cause)(int code); /* where an errno means something of its own; or NULL */
} mechanisms[] = {
    {"net", "ipv4", "", "IPv6", try_ipv4, NULL},
    {"net", "ipv6", "Linux 2.2", "IPv4", try_ipv6, NULL},
    {"net", "dual-stack", "Linux 2.4", "IPv4 alone", try_dual_stack, NULL},
    {"move", "splice", "Linux 2.6.17", "copying", try_splice, NULL},
    {"stdio", "reopen", "Linux 2.2", "asking poll(2) before each call", try_reopen, NULL},
    {"tls", "library", "", "", try_tls, NULL},
    {"packet", "capture", "Linux 2.2", "capture files alone", try_capture, NULL},
    {"drop", "landlock", "Linux 5.13", "the rights of another user", try_landlock, NULL},
    {"drop", "seccomp", "Linux 3.5", "the rights of another user", try_seccomp, NULL},
    {"crypto", "kernel-hash", "Linux 2.6.38", "--provider openssl", try_kernel_hash, alg_cause},
    {"crypto", "kernel-cbc", "Linux 4.3", "--provider openssl", try_kernel_cbc, alg_cause},
    {"crypto", "kernel-gcm", "Linux 4.9", "--provider openssl", try_kernel_gcm, alg_cause},
    {"limit", "descriptors", "", "", try_descriptors, NULL},
    {"limit", "backlog", "", "", try_somaxconn, NULL},
};

static const struct {
    int error;
    const char *cause;
} causes[] = {
    {ENOSYS, "this kernel was built without it"},
    {EAFNOSUPPORT, "this kernel has no such address family, or the module is not loaded"},
    {EADDRNOTAVAIL, "no interface has such an address: the family is switched off (sysctl disable_ipv6)"},
    {EPERM, "a capability that is not held (CAP_NET_RAW for packets), a container's seccomp profile, a "
            "security module or a sysctl"},
    {EACCES, "file permissions or a security module"},
    {ENOENT, "/proc is not mounted here"},
    {ENOPKG, "this build was made without it"},
    {EMFILE, "this process's limit of open files"},
    {ENFILE, "the system's limit of open files"},
};

static void fill_in(struct eye_mechanism *m, int r, const char *instead) {
    m->error = MIN(r, 0);
    m->status = status_of(m->error);
    if (m->status == EYE_USABLE)
        return;
    snprintf(m->instead, sizeof m->instead, "%s", instead);
    snprintf(m->cause, sizeof m->cause, "%s", eye_strerror(r));
    for (size_t i = 0; i < ARRAY_LEN(causes); i++)
        if (causes[i].error == -r)
            snprintf(m->cause, sizeof m->cause, "%s", causes[i].cause);
}

int eye_doctor(size_t index, struct eye_mechanism *ret_mechanism) {
    struct eye_mechanism m = {0};
    size_t engines = 0, rings = 0;
    while (backends[engines])
        engines++;
    if (index < engines) {
        struct eye_err err;
        m.area = "engine";
        int r = eye_engine_probe(index, &m.name, &err);
        m.since = backends[index]->since;
        size_t next = index + 1;
        while (next < engines && backends[next]->missing)
            next++;
        fill_in(&m, r, next < engines ? backends[next]->name : "");
        if (backends[index]->missing)
            snprintf(m.cause, sizeof m.cause, "%s", backends[index]->missing);
        eye_loop *loop;
        if (r == 0 && eye_loop_new(NULL, &loop, NULL) == 0) {
            if (strcmp(eye_loop_engine(loop), m.name) == 0)
                snprintf(m.detail, sizeof m.detail, "what auto means here");
            eye_loop_free(loop);
        }
        *ret_mechanism = m;
        return 1;
    }
    index -= engines;
    const struct ring_feature *feature = ring_feature(index);
    if (feature) {
        m.area = "io_uring";
        m.name = feature->name;
        m.since = feature->since;
        fill_in(&m, feature->attempt(), feature->instead);
        *ret_mechanism = m;
        return 1;
    }
    while (ring_feature(rings))
        rings++;
    index -= rings;
    if (index >= ARRAY_LEN(mechanisms))
        return 0;
    const struct mechanism *row = &mechanisms[index];
    m.area = row->area;
    m.name = row->name;
    m.since = row->since;
    fill_in(&m, row->attempt(m.detail, sizeof m.detail), row->instead);
    if (m.status != EYE_USABLE && row->cause && row->cause(m.error))
        snprintf(m.cause, sizeof m.cause, "%s", row->cause(m.error));
    *ret_mechanism = m;
    return 1;
}
