#include "run.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "output.h"

#define ENGINE_MAX 16

static bool listed(const char *word, const char *const *names) {
    while (*names && strcmp(*names, word) != 0)
        names++;
    return *names != NULL;
}

int run_engine_check(const char *engine, struct eye_err *reterr) {
    const char *names[ENGINE_MAX + 2] = {"auto"}, *near;
    char hint[64];

    for (size_t i = 0; i < ENGINE_MAX && eye_engine_name(i); i++)
        names[i + 1] = eye_engine_name(i);
    if (listed(engine, names))
        return 0;
    near = meant(engine, strlen(engine), names);
    snprintf(hint, sizeof hint, "did you mean '%s'?", near ? near : "");
    return usage_error(reterr, near ? hint : NULL, "unknown engine '%s'", engine);
}

void run_end_by(int signum) {
    sigset_t set;
    fflush(stdout);
    signal(signum, SIG_DFL);
    sigemptyset(&set);
    sigaddset(&set, signum);
    sigprocmask(SIG_UNBLOCK, &set, NULL);
    raise(signum);
}

static void signal_done(eye_op *op, int64_t result) {
    struct run *run = op->user;
    if (result < 0 && result != -ECANCELED)
        run->signals_code = (int)result;
    if (result <= 0)
        return;
    if (run->signum)
        run_end_by((int)result);
    run->signum = (int)result;
    eye_signal(run->loop, op, (int)result, signal_done);
    if (run->stop)
        run->stop(run, run->grace_ns);
}

int run_open(struct run *run, const struct common *common, void (*stop)(struct run *run, int64_t grace_ns)) {
    static const int signums[] = {SIGINT, SIGTERM};
    const struct eye_loop_opts opts = {.engine = common->engine};
    struct eye_err err;

    *run = (struct run){.grace_ns = common->grace_ns};
    if (run_engine_check(common->engine, &err) < 0 || events_open(&run->events, common, &err) < 0)
        return report(&err);
    if (eye_loop_new(&opts, &run->loop, &err) < 0) {
        events_close(&run->events);
        return report(&err);
    }
    if (common->verbose && eye_loop_passed_over(run->loop))
        notice("%s; using %s", eye_loop_passed_over(run->loop), eye_loop_engine(run->loop));
    events_attach(&run->events, run->loop);
    for (size_t i = 0; i < sizeof signums / sizeof signums[0]; i++) {
        run->signals[i].user = run;
        eye_signal(run->loop, &run->signals[i], signums[i], signal_done);
    }
    /* A server that no signal could end in good order is not begun. */
    eye_loop_run(run->loop, 0);
    if (run->signals_code)
        return run_close(run, report_code(run->signals_code, "signals"));
    if (run->signum)
        return run_close(run, STATUS_OK);
    run->stop = stop;
    return STATUS_OK;
}

void run_loop(struct run *run) {
    int64_t r = eye_loop_run(run->loop, -1);
    if (r < 0)
        exit(output_end(report_code((int)r, eye_loop_engine(run->loop))));
}

void run_ended(struct run *run) {
    eye_loop_stop(run->loop);
}

int run_close(struct run *run, int status) {
    events_finish(&run->events);
    for (size_t i = 0; i < sizeof run->signals / sizeof run->signals[0]; i++)
        eye_cancel(run->loop, &run->signals[i]);
    run_loop(run);
    eye_loop_free(run->loop);
    events_close(&run->events);
    if (run->signum)
        run_end_by(run->signum);
    return status;
}

/* What the user should know of a tls endpoint, whatever comes of it. */
static void endpoint_warn(const struct eye_endpoint *endpoint) {
    const char *key = endpoint->tls.key ? endpoint->tls.key : endpoint->tls.cert;
    struct stat st;
    char path[256];

    if (endpoint->tls.insecure)
        notice("insecure: the peer is not verified; whoever is on the way can read and change everything");
    if (!key || stat(key, &st) < 0 || !S_ISREG(st.st_mode) || !(st.st_mode & 077))
        return;
    eye_escape(key, strlen(key), path, sizeof path);
    notice("warning: others may read the private key in %s (mode %04o); chmod 600 it", path,
           (unsigned)st.st_mode & 07777);
}

int run_endpoint(const char *text, struct eye_endpoint *ret_endpoint) {
    struct eye_err err;
    if (eye_endpoint_parse(text, ret_endpoint, &err) < 0)
        return report_in(&err, text);
    endpoint_warn(ret_endpoint);
    return STATUS_OK;
}
