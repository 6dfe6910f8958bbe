/* format_json.c: a packet as one JSON object (RFC 8259) on one line.
 *
 * A layer is an object with its fields in the order of its table, then those without a fixed place; lists and
 * groups among them follow from their depths. What a tunnel carries and an ICMP error quotes lies in an
 * object of its own, which stays open until the end. Strings hold no control character; a byte that is not
 * UTF-8 becomes U+FFFD. docs/packet-json.md has the names. */
#include <assert.h>
#include <pthread.h>

#include "wire/format.h"

enum { DEPTH_MAX = 256, NUMBER_MAX = 20 };

/* What stands before each field's value, `,"name":`, by protocol and row: made once, since writing it anew
 * from the tables takes longer than the value does. */
enum { ROWS_MAX = 96, KEY_MAX = 39 };
struct key {
    uint8_t size;
    char text[KEY_MAX];
};
static struct key keys[EYE_PROTO_MAX][ROWS_MAX];

/* The fields that a header may have without an item: those at a fixed place, and its checksum's. */
struct fixed {
    uint8_t row;
    uint8_t end; /* how long the header is at least where it has the field; 0: a checksum's */
    bool number; /* without a word, and as the rest says: what most of them are */
    uint8_t off, size, shift, scale;
    uint32_t mask;
};
static struct fixed fixed[EYE_PROTO_MAX][ROWS_MAX];
static uint8_t fixed_count[EYE_PROTO_MAX];

/* What a byte of a string becomes where it does not depend on those behind it; size 0: it does. */
static struct escape {
    char text[7];
    uint8_t size;
} escapes[256];

static pthread_once_t tables_once = PTHREAD_ONCE_INIT;

static void key_make(struct key *key, const char *name) {
    size_t size = strlen(name);
    assert(size + 4 <= KEY_MAX);
    key->size = (uint8_t)(size + 4);
    memcpy(key->text, ",\"", 2);
    memcpy(key->text + 2, name, size);
    memcpy(key->text + 2 + size, "\":", 2);
}

static struct fixed fixed_of(const struct wire_row *row, unsigned at) {
    return (struct fixed){
        .row = (uint8_t)at,
        .end = (uint8_t)(row->off + row->size),
        .number = row->kind == EYE_KIND_UINT && !row->word_too && !row->in_place &&
                  (row->size == 1 || row->size == 2 || row->size == 4),
        .off = row->off,
        .size = row->size,
        .shift = row->shift,
        .scale = row->scale,
        .mask = row->bits ? (UINT32_C(1) << row->bits) - 1 : UINT32_MAX,
    };
}

static void keys_make(void) {
    for (unsigned proto = 0; proto < EYE_PROTO_MAX; proto++) {
        const struct wire_dissector *dissector = wire_of((enum eye_proto)proto);
        assert(dissector->row_count <= ROWS_MAX);
        for (unsigned at = 0; at < dissector->row_count; at++) {
            const struct wire_row *row = &dissector->rows[at];
            if (!row->name)
                continue;
            key_make(&keys[proto][at], row->name);
            if (row->size > 0 || row->kind == EYE_KIND_SUM)
                fixed[proto][fixed_count[proto]++] = fixed_of(row, at);
        }
    }
}

static inline uint32_t fixed_num(const struct fixed *f, const uint8_t *header) {
    const uint8_t *at = header + f->off;
    uint32_t num = f->size == 1 ? *at : f->size == 2 ? be16(at) : be32(at);
    return (num >> f->shift & f->mask) << f->scale;
}

struct json {
    struct out *out;
    const struct eye_packet *packet;
    bool comma;
    unsigned nested; /* objects of tunnels and quotes that are open */
};

static inline void json_key(struct json *json, const char *name) {
    size_t size = strlen(name);
    struct out *out = json->out;
    if (!out_fits(out, size + 4))
        return;
    char *pos = out->pos;
    if (json->comma)
        *pos++ = ',';
    *pos++ = '"';
    pos = mempcpy(pos, name, size);
    *pos++ = '"';
    *pos++ = ':';
    out->pos = pos;
    json->comma = true;
}

static inline void json_field_key(struct json *json, const struct key *key) {
    struct out *out = json->out;
    unsigned skip = json->comma ? 0 : 1;
    if (!out_fits(out, KEY_MAX))
        return;
    memcpy(out->pos, key->text + skip, KEY_MAX - 1); /* all of it: a constant size costs less */
    out->pos += key->size - skip;
    json->comma = true;
}

/* Before a list's element. */
static inline void json_next(struct json *json) {
    if (json->comma)
        out_char(json->out, ',');
    json->comma = true;
}

static void json_open(struct json *json, char bracket) {
    out_char(json->out, bracket);
    json->comma = false;
}

static void json_close(struct json *json, char bracket) {
    out_char(json->out, bracket);
    json->comma = true;
}

static inline bool is_plain(uint8_t c) {
    return c >= ' ' && c < 0x7f && c != '"' && c != '\\';
}

static void json_point(struct out *out, const uint8_t *text, size_t size, size_t *ret_used) {
    static const char digits[] = "0123456789abcdef";
    uint32_t point = 0;
    size_t used = text_utf8(text, size, &point);
    *ret_used = used ? used : 1;
    if (!used) {
        out_bytes(out, "\\ufffd", 6);
    } else if (point == '"' || point == '\\') {
        out_char(out, '\\');
        out_char(out, (char)point);
    } else if (text_is_unsafe(point)) {
        const char unit[] = {'\\',
                             'u',
                             digits[point >> 12 & 15],
                             digits[point >> 8 & 15],
                             digits[point >> 4 & 15],
                             digits[point & 15]};
        out_bytes(out, unit, sizeof unit);
    } else {
        out_bytes(out, (const char *)text, used);
    }
}

/* Bytes from 0xc2 to 0xf4 may begin a character of several; no other depends on what follows. */
static void escapes_make(void) {
    for (unsigned c = 0; c < ARRAY_LEN(escapes); c++) {
        uint8_t text = (uint8_t)c;
        size_t used;
        struct out out = {.pos = escapes[c].text, .end = escapes[c].text + sizeof escapes[c].text};
        if (c >= 0xc2 && c <= 0xf4)
            continue;
        json_point(&out, &text, 1, &used);
        escapes[c].size = (uint8_t)(out.pos - escapes[c].text);
    }
}

static inline bool is_plain_word(uint64_t word) {
    const uint64_t ones = UINT64_C(0x0101010101010101), tops = ones * 0x80;
    uint64_t quote = word ^ ones * '"', slash = word ^ ones * '\\', del = word ^ ones * 0x7f;
    return !((word | (word - ones * ' ') | (quote - ones) | (slash - ones) | (del - ones)) & tops);
}

static void json_string(struct out *out, const uint8_t *text, size_t size) {
    size_t at = 0, used;
    out_char(out, '"');
    /* While any eight bytes fit as whatever they become, and so eight may be stored for each. */
    while (at < size && (size_t)(out->end - out->pos) >= 8 * sizeof(struct escape)) {
        const size_t end = MIN(at + 8, size);
        char *pos = out->pos;
        uint64_t word;
        if (end == at + sizeof word) {
            memcpy(&word, text + at, sizeof word);
            if (is_plain_word(word)) {
                memcpy(pos, &word, sizeof word);
                out->pos = pos + sizeof word;
                at = end;
                continue;
            }
        }
        for (; at < end; at++) {
            const struct escape escape = escapes[text[at]];
            if (escape.size == 0)
                break;
            memcpy(pos, &escape, sizeof escape);
            pos += escape.size;
        }
        out->pos = pos;
        if (at < end) {
            json_point(out, text + at, size - at, &used);
            at += used;
        }
    }
    for (; at < size && !out->full; at += used) {
        for (used = 0; at + used < size && is_plain(text[at + used]);)
            used++;
        if (used > 0)
            out_bytes(out, (const char *)text + at, used);
        else
            json_point(out, text + at, size - at, &used);
    }
    out_char(out, '"');
}

static void json_text(struct out *out, const char *text) {
    json_string(out, (const uint8_t *)text, strlen(text));
}

/* What is put between quotes as it stands: hexadecimal digits, addresses. */
static void json_hex(struct out *out, const uint8_t *data, uint32_t size) {
    if (!out_fits(out, 2 * (size_t)size + 2))
        return;
    *out->pos++ = '"';
    out->pos = wire_put_hex(out->pos, data, size);
    *out->pos++ = '"';
}

static void json_value(struct json *json, const struct eye_field *field) {
    struct out *out = json->out;
    if (field->kind == EYE_KIND_UINT) {
        out_uint(out, field->num);
        return;
    }
    const uint8_t *data = json->packet->data + field->off;
    char text[WIRE_NAME_TEXT_MAX];

    if (!out_fits(out, 80))
        return;
    switch ((enum eye_kind)field->kind) {
    case EYE_KIND_UINT:
        out->pos = wire_put_uint(out->pos, field->num);
        break;
    case EYE_KIND_INT:
        out->pos = wire_put_int(out->pos, (int64_t)field->num);
        break;
    case EYE_KIND_BOOL:
        out_text(out, field->num ? "true" : "false");
        break;
    case EYE_KIND_MAC:
        if (field->len > 20) {
            json_hex(out, data, field->len);
            break;
        }
        *out->pos++ = '"';
        out->pos = wire_put_mac(out->pos, data, field->len);
        *out->pos++ = '"';
        break;
    case EYE_KIND_IP4:
    case EYE_KIND_IP6:
        *out->pos++ = '"';
        out->pos = field->kind == EYE_KIND_IP4 ? wire_put_ip4(out->pos, data) : wire_put_ip6(out->pos, data);
        *out->pos++ = '"';
        break;
    case EYE_KIND_FLAGS:
        *out->pos++ = '"';
        out->pos = wire_put_tcp_flags(out->pos, (uint16_t)field->num);
        *out->pos++ = '"';
        break;
    case EYE_KIND_BYTES:
        json_hex(out, data, field->len);
        break;
    case EYE_KIND_TEXT:
        json_string(out, data, field->len);
        break;
    case EYE_KIND_NAME:
    case EYE_KIND_TIME:
    case EYE_KIND_SUM:
        json_string(out, (const uint8_t *)text, eye_field_text(json->packet, field, text, sizeof text));
        break;
    case EYE_KIND_LIST:
    case EYE_KIND_GROUP:
        break;
    }
}

/* A checksum's "..._ok" is true or false; what is neither has a word for it. */
static void json_sum(struct json *json, const struct eye_field *field) {
    static const char *const words[] = {[EYE_SUM_UNFINISHED] = "unfinished", [EYE_SUM_NONE] = "none"};
    if (field->num == EYE_SUM_OK || field->num == EYE_SUM_BAD) {
        json_key(json, field->name);
        out_text(json->out, field->num == EYE_SUM_OK ? "true" : "false");
    } else if (field->num < ARRAY_LEN(words) && words[field->num]) {
        json_key(json, "checksum_text");
        json_text(json->out, words[field->num]);
    }
}

/* The number's word, under the number's name with "_text" behind it. Words are our own and want no escapes.
 */
static void json_word(struct json *json, const char *word, const struct key *key) {
    struct out *out = json->out;
    if (!word || !out_fits(out, KEY_MAX + sizeof "_text"))
        return;
    memcpy(out->pos, key->text, key->size - 2U);
    memcpy(out->pos + key->size - 2, "_text\":\"", 8);
    out->pos += key->size + 6;
    out_text(out, word);
    out_char(out, '"');
}

static void json_number(struct json *json, const struct wire_row *row, const struct key *key, uint64_t num) {
    json_field_key(json, key);
    out_uint(json->out, num);
    if (row->word_too)
        json_word(json, wire_word_of(row->words, num), key);
}

/* Lists and groups that are open, by their depth. */
struct nesting {
    unsigned count;
    bool in_list;
    uint8_t depth[DEPTH_MAX];
    bool list[DEPTH_MAX];
};

static void nesting_close(struct nesting *nesting, struct json *json) {
    json_close(json, nesting->list[--nesting->count] ? ']' : '}');
    nesting->in_list = nesting->count > 0 && nesting->list[nesting->count - 1];
}

static void nesting_open(struct nesting *nesting, struct json *json, const struct eye_field *field) {
    nesting->in_list = field->kind == EYE_KIND_LIST;
    json_open(json, nesting->in_list ? '[' : '{');
    nesting->depth[nesting->count] = field->depth;
    nesting->list[nesting->count++] = nesting->in_list;
}

static void json_field(struct json *json, struct nesting *nesting, const struct eye_field *field,
                       const struct key *key) {
    bool in_list = nesting->in_list;
    if (field->kind == EYE_KIND_SUM) {
        json_sum(json, field);
        return;
    }
    if (!field->name && !in_list)
        return;
    if (in_list)
        json_next(json);
    else
        json_field_key(json, key);
    if (field->kind == EYE_KIND_LIST || field->kind == EYE_KIND_GROUP) {
        nesting_open(nesting, json, field);
        return;
    }
    json_value(json, field);
    if (!in_list)
        json_word(json, field->word, key);
}

/* The numbers of a level's tags, from its first one on. */
static void json_vlan(struct json *json, const struct eye_tree *tree, unsigned at) {
    struct eye_field field;
    uint8_t level = tree->layer[at].level;
    json_key(json, "vlan");
    json_open(json, '[');
    for (; at < tree->layer_count && tree->layer[at].level == level; at++) {
        struct eye_cursor cursor = {.layer = (uint16_t)at};
        if (tree->layer[at].proto != EYE_PROTO_VLAN)
            continue;
        while (eye_tree_next(tree, json->packet, &cursor, &field) && field.layer == at) {
            if (strcmp(field.name, "id") != 0)
                continue;
            json_next(json);
            out_uint(json->out, field.num);
        }
    }
    json_close(json, ']');
}

/* As eye_tree_next, without what this style does not need of a field. */
static struct eye_field json_of_row(const struct wire_row *row, uint64_t num) {
    return (struct eye_field){
        .name = row->name,
        .word = row->word_too ? wire_word_of(row->words, num) : NULL,
        .kind = row->kind,
        .num = num,
    };
}

/* The fields without an item. What most packets have most of is put through local variables. */
static void json_fixed(struct json *json, struct nesting *nesting, const struct eye_layer *layer,
                       const struct wire_row *rows) {
    const struct key *keys_of = keys[layer->proto];
    const uint8_t *header = json->packet->data + layer->off;
    struct out *out = json->out;
    char *pos = out->pos;
    unsigned skip = 1; /* the first one's comma */
    for (const struct fixed *f = fixed[layer->proto], *end = f + fixed_count[layer->proto]; f < end; f++) {
        if (f->end ? f->end > layer->len : layer->sum == EYE_SUM_UNKNOWN)
            continue;
        const struct key *key = &keys_of[f->row];
        if (f->number) {
            if (!out_fits(out, KEY_MAX + NUMBER_MAX))
                return;
            memcpy(pos, key->text + skip, KEY_MAX - 1);
            out->pos = pos = wire_put_uint(pos + key->size - skip, fixed_num(f, header));
            skip = 0;
            continue;
        }
        const struct wire_row *row = &rows[f->row];
        struct eye_field field = json_of_row(row, f->end ? wire_row_num(row, header) : layer->sum);
        field.off = layer->off + row->off;
        field.len = row->size;
        json->comma = !skip;
        json_field(json, nesting, &field, key);
        skip = !json->comma;
        pos = out->pos;
    }
    json->comma = !skip;
}

static void json_layer(struct json *json, const struct eye_tree *tree, const struct eye_layer *layer) {
    const struct wire_dissector *dissector = wire_of(layer->proto);
    struct nesting nesting;
    nesting.count = 0;
    nesting.in_list = false;
    json_key(json, dissector->name);
    json_open(json, '{');
    json_fixed(json, &nesting, layer, dissector->rows);
    for (unsigned i = 0; i < layer->item_count; i++) {
        const struct eye_item *item = &tree->item[layer->item + i];
        const struct wire_row *row = &dissector->rows[item->row];
        const struct key *key = &keys[layer->proto][item->row];
        while (nesting.count > 0 && nesting.depth[nesting.count - 1] >= item->depth)
            nesting_close(&nesting, json);
        if (row->kind == EYE_KIND_UINT && row->name && !nesting.in_list) {
            json_number(json, row, key, item->num);
            continue;
        }
        struct eye_field field = json_of_row(row, item->num);
        field.depth = item->depth;
        field.off = item->off;
        field.len = item->len;
        json_field(json, &nesting, &field, key);
    }
    while (nesting.count > 0)
        nesting_close(&nesting, json);
    json_close(json, '}');
}

static void json_frame(struct json *json) {
    const struct eye_packet *packet = json->packet;
    struct out *out = json->out;
    const char *link = format_link_name(packet->link);
    if (!out_fits(out, 256))
        return;
    out_text(out, "{\"v\":1,\"frame\":{\"number\":");
    out_uint(out, packet->number);
    out_text(out, ",\"time\":\"");
    out->pos = format_time_utc(out->pos, packet->time_ns, 9);
    out_text(out, "\",\"len\":");
    out_uint(out, packet->len);
    out_text(out, ",\"caplen\":");
    out_uint(out, packet->caplen);
    out_text(out, ",\"link\":");
    if (link)
        json_text(out, link);
    else
        out_uint(out, packet->link);
    out_char(out, '}');
    json->comma = true;
}

static void json_marks(struct json *json, const struct eye_tree *tree) {
    if (tree->truncated) {
        json_key(json, "truncated");
        json_text(json->out, tree->truncated);
    }
    if (tree->malformed) {
        json_key(json, "malformed");
        out_char(json->out, '"');
        out_text(json->out, tree->malformed);
        out_text(json->out, ", ");
        out_text(json->out, tree->malformed_where);
        out_char(json->out, '"');
    }
}

static void tables_make(void) {
    keys_make();
    escapes_make();
}

void format_json(struct out *out, const struct eye_tree *tree, const struct eye_packet *packet,
                 const struct eye_look *look) {
    static const char *const nests[] = {[EYE_NEST_INNER] = "inner", [EYE_NEST_QUOTED] = "quoted"};
    struct json json = {.out = out, .packet = packet};
    uint32_t seen = 0; /* protocols of this level: a name stands once in an object */
    _Static_assert(EYE_PROTO_MAX <= 32, "a bit for each");
    (void)look;

    pthread_once(&tables_once, tables_make);
    json_frame(&json);
    for (unsigned i = 0; i < tree->layer_count; i++) {
        const struct eye_layer *layer = &tree->layer[i];
        if (layer->nest != EYE_NEST_NONE) {
            json_key(&json, nests[layer->nest]);
            json_open(&json, '{');
            json.nested++;
            seen = 0;
        }
        if (seen & UINT32_C(1) << layer->proto)
            continue;
        seen |= UINT32_C(1) << layer->proto;
        if (layer->proto == EYE_PROTO_VLAN)
            json_vlan(&json, tree, i);
        else
            json_layer(&json, tree, layer);
    }
    while (json.nested-- > 0)
        json_close(&json, '}');
    json_marks(&json, tree);
    out_text(out, "}\n");
}
