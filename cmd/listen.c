/* listen.c: `sockeye listen ENDPOINT`: waits for a peer and joins it to standard input and output; with
 * --keep for one peer after another. */
#include "commands.h"
#include "join.h"

struct listen_options {
    struct common common;
    bool keep;
};

static int listen_run(const void *options, struct arguments arguments) {
    const struct listen_options *listen = options;
    const struct join how = {
        .from = arguments.list[0], .to = "stdio", .once = !listen->keep, .refused = EYE_ROLE_DIAL};
    return join(&listen->common, &how);
}

static const struct option_row option_keep = {"keep",
                                              'k',
                                              OPTION_FLAG,
                                              NULL,
                                              "serve one peer after another, until a signal",
                                              .offset = offsetof(struct listen_options, keep)};

const struct command listen_command = {
    .name = "listen",
    .summary = "waits for a peer and joins it to standard input and output",
    .arguments = "ENDPOINT",
    .about = "Listens on ENDPOINT, writes what its peer sends to standard output, and sends\n"
             "it what comes on standard input. Ends when both ways have ended.",
    .see_also = "*sockeye-endpoint*(7), *sockeye-connect*(1), *nc*(1)",
    .options = (const struct option_row *const[]){&option_keep, &option_eof, &option_engine, &option_grace,
                                                  &option_events, &option_verbose, &option_quiet,
                                                  &option_help, NULL},
    .defaults = &(const struct listen_options){.common = COMMON_DEFAULTS},
    .options_size = sizeof(struct listen_options),
    .arguments_min = 1,
    .arguments_max = 1,
    .completes = COMPLETE_ENDPOINT,
    .run = listen_run,
};
