/* flow.h: serving peers, and joining streams.
 *
 * What happens to each connection is told to an observer as events, which `--events` writes as JSON. */
#ifndef SOCKEYE_FLOW_H
#define SOCKEYE_FLOW_H

#include <sockeye/stream.h>

#ifdef __cplusplus
extern "C" {
#endif

enum eye_side { EYE_SIDE_NONE, EYE_FROM, EYE_TO };

enum eye_event_kind {
    EYE_EVENT_LISTENING, /* endpoint, address, engine; pin where a certificate was made */
    EYE_EVENT_CONNECTED, /* conn, side, endpoint, peer, local, attempts when dialled */
    EYE_EVENT_TLS,       /* conn, side, endpoint, tls: follows connected, since hands were shaken before */
    EYE_EVENT_EOF,       /* conn, side: that side has ended its sending */
    EYE_EVENT_EXIT,      /* conn, side, pid, status or signum: a command has ended */
    EYE_EVENT_CLOSED,    /* conn, bytes, reason, error, ms, path */
    EYE_EVENT_PAUSED,    /* endpoint, error: not accepting until descriptors or memory are to be had */
    EYE_EVENT_MAX
};

/* Why a connection ended. */
enum eye_reason {
    EYE_REASON_END,       /* both ways ended in good order */
    EYE_REASON_RESET,     /* the peer reset it */
    EYE_REASON_TRUNCATED, /* it ended before its end, or output was lost */
    EYE_REASON_TIMEOUT,   /* a deadline passed */
    EYE_REASON_IDLE,      /* idle= passed without a byte */
    EYE_REASON_DENIED,    /* allow= or deny= */
    EYE_REASON_REFUSED,   /* the other side could not be reached */
    EYE_REASON_TLS,       /* the handshake failed, a certificate did not verify, or the protocol was broken */
    EYE_REASON_ERROR,     /* anything else */
    EYE_REASON_MAX
};

/* One thing that happened. Fields that the kind does not name are zero; pointers are valid during the
 * call only. */
struct eye_event {
    enum eye_event_kind kind;
    uint64_t conn; /* counts a server's peers from 1 */
    enum eye_side side;
    const char *endpoint, *address, *engine, *peer, *local;
    const char *pin; /* of a throw-away certificate: "sha256:..." */
    const struct eye_tls_info *tls;
    const struct eye_attempt *attempts;
    size_t attempt_count;
    int64_t pid;
    int status, signum; /* how it exited, or the signal that ended it */
    uint64_t bytes[2];  /* delivered: from FROM to TO, and from TO to FROM */
    enum eye_reason reason;
    const struct eye_err *error; /* NULL where nothing failed */
    int64_t ms;
    const char *path[2]; /* how each way was moved: "splice", "copy", or NULL where nothing was */
};

struct eye_observer {
    void (*event)(void *user, const struct eye_event *event);
    void *user;
    /* A server's peer begins (1) its TLS handshake, or has ended it (-1) and `connected` follows; may be
     * NULL. */
    void (*shaking)(void *user, int change);
    bool without_addresses; /* `connected` need not have peer and local, for which the kernel is asked each
                               time */
};

/* The words of the event lines: "listening", "connected", ...; "end", "reset", ... */
EYE_API const char *eye_event_name(enum eye_event_kind kind);
EYE_API const char *eye_reason_name(enum eye_reason reason);

/* ---- serving ---- */

typedef struct eye_server eye_server;
typedef struct eye_peer eye_peer;

/* What to do with peers: data alone is enough for a server that answers. */
struct eye_handler {
    /* A peer sent bytes, valid until return. Answer with eye_peer_send; no more is read from this peer
     * until the answer is on its way, so that a peer that never reads costs one answer. When the peer
     * ends its sending, ours ends after the last answer. */
    void (*data)(eye_peer *peer, struct eye_bytes bytes);

    /* Or, in its place: takes the peer's stream over, and says eye_peer_end when done with it. */
    void (*stream)(eye_peer *peer, eye_stream *stream);
    /* Asks such a handler to end its peer now. */
    void (*stop)(eye_peer *peer);

    void *user;                          /* see eye_peer_handler */
    const struct eye_observer *observer; /* or NULL; must outlive the server */
};

/* Listens on the endpoint and serves every peer, with the endpoint's max=, idle=, allow= and deny=.
 * endpoint and handler must outlive the server. Where descriptors or memory run out it pauses, tells
 * the observer at most once a second, and goes on by itself. Of datagrams, a data handler is told each by
 * itself, with nothing kept between two; a stream handler's peer is a sender. Errors: as eye_listen. */
EYE_API int eye_serve(eye_loop *loop, const struct eye_endpoint *endpoint, const struct eye_handler *handler,
                      eye_server **ret_server, struct eye_err *reterr);

/* Stops listening, gives peers, and those that are in the queue already, grace_ns to end by themselves, then
 * ends them; completes with 0. May be said again, to end them sooner. */
EYE_API void eye_server_stop(eye_server *server, eye_op *op, int64_t grace_ns, eye_done *done);

/* Frees a stopped server. Returns NULL. */
EYE_API eye_server *eye_server_free(eye_server *server);

/* The handler that serves this peer, the peer's number in the events, and its address (errors: as
 * getpeername(2)). */
EYE_API const struct eye_handler *eye_peer_handler(const eye_peer *peer);
EYE_API uint64_t eye_peer_conn(const eye_peer *peer);
/* A pointer of the handler's own to go with the peer; NULL at first. */
EYE_API void eye_peer_set_user(eye_peer *peer, void *user);
EYE_API void *eye_peer_user(const eye_peer *peer);
EYE_API int eye_peer_addr(const eye_peer *peer, struct eye_addr *ret_addr);

/* From inside data: answers with a copy of buf; a datagram may be answered 16 times. */
EYE_API void eye_peer_send(eye_peer *peer, const void *buf, size_t size);

/* How a stream handler's peer went; bytes and path as in the event. */
struct eye_outcome {
    uint64_t bytes[2];
    const char *path[2];
    enum eye_reason reason;
    struct eye_err err; /* err.code is 0 where nothing failed */
};

/* A stream handler is done with its peer: frees the peer and tells the observer. */
EYE_API void eye_peer_end(eye_peer *peer, const struct eye_outcome *outcome);

/* ---- joining ---- */

typedef struct eye_relay eye_relay;

/* What the end of one side's sending does. */
enum eye_eof {
    EYE_EOF_HALF,  /* is passed on; the other way goes on until it ends by itself */
    EYE_EOF_CLOSE, /* ends both ways, once what was received has been delivered */
    EYE_EOF_WAIT,  /* is passed on; then ends both ways when nothing has come for wait_ns */
};

/* What passes, for whoever wants to see it. */
struct eye_tracer {
    /* A side's bytes, as they were received, and how many came before them; valid during the call. */
    void (*bytes)(void *user, uint64_t conn, enum eye_side from, uint64_t offset, struct eye_bytes bytes);
    void *user;
};

struct eye_relay_opts {
    /* a's end and b's: what its end of stream does, and what errors call it: an endpoint that outlives
     * the relay, or NULL. */
    struct {
        enum eye_eof eof;
        bool crlf; /* an LF that it sends becomes CR LF, unless a CR stands before it */
        int64_t wait_ns;
        const struct eye_endpoint *endpoint;
    } side[2];
    int64_t idle_ns; /* ends both when nothing has moved for so long; 0: never */
    bool idle_ends;  /* that is its orderly end, as of datagrams: EYE_REASON_IDLE, and no failure */
    bool keep_b;     /* b is neither finished nor closed: it is the caller's again after done */
    uint64_t conn;   /* for the events */
    const struct eye_observer *observer;
    const struct eye_tracer *tracer; /* or NULL; bytes that are seen are copied */
};

/* Joins a and b; takes both on success. Where both have a descriptor for it, the kernel moves the bytes
 * (splice(2)), else they are copied; never more than one pipe or 256 KiB each way is held. opts may be
 * NULL. Errors: -ENOMEM. */
EYE_API int eye_relay_new(eye_loop *loop, eye_stream *a, eye_stream *b, const struct eye_relay_opts *opts,
                          eye_relay **ret_relay);

/* Completes when both ways have ended and the streams are closed: with 0, or the code that says how it
 * failed. A reset is passed on as a reset; a side that no longer takes bytes ends that way, and what
 * still comes for it is discarded and reported as truncation. Cancelling ends both now. */
EYE_API void eye_relay_run(eye_relay *relay, eye_op *op, eye_done *done);
/* How it went, after done; during it, how far it is. bytes[0] is a to b. */
EYE_API void eye_relay_outcome(const eye_relay *relay, struct eye_outcome *ret_outcome);
EYE_API eye_relay *eye_relay_free(eye_relay *relay);

typedef struct eye_forward eye_forward;

struct eye_forward_opts {
    const struct eye_endpoint *from, *to; /* must outlive the forward */
    bool once;                            /* ends after the first peer of FROM */
    struct {
        enum eye_eof eof;
        int64_t wait_ns;
        bool crlf;
    } stdio; /* of standard input, as for a relay's side */
    const struct eye_observer *observer;
    const struct eye_tracer *tracer;
};

/* For each peer of FROM: opens TO and joins the two. FROM listens if its scheme can (unless its role
 * says dial), else it is opened once, and `once` is implied. stdio as TO serves one peer after another.
 * Errors: EYE_ESYNTAX for ends that cannot be joined; -ENOMEM. */
EYE_API int eye_forward_new(eye_loop *loop, const struct eye_forward_opts *opts, eye_forward **ret_forward,
                            struct eye_err *reterr);

/* Listens or opens, and completes when it has ended: after the one peer, with 0 or the code of its
 * failure; else after eye_forward_stop, with 0; or with the code that listening failed with.
 * *ret_outcome, the caller's memory until done, tells how. */
EYE_API void eye_forward_run(eye_forward *forward, eye_op *op, struct eye_outcome *ret_outcome,
                             eye_done *done);

/* Stops accepting, gives peers grace_ns, then ends them. */
EYE_API void eye_forward_stop(eye_forward *forward, int64_t grace_ns);
EYE_API eye_forward *eye_forward_free(eye_forward *forward);

#ifdef __cplusplus
}
#endif
#endif
