/* packet.h: packets, what is in them, and how that is shown.
 *
 * eye_dissect reads a packet into a struct eye_tree, which is the caller's memory, usually on its stack:
 *
 *     struct eye_tree tree;
 *     eye_dissect(&packet, 0, &tree);
 *     eye_tree_format(&tree, &packet, EYE_STYLE_LINE, line, sizeof(line));
 *
 * It is pure: no I/O, no heap, nothing remembered from packet to packet, the same tree for the same bytes.
 * It takes any bytes: every read is bounded by what was captured and by the length fields around it, and
 * what is wrong is marked in the tree, never a reason to stop short of a result.
 *
 * A tree holds little more than places. A layer is a header: its protocol, where it begins and how long it
 * is. Fields at fixed places (a port, a TTL) are not stored at all; each protocol has one constant table
 * that says where they are, and they are read from the packet when somebody asks. Only what moves (an
 * option, a DNS record) is stored, as an item. So a plain TCP segment costs a few stores, and the packet's
 * bytes must live as long as its tree is read. */
#ifndef SOCKEYE_PACKET_H
#define SOCKEYE_PACKET_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <sockeye/err.h>

#ifdef __cplusplus
extern "C" {
#endif

/* The link layers that are understood, by their numbers in capture files.
 * https://www.tcpdump.org/linktypes.html */
enum {
    EYE_LINK_NULL = 0,
    EYE_LINK_ETHERNET = 1,
    EYE_LINK_RAW = 101, /* IPv4 or IPv6 without a link header: what a raw socket gives */
    EYE_LINK_LOOP = 108,
    EYE_LINK_SLL = 113,
    EYE_LINK_IP4 = 228,
    EYE_LINK_IP6 = 229,
    EYE_LINK_SLL2 = 276,
};

/* In eye_packet.vlan: the kernel took an 802.1Q tag out and hands it over beside the packet. packet(7) */
#define EYE_VLAN_TAG 0x10000

struct eye_packet {
    int64_t time_ns;     /* since 1970 began, UTC */
    uint64_t number;     /* from 1 */
    const uint8_t *data; /* caplen bytes */
    uint32_t caplen;     /* bytes that were captured */
    uint32_t len;        /* bytes that the packet had */
    uint32_t link;       /* EYE_LINK_... */
    uint32_t vlan;       /* EYE_VLAN_TAG | the tag's 16 bits, or 0 */
};

enum eye_proto {
    EYE_PROTO_ETH,
    EYE_PROTO_VLAN,
    EYE_PROTO_SLL,
    EYE_PROTO_SLL2,
    EYE_PROTO_NULL,
    EYE_PROTO_ARP,
    EYE_PROTO_IP,
    EYE_PROTO_IP6,
    EYE_PROTO_ICMP,
    EYE_PROTO_ICMP6,
    EYE_PROTO_IGMP,
    EYE_PROTO_TCP,
    EYE_PROTO_UDP,
    EYE_PROTO_SCTP,
    EYE_PROTO_GRE,
    EYE_PROTO_VXLAN,
    EYE_PROTO_DNS,
    EYE_PROTO_DHCP,
    EYE_PROTO_NTP,
    EYE_PROTO_TLS,
    EYE_PROTO_HTTP,
    EYE_PROTO_QUIC,
    EYE_PROTO_PAYLOAD, /* what follows the last header of the network or transport, also where a layer reads
                          it */
    EYE_PROTO_MAX
};

/* What a checksum was found to be. */
enum eye_sum {
    EYE_SUM_UNKNOWN,    /* not asked for, or not all of what it covers was captured */
    EYE_SUM_OK,         /* right */
    EYE_SUM_BAD,        /* wrong */
    EYE_SUM_UNFINISHED, /* the pseudo-header's sum only: the sender's card was to finish it (offload) */
    EYE_SUM_NONE,       /* the sender sent none (UDP over IPv4, RFC 768) */
};

/* How a layer lies in the one before. */
enum eye_nest {
    EYE_NEST_NONE,   /* it follows it */
    EYE_NEST_INNER,  /* a tunnel carries it */
    EYE_NEST_QUOTED, /* an ICMP error quotes it */
};

struct eye_layer {
    uint8_t proto;       /* enum eye_proto */
    uint8_t level;       /* how many tunnels and quotes it lies in */
    uint8_t nest;        /* enum eye_nest: what its first layer of this level is; else EYE_NEST_NONE */
    uint8_t sum;         /* enum eye_sum */
    uint16_t item;       /* its first item */
    uint16_t item_count; /* and how many it has */
    uint32_t off, len;   /* its header's bytes in the packet, as far as they were captured */
};

/* A field that has no fixed place. */
struct eye_item {
    uint16_t row;  /* of its protocol's table */
    uint8_t depth; /* how many lists and groups it stands in */
    uint8_t pad;
    uint32_t off, len;
    uint64_t num;
};

enum {
    EYE_LAYER_MAX = 64,
    EYE_ITEM_MAX = 1024,
};

struct eye_tree {
    uint16_t layer_count, item_count;
    const char *truncated;       /* where the capture ended before the packet did, or NULL */
    const char *malformed;       /* what is wrong, or NULL: the first thing that was */
    const char *malformed_where; /* and in which protocol */
    struct eye_layer layer[EYE_LAYER_MAX];
    struct eye_item item[EYE_ITEM_MAX];
};

enum {
    EYE_DISSECT_VERIFY = 1, /* checksums beyond IPv4's own: TCP, UDP, ICMP, ICMPv6, IGMP, SCTP */
};

/* Reads a packet. flags is 0 or EYE_DISSECT_VERIFY. Fills in *tree, which needs no preparation, and gives
 * how many layers there are; it does not fail. */
EYE_API int eye_dissect(const struct eye_packet *packet, unsigned flags, struct eye_tree *tree);

/* A protocol's name, as in JSON ("tcp"), and the title of its block ("TCP_HEADER"). */
EYE_API const char *eye_proto_name(enum eye_proto proto);
EYE_API const char *eye_proto_title(enum eye_proto proto);

/* ---- fields ---- */

enum eye_kind {
    EYE_KIND_UINT,  /* num */
    EYE_KIND_INT,   /* num, as int64_t */
    EYE_KIND_BOOL,  /* num, 0 or 1 */
    EYE_KIND_MAC,   /* a hardware address: its bytes lie at off */
    EYE_KIND_IP4,   /* 4 bytes */
    EYE_KIND_IP6,   /* 16 bytes */
    EYE_KIND_BYTES, /* bytes without a meaning of their own, shown in hexadecimal */
    EYE_KIND_TEXT,  /* bytes that are meant as text, and may be anything */
    EYE_KIND_NAME,  /* a domain name, RFC 1035: at off, in the message that begins at num */
    EYE_KIND_FLAGS, /* num: TCP's flags, shown as tcpdump's letters */
    EYE_KIND_TIME,  /* num: a time stamp of NTP, RFC 5905 */
    EYE_KIND_SUM,   /* num: enum eye_sum */
    EYE_KIND_LIST,  /* the fields that follow with a greater depth are its elements */
    EYE_KIND_GROUP, /* an element of a list that is made of the fields that follow with a greater depth */
};

struct eye_field {
    const char *name;  /* as in JSON, or NULL: not there */
    const char *title; /* as in a block, or NULL: not there */
    const char *word;  /* what the number means, or NULL */
    uint8_t kind;      /* enum eye_kind */
    uint8_t depth;     /* of lists and groups, from 0 */
    uint8_t layer;     /* the layer it belongs to */
    uint8_t scale;     /* on the wire the number counts in units of 1 << scale */
    bool word_too;     /* JSON has the word too, under the name with "_text" behind it */
    uint32_t off, len; /* its bytes in the packet */
    uint64_t num;      /* its value where it is a number */
};

/* Where a walk over the fields stands. {0} begins it. */
struct eye_cursor {
    uint16_t layer, row, item;
};

/* Gives the next field of the tree, layer by layer, and 1; 0 after the last. Fields that were not captured
 * do not come. */
EYE_API int eye_tree_next(const struct eye_tree *tree, const struct eye_packet *packet,
                          struct eye_cursor *cursor, struct eye_field *ret_field);

/* Finds a field by its path, "ip.src", in the outermost header of that name. Gives 0, or -ENOENT: the
 * packet has none. */
EYE_API int eye_tree_find(const struct eye_tree *tree, const struct eye_packet *packet, const char *path,
                          struct eye_field *ret_field);

/* Writes a field's value as text: a number in decimal, an address as people write it, bytes in hexadecimal,
 * text as eye_escape writes it. Always ends buf with a NUL when size > 0, cuts what does not fit, and gives
 * the bytes written without the NUL. */
EYE_API size_t eye_field_text(const struct eye_packet *packet, const struct eye_field *field, char *buf,
                              size_t size);

/* ---- a whole packet as text ---- */

enum eye_style {
    EYE_STYLE_LINE,   /* one line */
    EYE_STYLE_DETAIL, /* a block for each header */
    EYE_STYLE_JSON,   /* one JSON object on one line */
    EYE_STYLE_MAX
};

/* Writes the packet in a style, a newline at its end, without a NUL. Gives the bytes written, or -ENOSPC
 * where they do not fit in size bytes. */
EYE_API int eye_tree_format(const struct eye_tree *tree, const struct eye_packet *packet,
                            enum eye_style style, char *buf, size_t size);

/* How a line tells the time. */
enum eye_clock {
    EYE_CLOCK_DAY,   /* 14:03:05.123456, of this host's day */
    EYE_CLOCK_DATE,  /* 2026-11-24 14:03:05.123456 */
    EYE_CLOCK_UTC,   /* 2026-11-24T13:03:05.123456Z */
    EYE_CLOCK_UNIX,  /* 1795525385.123456 */
    EYE_CLOCK_SINCE, /* +0.000123, since since_ns */
    EYE_CLOCK_NONE,
    EYE_CLOCK_MAX
};

/* What a line looks like, beyond what is in it. The callbacks give a name that is safe to show, or NULL, and
 * may be NULL themselves. */
struct eye_look {
    enum eye_clock clock;
    int64_t since_ns;
    bool color; /* escape sequences of a terminal (ECMA-48) */
    bool link;  /* the link layer's addresses too */
    const char *(*host)(void *user, const uint8_t *addr, size_t size); /* size: 4 or 16 */
    const char *(*interface)(void *user, uint32_t index);
    void *user;
};

/* The same with a look, which counts for EYE_STYLE_LINE and NULL is all zeros. */
EYE_API int eye_tree_show(const struct eye_tree *tree, const struct eye_packet *packet, enum eye_style style,
                          const struct eye_look *look, char *buf, size_t size);

/* ---- one field of every packet ---- */

/* A path that was read once, to be looked for in many packets. */
enum { EYE_PATH_ROWS_MAX = 4 };
struct eye_path {
    uint8_t what, level, quoted, proto, count, row[EYE_PATH_ROWS_MAX];
    bool word;
};

/* Reads a path of the JSON: "ip.src", "frame.time", "vlan", "inner.tcp.dst_port", "tcp.options.mss",
 * "dns.answers.type_text". Errors: EYE_ESYNTAX for a name that nothing has, with the nearest one that is
 * there. */
EYE_API int eye_path_parse(const char *text, struct eye_path *ret_path, struct eye_err *reterr);

/* Writes what the packet has there as text, as eye_field_text does; of a list's fields all, with commas
 * between them. Gives the bytes written without the NUL: 0 where there is none. size is at least 1. */
EYE_API size_t eye_path_text(const struct eye_path *path, const struct eye_tree *tree,
                             const struct eye_packet *packet, char *buf, size_t size);

#ifdef __cplusplus
}
#endif
#endif
