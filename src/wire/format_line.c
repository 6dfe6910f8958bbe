/* format_line.c: a packet as one line.
 *
 *     14:03:05.123456 lo In  TCP 127.0.0.1:38352 > 127.0.0.1:8000 [P.] seq 290 ack 398 win 342 len 79
 *
 * First the time and, where the link layer tells it, the interface; then for each level (the packet itself,
 * what a tunnel carries, what an ICMP error quotes) the protocol that it comes to, its two ends, and what
 * matters of each header; at the end what is wrong with it. TCP, UDP and their addresses are read from the
 * bytes, since they are what most packets are; the other headers by their fields. */
#include "wire/format.h"

enum {
    ENDS_MAX = 2 * 64, /* two addresses with brackets and ports, and what stands between */
    NAME_WIDTH = 4,
};

struct line {
    struct out *out;
    const struct eye_tree *tree;
    const struct eye_packet *packet;
    const struct eye_look *look;
};

/* ---- colours: SGR, ECMA-48 ---- */

static const char dim[] = "\033[2m", red[] = "\033[31m", plain[] = "\033[0m";

static void paint(const struct line *l, const char *sequence) {
    if (l->look->color)
        out_text(l->out, sequence);
}

/* How each protocol is called in a line, and its colour. */
static const struct {
    const char *name, *color;
} labels[] = {
    [EYE_PROTO_ETH] = {"ETH", ""},
    [EYE_PROTO_VLAN] = {"VLAN", ""},
    [EYE_PROTO_SLL] = {"SLL", ""},
    [EYE_PROTO_SLL2] = {"SLL2", ""},
    [EYE_PROTO_NULL] = {"NULL", ""},
    [EYE_PROTO_ARP] = {"ARP", "\033[33m"},
    [EYE_PROTO_IP] = {"IP", ""},
    [EYE_PROTO_IP6] = {"IP6", ""},
    [EYE_PROTO_ICMP] = {"ICMP", "\033[35m"},
    [EYE_PROTO_ICMP6] = {"ICMP6", "\033[35m"},
    [EYE_PROTO_IGMP] = {"IGMP", "\033[35m"},
    [EYE_PROTO_TCP] = {"TCP", "\033[32m"},
    [EYE_PROTO_UDP] = {"UDP", "\033[34m"},
    [EYE_PROTO_SCTP] = {"SCTP", "\033[32m"},
    [EYE_PROTO_GRE] = {"GRE", "\033[36m"},
    [EYE_PROTO_VXLAN] = {"VXLAN", "\033[36m"},
    [EYE_PROTO_DNS] = {"DNS", "\033[36m"},
    [EYE_PROTO_DHCP] = {"DHCP", "\033[36m"},
    [EYE_PROTO_NTP] = {"NTP", "\033[36m"},
    [EYE_PROTO_TLS] = {"TLS", "\033[1;32m"},
    [EYE_PROTO_HTTP] = {"HTTP", "\033[1;32m"},
    [EYE_PROTO_QUIC] = {"QUIC", "\033[1;34m"},
    [EYE_PROTO_PAYLOAD] = {"DATA", ""},
};
_Static_assert(ARRAY_LEN(labels) == EYE_PROTO_MAX, "a label for every protocol");

/* ---- fields by their name ---- */

static bool is_row(const struct wire_row *row, const char *name) {
    return row->name && *row->name == *name && strcmp(row->name, name) == 0;
}

/* A layer's next field of a name, in the order of eye_tree_next; *at is where it is looked for, from 0 on. */
static bool next_in(const struct line *l, unsigned layer_at, const char *name, unsigned *at,
                    struct eye_field *ret_field) {
    const struct eye_layer *layer = &l->tree->layer[layer_at];
    const struct wire_dissector *dissector = wire_of(layer->proto);
    const struct wire_row *rows = dissector->rows;
    while (*at < dissector->row_count) {
        const struct wire_row *row = &rows[(*at)++];
        if (is_row(row, name) && wire_field_fixed(l->packet, layer, row, ret_field))
            return true;
    }
    while (*at < dissector->row_count + layer->item_count) {
        const struct eye_item *item = &l->tree->item[layer->item + (*at)++ - dissector->row_count];
        if (!is_row(&rows[item->row], name))
            continue;
        wire_field_item(rows, item, ret_field);
        return true;
    }
    return false;
}

static bool field_in(const struct line *l, unsigned layer, const char *name, struct eye_field *ret_field) {
    unsigned at = 0;
    return next_in(l, layer, name, &at, ret_field);
}

static void put_field(const struct line *l, const struct eye_field *field) {
    char text[WIRE_NAME_TEXT_MAX];
    out_bytes(l->out, text, eye_field_text(l->packet, field, text, sizeof text));
}

/* " before VALUE", or nothing where the layer has no such field. */
static void say(const struct line *l, unsigned layer, const char *before, const char *name) {
    struct eye_field field;
    if (!field_in(l, layer, name, &field))
        return;
    out_text(l->out, before);
    put_field(l, &field);
}

/* The same with the number's word, where it has one. */
static void say_word(const struct line *l, unsigned layer, const char *before, const char *name) {
    struct eye_field field;
    if (!field_in(l, layer, name, &field))
        return;
    out_text(l->out, before);
    if (field.word)
        out_text(l->out, field.word);
    else
        put_field(l, &field);
}

/* ---- the two ends ---- */

static const uint8_t *header(const struct line *l, unsigned layer) {
    return l->packet->data + l->tree->layer[layer].off;
}

static void put_host(const struct line *l, const uint8_t *addr, size_t size, const uint8_t *port) {
    struct out *out = l->out;
    const char *name = l->look->host ? l->look->host(l->look->user, addr, size) : NULL;
    if (name)
        out_text(out, name);
    if (!out_fits(out, ENDS_MAX))
        return;
    if (!name && size == 4) {
        out->pos = wire_put_ip4(out->pos, addr);
    } else if (!name) {
        if (port)
            *out->pos++ = '[';
        out->pos = wire_put_ip6(out->pos, addr);
        if (port)
            *out->pos++ = ']';
    }
    if (port) {
        *out->pos++ = ':';
        out->pos = wire_put_uint(out->pos, be16(port));
    }
}

/* What has its ports in the first four bytes of its header. */
static bool has_ports(const struct eye_layer *layer) {
    return (layer->proto == EYE_PROTO_TCP || layer->proto == EYE_PROTO_UDP ||
            layer->proto == EYE_PROTO_SCTP) &&
           layer->len >= 4;
}

static void put_ends(const struct line *l, unsigned network, int transport) {
    const struct eye_layer *layer = &l->tree->layer[network];
    const uint8_t *net = header(l, network);
    bool v6 = layer->proto == EYE_PROTO_IP6;
    size_t size = v6 ? 16 : 4, off = v6 ? 8 : 12;
    const uint8_t *ports = transport < 0 ? NULL : header(l, (unsigned)transport);
    if (layer->len < off + 2 * size)
        return;
    out_char(l->out, ' ');
    put_host(l, net + off, size, ports);
    out_bytes(l->out, " > ", 3);
    put_host(l, net + off + size, size, ports ? ports + 2 : NULL);
}

/* ---- what matters of each header; size is how many bytes follow it ---- */

typedef void summary(const struct line *l, unsigned layer, uint32_t size);

static void ip_summary(const struct line *l, unsigned layer, uint32_t size) {
    const uint8_t *h = header(l, layer);
    if (l->tree->layer[layer].len < 20)
        return;
    uint32_t frag = be16(h + 6);
    if (frag & 0x3fff) {
        out_text(l->out, " fragment at ");
        out_uint(l->out, (frag & 0x1fff) * 8);
        out_text(l->out, frag & 0x2000 ? " of id " : ", the last, of id ");
        out_uint(l->out, be16(h + 4));
    }
    (void)size;
}

static void tcp_summary(const struct line *l, unsigned layer, uint32_t size) {
    struct out *out = l->out;
    const uint8_t *h = header(l, layer);
    if (l->tree->layer[layer].len < 20 || !out_fits(out, 256))
        return;
    uint32_t flags = be16(h + 12) & 0xfff;
    char *pos = out->pos;
    *pos++ = ' ';
    *pos++ = '[';
    pos = wire_put_tcp_flags(pos, (uint16_t)flags);
    pos = mempcpy(pos, "] seq ", 6);
    pos = wire_put_uint(pos, be32(h + 4));
    if (flags & 0x10) {
        pos = mempcpy(pos, " ack ", 5);
        pos = wire_put_uint(pos, be32(h + 8));
    }
    pos = mempcpy(pos, " win ", 5);
    pos = wire_put_uint(pos, be16(h + 14));
    pos = mempcpy(pos, " len ", 5);
    out->pos = wire_put_uint(pos, size);
    if (flags & 0x02) {
        say(l, layer, " mss ", "mss");
        say(l, layer, " wscale ", "shift");
    }
}

static void udp_summary(const struct line *l, unsigned layer, uint32_t size) {
    (void)layer;
    out_bytes(l->out, " len ", 5);
    out_uint(l->out, size);
}

static void arp_summary(const struct line *l, unsigned layer, uint32_t size) {
    struct eye_field op;
    (void)size;
    if (!field_in(l, layer, "op", &op))
        return;
    if (op.num == 1) {
        say(l, layer, " who has ", "tpa");
        say(l, layer, "? tell ", "spa");
    } else if (op.num == 2) {
        say(l, layer, " ", "spa");
        say(l, layer, " is at ", "sha");
    } else {
        say_word(l, layer, " ", "op");
        say(l, layer, " ", "spa");
        say(l, layer, " > ", "tpa");
    }
}

/* RFC 792 and RFC 1812, 5.2.7.1 */
enum { ICMP_UNREACHABLE = 3, ICMP6_UNREACHABLE = 1 };
static const struct wire_word unreachable[] = {
    {1, "host"},
    {2, "protocol"},
    {3, "port"},
    {4, "fragmentation needed"},
    {5, "source route failed"},
    {9, "network prohibited"},
    {10, "host prohibited"},
    {13, "prohibited by a filter"},
    {0, NULL},
};

/* RFC 4443, 3.1 */
static const struct wire_word unreachable6[] = {
    {0, "no route"}, {1, "prohibited by a filter"}, {2, "beyond the source's scope"}, {3, "host"},
    {4, "port"},     {5, "source prohibited"},      {6, "route prohibited"},          {0, NULL},
};

static void icmp_summary(const struct line *l, unsigned layer, uint32_t size) {
    struct eye_field field, code;
    const char *word;
    bool v6 = l->tree->layer[layer].proto == EYE_PROTO_ICMP6;
    say_word(l, layer, " ", "type");
    if (field_in(l, layer, "type", &field) && field.num == (v6 ? ICMP6_UNREACHABLE : ICMP_UNREACHABLE) &&
        field_in(l, layer, "code", &code) &&
        (word = wire_word_of(v6 ? unreachable6 : unreachable, code.num))) {
        out_text(l->out, ", ");
        out_text(l->out, word);
    } else if (field_in(l, layer, "code", &field) && (field.word || field.num > 0)) {
        out_text(l->out, field.word ? ", " : " code ");
        if (field.word)
            out_text(l->out, field.word);
        else
            put_field(l, &field);
    }
    say(l, layer, " id ", "id");
    say(l, layer, " seq ", "seq");
    say(l, layer, " mtu ", "mtu");
    say(l, layer, " target ", "target");
    if (field_in(l, layer, "seq", &field))
        udp_summary(l, layer, size);
}

static void dns_summary(const struct line *l, unsigned layer, uint32_t size) {
    struct eye_field field;
    struct eye_cursor cursor = {.layer = (uint16_t)layer};
    bool answers = false;
    (void)size;
    say(l, layer, " id ", "id");
    if (field_in(l, layer, "rcode", &field) && field.num > 0)
        say_word(l, layer, " ", "rcode");
    while (eye_tree_next(l->tree, l->packet, &cursor, &field) && field.layer == layer) {
        if (!field.name)
            continue;
        if (field.kind == EYE_KIND_LIST) {
            if (strcmp(field.name, "answers") == 0 && (answers = true))
                out_text(l->out, " ->");
            else if (answers)
                break;
        } else if (field.depth >= 2 && (field.kind == EYE_KIND_NAME || field.kind == EYE_KIND_IP4 ||
                                        field.kind == EYE_KIND_IP6 || strcmp(field.name, "type") == 0)) {
            if (answers && field.kind == EYE_KIND_NAME && strcmp(field.name, "name") == 0)
                continue;
            out_char(l->out, ' ');
            if (field.word)
                out_text(l->out, field.word);
            else
                put_field(l, &field);
        }
    }
}

/* What a line tells of the others: fields by their names, each with what stands before it. `every`: all that
 * the header has of that name, and not the first alone. */
static const struct {
    uint8_t proto;
    bool every;
    const char *name, *before;
} told[] = {
    {EYE_PROTO_IGMP, true, "type", " "},
    {EYE_PROTO_IGMP, true, "group", " group "},
    {EYE_PROTO_SCTP, false, "vtag", " vtag "},
    {EYE_PROTO_GRE, false, "key", " key "},
    {EYE_PROTO_GRE, false, "seq", " seq "},
    {EYE_PROTO_VXLAN, false, "vni", " vni "},
    {EYE_PROTO_DHCP, false, "value", " "},
    {EYE_PROTO_DHCP, false, "chaddr", " for "},
    {EYE_PROTO_DHCP, false, "yiaddr", " your "},
    {EYE_PROTO_NTP, false, "version", " v"},
    {EYE_PROTO_NTP, false, "mode", " "},
    {EYE_PROTO_NTP, false, "stratum", " stratum "},
    {EYE_PROTO_TLS, true, "type", " "},
    {EYE_PROTO_TLS, false, "sni", " sni "},
    {EYE_PROTO_TLS, true, "protocol", " alpn "},
    {EYE_PROTO_TLS, false, "description", ": "},
    {EYE_PROTO_HTTP, false, "method", ": "},
    {EYE_PROTO_HTTP, false, "target", " "},
    {EYE_PROTO_HTTP, false, "version", " "},
    {EYE_PROTO_HTTP, false, "status", " "},
    {EYE_PROTO_HTTP, false, "reason", " "},
    {EYE_PROTO_QUIC, false, "type", " "},
    {EYE_PROTO_QUIC, false, "version", " version "},
};

static void told_summary(const struct line *l, unsigned layer, uint32_t size) {
    struct eye_field field;
    (void)size;
    for (size_t i = 0; i < ARRAY_LEN(told); i++) {
        unsigned at = 0;
        if (told[i].proto != l->tree->layer[layer].proto)
            continue;
        while (next_in(l, layer, told[i].name, &at, &field)) {
            out_text(l->out, told[i].before);
            if (field.word)
                out_text(l->out, field.word);
            else
                put_field(l, &field);
            if (!told[i].every)
                break;
        }
    }
}

static void no_summary(const struct line *l, unsigned layer, uint32_t size) {
    (void)l, (void)layer, (void)size;
}

static summary *const summaries[EYE_PROTO_MAX] = {
    [EYE_PROTO_ETH] = no_summary,     [EYE_PROTO_VLAN] = no_summary,    [EYE_PROTO_SLL] = no_summary,
    [EYE_PROTO_SLL2] = no_summary,    [EYE_PROTO_NULL] = no_summary,    [EYE_PROTO_ARP] = arp_summary,
    [EYE_PROTO_IP] = ip_summary,      [EYE_PROTO_IP6] = no_summary,     [EYE_PROTO_ICMP] = icmp_summary,
    [EYE_PROTO_ICMP6] = icmp_summary, [EYE_PROTO_TCP] = tcp_summary,    [EYE_PROTO_UDP] = udp_summary,
    [EYE_PROTO_DNS] = dns_summary,    [EYE_PROTO_PAYLOAD] = no_summary,
};

/* ---- the line ---- */

static void put_link(const struct line *l, unsigned at) {
    const struct eye_layer *layer = &l->tree->layer[at];
    const uint8_t *h = header(l, at);
    if (layer->proto == EYE_PROTO_SLL2 && layer->len >= 12) {
        static const char *const ways[] = {"In", "B", "M", "P", "Out"};
        uint32_t index = be32(h + 4);
        const char *name = l->look->interface ? l->look->interface(l->look->user, index) : NULL;
        out_char(l->out, ' ');
        if (name)
            out_text(l->out, name);
        else
            out_bytes(l->out, "if", 2), out_uint(l->out, index);
        out_char(l->out, ' ');
        out_text(l->out, h[10] < ARRAY_LEN(ways) ? ways[h[10]] : "?");
    }
    if (!l->look->link)
        return;
    say(l, at, " ", "src");
    say(l, at, " > ", "dst");
    say(l, at, " vlan ", "id");
}

/* How many bytes follow a layer in its level: up to the payload's end, as it was sent. */
static uint32_t size_behind(const struct line *l, unsigned at) {
    const struct eye_tree *tree = l->tree;
    const struct eye_layer *last = &tree->layer[tree->layer_count - 1];
    if (last->proto != EYE_PROTO_PAYLOAD || last->item_count == 0)
        return 0;
    const struct eye_layer *layer = &tree->layer[at];
    uint64_t end = last->off + tree->item[last->item].num, begin = layer->off + layer->len;
    return end > begin ? (uint32_t)(end - begin) : 0;
}

/* A level: its layers from `at` on. Gives where the next one begins. */
static unsigned put_level(const struct line *l, unsigned at, bool first) {
    const struct eye_tree *tree = l->tree;
    uint8_t level = tree->layer[at].level;
    int network = -1, ports = -1;
    unsigned end = at, top = at;
    for (; end < tree->layer_count && tree->layer[end].level == level; end++) {
        const struct eye_layer *layer = &tree->layer[end];
        if (layer->proto == EYE_PROTO_IP || layer->proto == EYE_PROTO_IP6)
            network = (int)end;
        if (has_ports(layer))
            ports = (int)end;
        if (layer->proto != EYE_PROTO_PAYLOAD)
            top = end;
    }
    const char *name = labels[tree->layer[top].proto].name;
    struct eye_field proto;
    if (network == (int)top && tree->layer[top].proto == EYE_PROTO_IP && field_in(l, top, "proto", &proto) &&
        proto.word && !(be16(header(l, top) + 6) & 0x1fff))
        name = proto.word;
    out_char(l->out, ' ');
    paint(l, labels[tree->layer[top].proto].color);
    out_text(l->out, name);
    paint(l, plain);
    size_t size = strlen(name);
    if (first && size < NAME_WIDTH)
        out_bytes(l->out, "    ", NAME_WIDTH - size);
    if (network >= 0)
        put_ends(l, (unsigned)network, ports);
    else if (!l->look->link && tree->layer[top].proto <= EYE_PROTO_NULL) {
        say(l, at, " ", "src");
        say(l, at, " > ", "dst");
        say_word(l, top, " type ", "type");
    }
    for (unsigned i = at; i < end; i++) {
        summary *one = summaries[tree->layer[i].proto];
        (one ? one : told_summary)(l, i, size_behind(l, i));
    }
    return end;
}

static void put_marks(const struct line *l) {
    static const char *const sums[] = {
        [EYE_SUM_BAD] = "wrong", [EYE_SUM_UNFINISHED] = "unfinished (offload)"};
    const struct eye_tree *tree = l->tree;
    for (unsigned i = 0; i < tree->layer_count; i++) {
        unsigned sum = tree->layer[i].sum;
        if (sum >= ARRAY_LEN(sums) || !sums[sum])
            continue;
        paint(l, sum == EYE_SUM_BAD ? red : dim);
        out_text(l->out, " [");
        out_text(l->out, eye_proto_name(tree->layer[i].proto));
        out_text(l->out, " checksum ");
        out_text(l->out, sums[sum]);
        out_char(l->out, ']');
        paint(l, plain);
    }
    if (tree->truncated) {
        paint(l, dim);
        out_text(l->out, " [cut in ");
        out_text(l->out, tree->truncated);
        out_char(l->out, ']');
        paint(l, plain);
    }
    if (tree->malformed) {
        paint(l, red);
        out_text(l->out, " [malformed: ");
        out_text(l->out, tree->malformed);
        out_text(l->out, ", in ");
        out_text(l->out, tree->malformed_where);
        out_char(l->out, ']');
        paint(l, plain);
    }
}

void format_line(struct out *out, const struct eye_tree *tree, const struct eye_packet *packet,
                 const struct eye_look *look) {
    const struct line l = {.out = out, .tree = tree, .packet = packet, .look = look};
    char *begin = out->pos;
    unsigned at = 0;

    if (!out_fits(out, FORMAT_TIME_MAX))
        return;
    if (look->clock != EYE_CLOCK_NONE) {
        paint(&l, dim);
        out->pos = format_time_line(out->pos, look, packet->time_ns);
        paint(&l, plain);
    }
    for (; at < tree->layer_count && tree->layer[at].proto <= EYE_PROTO_NULL && tree->layer[at].level == 0;
         at++)
        put_link(&l, at);
    if (at == tree->layer_count || tree->layer[at].level > 0 || tree->layer[at].proto == EYE_PROTO_PAYLOAD)
        at = 0; /* nothing but a link layer: that is what the line is of */
    if (tree->layer_count == 0)
        out_text(out, " ?");
    for (bool first = true; at < tree->layer_count; first = false) {
        if (!first)
            out_bytes(out, tree->layer[at].nest == EYE_NEST_QUOTED ? " about" : " |",
                      tree->layer[at].nest == EYE_NEST_QUOTED ? 6 : 2);
        at = put_level(&l, at, first);
    }
    put_marks(&l);
    out_char(out, '\n');
    if (look->clock == EYE_CLOCK_NONE && out->pos > begin && *begin == ' ' && !out->full) {
        memmove(begin, begin + 1, (size_t)(out->pos - begin) - 1);
        out->pos--;
    }
}
