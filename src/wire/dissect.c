/* dissect.c: the road through a packet, and what dissectors mark on it. See wire.h. */
#include "wire/wire.h"

int eye_dissect(const struct eye_packet *packet, unsigned flags, struct eye_tree *tree) {
    wire_bind();
    tree->layer_count = tree->item_count = 0;
    tree->truncated = tree->malformed = tree->malformed_where = NULL;

    uint32_t whole = packet->len > packet->caplen ? packet->len : packet->caplen;
    struct wire w = {
        .tree = tree,
        .packet = packet,
        .where = "frame",
        .view = {.data = packet->data, .end = packet->caplen, .whole = whole},
        .flags = flags,
    };
    const struct wire_dissector *dissector = wire_next(&w, WIRE_LINK, packet->link);
    while (dissector)
        dissector = dissector->dissect(&w);
    if (w.has_payload) {
        w.view = w.payload;
        wire_payload_layer.dissect(&w);
    }
    return tree->layer_count;
}

const uint8_t *wire_header(struct wire *w, const struct wire_dissector *dissector, uint32_t size) {
    struct eye_tree *tree = w->tree;
    uint32_t left = view_left(&w->view);
    w->where = dissector->name;
    if (tree->layer_count == EYE_LAYER_MAX) {
        wire_malformed(w, "too many headers");
        return NULL;
    }
    if (left == 0 && size > 0) {
        view_bytes(&w->view, size);
        wire_short(w, &w->view);
        return NULL;
    }
    struct eye_layer *layer = &tree->layer[tree->layer_count++];
    *layer = (struct eye_layer){
        .proto = (uint8_t)dissector->proto,
        .level = w->level,
        .nest = w->nest,
        .item = tree->item_count,
        .off = w->view.pos,
        .len = size < left ? size : left,
    };
    w->layer = layer;
    w->nest = EYE_NEST_NONE;
    const uint8_t *header = view_bytes(&w->view, size);
    if (!header)
        wire_short(w, &w->view);
    return header;
}

void wire_malformed(struct wire *w, const char *why) {
    if (w->tree->malformed)
        return;
    w->tree->malformed = why;
    w->tree->malformed_where = w->where;
}

void wire_full(struct wire *w) {
    wire_malformed(w, "more fields than are kept");
}

void wire_short(struct wire *w, const struct view *view) {
    if (view->short_ <= view->whole) {
        if (!w->tree->truncated)
            w->tree->truncated = w->where;
    } else if (!w->quoted && !w->partial) {
        wire_malformed(w, "ends too soon");
    }
}

void wire_limit(struct wire *w, uint32_t size) {
    if (!view_limit(&w->view, size) && !w->quoted && !w->partial)
        wire_malformed(w, "length beyond the packet");
}

bool wire_option(struct wire *w, struct view *options, unsigned row, uint8_t *ret_kind,
                 struct view *ret_body) {
    const uint32_t off = options->pos, left = view_left(options);
    const uint8_t *at = options->data + off;
    if (left == 0 || at[0] == 0)
        return false;
    const uint32_t taken = at[0] == 1 ? 1 : 2, size = at[0] == 1 ? 1 : left > 1 ? at[1] : taken;
    if (size < taken) {
        wire_malformed(w, "option length below 2");
        return false;
    }
    if (!view_bytes(options, size)) {
        wire_short(w, options);
        return false;
    }
    *ret_body =
        (struct view){.data = options->data, .pos = off + taken, .end = off + size, .whole = off + size};
    wire_item(w, row, 1, off, size, 0);
    wire_item(w, row + 1, 2, off, 1, at[0]);
    *ret_kind = at[0];
    return true;
}

bool wire_nest(struct wire *w, enum eye_nest nest) {
    if (w->level == WIRE_NESTED_MAX) {
        wire_malformed(w, "nested too deeply");
        wire_payload(w);
        return false;
    }
    w->level++;
    w->nest = (uint8_t)nest;
    w->quoted = w->quoted || nest == EYE_NEST_QUOTED;
    return true;
}

const struct wire_dissector *wire_next(struct wire *w, enum wire_table table, uint32_t num) {
    const struct wire_dissector *dissector = wire_bound(table, num);
    if (!dissector)
        wire_payload(w);
    return dissector;
}
