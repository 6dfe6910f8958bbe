/* igmp.c: IGMP, RFC 1112, 2236 and 3376. A query of version 3 is one that is longer than 8 bytes. */
#include "wire/wire.h"

enum { IGMP_SIZE = 8, QUERY = 0x11, REPORT_3 = 0x22 };

enum {
    IGMP_TYPE,
    IGMP_MAX_RESP,
    IGMP_CHECKSUM,
    IGMP_CHECKSUM_OK,
    IGMP_GROUP,
    IGMP_SUPPRESS,
    IGMP_QRV,
    IGMP_QQIC,
    IGMP_SOURCES,
    IGMP_SOURCE,
    IGMP_RECORDS,
    IGMP_RECORD,
    IGMP_RECORD_TYPE,
    IGMP_RECORD_GROUP,
};

static const struct wire_word types[] = {{QUERY, "membership query"},        {0x12, "membership report v1"},
                                         {0x16, "membership report v2"},     {0x17, "leave group"},
                                         {REPORT_3, "membership report v3"}, {0, NULL}};

const struct wire_word wire_group_records[] = {{1, "is-include"}, {2, "is-exclude"}, {3, "to-include"},
                                               {4, "to-exclude"}, {5, "allow-new"},  {6, "block-old"},
                                               {0, NULL}};

static const struct wire_row rows[] = {
    [IGMP_TYPE] = WIRE_FIXED("type", "Type", UINT, 0, 1, .words = types),
    [IGMP_MAX_RESP] = WIRE_FIXED("max_resp", "Max response time", UINT, 1, 1),
    [IGMP_CHECKSUM] = WIRE_FIXED("checksum", "Checksum", UINT, 2, 2),
    [IGMP_CHECKSUM_OK] = WIRE_MOVING("checksum_ok", "Checksum is", SUM),
    [IGMP_GROUP] = WIRE_MOVING("group", "Group", IP4),
    [IGMP_SUPPRESS] = WIRE_MOVING("suppress", "Suppress", UINT),
    [IGMP_QRV] = WIRE_MOVING("qrv", "Robustness", UINT),
    [IGMP_QQIC] = WIRE_MOVING("qqic", "Query interval code", UINT),
    [IGMP_SOURCES] = WIRE_MOVING("sources", "Sources", LIST),
    [IGMP_SOURCE] = WIRE_MOVING("source", "Source", IP4),
    [IGMP_RECORDS] = WIRE_MOVING("records", "Records", LIST),
    [IGMP_RECORD] = WIRE_MOVING(NULL, "Record", GROUP),
    [IGMP_RECORD_TYPE] = WIRE_MOVING("type", "Type", UINT, .words = wire_group_records, .word_too = true),
    [IGMP_RECORD_GROUP] = WIRE_MOVING("group", "Group", IP4),
};

static void sources(struct wire *w, unsigned depth, uint16_t count) {
    wire_item(w, IGMP_SOURCES, depth, w->view.pos, 0, 0);
    while (count-- > 0 && view_bytes(&w->view, 4))
        wire_num(w, IGMP_SOURCE, depth + 1, 4, 0);
}

static void query(struct wire *w) {
    uint8_t flags = view_u8(&w->view), qqic = view_u8(&w->view);
    uint16_t count = view_be16(&w->view);
    if (w->view.short_)
        return;
    wire_item(w, IGMP_SUPPRESS, 0, w->view.pos - 4, 1, flags >> 3 & 1);
    wire_item(w, IGMP_QRV, 0, w->view.pos - 4, 1, flags & 7);
    wire_item(w, IGMP_QQIC, 0, w->view.pos - 3, 1, qqic);
    sources(w, 0, count);
}

static void records(struct wire *w, uint16_t count) {
    wire_item(w, IGMP_RECORDS, 0, w->view.pos, 0, 0);
    for (uint16_t i = 0; i < count; i++) {
        uint32_t off = w->view.pos;
        uint8_t type = view_u8(&w->view), words = view_u8(&w->view);
        uint16_t source_count = view_be16(&w->view);
        if (!view_bytes(&w->view, 4))
            return;
        if (i == WIRE_OPTIONS_MAX) {
            wire_malformed(w, "more than 64 records");
            return;
        }
        wire_item(w, IGMP_RECORD, 1, off, 8, 0);
        wire_item(w, IGMP_RECORD_TYPE, 2, off, 1, type);
        wire_item(w, IGMP_RECORD_GROUP, 2, off + 4, 4, 0);
        sources(w, 2, source_count);
        if (!view_bytes(&w->view, words * 4U))
            return;
    }
}

static const struct wire_dissector *dissect(struct wire *w) {
    struct view message = w->view;
    const uint8_t *h = wire_header(w, &wire_igmp, IGMP_SIZE);
    if (!h)
        return NULL;
    if (w->flags & EYE_DISSECT_VERIFY)
        w->layer->sum = (uint8_t)wire_plain_sum(w, &message);
    if (h[0] != REPORT_3)
        wire_item(w, IGMP_GROUP, 0, w->view.pos - 4, 4, 0);
    if (h[0] == REPORT_3)
        records(w, be16(h + 6));
    else if (h[0] == QUERY && view_left_whole(&w->view) > 0)
        query(w);
    else if (!wire_word_of(types, h[0]))
        wire_payload(w);
    wire_extend(w);
    if (w->view.short_)
        wire_short(w, &w->view);
    return NULL;
}

static const struct wire_bind binds[] = {{WIRE_IP_PROTO, 2}};

const struct wire_dissector wire_igmp = {
    .name = "igmp",
    .title = "IGMP_HEADER",
    .proto = EYE_PROTO_IGMP,
    .dissect = dissect,
    WIRE_ROWS(rows),
    WIRE_BINDS(binds),
};
