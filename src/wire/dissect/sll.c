/* sll.c: Linux cooked capture, versions 1 and 2: what the interface "any" gives instead of a link header.
 * https://www.tcpdump.org/linktypes/LINKTYPE_LINUX_SLL.html, .../LINKTYPE_LINUX_SLL2.html
 *
 * The protocol is an EtherType from 0x600 on. Below it, and on netlink's and similar interfaces, it is
 * something else, and what follows is payload. */
#include "wire/wire.h"

enum { SLL_SIZE = 16, SLL2_SIZE = 20, ADDRESS_MAX = 8, HW_NETLINK = 824, TYPE_MIN = 0x600 };

enum { SLL_TYPE, SLL_HW_TYPE, SLL_PROTO, SLL_SRC, SLL_IFINDEX };

static const struct wire_word types[] = {{0, "to us"},      {1, "broadcast"}, {2, "multicast"},
                                         {3, "to another"}, {4, "from us"},   {0, NULL}};

static const struct wire_row sll_rows[] = {
    [SLL_TYPE] = WIRE_FIXED("type", "Packet type", UINT, 0, 2, .words = types),
    [SLL_HW_TYPE] = WIRE_FIXED("hw_type", "Hardware type", UINT, 2, 2),
    [SLL_PROTO] = WIRE_FIXED("proto", "Protocol", UINT, 14, 2, .words = wire_eth_types),
    [SLL_SRC] = WIRE_MOVING("src", "Source MAC", MAC),
};

static const struct wire_row sll2_rows[] = {
    [SLL_TYPE] = WIRE_FIXED("type", "Packet type", UINT, 10, 1, .words = types),
    [SLL_HW_TYPE] = WIRE_FIXED("hw_type", "Hardware type", UINT, 8, 2),
    [SLL_PROTO] = WIRE_FIXED("proto", "Protocol", UINT, 0, 2, .words = wire_eth_types),
    [SLL_SRC] = WIRE_MOVING("src", "Source MAC", MAC),
    [SLL_IFINDEX] = WIRE_FIXED("ifindex", "Interface", UINT, 4, 4),
};

static const struct wire_dissector *what_follows(struct wire *w, uint32_t address_off, uint32_t address_len,
                                                 uint16_t hw_type, uint16_t proto) {
    if (address_len > 0)
        wire_item(w, SLL_SRC, 0, address_off, address_len < ADDRESS_MAX ? address_len : ADDRESS_MAX, 0);
    if (hw_type != HW_NETLINK && proto >= TYPE_MIN)
        return wire_next(w, WIRE_ETH_TYPE, proto);
    wire_payload(w);
    return NULL;
}

static const struct wire_dissector *sll_dissect(struct wire *w) {
    const uint8_t *h = wire_header(w, &wire_sll, SLL_SIZE);
    if (!h)
        return NULL;
    return what_follows(w, w->layer->off + 6, be16(h + 4), be16(h + 2), be16(h + 14));
}

static const struct wire_dissector *sll2_dissect(struct wire *w) {
    const uint8_t *h = wire_header(w, &wire_sll2, SLL2_SIZE);
    if (!h)
        return NULL;
    return what_follows(w, w->layer->off + 12, h[11], be16(h + 8), be16(h));
}

static const struct wire_bind sll_binds[] = {{WIRE_LINK, EYE_LINK_SLL}};
static const struct wire_bind sll2_binds[] = {{WIRE_LINK, EYE_LINK_SLL2}};

const struct wire_dissector wire_sll = {
    .name = "sll",
    .title = "COOKED_HEADER",
    .proto = EYE_PROTO_SLL,
    .dissect = sll_dissect,
    WIRE_ROWS(sll_rows),
    WIRE_BINDS(sll_binds),
};

const struct wire_dissector wire_sll2 = {
    .name = "sll",
    .title = "COOKED_HEADER",
    .proto = EYE_PROTO_SLL2,
    .dissect = sll2_dissect,
    WIRE_ROWS(sll2_rows),
    WIRE_BINDS(sll2_binds),
};
