/* format.c: the styles in which a packet is shown. */
#include <errno.h>

#include "wire/format.h"

int eye_tree_format(const struct eye_tree *tree, const struct eye_packet *packet, enum eye_style style,
                    char *buf, size_t size) {
    static format_style *const styles[] = {
        [EYE_STYLE_LINE] = format_line,
        [EYE_STYLE_DETAIL] = format_detail,
        [EYE_STYLE_JSON] = format_json,
    };
    _Static_assert(ARRAY_LEN(styles) == EYE_STYLE_MAX, "a function for every style");
    struct out out = {.pos = buf, .end = buf + size};
    styles[style](&out, tree, packet);
    return out.full ? -ENOSPC : (int)(out.pos - buf);
}
