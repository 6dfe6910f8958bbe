/* format_detail.c: a packet as a block for each header, a line for each field. */
#include "wire/format.h"

void format_detail(struct out *out, const struct eye_tree *tree, const struct eye_packet *packet) {
    struct eye_cursor cursor = {0};
    struct eye_field field;
    char text[WIRE_NAME_TEXT_MAX];
    int layer = -1;

    while (eye_tree_next(tree, packet, &cursor, &field)) {
        if (field.layer != layer) {
            layer = field.layer;
            out_text(out, "------------ ");
            out_text(out, eye_proto_title(tree->layer[layer].proto));
            out_text(out, " --------------\n");
        }
        if (!field.title)
            continue;
        out_text(out, field.title);
        out_text(out, ": ");
        out_bytes(out, text, eye_field_text(packet, &field, text, sizeof(text)));
        out_char(out, '\n');
    }
}
