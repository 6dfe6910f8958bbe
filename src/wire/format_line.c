/* format_line.c: a packet as one line: its headers, and the fields of the last. */
#include "wire/format.h"

void format_line(struct out *out, const struct eye_tree *tree, const struct eye_packet *packet) {
    struct eye_cursor cursor = {0};
    struct eye_field field;
    char text[WIRE_NAME_TEXT_MAX];
    int layer = -1;

    while (eye_tree_next(tree, packet, &cursor, &field)) {
        if (field.layer != layer) {
            layer = field.layer;
            if (layer > 0)
                out_char(out, ' ');
            out_text(out, eye_proto_name(tree->layer[layer].proto));
        }
        if (!field.name || field.kind == EYE_KIND_LIST)
            continue;
        out_char(out, ' ');
        out_text(out, field.name);
        out_char(out, ' ');
        out_bytes(out, text, eye_field_text(packet, &field, text, sizeof(text)));
    }
    out_char(out, '\n');
}
