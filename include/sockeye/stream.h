/* stream.h: byte streams by endpoint. Dialling, opening or accepting gives an eye_stream; whatever it
 * is made of, these operations move its bytes.
 *
 * Operations of one direction complete in the order in which they were submitted; the two directions
 * are independent. The end of each direction is its own: a receive of 0 says that the peer has ended
 * its sending, and nothing about the other way. */
#ifndef SOCKEYE_STREAM_H
#define SOCKEYE_STREAM_H

#include <sockeye/endpoint.h>
#include <sockeye/loop.h>
#include <sockeye/tls.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct eye_stream eye_stream;
typedef struct eye_listener eye_listener;
typedef struct eye_child eye_child;

/* One address that was tried while dialling. */
struct eye_attempt {
    struct eye_addr addr;
    int64_t ms; /* from the start of this attempt to its end */
    int error;  /* 0 for the one that won, else its negative code; -ECANCELED for one that lost the race */
};

#define EYE_ATTEMPT_MAX 16

/* What dialling gives; the caller's memory until done. */
struct eye_dialled {
    eye_stream *stream; /* the caller's when the result is 0 */
    struct eye_err err; /* filled in when it is not */
    struct eye_attempt attempts[EYE_ATTEMPT_MAX];
    size_t attempt_count; /* the first EYE_ATTEMPT_MAX are kept */
};

/* Connects to an endpoint, or opens it (stdio). A name is resolved on a helper thread and its addresses
 * raced as RFC 8305 section 5 says: families interleaved, a new attempt 250 ms after the last or at
 * once when one fails, all within endpoint->timeout_ns. The endpoint must outlive the operation.
 * Completes with 0, or: the code of the last attempt that failed, EYE_EDEADLINE, EYE_EDENIED,
 * EYE_EAI_BASE + ..., EYE_ESYNTAX for a text that names no peer. stdio can be opened once: -EBUSY. Of a tls
 * endpoint the handshake is done and the peer verified, also within timeout_ns: EYE_EHANDSHAKE,
 * EYE_EALERT_BASE - ..., EYE_EAUTHENTIC, and EYE_EUNAVAILABLE in a build without TLS. */
EYE_API void eye_dial(eye_loop *loop, eye_op *op, const struct eye_endpoint *endpoint,
                      struct eye_dialled *ret, eye_done *done);

/* Whether this endpoint listens where either is possible, as FROM of a relay: tcp and unix do unless `dial`
 * is said, an inherited descriptor that listens does. */
EYE_API bool eye_endpoint_listens(const struct eye_endpoint *endpoint);

/* Whether it is one of datagrams: its listener gives a stream for each sender, as long as that is open.
 * Senders of Unix datagrams that have no address are one, whose stream takes nothing (-EPIPE); freeing such a
 * listener leaves the streams that were accepted, and the endpoint must outlive them. */
EYE_API bool eye_endpoint_endless(const struct eye_endpoint *endpoint);

/* Listens on an endpoint, blocking while a name resolves: a name listens on all its addresses, up to
 * max. Fills ret_listeners, which the caller owns, and returns their number, at least 1. The endpoint
 * must outlive them. A Unix socket's file appears with its final mode or a narrower one; a stale one is
 * replaced, a live one never. Errors: as bind(2), listen(2); EYE_ESYNTAX; EYE_EAI_BASE + ... */
EYE_API int eye_listen(eye_loop *loop, const struct eye_endpoint *endpoint, eye_listener **ret_listeners,
                       size_t max, struct eye_err *reterr);
#define EYE_LISTENER_MAX 16

/* Listens on an endpoint for several loops, each of which a thread of its own runs: fills ret_shares with
 * count endpoints, each to be served once, by eye_serve, by eye_forward_new as FROM, or by eye_listen: the
 * first on this loop, each other one on the loop of its own thread. Over tcp and udp each has a socket of its
 * own on the one address, and the kernel gives each a share of the peers (SO_REUSEPORT, socket(7)); otherwise
 * they compete for one. max= is divided among them. A server's peers are numbered over all of them, and the
 * first alone tells where it listens. Handlers, observers and tracers are called by each loop's thread, so
 * what these have in common needs a lock. endpoint must outlive the shares, and these what serves them.
 * Errors: as eye_listen; EYE_ESYNTAX where max= is below count. */
EYE_API int eye_share(eye_loop *loop, const struct eye_endpoint *endpoint, size_t count,
                      struct eye_endpoint *ret_shares, struct eye_err *reterr);
/* Ends them, when no loop serves them any more; what none has served is closed. */
EYE_API void eye_shares_done(struct eye_endpoint *shares, size_t count);

/* Waits for a peer; completes with 0 and *ret_stream, the caller's. Connections that died in the queue
 * are passed over. Errors: -EMFILE, -ENFILE, -ENOMEM, -ENOBUFS (try again later: the peer stays in the
 * queue), EYE_EFDSETSIZE (this peer was turned away). On a tls endpoint it waits for a peer whose handshake
 * is done; others that are slower hold nobody up, and have the endpoint's timeout_ns. A peer that was turned
 * away is told by EYE_EHANDSHAKE, EYE_EALERT_BASE - ..., EYE_EAUTHENTIC, EYE_EDEADLINE or EYE_EDENIED: see
 * eye_listener_refusal. */
EYE_API void eye_accept(eye_listener *listener, eye_op *op, eye_stream **ret_stream, eye_done *done);

/* A peer that a tls listener has turned away. */
struct eye_refusal {
    struct eye_addr peer, local; /* their len is 0 where they are not known */
    struct eye_err err;
};

/* The one that the latest such result of eye_accept stands for, or NULL; valid until the next. */
EYE_API const struct eye_refusal *eye_listener_refusal(const eye_listener *listener);

/* Of a tls endpoint without cert=: the pin of the certificate that was made for it, "sha256:...", for its
 * clients' pin=. Errors: -ENOENT where there is none. */
EYE_API int eye_listener_pin(const eye_listener *listener, char *buf, size_t size);
#define EYE_PIN_TEXT_MAX 72

/* Where it listens, as eye_addr_format writes it; with the port that was picked. */
EYE_API int eye_listener_addr(const eye_listener *listener, struct eye_addr *ret_addr);

/* Stops listening and frees; unlinks the Unix socket's file if it is still its own. A pending accept
 * completes with -ECANCELED. Returns NULL. */
EYE_API eye_listener *eye_listener_free(eye_listener *listener);

/* Receives at most size bytes (size > 0); completes with their number, 0 at the end. A message of a
 * seqpacket socket that does not fit is EYE_ETRUNCATED; empty messages are passed over. Errors: as
 * recv(2). */
EYE_API void eye_recv(eye_stream *stream, eye_op *op, void *buf, size_t size, eye_done *done);

/* As eye_recv, but into a buffer of the loop's, which costs a waiting connection nothing: *ret_bytes
 * is valid until done returns. */
EYE_API void eye_recv_lent(eye_stream *stream, eye_op *op, struct eye_bytes *ret_bytes, eye_done *done);

/* Sends all size bytes; completes with their number, fewer only if cancelled. buf must stay until done.
 * On a seqpacket socket one send is one message. Errors: as send(2); -EPIPE after eye_finish. */
EYE_API void eye_send(eye_stream *stream, eye_op *op, const void *buf, size_t size, eye_done *done);

/* As eye_send, but buf is the caller's again on return: what the kernel does not take at once is copied
 * and freed when sent. Made for lent bytes. Errors: also -ENOMEM. */
EYE_API void eye_send_copy(eye_stream *stream, eye_op *op, const void *buf, size_t size, eye_done *done);

/* Sends size bytes of a regular file, from offset on: inside the kernel where the stream is a socket that
 * can (sendfile(2)), else by reading and sending. fd stays the caller's and must stay open until done; its
 * own offset is not touched, and nothing else may be sent until done. Completes with the bytes sent: fewer
 * where cancelled, where the file ends before, or where it cannot be read on; the next call tells why, by 0
 * or by its error. Errors: as sendfile(2), pread(2) and send(2); -ENOMEM. */
EYE_API void eye_send_file(eye_stream *stream, eye_op *op, int fd, int64_t offset, int64_t size,
                           eye_done *done);

/* Ends the sending direction after all queued sends: a FIN, a close_notify and a FIN, or closing the
 * descriptor where it is a pipe. Receiving goes on. Completes with 0, or as shutdown(2). */
EYE_API void eye_finish(eye_stream *stream, eye_op *op, eye_done *done);

/* Cancels what is queued, then closes and frees the stream; completes with 0 after the last of its
 * operations. The stream must not be used from this call on. */
EYE_API void eye_close(eye_stream *stream, eye_op *op, eye_done *done);

/* As eye_close, but a peer over TCP sees a reset (RFC 9293, 3.10.5 ABORT) and no orderly end, and a command
 * that was not taken gets SIGHUP. */
EYE_API void eye_abort(eye_stream *stream, eye_op *op, eye_done *done);

/* The descriptor on which the kernel may move this stream's bytes itself that way (splice(2)), or -1. */
EYE_API int eye_stream_fd(const eye_stream *stream, enum eye_way way);

/* What the handshake of a stream has agreed on. Errors: -ENOENT for a stream without TLS. */
EYE_API int eye_stream_tls(const eye_stream *stream, struct eye_tls_info *ret_info);

/* Whether it is a socket of datagrams, which knows no end: a receive of 0 is an empty datagram, and sending
 * 0 bytes sends one. */
EYE_API bool eye_stream_endless(const eye_stream *stream);

/* The peer's and the local address. Errors: -ENOTSOCK, as getpeername(2). */
EYE_API int eye_stream_peer(const eye_stream *stream, struct eye_addr *ret_addr);
EYE_API int eye_stream_local(const eye_stream *stream, struct eye_addr *ret_addr);

/* ---- the commands of exec endpoints ---- */

/* The child at the other end of this stream, the caller's from then on; NULL where there is none. One that
 * is not taken is reaped by the loop. */
EYE_API eye_child *eye_stream_take_child(eye_stream *stream);

/* Its process number. */
EYE_API int64_t eye_child_pid(const eye_child *child);

/* Completes with the child's wait(2) status once it has exited. Errors: as waitid(2). */
EYE_API void eye_child_wait(eye_child *child, eye_op *op, eye_done *done);

/* Sends it a signal. Errors: -ESRCH when it has exited; as pidfd_send_signal(2). */
EYE_API int eye_child_kill(eye_child *child, int signum);

/* Frees it; nobody may be waiting. One that still runs is reaped by the loop, which runs until then.
 * Returns NULL. */
EYE_API eye_child *eye_child_free(eye_child *child);

/* Runs two commands by the shell, each one's standard input and output joined to the other's by a
 * socketpair(2). The caller owns both children. */
EYE_API int eye_pair(eye_loop *loop, const char *command_a, const char *command_b, eye_child *ret_children[2],
                     struct eye_err *reterr);

#ifdef __cplusplus
}
#endif
#endif
