/* load.c KIND CONNECTIONS SIZE SECONDS [WINDOW [joined]]: the load generator of cmd/load.h, led by whoever
 * reads its standard output:
 *
 *     it says      sink PORT              where a stream is to be sent on to, else 0
 *     it is told   PORT                   of 127.0.0.1, the server's
 *     it says      ready                  every connection has answered once
 *     it is told   anything
 *     it says      {"units":...}          what the run gave
 *
 * The last three again, until its standard input ends. Its connections stay open meanwhile. */
#include <errno.h>
#include <inttypes.h>
#include <signal.h>
#include <sys/resource.h>

#include "../cmd/load.h"
#include "bare.h"

#define NS_PER_S 1e9

static enum load_kind kind_of(const char *name) {
    for (int kind = 0; kind < LOAD_KIND_MAX; kind++) {
        if (strcmp(load_kind_name((enum load_kind)kind), name) == 0)
            return (enum load_kind)kind;
    }
    fprintf(stderr, "load: no kind '%s'\n", name);
    exit(2);
}

static void check(int r, const char *what) {
    if (r < 0) {
        errno = -r;
        die(what);
    }
}

int main(int argc, char **argv) {
    struct load_result result;
    struct rlimit limit;
    struct load *load;
    char line[64];

    if (argc < 5)
        return 2;
    const struct load_how how = {
        .kind = kind_of(argv[1]),
        .connections = strtoul(argv[2], NULL, 10),
        .size = strtoul(argv[3], NULL, 10),
        .duration_ns = (int64_t)(strtod(argv[4], NULL) * NS_PER_S),
        .window = argc > 5 ? strtoul(argv[5], NULL, 10) : 1,
        .segments = argc > 6,
    };
    signal(SIGPIPE, SIG_IGN);
    getrlimit(RLIMIT_NOFILE, &limit);
    limit.rlim_cur = limit.rlim_max;
    setrlimit(RLIMIT_NOFILE, &limit);
    setvbuf(stdout, NULL, _IOLBF, 0);

    check(load_new(&how, &load), "load");
    printf("sink %u\n", load_sink_port(load));
    if (!fgets(line, sizeof line, stdin))
        return 0;
    struct sockaddr_in to = at_port(line);
    check(load_connect(load, (struct sockaddr *)&to, sizeof to), "connect");
    printf("ready\n");
    while (fgets(line, sizeof line, stdin)) {
        check(load_run(load, &result), "run");
        printf("{\"units\":%" PRIu64 ",\"lost\":%" PRIu64 ",\"wall_s\":%.6f,\"cpu_s\":%.6f,"
               "\"p50_us\":%.1f,\"p99_us\":%.1f}\n",
               result.units, result.lost, (double)result.wall_ns / NS_PER_S, (double)result.cpu_ns / NS_PER_S,
               (double)result.p50_ns / 1e3, (double)result.p99_ns / 1e3);
    }
    load_free(load);
    return 0;
}
