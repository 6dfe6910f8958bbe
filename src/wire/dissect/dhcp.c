/* dhcp.c: DHCP, RFC 2131, with the options of RFC 2132 that are seen most, and BOOTP, which it grew from. */
#include "wire/wire.h"

enum { DHCP_SIZE = 236, SNAME_OFF = 44, SNAME_SIZE = 64, FILE_OFF = 108, FILE_SIZE = 128, CHADDR_OFF = 28 };
#define COOKIE UINT32_C(0x63825363)

enum {
    DHCP_OP,
    DHCP_HTYPE,
    DHCP_HLEN,
    DHCP_HOPS,
    DHCP_XID,
    DHCP_SECS,
    DHCP_FLAGS,
    DHCP_CIADDR,
    DHCP_YIADDR,
    DHCP_SIADDR,
    DHCP_GIADDR,
    DHCP_CHADDR,
    DHCP_SNAME,
    DHCP_FILE,
    DHCP_OPTIONS,
    DHCP_OPTION,
    DHCP_OPTION_CODE,
    DHCP_OPTION_MESSAGE,
    DHCP_OPTION_VALUE,
    DHCP_OPTION_ADDRESSES,
    DHCP_OPTION_ADDRESS,
    DHCP_OPTION_TEXT,
    DHCP_OPTION_DATA,
};

static const struct wire_word ops[] = {{1, "request"}, {2, "reply"}, {0, NULL}};

static const struct wire_word messages[] = {{1, "discover"}, {2, "offer"},  {3, "request"},
                                            {4, "decline"},  {5, "ack"},    {6, "nak"},
                                            {7, "release"},  {8, "inform"}, {0, NULL}};

enum { PAD = 0, MESSAGE = 53, END = 255 };

static const struct wire_word codes[] = {{1, "subnet-mask"},
                                         {3, "routers"},
                                         {6, "dns-servers"},
                                         {12, "host-name"},
                                         {15, "domain"},
                                         {26, "mtu"},
                                         {28, "broadcast"},
                                         {42, "ntp-servers"},
                                         {43, "vendor"},
                                         {50, "requested-ip"},
                                         {51, "lease-time"},
                                         {52, "overload"},
                                         {53, "message-type"},
                                         {54, "server-id"},
                                         {55, "parameter-list"},
                                         {56, "message"},
                                         {57, "max-size"},
                                         {58, "renewal-time"},
                                         {59, "rebinding-time"},
                                         {60, "vendor-class"},
                                         {61, "client-id"},
                                         {66, "tftp-server"},
                                         {67, "bootfile"},
                                         {81, "fqdn"},
                                         {82, "relay-agent"},
                                         {114, "captive-portal"},
                                         {119, "domain-search"},
                                         {121, "static-routes"},
                                         {0, NULL}};

static const struct wire_row rows[] = {
    [DHCP_OP] = WIRE_FIXED("op", "Operation", UINT, 0, 1, .words = ops),
    [DHCP_HTYPE] = WIRE_FIXED("htype", "Hardware type", UINT, 1, 1),
    [DHCP_HLEN] = WIRE_FIXED("hlen", "Hardware size", UINT, 2, 1),
    [DHCP_HOPS] = WIRE_FIXED("hops", "Hops", UINT, 3, 1),
    [DHCP_XID] = WIRE_FIXED("xid", "Transaction", UINT, 4, 4),
    [DHCP_SECS] = WIRE_FIXED("secs", "Seconds", UINT, 8, 2),
    [DHCP_FLAGS] = WIRE_FIXED("flags", "Flags", UINT, 10, 2),
    [DHCP_CIADDR] = WIRE_FIXED("ciaddr", "Client IP", IP4, 12, 4),
    [DHCP_YIADDR] = WIRE_FIXED("yiaddr", "Your IP", IP4, 16, 4),
    [DHCP_SIADDR] = WIRE_FIXED("siaddr", "Next server IP", IP4, 20, 4),
    [DHCP_GIADDR] = WIRE_FIXED("giaddr", "Relay IP", IP4, 24, 4),
    [DHCP_CHADDR] = WIRE_MOVING("chaddr", "Client MAC", MAC),
    [DHCP_SNAME] = WIRE_MOVING("sname", "Server name", TEXT),
    [DHCP_FILE] = WIRE_MOVING("file", "Boot file", TEXT),
    [DHCP_OPTIONS] = WIRE_MOVING("options", "Options", LIST),
    [DHCP_OPTION] = WIRE_MOVING(NULL, "Option", GROUP),
    [DHCP_OPTION_CODE] = WIRE_MOVING("code", "Code", UINT, .words = codes, .word_too = true),
    [DHCP_OPTION_MESSAGE] = WIRE_MOVING("value", "Message", UINT, .words = messages, .word_too = true),
    [DHCP_OPTION_VALUE] = WIRE_MOVING("value", "Value", UINT),
    [DHCP_OPTION_ADDRESSES] = WIRE_MOVING("addresses", "Addresses", LIST),
    [DHCP_OPTION_ADDRESS] = WIRE_MOVING("address", "Address", IP4),
    [DHCP_OPTION_TEXT] = WIRE_MOVING("text", "Text", TEXT),
    [DHCP_OPTION_DATA] = WIRE_MOVING("data", "Data", BYTES),
};

/* What an option holds; bytes, where it is not here. */
static const struct {
    uint8_t code, row;
} holds[] = {
    {1, DHCP_OPTION_ADDRESSES},  {3, DHCP_OPTION_ADDRESSES},  {6, DHCP_OPTION_ADDRESSES},
    {28, DHCP_OPTION_ADDRESSES}, {42, DHCP_OPTION_ADDRESSES}, {50, DHCP_OPTION_ADDRESSES},
    {54, DHCP_OPTION_ADDRESSES}, {12, DHCP_OPTION_TEXT},      {15, DHCP_OPTION_TEXT},
    {56, DHCP_OPTION_TEXT},      {60, DHCP_OPTION_TEXT},      {66, DHCP_OPTION_TEXT},
    {67, DHCP_OPTION_TEXT},      {114, DHCP_OPTION_TEXT},     {26, DHCP_OPTION_VALUE},
    {51, DHCP_OPTION_VALUE},     {52, DHCP_OPTION_VALUE},     {57, DHCP_OPTION_VALUE},
    {58, DHCP_OPTION_VALUE},     {59, DHCP_OPTION_VALUE},     {MESSAGE, DHCP_OPTION_MESSAGE},
};

static uint8_t row_of(uint8_t code) {
    for (size_t i = 0; i < ARRAY_LEN(holds); i++)
        if (holds[i].code == code)
            return holds[i].row;
    return DHCP_OPTION_DATA;
}

static void option(struct wire *w, uint8_t code, struct view *value) {
    uint32_t size = view_left(value), off = value->pos;
    uint8_t row = row_of(code);
    wire_item(w, DHCP_OPTION, 1, off - 2, size + 2, 0);
    wire_item(w, DHCP_OPTION_CODE, 2, off - 2, 1, code);
    if (row == DHCP_OPTION_ADDRESSES) {
        wire_item(w, row, 2, off, size, 0);
        while (view_left(value) >= 4) {
            view_bytes(value, 4);
            wire_item(w, DHCP_OPTION_ADDRESS, 3, value->pos - 4, 4, 0);
        }
    } else if ((row == DHCP_OPTION_VALUE || row == DHCP_OPTION_MESSAGE) && size <= 4) {
        uint64_t num = 0;
        while (view_left(value) > 0)
            num = num << 8 | view_u8(value);
        wire_item(w, row, 2, off, size, num);
    } else {
        wire_item(w, row == DHCP_OPTION_TEXT ? row : DHCP_OPTION_DATA, 2, off, size, 0);
    }
}

static void options(struct wire *w) {
    wire_item(w, DHCP_OPTIONS, 0, w->view.pos, view_left(&w->view), 0);
    for (int count = 0; view_left_whole(&w->view) > 0;) {
        uint8_t code = view_u8(&w->view);
        if (code == PAD && !w->view.short_)
            continue;
        if (code == END || w->view.short_)
            return;
        struct view value = view_part(&w->view, view_u8(&w->view));
        if (w->view.short_)
            return;
        if (count++ == WIRE_OPTIONS_MAX) {
            wire_malformed(w, "more than 64 options");
            return;
        }
        option(w, code, &value);
    }
}

/* A text of a fixed size ends at its first NUL; an empty one is not there. */
static void text(struct wire *w, unsigned row, const uint8_t *h, uint32_t off, size_t size) {
    size_t len = strnlen((const char *)h + off, size);
    if (len > 0)
        wire_item(w, row, 0, w->layer->off + off, (uint32_t)len, 0);
}

static const struct wire_dissector *dissect(struct wire *w) {
    const uint8_t *h = wire_header(w, &wire_dhcp, DHCP_SIZE);
    if (!h)
        return NULL;
    wire_item(w, DHCP_CHADDR, 0, w->layer->off + CHADDR_OFF, h[2] < 16 ? h[2] : 16, 0);
    text(w, DHCP_SNAME, h, SNAME_OFF, SNAME_SIZE);
    text(w, DHCP_FILE, h, FILE_OFF, FILE_SIZE);
    if (view_left_whole(&w->view) < 4)
        return NULL;
    if (view_be32(&w->view) == COOKIE && !w->view.short_)
        options(w);
    wire_extend(w);
    if (w->view.short_)
        wire_short(w, &w->view);
    return NULL;
}

static const struct wire_bind binds[] = {{WIRE_UDP_PORT, 67}, {WIRE_UDP_PORT, 68}};

const struct wire_dissector wire_dhcp = {
    .name = "dhcp",
    .title = "DHCP",
    .proto = EYE_PROTO_DHCP,
    .dissect = dissect,
    WIRE_ROWS(rows),
    WIRE_BINDS(binds),
};
