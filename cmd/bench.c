/* bench.c: `sockeye bench KIND...`: measures this machine. */
#include "bench.h"

#include <stdio.h>
#include <string.h>

#include "commands.h"
#include "json.h"
#include "output.h"
#include "run.h"

#define DURATION_DEFAULT_NS (INT64_C(500) * 1000 * 1000)
#define DURATION_MAX_NS     (INT64_C(600) * 1000 * 1000 * 1000)
#define CONNECTIONS_MAX     100000
#define SIZE_MAX_BYTES      (INT64_C(1) << 30)

static const struct bench_kind *const kinds[] = {&bench_crypto, &bench_echo, &bench_relay, &bench_copy, NULL};

/* ---- the answer ---- */

static void row_json(const struct bench_kind *kind, const struct bench_cell *cells) {
    struct json json = {.file = stdout};
    json_begin(&json);
    json_string(&json, "bench", kind->name);
    for (const struct bench_column *column = kind->columns; column->key; column++, cells++) {
        if (cells->text)
            json_string(&json, column->key, cells->text);
        else
            json_real(&json, column->key, cells->number, column->decimals);
    }
    json_end(&json);
}

static void titles(const struct bench_kind *kind) {
    for (const struct bench_column *column = kind->columns; column->key; column++)
        printf(column->decimals == BENCH_TEXT ? "%-*s" : "%*s", column->width, column->title);
    putchar('\n');
}

void bench_row(const struct bench_kind *kind, const struct bench_options *options,
               const struct bench_cell *cells) {
    if (options->common.json) {
        row_json(kind, cells);
    } else {
        for (const struct bench_column *column = kind->columns; column->key; column++, cells++) {
            if (cells->text)
                printf(column->decimals == BENCH_TEXT ? "%-*s" : "%*s", column->width, cells->text);
            else
                printf("%*.*f", column->width, column->decimals, cells->number);
        }
        putchar('\n');
    }
    fflush(stdout);
}

/* ---- the command ---- */

int bench_engines(const struct bench_options *options,
                  int (*measure)(const struct bench_options *options, const char *engine)) {
    const char *engine = options->common.engine;
    int status = STATUS_OK;
    if (engine)
        return measure(options, engine);
    for (size_t i = 0; status == STATUS_OK; i++) {
        int r = eye_engine_probe(i, &engine, NULL);
        if (r == -ENOENT)
            break;
        if (r == 0)
            status = measure(options, engine);
    }
    return status;
}

static const struct bench_kind *kind_find(const char *name) {
    for (const struct bench_kind *const *kind = kinds; *kind; kind++) {
        if (strcmp((*kind)->name, name) == 0)
            return *kind;
    }
    return NULL;
}

static int kind_unknown(const char *word) {
    const char *names[sizeof kinds / sizeof kinds[0]] = {NULL}, *near;
    char hint[64];
    struct eye_err err;
    for (size_t i = 0; kinds[i]; i++)
        names[i] = kinds[i]->name;
    near = meant(word, strlen(word), names);
    snprintf(hint, sizeof hint, "did you mean '%s'?", near ? near : "");
    usage_error(&err, near ? hint : NULL, "nothing called '%s' can be measured", word);
    return report(&err);
}

static int out_of_bounds(const char *what) {
    struct eye_err err;
    usage_error(&err, NULL, "%s", what);
    return report(&err);
}

static int bench_run(const void *options, struct arguments arguments) {
    const struct bench_options *bench = options;
    int status = STATUS_OK;
    struct eye_err err;

    if (bench->duration_ns > DURATION_MAX_NS || bench->duration_ns <= 0)
        return out_of_bounds("--duration is more than 0 and at most 10m");
    if (bench->connections > CONNECTIONS_MAX)
        return out_of_bounds("--connections is at most 100000");
    if (bench->size_bytes > SIZE_MAX_BYTES)
        return out_of_bounds("--size is at most 1GiB");
    if (bench->common.engine && run_engine_check(bench->common.engine, &err) < 0)
        return report(&err);
    for (size_t i = 0; i < arguments.count; i++) {
        if (!kind_find(arguments.list[i]))
            return kind_unknown(arguments.list[i]);
        if (bench->plot && !kind_find(arguments.list[i])->plots)
            return out_of_bounds("--plot draws crypto only");
    }
    for (size_t i = 0; i < arguments.count && status == STATUS_OK; i++) {
        const struct bench_kind *kind = kind_find(arguments.list[i]);
        if (!bench->common.json)
            titles(kind);
        status = kind->run(bench);
    }
    return status;
}

static const struct option_row option_duration = {"duration",
                                                  0,
                                                  OPTION_DURATION,
                                                  "DURATION",
                                                  "measure each case for so long; 500ms unless said",
                                                  .offset = offsetof(struct bench_options, duration_ns)};
static const struct option_row option_connections = {
    "connections",
    0,
    OPTION_INTEGER,
    "N",
    "so many at once, in the place of the cases that are measured unless said",
    .offset = offsetof(struct bench_options, connections)};
static const struct option_row option_size = {
    "size",
    0,
    OPTION_SIZE,
    "SIZE",
    "bytes of each request or write, in the place of the cases that are measured unless said",
    .offset = offsetof(struct bench_options, size_bytes)};
static const struct option_row option_plot = {"plot",
                                              0,
                                              OPTION_STRING,
                                              "FILE.svg",
                                              "crypto: draw the table as a chart, too",
                                              .offset = offsetof(struct bench_options, plot),
                                              .completes = COMPLETE_FILE};
static const struct option_row option_one_engine = {
    "engine",
    0,
    OPTION_STRING,
    "ENGINE",
    "measure on this engine only; on each that this host allows unless said",
    .offset = offsetof(struct common, engine),
    .choices = engine_choices};

const struct command bench_command = {
    .name = "bench",
    .summary = "measures this machine",
    .arguments = "KIND...",
    .about = "Measures and prints a table, a line for each case.\n"
             "crypto: ciphers and digests by OpenSSL and by the kernel, by size;\n"
             "echo: a server that answers, over TCP and UDP, on each engine;\n"
             "relay: a stream through a relay, on each engine;\n"
             "copy: a file to a file in the present folder, by each of the kernel's ways, and\n"
             "from a sender to a receiver.\n"
             "The server runs on one CPU and its client on another, where there are two. What\n"
             "the server's CPU spends on one request or gigabyte says more than requests in a\n"
             "second, which depend on the client as well.",
    .see_also = "*sockeye*(1), *sockeye-doctor*(1)",
    .options = (const struct option_row *const[]){&option_duration, &option_connections, &option_size,
                                                  &option_one_engine, &option_plot, &option_json,
                                                  &option_help, NULL},
    .defaults = &(const struct bench_options){.duration_ns = DURATION_DEFAULT_NS},
    .options_size = sizeof(struct bench_options),
    .arguments_min = 1,
    .arguments_max = SIZE_MAX,
    .run = bench_run,
};
