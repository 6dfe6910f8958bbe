#include "join.h"

#include "output.h"
#include "run.h"
#include "trace.h"

struct joining {
    struct run run;
    struct trace trace;
    struct eye_endpoint from, to;
    eye_forward *forward;
    eye_op op;
    int64_t result;
    struct eye_outcome outcome;
};

static void join_done(eye_op *op, int64_t result) {
    struct joining *j = eye_container_of(op, struct joining, op);
    j->result = result;
    run_ended(&j->run);
}

static void join_stop(struct run *run, int64_t grace_ns) {
    eye_forward_stop(eye_container_of(run, struct joining, run)->forward, grace_ns);
}

/* What kind of failure an end is; where the table says nothing, the error itself says it. */
static enum eye_fail fail_of(enum eye_reason reason, const struct eye_err *err) {
    static const enum eye_fail fails[EYE_REASON_MAX] = {
        [EYE_REASON_RESET] = EYE_FAIL_TRUNCATED,
        [EYE_REASON_TRUNCATED] = EYE_FAIL_TRUNCATED,
        [EYE_REASON_TIMEOUT] = EYE_FAIL_DEADLINE,
        [EYE_REASON_IDLE] = EYE_FAIL_DEADLINE,
    };
    return fails[reason] != EYE_FAIL_OTHER ? fails[reason] : err->fail;
}

/* Reports how the only connection went, or how the serving failed. */
static int join_status(const struct joining *j) {
    struct eye_err err = j->outcome.err;
    if (j->run.signum || (j->result >= 0 && (!j->run.events.one_shot || j->outcome.reason == EYE_REASON_END)))
        return STATUS_OK;
    if (!err.text[0]) {
        int code = j->result < 0 ? (int)j->result : err.code;
        err = (struct eye_err){.code = code, .column = EYE_NO_COLUMN};
        snprintf(err.text, sizeof err.text, "%s",
                 code ? eye_strerror(code) : eye_reason_name(j->outcome.reason));
    }
    err.fail = fail_of(j->outcome.reason, &err);
    return report(&err);
}

static int read_endpoint(const char *text, enum eye_role refused, struct eye_endpoint *ret_endpoint) {
    struct eye_err err;
    int status = run_endpoint(text, ret_endpoint);
    if (status == STATUS_OK && refused != EYE_ROLE_ANY && ret_endpoint->role == refused) {
        usage_error(&err, "use relay", "'%s' says '%s', and this command does the other", text,
                    refused == EYE_ROLE_DIAL ? "dial" : "listen");
        eye_endpoint_done(ret_endpoint);
        return report(&err);
    }
    return status;
}

static int join_endpoints(const struct common *common, const struct join *how, struct joining *j) {
    const struct eye_forward_opts opts = {.from = &j->from,
                                          .to = &j->to,
                                          .once = how->once,
                                          .stdio = {common->eof.eof, common->eof.wait_ns, common->crlf},
                                          .observer = &j->run.events.observer,
                                          .tracer = common->trace ? &j->trace.tracer : NULL};
    struct eye_err err;
    int status = run_open(&j->run, common, join_stop);

    if (status)
        return status;
    j->run.events.one_shot = how->once || !eye_endpoint_listens(&j->from);
    if (eye_forward_new(j->run.loop, &opts, &j->forward, &err) < 0)
        return run_close(&j->run, report(&err));
    eye_forward_run(j->forward, &j->op, &j->outcome, join_done);
    run_loop(&j->run);
    eye_forward_free(j->forward);
    return run_close(&j->run, join_status(j));
}

int join(const struct common *common, const struct join *how) {
    struct joining j = {0};
    int status = read_endpoint(how->from, how->refused, &j.from);

    if (status)
        return status;
    status = read_endpoint(how->to, how->refused, &j.to);
    if (status == STATUS_OK) {
        status = trace_open(&j.trace, common->trace);
        if (status == STATUS_OK)
            status = trace_close(&j.trace, join_endpoints(common, how, &j));
        eye_endpoint_done(&j.to);
    }
    eye_endpoint_done(&j.from);
    return status;
}
