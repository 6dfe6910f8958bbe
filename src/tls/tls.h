/* tls.h: TLS as an engine: bytes in, bytes out, no I/O and no loop.
 *
 * Theory of operation. A *context* is what the options of a tls endpoint come to, on one side: certificates,
 * trust, versions, ciphers. It is made once for each endpoint and kept with it (name/kept.h). A *session* is
 * one connection. Each call of a session is lent a tls_io: bytes that came from the peer, of which it takes
 * what it can use, and room for bytes that are to go to the peer. Between calls a session holds at most one
 * record that has not come whole. Who moves those bytes, and when, is the caller's business
 * (net/tls_stream.c).
 *
 * The table tls_library is all that the floors above know of the library behind it, so that another one could
 * stand in. */
#ifndef SOCKEYE_TLS_INTERNAL_H
#define SOCKEYE_TLS_INTERNAL_H

#include <sockeye/endpoint.h>
#include <sockeye/tls.h>

#include "base/base.h"

/* A record holds so much (RFC 8446, 5.1), and this much is around it at most (5.2). */
#define TLS_RECORD_BYTES   16384
#define TLS_OVERHEAD_BYTES 261

struct tls_io {
    const uint8_t *in; /* from the peer; calls move it on */
    size_t in_size;
    bool in_end;  /* and nothing more will come */
    uint8_t *out; /* room for bytes to the peer */
    size_t out_room, out_size;
};

struct tls_context;
struct tls_session;

#define TLS_PIN_TEXT_MAX 72 /* "sha256:" and 64 digits */

/* Results: 0 or more; -EAGAIN: for more bytes from the peer, or where out is full, for room; EYE_EHANDSHAKE,
 * EYE_EAUTHENTIC, EYE_ETRUNCATED, EYE_EALERT_BASE - N, -ENOMEM. What is in out is to be sent in any case. */
struct tls_library {
    const char *name;
    int (*context_new)(const struct eye_endpoint *endpoint, bool server, struct tls_context **ret_context,
                       struct eye_err *reterr);
    void (*context_free)(struct tls_context *context);
    /* "sha256:...": the pin of a server's throw-away certificate; -ENOENT where it has been given one. */
    int (*context_pin)(const struct tls_context *context, char *buf, size_t size);

    /* The session holds on to its context. */
    int (*session_new)(struct tls_context *context, struct tls_session **ret_session);
    void (*session_free)(struct tls_session *session);
    int (*handshake)(struct tls_session *session, struct tls_io *io);
    /* Decrypts at most size bytes; 0 once the peer has said its end (close_notify). */
    int64_t (*read)(struct tls_session *session, struct tls_io *io, void *buf, size_t size);
    /* Encrypts what there is room for. */
    int64_t (*write)(struct tls_session *session, struct tls_io *io, const void *buf, size_t size);
    /* Says our end. */
    int (*finish)(struct tls_session *session, struct tls_io *io);
    /* Whether there is something to do before more bytes come: with those that are held, or a client's first
     * word. */
    bool (*pending)(const struct tls_session *session);
    void (*info)(const struct tls_session *session, struct eye_tls_info *ret_info);
    /* Why the handshake failed: text, cause, kind and code. */
    void (*why)(const struct tls_session *session, int code, struct eye_err *reterr);

    int (*cipher)(size_t index, struct eye_tls_cipher *ret_cipher);
};

/* NULL in a build without one. */
extern const struct tls_library *const tls_library;

/* The context of an endpoint, on one side, which is made at the first call and belongs to the endpoint.
 * EYE_EUNAVAILABLE in a build without a library; EYE_ESYNTAX for options that do not go together or a cipher
 * that does not exist; else what kept a file from being read. */
int tls_context_of(const struct eye_endpoint *endpoint, bool server, struct tls_context **ret_context,
                   struct eye_err *reterr);

#endif
