/* format_json.c: a packet as one JSON object on one line. */
#include "wire/format.h"

static void value(struct out *out, const struct eye_packet *packet, const struct eye_field *field) {
    char text[WIRE_NAME_TEXT_MAX];
    size_t len = eye_field_text(packet, field, text, sizeof(text));
    bool bare = field->kind == EYE_KIND_UINT;
    if (!bare)
        out_char(out, '"');
    for (size_t i = 0; i < len; i++) {
        if (!bare && (text[i] == '"' || text[i] == '\\'))
            out_char(out, '\\');
        out_char(out, text[i]);
    }
    if (!bare)
        out_char(out, '"');
}

void format_json(struct out *out, const struct eye_tree *tree, const struct eye_packet *packet) {
    struct eye_cursor cursor = {0};
    struct eye_field field;
    int layer = -1;

    out_text(out, "{\"v\":1");
    while (eye_tree_next(tree, packet, &cursor, &field)) {
        if (field.layer != layer) {
            out_text(out, layer < 0 ? ",\"" : "},\"");
            layer = field.layer;
            out_text(out, eye_proto_name(tree->layer[layer].proto));
            out_text(out, "\":{");
        } else if (field.name && field.depth == 0) {
            out_char(out, ',');
        }
        if (!field.name || field.depth > 0)
            continue;
        out_char(out, '"');
        out_text(out, field.name);
        out_text(out, "\":");
        value(out, packet, &field);
    }
    out_text(out, layer < 0 ? "}\n" : "}}\n");
}
