/* net.h: what the files of this floor share. The public face is <sockeye/stream.h>.
 *
 * Theory of operation. A stream is one slot of the loop, or two where reading and writing are two
 * descriptors (stdio). A scheme is one row of the table in scheme.c: how it is opened at once, or which
 * addresses it has and how a socket for one of them is made. Dialling (dial.c) and listening (listen.c)
 * are written once, over those rows. */
#ifndef SOCKEYE_NET_H
#define SOCKEYE_NET_H

#include <sockeye/stream.h>
#include <sockeye/tls.h>

#include "loop/io.h"

struct inbox;
struct sender;
struct layer;

struct eye_stream {
    union {
        struct inbox *inbox;   /* has_inbox: it is a UDP listener's peer */
        struct sender *sender; /* has_sender: it is a Unix datagram listener's peer */
        eye_child *child;      /* has_child: an exec endpoint's, until it is taken */
        struct layer *layer;   /* has_layer: it stands on another stream, and has no slot */
    } u;
    bool has_inbox, has_sender, has_child, has_layer;
    bool two;           /* slot[1] is there and carries EYE_OUT */
    struct slot slot[]; /* slot[0] carries EYE_IN, and both ways where there is one */
};

static inline struct slot *stream_slot(const eye_stream *stream, enum eye_way way) {
    return (struct slot *)(uintptr_t)&stream->slot[stream->two && way == EYE_OUT];
}

/* What changes the bytes of a stream on their way: the operations of the stream on top of it. */
struct layer {
    const struct layer_ops *ops;
    eye_loop *loop;
    eye_stream *below; /* its own */
};

struct layer_ops {
    void (*recv)(struct layer *layer, eye_op *op, void *buf, size_t size, eye_done *done);
    void (*recv_lent)(struct layer *layer, eye_op *op, struct eye_bytes *ret_bytes, size_t most,
                      eye_done *done);
    void (*send)(struct layer *layer, eye_op *op, const void *buf, size_t size, bool copy, eye_done *done);
    void (*finish)(struct layer *layer, eye_op *op, eye_done *done);
    /* Ends and frees layer, below and stream. */
    void (*close)(struct layer *layer, eye_op *op, bool abort, eye_done *done);
    /* Frees the layer alone. */
    void (*drop)(struct layer *layer);
    int (*tls)(const struct layer *layer, struct eye_tls_info *ret_info);
};

/* A stream over fd, which it owns from then on; on failure fd stays the caller's. */
int stream_new(eye_loop *loop, int fd, unsigned slot_flags, eye_stream **ret_stream);
/* The same over two descriptors, to read from and to write to. */
int stream_new_two(eye_loop *loop, const int fds[2], const unsigned slot_flags[2], eye_stream **ret_stream);
/* A stream on top of a layer. */
int stream_new_layered(struct layer *layer, eye_stream **ret_stream);
/* As eye_recv_lent, but at most so many bytes of a stream of bytes. */
void stream_recv_lent(eye_stream *stream, eye_op *op, struct eye_bytes *ret_bytes, size_t most,
                      eye_done *done);
/* Whether eye_send_file leaves a file's bytes to the kernel on this stream. */
bool stream_sends_files(const eye_stream *stream);
/* The loop that a stream belongs to. */
eye_loop *stream_loop(const eye_stream *stream);
/* Closes and frees a stream that has no operation pending. */
void stream_drop(eye_stream *stream);
/* The same, of a peer that will not be served: over TCP it sees a reset, which it cannot take for an
 * answer's orderly end. */
void stream_refuse(eye_stream *stream);

/* The file that bind made, to be recognised at the end. */
struct bound {
    const char *path; /* the endpoint's; NULL where there is no file */
    dev_t dev;
    ino_t ino;
};

/* What a kind of endpoint is made of. */
struct scheme {
    /* Opens the endpoint at once. NULL where it has addresses. */
    int (*open)(eye_loop *loop, const struct eye_endpoint *endpoint, eye_stream **ret_stream,
                struct eye_err *reterr);
    /* A socket for that address, with the endpoint's options set, to connect or to bind. */
    int (*socket)(const struct eye_endpoint *endpoint, const struct eye_addr *addr, bool listening);
    /* Keeps out others who would judge what bind makes before it listens: a descriptor to close then, or
     * -1. NULL where nobody could. */
    int (*lock)(const struct eye_endpoint *endpoint);
    int (*bind)(int fd, const struct eye_endpoint *endpoint, const struct eye_addr *addr,
                struct bound *ret_bound, struct eye_err *reterr);
    /* Removes what bind left in the file system; NULL where it leaves nothing. */
    void (*unbind)(const struct bound *bound);
    unsigned (*slot_flags)(const struct eye_endpoint *endpoint, int fd);
    /* Takes over a descriptor that listens already; NULL where bind makes one. */
    int (*listening)(eye_loop *loop, const struct eye_endpoint *endpoint, struct eye_err *reterr);
};

extern const struct scheme scheme_tcp, scheme_udp, scheme_unix, scheme_exec, scheme_stdio, scheme_fd,
    scheme_file;
bool fd_listens(int fd);
/* From now on nobody joins a listener's queue, as far as the system can do that. */
void listener_keep_out(eye_listener *listener);
/* Whether a peer waits in its queue whom nobody else could serve; never on a socket of datagrams. */
bool listener_waited_for(const eye_listener *listener);
/* tls_port_watch, where it is a listener of TLS. */
void listener_watch(eye_listener *listener, void (*shaking_changed)(void *user, int change), void *user);
/* The socket on which a listener's datagrams come. */
struct slot *listener_slot(eye_listener *listener);
const struct scheme *scheme_of(const struct eye_endpoint *endpoint);

/* ---- descriptors from elsewhere (inherit.c) ---- */

/* A descriptor of our own for one way of an inherited one, and the flags of its slot. The caller puts
 * /dev/null in the place of the inherited one (loop_null_over), so that the stream holds the last reference
 * and closing it tells the other end. */
int inherit_way(int fd, enum eye_way way, unsigned *ret_flags);
/* The flags that a slot for this descriptor needs, whoever opened it: what it is, not how it was opened. */
int inherit_flags(int fd, unsigned *ret_flags);
/* Stands for a way that a descriptor does not have: reading ends at once, writing is a broken pipe. */
int nowhere(enum eye_way way, unsigned *ret_flags);
/* A stream over two inherited descriptors, to read from and to write to, or over one that is both; open_way
 * is inherit_way or chooses it. In their place stands /dev/null afterwards. */
int inherit_both(eye_loop *loop, const int fds[2],
                 int (*open_way)(int fd, enum eye_way way, unsigned *ret_flags), eye_stream **ret_stream);

/* Which addresses an endpoint has: a copy of what the resolver must know, so that a helper thread may
 * outlive the endpoint. */
struct lookup {
    enum eye_scheme scheme;
    char *host, *port;
    int family;
    bool passive;
    struct eye_addr unix_addr;
};
int lookup_new(const struct eye_endpoint *endpoint, bool passive, struct lookup *ret_lookup);
void lookup_done(struct lookup *lookup);
/* Blocking, unless numeric: then EYE_EAI_BASE + EAI_NONAME for what would have to be asked for. */
int lookup_run(const struct lookup *lookup, bool numeric, struct eye_addrs *ret_addrs,
               struct eye_err *reterr);

/* ---- TLS (tls_stream.c, tls_secure.c, tls_accept.c) ---- */

struct tls_context;

/* A stream of TLS over another, which it owns from then on; its handshake comes first. Errors: -ENOMEM. */
int tls_stream_new(eye_stream *below, struct tls_context *context, eye_stream **ret_stream);
/* Completes with 0 when the handshake is done, or its code and *reterr. */
void tls_stream_handshake(eye_stream *stream, eye_op *op, struct eye_err *reterr, eye_done *done);

/* Puts TLS on a stream and shakes hands by a deadline: completes with 0 and *ret_stream, or with a code and
 * *reterr when what there was has been closed. */
void tls_secure(eye_stream *below, eye_op *op, const struct eye_endpoint *endpoint,
                struct tls_context *context, int64_t deadline_ns, eye_stream **ret_stream,
                struct eye_err *reterr, eye_done *done);

/* eye_dial for tls endpoints, and for what they stand on. */
void tls_dial(eye_loop *loop, eye_op *op, const struct eye_endpoint *endpoint, struct eye_dialled *ret,
              eye_done *done);
void dial_plain(eye_loop *loop, eye_op *op, const struct eye_endpoint *endpoint, struct eye_dialled *ret,
                eye_done *done);

/* What a listener of a tls endpoint has besides: peers in the middle of their handshakes. */
struct tls_port;
int tls_port_new(eye_listener *listener, eye_loop *loop, const struct eye_endpoint *endpoint,
                 struct tls_port **ret_port, struct eye_err *reterr);
void tls_port_accept(struct tls_port *port, eye_op *op, eye_stream **ret_stream, eye_done *done);
/* Tells of each peer that begins (1) and ends (-1) its handshake, until the listener is freed. */
void tls_port_watch(struct tls_port *port, void (*shaking_changed)(void *user, int change), void *user);
const struct eye_refusal *tls_port_refusal(const struct tls_port *port);
int tls_port_pin(const struct tls_port *port, char *buf, size_t size);
/* Turns away those who are there; what it has goes when the last of them has. */
void tls_port_free(struct tls_port *port);
void accept_plain(eye_listener *listener, eye_op *op, eye_stream **ret_stream, eye_done *done);

/* Fills in the line for a system call that failed on an endpoint, and its likely cause. */
int net_fail(struct eye_err *reterr, const struct eye_endpoint *endpoint, int code, bool listening);

#endif
