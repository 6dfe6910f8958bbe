/* sctp.c: SCTP's common header, RFC 9260. Its checksum is CRC32c (appendix A), and a card that is to make it
 * finds 0 there. */
#include "wire/wire.h"

enum { SCTP_SIZE = 12, SCTP_CHECKSUM_OFF = 8 };

static const struct wire_row rows[] = {
    WIRE_FIXED("src_port", "Source Port", UINT, 0, 2),
    WIRE_FIXED("dst_port", "Destination Port", UINT, 2, 2),
    WIRE_FIXED("vtag", "Verification tag", UINT, 4, 4),
    WIRE_FIXED("checksum", "Checksum", UINT, SCTP_CHECKSUM_OFF, 4),
    WIRE_MOVING("checksum_ok", "Checksum is", SUM),
};

static uint32_t crc32c(uint32_t crc, const uint8_t *data, uint32_t size) {
    for (uint32_t i = 0; i < size; i++) {
        crc ^= data[i];
        for (int bit = 0; bit < 8; bit++)
            crc = crc >> 1 ^ (crc & 1 ? UINT32_C(0x82f63b78) : 0);
    }
    return crc;
}

/* The checksum is made with zeros in its own place, and is the only field with its lowest byte first. */
static enum eye_sum sum_of(const struct wire *w, const struct view *packet) {
    static const uint8_t zeros[4] = {0};
    const uint8_t *data = packet->data + packet->pos;
    if (packet->end < packet->whole || w->quoted || w->partial)
        return EYE_SUM_UNKNOWN;
    uint32_t crc = crc32c(UINT32_MAX, data, SCTP_CHECKSUM_OFF);
    crc = crc32c(crc, zeros, sizeof(zeros));
    crc = ~crc32c(crc, data + SCTP_SIZE, view_left(packet) - SCTP_SIZE);
    uint32_t checksum = be32(data + SCTP_CHECKSUM_OFF);
    if (__builtin_bswap32(checksum) == crc)
        return EYE_SUM_OK;
    return checksum == 0 ? EYE_SUM_UNFINISHED : EYE_SUM_BAD;
}

static const struct wire_dissector *dissect(struct wire *w) {
    struct view packet = w->view;
    const uint8_t *h = wire_header(w, &wire_sctp, SCTP_SIZE);
    if (!h)
        return NULL;
    if (w->flags & EYE_DISSECT_VERIFY)
        w->layer->sum = (uint8_t)sum_of(w, &packet);
    wire_payload(w);
    return NULL;
}

static const struct wire_bind binds[] = {{WIRE_IP_PROTO, 132}};

const struct wire_dissector wire_sctp = {
    .name = "sctp",
    .title = "SCTP_HEADER",
    .proto = EYE_PROTO_SCTP,
    .dissect = dissect,
    WIRE_ROWS(rows),
    WIRE_BINDS(binds),
};
