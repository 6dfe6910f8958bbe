/* bench_relay.c: `sockeye bench relay`: streams through a relay. */
#include "bench.h"
#include "output.h"

#define WRITE_BYTES (128 * 1024)

static const size_t connections[] = {1, 50};

static const struct bench_column columns[] = {
    {"engine", "engine", 10, BENCH_TEXT}, {"size", "bytes", 8, 0},
    {"connections", "conns", 7, 0},       {"gb_per_s", "GB/s", 8, 2},
    {"cpu_s_per_gb", "CPU s/GB", 10, 3},  {NULL, NULL, 0, 0},
};

static int measure_one(const struct bench_options *options, const char *engine, size_t count) {
    const struct load_how how = {
        .kind = LOAD_STREAM,
        .connections = count,
        .size = options->size_bytes > 0 ? (size_t)options->size_bytes : WRITE_BYTES,
        .duration_ns = options->duration_ns,
    };
    struct bench_measured m;
    int status = bench_serve(&(const struct child_how){{"sockeye", "relay", "--quiet", "--engine", engine,
                                                        "tcp:127.0.0.1:0", BENCH_SINK},
                                                       .events = true,
                                                       .in = CHILD_PIPE,
                                                       .out = CHILD_PIPE},
                             &how, &m);
    if (status == STATUS_OK)
        bench_row(&bench_relay, options,
                  (const struct bench_cell[]){
                      {.text = engine},
                      {.number = (double)how.size},
                      {.number = (double)count},
                      {.number = (double)m.load.units / (double)m.load.wall_ns},
                      {.number = (double)m.server_cpu_ns / (double)m.load.units},
                  });
    return status;
}

static int measure(const struct bench_options *options, const char *engine) {
    if (options->connections > 0)
        return measure_one(options, engine, (size_t)options->connections);
    int status = STATUS_OK;
    for (size_t i = 0; i < sizeof connections / sizeof connections[0] && status == STATUS_OK; i++)
        status = measure_one(options, engine, connections[i]);
    return status;
}

static int run(const struct bench_options *options) {
    return bench_engines(options, measure);
}

const struct bench_kind bench_relay = {
    .name = "relay",
    .summary = "streams through a relay, on each engine",
    .columns = columns,
    .run = run,
};
