/* filter.h: what libpcap's filters and live captures share. Only where libpcap is. */
#ifndef WIRE_FILTER_H
#define WIRE_FILTER_H

#include <pcap/pcap.h>

#include "wire/source.h"

/* Compiles an expression for a handle: for a live one by what its kernel tells beside a packet (a VLAN's tag,
 * the direction), for a dead one by the packet's bytes alone. Errors: EYE_ESYNTAX, with the column where it
 * can be told. The caller frees the program by pcap_freecode. */
int filter_compile(pcap_t *pcap, const char *expression, struct bpf_program *ret_program,
                   struct eye_err *reterr);

/* Between libpcap's numbers of this host and those of files. */
int link_from_dlt(int dlt);
int link_to_dlt(int link);

#endif
