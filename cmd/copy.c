/* copy.c: `sockeye copy SRC DST`: copies a file, or with -r a tree, inside the kernel. */
#include <signal.h>
#include <string.h>
#include <sys/stat.h>

#include <sockeye/file.h>

#include "commands.h"
#include "json.h"
#include "output.h"
#include "progress.h"
#include "run.h"

struct copy_options {
    struct common common;
    bool recursive, no_sync;
};

struct copying {
    struct progress progress;
    int status; /* of the first that failed */
};

static volatile sig_atomic_t stopped_by;

/* The second one ends at once (SA_RESETHAND). */
static void stop(int signum) {
    stopped_by = signum;
}

static bool copy_progress(void *user, const char *path, uint64_t done_bytes, uint64_t total_bytes) {
    struct copying *copying = user;
    progress_at(&copying->progress, path, done_bytes, total_bytes);
    return !stopped_by;
}

static void copy_failed(void *user, const struct eye_err *err) {
    struct copying *copying = user;
    if (stopped_by)
        return;
    progress_clear(&copying->progress);
    int status = report(err);
    copying->status = copying->status ? copying->status : status;
}

static uint64_t copied_bytes(const struct eye_copy_stats *stats) {
    uint64_t bytes = stats->hole_bytes;
    for (enum eye_copy_step step = 0; step < EYE_COPY_STEP_MAX; step++)
        bytes += stats->bytes[step];
    return bytes;
}

static void print_json(const struct arguments *arguments, const struct eye_copy_stats *stats) {
    struct json json = {.file = stdout};
    json_begin(&json);
    json_string(&json, "from", arguments->list[0]);
    json_string(&json, "to", arguments->list[1]);
    json_uint(&json, "files", stats->files);
    json_uint(&json, "bytes", copied_bytes(stats));
    json_uint(&json, "hole_bytes", stats->hole_bytes);
    json_uint(&json, "changed", stats->changed);
    json_open(&json, "steps", '{');
    for (enum eye_copy_step step = 0; step < EYE_COPY_STEP_MAX; step++)
        json_uint(&json, eye_copy_step_name(step), stats->bytes[step]);
    json_close(&json, '}');
    json_end(&json);
}

static void print_lines(const struct eye_copy_stats *stats) {
    notice("%llu %s, %llu bytes", (unsigned long long)stats->files, stats->files == 1 ? "file" : "files",
           (unsigned long long)copied_bytes(stats));
    for (enum eye_copy_step step = 0; step < EYE_COPY_STEP_MAX; step++)
        if (stats->bytes[step] > 0)
            fprintf(stderr, "  by %s: %llu bytes\n", eye_copy_step_name(step),
                    (unsigned long long)stats->bytes[step]);
    if (stats->hole_bytes > 0)
        fprintf(stderr, "  holes: %llu bytes\n", (unsigned long long)stats->hole_bytes);
}

static bool is_folder(const char *path) {
    struct stat st;
    return stat(path, &st) == 0 && S_ISDIR(st.st_mode);
}

static int copy_run(const void *options, struct arguments arguments) {
    const struct copy_options *copy = options;
    const struct sigaction action = {.sa_handler = stop, .sa_flags = (int)SA_RESETHAND};
    struct copying copying = {0};
    struct eye_copy_stats stats = {0};
    const struct eye_copy_opts opts = {
        .no_sync = copy->no_sync, .progress = copy_progress, .failed = copy_failed, .user = &copying};
    struct eye_err err;
    int r;

    for (size_t i = 0; i < 2; i++)
        if (!*arguments.list[i])
            return usage_error(&err, NULL, "an empty name"), report(&err);
    bool from_input = strcmp(arguments.list[0], "-") == 0;
    const char *from = from_input ? "/dev/stdin" : arguments.list[0];
    const char *to = strcmp(arguments.list[1], "-") == 0 ? "/dev/stdout" : arguments.list[1];
    if (from_input && is_folder(to))
        return usage_error(&err, NULL, "%s: a directory, and standard input has no name for a file in it",
                           to),
               report(&err);
    if (copy->common.json && strcmp(arguments.list[1], "-") == 0)
        return usage_error(&err, NULL, "--json and the copy would both go to standard output"), report(&err);
    sigaction(SIGINT, &action, NULL);
    sigaction(SIGTERM, &action, NULL);
    signal(SIGPIPE, SIG_IGN);
    progress_begin(&copying.progress, copy->common.quiet);
    r = (copy->recursive && !from_input ? eye_copy_tree : eye_copy_file)(from, to, &opts, &stats, &err);
    progress_clear(&copying.progress);
    if (stopped_by)
        run_end_by(stopped_by);
    if (r < 0 && !copying.status)
        copying.status = report(&err);
    if (stats.changed > 0 && !copy->common.quiet)
        notice("%llu %s changed while being copied; what was copied is what was read",
               (unsigned long long)stats.changed, stats.changed == 1 ? "file" : "files");
    if (copy->common.json)
        print_json(&arguments, &stats);
    if (copy->common.verbose)
        print_lines(&stats);
    return copying.status;
}

static const struct option_row option_recursive = {"recursive",
                                                   'r',
                                                   OPTION_FLAG,
                                                   NULL,
                                                   "copy a directory and all that is in it",
                                                   .offset = offsetof(struct copy_options, recursive)};
static const struct option_row option_no_sync = {
    "no-sync",
    0,
    OPTION_FLAG,
    NULL,
    "do not wait until the copy is on the disk: faster, and not safe from a loss of power",
    .offset = offsetof(struct copy_options, no_sync)};
static const struct option_row option_steps = {"verbose",
                                               'v',
                                               OPTION_FLAG,
                                               NULL,
                                               "tell how many bytes each way of copying carried",
                                               .offset = offsetof(struct common, verbose)};

const struct command copy_command = {
    .name = "copy",
    .summary = "copies a file inside the kernel, whole or not at all",
    .arguments = "SRC DST",
    .about = "Copies SRC to DST, or into it where DST is a directory, by the cheapest way that\n"
             "works between the two: shared blocks, copy_file_range, sendfile, or read and\n"
             "write. DST is the old file or the whole new one, whatever happens. Holes, mode\n"
             "and times are kept. A - is standard input, or output.",
    .see_also = "*sockeye-send*(1), *cp*(1), *dd*(1), *copy_file_range*(2), *sendfile*(2)",
    .options = (const struct option_row *const[]){&option_recursive, &option_no_sync, &option_json,
                                                  &option_steps, &option_quiet, &option_help, NULL},
    .defaults = &(const struct copy_options){.common = COMMON_DEFAULTS},
    .options_size = sizeof(struct copy_options),
    .arguments_min = 2,
    .arguments_max = 2,
    .completes = COMPLETE_FILE,
    .run = copy_run,
};
