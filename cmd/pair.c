/* pair.c: `sockeye pair CMD CMD`: two commands, each one's standard input and output joined to the other's
 * by a socketpair. The kernel moves the bytes; all that is left to do is to wait for both. */
#include <signal.h>
#include <string.h>
#include <sys/wait.h>

#include "commands.h"
#include "output.h"
#include "run.h"

struct pair {
    struct run run;
    struct side {
        struct pair *pair;
        const char *command;
        eye_child *child; /* until it has exited */
        eye_op op;
    } sides[2];
    eye_op kill_op;
    int status; /* the exit status */
};

static void signal_both(const struct pair *pair, int signum) {
    for (size_t i = 0; i < 2; i++)
        if (pair->sides[i].child)
            eye_child_kill(pair->sides[i].child, signum);
}

static int say_failed(const char *command, int status) {
    struct eye_err err = {.column = EYE_NO_COLUMN};
    char name[sizeof err.text - 64];
    eye_escape(command, strlen(command), name, sizeof name);
    if (WIFSIGNALED(status))
        snprintf(err.text, sizeof err.text, "%s: ended by signal %d", name, WTERMSIG(status));
    else
        snprintf(err.text, sizeof err.text, "%s: exited with %d", name, WEXITSTATUS(status));
    return report(&err);
}

static void exited(eye_op *op, int64_t result) {
    struct side *side = eye_container_of(op, struct side, op);
    struct pair *pair = side->pair;
    struct eye_event event = {.kind = EYE_EVENT_EXIT,
                              .conn = 1,
                              .side = side == &pair->sides[0] ? EYE_FROM : EYE_TO,
                              .pid = eye_child_pid(side->child)};
    int status = (int)result;

    if (result < 0) {
        pair->status = report_code(status, side->command);
    } else {
        event.status = WIFEXITED(status) ? WEXITSTATUS(status) : 0;
        event.signum = WIFSIGNALED(status) ? WTERMSIG(status) : 0;
        pair->run.events.observer.event(pair->run.events.observer.user, &event);
        if (status != 0 && !pair->run.signum)
            pair->status = say_failed(side->command, status);
    }
    side->child = eye_child_free(side->child);
    if (!pair->sides[0].child && !pair->sides[1].child) {
        eye_cancel(pair->run.loop, &pair->kill_op);
        run_ended(&pair->run);
    }
}

static void grace_over(eye_op *op, int64_t result) {
    if (result == 0)
        signal_both(eye_container_of(op, struct pair, kill_op), SIGKILL);
}

static void pair_stop(struct run *run, int64_t grace_ns) {
    struct pair *pair = eye_container_of(run, struct pair, run);
    signal_both(pair, SIGTERM);
    eye_timer(run->loop, &pair->kill_op, eye_loop_now(run->loop) + grace_ns, grace_over);
}

static int pair_run(const void *options, struct arguments arguments) {
    struct pair pair = {0};
    eye_child *children[2];
    struct eye_err err;
    int status = run_open(&pair.run, options, pair_stop);

    if (status)
        return status;
    if (eye_pair(pair.run.loop, arguments.list[0], arguments.list[1], children, &err) < 0)
        return run_close(&pair.run, report(&err));
    for (size_t i = 0; i < 2; i++) {
        pair.sides[i] = (struct side){.pair = &pair, .command = arguments.list[i], .child = children[i]};
        eye_child_wait(children[i], &pair.sides[i].op, exited);
    }
    run_loop(&pair.run);
    return run_close(&pair.run, pair.status);
}

const struct command pair_command = {
    .name = "pair",
    .summary = "runs two commands, joined to each other both ways",
    .arguments = "CMD CMD",
    .about = "Runs two commands by the shell. What the one writes to standard output the other\n"
             "reads from standard input, both ways, through a socketpair. Waits for both; ends\n"
             "with 0 if both did, and else with 1 and a line that says which did not.",
    .see_also = "*sockeye-relay*(1), *sockeye-endpoint*(7), *socketpair*(2)",
    .options = (const struct option_row *const[]){&option_engine, &option_grace, &option_events,
                                                  &option_verbose, &option_quiet, &option_help, NULL},
    .defaults = &common_defaults,
    .options_size = sizeof common_defaults,
    .arguments_min = 2,
    .arguments_max = 2,
    .run = pair_run,
};
