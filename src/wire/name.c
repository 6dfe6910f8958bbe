/* name.c: domain names as DNS packs them, RFC 1035 section 4.1.4.
 *
 * A name is a row of labels, each with its length before it, up to an empty one; a length with its two top
 * bits set is a pointer to the rest of the name elsewhere in the message. Pointers must lead backward, to
 * before the place where the part began that they end, so that no packet can send the reader in circles.
 *
 * Labels may hold any byte. As text, a dot or a backslash in a label has a backslash before it, and what is
 * not printable ASCII stands as \DDD, three decimal digits (RFC 1035 section 5.1). */
#include "wire/wire.h"

enum { LABEL_MAX = 63, NAME_MAX_BYTES = 255, POINTER = 0xc0 };

bool wire_name(struct view *view, uint32_t base, struct wire_name *ret_name) {
    struct view at = *view;
    uint32_t part = view->pos, bytes = 0;
    bool jumped = false;
    *ret_name = (struct wire_name){0};

    for (;;) {
        uint8_t length = view_u8(&at);
        if (length > LABEL_MAX) {
            uint32_t target = base + ((uint32_t)(length & ~POINTER) << 8 | view_u8(&at));
            if (!jumped)
                view->pos = at.pos;
            jumped = true;
            if (at.short_ || length < POINTER || target >= part)
                break;
            part = target;
            at.pos = target;
            continue;
        }
        const uint8_t *label = view_bytes(&at, length);
        bytes += length + 1U;
        if (at.short_ || bytes > NAME_MAX_BYTES)
            break;
        if (!jumped)
            view->pos = at.pos;
        if (length == 0)
            return true;
        ret_name->label[ret_name->count] = (uint32_t)(label - view->data);
        ret_name->size[ret_name->count++] = length;
    }
    view->short_ = view->short_ ? view->short_ : at.short_;
    return false;
}

static size_t char_text(uint8_t c, char out[4]) {
    if (c == '.' || c == '\\') {
        out[0] = '\\';
        out[1] = (char)c;
        return 2;
    }
    if (c > ' ' && c < 0x7f) {
        out[0] = (char)c;
        return 1;
    }
    out[0] = '\\';
    out[1] = (char)('0' + c / 100);
    out[2] = (char)('0' + c / 10 % 10);
    out[3] = (char)('0' + c % 10);
    return 4;
}

size_t wire_name_text(const struct eye_packet *packet, const struct eye_field *field, char *buf,
                      size_t size) {
    struct view view = {
        .data = packet->data, .pos = field->off, .end = packet->caplen, .whole = packet->caplen};
    struct wire_name name;
    size_t len = 0;

    if (!wire_name(&view, (uint32_t)field->num, &name))
        return 0;
    if (name.count == 0 && size > 1)
        buf[len++] = '.';
    for (uint32_t i = 0; i < name.count; i++) {
        for (uint32_t c = 0; c < name.size[i]; c++) {
            char text[4];
            size_t text_len = char_text(packet->data[name.label[i] + c], text);
            if (len + text_len + 2 > size)
                return len;
            memcpy(buf + len, text, text_len);
            len += text_len;
        }
        if (i + 1 < name.count)
            buf[len++] = '.';
    }
    return len;
}
