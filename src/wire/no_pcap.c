/* no_pcap.c: a library that was built without libpcap: files are read and written, filters and live captures
 * say why they are not. */
#include <stdio.h>

#include "wire/source.h"

static int missing(struct eye_err *reterr, const char *what) {
    err_set(reterr, EYE_EUNAVAILABLE, EYE_FAIL_UNAVAILABLE, "%s: this build has no libpcap", what);
    err_cause(reterr, "built with -Dpcap=disabled, or where libpcap-dev was not installed");
    return EYE_EUNAVAILABLE;
}

static int live_open(const char *interface, const struct eye_source_opts *opts, eye_source **ret_source,
                     struct eye_err *reterr) {
    (void)opts, (void)ret_source;
    return missing(reterr, interface);
}

const struct source_kind source_live = {.scheme = "live", .open = live_open};

int filter_new(const char *expression, int link, struct filter **ret_filter, struct eye_err *reterr) {
    (void)expression, (void)link, (void)ret_filter;
    return missing(reterr, "filter");
}

int filter_passes(struct filter *filter, const struct eye_packet *packet, struct eye_err *reterr) {
    (void)filter, (void)packet, (void)reterr;
    return 1;
}

struct filter *filter_free(struct filter *filter) {
    return filter;
}

const char *eye_link_name(int link, char *buf, size_t size) {
    snprintf(buf, size, "%d", link);
    return buf;
}

const char *filter_version(void) {
    return NULL;
}
