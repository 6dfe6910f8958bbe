/* source.h: what the kinds of source share.
 *
 * A kind is one file and one row of the table in source.c: open gives a struct that begins with struct
 * eye_source; next gives packets before any filter of ours, unless the kernel filters already. */
#ifndef WIRE_SOURCE_H
#define WIRE_SOURCE_H

#include <sockeye/capture.h>

#include "base/base.h"

struct source_kind {
    const char *scheme;
    int (*open)(const char *target, const struct eye_source_opts *opts, eye_source **ret_source,
                struct eye_err *reterr);
    int (*next)(eye_source *source, struct eye_packet *ret_packet, struct eye_err *reterr);
    void (*drops)(eye_source *source, struct eye_source_stats *stats); /* or NULL */
    void (*free)(eye_source *source);
};
extern const struct source_kind source_live, source_file, source_ip, source_packet;

struct eye_source {
    const struct source_kind *kind;
    int fd;   /* to wait on, or -1 */
    int link; /* or -EAGAIN */
    bool nano;
    bool filters;          /* the kernel filters */
    struct filter *filter; /* ours, or NULL */
    uint32_t snaplen;
    struct eye_source_stats stats;
};

/* The error for want of CAP_NET_RAW. */
int source_denied(const char *name, struct eye_err *reterr);

/* ---- filters: pcap-filter(7), compiled by libpcap once for each link type ---- */

/* Checks an expression for a link type, or for Ethernet while that is unknown (link < 0). */
int filter_new(const char *expression, int link, struct filter **ret_filter, struct eye_err *reterr);
/* 1: passes, 0: does not, or a negative code where the expression cannot be compiled for the packet's link.
 */
int filter_passes(struct filter *filter, const struct eye_packet *packet, struct eye_err *reterr);
struct filter *filter_free(struct filter *filter);
/* "libpcap version 1.10.3 ...", or NULL where there is none. */
const char *filter_version(void);

#endif
