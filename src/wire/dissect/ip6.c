/* ip6.c: IPv6, RFC 8200, with its extension headers, RFC 4302 (AH) and RFC 2675 (jumbograms).
 *
 * The extension headers are fields of this one: what follows the last of them is the transport. Behind ESP
 * all is encrypted, so it is payload. A transport's checksum covers the final destination, which a routing
 * header has while there are segments left. */
#include "wire/wire.h"

enum { IP6_SIZE = 40 };

enum {
    IP6_VERSION,
    IP6_TCLASS,
    IP6_FLOW,
    IP6_PLEN,
    IP6_NEXT,
    IP6_HOP_LIMIT,
    IP6_SRC,
    IP6_DST,
    IP6_EXT,
    IP6_EXT_HEADER,
    IP6_EXT_TYPE,
    IP6_EXT_LEN,
    IP6_EXT_NEXT,
    IP6_EXT_OFFSET,
    IP6_EXT_MF,
    IP6_EXT_ID,
    IP6_EXT_ROUTING,
    IP6_EXT_SEGMENTS,
    IP6_EXT_ADDRESSES,
    IP6_EXT_ADDRESS,
    IP6_EXT_SPI,
    IP6_EXT_SEQ,
    IP6_EXT_OPTIONS,
    IP6_OPTION,
    IP6_OPTION_TYPE,
    IP6_OPTION_VALUE,
    IP6_OPTION_DATA,
};

enum {
    HOP_BY_HOP = 0,
    ROUTING = 43,
    FRAGMENT = 44,
    AUTHENTICATION = 51,
    DESTINATION = 60,
    MOBILITY = 135,
    HIP = 139,
    SHIM6 = 140,
};

static const struct wire_word headers[] = {{HOP_BY_HOP, "hop-by-hop"},
                                           {ROUTING, "routing"},
                                           {FRAGMENT, "fragment"},
                                           {AUTHENTICATION, "authentication"},
                                           {DESTINATION, "destination"},
                                           {MOBILITY, "mobility"},
                                           {HIP, "hip"},
                                           {SHIM6, "shim6"},
                                           {0, NULL}};

enum { OPTION_PAD1 = 0, OPTION_PADN = 1, OPTION_ROUTER_ALERT = 5, OPTION_JUMBO = 0xc2 };

static const struct wire_word option_types[] = {
    {OPTION_PADN, "padding"}, {OPTION_ROUTER_ALERT, "router-alert"}, {OPTION_JUMBO, "jumbo"}, {0, NULL}};

static const struct wire_row rows[] = {
    [IP6_VERSION] = WIRE_FIXED("version", "Version", UINT, 0, 1, .shift = 4),
    [IP6_TCLASS] = WIRE_FIXED("tclass", "Traffic class", UINT, 0, 2, .shift = 4, .bits = 8),
    [IP6_FLOW] = WIRE_FIXED("flow", "Flow label", UINT, 0, 4, .bits = 20),
    [IP6_PLEN] = WIRE_FIXED("plen", "Payload length", UINT, 4, 2),
    [IP6_NEXT] = WIRE_FIXED("next", "Next header", UINT, 6, 1, .words = wire_ip_protos),
    [IP6_HOP_LIMIT] = WIRE_FIXED("hop_limit", "Hop limit", UINT, 7, 1),
    [IP6_SRC] = WIRE_FIXED("src", "Source IP", IP6, 8, 16),
    [IP6_DST] = WIRE_FIXED("dst", "Dest IP", IP6, 24, 16),
    [IP6_EXT] = WIRE_MOVING("ext", "Extension headers", LIST),
    [IP6_EXT_HEADER] = WIRE_MOVING(NULL, "Extension header", GROUP),
    [IP6_EXT_TYPE] = WIRE_MOVING("type", "Type", UINT, .words = headers, .word_too = true),
    [IP6_EXT_LEN] = WIRE_MOVING("len", "Length", UINT),
    [IP6_EXT_NEXT] = WIRE_MOVING("next", "Next header", UINT, .words = wire_ip_protos),
    [IP6_EXT_OFFSET] = WIRE_MOVING("frag_offset", "Fragment offset", UINT),
    [IP6_EXT_MF] = WIRE_MOVING("mf", "MF", UINT),
    [IP6_EXT_ID] = WIRE_MOVING("id", "Identification", UINT),
    [IP6_EXT_ROUTING] = WIRE_MOVING("routing_type", "Routing type", UINT),
    [IP6_EXT_SEGMENTS] = WIRE_MOVING("segments_left", "Segments left", UINT),
    [IP6_EXT_ADDRESSES] = WIRE_MOVING("addresses", "Addresses", LIST),
    [IP6_EXT_ADDRESS] = WIRE_MOVING("address", "Address", IP6),
    [IP6_EXT_SPI] = WIRE_MOVING("spi", "Security parameters", UINT),
    [IP6_EXT_SEQ] = WIRE_MOVING("seq", "Sequence Number", UINT),
    [IP6_EXT_OPTIONS] = WIRE_MOVING("options", "Options", LIST),
    [IP6_OPTION] = WIRE_MOVING(NULL, "Option", GROUP),
    [IP6_OPTION_TYPE] = WIRE_MOVING("type", "Type", UINT, .words = option_types, .word_too = true),
    [IP6_OPTION_VALUE] = WIRE_MOVING("value", "Value", UINT),
    [IP6_OPTION_DATA] = WIRE_MOVING("data", "Data", BYTES),
};

/* ---- extension headers: each gets the view of its body, behind the next header and length ---- */

static void option_value(struct wire *w, uint8_t type, struct view *value) {
    uint32_t size = view_left(value);
    if (type == OPTION_ROUTER_ALERT && size == 2)
        wire_read(w, value, IP6_OPTION_VALUE, 5, 2);
    else if (type == OPTION_JUMBO && size == 4)
        wire_read(w, value, IP6_OPTION_VALUE, 5, 4);
    else if (type != OPTION_PADN && size > 0)
        wire_item(w, IP6_OPTION_DATA, 5, value->pos, size, 0);
}

static void options(struct wire *w, struct view *body) {
    wire_item(w, IP6_EXT_OPTIONS, 3, body->pos, view_left(body), 0);
    for (int i = 0; view_left(body) > 0; i++) {
        uint32_t off = body->pos;
        uint8_t type = view_u8(body);
        if (type == OPTION_PAD1)
            continue;
        if (i >= WIRE_OPTIONS_MAX) {
            wire_malformed(w, "more than 64 options");
            return;
        }
        struct view value = view_part(body, view_u8(body));
        if (body->short_) {
            wire_short(w, body);
            return;
        }
        wire_item(w, IP6_OPTION, 4, off, body->pos - off, 0);
        wire_item(w, IP6_OPTION_TYPE, 5, off, 1, type);
        option_value(w, type, &value);
    }
}

static void routing(struct wire *w, struct view *body) {
    uint8_t type = view_u8(body), segments_left = view_u8(body);
    if (body->short_)
        return;
    wire_item(w, IP6_EXT_ROUTING, 3, body->pos - 2, 1, type);
    wire_item(w, IP6_EXT_SEGMENTS, 3, body->pos - 1, 1, segments_left);
    bool is_segments = type == 4; /* RFC 8754: the last segment stands first */
    if ((type != 0 && type != 2 && !is_segments) || !view_bytes(body, 4))
        return;
    if (segments_left > 0 && view_left(body) >= 16)
        w->ip_dst = body->data + body->pos + (is_segments ? 0 : (view_left(body) / 16 - 1) * 16);
    wire_item(w, IP6_EXT_ADDRESSES, 3, body->pos, view_left(body), 0);
    for (; view_left(body) >= 16; view_bytes(body, 16))
        wire_item(w, IP6_EXT_ADDRESS, 4, body->pos, 16, 0);
}

/* Whether the transport's header is not here: a fragment that is not the first. */
static bool fragment(struct wire *w, struct view *body) {
    uint16_t offset = view_be16(body);
    uint32_t id = view_be32(body);
    if (body->short_)
        return false;
    wire_item(w, IP6_EXT_OFFSET, 3, body->pos - 6, 2, offset & 0xfff8);
    wire_item(w, IP6_EXT_MF, 3, body->pos - 6, 2, offset & 1);
    wire_item(w, IP6_EXT_ID, 3, body->pos - 4, 4, id);
    w->partial = w->partial || (offset & 0xfff9);
    return (offset & 0xfff8) != 0;
}

static void authentication(struct wire *w, struct view *body) {
    view_be16(body);
    uint32_t spi = view_be32(body), seq = view_be32(body);
    if (body->short_)
        return;
    wire_item(w, IP6_EXT_SPI, 3, body->pos - 8, 4, spi);
    wire_item(w, IP6_EXT_SEQ, 3, body->pos - 4, 4, seq);
}

static uint32_t size_of(uint8_t header, uint8_t length) {
    if (header == FRAGMENT)
        return 8;
    return header == AUTHENTICATION ? (length + 2U) * 4 : (length + 1U) * 8;
}

/* Reads the header of that type. False where the transport cannot be read. */
static bool extension(struct wire *w, uint8_t type, uint8_t *ret_next) {
    uint32_t off = w->view.pos;
    uint8_t next = view_u8(&w->view), length = view_u8(&w->view);
    uint32_t size = size_of(type, length);
    struct view body = view_part(&w->view, size - 2);
    bool later_fragment = false;

    wire_extend(w);
    if (view_left(&body) + 2 < size) {
        wire_short(w, &w->view);
        return false;
    }
    wire_item(w, IP6_EXT_HEADER, 1, off, size, 0);
    wire_item(w, IP6_EXT_TYPE, 2, off, 0, type);
    wire_item(w, IP6_EXT_LEN, 2, off + 1, 1, size);
    wire_item(w, IP6_EXT_NEXT, 2, off, 1, next);
    if (type == HOP_BY_HOP || type == DESTINATION)
        options(w, &body);
    else if (type == ROUTING)
        routing(w, &body);
    else if (type == FRAGMENT)
        later_fragment = fragment(w, &body);
    else if (type == AUTHENTICATION)
        authentication(w, &body);
    *ret_next = next;
    return !later_fragment;
}

static const struct wire_dissector *dissect(struct wire *w) {
    const uint8_t *h = wire_header(w, &wire_ip6, IP6_SIZE);
    if (!h)
        return NULL;
    uint16_t plen = be16(h + 4);
    uint8_t next = h[6];
    if (h[0] >> 4 != 6) {
        wire_malformed(w, "version is not 6");
        wire_payload(w);
        return NULL;
    }
    if (plen || next != HOP_BY_HOP) /* 0 and a hop-by-hop header: a jumbogram, to the end of the frame */
        wire_limit(w, plen);
    w->ip_version = 6;
    w->ip_src = h + 8;
    w->ip_dst = h + 24;
    for (int i = 0; wire_word_of(headers, next); i++) {
        if (i == 0)
            wire_item(w, IP6_EXT, 0, w->view.pos, 0, 0);
        if (i == WIRE_OPTIONS_MAX) {
            wire_malformed(w, "more than 64 extension headers");
            wire_payload(w);
            return NULL;
        }
        if (!extension(w, next, &next)) {
            if (!w->view.short_)
                wire_payload(w);
            return NULL;
        }
    }
    return wire_next(w, WIRE_IP_PROTO, next);
}

static const struct wire_bind binds[] = {{WIRE_ETH_TYPE, 0x86dd}, {WIRE_LINK, EYE_LINK_IP6}};

const struct wire_dissector wire_ip6 = {
    .name = "ip6",
    .title = "IP6_HEADER",
    .proto = EYE_PROTO_IP6,
    .dissect = dissect,
    WIRE_ROWS(rows),
    WIRE_BINDS(binds),
};
