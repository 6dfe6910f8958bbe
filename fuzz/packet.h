/* packet.h: an input as a packet. The first byte picks the link type and the flags, the second is how much
 * the capture cut off, or a VLAN tag that the kernel took out; the rest is the packet. */
#ifndef FUZZ_PACKET_H
#define FUZZ_PACKET_H

#include <sockeye/packet.h>

#include "fuzz.h"

enum { FUZZ_HEAD_SIZE = 2, FUZZ_LINK_UNKNOWN = 147 };

static inline bool fuzz_packet(const uint8_t *data, size_t size, struct eye_packet *ret_packet,
                               unsigned *ret_flags) {
    static const uint32_t links[] = {EYE_LINK_ETHERNET, EYE_LINK_NULL, EYE_LINK_RAW,
                                     EYE_LINK_LOOP,     EYE_LINK_SLL,  EYE_LINK_SLL2,
                                     EYE_LINK_IP4,      EYE_LINK_IP6,  FUZZ_LINK_UNKNOWN};
    if (size < FUZZ_HEAD_SIZE || size > UINT16_MAX)
        return false;
    bool has_tag = data[0] & 0x40;
    *ret_flags = data[0] & 0x80 ? EYE_DISSECT_VERIFY : 0;
    *ret_packet = (struct eye_packet){
        .number = 1,
        .data = data + FUZZ_HEAD_SIZE,
        .caplen = (uint32_t)size - FUZZ_HEAD_SIZE,
        .len = (uint32_t)size - FUZZ_HEAD_SIZE + (has_tag ? 0 : data[1]),
        .link = links[(data[0] & 0x3f) % (sizeof(links) / sizeof(links[0]))],
        .vlan = has_tag ? EYE_VLAN_TAG | data[1] : 0,
    };
    return true;
}

#endif
