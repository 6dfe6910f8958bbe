/* bench_echo.c: `sockeye bench echo`: a server that answers. */
#include "bench.h"
#include "output.h"

/* What a socket's buffer of the default size (212,992 bytes, socket(7)) takes of datagrams, each with what
 * the kernel adds to it: more under way at once would be lost. */
#define WINDOW_MAX        256
#define RCVBUF_BYTES      212992
#define DATAGRAM_OVERHEAD 768
#define PAYLOAD_MAX       65507

static const struct echo_case {
    const char *name;
    const char *endpoint;
    struct load_how load;
} cases[] = {
    {"tcp", "tcp:127.0.0.1:0", {.kind = LOAD_ECHO, .connections = 1, .size = 64}},
    {"tcp", "tcp:127.0.0.1:0", {.kind = LOAD_ECHO, .connections = 50, .size = 64}},
    {"tcp", "tcp:127.0.0.1:0", {.kind = LOAD_ECHO, .connections = 50, .size = 65536}},
    {"tcp connect", "tcp:127.0.0.1:0", {.kind = LOAD_CONNECT, .connections = 50, .size = 64}},
    {"udp", "udp:127.0.0.1:0", {.kind = LOAD_DATAGRAM, .connections = 1, .size = 64}},
    {"udp joined",
     "udp:127.0.0.1:0",
     {.kind = LOAD_DATAGRAM, .connections = 1, .size = 64, .segments = true}},
};
#define CASE_COUNT (sizeof cases / sizeof cases[0])

static const struct bench_column columns[] = {
    {"load", "load", 13, BENCH_TEXT}, {"engine", "engine", 10, BENCH_TEXT},
    {"size", "bytes", 7, 0},          {"connections", "conns", 7, 0},
    {"per_s", "requests/s", 12, 0},   {"cpu_us", "CPU us each", 13, 3},
    {"p50_us", "p50 us", 9, 1},       {"p99_us", "p99 us", 9, 1},
    {"lost", "lost", 6, 0},           {NULL, NULL, 0, 0},
};

/* A case as the user wants it; false where that makes none of it. */
static bool wanted(const struct bench_options *options, const struct echo_case *from, struct load_how *ret) {
    bool datagrams = from->load.kind == LOAD_DATAGRAM;
    *ret = from->load;
    ret->duration_ns = options->duration_ns;
    if (options->connections > 0 && !datagrams)
        ret->connections = (size_t)options->connections;
    if (options->size_bytes > 0)
        ret->size = (size_t)options->size_bytes;
    ret->window = RCVBUF_BYTES / (DATAGRAM_OVERHEAD + ret->size);
    if (ret->window > WINDOW_MAX)
        ret->window = WINDOW_MAX;
    return !datagrams || ret->size <= (ret->segments ? PAYLOAD_MAX / 2 : PAYLOAD_MAX);
}

/* Whether what the user said has made this case the same as an earlier one. */
static bool repeated(const struct bench_options *options, size_t index, const struct load_how *how) {
    struct load_how earlier;
    for (size_t i = 0; i < index; i++) {
        if (wanted(options, &cases[i], &earlier) && earlier.kind == how->kind &&
            earlier.connections == how->connections && earlier.size == how->size &&
            earlier.segments == how->segments)
            return true;
    }
    return false;
}

static int measure(const struct bench_options *options, const char *engine) {
    for (size_t i = 0; i < CASE_COUNT; i++) {
        struct load_how how;
        if (!wanted(options, &cases[i], &how) || repeated(options, i, &how))
            continue;
        struct bench_measured m;
        int status = bench_serve(
            &(const struct child_how){{"sockeye", "echo", "--quiet", "--engine", engine, cases[i].endpoint},
                                      .events = true,
                                      .in = CHILD_PIPE,
                                      .out = CHILD_PIPE},
            &how, &m);
        if (status)
            return status;
        double units = (double)m.load.units;
        bench_row(&bench_echo, options,
                  (const struct bench_cell[]){
                      {.text = cases[i].name},
                      {.text = engine},
                      {.number = (double)how.size},
                      {.number = (double)how.connections},
                      {.number = units * 1e9 / (double)m.load.wall_ns},
                      {.number = (double)m.server_cpu_ns / units / 1e3},
                      {.number = (double)m.load.p50_ns / 1e3},
                      {.number = (double)m.load.p99_ns / 1e3},
                      {.number = (double)m.load.lost},
                  });
    }
    return STATUS_OK;
}

static int run(const struct bench_options *options) {
    return bench_engines(options, measure);
}

const struct bench_kind bench_echo = {
    .name = "echo",
    .summary = "a server that answers, over TCP and UDP, on each engine",
    .columns = columns,
    .run = run,
};
