/* source_live.c: an interface, by libpcap.
 *
 * The handle never waits (pcap_setnonblock(3PCAP)); its descriptor is waited for on the loop. Packets are
 * lent from the ring that the kernel fills. Where a reader wants each packet at once, immediate mode says so;
 * otherwise the kernel hands them over in blocks, at the latest after TIMEOUT_MS, which costs a quarter of
 * the CPU time in a flood. The filter runs in the kernel.
 *
 * "any" is asked for as Linux cooked v2 (LINKTYPE_LINUX_SLL2), which names the interface of each packet. */
#include <errno.h>
#include <net/if.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "wire/filter.h"

enum { TIMEOUT_MS = EYE_SOURCE_DELAY_NS / NS_PER_MS };

struct live {
    struct eye_source source;
    pcap_t *pcap;
    char name[64];
};

/* What an error of libpcap's is here. */
static const struct {
    int status, code;
    enum eye_fail fail;
} statuses[] = {
    {PCAP_ERROR_NO_SUCH_DEVICE, -ENODEV, EYE_FAIL_CONNECT},
    {PCAP_ERROR_PERM_DENIED, EYE_EUNAVAILABLE, EYE_FAIL_UNAVAILABLE},
    {PCAP_ERROR_PROMISC_PERM_DENIED, EYE_EUNAVAILABLE, EYE_FAIL_UNAVAILABLE},
    {PCAP_ERROR_IFACE_NOT_UP, -ENETDOWN, EYE_FAIL_CONNECT},
};

static int live_failed(const struct live *live, int status, struct eye_err *reterr) {
    for (size_t i = 0; i < ARRAY_LEN(statuses); i++) {
        if (statuses[i].status != status)
            continue;
        if (statuses[i].code == EYE_EUNAVAILABLE)
            return source_denied(live->name, reterr);
        return err_set(reterr, statuses[i].code, statuses[i].fail, "%s: %s", live->name,
                       eye_strerror(statuses[i].code));
    }
    return err_set(reterr, -EIO, EYE_FAIL_OTHER, "%s: %s", live->name, pcap_geterr(live->pcap));
}

/* Sets what must be set before activation. The calls fail only for a handle that is active. */
static int live_activate(struct live *live, const struct eye_source_opts *opts, struct eye_err *reterr) {
    pcap_set_snaplen(live->pcap, (int)(opts->snaplen ? opts->snaplen : EYE_SNAPLEN_MAX));
    pcap_set_promisc(live->pcap, opts->promiscuous);
    pcap_set_timeout(live->pcap, TIMEOUT_MS);
    pcap_set_immediate_mode(live->pcap, opts->immediate);
    if (opts->buffer_bytes > 0)
        pcap_set_buffer_size(live->pcap, (int)MIN(opts->buffer_bytes, (int64_t)INT32_MAX));
    live->source.nano = pcap_set_tstamp_precision(live->pcap, PCAP_TSTAMP_PRECISION_NANO) == 0;
    int r = pcap_activate(live->pcap);
    if (r < 0)
        return live_failed(live, r, reterr);
    if (strcmp(live->name, "any") == 0)
        pcap_set_datalink(live->pcap, DLT_LINUX_SLL2); /* older libpcaps have only the first version */
    live->source.link = link_from_dlt(pcap_datalink(live->pcap));
    return 0;
}

static int live_filter(struct live *live, const char *expression, struct eye_err *reterr) {
    struct bpf_program program;
    int r = filter_compile(live->pcap, expression, &program, reterr);
    if (r < 0)
        return r;
    if (pcap_setfilter(live->pcap, &program) < 0)
        r = live_failed(live, PCAP_ERROR, reterr);
    pcap_freecode(&program);
    live->source.filters = true;
    return r;
}

static void live_free(eye_source *source) {
    struct live *live = (struct live *)source;
    if (live->pcap)
        pcap_close(live->pcap);
    free(live);
}

static int live_open(const char *interface, const struct eye_source_opts *opts, eye_source **ret_source,
                     struct eye_err *reterr) {
    char words[PCAP_ERRBUF_SIZE] = "";
    if (strcmp(interface, "any") != 0 && if_nametoindex(interface) == 0)
        return err_set(reterr, -ENODEV, EYE_FAIL_CONNECT, "%s: no such interface", interface);
    struct live *live = calloc(1, sizeof *live);
    if (!live)
        return err_set(reterr, -ENOMEM, EYE_FAIL_OTHER, "%s: %s", interface, eye_strerror(-ENOMEM));
    snprintf(live->name, sizeof live->name, "%s", interface);
    live->pcap = pcap_create(interface, words);
    int r = live->pcap ? live_activate(live, opts, reterr)
                       : err_set(reterr, -ENOMEM, EYE_FAIL_OTHER, "%s: %s", interface, words);
    if (r == 0 && opts->filter)
        r = live_filter(live, opts->filter, reterr);
    if (r == 0 && pcap_setnonblock(live->pcap, 1, words) < 0)
        r = live_failed(live, PCAP_ERROR, reterr);
    if (r == 0 && (live->source.fd = pcap_get_selectable_fd(live->pcap)) < 0)
        r = err_set(reterr, -EOPNOTSUPP, EYE_FAIL_OTHER, "%s: cannot be waited for", interface);
    if (r < 0) {
        live_free(&live->source);
        return r;
    }
    *ret_source = &live->source;
    return 0;
}

/* libpcap has no status for it, only these words, when it has looked whether the interface is still there. */
static bool live_is_gone(const struct live *live) {
    return strcmp(pcap_geterr(live->pcap), "The interface disappeared") == 0;
}

static int live_next(eye_source *source, struct eye_packet *ret_packet, struct eye_err *reterr) {
    struct live *live = (struct live *)source;
    struct pcap_pkthdr *head;
    const u_char *data;
    int r = pcap_next_ex(live->pcap, &head, &data);
    if (r == 0)
        return -EAGAIN;
    if (r < 0) {
        if (live_is_gone(live))
            return err_set(reterr, -ENODEV, EYE_FAIL_OTHER, "%s: the interface disappeared", live->name);
        return live_failed(live, r, reterr);
    }
    *ret_packet = (struct eye_packet){
        .time_ns = head->ts.tv_sec * NS_PER_S + head->ts.tv_usec * (live->source.nano ? 1 : 1000),
        .link = (uint32_t)live->source.link,
        .caplen = head->caplen,
        .len = head->len,
        .data = data,
    };
    return 1;
}

static void live_drops(eye_source *source, struct eye_source_stats *stats) {
    struct live *live = (struct live *)source;
    struct pcap_stat stat;
    if (pcap_stats(live->pcap, &stat) == 0) {
        stats->dropped_kernel = stat.ps_drop;
        stats->dropped_interface = stat.ps_ifdrop;
    }
}

const struct source_kind source_live = {"live", live_open, live_next, live_drops, live_free};
