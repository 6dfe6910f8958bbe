/* filter.h: what libpcap's filters and live captures share. Only where libpcap is. */
#ifndef WIRE_FILTER_H
#define WIRE_FILTER_H

#include <pcap/pcap.h>

#include "wire/source.h"

/* Compiles an expression for a link type. Errors: EYE_ESYNTAX, with the column where it can be told; -ENOMEM.
 * The caller frees the program by pcap_freecode. */
int filter_compile(const char *expression, int link, struct bpf_program *ret_program, struct eye_err *reterr);

/* Between libpcap's numbers of this host and those of files. */
int link_from_dlt(int dlt);
int link_to_dlt(int link);

#endif
