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
    [TCP_SRC_PORT] = WIRE_FIXED("src_port", "Source Port", UINT, 0, 2),
    [TCP_DST_PORT] = WIRE_FIXED("dst_port", "Destination Port", UINT, 2, 2),
    [TCP_SEQ] = WIRE_FIXED("seq", "Sequence Number", UINT, 4, 4),
    [TCP_ACK] = WIRE_FIXED("ack", "Acknowledgment Number", UINT, 8, 4),
    [TCP_HDR_LEN] = WIRE_FIXED("hdr_len", "Data offset", UINT, 12, 1, .shift = 4, .scale = 2),
    [TCP_FIN] = WIRE_FIXED(NULL, "FIN", UINT, 13, 1, .shift = 0, .bits = 1, .in_place = true),
    [TCP_SYN] = WIRE_FIXED(NULL, "SYN", UINT, 13, 1, .shift = 1, .bits = 1, .in_place = true),
    [TCP_RST] = WIRE_FIXED(NULL, "RST", UINT, 13, 1, .shift = 2, .bits = 1, .in_place = true),
    [TCP_PSH] = WIRE_FIXED(NULL, "PSH", UINT, 13, 1, .shift = 3, .bits = 1, .in_place = true),
    [TCP_ACK_FLAG] = WIRE_FIXED(NULL, "ACK", UINT, 13, 1, .shift = 4, .bits = 1, .in_place = true),
    [TCP_URG] = WIRE_FIXED(NULL, "URG", UINT, 13, 1, .shift = 5, .bits = 1, .in_place = true),
    [TCP_ECE] = WIRE_FIXED(NULL, "ECE", UINT, 13, 1, .shift = 6, .bits = 1, .in_place = true),
    [TCP_CWR] = WIRE_FIXED(NULL, "CWR", UINT, 13, 1, .shift = 7, .bits = 1, .in_place = true),
    [TCP_AE] = WIRE_FIXED(NULL, "AE", UINT, 12, 2, .shift = 8, .bits = 1, .in_place = true),
    [TCP_FLAGS] = WIRE_FIXED("flags", NULL, UINT, 12, 2, .bits = 12),
    [TCP_FLAGS_TEXT] = WIRE_FIXED("flags_text", NULL, FLAGS, 12, 2, .bits = 12),
    [TCP_WINDOW] = WIRE_FIXED("window", "Window", UINT, 14, 2),
    [TCP_CHECKSUM] = WIRE_FIXED("checksum", "Checksum", UINT, TCP_CHECKSUM_OFF, 2),
    [TCP_CHECKSUM_OK] = WIRE_MOVING("checksum_ok", "Checksum is", SUM),
    [TCP_URGENT] = WIRE_FIXED("urgent", "Urgent Point", UINT, 18, 2),
    [TCP_OPTIONS] = WIRE_MOVING("options", "Options", LIST),
    [TCP_OPTION] = WIRE_MOVING(NULL, "Option", GROUP),
    [TCP_OPTION_KIND] = WIRE_MOVING("kind", "Kind", UINT, .words = kinds, .word_too = true),
    [TCP_OPTION_MSS] = WIRE_MOVING("mss", "Maximum segment size", UINT),
    [TCP_OPTION_SHIFT] = WIRE_MOVING("shift", "Shift", UINT),
    [TCP_OPTION_BLOCKS] = WIRE_MOVING("blocks", "Blocks", LIST),
    [TCP_OPTION_BLOCK] = WIRE_MOVING(NULL, "Block", GROUP),
    [TCP_OPTION_LEFT] = WIRE_MOVING("left", "Left edge", UINT),
    [TCP_OPTION_RIGHT] = WIRE_MOVING("right", "Right edge", UINT),
    [TCP_OPTION_TSVAL] = WIRE_MOVING("tsval", "Time stamp", UINT),
    [TCP_OPTION_TSECR] = WIRE_MOVING("tsecr", "Echo reply", UINT),
    [TCP_OPTION_MINUTES] = WIRE_MOVING("minutes", "In minutes", UINT),
    [TCP_OPTION_VALUE] = WIRE_MOVING("timeout", "Timeout", UINT),
    [TCP_OPTION_SUBTYPE] = WIRE_MOVING("subtype", "Subtype", UINT),
    [TCP_OPTION_COOKIE] = WIRE_MOVING("cookie", "Cookie", BYTES),
    [TCP_OPTION_EXID] = WIRE_MOVING("exid", "Experiment", UINT),
    [TCP_OPTION_DATA] = WIRE_MOVING("data", "Data", BYTES),
};

static void sack_blocks(struct wire *w, struct view *body) {
    wire_item(w, TCP_OPTION_BLOCKS, 2, body->pos, view_left(body), 0);
    while (view_left(body) >= 8) {
        wire_item(w, TCP_OPTION_BLOCK, 3, body->pos, 8, 0);
        wire_read(w, body, TCP_OPTION_LEFT, 4, 4);
        wire_read(w, body, TCP_OPTION_RIGHT, 4, 4);
    }
}

/* The body of an option. What has not the length that its kind has is shown as bytes. */
static void option_body(struct wire *w, uint8_t kind, struct view *body) {
    uint32_t off = body->pos, size = view_left(body);

    if (kind == KIND_TIMESTAMPS && size == 8) {
        wire_read(w, body, TCP_OPTION_TSVAL, 2, 4);
        wire_read(w, body, TCP_OPTION_TSECR, 2, 4);
    } else if (kind == KIND_MSS && size == 2) {
        wire_read(w, body, TCP_OPTION_MSS, 2, 2);
    } else if (kind == KIND_WSCALE && size == 1) {
        wire_read(w, body, TCP_OPTION_SHIFT, 2, 1);
    } else if (kind == KIND_SACK && size % 8 == 0) {
        sack_blocks(w, body);
    } else if (kind == KIND_USER_TIMEOUT && size == 2) {
        uint16_t timeout = view_be16(body);
        wire_item(w, TCP_OPTION_MINUTES, 2, off, 2, timeout >> 15);
        wire_item(w, TCP_OPTION_VALUE, 2, off, 2, timeout & 0x7fff);
    } else if (kind == KIND_FAST_OPEN) {
        wire_item(w, TCP_OPTION_COOKIE, 2, off, size, 0);
    } else if ((kind == KIND_EXPERIMENT_1 || kind == KIND_EXPERIMENT_2) && size >= 2) {
        wire_read(w, body, TCP_OPTION_EXID, 2, 2);
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
