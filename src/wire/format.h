/* format.h: where text goes that a packet becomes. */
#ifndef SOCKEYE_WIRE_FORMAT_H
#define SOCKEYE_WIRE_FORMAT_H

#include "wire/wire.h"

/* Text that is being written. What does not fit is left out and remembered. */
struct out {
    char *pos, *end;
    bool full;
};

static inline void out_bytes(struct out *out, const char *text, size_t size) {
    if (size > (size_t)(out->end - out->pos)) {
        out->full = true;
        return;
    }
    memcpy(out->pos, text, size);
    out->pos += size;
}
static inline void out_text(struct out *out, const char *text) {
    out_bytes(out, text, strlen(text));
}
static inline void out_char(struct out *out, char c) {
    out_bytes(out, &c, 1);
}

typedef void format_style(struct out *out, const struct eye_tree *tree, const struct eye_packet *packet);
format_style format_line, format_detail, format_json;

#endif
