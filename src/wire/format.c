/* format.c: the styles in which a packet is shown. */
#include <errno.h>

#include "wire/format.h"

int eye_tree_show(const struct eye_tree *tree, const struct eye_packet *packet, enum eye_style style,
                  const struct eye_look *look, char *buf, size_t size) {
    static const struct eye_look plain;
    static format_style *const styles[] = {
        [EYE_STYLE_LINE] = format_line,
        [EYE_STYLE_DETAIL] = format_detail,
        [EYE_STYLE_JSON] = format_json,
    };
    _Static_assert(ARRAY_LEN(styles) == EYE_STYLE_MAX, "a function for every style");
    struct out out = {.pos = buf, .end = buf + size};
    styles[style](&out, tree, packet, look ? look : &plain);
    return out.full ? -ENOSPC : (int)(out.pos - buf);
}

int eye_tree_format(const struct eye_tree *tree, const struct eye_packet *packet, enum eye_style style,
                    char *buf, size_t size) {
    const struct eye_look look = {.clock = EYE_CLOCK_UTC};
    return eye_tree_show(tree, packet, style, &look, buf, size);
}

const char *format_link_name(uint32_t link) {
    static const struct wire_word names[] = {
        {EYE_LINK_NULL, "null"}, {EYE_LINK_ETHERNET, "ethernet"}, {EYE_LINK_RAW, "raw"},
        {EYE_LINK_LOOP, "loop"}, {EYE_LINK_SLL, "sll"},           {EYE_LINK_IP4, "ip"},
        {EYE_LINK_IP6, "ip6"},   {EYE_LINK_SLL2, "sll2"},         {0, NULL},
    };
    return wire_word_of(names, link);
}
