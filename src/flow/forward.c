/* forward.c: for each peer of one endpoint, open the other and join the two: what relay, connect and
 * listen are. */
#include <assert.h>
#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/stat.h>

#include "base/list.h"
#include "flow/flow.h"
#include "loop/loop.h"
#include "net/net.h"
#include "sys/sys.h"

#define DATAGRAM_WAIT_NS (1 * NS_PER_S)
#define DATAGRAM_IDLE_NS (60 * NS_PER_S) /* a sender that says nothing for so long has gone */

/* What a join with commands keeps, since they may outlive its streams. */
struct leaving {
    struct children *children;
    struct eye_outcome outcome;
};

/* One peer and what it is joined to. */
struct joint {
    struct list node;
    eye_forward *forward;
    eye_peer *peer;              /* where FROM listens */
    eye_stream *from;            /* until the relay has it */
    struct eye_dialled *dialled; /* until TO is there */
    eye_relay *relay;
    struct leaving *leaving; /* where it has commands */
    eye_op op;               /* one at a time: dialling TO, relaying, waiting for commands, or closing FROM */
};

struct eye_forward {
    eye_loop *loop;
    struct eye_forward_opts opts;
    struct eye_endpoint from; /* a shallow copy, so that peers can be limited */
    struct eye_handler handler;
    eye_server *server;  /* where FROM listens */
    struct await *await; /* where TO listens */
    eye_stream *kept;    /* stdio as TO, between two peers */
    struct list joints;
    struct eye_dialled *from_dialled; /* while FROM is dialled */
    eye_op from_op, server_op, grace_op, kept_op;
    int64_t started_ns; /* where FROM is opened once, this is its one peer's start */
    bool listens;       /* FROM is a server's */
    bool keeps;         /* stdio as TO serves one peer after another */
    bool stopped;       /* the time of those that are left was up */
    bool stopping;      /* the server has been told */
    eye_op *op;         /* the caller's */
    struct eye_outcome *ret_outcome;
};

static void forward_settle(eye_forward *f);

/* ---- one peer ---- */

static void joint_end(struct joint *j, const struct eye_outcome *outcome) {
    eye_forward *f = j->forward;
    if (f->opts.once)
        *f->ret_outcome = *outcome;
    if (j->peer)
        eye_peer_end(j->peer, outcome);
    else
        observe(f->opts.observer, &(struct eye_event){
                                      .kind = EYE_EVENT_CLOSED,
                                      .conn = 1,
                                      .endpoint = f->opts.from->text,
                                      .bytes = {outcome->bytes[0], outcome->bytes[1]},
                                      .path = {outcome->path[0], outcome->path[1]},
                                      .reason = outcome->reason,
                                      .error = outcome->err.code ? &outcome->err : NULL,
                                      .ms = (f->loop->now_ns - f->started_ns) / NS_PER_MS,
                                  });
    list_remove(&j->node);
    free(j->dialled);
    free(j);
    forward_settle(f);
}

static uint64_t joint_conn(const struct joint *j) {
    return j->peer ? eye_peer_conn(j->peer) : 1;
}

/* Words of their own for those whose time was up: the codes then only say that they were cancelled. */
static void blame_stop(const eye_forward *f, struct eye_outcome *outcome) {
    if (f->stopped)
        outcome_fail(outcome, EYE_REASON_TIMEOUT, EYE_EDEADLINE, "ended with the server");
}

static enum eye_reason dial_reason(const struct eye_err *err) {
    return err->fail == EYE_FAIL_DEADLINE ? EYE_REASON_TIMEOUT
           : err->code == EYE_EDENIED     ? EYE_REASON_DENIED
           : is_tls(err->code)            ? EYE_REASON_TLS
                                          : EYE_REASON_REFUSED;
}

/* ---- its commands, which may outlive its streams ---- */

/* Takes the commands of both ends, or of FROM alone, if there are any. */
static int joint_leaving(struct joint *j, eye_stream *to) {
    eye_forward *f = j->forward;
    bool has = f->opts.from->scheme == EYE_EXEC || (to && f->opts.to->scheme == EYE_EXEC);
    struct leaving *leaving = has ? calloc(1, sizeof *leaving) : NULL;
    if (!leaving)
        return has ? -ENOMEM : 0;
    int r = children_take(f->loop, (eye_stream *const[]){j->from, to}, joint_conn(j), f->opts.observer,
                          &leaving->children);
    if (r < 0 || !leaving->children)
        free(leaving);
    else
        j->leaving = leaving;
    return r;
}

static void children_done(eye_op *op, int64_t result) {
    (void)result;
    struct joint *j = eye_container_of(op, struct joint, op);
    struct leaving *leaving = j->leaving;
    children_free(leaving->children);
    joint_end(j, &leaving->outcome);
    free(leaving);
}

/* Its streams have gone: ends when its commands have, too. */
static void joint_leave(struct joint *j, const struct eye_outcome *outcome) {
    if (!j->leaving) {
        joint_end(j, outcome);
        return;
    }
    j->leaving->outcome = *outcome;
    if (j->forward->stopped)
        children_end(j->leaving->children);
    else if (outcome->err.code)
        children_kill(j->leaving->children, SIGHUP);
    children_wait(j->leaving->children, &j->op, children_done);
}

/* ---- and its streams ---- */

static void from_closed(eye_op *op, int64_t result) {
    (void)result;
    struct joint *j = eye_container_of(op, struct joint, op);
    struct eye_outcome outcome = {.reason = dial_reason(&j->dialled->err), .err = j->dialled->err};
    blame_stop(j->forward, &outcome);
    joint_leave(j, &outcome);
}

/* TO is not to be had. */
static void joint_refuse(struct joint *j) {
    joint_leaving(j, NULL); /* where that fails its command is reaped all the same */
    eye_abort(j->from, &j->op, from_closed);
}

static void relay_done(eye_op *op, int64_t result) {
    (void)result;
    struct joint *j = eye_container_of(op, struct joint, op);
    struct eye_outcome outcome;
    eye_relay_outcome(j->relay, &outcome);
    blame_stop(j->forward, &outcome);
    j->relay = eye_relay_free(j->relay);
    joint_leave(j, &outcome);
}

static int64_t shorter(int64_t a_ns, int64_t b_ns) {
    return a_ns > 0 && b_ns > 0 ? MIN(a_ns, b_ns) : MAX(a_ns, b_ns);
}

static int joint_relay(struct joint *j, eye_stream *to) {
    eye_forward *f = j->forward;
    struct eye_relay_opts opts = {
        .idle_ns = shorter(f->opts.from->idle_ns, f->opts.to->idle_ns),
        .keep_b = f->keeps,
        .conn = joint_conn(j),
        .observer = f->opts.observer,
        .tracer = f->opts.tracer,
    };
    const struct eye_endpoint *ends[] = {f->opts.from, f->opts.to};
    for (int i = 0; i < 2; i++) {
        opts.side[i].endpoint = ends[i];
        if (ends[i]->scheme == EYE_STDIO) {
            opts.side[i].eof = f->opts.stdio.eof;
            opts.side[i].wait_ns = f->opts.stdio.wait_ns;
            opts.side[i].crlf = f->opts.stdio.crlf;
        }
        /* Datagrams have no end to wait for. */
        if (opts.side[i].eof == EYE_EOF_HALF && eye_endpoint_endless(ends[!i])) {
            opts.side[i].eof = EYE_EOF_WAIT;
            opts.side[i].wait_ns = DATAGRAM_WAIT_NS;
        }
    }
    if (eye_endpoint_endless(f->opts.from) && j->peer) {
        opts.idle_ns = opts.idle_ns > 0 ? opts.idle_ns : DATAGRAM_IDLE_NS;
        opts.idle_ends = true;
    }
    /* Where standard input goes to one peer after another, a peer that has ended has ended. */
    if (f->keeps)
        opts.side[0].eof = EYE_EOF_CLOSE;
    int r = eye_relay_new(f->loop, j->from, to, &opts, &j->relay);
    if (r == 0)
        r = joint_leaving(j, to);
    if (r < 0) {
        j->relay = eye_relay_free(j->relay);
        return r;
    }
    eye_relay_run(j->relay, &j->op, relay_done);
    return 0;
}

static void to_closed(eye_op *op, int64_t result) {
    (void)result;
    joint_refuse(eye_container_of(op, struct joint, op));
}

static void to_done(eye_op *op, int64_t result) {
    struct joint *j = eye_container_of(op, struct joint, op);
    eye_forward *f = j->forward;
    if (result < 0) {
        if (f->await)
            net_fail(&j->dialled->err, f->opts.to, (int)result, true);
        joint_refuse(j);
        return;
    }
    eye_stream *to = j->dialled->stream;
    if (f->opts.to->scheme != EYE_STDIO)
        observe_connected(f->opts.observer, joint_conn(j), EYE_TO, f->opts.to, to, j->dialled);
    if (f->keeps)
        f->kept = to;
    int r = joint_relay(j, to);
    if (r == 0) {
        free(j->dialled);
        j->dialled = NULL;
        return;
    }
    err_set(&j->dialled->err, r, EYE_FAIL_OTHER, "%s: %s", f->opts.to->text, eye_strerror(r));
    if (f->keeps)
        joint_refuse(j);
    else
        eye_abort(to, &j->op, to_closed);
}

static void joint_start(eye_forward *f, eye_peer *peer, eye_stream *from) {
    struct joint *j = calloc(1, sizeof *j);
    struct eye_dialled *dialled = calloc(1, sizeof *dialled);
    if (!j || !dialled) {
        free(j);
        free(dialled);
        stream_refuse(from);
        struct eye_outcome outcome = {0};
        outcome_fail(&outcome, EYE_REASON_ERROR, -ENOMEM, f->opts.from->text);
        if (f->opts.once)
            *f->ret_outcome = outcome;
        if (peer)
            eye_peer_end(peer, &outcome);
        return;
    }
    *j = (struct joint){.forward = f, .peer = peer, .from = from, .dialled = dialled};
    list_append(&f->joints, &j->node);
    if (peer)
        eye_peer_set_user(peer, j);
    if (f->kept) {
        dialled->stream = f->kept;
        to_done(&j->op, 0);
    } else if (f->await) {
        await_peer(f->await, &j->op, &dialled->stream, to_done);
    } else {
        eye_dial(f->loop, &j->op, f->opts.to, dialled, to_done);
    }
}

static void joint_stop(struct joint *j) {
    eye_cancel(j->forward->loop, &j->op);
}

/* ---- FROM ---- */

static void server_stopped(eye_op *op, int64_t result) {
    (void)result;
    eye_forward *f = eye_container_of(op, eye_forward, server_op);
    f->server = eye_server_free(f->server);
    forward_settle(f);
}

/* No more peers, and no more from the queue when grace is over; those that are there stay until joint_stop.
 */
static void server_stop(eye_forward *f, int64_t grace_ns) {
    if (f->server && !f->stopping)
        eye_server_stop(f->server, &f->server_op, grace_ns, server_stopped);
    f->stopping = true;
}

static void peer_stream(eye_peer *peer, eye_stream *stream) {
    eye_forward *f = eye_peer_handler(peer)->user;
    if (f->opts.once)
        server_stop(f, 0);
    joint_start(f, peer, stream);
}

static void from_done(eye_op *op, int64_t result) {
    eye_forward *f = eye_container_of(op, eye_forward, from_op);
    struct eye_dialled *dialled = f->from_dialled;
    f->from_dialled = NULL;
    if (result == 0) {
        if (f->opts.from->scheme != EYE_STDIO)
            observe_connected(f->opts.observer, 1, EYE_FROM, f->opts.from, dialled->stream, dialled);
        joint_start(f, NULL, dialled->stream);
    } else {
        *f->ret_outcome = (struct eye_outcome){.reason = dial_reason(&dialled->err), .err = dialled->err};
        blame_stop(f, f->ret_outcome);
    }
    free(dialled);
    forward_settle(f);
}

/* Opens the ends that are not opened for each peer. */
static int forward_start(eye_forward *f, struct eye_err *reterr) {
    if (f->opts.to->role == EYE_ROLE_LISTEN) {
        int r = await_new(f->loop, f->opts.to, f->opts.observer, &f->await, reterr);
        if (r < 0)
            return r;
    }
    if (f->listens)
        return eye_serve(f->loop, &f->from, &f->handler, &f->server, reterr);
    f->from_dialled = calloc(1, sizeof *f->from_dialled);
    if (!f->from_dialled)
        return net_fail(reterr, f->opts.from, -ENOMEM, false);
    eye_dial(f->loop, &f->from_op, f->opts.from, f->from_dialled, from_done);
    return 0;
}

/* ---- the whole ---- */

/* The file that an endpoint reads or writes; false where it is none. */
static bool file_of(const struct eye_endpoint *e, enum eye_way way, struct stat *ret_stat) {
    bool sink = e->append || e->create;
    int r = e->scheme == EYE_STDIO                              ? fstat(way == EYE_IN ? 0 : 1, ret_stat)
            : e->scheme == EYE_FILE && sink == (way == EYE_OUT) ? stat(e->path, ret_stat)
                                                                : -1;
    return r == 0 && S_ISREG(ret_stat->st_mode);
}

/* A file that is copied to its own end never ends, and one that is created anew is lost. */
static bool is_fed_to_itself(const struct eye_endpoint *from, const struct eye_endpoint *to) {
    struct stat in, out;
    return file_of(from, EYE_IN, &in) && file_of(to, EYE_OUT, &out) && in.st_dev == out.st_dev &&
           in.st_ino == out.st_ino;
}

int eye_forward_new(eye_loop *loop, const struct eye_forward_opts *opts, eye_forward **ret_forward,
                    struct eye_err *reterr) {
    if (opts->from->scheme == EYE_STDIO && opts->to->scheme == EYE_STDIO)
        return err_set(reterr, EYE_ESYNTAX, EYE_FAIL_USAGE, "standard input and output can be one end only");
    if (is_fed_to_itself(opts->from, opts->to) || is_fed_to_itself(opts->to, opts->from))
        return err_set(reterr, EYE_ESYNTAX, EYE_FAIL_USAGE, "%s: the same file is read and written",
                       opts->to->scheme == EYE_FILE ? opts->to->text : opts->from->text);
    eye_forward *f = calloc(1, sizeof *f);
    if (!f)
        return err_set(reterr, -ENOMEM, EYE_FAIL_OTHER, "%s: %s", opts->from->text, eye_strerror(-ENOMEM));
    f->loop = loop;
    f->opts = *opts;
    f->from = *opts->from;
    list_init(&f->joints);
    f->handler = (struct eye_handler){.stream = peer_stream, .user = f, .observer = opts->observer};
    f->listens = eye_endpoint_listens(opts->from);
    f->opts.once |= !f->listens;
    f->keeps = opts->to->scheme == EYE_STDIO && !f->opts.once;
    if (f->keeps || f->opts.once)
        f->from.peers_max = 1;
    *ret_forward = f;
    return 0;
}

static void run_cancel(eye_op *op) {
    eye_forward_stop(op_of(op)->u.own.of, 0);
}

static const struct op_kind op_forward = {.name = "forward", .cancel = run_cancel};

void eye_forward_run(eye_forward *f, eye_op *op, struct eye_outcome *ret_outcome, eye_done *done) {
    op_begin(f->loop, op, &op_forward, done);
    op_of(op)->u.own.of = f;
    f->op = op;
    f->started_ns = f->loop->now_ns;
    f->ret_outcome = ret_outcome;
    *ret_outcome = (struct eye_outcome){.reason = EYE_REASON_END};
    if (forward_start(f, &ret_outcome->err) < 0)
        ret_outcome->reason = EYE_REASON_ERROR;
    forward_settle(f);
}

static void joints_stop(eye_forward *f) {
    struct list *next;
    f->stopped = true;
    for (struct list *at = f->joints.next; at != &f->joints; at = next) {
        next = at->next;
        joint_stop(eye_container_of(at, struct joint, node));
    }
}

static void grace_done(eye_op *op, int64_t result) {
    eye_forward *f = eye_container_of(op, eye_forward, grace_op);
    if (result != -ECANCELED) /* also where the time cannot be measured (-ENOMEM) */
        joints_stop(f);
    forward_settle(f);
}

void eye_forward_stop(eye_forward *f, int64_t grace_ns) {
    if (f->opts.once)
        grace_ns = 0; /* one peer, joined by hand: whoever ends it means now */
    eye_cancel(f->loop, &f->from_op);
    server_stop(f, grace_ns);
    if (grace_ns <= 0)
        joints_stop(f);
    else if (!eye_op_pending(&f->grace_op) && (f->server || !list_empty(&f->joints)))
        eye_timer(f->loop, &f->grace_op, time_after(sys_now(), grace_ns), grace_done);
    forward_settle(f);
}

static void kept_closed(eye_op *op, int64_t result) {
    (void)result;
    forward_settle(eye_container_of(op, eye_forward, kept_op));
}

/* Completes the run when nothing is left. */
static void forward_settle(eye_forward *f) {
    if (!f->op || f->server || !list_empty(&f->joints) || eye_op_pending(&f->from_op))
        return;
    if (f->kept) {
        eye_stream *kept = f->kept;
        f->kept = NULL;
        eye_close(kept, &f->kept_op, kept_closed);
    }
    eye_cancel(f->loop, &f->grace_op);
    if (eye_op_pending(&f->grace_op) || eye_op_pending(&f->kept_op))
        return;
    eye_op *op = f->op;
    f->op = NULL;
    op_finish(f->loop, op, f->ret_outcome->err.code);
}

eye_forward *eye_forward_free(eye_forward *f) {
    if (!f)
        return NULL;
    assert(!f->op);
    await_free(f->await);
    free(f);
    return NULL;
}
