#include "transfer.h"

#include <errno.h>
#include <inttypes.h>
#include <string.h>

#include "json.h"
#include "output.h"
#include "progress.h"
#include "run.h"

struct transferring {
    struct run run;
    const struct transfer_options *options;
    struct progress progress;
    struct eye_transfer_result result;
    eye_op op;
    int status; /* of the first file that failed */
};

static void escaped(const char *name, char *buf, size_t size) {
    eye_escape(name, strlen(name), buf, size);
}

static void print_json(const struct eye_transfer_file *file) {
    struct json json = {.file = stdout};
    char digest[24];
    json_begin(&json);
    json_string(&json, "name", file->name);
    json_string(&json, "type", file->folder ? "folder" : "file");
    json_uint(&json, "bytes", file->bytes);
    json_uint(&json, "resumed_bytes", file->resumed_bytes);
    snprintf(digest, sizeof digest, "%016" PRIx64, file->digest);
    if (file->has_digest && !file->err)
        json_string(&json, "digest", digest);
    if (file->err)
        json_string(&json, "error", file->err->text);
    json_end(&json);
}

static void on_file(void *user, const struct eye_transfer_file *file) {
    struct transferring *t = user;
    char name[256];
    progress_clear(&t->progress);
    if (file->err) {
        int status = report(file->err);
        t->status = t->status ? t->status : status;
    } else if (t->options->common.verbose && !file->folder) {
        escaped(file->name, name, sizeof name);
        notice(file->resumed_bytes ? "%s: %" PRIu64 " bytes, %" PRIu64 " of them from before"
                                   : "%s: %" PRIu64 " bytes",
               name, file->bytes, file->resumed_bytes);
    }
    if (t->options->common.json)
        print_json(file);
}

static void on_progress(void *user, const char *name, uint64_t done_bytes, uint64_t total_bytes) {
    struct transferring *t = user;
    progress_at(&t->progress, name, done_bytes, total_bytes);
}

static void transfer_done(eye_op *op, int64_t result) {
    struct transferring *t = eye_container_of(op, struct transferring, op);
    (void)result;
    run_ended(&t->run);
}

static void transfer_stop(struct run *run, int64_t grace_ns) {
    struct transferring *t = eye_container_of(run, struct transferring, run);
    (void)grace_ns;
    eye_cancel(run->loop, &t->op);
}

static int transfer_status(struct transferring *t, bool keep) {
    const struct eye_transfer_result *result = &t->result;
    if (t->run.signum)
        return STATUS_OK;
    /* The failures of files have had their lines. */
    if (result->err.code && !t->status)
        return report(&result->err);
    if (t->options->common.verbose && !keep)
        notice("%" PRIu64 " %s, %" PRIu64 " bytes over the stream", result->files,
               result->files == 1 ? "file" : "files", result->bytes);
    return t->status;
}

int transfer_run(const struct transfer_options *options, transfer_fn *run, const char *text,
                 struct eye_transfer_opts *opts) {
    struct transferring t = {.options = options};
    struct eye_endpoint endpoint;
    int status = run_endpoint(text, &endpoint);

    if (status)
        return status;
    *opts = (struct eye_transfer_opts){.endpoint = &endpoint,
                                       .listen = options->listen || endpoint.role == EYE_ROLE_LISTEN,
                                       .keep = options->keep,
                                       .paths = opts->paths,
                                       .path_count = opts->path_count,
                                       .folder = opts->folder,
                                       .raw = options->raw,
                                       .no_digest = options->no_digest,
                                       .overwrite = options->overwrite,
                                       .no_sync = options->no_sync,
                                       .observer = &t.run.events.observer,
                                       .progress = on_progress,
                                       .file = on_file,
                                       .user = &t};
    status = run_open(&t.run, &options->common, transfer_stop);
    if (status == STATUS_OK) {
        t.run.events.one_shot = !options->keep;
        progress_begin(&t.progress, options->common.quiet);
        run(t.run.loop, &t.op, opts, &t.result, transfer_done);
        run_loop(&t.run);
        progress_clear(&t.progress);
        status = run_close(&t.run, transfer_status(&t, options->keep));
    }
    eye_endpoint_done(&endpoint);
    return status;
}

const struct option_row option_listen = {"listen",
                                         'l',
                                         OPTION_FLAG,
                                         NULL,
                                         "wait for the other side instead of connecting to it",
                                         .offset = offsetof(struct transfer_options, listen)};
const struct option_row option_transfer_verbose = {"verbose",
                                                   'v',
                                                   OPTION_FLAG,
                                                   NULL,
                                                   "tell of each file on standard error",
                                                   .offset = offsetof(struct common, verbose)};
