/* bench.h: the kinds of `sockeye bench`. A kind is one file with its columns and a function that measures and
 * prints a row for each case, and a row in the table of bench.c. */
#ifndef CMD_BENCH_H
#define CMD_BENCH_H

#include "child.h"
#include "load.h"
#include "options.h"

struct bench_options {
    struct common common; /* engine is NULL where each usable one is to be measured */
    int64_t duration_ns;  /* of each measurement */
    int64_t connections;  /* 0: the kind's own cases */
    int64_t size_bytes;   /* 0: the kind's own cases */
    const char *plot;     /* the file of an SVG, of kinds that draw one; or NULL */
};

/* A column: its name in JSON, its title for people, how wide it is, and how many decimals its numbers have,
 * or BENCH_TEXT. */
#define BENCH_TEXT (-1)
struct bench_column {
    const char *key, *title;
    int width, decimals;
};

/* What stands in it: a number is printed where text is NULL. */
struct bench_cell {
    const char *text;
    double number;
};

struct bench_kind {
    const char *name;
    const char *summary;
    const struct bench_column *columns; /* ended by a NULL key */
    bool plots;                         /* knows --plot */

    /* Measures each of its cases and hands each to bench_row. Returns the exit status. */
    int (*run)(const struct bench_options *options);
};

extern const struct bench_kind bench_crypto, bench_echo, bench_relay, bench_copy;

/* Prints a row, a cell for each column in their order: a line of the table, or a line of JSON. */
void bench_row(const struct bench_kind *kind, const struct bench_options *options,
               const struct bench_cell *cells);

/* Runs measure once for the engine that the user named, or for each that this host allows. Returns the first
 * exit status that is not 0. */
int bench_engines(const struct bench_options *options,
                  int (*measure)(const struct bench_options *options, const char *engine));

/* ---- a server of ours under load ---- */

/* What one measurement gave. */
struct bench_measured {
    struct load_result load;
    int64_t server_cpu_ns;
};

/* Starts a sockeye server (what argv says, which leaves its events to us) on one CPU, loads it from another,
 * and ends it. The address where a LOAD_STREAM takes what arrives is put in the place of the argument
 * BENCH_SINK. Returns the exit status; errors are reported. */
#define BENCH_SINK "{sink}"
int bench_serve(const struct child_how *server, const struct load_how *how, struct bench_measured *ret);

#endif
