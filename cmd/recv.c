/* recv.c: `sockeye recv ENDPOINT [DIR]`: receives files from `sockeye send`, or one bare from nc. */
#include "commands.h"
#include "output.h"
#include "transfer.h"

static int recv_run(const void *options, struct arguments arguments) {
    const struct transfer_options *recv = options;
    struct eye_err err;
    if (recv->raw && arguments.count < 2)
        return usage_error(&err, NULL, "--raw needs the FILE to write"), report(&err);
    if (recv->raw && recv->keep)
        return usage_error(&err, NULL, "--raw receives one file, and --keep many"), report(&err);
    struct eye_transfer_opts opts = {.folder = arguments.count > 1 ? arguments.list[1] : "."};
    return transfer_run(recv, eye_transfer_receive, arguments.list[0], &opts);
}

static const struct option_row option_keep = {
    "keep",
    'k',
    OPTION_FLAG,
    NULL,
    "listen, and receive from one sender after another, until a signal",
    .offset = offsetof(struct transfer_options, keep)};
static const struct option_row option_overwrite = {"overwrite",
                                                   0,
                                                   OPTION_FLAG,
                                                   NULL,
                                                   "replace files that are there already",
                                                   .offset = offsetof(struct transfer_options, overwrite)};
static const struct option_row option_no_sync = {
    "no-sync",
    0,
    OPTION_FLAG,
    NULL,
    "do not wait until the files are on the disk: faster, and not safe from a loss of power",
    .offset = offsetof(struct transfer_options, no_sync)};
static const struct option_row option_raw = {
    "raw",
    0,
    OPTION_FLAG,
    NULL,
    "the second argument is a FILE: write to it all that comes, as nc sends it",
    .offset = offsetof(struct transfer_options, raw)};

const struct command recv_command = {
    .name = "recv",
    .summary = "receives files and folders, whole or not at all",
    .arguments = "ENDPOINT [DIR]",
    .about = "Receives what `sockeye send` sends at ENDPOINT into DIR, or where it stands.\n"
             "Each file is verified before it gets its name. Nothing is written outside DIR,\n"
             "and nothing that is there is replaced.",
    .see_also = "*sockeye-send*(1), *sockeye-endpoint*(7), *nc*(1), *rsync*(1)",
    .options =
        (const struct option_row *const[]){&option_listen, &option_keep, &option_overwrite, &option_no_sync,
                                           &option_raw, &option_json, &option_engine, &option_events,
                                           &option_transfer_verbose, &option_quiet, &option_help, NULL},
    .defaults = &(const struct transfer_options){.common = COMMON_DEFAULTS},
    .options_size = sizeof(struct transfer_options),
    .arguments_min = 1,
    .arguments_max = 2,
    .completes = COMPLETE_ENDPOINT,
    .run = recv_run,
};
