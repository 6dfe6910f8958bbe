/* tunnel.c: packets in packets. IP in IP, RFC 2003, 4213 and 2473; GRE, RFC 2784 and 2890; VXLAN, RFC 7348.
 * What is carried lies one level deeper. GRE of version 1 (PPTP, RFC 2637) is left as payload. */
#include "wire/wire.h"

static const struct wire_dissector *ip_dissect(struct wire *w) {
    return wire_nest(w, EYE_NEST_INNER) ? &wire_ip : NULL;
}

static const struct wire_dissector *ip6_dissect(struct wire *w) {
    return wire_nest(w, EYE_NEST_INNER) ? &wire_ip6 : NULL;
}

static const struct wire_bind ip_in_ip_binds[] = {{WIRE_IP_PROTO, 4}};
static const struct wire_bind ip6_in_ip_binds[] = {{WIRE_IP_PROTO, 41}};

const struct wire_dissector wire_ip_in_ip = {
    .name = "ip",
    .proto = EYE_PROTO_MAX,
    .dissect = ip_dissect,
    WIRE_BINDS(ip_in_ip_binds),
};

const struct wire_dissector wire_ip6_in_ip = {
    .name = "ip6",
    .proto = EYE_PROTO_MAX,
    .dissect = ip6_dissect,
    WIRE_BINDS(ip6_in_ip_binds),
};

/* ---- GRE ---- */

enum {
    GRE_SIZE = 4,
    GRE_HAS_CHECKSUM = 0x8000,
    GRE_HAS_KEY = 0x2000,
    GRE_HAS_SEQ = 0x1000,
    TYPE_ETH = 0x6558
};

enum { GRE_FLAGS, GRE_VERSION, GRE_PROTO, GRE_CHECKSUM_OK, GRE_CHECKSUM, GRE_OFFSET, GRE_KEY, GRE_SEQ };

static const struct wire_row gre_rows[] = {
    [GRE_FLAGS] = WIRE_FIXED("flags", "Flags", UINT, 0, 2, .shift = 3),
    [GRE_VERSION] = WIRE_FIXED("version", "Version", UINT, 0, 2, .bits = 3),
    [GRE_PROTO] = WIRE_FIXED("proto", "Protocol", UINT, 2, 2, .words = wire_eth_types),
    [GRE_CHECKSUM_OK] = WIRE_MOVING("checksum_ok", "Checksum is", SUM),
    [GRE_CHECKSUM] = WIRE_MOVING("checksum", "Checksum", UINT),
    [GRE_OFFSET] = WIRE_MOVING("offset", "Offset", UINT),
    [GRE_KEY] = WIRE_MOVING("key", "Key", UINT),
    [GRE_SEQ] = WIRE_MOVING("seq", "Sequence Number", UINT),
};

/* The optional fields, in their order. */
static void gre_options(struct wire *w, uint16_t flags, const struct view *packet) {
    if (flags & GRE_HAS_CHECKSUM) {
        uint16_t checksum = view_be16(&w->view), offset = view_be16(&w->view);
        if (w->view.short_)
            return;
        wire_item(w, GRE_CHECKSUM, 0, w->view.pos - 4, 2, checksum);
        wire_item(w, GRE_OFFSET, 0, w->view.pos - 2, 2, offset);
        if (w->flags & EYE_DISSECT_VERIFY)
            w->layer->sum = (uint8_t)wire_plain_sum(w, packet);
    }
    for (unsigned row = GRE_KEY; row <= GRE_SEQ; row++) {
        if (!(flags & (row == GRE_KEY ? GRE_HAS_KEY : GRE_HAS_SEQ)))
            continue;
        uint32_t num = view_be32(&w->view);
        if (w->view.short_)
            return;
        wire_num(w, row, 0, 4, num);
    }
}

static const struct wire_dissector *gre_dissect(struct wire *w) {
    struct view packet = w->view;
    const uint8_t *h = wire_header(w, &wire_gre, GRE_SIZE);
    if (!h)
        return NULL;
    uint16_t flags = be16(h), type = be16(h + 2);
    bool has_version_0 = (flags & 7) == 0;
    if (has_version_0) {
        gre_options(w, flags, &packet);
        wire_extend(w);
        if (w->view.short_) {
            wire_short(w, &w->view);
            return NULL;
        }
    }
    const struct wire_dissector *next = type == TYPE_ETH ? &wire_eth : wire_bound(WIRE_ETH_TYPE, type);
    if (next && has_version_0)
        return wire_nest(w, EYE_NEST_INNER) ? next : NULL;
    wire_payload(w);
    return NULL;
}

static const struct wire_bind gre_binds[] = {{WIRE_IP_PROTO, 47}};

const struct wire_dissector wire_gre = {
    .name = "gre",
    .title = "GRE_HEADER",
    .proto = EYE_PROTO_GRE,
    .dissect = gre_dissect,
    WIRE_ROWS(gre_rows),
    WIRE_BINDS(gre_binds),
};

/* ---- VXLAN ---- */

enum { VXLAN_SIZE = 8 };

static const struct wire_row vxlan_rows[] = {
    WIRE_FIXED("flags", "Flags", UINT, 0, 1),
    WIRE_FIXED("vni", "Network identifier", UINT, 4, 3),
};

static const struct wire_dissector *vxlan_dissect(struct wire *w) {
    if (!wire_header(w, &wire_vxlan, VXLAN_SIZE))
        return NULL;
    return wire_nest(w, EYE_NEST_INNER) ? &wire_eth : NULL;
}

/* 8472 is what Linux took before the number was assigned, and still takes unless told otherwise. */
static const struct wire_bind vxlan_binds[] = {{WIRE_UDP_PORT, 4789}, {WIRE_UDP_PORT, 8472}};

const struct wire_dissector wire_vxlan = {
    .name = "vxlan",
    .title = "VXLAN_HEADER",
    .proto = EYE_PROTO_VXLAN,
    .dissect = vxlan_dissect,
    WIRE_ROWS(vxlan_rows),
    WIRE_BINDS(vxlan_binds),
};
