/* ip.c: IPv4, RFC 791.
 *
 * The total length ends the packet: what an Ethernet frame pads it with is not its payload. A total length
 * of 0 is what a host sees of a packet that its card will cut into segments (TSO): then all of the frame
 * belongs to it. Only the first fragment has the transport's header; the others are payload. */
#include "wire/wire.h"

enum { IP_SIZE = 20 };

enum {
    IP_VERSION,
    IP_HDR_LEN,
    IP_TOS,
    IP_LEN,
    IP_ID,
    IP_RESERVED,
    IP_DF,
    IP_MF,
    IP_FRAG_OFFSET,
    IP_TTL,
    IP_PROTO,
    IP_CHECKSUM,
    IP_CHECKSUM_OK,
    IP_SRC,
    IP_DST,
    IP_OPTIONS,
    IP_OPTION,
    IP_OPTION_TYPE,
    IP_OPTION_POINTER,
    IP_OPTION_ROUTE,
    IP_OPTION_ADDRESS,
    IP_OPTION_OVERFLOW,
    IP_OPTION_FLAG,
    IP_OPTION_STAMPS,
    IP_OPTION_STAMP,
    IP_OPTION_STAMP_ADDRESS,
    IP_OPTION_STAMP_TIME,
    IP_OPTION_VALUE,
    IP_OPTION_DATA,
};

const struct wire_word wire_ip_protos[] = {
    {1, "ICMP"}, {2, "IGMP"}, {4, "IPIP"},    {6, "TCP"},   {17, "UDP"},   {41, "IPv6"},  {47, "GRE"},
    {50, "ESP"}, {51, "AH"},  {58, "ICMPv6"}, {89, "OSPF"}, {112, "VRRP"}, {132, "SCTP"}, {0, NULL},
};

/* https://www.iana.org/assignments/ip-parameters */
enum { OPTION_RR = 7, OPTION_TS = 68, OPTION_LSRR = 131, OPTION_SSRR = 137, OPTION_RA = 148 };

static const struct wire_word option_types[] = {
    {1, "nop"},           {7, "record-route"},   {68, "timestamp"},     {130, "security"},
    {131, "loose-route"}, {137, "strict-route"}, {148, "router-alert"}, {0, NULL},
};

static const struct wire_row rows[] = {
    [IP_VERSION] = WIRE_FIXED("version", "Version", UINT, 0, 1, .shift = 4),
    [IP_HDR_LEN] = WIRE_FIXED("hdr_len", "Header length", UINT, 0, 1, .bits = 4, .scale = 2),
    [IP_TOS] = WIRE_FIXED("tos", "Type of service", UINT, 1, 1),
    [IP_LEN] = WIRE_FIXED("len", "Total length", UINT, 2, 2),
    [IP_ID] = WIRE_FIXED("id", "Identification", UINT, 4, 2),
    [IP_RESERVED] = WIRE_FIXED(NULL, "Reserved", UINT, 6, 1, .shift = 7),
    [IP_DF] = WIRE_FIXED("df", "DF", UINT, 6, 1, .shift = 6, .bits = 1),
    [IP_MF] = WIRE_FIXED("mf", "MF", UINT, 6, 1, .shift = 5, .bits = 1),
    [IP_FRAG_OFFSET] = WIRE_FIXED("frag_offset", "Fragment offset", UINT, 6, 2, .bits = 13, .scale = 3),
    [IP_TTL] = WIRE_FIXED("ttl", "Time to live", UINT, 8, 1),
    [IP_PROTO] = WIRE_FIXED("proto", "Protocol", UINT, 9, 1, .words = wire_ip_protos),
    [IP_CHECKSUM] = WIRE_FIXED("checksum", "Checksum", UINT, 10, 2),
    [IP_CHECKSUM_OK] = WIRE_MOVING("checksum_ok", "Checksum is", SUM),
    [IP_SRC] = WIRE_FIXED("src", "Source IP", IP4, 12, 4),
    [IP_DST] = WIRE_FIXED("dst", "Dest IP", IP4, 16, 4),
    [IP_OPTIONS] = WIRE_MOVING("options", "Options", LIST),
    [IP_OPTION] = WIRE_MOVING(NULL, "Option", GROUP),
    [IP_OPTION_TYPE] = WIRE_MOVING("type", "Type", UINT, .words = option_types, .word_too = true),
    [IP_OPTION_POINTER] = WIRE_MOVING("pointer", "Pointer", UINT),
    [IP_OPTION_ROUTE] = WIRE_MOVING("route", "Route", LIST),
    [IP_OPTION_ADDRESS] = WIRE_MOVING("address", "Address", IP4),
    [IP_OPTION_OVERFLOW] = WIRE_MOVING("overflow", "Overflow", UINT),
    [IP_OPTION_FLAG] = WIRE_MOVING("flag", "Flag", UINT),
    [IP_OPTION_STAMPS] = WIRE_MOVING("stamps", "Time stamps", LIST),
    [IP_OPTION_STAMP] = WIRE_MOVING(NULL, "Time stamp", GROUP),
    [IP_OPTION_STAMP_ADDRESS] = WIRE_MOVING("address", "Address", IP4),
    [IP_OPTION_STAMP_TIME] = WIRE_MOVING("time", "Time", UINT),
    [IP_OPTION_VALUE] = WIRE_MOVING("value", "Value", UINT),
    [IP_OPTION_DATA] = WIRE_MOVING("data", "Data", BYTES),
};

static void option_route(struct wire *w, struct view *option) {
    wire_read(w, option, IP_OPTION_POINTER, 2, 1);
    wire_item(w, IP_OPTION_ROUTE, 2, option->pos, view_left(option), 0);
    for (; view_left(option) >= 4; view_bytes(option, 4))
        wire_item(w, IP_OPTION_ADDRESS, 3, option->pos, 4, 0);
}

/* Times in milliseconds of the day, with the addresses of who wrote them unless the flag is 0. */
static void option_stamps(struct wire *w, struct view *option) {
    wire_read(w, option, IP_OPTION_POINTER, 2, 1);
    const uint32_t off = option->pos;
    const uint8_t both = view_u8(option);
    const uint32_t size = both & 0xf ? 8 : 4;
    wire_item(w, IP_OPTION_OVERFLOW, 2, off, 1, both >> 4);
    wire_item(w, IP_OPTION_FLAG, 2, off, 1, both & 0xf);
    wire_item(w, IP_OPTION_STAMPS, 2, option->pos, view_left(option), 0);
    while (view_left(option) >= size) {
        wire_item(w, IP_OPTION_STAMP, 3, option->pos, size, 0);
        if (size == 8) {
            wire_item(w, IP_OPTION_STAMP_ADDRESS, 4, option->pos, 4, 0);
            view_bytes(option, 4);
        }
        wire_read(w, option, IP_OPTION_STAMP_TIME, 4, 4);
    }
}

/* What stands behind an option's type and length. */
static void option_body(struct wire *w, uint8_t type, struct view *option) {
    bool is_route = type == OPTION_RR || type == OPTION_LSRR || type == OPTION_SSRR;
    if (is_route && view_left(option) >= 1)
        option_route(w, option);
    else if (type == OPTION_TS && view_left(option) >= 2)
        option_stamps(w, option);
    else if (type == OPTION_RA && view_left(option) == 2)
        wire_read(w, option, IP_OPTION_VALUE, 2, 2);
    else if (view_left(option) > 0)
        wire_item(w, IP_OPTION_DATA, 2, option->pos, view_left(option), 0);
}

/* The header's length field has 4 bits: there are at most 40 options. */
static void options(struct wire *w, struct view *view) {
    struct view body;
    uint8_t type;
    wire_item(w, IP_OPTIONS, 0, view->pos, view_left(view), 0);
    while (wire_option(w, view, IP_OPTION, &type, &body))
        option_body(w, type, &body);
}

static const struct wire_dissector *dissect(struct wire *w) {
    const uint8_t *h = wire_header(w, &wire_ip, IP_SIZE);
    if (!h)
        return NULL;
    uint32_t hdr_len = (h[0] & 0xf) * 4U, len = be16(h + 2), frag = be16(h + 6);
    if (h[0] >> 4 != 4) {
        wire_malformed(w, "version is not 4");
        wire_payload(w);
        return NULL;
    }
    if (hdr_len < IP_SIZE || (len && len < hdr_len)) {
        wire_malformed(w, hdr_len < IP_SIZE ? "header length below 20" : "length below the header's");
        wire_payload(w);
        return NULL;
    }
    if (len)
        wire_limit(w, len - IP_SIZE);
    if (hdr_len > IP_SIZE) {
        struct view option_view = view_part(&w->view, hdr_len - IP_SIZE);
        wire_extend(w);
        options(w, &option_view);
    }
    if (w->view.short_)
        wire_short(w, &w->view);
    else
        w->layer->sum = wire_sum_fold(wire_sum(0, h, hdr_len)) == 0xffff ? EYE_SUM_OK : EYE_SUM_BAD;

    w->ip_version = 4;
    w->ip_src = h + 12;
    w->ip_dst = h + 16;
    w->partial = w->partial || (frag & 0x3fff);
    if ((frag & 0x1fff) || w->view.short_) {
        wire_payload(w);
        return NULL;
    }
    return wire_next(w, WIRE_IP_PROTO, h[9]);
}

static const struct wire_bind binds[] = {{WIRE_ETH_TYPE, 0x0800}, {WIRE_LINK, EYE_LINK_IP4}};

const struct wire_dissector wire_ip = {
    .name = "ip",
    .title = "IP_HEADER",
    .proto = EYE_PROTO_IP,
    .dissect = dissect,
    WIRE_ROWS(rows),
    WIRE_BINDS(binds),
};
