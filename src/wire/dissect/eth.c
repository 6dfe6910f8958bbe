/* eth.c: Ethernet II and 802.3 (IEEE 802.3), and 802.1Q and 802.1ad tags (IEEE 802.1Q).
 *
 * Two bytes behind the addresses are the type of what follows from 0x600 on, and below it the frame's length:
 * then an LLC header follows, which is left as payload. The type of a tagged frame is the one behind its
 * tags. A tag that the kernel took out stands before those in the frame. */
#include "wire/wire.h"

enum { ETH_SIZE = 14, TAG_SIZE = 4, TYPE_MIN = 0x600 };

enum { ETH_DST, ETH_SRC, ETH_TYPE, ETH_LENGTH };

const struct wire_word wire_eth_types[] = {
    {0x0800, "IPv4"},    {0x0806, "ARP"},      {0x86dd, "IPv6"}, {0x8100, "802.1Q"},
    {0x88a8, "802.1ad"}, {0x6558, "Ethernet"}, {0x88cc, "LLDP"}, {0, NULL},
};

static const struct wire_row eth_rows[] = {
    [ETH_DST] = WIRE_FIXED("dst", "Dest MAC", MAC, 0, 6),
    [ETH_SRC] = WIRE_FIXED("src", "Source MAC", MAC, 6, 6),
    [ETH_TYPE] = WIRE_MOVING("type", "Type", UINT, .words = wire_eth_types),
    [ETH_LENGTH] = WIRE_MOVING("length", "Length", UINT),
};

static const struct wire_dissector *vlan_beside(struct wire *w);

static bool is_tag(uint16_t type) {
    return type == 0x8100 || type == 0x88a8 || type == 0x9100;
}

static const struct wire_dissector *eth_dissect(struct wire *w) {
    const uint8_t *h = wire_header(w, &wire_eth, ETH_SIZE);
    if (!h)
        return NULL;
    uint16_t first = be16(h + 12), type = first;
    struct view ahead = w->view;
    while (is_tag(type)) {
        view_be16(&ahead);
        type = view_be16(&ahead);
    }
    if (!ahead.short_ && type >= TYPE_MIN)
        wire_item(w, ETH_TYPE, 0, ahead.pos - 2, 2, type);
    if (w->packet->vlan && !w->level)
        vlan_beside(w);
    if (first >= TYPE_MIN)
        return wire_next(w, WIRE_ETH_TYPE, first);
    wire_item(w, ETH_LENGTH, 0, w->view.pos - 2, 2, first);
    wire_limit(w, first);
    wire_payload(w);
    return NULL;
}

static const struct wire_bind eth_binds[] = {{WIRE_LINK, EYE_LINK_ETHERNET}};

const struct wire_dissector wire_eth = {
    .name = "eth",
    .title = "ETHERNET_FRAME",
    .proto = EYE_PROTO_ETH,
    .dissect = eth_dissect,
    WIRE_ROWS(eth_rows),
    WIRE_BINDS(eth_binds),
};

enum { VLAN_PRIORITY, VLAN_DEI, VLAN_ID, VLAN_TYPE };

static const struct wire_row vlan_rows[] = {
    [VLAN_PRIORITY] = WIRE_FIXED("priority", "Priority", UINT, 0, 2, .shift = 13, .bits = 3),
    [VLAN_DEI] = WIRE_FIXED("dei", "Drop eligible", UINT, 0, 2, .shift = 12, .bits = 1),
    [VLAN_ID] = WIRE_FIXED("id", "VLAN", UINT, 0, 2, .bits = 12),
    [VLAN_TYPE] = WIRE_FIXED("type", "Type", UINT, 2, 2, .words = wire_eth_types),
};

/* The tag that is not in the frame: a layer without bytes of its own, whose fields are all items. */
static const struct wire_dissector *vlan_beside(struct wire *w) {
    uint32_t tag = w->packet->vlan & 0xffff;
    if (!wire_header(w, &wire_vlan, 0))
        return NULL;
    wire_item(w, VLAN_PRIORITY, 0, w->view.pos, 0, tag >> 13);
    wire_item(w, VLAN_DEI, 0, w->view.pos, 0, tag >> 12 & 1);
    wire_item(w, VLAN_ID, 0, w->view.pos, 0, tag & 0xfff);
    return NULL;
}

static const struct wire_dissector *vlan_dissect(struct wire *w) {
    const uint8_t *h = wire_header(w, &wire_vlan, TAG_SIZE);
    if (!h)
        return NULL;
    uint16_t type = be16(h + 2);
    if (type >= TYPE_MIN)
        return wire_next(w, WIRE_ETH_TYPE, type);
    wire_payload(w);
    return NULL;
}

static const struct wire_bind vlan_binds[] = {
    {WIRE_ETH_TYPE, 0x8100}, {WIRE_ETH_TYPE, 0x88a8}, {WIRE_ETH_TYPE, 0x9100}};

const struct wire_dissector wire_vlan = {
    .name = "vlan",
    .title = "VLAN_TAG",
    .proto = EYE_PROTO_VLAN,
    .dissect = vlan_dissect,
    WIRE_ROWS(vlan_rows),
    WIRE_BINDS(vlan_binds),
};
