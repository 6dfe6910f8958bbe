/* capture.h: where packets come from, and files to keep them in.
 *
 * A source gives packets one after another: from an interface (libpcap), from a capture file (pcap and
 * pcapng, read here), or from the raw sockets of raw(7) and packet(7). A dump writes them to a capture file,
 * or to a series of files. What programs want of a packet is in packet.h. */
#ifndef SOCKEYE_CAPTURE_H
#define SOCKEYE_CAPTURE_H

#include <stdbool.h>

#include <sockeye/packet.h>

#ifdef __cplusplus
extern "C" {
#endif

/* More than any packet has; what capture files may hold of one at most. */
#define EYE_SNAPLEN_MAX     262144
/* A live source that is not immediate gives a packet at the latest so long after it was seen. */
#define EYE_SOURCE_DELAY_NS INT64_C(100000000)

typedef struct eye_source eye_source;

struct eye_source_opts {
    const char *filter;   /* an expression of pcap-filter(7), or NULL */
    uint32_t snaplen;     /* the most bytes of a packet that are taken; 0 for EYE_SNAPLEN_MAX */
    int64_t buffer_bytes; /* live: the kernel's buffer; 0 for 2 MiB, as libpcap has it */
    bool promiscuous;     /* live: what is for other hosts too */
    bool immediate;       /* live: each packet at once, and not some at a time */
};

/* Opens a source; the caller owns it. What it is says the spec:
 *   "live:IF", "live:any"     an interface, or all of them (Linux cooked v2), by libpcap
 *   "file:PATH", "file:-"     a capture file; - is standard input, which is neither closed nor changed
 *   "ip:PROTO"                a socket of raw(7): what this host receives of an IP protocol, by its name
 *                             (icmp, tcp, ...: protocols(5)) or number
 *   "packet:IF", "packet:any" a socket of packet(7): whole frames of an Ethernet interface, or of all
 * opts may be NULL. Errors: EYE_ESYNTAX for a spec or a filter that cannot be read (the filter's with the
 * column of the fault in it, where that can be told), or a file that is no capture; -ENOENT, -EACCES and what
 * else open(2) says; -ENODEV for an interface that does not exist; EYE_EUNAVAILABLE where CAP_NET_RAW is
 * missing, or libpcap; -ENOMEM. */
EYE_API int eye_source_open(const char *spec, const struct eye_source_opts *opts, eye_source **ret_source,
                            struct eye_err *reterr);

/* Gives the next packet that passes the filter: 1. Its data is the source's and holds until the next call.
 * 0: the end. -EAGAIN: none now (live, and from pipes); wait with eye_source_fd. Errors, after which there is
 * nothing more: EYE_ETRUNCATED for a file that ends inside a record; EYE_ESYNTAX for one with a record that
 * cannot be; -ENODEV and -ENETDOWN when the interface has gone or is down; what read(2) and recv(2) say. */
EYE_API int eye_source_next(eye_source *source, struct eye_packet *ret_packet, struct eye_err *reterr);

/* The descriptor to wait on with eye_poll, or -1 where eye_source_next never says -EAGAIN. */
EYE_API int eye_source_fd(const eye_source *source);

/* The link type of what comes, a LINKTYPE_ value (https://www.tcpdump.org/linktypes.html); -EAGAIN while a
 * pipe has not told it. In pcapng files it may change from packet to packet. */
EYE_API int eye_source_link(const eye_source *source);

/* Whether times are finer than a microsecond. */
EYE_API bool eye_source_is_nano(const eye_source *source);

/* The name of a link type, "EN10MB" (pcap-linktype(7)), or its number in buf, which has size bytes. */
EYE_API const char *eye_link_name(int link, char *buf, size_t size);

struct eye_source_stats {
    uint64_t captured;          /* packets that came to this process, before a filter of its own */
    uint64_t passed;            /* those that eye_source_next gave */
    uint64_t dropped_kernel;    /* live: for want of room in the buffer */
    uint64_t dropped_interface; /* live: by the interface or its driver, where it tells */
};

/* Counts since the source was opened. */
EYE_API void eye_source_stats(eye_source *source, struct eye_source_stats *ret_stats);

/* Returns NULL. */
EYE_API eye_source *eye_source_free(eye_source *source);

typedef struct eye_dump eye_dump;

struct eye_dump_opts {
    uint32_t snaplen;     /* as the file's header tells it; 0 for EYE_SNAPLEN_MAX */
    bool nano;            /* times in nanoseconds and not in microseconds */
    int64_t rotate_bytes; /* begin another file before one grows larger; 0: never */
    int64_t rotate_ns;    /* begin another file for a packet that is so much later than the first; 0: never */
    uint32_t keep;        /* with rotation: remove the oldest so that so many remain; 0: all */
};

/* Opens a capture file to write (pcap); the caller owns it. "-" is standard output. Where it rotates, the
 * files are PATH with a number before its suffix: trace.pcap gives trace-00001.pcap and so on. An older file
 * of that name is emptied. Errors: what open(2) says; -ENOMEM. */
EYE_API int eye_dump_open(const char *path, const struct eye_dump_opts *opts, eye_dump **ret_dump,
                          struct eye_err *reterr);

/* Writes a packet, buffered. Files have one link type, that of their first packet: -EINVAL for another.
 * Errors: what open(2) and write(2) say; what was written whole stays, and the file ends with it. */
EYE_API int eye_dump_write(eye_dump *dump, const struct eye_packet *packet, struct eye_err *reterr);

/* Hands to the system what is buffered. Errors as those of eye_dump_write. */
EYE_API int eye_dump_flush(eye_dump *dump, struct eye_err *reterr);

/* Flushes and frees; a file that got no packet becomes one with this link type and no packets (link < 0: an
 * empty file). Errors as those of eye_dump_write; it is freed all the same. */
EYE_API int eye_dump_close(eye_dump *dump, int link, struct eye_err *reterr);

#ifdef __cplusplus
}
#endif
#endif
