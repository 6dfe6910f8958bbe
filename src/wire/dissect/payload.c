/* payload.c: what the last header of the network or transport carries. A dissector of applications that reads
 * it too does not take it away: len and text are there for every packet that has a transport. */
#include "wire/wire.h"

enum { PAYLOAD_LEN, PAYLOAD_TEXT };

static const struct wire_row rows[] = {
    [PAYLOAD_LEN] = WIRE_MOVING("len", NULL, UINT),
    [PAYLOAD_TEXT] = WIRE_MOVING("text", NULL, TEXT),
};

/* len is what there was, text as much of it as was captured. */
static const struct wire_dissector *dissect(struct wire *w) {
    uint32_t off = w->view.pos, size = view_left(&w->view), whole = view_left_whole(&w->view);
    if (!wire_header(w, &wire_payload_layer, 0))
        return NULL;
    view_bytes(&w->view, size);
    wire_extend(w);
    wire_item(w, PAYLOAD_LEN, 0, off, size, whole);
    wire_item(w, PAYLOAD_TEXT, 0, off, size, 0);
    if (size < whole && !w->tree->truncated)
        w->tree->truncated = "payload";
    return NULL;
}

const struct wire_dissector wire_payload_layer = {
    .name = "payload",
    .title = "DATA",
    .proto = EYE_PROTO_PAYLOAD,
    .dissect = dissect,
    WIRE_ROWS(rows),
};
