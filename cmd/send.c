/* send.c: `sockeye send FILE... ENDPOINT`: sends files to `sockeye recv`, or one bare to nc. */
#include "commands.h"
#include "output.h"
#include "transfer.h"

static int send_run(const void *options, struct arguments arguments) {
    const struct transfer_options *send = options;
    size_t count = arguments.count - 1;
    struct eye_err err;
    if (send->raw && count > 1)
        return usage_error(&err, NULL, "--raw sends one file"), report(&err);
    if (send->raw && send->no_digest)
        return usage_error(&err, NULL, "--raw has no digests to leave out"), report(&err);
    struct eye_transfer_opts opts = {.paths = (const char *const *)arguments.list, .path_count = count};
    return transfer_run(send, eye_transfer_send, arguments.list[count], &opts);
}

static const struct option_row option_raw = {"raw",
                                             0,
                                             OPTION_FLAG,
                                             NULL,
                                             "send the bytes of one file and nothing else, as nc does",
                                             .offset = offsetof(struct transfer_options, raw)};
static const struct option_row option_no_digest = {
    "no-digest",
    0,
    OPTION_FLAG,
    NULL,
    "do not verify what was sent, as over TLS, which does; a cut transfer cannot be resumed then",
    .offset = offsetof(struct transfer_options, no_digest)};

const struct command send_command = {
    .name = "send",
    .summary = "sends files and folders, whole or not at all",
    .arguments = "FILE... ENDPOINT",
    .about = "Sends each FILE, folders with all that is in them, to `sockeye recv` at\n"
             "ENDPOINT. It ends well when the receiver has said that all of it is verified\n"
             "and stands under its name. Run again after a cut, it goes on where it was.",
    .see_also = "*sockeye-recv*(1), *sockeye-endpoint*(7), *nc*(1), *rsync*(1), *sendfile*(2)",
    .options =
        (const struct option_row *const[]){&option_listen, &option_no_digest, &option_raw, &option_json,
                                           &option_engine, &option_events, &option_transfer_verbose,
                                           &option_quiet, &option_help, NULL},
    .defaults = &(const struct transfer_options){.common = COMMON_DEFAULTS},
    .options_size = sizeof(struct transfer_options),
    .arguments_min = 2,
    .arguments_max = SIZE_MAX,
    .completes = COMPLETE_FILE,
    .run = send_run,
};
