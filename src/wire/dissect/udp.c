/* udp.c: UDP, RFC 768. A length of 0 is that of a datagram too long for the field (RFC 2675). A checksum of
 * 0 means none over IPv4, and is wrong over IPv6. */
#include "wire/wire.h"

enum { UDP_SIZE = 8, UDP_CHECKSUM_OFF = 6 };

static const struct wire_row rows[] = {
    WIRE_FIXED("src_port", "Source Port", UINT, 0, 2),
    WIRE_FIXED("dst_port", "Destination Port", UINT, 2, 2),
    WIRE_FIXED("len", "Length", UINT, 4, 2),
    WIRE_FIXED("checksum", "Checksum", UINT, UDP_CHECKSUM_OFF, 2),
    WIRE_MOVING("checksum_ok", "Checksum is", SUM),
};

static enum eye_sum sum_of(const struct wire *w, const struct view *datagram, uint16_t checksum) {
    if (checksum == 0)
        return w->ip_version == 6 ? EYE_SUM_BAD : EYE_SUM_NONE;
    return wire_transport_sum(w, datagram, 17, UDP_CHECKSUM_OFF);
}

static const struct wire_dissector *dissect(struct wire *w) {
    struct view datagram = w->view;
    const uint8_t *h = wire_header(w, &wire_udp, UDP_SIZE);
    if (!h)
        return NULL;
    uint16_t len = be16(h + 4);
    if (len && len < UDP_SIZE) {
        wire_malformed(w, "length below 8");
        wire_payload(w);
        return NULL;
    }
    if (len) {
        wire_limit(w, len - UDP_SIZE);
        view_limit(&datagram, len);
    }
    if (w->flags & EYE_DISSECT_VERIFY)
        w->layer->sum = (uint8_t)sum_of(w, &datagram, be16(h + UDP_CHECKSUM_OFF));
    wire_payload(w);
    if (view_left(&w->view) == 0)
        return NULL;
    const struct wire_dissector *next = wire_bound(WIRE_UDP_PORT, be16(h + 2));
    return next ? next : wire_bound(WIRE_UDP_PORT, be16(h));
}

static const struct wire_bind binds[] = {{WIRE_IP_PROTO, 17}};

const struct wire_dissector wire_udp = {
    .name = "udp",
    .title = "UDP_HEADER",
    .proto = EYE_PROTO_UDP,
    .dissect = dissect,
    WIRE_ROWS(rows),
    WIRE_BINDS(binds),
};
