/* format.h: where text goes that a packet becomes. */
#ifndef SOCKEYE_WIRE_FORMAT_H
#define SOCKEYE_WIRE_FORMAT_H

#include "wire/wire.h"

/* Text that is being written. What does not fit is left out and remembered. */
struct out {
    char *pos, *end;
    bool full;
};

/* Whether size bytes fit, which may then be put at pos without a check. */
static inline bool out_fits(struct out *out, size_t size) {
    if (size <= (size_t)(out->end - out->pos))
        return true;
    out->full = true;
    return false;
}

static inline void out_bytes(struct out *out, const char *text, size_t size) {
    if (!out_fits(out, size))
        return;
    memcpy(out->pos, text, size);
    out->pos += size;
}
/* In line always, so that what a constant's length is need not be asked again for each packet. */
__attribute__((always_inline)) static inline void out_text(struct out *out, const char *text) {
    out_bytes(out, text, strlen(text));
}
static inline void out_char(struct out *out, char c) {
    if (out_fits(out, 1))
        *out->pos++ = c;
}
static inline void out_uint(struct out *out, uint64_t num) {
    if (out_fits(out, 20))
        out->pos = wire_put_uint(out->pos, num);
}

/* A packet's time: seconds of the day as a line shows them, or the whole of it as in JSON. */
enum { FORMAT_TIME_MAX = 40 };
char *format_time_line(char *pos, const struct eye_look *look, int64_t time_ns);
char *format_time_utc(char *pos, int64_t time_ns, unsigned digits);

/* "ethernet", or NULL. */
const char *format_link_name(uint32_t link);

typedef void format_style(struct out *out, const struct eye_tree *tree, const struct eye_packet *packet,
                          const struct eye_look *look);
format_style format_line, format_detail, format_json;

#endif
