/* bench_copy.c: `sockeye bench copy`: a file to a file, by each way that the kernel offers, by `copy`, and
 * from `send` to `recv`, with digests and without. What is measured is this process's CPU, of both sides
 * where there are two: the bytes are in memory, and none is waited for to reach the disk. */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/sendfile.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include <sockeye/file.h>
#include <sockeye/transfer.h>

#include "bench.h"
#include "output.h"

#define SIZE_DEFAULT_BYTES (INT64_C(256) << 20)
#define PIECE_BYTES        (128 * 1024)

struct files {
    char folder[32], from[64], to[64], inbox[64], socket[64], received[80];
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

/* ---- the kernel's ways ---- */

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

static int by_range(const struct files *files) {
    return by_steps(files, step_range);
}

static int by_sendfile(const struct files *files) {
    return by_steps(files, step_sendfile);
}

static int by_read(const struct files *files) {
    return by_steps(files, step_read);
}

/* ---- a sender and a receiver, in one loop ---- */

static void done(eye_op *op, int64_t result) {
    (void)op, (void)result; /* the results are read when the loop has ended */
}

static int transfer(const struct files *files, bool no_digest) {
    struct eye_transfer_result sent, received;
    eye_op send_op = {0}, receive_op = {0};
    const char *const paths[] = {files->from};
    struct eye_endpoint endpoint;
    eye_loop *loop;
    int r = eye_endpoint_parse(files->socket, &endpoint, NULL);
    if (r < 0)
        return r;
    r = eye_loop_new(NULL, &loop, NULL);
    if (r == 0) {
        const struct eye_transfer_opts in = {.endpoint = &endpoint,
                                             .listen = true,
                                             .folder = files->inbox,
                                             .overwrite = true,
                                             .no_sync = true};
        const struct eye_transfer_opts out = {
            .endpoint = &endpoint, .paths = paths, .path_count = 1, .no_digest = no_digest};
        eye_transfer_receive(loop, &receive_op, &in, &received, done);
        eye_transfer_send(loop, &send_op, &out, &sent, done);
        int64_t ran = eye_loop_run(loop, -1);
        r = ran < 0 ? (int)ran : sent.err.code ? sent.err.code : received.err.code;
        eye_loop_free(loop);
    }
    eye_endpoint_done(&endpoint);
    return r;
}

static int by_transfer(const struct files *files) {
    return transfer(files, false);
}

static int by_transfer_bare(const struct files *files) {
    return transfer(files, true);
}

/* ---- */

static const struct {
    const char *name;
    int (*run)(const struct files *files);
} ways[] = {
    {"copy", by_copy},           {"copy_file_range", by_range},  {"sendfile", by_sendfile},
    {"read and write", by_read}, {"send and recv", by_transfer}, {"the same, no digest", by_transfer_bare},
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

static const struct bench_column columns[] = {{"way", "way", 20, BENCH_TEXT},
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
        unlink(files->received);
        int64_t cpu_from = cpu_ns(), wall_from = wall_ns();
        int r = ways[way].run(files);
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
    struct files files = {.folder = "./sockeye-bench-XXXXXX"};
    if (!mkdtemp(files.folder))
        return report_code(-errno, "a folder here to copy in");
    snprintf(files.from, sizeof files.from, "%s/from", files.folder);
    snprintf(files.to, sizeof files.to, "%s/to", files.folder);
    snprintf(files.inbox, sizeof files.inbox, "%s/in", files.folder);
    snprintf(files.received, sizeof files.received, "%s/from", files.inbox);
    snprintf(files.socket, sizeof files.socket, "unix:%s/socket", files.folder);
    int r = mkdir(files.inbox, 0700) < 0 ? -errno : make_file(files.from, size);
    int status = r < 0 ? report_code(r, files.from) : STATUS_OK;
    for (size_t way = 0; way < sizeof ways / sizeof ways[0] && status == STATUS_OK; way++)
        status = measure(options, way, &files, size);
    unlink(files.from);
    unlink(files.to);
    unlink(files.received);
    rmdir(files.inbox);
    rmdir(files.folder);
    return status;
}

const struct bench_kind bench_copy = {.name = "copy",
                                      .summary = "a file to a file, and from a sender to a receiver",
                                      .columns = columns,
                                      .run = copy_run};
