/* format_detail.c: a packet as a block for each header, a line for each field, named and shown as the cheat
 * sheet's sniffers do: types in hexadecimal, flags as the bit where it stands. What has a word has it beside
 * the number, and a length that is counted in words has the bytes too. */
#include "wire/format.h"

enum { BLOCK_WIDTH = 40, LINE_TEXT_MAX = 4096 };

static void block_title(struct out *out, const char *title) {
    static const char dashes[] = "----------------------------------------";
    size_t size = strlen(title) + 2, left = size < BLOCK_WIDTH ? (BLOCK_WIDTH - size) / 2 : 2;
    out_bytes(out, dashes, left);
    out_char(out, ' ');
    out_text(out, title);
    out_char(out, ' ');
    out_bytes(out, dashes, size < BLOCK_WIDTH ? BLOCK_WIDTH - size - left : 2);
    out_char(out, '\n');
}

static void frame(struct out *out, const struct eye_packet *packet) {
    const char *link = format_link_name(packet->link);
    block_title(out, "FRAME");
    out_text(out, "Number: ");
    out_uint(out, packet->number);
    out_text(out, "\nTime: ");
    if (out_fits(out, FORMAT_TIME_MAX))
        out->pos = format_time_utc(out->pos, packet->time_ns, 9);
    out_text(out, "\nLength: ");
    out_uint(out, packet->len);
    if (packet->caplen < packet->len) {
        out_text(out, " (captured ");
        out_uint(out, packet->caplen);
        out_char(out, ')');
    }
    out_text(out, "\nLink type: ");
    if (link)
        out_text(out, link);
    else
        out_uint(out, packet->link);
    out_char(out, '\n');
}

/* A number that says what follows is one of IEEE's or ARP's, which people know in hexadecimal. */
static bool is_type(const struct eye_field *field, uint8_t proto) {
    switch (proto) {
    case EYE_PROTO_ETH:
    case EYE_PROTO_VLAN:
    case EYE_PROTO_SLL:
    case EYE_PROTO_SLL2:
    case EYE_PROTO_ARP:
    case EYE_PROTO_GRE:
        return field->len == 2 && field->word;
    default:
        return false;
    }
}

static void number(struct out *out, const struct eye_packet *packet, const struct eye_field *field,
                   uint8_t proto) {
    if (is_type(field, proto) && out_fits(out, 4)) {
        const uint8_t bytes[] = {(uint8_t)(field->num >> 8), (uint8_t)field->num};
        out->pos = wire_put_hex(out->pos, bytes, 2);
    } else {
        out_uint(out, field->num >> field->scale);
    }
    if (field->scale) {
        out_text(out, " (");
        out_uint(out, field->num);
        out_text(out, " bytes)");
    }
    (void)packet;
}

/* Text of several lines stands on several lines, each with its escapes. */
static void payload(struct out *out, const uint8_t *data, size_t size) {
    char text[LINE_TEXT_MAX];
    for (size_t at = 0; at < size && !out->full;) {
        const uint8_t *newline = memchr(data + at, '\n', size - at);
        size_t piece = newline ? (size_t)(newline - data) + 1 - at : size - at;
        piece = MIN(piece, sizeof text / 10);
        out_bytes(out, text, eye_escape((const char *)data + at, piece, text, sizeof text));
        at += piece;
        if (at == size || data[at - 1] == '\n')
            out_char(out, '\n');
    }
}

static void value(struct out *out, const struct eye_packet *packet, const struct eye_field *field,
                  uint8_t proto) {
    char text[LINE_TEXT_MAX];
    if (field->kind == EYE_KIND_UINT)
        number(out, packet, field, proto);
    else
        out_bytes(out, text, eye_field_text(packet, field, text, sizeof text));
    if (field->word) {
        out_text(out, " (");
        out_text(out, field->word);
        out_char(out, ')');
    }
}

static void line(struct out *out, const struct eye_packet *packet, const struct eye_field *field,
                 uint8_t proto) {
    static const char spaces[] = "                ";
    if (!field->title)
        return;
    out_bytes(out, spaces, MIN(field->depth * 2U, sizeof spaces - 1));
    out_text(out, field->title);
    out_char(out, ':');
    if (field->kind != EYE_KIND_LIST && field->kind != EYE_KIND_GROUP) {
        out_char(out, ' ');
        value(out, packet, field, proto);
    }
    out_char(out, '\n');
}

static void marks(struct out *out, const struct eye_tree *tree) {
    if (tree->truncated) {
        out_text(out, "Truncated: the capture ends in ");
        out_text(out, tree->truncated);
        out_char(out, '\n');
    }
    if (tree->malformed) {
        out_text(out, "Malformed: ");
        out_text(out, tree->malformed);
        out_text(out, ", in ");
        out_text(out, tree->malformed_where);
        out_char(out, '\n');
    }
}

void format_detail(struct out *out, const struct eye_tree *tree, const struct eye_packet *packet,
                   const struct eye_look *look) {
    struct eye_cursor cursor = {0};
    struct eye_field field;
    int layer = -1;
    (void)look;

    frame(out, packet);
    while (eye_tree_next(tree, packet, &cursor, &field)) {
        uint8_t proto = tree->layer[field.layer].proto;
        if (proto == EYE_PROTO_PAYLOAD) {
            if (field.kind == EYE_KIND_TEXT && field.len > 0) {
                block_title(out, eye_proto_title(proto));
                payload(out, packet->data + field.off, field.len);
            }
            continue;
        }
        if (field.layer != layer) {
            layer = field.layer;
            block_title(out, eye_proto_title(proto));
        }
        line(out, packet, &field, proto);
    }
    marks(out, tree);
    out_char(out, '\n');
}
