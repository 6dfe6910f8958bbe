/* source.c: the table of sources, and what holds for all of them. */
#include <errno.h>
#include <string.h>

#include "wire/source.h"

static const struct source_kind *const kinds[] = {&source_live, &source_file, &source_ip, &source_packet};

int eye_source_open(const char *spec, const struct eye_source_opts *opts, eye_source **ret_source,
                    struct eye_err *reterr) {
    static const struct eye_source_opts none;
    const char *colon = strchr(spec, ':');
    size_t size = colon ? (size_t)(colon - spec) : 0;

    if (!opts)
        opts = &none;
    for (size_t i = 0; i < ARRAY_LEN(kinds); i++) {
        if (strlen(kinds[i]->scheme) != size || memcmp(kinds[i]->scheme, spec, size) != 0)
            continue;
        eye_source *source;
        int r = kinds[i]->open(colon + 1, opts, &source, reterr);
        if (r < 0)
            return r;
        source->kind = kinds[i];
        source->snaplen = opts->snaplen ? opts->snaplen : EYE_SNAPLEN_MAX;
        if (opts->filter && !source->filters)
            r = filter_new(opts->filter, source->link, &source->filter, reterr);
        if (r < 0) {
            eye_source_free(source);
            return r;
        }
        *ret_source = source;
        return 0;
    }
    return err_set(reterr, EYE_ESYNTAX, EYE_FAIL_USAGE,
                   "'%s' is no source: live:IF, file:PATH, ip:PROTO, packet:IF", spec);
}

int eye_source_next(eye_source *source, struct eye_packet *ret_packet, struct eye_err *reterr) {
    struct eye_packet packet;
    int r;
    while ((r = source->kind->next(source, &packet, reterr)) > 0) {
        packet.number = ++source->stats.captured;
        if (source->filter && (r = filter_passes(source->filter, &packet, reterr)) <= 0) {
            if (r < 0)
                return r;
            continue;
        }
        if (packet.caplen > source->snaplen)
            packet.caplen = source->snaplen;
        source->stats.passed++;
        *ret_packet = packet;
        return 1;
    }
    return r;
}

int eye_source_fd(const eye_source *source) {
    return source->fd;
}

int eye_source_link(const eye_source *source) {
    return source->link;
}

bool eye_source_is_nano(const eye_source *source) {
    return source->nano;
}

void eye_source_stats(eye_source *source, struct eye_source_stats *ret_stats) {
    if (source->kind->drops)
        source->kind->drops(source, &source->stats);
    *ret_stats = source->stats;
}

eye_source *eye_source_free(eye_source *source) {
    if (!source)
        return NULL;
    filter_free(source->filter);
    source->kind->free(source);
    return NULL;
}
