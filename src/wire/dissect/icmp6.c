/* icmp6.c: ICMPv6, RFC 4443, with neighbour discovery, RFC 4861, its options of RFC 4191 and 8106, and
 * multicast listener discovery, RFC 2710 and 3810.
 *
 * A table says for each type which fields follow the first four bytes; what is not in it is payload. */
#include "wire/wire.h"

enum { ICMP6_SIZE = 4 };

enum {
    ICMP6_TYPE,
    ICMP6_CODE,
    ICMP6_CHECKSUM,
    ICMP6_CHECKSUM_OK,
    ICMP6_ID,
    ICMP6_SEQ,
    ICMP6_MTU,
    ICMP6_POINTER,
    ICMP6_UNUSED, /* in the table below: no field */
    ICMP6_HOP_LIMIT,
    ICMP6_FLAGS_RA, /* the first of a byte's flags, in the table below */
    ICMP6_MANAGED,
    ICMP6_OTHER,
    ICMP6_LIFETIME,
    ICMP6_REACHABLE,
    ICMP6_RETRANS,
    ICMP6_FLAGS_NA,
    ICMP6_ROUTER,
    ICMP6_SOLICITED,
    ICMP6_OVERRIDE,
    ICMP6_TARGET,
    ICMP6_DESTINATION,
    ICMP6_MAX_DELAY,
    ICMP6_GROUP,
    ICMP6_FLAGS_MLD,
    ICMP6_SUPPRESS,
    ICMP6_QRV,
    ICMP6_QQIC,
    ICMP6_SOURCES,
    ICMP6_SOURCE,
    ICMP6_RECORDS,
    ICMP6_RECORD,
    ICMP6_RECORD_TYPE,
    ICMP6_RECORD_GROUP,
    ICMP6_OPTIONS,
    ICMP6_OPTION,
    ICMP6_OPTION_TYPE,
    ICMP6_OPTION_MAC,
    ICMP6_OPTION_PREFIX_LEN,
    ICMP6_OPTION_ONLINK,
    ICMP6_OPTION_AUTO,
    ICMP6_OPTION_VALID,
    ICMP6_OPTION_PREFERRED,
    ICMP6_OPTION_PREFIX,
    ICMP6_OPTION_MTU,
    ICMP6_OPTION_LIFETIME,
    ICMP6_OPTION_SERVERS,
    ICMP6_OPTION_SERVER,
    ICMP6_OPTION_DATA,
};

enum { QUERY = 130, REPORT_2 = 143 };

static const struct wire_word types[] = {
    {1, "unreachable"},
    {2, "packet too big"},
    {3, "time exceeded"},
    {4, "parameter problem"},
    {128, "echo request"},
    {129, "echo reply"},
    {QUERY, "listener query"},
    {131, "listener report"},
    {132, "listener done"},
    {133, "router solicitation"},
    {134, "router advertisement"},
    {135, "neighbour solicitation"},
    {136, "neighbour advertisement"},
    {137, "redirect"},
    {REPORT_2, "listener report v2"},
    {0, NULL},
};

enum { OPTION_SOURCE = 1, OPTION_TARGET = 2, OPTION_PREFIX = 3, OPTION_MTU = 5, OPTION_RDNSS = 25 };

static const struct wire_word option_types[] = {
    {OPTION_SOURCE, "source-link-layer"},
    {OPTION_TARGET, "target-link-layer"},
    {OPTION_PREFIX, "prefix"},
    {4, "redirected"},
    {OPTION_MTU, "mtu"},
    {14, "nonce"},
    {24, "route"},
    {OPTION_RDNSS, "rdnss"},
    {31, "dnssl"},
    {0, NULL},
};

static const struct wire_row rows[] = {
    [ICMP6_TYPE] = WIRE_FIXED("type", "Type", UINT, 0, 1, .words = types),
    [ICMP6_CODE] = WIRE_FIXED("code", "Code", UINT, 1, 1),
    [ICMP6_CHECKSUM] = WIRE_FIXED("checksum", "Checksum", UINT, 2, 2),
    [ICMP6_CHECKSUM_OK] = WIRE_MOVING("checksum_ok", "Checksum is", SUM),
    [ICMP6_ID] = WIRE_MOVING("id", "Identifier", UINT),
    [ICMP6_SEQ] = WIRE_MOVING("seq", "Sequence Number", UINT),
    [ICMP6_MTU] = WIRE_MOVING("mtu", "MTU", UINT),
    [ICMP6_POINTER] = WIRE_MOVING("pointer", "Pointer", UINT),
    [ICMP6_HOP_LIMIT] = WIRE_MOVING("cur_hop_limit", "Current hop limit", UINT),
    [ICMP6_MANAGED] = WIRE_MOVING("managed", "Managed addresses", UINT),
    [ICMP6_OTHER] = WIRE_MOVING("other", "Other configuration", UINT),
    [ICMP6_LIFETIME] = WIRE_MOVING("router_lifetime", "Router lifetime", UINT),
    [ICMP6_REACHABLE] = WIRE_MOVING("reachable_time", "Reachable time", UINT),
    [ICMP6_RETRANS] = WIRE_MOVING("retrans_timer", "Retransmission timer", UINT),
    [ICMP6_ROUTER] = WIRE_MOVING("router", "Router", UINT),
    [ICMP6_SOLICITED] = WIRE_MOVING("solicited", "Solicited", UINT),
    [ICMP6_OVERRIDE] = WIRE_MOVING("override", "Override", UINT),
    [ICMP6_TARGET] = WIRE_MOVING("target", "Target", IP6),
    [ICMP6_DESTINATION] = WIRE_MOVING("destination", "Destination", IP6),
    [ICMP6_MAX_DELAY] = WIRE_MOVING("max_delay", "Maximum delay", UINT),
    [ICMP6_GROUP] = WIRE_MOVING("group", "Group", IP6),
    [ICMP6_SUPPRESS] = WIRE_MOVING("suppress", "Suppress", UINT),
    [ICMP6_QRV] = WIRE_MOVING("qrv", "Robustness", UINT),
    [ICMP6_QQIC] = WIRE_MOVING("qqic", "Query interval code", UINT),
    [ICMP6_SOURCES] = WIRE_MOVING("sources", "Sources", LIST),
    [ICMP6_SOURCE] = WIRE_MOVING("source", "Source", IP6),
    [ICMP6_RECORDS] = WIRE_MOVING("records", "Records", LIST),
    [ICMP6_RECORD] = WIRE_MOVING(NULL, "Record", GROUP),
    [ICMP6_RECORD_TYPE] = WIRE_MOVING("type", "Type", UINT, .words = wire_group_records, .word_too = true),
    [ICMP6_RECORD_GROUP] = WIRE_MOVING("group", "Group", IP6),
    [ICMP6_OPTIONS] = WIRE_MOVING("options", "Options", LIST),
    [ICMP6_OPTION] = WIRE_MOVING(NULL, "Option", GROUP),
    [ICMP6_OPTION_TYPE] = WIRE_MOVING("type", "Type", UINT, .words = option_types, .word_too = true),
    [ICMP6_OPTION_MAC] = WIRE_MOVING("address", "Address", MAC),
    [ICMP6_OPTION_PREFIX_LEN] = WIRE_MOVING("prefix_len", "Prefix length", UINT),
    [ICMP6_OPTION_ONLINK] = WIRE_MOVING("on_link", "On link", UINT),
    [ICMP6_OPTION_AUTO] = WIRE_MOVING("autonomous", "Autonomous", UINT),
    [ICMP6_OPTION_VALID] = WIRE_MOVING("valid_lifetime", "Valid lifetime", UINT),
    [ICMP6_OPTION_PREFERRED] = WIRE_MOVING("preferred_lifetime", "Preferred lifetime", UINT),
    [ICMP6_OPTION_PREFIX] = WIRE_MOVING("prefix", "Prefix", IP6),
    [ICMP6_OPTION_MTU] = WIRE_MOVING("mtu", "MTU", UINT),
    [ICMP6_OPTION_LIFETIME] = WIRE_MOVING("lifetime", "Lifetime", UINT),
    [ICMP6_OPTION_SERVERS] = WIRE_MOVING("servers", "Servers", LIST),
    [ICMP6_OPTION_SERVER] = WIRE_MOVING("server", "Server", IP6),
    [ICMP6_OPTION_DATA] = WIRE_MOVING("data", "Data", BYTES),
};

/* What follows the fields of a message. */
enum then { THEN_PAYLOAD, THEN_OPTIONS, THEN_QUOTE, THEN_QUERY, THEN_RECORDS };

static const struct layout {
    uint8_t type, then;
    struct {
        uint8_t row, size;
    } fields[5];
} layouts[] = {
    {1, THEN_QUOTE, {{ICMP6_UNUSED, 4}}},
    {2, THEN_QUOTE, {{ICMP6_MTU, 4}}},
    {3, THEN_QUOTE, {{ICMP6_UNUSED, 4}}},
    {4, THEN_QUOTE, {{ICMP6_POINTER, 4}}},
    {128, THEN_PAYLOAD, {{ICMP6_ID, 2}, {ICMP6_SEQ, 2}}},
    {129, THEN_PAYLOAD, {{ICMP6_ID, 2}, {ICMP6_SEQ, 2}}},
    {QUERY, THEN_QUERY, {{ICMP6_MAX_DELAY, 2}, {ICMP6_UNUSED, 2}, {ICMP6_GROUP, 16}}},
    {131, THEN_PAYLOAD, {{ICMP6_MAX_DELAY, 2}, {ICMP6_UNUSED, 2}, {ICMP6_GROUP, 16}}},
    {132, THEN_PAYLOAD, {{ICMP6_MAX_DELAY, 2}, {ICMP6_UNUSED, 2}, {ICMP6_GROUP, 16}}},
    {133, THEN_OPTIONS, {{ICMP6_UNUSED, 4}}},
    {134,
     THEN_OPTIONS,
     {{ICMP6_HOP_LIMIT, 1},
      {ICMP6_FLAGS_RA, 1},
      {ICMP6_LIFETIME, 2},
      {ICMP6_REACHABLE, 4},
      {ICMP6_RETRANS, 4}}},
    {135, THEN_OPTIONS, {{ICMP6_UNUSED, 4}, {ICMP6_TARGET, 16}}},
    {136, THEN_OPTIONS, {{ICMP6_FLAGS_NA, 1}, {ICMP6_UNUSED, 3}, {ICMP6_TARGET, 16}}},
    {137, THEN_OPTIONS, {{ICMP6_UNUSED, 4}, {ICMP6_TARGET, 16}, {ICMP6_DESTINATION, 16}}},
    {REPORT_2, THEN_RECORDS, {{ICMP6_UNUSED, 2}}},
};

/* Takes one field; false where it is not all there. */
static bool field(struct wire *w, uint8_t row, uint8_t size) {
    uint32_t off = w->view.pos;
    const uint8_t *bytes = view_bytes(&w->view, size);
    if (!bytes)
        return false;
    uint64_t num = 0;
    for (uint8_t i = 0; i < size && size <= 4; i++)
        num = num << 8 | bytes[i];
    if (row == ICMP6_FLAGS_RA) {
        wire_item(w, ICMP6_MANAGED, 0, off, 1, num >> 7);
        wire_item(w, ICMP6_OTHER, 0, off, 1, num >> 6 & 1);
    } else if (row == ICMP6_FLAGS_NA) {
        wire_item(w, ICMP6_ROUTER, 0, off, 1, num >> 7);
        wire_item(w, ICMP6_SOLICITED, 0, off, 1, num >> 6 & 1);
        wire_item(w, ICMP6_OVERRIDE, 0, off, 1, num >> 5 & 1);
    } else if (row == ICMP6_FLAGS_MLD) {
        wire_item(w, ICMP6_SUPPRESS, 0, off, 1, num >> 3 & 1);
        wire_item(w, ICMP6_QRV, 0, off, 1, num & 7);
    } else if (row != ICMP6_UNUSED) {
        wire_item(w, row, 0, off, size, num);
    }
    return true;
}

static void addresses(struct wire *w, struct view *view, unsigned list, unsigned element, unsigned depth,
                      uint32_t count) {
    wire_item(w, list, depth, view->pos, 0, 0);
    while (count-- > 0 && view_bytes(view, 16))
        wire_item(w, element, depth + 1, view->pos - 16, 16, 0);
}

static void prefix(struct wire *w, const struct view *body) {
    const uint8_t *h = body->data + body->pos;
    uint32_t off = body->pos;
    wire_item(w, ICMP6_OPTION_PREFIX_LEN, 2, off, 1, h[0]);
    wire_item(w, ICMP6_OPTION_ONLINK, 2, off + 1, 1, h[1] >> 7);
    wire_item(w, ICMP6_OPTION_AUTO, 2, off + 1, 1, h[1] >> 6 & 1);
    wire_item(w, ICMP6_OPTION_VALID, 2, off + 2, 4, be32(h + 2));
    wire_item(w, ICMP6_OPTION_PREFERRED, 2, off + 6, 4, be32(h + 6));
    wire_item(w, ICMP6_OPTION_PREFIX, 2, off + 14, 16, 0);
}

static void option(struct wire *w, uint8_t type, struct view *body) {
    uint32_t size = view_left(body);
    if (type == OPTION_SOURCE || type == OPTION_TARGET) {
        wire_item(w, ICMP6_OPTION_MAC, 2, body->pos, size, 0);
    } else if (type == OPTION_PREFIX && size == 30) {
        prefix(w, body);
    } else if (type == OPTION_MTU && size == 6) {
        wire_item(w, ICMP6_OPTION_MTU, 2, body->pos + 2, 4, be32(body->data + body->pos + 2));
    } else if (type == OPTION_RDNSS && size >= 6) {
        wire_item(w, ICMP6_OPTION_LIFETIME, 2, body->pos + 2, 4, be32(body->data + body->pos + 2));
        view_bytes(body, 6);
        addresses(w, body, ICMP6_OPTION_SERVERS, ICMP6_OPTION_SERVER, 2, view_left(body) / 16);
    } else {
        wire_item(w, ICMP6_OPTION_DATA, 2, body->pos, size, 0);
    }
}

/* The length counts the whole option in units of 8 bytes. */
static void options(struct wire *w) {
    if (view_left_whole(&w->view) > 0)
        wire_item(w, ICMP6_OPTIONS, 0, w->view.pos, view_left(&w->view), 0);
    for (int i = 0; view_left_whole(&w->view) > 0 && !w->view.short_; i++) {
        uint32_t off = w->view.pos;
        uint8_t type = view_u8(&w->view), length = view_u8(&w->view);
        if (w->view.short_)
            return;
        if (length == 0 || i == WIRE_OPTIONS_MAX) {
            wire_malformed(w, length == 0 ? "option of length 0" : "more than 64 options");
            return;
        }
        struct view body = view_part(&w->view, length * 8U - 2);
        if (w->view.short_)
            return;
        wire_item(w, ICMP6_OPTION, 1, off, length * 8U, 0);
        wire_item(w, ICMP6_OPTION_TYPE, 2, off, 1, type);
        option(w, type, &body);
    }
}

/* Version 2 has more behind the group. */
static void query(struct wire *w) {
    if (view_left_whole(&w->view) == 0)
        return;
    if (!field(w, ICMP6_FLAGS_MLD, 1) || !field(w, ICMP6_QQIC, 1))
        return;
    uint16_t count = view_be16(&w->view);
    addresses(w, &w->view, ICMP6_SOURCES, ICMP6_SOURCE, 0, count);
}

static void records(struct wire *w) {
    uint16_t count = view_be16(&w->view);
    wire_item(w, ICMP6_RECORDS, 0, w->view.pos, 0, 0);
    for (uint16_t i = 0; i < count; i++) {
        uint32_t off = w->view.pos;
        uint8_t type = view_u8(&w->view), words = view_u8(&w->view);
        uint16_t source_count = view_be16(&w->view);
        if (!view_bytes(&w->view, 16))
            return;
        if (i == WIRE_OPTIONS_MAX) {
            wire_malformed(w, "more than 64 records");
            return;
        }
        wire_item(w, ICMP6_RECORD, 1, off, 20, 0);
        wire_item(w, ICMP6_RECORD_TYPE, 2, off, 1, type);
        wire_item(w, ICMP6_RECORD_GROUP, 2, off + 4, 16, 0);
        addresses(w, &w->view, ICMP6_SOURCES, ICMP6_SOURCE, 2, source_count);
        if (!view_bytes(&w->view, words * 4U))
            return;
    }
}

static const struct wire_dissector *body(struct wire *w, const struct layout *layout) {
    for (size_t i = 0; i < ARRAY_LEN(layout->fields) && layout->fields[i].size; i++)
        if (!field(w, layout->fields[i].row, layout->fields[i].size))
            return NULL;
    if (layout->then == THEN_OPTIONS)
        options(w);
    else if (layout->then == THEN_QUERY)
        query(w);
    else if (layout->then == THEN_RECORDS)
        records(w);
    wire_extend(w);
    if (layout->then == THEN_QUOTE)
        return wire_nest(w, EYE_NEST_QUOTED) ? &wire_ip6 : NULL;
    if (layout->then == THEN_PAYLOAD)
        wire_payload(w);
    return NULL;
}

static const struct wire_dissector *dissect(struct wire *w) {
    struct view message = w->view;
    const uint8_t *h = wire_header(w, &wire_icmp6, ICMP6_SIZE);
    if (!h)
        return NULL;
    if (w->flags & EYE_DISSECT_VERIFY)
        w->layer->sum = (uint8_t)wire_transport_sum(w, &message, 58, 2);
    const struct layout *layout = NULL;
    for (size_t i = 0; i < ARRAY_LEN(layouts); i++)
        if (layouts[i].type == h[0])
            layout = &layouts[i];
    if (!layout) {
        wire_payload(w);
        return NULL;
    }
    const struct wire_dissector *next = body(w, layout);
    if (w->view.short_)
        wire_short(w, &w->view);
    return next;
}

static const struct wire_bind binds[] = {{WIRE_IP_PROTO, 58}};

const struct wire_dissector wire_icmp6 = {
    .name = "icmp6",
    .title = "ICMP6_HEADER",
    .proto = EYE_PROTO_ICMP6,
    .dissect = dissect,
    WIRE_ROWS(rows),
    WIRE_BINDS(binds),
};
