/* icmp.c: ICMP, RFC 792, 950 (masks), 1191 (MTU), 1256 (router advertisements), 4884 (length of a quote).
 *
 * An error quotes the packet that it is about, as far as its sender liked: that it ends too soon is no fault.
 * Extensions behind a quote (RFC 4884) are not read. */
#include "wire/wire.h"

enum { ICMP_SIZE = 4 };

enum {
    ICMP_TYPE,
    ICMP_CODE,
    ICMP_CHECKSUM,
    ICMP_CHECKSUM_OK,
    ICMP_ID,
    ICMP_SEQ,
    ICMP_GATEWAY,
    ICMP_MTU,
    ICMP_POINTER,
    ICMP_LENGTH,
    ICMP_ORIGINATE,
    ICMP_RECEIVE,
    ICMP_TRANSMIT,
    ICMP_MASK,
    ICMP_LIFETIME,
    ICMP_ROUTERS,
    ICMP_ROUTER,
    ICMP_ADDRESS,
    ICMP_PREFERENCE,
};

enum {
    ECHO_REPLY = 0,
    UNREACHABLE = 3,
    QUENCH = 4,
    REDIRECT = 5,
    ECHO = 8,
    ROUTERS = 9,
    EXCEEDED = 11,
    PARAMETER = 12,
    STAMP = 13,
    STAMP_REPLY = 14,
    INFO = 15,
    INFO_REPLY = 16,
    MASK = 17,
    MASK_REPLY = 18,
};

enum { CODE_FRAG_NEEDED = 4 };

static const struct wire_word types[] = {
    {ECHO_REPLY, "echo reply"},
    {UNREACHABLE, "unreachable"},
    {QUENCH, "source quench"},
    {REDIRECT, "redirect"},
    {ECHO, "echo request"},
    {ROUTERS, "router advertisement"},
    {10, "router solicitation"},
    {EXCEEDED, "time exceeded"},
    {PARAMETER, "parameter problem"},
    {STAMP, "timestamp request"},
    {STAMP_REPLY, "timestamp reply"},
    {INFO, "information request"},
    {INFO_REPLY, "information reply"},
    {MASK, "mask request"},
    {MASK_REPLY, "mask reply"},
    {0, NULL},
};

static const struct wire_row rows[] = {
    [ICMP_TYPE] = WIRE_FIXED("type", "Type", UINT, 0, 1, .words = types),
    [ICMP_CODE] = WIRE_FIXED("code", "Code", UINT, 1, 1),
    [ICMP_CHECKSUM] = WIRE_FIXED("checksum", "Checksum", UINT, 2, 2),
    [ICMP_CHECKSUM_OK] = WIRE_MOVING("checksum_ok", "Checksum is", SUM),
    [ICMP_ID] = WIRE_MOVING("id", "Identifier", UINT),
    [ICMP_SEQ] = WIRE_MOVING("seq", "Sequence Number", UINT),
    [ICMP_GATEWAY] = WIRE_MOVING("gateway", "Gateway", IP4),
    [ICMP_MTU] = WIRE_MOVING("mtu", "Next hop's MTU", UINT),
    [ICMP_POINTER] = WIRE_MOVING("pointer", "Pointer", UINT),
    [ICMP_LENGTH] = WIRE_MOVING("length", "Length of the quote", UINT),
    [ICMP_ORIGINATE] = WIRE_MOVING("originate", "Originate timestamp", UINT),
    [ICMP_RECEIVE] = WIRE_MOVING("receive", "Receive timestamp", UINT),
    [ICMP_TRANSMIT] = WIRE_MOVING("transmit", "Transmit timestamp", UINT),
    [ICMP_MASK] = WIRE_MOVING("mask", "Address mask", IP4),
    [ICMP_LIFETIME] = WIRE_MOVING("lifetime", "Lifetime", UINT),
    [ICMP_ROUTERS] = WIRE_MOVING("routers", "Routers", LIST),
    [ICMP_ROUTER] = WIRE_MOVING(NULL, "Router", GROUP),
    [ICMP_ADDRESS] = WIRE_MOVING("address", "Address", IP4),
    [ICMP_PREFERENCE] = WIRE_MOVING("preference", "Preference level", UINT),
};

/* Queries and their answers begin with a number to tell them apart by. */
static const struct wire_dissector *query(struct wire *w, uint8_t type) {
    uint16_t id = view_be16(&w->view), seq = view_be16(&w->view);
    if (w->view.short_)
        return NULL;
    wire_item(w, ICMP_ID, 0, w->view.pos - 4, 2, id);
    wire_item(w, ICMP_SEQ, 0, w->view.pos - 2, 2, seq);
    if (type == STAMP || type == STAMP_REPLY) {
        for (unsigned row = ICMP_ORIGINATE; row <= ICMP_TRANSMIT; row++) {
            uint32_t stamp = view_be32(&w->view);
            if (!w->view.short_)
                wire_num(w, row, 0, 4, stamp);
        }
    } else if (type == MASK || type == MASK_REPLY) {
        if (view_bytes(&w->view, 4))
            wire_num(w, ICMP_MASK, 0, 4, 0);
    }
    wire_extend(w);
    if (!w->view.short_)
        wire_payload(w);
    return NULL;
}

static const struct wire_dissector *error(struct wire *w, uint8_t type, uint8_t code) {
    const uint8_t *rest = view_bytes(&w->view, 4);
    if (!rest)
        return NULL;
    uint32_t off = w->view.pos - 4;
    if (type == REDIRECT)
        wire_item(w, ICMP_GATEWAY, 0, off, 4, 0);
    else if (type == UNREACHABLE && code == CODE_FRAG_NEEDED)
        wire_item(w, ICMP_MTU, 0, off + 2, 2, be16(rest + 2));
    else if (type == PARAMETER)
        wire_item(w, ICMP_POINTER, 0, off, 1, rest[0]);
    if (type != REDIRECT && type != QUENCH && rest[1]) {
        wire_item(w, ICMP_LENGTH, 0, off + 1, 1, rest[1] * 4U);
        wire_limit(w, rest[1] * 4U);
    }
    wire_extend(w);
    return wire_nest(w, EYE_NEST_QUOTED) ? &wire_ip : NULL;
}

static const struct wire_dissector *routers(struct wire *w) {
    uint8_t count = view_u8(&w->view), words = view_u8(&w->view);
    uint16_t lifetime = view_be16(&w->view);
    if (w->view.short_)
        return NULL;
    wire_num(w, ICMP_LIFETIME, 0, 2, lifetime);
    wire_item(w, ICMP_ROUTERS, 0, w->view.pos, 0, 0);
    for (uint8_t i = 0; i < count; i++) {
        struct view router = view_part(&w->view, words * 4U);
        if (w->view.short_ || view_left(&router) < 8)
            break;
        wire_item(w, ICMP_ROUTER, 1, router.pos, 8, 0);
        wire_item(w, ICMP_ADDRESS, 2, router.pos, 4, 0);
        wire_item(w, ICMP_PREFERENCE, 2, router.pos + 4, 4, be32(router.data + router.pos + 4));
    }
    wire_extend(w);
    return NULL;
}

static const struct wire_dissector *body(struct wire *w, uint8_t type, uint8_t code) {
    switch (type) {
    case ECHO:
    case ECHO_REPLY:
    case STAMP:
    case STAMP_REPLY:
    case INFO:
    case INFO_REPLY:
    case MASK:
    case MASK_REPLY:
        return query(w, type);
    case UNREACHABLE:
    case QUENCH:
    case REDIRECT:
    case EXCEEDED:
    case PARAMETER:
        return error(w, type, code);
    case ROUTERS:
        return routers(w);
    default:
        wire_payload(w);
        return NULL;
    }
}

static const struct wire_dissector *dissect(struct wire *w) {
    struct view message = w->view;
    const uint8_t *h = wire_header(w, &wire_icmp, ICMP_SIZE);
    if (!h)
        return NULL;
    if (w->flags & EYE_DISSECT_VERIFY)
        w->layer->sum = (uint8_t)wire_plain_sum(w, &message);
    const struct wire_dissector *next = body(w, h[0], h[1]);
    if (w->view.short_)
        wire_short(w, &w->view);
    return next;
}

static const struct wire_bind binds[] = {{WIRE_IP_PROTO, 1}};

const struct wire_dissector wire_icmp = {
    .name = "icmp",
    .title = "ICMP_HEADER",
    .proto = EYE_PROTO_ICMP,
    .dissect = dissect,
    WIRE_ROWS(rows),
    WIRE_BINDS(binds),
};
