/* fuzz_dissect.c: any bytes as a packet of any link type, see packet.h. The tree must lie within what was
 * captured, and every field must have a text that is safe to show.
 *
 * The fuzzer itself takes ten times as long for an input as dissecting it, so each input is dissected as it
 * is and in VARIANT_COUNT variants: cut, or with a byte or a number changed. They depend on the input alone,
 * so that what is found can be found again. */
#include "packet.h"

enum { VARIANT_COUNT = 31, PACKET_MAX = 1 << 16 };

static void check_layers(const struct eye_tree *tree, const struct eye_packet *packet) {
    uint16_t items = 0;
    MUST(tree->layer_count <= EYE_LAYER_MAX && tree->item_count <= EYE_ITEM_MAX);
    for (uint16_t i = 0; i < tree->layer_count; i++) {
        const struct eye_layer *layer = &tree->layer[i];
        MUST(layer->proto < EYE_PROTO_MAX && eye_proto_name(layer->proto) && eye_proto_title(layer->proto));
        MUST(layer->off <= packet->caplen && layer->len <= packet->caplen - layer->off);
        MUST(layer->item == items && layer->level <= 8);
        items = (uint16_t)(items + layer->item_count);
    }
    MUST(items == tree->item_count);
    MUST(!tree->malformed == !tree->malformed_where);
}

static void check_fields(const struct eye_tree *tree, const struct eye_packet *packet) {
    static char text[4096];
    struct eye_cursor cursor = {0};
    struct eye_field field;
    uint8_t depth = 0, layer = 0;
    while (eye_tree_next(tree, packet, &cursor, &field)) {
        MUST(field.name || field.title || field.kind == EYE_KIND_GROUP);
        MUST(field.off <= packet->caplen && field.len <= packet->caplen - field.off);
        MUST(field.layer < tree->layer_count && field.layer >= layer);
        MUST(field.layer == layer ? field.depth <= depth + 1 : field.depth == 0);
        layer = field.layer;
        depth = field.depth;
        size_t len = eye_field_text(packet, &field, text, sizeof(text));
        MUST(len < sizeof(text) && text[len] == '\0' && fuzz_is_line(text));
    }
}

static void check(const uint8_t *data, size_t size, bool with_fields) {
    static struct eye_tree tree;
    struct eye_packet packet;
    unsigned flags;
    if (!fuzz_packet(data, size, &packet, &flags))
        return;
    int layers = eye_dissect(&packet, flags, &tree);
    MUST(layers == tree.layer_count);
    MUST(packet.link != FUZZ_LINK_UNKNOWN || layers == 1);
    check_layers(&tree, &packet);
    if (with_fields)
        check_fields(&tree, &packet);
}

/* xorshift, Marsaglia 2003. */
static uint32_t next(uint32_t *state) {
    *state ^= *state << 13;
    *state ^= *state >> 17;
    *state ^= *state << 5;
    return *state;
}

/* The input with one change, at the end of a block so that a read behind it shows. */
static void check_variant(const uint8_t *data, size_t size, uint32_t *state) {
    static uint8_t *block;
    if (!block)
        MUST((block = malloc(PACKET_MAX)));
    uint32_t how = next(state), at = FUZZ_HEAD_SIZE + next(state) % (uint32_t)(size - FUZZ_HEAD_SIZE);
    size_t left = how % 4 == 0 ? at : size;
    uint8_t *copy = block + PACKET_MAX - left;
    memcpy(copy, data, left);
    if (how % 4 == 1)
        copy[at] = (uint8_t)next(state);
    else if (how % 4 == 2)
        copy[at] ^= (uint8_t)(1U << (how >> 8) % 8);
    else if (how % 4 == 3)
        copy[at] = (uint8_t)(copy[at] + (how >> 8) % 9 - 4);
    check(copy, left, false);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    uint32_t state = 2463534242U ^ (uint32_t)size;
    if (size <= FUZZ_HEAD_SIZE || size > PACKET_MAX)
        return 0;
    check(data, size, true);
    for (size_t i = 0; i < size && i < 64; i++)
        state = (state ^ data[i]) * 16777619U;
    state |= 1;
    for (int i = 0; i < VARIANT_COUNT; i++)
        check_variant(data, size, &state);
    return 0;
}
