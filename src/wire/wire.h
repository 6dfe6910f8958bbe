/* wire.h: what dissectors are made of.
 *
 * A dissector is one file under dissect/: a table of its fields (struct wire_row), a function that reads one
 * header, and its bind rows: which number in which field of the protocol below leads to it. The function
 * takes its header from w->view, opens a layer for it, adds an item for each field that has no fixed place,
 * and gives the dissector of what follows, or NULL. What then is left of the view becomes the payload.
 *
 * eye_dissect calls one after the other, so that nesting costs no stack. */
#ifndef SOCKEYE_WIRE_H
#define SOCKEYE_WIRE_H

#include <sockeye/packet.h>

#include "base/base.h"
#include "base/view.h"

enum {
    WIRE_NESTED_MAX = 8,  /* tunnels and quotes, one in the other */
    WIRE_OPTIONS_MAX = 64 /* options or extension headers of one header */
};

/* A number that has a name. Tables of these end with {0, NULL}. */
struct wire_word {
    uint32_t num;
    const char *word;
};

/* One field of a protocol. */
struct wire_row {
    const char *name;  /* in JSON, or NULL: shown in blocks only */
    const char *title; /* in blocks, or NULL: shown in JSON only */
    uint8_t kind;      /* enum eye_kind */
    uint8_t off, size; /* its fixed place in the header, in bytes; size 0: it comes as an item */
    uint8_t shift;     /* a number's lowest bit, of those size bytes (up to 8) */
    uint8_t bits;      /* how many bits it has; 0 means all */
    uint8_t scale;     /* the number counts in units of 1 << scale */
    bool in_place;     /* the bits are shown where they stand in the byte, not shifted down */
    bool word_too;     /* as in struct eye_field */
    const struct wire_word *words;
};

/* A field at a fixed place of the header, and one that comes as an item; the rest of a row may follow. */
#define WIRE_FIXED(name_, title_, kind_, off_, size_, ...)                                                   \
    { .name = name_, .title = title_, .kind = EYE_KIND_##kind_, .off = off_, .size = size_, __VA_ARGS__ }
#define WIRE_MOVING(name_, title_, kind_, ...)                                                               \
    { .name = name_, .title = title_, .kind = EYE_KIND_##kind_, __VA_ARGS__ }

struct wire;
struct wire_dissector;
typedef const struct wire_dissector *wire_dissect(struct wire *w);

/* Where a dissector can be bound. */
enum wire_table { WIRE_ETH_TYPE, WIRE_IP_PROTO, WIRE_UDP_PORT, WIRE_TCP_PORT, WIRE_LINK, WIRE_TABLE_MAX };

struct wire_bind {
    enum wire_table table;
    uint16_t num;
};

struct wire_dissector {
    const char *name, *title;
    enum eye_proto proto;
    const struct wire_row *rows;
    uint8_t row_count;
    wire_dissect *dissect;
    const struct wire_bind *binds;
    uint8_t bind_count;
    /* Whether a TCP payload that no port leads anywhere is this one's; NULL: never. */
    bool (*guess)(const uint8_t *data, uint32_t size);
};

#define WIRE_ROWS(table)  .rows = (table), .row_count = ARRAY_LEN(table)
#define WIRE_BINDS(table) .binds = (table), .bind_count = ARRAY_LEN(table)

/* A packet that is being read. */
struct wire {
    struct eye_tree *tree;
    const struct eye_packet *packet;
    struct view view;        /* what is not yet read */
    struct eye_layer *layer; /* the one that was opened last */
    const char *where;       /* the protocol that is being read */
    unsigned flags;          /* of eye_dissect */
    uint8_t level, nest;     /* for the next layer */
    bool quoted;             /* in what an ICMP error quotes: cut short on purpose */
    bool partial;            /* what ends too soon goes on in another packet: a fragment, a stream */
    bool has_payload;        /* payload below holds what the transport carries */
    uint8_t ip_version;      /* the innermost IP header: 4, 6 or 0 */
    const uint8_t *ip_src;   /* and its addresses, for a pseudo-header */
    const uint8_t *ip_dst;
    struct view payload;
};

/* ---- for dissectors ---- */

/* Opens a layer and takes its header of size bytes, which are at what is given. NULL where they are not all
 * there: that is marked, and the layer has what there is of it, if anything. */
const uint8_t *wire_header(struct wire *w, const struct wire_dissector *dissector, uint32_t size);

/* Makes the layer longer by what was read of the view since. */
static inline void wire_extend(struct wire *w) {
    w->layer->len = w->view.pos - w->layer->off;
}

/* Adds a field without a fixed place. */
void wire_full(struct wire *w);
static inline void wire_item(struct wire *w, unsigned row, unsigned depth, uint32_t off, uint32_t len,
                             uint64_t num) {
    struct eye_tree *tree = w->tree;
    if (tree->item_count == EYE_ITEM_MAX) {
        wire_full(w);
        return;
    }
    tree->item[tree->item_count++] =
        (struct eye_item){.row = (uint16_t)row, .depth = (uint8_t)depth, .off = off, .len = len, .num = num};
    w->layer->item_count++;
}

/* Takes a number of 1, 2 or 4 bytes from a view and adds it. */
static inline void wire_read(struct wire *w, struct view *view, unsigned row, unsigned depth, uint32_t size) {
    const uint8_t *bytes = view_bytes(view, size);
    if (bytes)
        wire_item(w, row, depth, view->pos - size, size,
                  size == 1   ? *bytes
                  : size == 2 ? be16(bytes)
                              : be32(bytes));
}

/* A number that ends where the view stands and is size bytes long. */
static inline void wire_num(struct wire *w, unsigned row, unsigned depth, uint32_t size, uint64_t num) {
    wire_item(w, row, depth, w->view.pos - size, size, num);
}

/* Says what is wrong with the packet, in the layer that is open. Only the first counts. */
void wire_malformed(struct wire *w, const char *why);

/* A read of this view went past its end: marks whether the capture or the sender cut it. */
void wire_short(struct wire *w, const struct view *view);

/* Ends the view where a length field says; what it claims beyond what there is is marked. */
void wire_limit(struct wire *w, uint32_t size);

/* Takes an option of the form that IPv4 and TCP share: kind 0 ends them, kind 1 is a byte alone, any other is
 * kind, length of all of it, body. Adds it as a group with its kind, rows row and row + 1. False behind the
 * last one, and where it is wrong, which is marked. */
bool wire_option(struct wire *w, struct view *options, unsigned row, uint8_t *ret_kind,
                 struct view *ret_body);

/* The next layer lies in a tunnel, or in a quote. False where there are too many of them, which is marked. */
bool wire_nest(struct wire *w, enum eye_nest nest);

/* What is left of the view is what the transport carries, whoever reads it. */
static inline void wire_payload(struct wire *w) {
    w->payload = w->view;
    w->has_payload = true;
}

/* A domain name: where its labels lie in the packet, and how long they are. */
struct wire_name {
    uint32_t count;
    uint32_t label[128];
    uint8_t size[128];
};

/* Takes a name of the DNS message that begins at base. False where it is wrong, or not all there: the latter
 * shows as a short read of the view. */
bool wire_name(struct view *view, uint32_t base, struct wire_name *ret_name);

/* Makes the tables that the next three read: once, whoever calls it first. */
void wire_bind(void);

/* The dissector that is bound to a number, or NULL. */
const struct wire_dissector *wire_bound(enum wire_table table, uint32_t num);

/* The same for what the view holds now; where nobody is bound, it is the payload. */
const struct wire_dissector *wire_next(struct wire *w, enum wire_table table, uint32_t num);

/* The one that a TCP payload looks like, or NULL. */
const struct wire_dissector *wire_guess(const uint8_t *data, uint32_t size);

/* The Internet checksum's sum (RFC 1071), to go on with: size may be odd only in the last call. */
uint64_t wire_sum(uint64_t sum, const uint8_t *data, uint32_t size);
uint16_t wire_sum_fold(uint64_t sum);

/* What the checksum is that covers all of a view, without a pseudo-header. */
enum eye_sum wire_plain_sum(const struct wire *w, const struct view *view);

/* What the transport's checksum is, in a view that begins with its header: over a pseudo-header of the
 * IP header around it, for protocol proto. checksum_off is where it stands in the header. */
enum eye_sum wire_transport_sum(const struct wire *w, const struct view *view, uint8_t proto,
                                uint32_t checksum_off);

/* ---- for formatters ---- */

const struct wire_dissector *wire_of(enum eye_proto proto);

/* The number at a fixed place of a header. Longer fields than numbers are read by who shows them. */
static inline uint64_t wire_row_num(const struct wire_row *row, const uint8_t *header) {
    const uint8_t *at = header + row->off;
    uint64_t num = 0;
    if (row->size == 0 || row->size > sizeof(num))
        return 0;
    if (row->size == 1)
        num = *at;
    else if (row->size == 2)
        num = be16(at);
    else if (row->size == 4)
        num = be32(at);
    else
        for (uint8_t i = 0; i < row->size; i++)
            num = num << 8 | at[i];
    uint64_t mask = row->bits ? (UINT64_C(1) << row->bits) - 1 : UINT64_MAX;
    if (row->kind == EYE_KIND_INT)
        return (uint64_t)((int64_t)(num << (64 - 8 * row->size)) >> (64 - 8 * row->size));
    if (row->in_place)
        return num & mask << row->shift;
    return (num >> row->shift & mask) << row->scale;
}

/* The field that a header has at a row's place, if it has it, and an item as a field: what eye_tree_next
 * gives, but for the layer's number. */
bool wire_field_fixed(const struct eye_packet *packet, const struct eye_layer *layer,
                      const struct wire_row *row, struct eye_field *ret_field);
void wire_field_item(const struct wire_row *rows, const struct eye_item *item, struct eye_field *ret_field);

/* The word for a number, or NULL. */
const char *wire_word_of(const struct wire_word *words, uint64_t num);

/* These write text and give the place behind it; nothing is checked, and there is no NUL. The most that each
 * writes stands beside it. */
char *wire_put_digits(char *out, uint32_t num, unsigned digits);   /* digits, with zeros in front */
char *wire_put_uint(char *out, uint64_t num);                      /* 20 */
char *wire_put_int(char *out, int64_t num);                        /* 20 */
char *wire_put_hex(char *out, const uint8_t *data, uint32_t size); /* 2 x size */
char *wire_put_mac(char *out, const uint8_t *data, uint32_t size); /* 3 x size */
char *wire_put_ip4(char *out, const uint8_t data[4]);              /* 15 */
char *wire_put_ip6(char *out, const uint8_t data[16]);             /* 45 */
char *wire_put_tcp_flags(char *out, uint16_t flags);               /* 12 */

/* The text of a field of EYE_KIND_NAME, without the last dot; "." is the root. Gives its length, at most
 * size - 1; 0 where there is none. WIRE_NAME_TEXT_MAX holds any. */
enum { WIRE_NAME_TEXT_MAX = 1024 };
size_t wire_name_text(const struct eye_packet *packet, const struct eye_field *field, char *buf, size_t size);

/* ---- the dissectors ---- */

extern const struct wire_dissector wire_arp, wire_dhcp, wire_dns, wire_dns_tcp, wire_eth, wire_gre, wire_http,
    wire_icmp, wire_icmp6, wire_igmp, wire_ip, wire_ip6, wire_ip6_in_ip, wire_ip_in_ip, wire_loop, wire_ntp,
    wire_null, wire_payload_layer, wire_quic, wire_raw, wire_sctp, wire_sll, wire_sll2, wire_tcp, wire_tls,
    wire_udp, wire_vlan, wire_vxlan;

/* Words that several of them use. */
extern const struct wire_word wire_eth_types[], wire_ip_protos[], wire_group_records[];

#endif
