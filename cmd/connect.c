/* connect.c: `sockeye connect ENDPOINT`: joins standard input and output to an endpoint; with --check
 * it only connects, and says by its exit status whether that worked; with --send it sends a text instead of
 * standard input. */
#include "commands.h"
#include "join.h"
#include "output.h"
#include "run.h"
#include "sender.h"

struct connect_options {
    struct common common;
    bool check;
    const char *send;
    int64_t every_ns, count;
};

struct check {
    struct run run;
    struct eye_endpoint endpoint;
    struct eye_dialled dialled;
    eye_op op;
    int64_t result;
};

static void check_closed(eye_op *op, int64_t result) {
    (void)result;
    run_ended(&eye_container_of(op, struct check, op)->run);
}

static void check_dialled(eye_op *op, int64_t result) {
    struct check *check = eye_container_of(op, struct check, op);
    struct eye_addr peer;
    char text[EYE_ADDR_TEXT_MAX];

    check->result = result;
    if (result < 0) {
        run_ended(&check->run);
        return;
    }
    if (check->run.events.verbose && eye_stream_peer(check->dialled.stream, &peer) >= 0 &&
        eye_addr_format(&peer, text, sizeof text) >= 0)
        notice("connected to %s", text);
    eye_close(check->dialled.stream, op, check_closed);
}

static void check_stop(struct run *run, int64_t grace_ns) {
    struct check *check = eye_container_of(run, struct check, run);
    (void)grace_ns;
    eye_cancel(run->loop, &check->op);
}

static int connect_check(const struct common *common, const char *text) {
    struct check check = {0};
    int status = run_endpoint(text, &check.endpoint);

    if (status)
        return status;
    status = run_open(&check.run, common, check_stop);
    if (status == STATUS_OK) {
        eye_dial(check.run.loop, &check.op, &check.endpoint, &check.dialled, check_dialled);
        run_loop(&check.run);
        if (check.result < 0 && !check.run.signum)
            status = report(&check.dialled.err);
        status = run_close(&check.run, status);
    }
    eye_endpoint_done(&check.endpoint);
    return status;
}

/* What does not go together. */
static int connect_refused(const struct connect_options *connect) {
    struct eye_err err;
    if (!connect->send && (connect->every_ns || connect->count))
        return usage_error(&err, NULL, "--every and --count go with --send"), report(&err);
    if (connect->send && connect->check)
        return usage_error(&err, NULL, "--send does not go with --check"), report(&err);
    return STATUS_OK;
}

static int connect_run(const void *options, struct arguments arguments) {
    const struct connect_options *connect = options;
    int refused = connect_refused(connect);
    if (refused)
        return refused;
    if (connect->send) {
        const struct sender sender = {.to = arguments.list[0],
                                      .text = connect->send,
                                      .every_ns = connect->every_ns,
                                      .count = connect->count};
        return sender_run(&connect->common, &sender);
    }
    const struct join how = {
        .from = "stdio", .to = arguments.list[0], .once = true, .refused = EYE_ROLE_LISTEN};
    return connect->check ? connect_check(&connect->common, how.to) : join(&connect->common, &how);
}

static const struct option_row option_check = {
    "check",
    0,
    OPTION_FLAG,
    NULL,
    "only connect, and tell by the exit status whether that worked",
    .offset = offsetof(struct connect_options, check)};

static const struct option_row option_send = {
    "send",
    0,
    OPTION_STRING,
    "TEXT",
    "send TEXT instead of standard input; {time}, {n} (which time it is) and C's backslash "
    "escapes are filled in",
    .offset = offsetof(struct connect_options, send)};
static const struct option_row option_every = {"every",
                                               0,
                                               OPTION_DURATION,
                                               "DURATION",
                                               "send it again and again, so long after each other",
                                               .offset = offsetof(struct connect_options, every_ns)};
static const struct option_row option_count = {
    "count", 0, OPTION_INTEGER, "N", "send it N times", .offset = offsetof(struct connect_options, count)};

const struct command connect_command = {
    .name = "connect",
    .summary = "joins standard input and output to an endpoint",
    .arguments = "ENDPOINT",
    .about = "Connects to ENDPOINT, sends it what comes on standard input, and writes what\n"
             "it answers to standard output. Ends when both ways have ended.",
    .see_also = "*sockeye-endpoint*(7), *sockeye-listen*(1), *nc*(1)",
    .options = (const struct option_row *const[]){&option_check, &option_send, &option_every, &option_count,
                                                  &option_eof, &option_crlf, &option_trace, &option_engine,
                                                  &option_events, &option_verbose, &option_quiet,
                                                  &option_help, NULL},
    /* Not a server: a signal ends it without waiting for the other side. */
    .defaults = &(const struct connect_options){.common = {.engine = "auto"}},
    .options_size = sizeof(struct connect_options),
    .arguments_min = 1,
    .arguments_max = 1,
    .completes = COMPLETE_ENDPOINT,
    .run = connect_run,
};
