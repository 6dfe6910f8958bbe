#include "load_kinds.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <time.h>
#include <unistd.h>

#define SOURCES 200 /* addresses of 127.0.0.0/8 that are connected from in turn */

/* The kinds. `connect` is NULL where there is nothing to connect before the run. */
static const struct {
    const char *name;
    int (*connect)(struct load *load);
    int (*run)(struct load *load, int64_t deadline_ns);
} kinds[] = {
    [LOAD_ECHO] = {"echo", load_echo_connect, load_echo_run},
    [LOAD_CONNECT] = {"connect", NULL, load_connect_run},
    [LOAD_DATAGRAM] = {"datagram", load_datagram_connect, load_datagram_run},
    [LOAD_STREAM] = {"stream", load_stream_connect, load_stream_run},
};
_Static_assert(sizeof kinds / sizeof kinds[0] == LOAD_KIND_MAX, "a row for every kind");

const char *load_kind_name(enum load_kind kind) {
    return kinds[kind].name;
}

static int64_t clock_ns(clockid_t clock) {
    struct timespec t;
    clock_gettime(clock, &t);
    return t.tv_sec * INT64_C(1000000000) + t.tv_nsec;
}

int64_t load_now(void) {
    return clock_ns(CLOCK_MONOTONIC);
}

static bool is_loopback4(const struct sockaddr_storage *addr) {
    const struct sockaddr_in *in = (const struct sockaddr_in *)addr;
    return addr->ss_family == AF_INET && ntohl(in->sin_addr.s_addr) >> 24 == 127;
}

int load_dial(const struct load *load, int type, size_t index) {
    int fd = socket(load->to.ss_family, type | SOCK_CLOEXEC, 0), one = 1;
    if (fd < 0)
        return -errno;
    if (type == SOCK_STREAM)
        setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    if (is_loopback4(&load->to)) {
        const struct sockaddr_in from = {
            .sin_family = AF_INET,
            .sin_addr.s_addr = htonl(INADDR_LOOPBACK + (uint32_t)(index % SOURCES)),
        };
        /* The port is chosen by connect(2), which can take one that another destination uses (ip(7)). */
        setsockopt(fd, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, &one, sizeof one);
        if (bind(fd, (const struct sockaddr *)&from, sizeof from) < 0)
            goto failed;
    }
    if (connect(fd, (const struct sockaddr *)&load->to, load->to_len) == 0)
        return fd;
failed:;
    int error = errno;
    close(fd);
    return -error;
}

/* ---- round trips ---- */

void load_latency(struct load *load, int64_t ns) {
    uint64_t v = (uint64_t)ns | LATENCY_STEPS;
    unsigned power = 63 - (unsigned)__builtin_clzll(v);
    load->latency[power * LATENCY_STEPS + (v >> (power - 4)) % LATENCY_STEPS]++;
}

/* The middle of the bucket below which this part of the round trips lie. */
static int64_t latency_at(const struct load *load, double part) {
    uint64_t count = 0, seen = 0;
    for (size_t i = 0; i < LATENCY_BUCKETS; i++)
        count += load->latency[i];
    for (size_t i = 0; i < LATENCY_BUCKETS && count > 0; i++) {
        seen += load->latency[i];
        if ((double)seen >= part * (double)count) {
            uint64_t step = UINT64_C(1) << (i / LATENCY_STEPS - 4);
            return (int64_t)((LATENCY_STEPS + i % LATENCY_STEPS) * step + step / 2);
        }
    }
    return 0;
}

/* ---- the whole ---- */

static int sink_open(struct load *load) {
    const struct sockaddr_in at = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    load->sink = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (load->sink < 0 || bind(load->sink, (const struct sockaddr *)&at, sizeof at) < 0 ||
        listen(load->sink, SOMAXCONN) < 0)
        return -errno;
    return 0;
}

int load_new(const struct load_how *how, struct load **ret_load) {
    struct load *load = calloc(1, sizeof *load);
    if (!load)
        return -ENOMEM;
    load->how = *how;
    load->sink = -1;
    load->epoll = epoll_create1(EPOLL_CLOEXEC);
    int r = load->epoll < 0 ? -errno : how->kind == LOAD_STREAM ? sink_open(load) : 0;
    load->conns = calloc(2 * how->connections, sizeof *load->conns);
    load->out = malloc(how->size);
    load->in = malloc(LOAD_BYTES);
    if (r == 0 && (!load->conns || !load->out || !load->in))
        r = -ENOMEM;
    for (size_t i = 0; load->conns && i < 2 * how->connections; i++)
        load->conns[i].fd = -1;
    for (size_t i = 0; load->out && i < how->size; i++)
        load->out[i] = (uint8_t)(i * 7 + i / 256);
    if (r < 0)
        load_free(load);
    else
        *ret_load = load;
    return r;
}

uint16_t load_sink_port(const struct load *load) {
    struct sockaddr_in at = {0};
    socklen_t len = sizeof at;
    if (load->sink >= 0)
        getsockname(load->sink, (struct sockaddr *)&at, &len);
    return ntohs(at.sin_port);
}

int load_connect(struct load *load, const struct sockaddr *to, socklen_t to_len) {
    memcpy(&load->to, to, to_len);
    load->to_len = to_len;
    return kinds[load->how.kind].connect ? kinds[load->how.kind].connect(load) : 0;
}

int load_run(struct load *load, struct load_result *ret_result) {
    int64_t began_ns = load_now(), cpu_ns = clock_ns(CLOCK_PROCESS_CPUTIME_ID);
    load->units = load->lost = 0;
    memset(load->latency, 0, sizeof load->latency);
    load->running = true;
    int r = kinds[load->how.kind].run(load, began_ns + load->how.duration_ns);
    load->running = false;
    if (r < 0)
        return r;
    *ret_result = (struct load_result){
        .units = load->units,
        .lost = load->lost,
        .wall_ns = load_now() - began_ns,
        .cpu_ns = clock_ns(CLOCK_PROCESS_CPUTIME_ID) - cpu_ns,
        .p50_ns = latency_at(load, 0.5),
        .p99_ns = latency_at(load, 0.99),
    };
    return 0;
}

struct load *load_free(struct load *load) {
    for (size_t i = 0; load->conns && i < 2 * load->how.connections; i++) {
        if (load->conns[i].fd >= 0)
            close(load->conns[i].fd);
    }
    if (load->epoll >= 0)
        close(load->epoll);
    if (load->sink >= 0)
        close(load->sink);
    free(load->conns);
    free(load->out);
    free(load->in);
    free(load);
    return NULL;
}
