/* relay.c: `sockeye relay FROM TO`: joins each peer of FROM to TO. */
#include "commands.h"
#include "join.h"

struct relay_options {
    struct common common;
    bool once;
};

static int relay_run(const void *options, struct arguments arguments) {
    const struct relay_options *relay = options;
    const struct join how = {.from = arguments.list[0], .to = arguments.list[1], .once = relay->once};
    return join(&relay->common, &how);
}

static const struct option_row option_once = {"once",
                                              0,
                                              OPTION_FLAG,
                                              NULL,
                                              "end after the first peer, with its outcome as the exit status",
                                              .offset = offsetof(struct relay_options, once)};

const struct command relay_command = {
    .name = "relay",
    .summary = "joins each peer of one endpoint to another endpoint",
    .arguments = "FROM TO",
    .about = "Listens on FROM, connects to TO for each peer, and joins the two: each way ends\n"
             "by itself, as it does between peers without a relay. FROM is connected to where\n"
             "it says 'dial', and TO listens where it says 'listen'.",
    .see_also = "*sockeye-endpoint*(7), *socat*(1), *splice*(2)",
    .options = (const struct option_row *const[]){&option_once, &option_crew, &option_eof, &option_trace,
                                                  &option_engine, &option_grace, &option_events,
                                                  &option_verbose, &option_quiet, &option_help, NULL},
    .defaults = &(const struct relay_options){.common = COMMON_DEFAULTS},
    .options_size = sizeof(struct relay_options),
    .arguments_min = 2,
    .arguments_max = 2,
    .completes = COMPLETE_ENDPOINT,
    .run = relay_run,
};
