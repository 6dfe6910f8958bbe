/* bench_copy.c: `sockeye bench copy`: a file to a file, by each way that the kernel offers and by `copy`.
 * What is measured is this process's CPU: the bytes are in memory, and none is waited for to reach the disk.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/sendfile.h>
#include <time.h>
#include <unistd.h>

#include <sockeye/file.h>

#include "bench.h"
#include "output.h"

#define SIZE_DEFAULT_BYTES (INT64_C(256) << 20)
#define PIECE_BYTES        (128 * 1024)

struct files {
    char from[64], to[64];
};

static int by_copy(const struct files *files) {
    const struct eye_copy_opts opts = {.no_sync = true};
    struct eye_copy_stats stats = {0};
    return eye_copy_file(files->from, files->to, &opts, &stats, NULL);
}

static ssize_t step_range(int from, int to) {
    return copy_file_range(from, NULL, to, NULL, 1 << 30, 0);
}

static ssize_t step_sendfile(int from, int to) {
    return sendfile(to, from, NULL, 1 << 30);
}

static ssize_t step_read(int from, int to) {
    static char piece[PIECE_BYTES];
    ssize_t n = read(from, piece, sizeof piece);
    return n > 0 ? write(to, piece, (size_t)n) : n;
}

static int by_steps(const struct files *files, ssize_t (*step)(int from, int to)) {
    int from = open(files->from, O_RDONLY | O_CLOEXEC);
    int to = open(files->to, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    ssize_t n = from < 0 || to < 0 ? -1 : 1;
    while (n > 0)
        n = step(from, to);
    int r = n < 0 ? -errno : 0;
    if (from >= 0)
        close(from);
    if (to >= 0)
        close(to);
    return r;
}

static const struct {
    const char *name;
    ssize_t (*step)(int from, int to); /* NULL: sockeye's own */
} ways[] = {
    {"copy", NULL},
    {"copy_file_range", step_range},
    {"sendfile", step_sendfile},
    {"read and write", step_read},
};

static int64_t cpu_ns(void) {
    struct rusage usage;
    getrusage(RUSAGE_SELF, &usage);
    return (usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) * INT64_C(1000000000) +
           (usage.ru_utime.tv_usec + usage.ru_stime.tv_usec) * INT64_C(1000);
}

static int64_t wall_ns(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return now.tv_sec * INT64_C(1000000000) + now.tv_nsec;
}

static const struct bench_column columns[] = {{"way", "way", 18, BENCH_TEXT},
                                              {"size_bytes", "size", 12, 0},
                                              {"cpu_s_per_gb", "CPU s/GB", 12, 3},
                                              {"gb_per_s", "GB/s", 10, 2},
                                              {NULL, NULL, 0, 0}};

/* Copies again and again for the duration, at least once. */
static int measure(const struct bench_options *options, size_t way, const struct files *files, int64_t size) {
    int64_t cpu = 0, wall = 0;
    double bytes = 0;
    while (wall < options->duration_ns) {
        unlink(files->to);
        int64_t cpu_from = cpu_ns(), wall_from = wall_ns();
        int r = ways[way].step ? by_steps(files, ways[way].step) : by_copy(files);
        if (r < 0)
            return report_code(r, ways[way].name);
        cpu += cpu_ns() - cpu_from;
        wall += wall_ns() - wall_from;
        bytes += (double)size;
    }
    bench_row(&bench_copy, options,
              (const struct bench_cell[]){{.text = ways[way].name},
                                          {.number = (double)size},
                                          {.number = (double)cpu / bytes},
                                          {.number = bytes / (double)wall}});
    return STATUS_OK;
}

/* A file of that size, of bytes that are no hole. */
static int make_file(const char *path, int64_t size) {
    static char piece[PIECE_BYTES];
    int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600), r = fd < 0 ? -errno : 0;
    memset(piece, 'x', sizeof piece);
    while (r == 0 && size > 0) {
        ssize_t n = write(fd, piece, size < PIECE_BYTES ? (size_t)size : sizeof piece);
        r = n < 0 ? -errno : 0;
        size -= n;
    }
    if (fd >= 0)
        close(fd);
    return r;
}

static int copy_run(const struct bench_options *options) {
    int64_t size = options->size_bytes ? options->size_bytes : SIZE_DEFAULT_BYTES;
    char folder[32] = "./sockeye-bench-XXXXXX";
    struct files files;
    if (!mkdtemp(folder))
        return report_code(-errno, "a folder here to copy in");
    snprintf(files.from, sizeof files.from, "%s/from", folder);
    snprintf(files.to, sizeof files.to, "%s/to", folder);
    int r = make_file(files.from, size), status = r < 0 ? report_code(r, files.from) : STATUS_OK;
    for (size_t way = 0; way < sizeof ways / sizeof ways[0] && status == STATUS_OK; way++)
        status = measure(options, way, &files, size);
    unlink(files.from);
    unlink(files.to);
    rmdir(folder);
    return status;
}

const struct bench_kind bench_copy = {
    .name = "copy", .summary = "a file to a file", .columns = columns, .run = copy_run};
