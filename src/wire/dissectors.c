/* dissectors.c: the table of dissectors, and the way from a number to the one that is bound to it.
 *
 * The bind rows stand with the dissectors. Once, before the first packet, they are put into small hash
 * tables, one for each field that dissectors are bound to; from then on these do not change, and a look-up
 * is a load or two. */
#include <assert.h>
#include <pthread.h>

#include "wire/wire.h"

static const struct wire_dissector *const dissectors[] = {
    &wire_eth,     &wire_vlan, &wire_sll, &wire_sll2,     &wire_null,      &wire_loop,  &wire_raw,
    &wire_arp,     &wire_ip,   &wire_ip6, &wire_ip_in_ip, &wire_ip6_in_ip, &wire_gre,   &wire_icmp,
    &wire_icmp6,   &wire_igmp, &wire_tcp, &wire_udp,      &wire_sctp,      &wire_vxlan, &wire_dns,
    &wire_dns_tcp, &wire_dhcp, &wire_ntp, &wire_tls,      &wire_http,      &wire_quic,  &wire_payload_layer,
};

enum { SLOT_COUNT = 64 }; /* of a table; a power of two, and more than twice its rows */

static struct {
    uint16_t num;
    uint8_t dissector; /* its place above and 1; 0: none */
} bound[WIRE_TABLE_MAX][SLOT_COUNT];

static const struct wire_dissector *by_proto[EYE_PROTO_MAX];
static const struct wire_dissector *guessers[ARRAY_LEN(dissectors) + 1]; /* up to a NULL */
static pthread_once_t bound_once = PTHREAD_ONCE_INIT;

static uint32_t slot_of(uint32_t num) {
    return (num * UINT32_C(0x9e3779b1)) >> 26;
}

static void bind_all(void) {
    size_t guesser_count = 0;
    for (size_t i = 0; i < ARRAY_LEN(dissectors); i++) {
        const struct wire_dissector *d = dissectors[i];
        if (d->rows && !by_proto[d->proto])
            by_proto[d->proto] = d;
        if (d->guess)
            guessers[guesser_count++] = d;
        for (size_t b = 0; b < d->bind_count; b++) {
            uint32_t slot = slot_of(d->binds[b].num);
            while (bound[d->binds[b].table][slot].dissector)
                slot = (slot + 1) % SLOT_COUNT;
            bound[d->binds[b].table][slot].num = d->binds[b].num;
            bound[d->binds[b].table][slot].dissector = (uint8_t)(i + 1);
        }
    }
}

void wire_bind(void) {
    pthread_once(&bound_once, bind_all);
}

const struct wire_dissector *wire_bound(enum wire_table table, uint32_t num) {
    for (uint32_t slot = slot_of(num); bound[table][slot].dissector; slot = (slot + 1) % SLOT_COUNT)
        if (bound[table][slot].num == num)
            return dissectors[bound[table][slot].dissector - 1];
    return NULL;
}

const struct wire_dissector *wire_guess(const uint8_t *data, uint32_t size) {
    for (size_t i = 0; guessers[i]; i++)
        if (guessers[i]->guess(data, size))
            return guessers[i];
    return NULL;
}

const struct wire_dissector *wire_of(enum eye_proto proto) {
    wire_bind();
    assert(proto < EYE_PROTO_MAX);
    return by_proto[proto];
}

const char *eye_proto_name(enum eye_proto proto) {
    return wire_of(proto)->name;
}

const char *eye_proto_title(enum eye_proto proto) {
    return wire_of(proto)->title;
}
