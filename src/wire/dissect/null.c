/* null.c: BSD's loopback, whose header is the number of the address family, and packets without any link
 * header. https://www.tcpdump.org/linktypes.html: LINKTYPE_NULL, LINKTYPE_LOOP, LINKTYPE_RAW
 *
 * NULL has the family in the order of bytes of the host that captured, LOOP in the network's. Families are
 * small numbers, so the order shows. IPv6 has a number of its own on each BSD, and on Linux. */
#include "wire/wire.h"

enum { NULL_SIZE = 4 };

enum { NULL_FAMILY };

static const struct wire_row rows[] = {
    [NULL_FAMILY] = WIRE_MOVING("family", "Address family", UINT),
};

static const struct wire_dissector *family_dissect(struct wire *w, const struct wire_dissector *self) {
    const uint8_t *h = wire_header(w, self, NULL_SIZE);
    if (!h)
        return NULL;
    uint32_t family = be32(h);
    if (self == &wire_null && family > 0xffff)
        family = __builtin_bswap32(family);
    wire_num(w, NULL_FAMILY, 0, NULL_SIZE, family);
    if (family == 2)
        return &wire_ip;
    if (family == 10 || family == 24 || family == 28 || family == 30)
        return &wire_ip6;
    wire_payload(w);
    return NULL;
}

static const struct wire_dissector *null_dissect(struct wire *w) {
    return family_dissect(w, &wire_null);
}

static const struct wire_dissector *loop_dissect(struct wire *w) {
    return family_dissect(w, &wire_loop);
}

static const struct wire_bind null_binds[] = {{WIRE_LINK, EYE_LINK_NULL}};
static const struct wire_bind loop_binds[] = {{WIRE_LINK, EYE_LINK_LOOP}};

const struct wire_dissector wire_null = {
    .name = "null",
    .title = "LOOPBACK_HEADER",
    .proto = EYE_PROTO_NULL,
    .dissect = null_dissect,
    WIRE_ROWS(rows),
    WIRE_BINDS(null_binds),
};

const struct wire_dissector wire_loop = {
    .name = "null",
    .title = "LOOPBACK_HEADER",
    .proto = EYE_PROTO_NULL,
    .dissect = loop_dissect,
    WIRE_ROWS(rows),
    WIRE_BINDS(loop_binds),
};

/* No header: the version that IPv4 and IPv6 begin with tells them apart. */
static const struct wire_dissector *raw_dissect(struct wire *w) {
    uint8_t version = view_left(&w->view) ? w->view.data[w->view.pos] >> 4 : 4;
    if (version == 4)
        return &wire_ip;
    if (version == 6)
        return &wire_ip6;
    wire_malformed(w, "neither IPv4 nor IPv6");
    wire_payload(w);
    return NULL;
}

/* Files of some systems have their own numbers for it. */
static const struct wire_bind raw_binds[] = {{WIRE_LINK, EYE_LINK_RAW}, {WIRE_LINK, 12}, {WIRE_LINK, 14}};

const struct wire_dissector wire_raw = {
    .name = "raw",
    .proto = EYE_PROTO_MAX,
    .dissect = raw_dissect,
    WIRE_BINDS(raw_binds),
};
