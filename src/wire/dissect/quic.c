/* quic.c: QUIC's long header, RFC 8999 (what all versions share) and RFC 9000 and 9369 (versions 1 and 2).
 *
 * Of the packets that share a datagram only the first is read, and nothing behind its header: the rest is
 * encrypted. Short headers say nothing to an onlooker. On QUIC's port other things run too, so a datagram of
 * a version that is not known is left alone. */
#include "wire/wire.h"

enum { LONG = 0x80 };

enum {
    QUIC_VERSION,
    QUIC_TYPE,
    QUIC_TYPE_2,
    QUIC_DCID,
    QUIC_SCID,
    QUIC_VERSIONS,
    QUIC_SUPPORTED,
    QUIC_TOKEN,
    QUIC_LENGTH,
};

/* As version 1 numbers them; version 2 turned the numbers by one. */
enum { TYPE_INITIAL, TYPE_0RTT, TYPE_HANDSHAKE, TYPE_RETRY };
static const struct wire_word types[] = {
    {0, "initial"}, {1, "0-RTT"}, {2, "handshake"}, {3, "retry"}, {0, NULL}};
static const struct wire_word types_2[] = {
    {1, "initial"}, {2, "0-RTT"}, {3, "handshake"}, {0, "retry"}, {0, NULL}};

#define VERSION_2 UINT32_C(0x6b3343cf)
static const struct wire_word version_words[] = {{0, "negotiation"}, {VERSION_2, "2"}, {0, NULL}};

static const struct wire_row rows[] = {
    [QUIC_VERSION] = WIRE_FIXED("version", "Version", UINT, 1, 4, .words = version_words),
    [QUIC_TYPE] = WIRE_MOVING("type", "Type", UINT, .words = types, .word_too = true),
    [QUIC_TYPE_2] = WIRE_MOVING("type", "Type", UINT, .words = types_2, .word_too = true),
    [QUIC_DCID] = WIRE_MOVING("dcid", "Dest connection ID", BYTES),
    [QUIC_SCID] = WIRE_MOVING("scid", "Source connection ID", BYTES),
    [QUIC_VERSIONS] = WIRE_MOVING("versions", "Versions", LIST),
    [QUIC_SUPPORTED] = WIRE_MOVING("version", "Version", UINT),
    [QUIC_TOKEN] = WIRE_MOVING("token", "Token", BYTES),
    [QUIC_LENGTH] = WIRE_MOVING("length", "Length", UINT),
};

enum { QUIC_SIZE = 5 };

static bool is_known(uint32_t version) {
    bool is_draft = (version & 0xffffff00) == 0xff000000, is_grease = (version & 0x0f0f0f0f) == 0x0a0a0a0a;
    return version <= 1 || version == VERSION_2 || is_draft || is_grease;
}

static void connection_id(struct wire *w, unsigned row) {
    uint8_t size = view_u8(&w->view);
    if (view_bytes(&w->view, size))
        wire_num(w, row, 0, size, 0);
}

/* The two top bits of a number are the logarithm of its size: RFC 9000 section 16. */
static uint64_t varint(struct view *view) {
    uint8_t first = view_u8(view);
    uint64_t num = first & 0x3f;
    for (int i = (1 << (first >> 6)) - 1; i > 0; i--)
        num = num << 8 | view_u8(view);
    return num;
}

static void versions(struct wire *w) {
    wire_item(w, QUIC_VERSIONS, 0, w->view.pos, view_left(&w->view), 0);
    for (int i = 0; i < WIRE_OPTIONS_MAX && view_left(&w->view) >= 4; i++) {
        uint32_t version = view_be32(&w->view);
        wire_num(w, QUIC_SUPPORTED, 1, 4, version);
    }
}

/* A version negotiation, which version 0 says, has no type: those bits are anything. */
static void body(struct wire *w, uint32_t version, unsigned type) {
    if (version != 0)
        wire_item(w, version == VERSION_2 ? QUIC_TYPE_2 : QUIC_TYPE, 0, w->layer->off, 1, type);
    connection_id(w, QUIC_DCID);
    connection_id(w, QUIC_SCID);
    if (w->view.short_)
        return;
    if (version == 0) {
        versions(w);
        return;
    }
    if (version == VERSION_2)
        type = (type + 3) & 3;
    if (type == TYPE_RETRY)
        return;
    if (type == TYPE_INITIAL) {
        uint64_t size = varint(&w->view);
        if (!view_bytes(&w->view, size < UINT32_MAX ? (uint32_t)size : UINT32_MAX))
            return;
        if (size > 0)
            wire_num(w, QUIC_TOKEN, 0, (uint32_t)size, 0);
    }
    uint32_t off = w->view.pos;
    uint64_t length = varint(&w->view);
    if (!w->view.short_)
        wire_item(w, QUIC_LENGTH, 0, off, w->view.pos - off, length);
}

static const struct wire_dissector *dissect(struct wire *w) {
    const uint8_t *first = w->view.data + w->view.pos;
    if (!(*first & LONG) || (view_left(&w->view) >= QUIC_SIZE && !is_known(be32(first + 1))))
        return NULL;
    const uint8_t *h = wire_header(w, &wire_quic, QUIC_SIZE);
    if (!h)
        return NULL;
    body(w, be32(h + 1), h[0] >> 4 & 3);
    wire_extend(w);
    if (w->view.short_)
        wire_short(w, &w->view);
    return NULL;
}

static const struct wire_bind binds[] = {{WIRE_UDP_PORT, 443}, {WIRE_UDP_PORT, 4433}, {WIRE_UDP_PORT, 8443}};

const struct wire_dissector wire_quic = {
    .name = "quic",
    .title = "QUIC_HEADER",
    .proto = EYE_PROTO_QUIC,
    .dissect = dissect,
    WIRE_ROWS(rows),
    WIRE_BINDS(binds),
};
