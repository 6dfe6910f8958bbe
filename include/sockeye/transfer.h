/* transfer.h: files over a stream, whole or not at all, both sides knowing the truth in the end.
 *
 * One side sends and the other receives; either may dial or listen. docs/transfer-protocol.md has the
 * protocol. */
#ifndef SOCKEYE_TRANSFER_H
#define SOCKEYE_TRANSFER_H

#include <sockeye/flow.h>

#ifdef __cplusplus
extern "C" {
#endif

/* One file or folder that has ended. Valid during the call. */
struct eye_transfer_file {
    const char *name; /* as it is called on the way: relative, with slashes */
    uint64_t bytes;
    uint64_t resumed_bytes; /* that were there from a transfer that was cut */
    uint64_t digest;        /* of the content, where has_digest */
    bool has_digest, folder;
    const struct eye_err *err; /* NULL: it stands under its name */
};

struct eye_transfer_opts {
    const struct eye_endpoint *endpoint; /* a stream: tcp, tls, unix, exec, stdio, fd; must outlive it */
    bool listen;                         /* waits for the peer instead of dialling */
    bool keep; /* receiving: one peer after another, until cancelled; implies listen */

    const char *const *paths; /* sending: what, files and folders */
    size_t path_count;
    const char *folder; /* receiving: where to; with raw, the file */

    bool raw;       /* no protocol: the bytes of one file, whose end is the end of the stream */
    bool no_digest; /* sending: files are not verified, which also rules out resuming */
    bool overwrite; /* receiving: a file that is there already is replaced */
    bool no_sync;   /* receiving: leave it to the system when the files become durable */

    const struct eye_observer *observer; /* or NULL */
    /* How far it is in all, of how many bytes (0 where that is not known), and in which file. NULL: nobody
     * asks. */
    void (*progress)(void *user, const char *name, uint64_t done_bytes, uint64_t total_bytes);
    /* A file or folder has ended, well or not. NULL: nobody asks. */
    void (*file)(void *user, const struct eye_transfer_file *file);
    void *user;
};

/* How it went; the caller's memory until done. */
struct eye_transfer_result {
    uint64_t files, folders; /* that stand under their names at the receiver */
    uint64_t failed;         /* that do not */
    uint64_t bytes;          /* of content that went over the stream */
    uint64_t resumed_bytes;  /* of content that was there already */
    struct eye_err err;      /* the first failure, where the result is not 0 */
};

/* Sends paths. A folder goes with all that is in it; symbolic links in it, devices, pipes and sockets are not
 * sent and are failures. Completes with 0 when the receiver has said that everything stands under its name;
 * else with the code of the first failure, after the rest has been tried. Cancelling ends it now. Errors: as
 * eye_dial or eye_listen; EYE_ETRUNCATED where the peer ended before its word; EYE_EDEADLINE where it says
 * nothing for the endpoint's timeout= at the beginning or idle= later; -EPROTO for a peer that speaks
 * something else; -ECANCELED; -EREMOTEIO for a failure that the peer told of, its words in err. */
EYE_API void eye_transfer_send(eye_loop *loop, eye_op *op, const struct eye_transfer_opts *opts,
                               struct eye_transfer_result *ret, eye_done *done);

/* Receives into a folder, and never writes outside it. Errors: likewise. With keep, a peer that fails is told
 * of by the observer, and the next is awaited. */
EYE_API void eye_transfer_receive(eye_loop *loop, eye_op *op, const struct eye_transfer_opts *opts,
                                  struct eye_transfer_result *ret, eye_done *done);

#ifdef __cplusplus
}
#endif
#endif
