/* tcp.c: TCP, RFC 9293, with the options of RFC 7323, 2018, 5925, 6994, 7413, 8684 and 5482.
 *
 * Numbers stand as they are on the wire: sequence numbers absolute, the window unscaled. */
#include "wire/wire.h"

enum { TCP_SIZE = 20, TCP_CHECKSUM_OFF = 16 };

enum {
    TCP_SRC_PORT,
    TCP_DST_PORT,
    TCP_SEQ,
    TCP_ACK,
    TCP_HDR_LEN,
    TCP_FIN,
    TCP_SYN,
    TCP_RST,
    TCP_PSH,
    TCP_ACK_FLAG,
    TCP_URG,
    TCP_ECE,
    TCP_CWR,
    TCP_AE,
    TCP_FLAGS,
    TCP_FLAGS_TEXT,
    TCP_WINDOW,
    TCP_CHECKSUM,
    TCP_CHECKSUM_OK,
    TCP_URGENT,
    TCP_OPTIONS,
    TCP_OPTION,
    TCP_OPTION_KIND,
    TCP_OPTION_MSS,
    TCP_OPTION_SHIFT,
    TCP_OPTION_BLOCKS,
    TCP_OPTION_BLOCK,
    TCP_OPTION_LEFT,
    TCP_OPTION_RIGHT,
    TCP_OPTION_TSVAL,
    TCP_OPTION_TSECR,
    TCP_OPTION_MINUTES,
    TCP_OPTION_VALUE,
    TCP_OPTION_SUBTYPE,
    TCP_OPTION_COOKIE,
    TCP_OPTION_EXID,
    TCP_OPTION_DATA,
};

/* https://www.iana.org/assignments/tcp-parameters */
enum {
    KIND_MSS = 2,
    KIND_WSCALE = 3,
    KIND_SACK_PERMITTED = 4,
    KIND_SACK = 5,
    KIND_TIMESTAMPS = 8,
    KIND_USER_TIMEOUT = 28,
    KIND_MPTCP = 30,
    KIND_FAST_OPEN = 34,
    KIND_EXPERIMENT_1 = 253,
    KIND_EXPERIMENT_2 = 254,
};

static const struct wire_word kinds[] = {
    {1, "nop"},          {2, "mss"},        {3, "wscale"},     {4, "sack-permitted"},
    {5, "sack"},         {8, "timestamps"}, {19, "md5"},       {28, "user-timeout"},
    {29, "ao"},          {30, "mptcp"},     {34, "fast-open"}, {253, "experiment"},
    {254, "experiment"}, {0, NULL},
};

static const struct wire_row rows[] = {
    [TCP_SRC_PORT] = {"src_port", "Source Port", EYE_KIND_UINT, 0, 2},
    [TCP_DST_PORT] = {"dst_port", "Destination Port", EYE_KIND_UINT, 2, 2},
    [TCP_SEQ] = {"seq", "Sequence Number", EYE_KIND_UINT, 4, 4},
    [TCP_ACK] = {"ack", "Acknowledgment Number", EYE_KIND_UINT, 8, 4},
    [TCP_HDR_LEN] = {"hdr_len", "Data offset", EYE_KIND_UINT, 12, 1, .shift = 4, .scale = 2},
    [TCP_FIN] = {NULL, "FIN", EYE_KIND_UINT, 13, 1, .shift = 0, .bits = 1, .in_place = true},
    [TCP_SYN] = {NULL, "SYN", EYE_KIND_UINT, 13, 1, .shift = 1, .bits = 1, .in_place = true},
    [TCP_RST] = {NULL, "RST", EYE_KIND_UINT, 13, 1, .shift = 2, .bits = 1, .in_place = true},
    [TCP_PSH] = {NULL, "PSH", EYE_KIND_UINT, 13, 1, .shift = 3, .bits = 1, .in_place = true},
    [TCP_ACK_FLAG] = {NULL, "ACK", EYE_KIND_UINT, 13, 1, .shift = 4, .bits = 1, .in_place = true},
    [TCP_URG] = {NULL, "URG", EYE_KIND_UINT, 13, 1, .shift = 5, .bits = 1, .in_place = true},
    [TCP_ECE] = {NULL, "ECE", EYE_KIND_UINT, 13, 1, .shift = 6, .bits = 1, .in_place = true},
    [TCP_CWR] = {NULL, "CWR", EYE_KIND_UINT, 13, 1, .shift = 7, .bits = 1, .in_place = true},
    [TCP_AE] = {NULL, "AE", EYE_KIND_UINT, 12, 2, .shift = 8, .bits = 1, .in_place = true},
    [TCP_FLAGS] = {"flags", NULL, EYE_KIND_UINT, 12, 2, .bits = 12},
    [TCP_FLAGS_TEXT] = {"flags_text", NULL, EYE_KIND_FLAGS, 12, 2, .bits = 12},
    [TCP_WINDOW] = {"window", "Window", EYE_KIND_UINT, 14, 2},
    [TCP_CHECKSUM] = {"checksum", "Checksum", EYE_KIND_UINT, TCP_CHECKSUM_OFF, 2},
    [TCP_CHECKSUM_OK] = {"checksum_ok", "Checksum is", EYE_KIND_SUM},
    [TCP_URGENT] = {"urgent", "Urgent Point", EYE_KIND_UINT, 18, 2},
    [TCP_OPTIONS] = {"options", "Options", EYE_KIND_LIST},
    [TCP_OPTION] = {NULL, "Option", EYE_KIND_GROUP},
    [TCP_OPTION_KIND] = {"kind", "Kind", EYE_KIND_UINT, .words = kinds, .word_too = true},
    [TCP_OPTION_MSS] = {"mss", "Maximum segment size", EYE_KIND_UINT},
    [TCP_OPTION_SHIFT] = {"shift", "Shift", EYE_KIND_UINT},
    [TCP_OPTION_BLOCKS] = {"blocks", "Blocks", EYE_KIND_LIST},
    [TCP_OPTION_BLOCK] = {NULL, "Block", EYE_KIND_GROUP},
    [TCP_OPTION_LEFT] = {"left", "Left edge", EYE_KIND_UINT},
    [TCP_OPTION_RIGHT] = {"right", "Right edge", EYE_KIND_UINT},
    [TCP_OPTION_TSVAL] = {"tsval", "Time stamp", EYE_KIND_UINT},
    [TCP_OPTION_TSECR] = {"tsecr", "Echo reply", EYE_KIND_UINT},
    [TCP_OPTION_MINUTES] = {"minutes", "In minutes", EYE_KIND_UINT},
    [TCP_OPTION_VALUE] = {"timeout", "Timeout", EYE_KIND_UINT},
    [TCP_OPTION_SUBTYPE] = {"subtype", "Subtype", EYE_KIND_UINT},
    [TCP_OPTION_COOKIE] = {"cookie", "Cookie", EYE_KIND_BYTES},
    [TCP_OPTION_EXID] = {"exid", "Experiment", EYE_KIND_UINT},
    [TCP_OPTION_DATA] = {"data", "Data", EYE_KIND_BYTES},
};

static void sack_blocks(struct wire *w, struct view *body) {
    wire_item(w, TCP_OPTION_BLOCKS, 2, body->pos, view_left(body), 0);
    while (view_left(body) >= 8) {
        wire_item(w, TCP_OPTION_BLOCK, 3, body->pos, 8, 0);
        wire_item(w, TCP_OPTION_LEFT, 4, body->pos, 4, view_be32(body));
        wire_item(w, TCP_OPTION_RIGHT, 4, body->pos, 4, view_be32(body));
    }
}

/* The body of an option. What has not the length that its kind has is shown as bytes. */
static void option_body(struct wire *w, uint8_t kind, struct view *body) {
    uint32_t off = body->pos, size = view_left(body);

    if (kind == KIND_TIMESTAMPS && size == 8) {
        wire_item(w, TCP_OPTION_TSVAL, 2, off, 4, view_be32(body));
        wire_item(w, TCP_OPTION_TSECR, 2, off + 4, 4, view_be32(body));
    } else if (kind == KIND_MSS && size == 2) {
        wire_item(w, TCP_OPTION_MSS, 2, off, 2, view_be16(body));
    } else if (kind == KIND_WSCALE && size == 1) {
        wire_item(w, TCP_OPTION_SHIFT, 2, off, 1, view_u8(body));
    } else if (kind == KIND_SACK && size % 8 == 0) {
        sack_blocks(w, body);
    } else if (kind == KIND_USER_TIMEOUT && size == 2) {
        uint16_t timeout = view_be16(body);
        wire_item(w, TCP_OPTION_MINUTES, 2, off, 2, timeout >> 15);
        wire_item(w, TCP_OPTION_VALUE, 2, off, 2, timeout & 0x7fff);
    } else if (kind == KIND_FAST_OPEN) {
        wire_item(w, TCP_OPTION_COOKIE, 2, off, size, 0);
    } else if ((kind == KIND_EXPERIMENT_1 || kind == KIND_EXPERIMENT_2) && size >= 2) {
        wire_item(w, TCP_OPTION_EXID, 2, off, 2, view_be16(body));
        wire_item(w, TCP_OPTION_DATA, 2, off + 2, size - 2, 0);
    } else if (size > 0) {
        if (kind == KIND_MPTCP)
            wire_item(w, TCP_OPTION_SUBTYPE, 2, off, 1, body->data[off] >> 4);
        wire_item(w, TCP_OPTION_DATA, 2, off, size, 0);
    }
}

/* The header's length field has 4 bits: there are at most 40 options. */
static void options(struct wire *w, struct view *view) {
    struct view body;
    uint8_t kind;
    wire_item(w, TCP_OPTIONS, 0, view->pos, view_left(view), 0);
    while (wire_option(w, view, TCP_OPTION, &kind, &body))
        option_body(w, kind, &body);
}

static const struct wire_dissector *what_follows(struct wire *w, uint16_t src_port, uint16_t dst_port) {
    if (view_left(&w->view) == 0)
        return NULL;
    const struct wire_dissector *next = wire_bound(WIRE_TCP_PORT, dst_port);
    if (!next)
        next = wire_bound(WIRE_TCP_PORT, src_port);
    return next ? next : wire_guess(w->view.data + w->view.pos, view_left(&w->view));
}

static const struct wire_dissector *dissect(struct wire *w) {
    struct view segment = w->view;
    const uint8_t *h = wire_header(w, &wire_tcp, TCP_SIZE);
    if (!h)
        return NULL;
    uint32_t hdr_len = (h[12] >> 4) * 4U;
    if (hdr_len < TCP_SIZE) {
        wire_malformed(w, "header length below 20");
        wire_payload(w);
        return NULL;
    }
    if (w->flags & EYE_DISSECT_VERIFY)
        w->layer->sum = (uint8_t)wire_transport_sum(w, &segment, 6, TCP_CHECKSUM_OFF);
    if (hdr_len > TCP_SIZE) {
        struct view option_view = view_part(&w->view, hdr_len - TCP_SIZE);
        wire_extend(w);
        options(w, &option_view);
        if (w->view.short_) {
            wire_short(w, &w->view);
            return NULL;
        }
    }
    wire_payload(w);
    return what_follows(w, be16(h), be16(h + 2));
}

static const struct wire_bind binds[] = {{WIRE_IP_PROTO, 6}};

const struct wire_dissector wire_tcp = {
    .name = "tcp",
    .title = "TCP_HEADER",
    .proto = EYE_PROTO_TCP,
    .dissect = dissect,
    WIRE_ROWS(rows),
    WIRE_BINDS(binds),
};
