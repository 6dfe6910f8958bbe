/* arp.c: ARP, RFC 826. Addresses have the lengths that the header says; those that are not IPv4's are shown
 * as bytes. What follows pads the frame. */
#include "wire/wire.h"

enum { ARP_SIZE = 8, TYPE_IP = 0x0800 };

enum {
    ARP_HW_TYPE,
    ARP_PROTO_TYPE,
    ARP_HW_LEN,
    ARP_PROTO_LEN,
    ARP_OP,
    ARP_SHA,
    ARP_SPA,
    ARP_SPA_BYTES,
    ARP_THA,
    ARP_TPA,
    ARP_TPA_BYTES,
};

static const struct wire_word hw_types[] = {{1, "Ethernet"}, {32, "InfiniBand"}, {0, NULL}};

static const struct wire_word ops[] = {{1, "request"},    {2, "reply"},         {3, "RARP request"},
                                       {4, "RARP reply"}, {8, "InARP request"}, {9, "InARP reply"},
                                       {0, NULL}};

static const struct wire_row rows[] = {
    [ARP_HW_TYPE] = WIRE_FIXED("hw_type", "Hardware type", UINT, 0, 2, .words = hw_types),
    [ARP_PROTO_TYPE] = WIRE_FIXED("proto_type", "Protocol type", UINT, 2, 2, .words = wire_eth_types),
    [ARP_HW_LEN] = WIRE_FIXED("hw_len", "Hardware size", UINT, 4, 1),
    [ARP_PROTO_LEN] = WIRE_FIXED("proto_len", "Protocol size", UINT, 5, 1),
    [ARP_OP] = WIRE_FIXED("op", "Opcode", UINT, 6, 2, .words = ops),
    [ARP_SHA] = WIRE_MOVING("sha", "Source MAC", MAC),
    [ARP_SPA] = WIRE_MOVING("spa", "Source IP", IP4),
    [ARP_SPA_BYTES] = WIRE_MOVING("spa", "Source address", BYTES),
    [ARP_THA] = WIRE_MOVING("tha", "Dest MAC", MAC),
    [ARP_TPA] = WIRE_MOVING("tpa", "Dest IP", IP4),
    [ARP_TPA_BYTES] = WIRE_MOVING("tpa", "Dest address", BYTES),
};

static const struct wire_dissector *dissect(struct wire *w) {
    const uint8_t *h = wire_header(w, &wire_arp, ARP_SIZE);
    if (!h)
        return NULL;
    bool is_ip = be16(h + 2) == TYPE_IP && h[5] == 4;
    const struct {
        uint8_t row, len;
    } addresses[] = {
        {ARP_SHA, h[4]},
        {is_ip ? ARP_SPA : ARP_SPA_BYTES, h[5]},
        {ARP_THA, h[4]},
        {is_ip ? ARP_TPA : ARP_TPA_BYTES, h[5]},
    };
    for (size_t i = 0; i < ARRAY_LEN(addresses); i++) {
        if (!view_bytes(&w->view, addresses[i].len)) {
            wire_short(w, &w->view);
            break;
        }
        wire_num(w, addresses[i].row, 0, addresses[i].len, 0);
    }
    wire_extend(w);
    return NULL;
}

static const struct wire_bind binds[] = {{WIRE_ETH_TYPE, 0x0806}, {WIRE_ETH_TYPE, 0x8035}};

const struct wire_dissector wire_arp = {
    .name = "arp",
    .title = "ARP_HEADER",
    .proto = EYE_PROTO_ARP,
    .dissect = dissect,
    WIRE_ROWS(rows),
    WIRE_BINDS(binds),
};
