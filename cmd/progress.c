#include "progress.h"

#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include <sockeye/err.h>

#define PRINT_EVERY_NS INT64_C(200000000)
#define NS_PER_S       1e9

static int64_t now_ns(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
}

const char *progress_bytes(uint64_t bytes, char *buf) {
    static const char *const units[] = {"bytes", "kB", "MB", "GB", "TB", "PB", "EB"};
    size_t unit = 0;
    double value = (double)bytes;
    while (value >= 1000 && unit + 1 < sizeof units / sizeof units[0]) {
        value /= 1000;
        unit++;
    }
    snprintf(buf, 16, unit && value < 100 ? "%.1f %s" : "%.0f %s", value, units[unit]);
    return buf;
}

void progress_begin(struct progress *progress, bool quiet) {
    *progress = (struct progress){.wanted = !quiet && isatty(STDERR_FILENO)};
}

void progress_next(struct progress *progress, uint64_t done_bytes) {
    progress->started_ns = progress->printed_ns = now_ns();
    progress->started_bytes = done_bytes;
}

void progress_at(struct progress *progress, const char *name, uint64_t done_bytes, uint64_t total_bytes) {
    char escaped[64] = "", done[16], total[16], rate[16];
    if (!progress->wanted)
        return;
    if (!progress->started_ns || done_bytes < progress->last_bytes)
        progress_next(progress, done_bytes);
    progress->last_bytes = done_bytes;
    int64_t now = now_ns();
    if (now - progress->printed_ns < PRINT_EVERY_NS)
        return;
    progress->printed_ns = now;
    progress->shown = true;
    double seconds = (double)(now - progress->started_ns) / NS_PER_S;
    double per_s = (double)(done_bytes - progress->started_bytes) / seconds;
    if (name)
        eye_escape(name, strlen(name), escaped, sizeof escaped);
    fprintf(stderr, "\r\033[K%s%s%s", escaped, name ? ": " : "", progress_bytes(done_bytes, done));
    if (total_bytes > 0)
        fprintf(stderr, " of %s (%u %%)", progress_bytes(total_bytes, total),
                (unsigned)((double)done_bytes / (double)total_bytes * 100));
    fprintf(stderr, ", %s/s", progress_bytes((uint64_t)per_s, rate));
    if (total_bytes > done_bytes && per_s > 1)
        fprintf(stderr, ", %.0f s left", (double)(total_bytes - done_bytes) / per_s);
    fflush(stderr);
}

void progress_clear(struct progress *progress) {
    if (progress->shown)
        fputs("\r\033[K", stderr);
    progress->shown = false;
}
