/* listen.c: `sockeye listen ENDPOINT`: waits for a peer and joins it to standard input and output; with
 * --keep for one peer after another, with --exec to a command of its own for each of them at once. */
#include <stdlib.h>
#include <string.h>

#include "commands.h"
#include "join.h"
#include "output.h"

struct listen_options {
    struct common common;
    bool keep;
    const char *exec;
};

static int listen_exec(const struct common *common, const char *endpoint, const char *command) {
    const char *slashes = strncmp(command, "//", 2) == 0 ? "//" : ""; /* which a target may begin with */
    struct join how = {.from = endpoint, .refused = EYE_ROLE_DIAL};
    struct eye_err err;
    char *text;
    int status;

    if (common->crlf) {
        usage_error(&err, NULL, "--crlf is for standard input, which --exec leaves alone");
        return report(&err);
    }
    if (asprintf(&text, "exec:%s%s", slashes, command) < 0)
        return report_code(-ENOMEM, "--exec");
    how.to = text;
    status = join(common, &how);
    free(text);
    return status;
}

static int listen_run(const void *options, struct arguments arguments) {
    const struct listen_options *listen = options;
    const struct join how = {
        .from = arguments.list[0], .to = "stdio", .once = !listen->keep, .refused = EYE_ROLE_DIAL};
    return listen->exec ? listen_exec(&listen->common, how.from, listen->exec) : join(&listen->common, &how);
}

static const struct option_row option_keep = {"keep",
                                              'k',
                                              OPTION_FLAG,
                                              NULL,
                                              "serve one peer after another, until a signal",
                                              .offset = offsetof(struct listen_options, keep)};
static const struct option_row option_exec = {
    "exec",
    'e',
    OPTION_STRING,
    "CMD",
    "run a command for each peer, all at once, in the place of standard input and output",
    .offset = offsetof(struct listen_options, exec)};

const struct command listen_command = {
    .name = "listen",
    .summary = "waits for a peer and joins it to standard input and output",
    .arguments = "ENDPOINT",
    .about = "Listens on ENDPOINT, writes what its peer sends to standard output, and sends\n"
             "it what comes on standard input. Ends when both ways have ended. With --exec it\n"
             "serves all peers, each with a command of its own; max= of the endpoint bounds them.",
    .see_also = "*sockeye-endpoint*(7), *sockeye-connect*(1), *nc*(1)",
    .options = (const struct option_row *const[]){&option_keep, &option_exec, &option_crew, &option_eof,
                                                  &option_crlf, &option_trace, &option_engine, &option_grace,
                                                  &option_events, &option_verbose, &option_quiet,
                                                  &option_help, NULL},
    .defaults = &(const struct listen_options){.common = COMMON_DEFAULTS},
    .options_size = sizeof(struct listen_options),
    .arguments_min = 1,
    .arguments_max = 1,
    .completes = COMPLETE_ENDPOINT,
    .run = listen_run,
};
