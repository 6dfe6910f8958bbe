#include "join.h"

#include <errno.h>
#include <stdlib.h>

#include "crew.h"
#include "output.h"
#include "trace.h"

/* What runs on one of the loops. */
struct joining_part {
    struct part *part;
    eye_forward *forward;
    eye_op op;
    int64_t result;
    struct eye_outcome outcome;
};

struct joining {
    struct crew crew;
    const struct join *how;
    struct trace trace;
    struct eye_endpoint from, to;
    struct eye_endpoint *shares; /* of from, where there are several */
    struct joining_part *parts;
};

static struct joining *joining_of(const struct part *part) {
    return eye_container_of(part->crew, struct joining, crew);
}

static void join_done(eye_op *op, int64_t result) {
    struct joining_part *jp = eye_container_of(op, struct joining_part, op);
    jp->result = result;
    jp->forward = eye_forward_free(jp->forward);
    part_ended(jp->part);
}

static void join_stop(struct part *part, int64_t grace_ns) {
    const struct joining_part *jp = &joining_of(part)->parts[part->index];
    if (jp->forward)
        eye_forward_stop(jp->forward, grace_ns);
    else
        part_ended(part);
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
static int join_status(const struct run *run, const struct joining_part *jp) {
    struct eye_err err = jp->outcome.err;
    if (run->signum || (jp->result >= 0 && (!run->events.one_shot || !err.code)))
        return STATUS_OK;
    if (!err.text[0]) {
        int code = jp->result < 0 ? (int)jp->result : err.code;
        err = (struct eye_err){.code = code, .column = EYE_NO_COLUMN};
        snprintf(err.text, sizeof err.text, "%s", eye_strerror(code));
    }
    err.fail = fail_of(jp->outcome.reason, &err);
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

static int join_start(struct part *part, struct eye_err *reterr) {
    struct joining *j = joining_of(part);
    struct joining_part *jp = &j->parts[part->index];
    const struct common *common = j->crew.common;
    const struct eye_forward_opts opts = {.from = j->shares ? &j->shares[part->index] : &j->from,
                                          .to = &j->to,
                                          .once = j->how->once,
                                          .stdio = {common->eof.eof, common->eof.wait_ns, common->crlf},
                                          .observer = &j->crew.observer,
                                          .tracer = common->trace ? &j->trace.tracer : NULL};
    jp->part = part;
    int r = eye_forward_new(part->loop, &opts, &jp->forward, reterr);
    if (r < 0)
        return r;
    eye_forward_run(jp->forward, &jp->op, &jp->outcome, join_done);
    /* What could not be begun ends by itself, in its turn. */
    if (jp->outcome.err.code)
        *reterr = jp->outcome.err;
    return jp->outcome.err.code;
}

/* What cannot be done by several threads. */
static int threads_refused(struct joining *j) {
    struct eye_err err;
    const char *why = j->how->once                      ? "one peer needs one thread"
                      : j->to.scheme == EYE_STDIO       ? "standard input and output serve one peer at a time"
                      : !eye_endpoint_listens(&j->from) ? "FROM does not listen"
                      : j->to.role == EYE_ROLE_LISTEN   ? "TO listens for the peers of one thread only"
                      : eye_endpoint_endless(&j->from)
                          ? "senders of datagrams cannot be divided among threads"
                          : NULL;
    if (why && j->crew.each) {
        j->crew.count = 1; /* one peer at a time, or one loop for all */
        return STATUS_OK;
    }
    return why ? usage_error(&err, NULL, "--threads: %s", why), report(&err) : STATUS_OK;
}

static int join_serve(struct joining *j) {
    struct eye_err err;
    crew_bound(&j->crew, &j->from);
    int status = j->crew.count > 1 ? threads_refused(j) : STATUS_OK;
    if (status)
        return status;
    crew_divide(&j->crew, &j->from);
    j->crew.run.events.one_shot = j->how->once || !eye_endpoint_listens(&j->from);
    j->parts = calloc(j->crew.count, sizeof *j->parts);
    j->shares = j->crew.count > 1 ? calloc(j->crew.count, sizeof *j->shares) : NULL;
    if (!j->parts || (j->crew.count > 1 && !j->shares))
        status = report_code(-ENOMEM, "--threads");
    else if (j->shares && eye_share(j->crew.run.loop, &j->from, j->crew.count, j->shares, &err) < 0)
        status = report(&err);
    if (status == STATUS_OK) {
        status = crew_run(&j->crew);
        for (size_t i = 0; i < j->crew.count && status == STATUS_OK; i++)
            status = join_status(&j->crew.run, &j->parts[i]);
        if (j->shares)
            eye_shares_done(j->shares, j->crew.count);
    }
    free(j->shares);
    free(j->parts);
    return status;
}

static int join_endpoints(const struct common *common, struct joining *j) {
    int status = crew_open(&j->crew, common);
    return status ? status : crew_close(&j->crew, join_serve(j));
}

int join(const struct common *common, const struct join *how) {
    struct joining j = {.crew = {.start = join_start, .stop = join_stop}, .how = how};
    int status = read_endpoint(how->from, how->refused, &j.from);

    if (status)
        return status;
    status = read_endpoint(how->to, how->refused, &j.to);
    if (status == STATUS_OK) {
        status = trace_open(&j.trace, common->trace);
        if (status == STATUS_OK)
            status = trace_close(&j.trace, join_endpoints(common, &j));
        eye_endpoint_done(&j.to);
    }
    eye_endpoint_done(&j.from);
    return status;
}
