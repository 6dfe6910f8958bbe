/* checksum.c: the Internet checksum, RFC 1071, and what can be said about one in a captured packet.
 *
 * The sum does not mind the order of bytes, so it is made of the machine's own words and turned once at the
 * end. A packet that its own host captured on the way out often has the pseudo-header's sum where the
 * checksum belongs: the card would have done the rest. That is told apart from a wrong one. */
#include "wire/wire.h"

uint64_t wire_sum(uint64_t sum, const uint8_t *data, uint32_t size) {
    for (; size >= 4; data += 4, size -= 4) {
        uint32_t word;
        memcpy(&word, data, sizeof(word));
        sum += word;
    }
    if (size > 0) {
        uint8_t rest[4] = {0};
        memcpy(rest, data, size);
        uint32_t word;
        memcpy(&word, rest, sizeof(word));
        sum += word;
    }
    return sum;
}

uint16_t wire_sum_fold(uint64_t sum) {
    while (sum >> 16)
        sum = (sum & 0xffff) + (sum >> 16);
    return be16toh((uint16_t)sum);
}

enum eye_sum wire_plain_sum(const struct wire *w, const struct view *view) {
    if (view->end < view->whole || w->quoted || w->partial)
        return EYE_SUM_UNKNOWN;
    return wire_sum_fold(wire_sum(0, view->data + view->pos, view_left(view))) == 0xffff ? EYE_SUM_OK
                                                                                         : EYE_SUM_BAD;
}

enum eye_sum wire_transport_sum(const struct wire *w, const struct view *view, uint8_t proto,
                                uint32_t checksum_off) {
    if (view->end < view->whole || w->quoted || w->partial || !w->ip_version)
        return EYE_SUM_UNKNOWN;
    uint32_t size = view_left(view), address_size = w->ip_version == 4 ? 4 : 16;
    uint8_t tail[8] = {
        (uint8_t)(size >> 24), (uint8_t)(size >> 16), (uint8_t)(size >> 8), (uint8_t)size, 0, 0, 0, proto};
    uint64_t pseudo = wire_sum(wire_sum(0, w->ip_src, address_size), w->ip_dst, address_size);
    pseudo = wire_sum(pseudo, tail, sizeof(tail));

    const uint8_t *header = view->data + view->pos;
    if (wire_sum_fold(wire_sum(pseudo, header, size)) == 0xffff)
        return EYE_SUM_OK;
    return be16(header + checksum_off) == wire_sum_fold(pseudo) ? EYE_SUM_UNFINISHED : EYE_SUM_BAD;
}
