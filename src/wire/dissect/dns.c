/* dns.c: DNS, RFC 1035, as multicast DNS and LLMNR have it too, with EDNS (RFC 6891) and the record types
 * that are seen most. Over TCP the message has its length before it; only the first of a segment is read.
 *
 * Names are fields that say where they begin in the message: they are put together, through their pointers,
 * when somebody wants their text. Counts in the header are not believed: reading ends where the message does.
 */
#include "wire/wire.h"

enum { DNS_SIZE = 12 };

enum {
    DNS_ID,
    DNS_QR,
    DNS_OPCODE,
    DNS_AA,
    DNS_TC,
    DNS_RD,
    DNS_RA,
    DNS_AD,
    DNS_CD,
    DNS_RCODE,
    DNS_QDCOUNT,
    DNS_ANCOUNT,
    DNS_NSCOUNT,
    DNS_ARCOUNT,
    DNS_LENGTH,
    DNS_QUESTIONS,
    DNS_ANSWERS,
    DNS_AUTHORITIES,
    DNS_ADDITIONALS,
    DNS_RECORD,
    DNS_NAME,
    DNS_TYPE,
    DNS_CLASS,
    DNS_TTL,
    DNS_RDLENGTH,
    DNS_A,
    DNS_AAAA,
    DNS_NSDNAME,
    DNS_CNAME,
    DNS_PTRDNAME,
    DNS_TARGET,
    DNS_MNAME,
    DNS_RNAME,
    DNS_SERIAL,
    DNS_REFRESH,
    DNS_RETRY,
    DNS_EXPIRE,
    DNS_MINIMUM,
    DNS_PREFERENCE,
    DNS_EXCHANGE,
    DNS_PRIORITY,
    DNS_WEIGHT,
    DNS_PORT,
    DNS_TXT,
    DNS_STRING,
    DNS_UDP_SIZE,
    DNS_EXTENDED_RCODE,
    DNS_EDNS_VERSION,
    DNS_DO,
    DNS_RDATA,
};

enum { TYPE_A = 1, TYPE_TXT = 16, TYPE_AAAA = 28, TYPE_OPT = 41 };

static const struct wire_word types[] = {
    {1, "A"},      {2, "NS"},     {5, "CNAME"},   {6, "SOA"},    {12, "PTR"},   {13, "HINFO"}, {15, "MX"},
    {16, "TXT"},   {28, "AAAA"},  {33, "SRV"},    {35, "NAPTR"}, {39, "DNAME"}, {41, "OPT"},   {43, "DS"},
    {46, "RRSIG"}, {47, "NSEC"},  {48, "DNSKEY"}, {50, "NSEC3"}, {52, "TLSA"},  {64, "SVCB"},  {65, "HTTPS"},
    {251, "IXFR"}, {252, "AXFR"}, {255, "ANY"},   {257, "CAA"},  {0, NULL}};

static const struct wire_word rcodes[] = {{0, "NOERROR"}, {1, "FORMERR"}, {2, "SERVFAIL"}, {3, "NXDOMAIN"},
                                          {4, "NOTIMP"},  {5, "REFUSED"}, {9, "NOTAUTH"},  {0, NULL}};

static const struct wire_word opcodes[] = {{0, "query"},  {1, "inverse query"}, {2, "status"},
                                           {4, "notify"}, {5, "update"},        {0, NULL}};

static const struct wire_row rows[] = {
    [DNS_ID] = WIRE_FIXED("id", "Identifier", UINT, 0, 2),
    [DNS_QR] = WIRE_FIXED("qr", "Response", UINT, 2, 1, .shift = 7),
    [DNS_OPCODE] = WIRE_FIXED("opcode", "Operation", UINT, 2, 1, .shift = 3, .bits = 4, .words = opcodes),
    [DNS_AA] = WIRE_FIXED("aa", "Authoritative", UINT, 2, 1, .shift = 2, .bits = 1),
    [DNS_TC] = WIRE_FIXED("tc", "Truncated", UINT, 2, 1, .shift = 1, .bits = 1),
    [DNS_RD] = WIRE_FIXED("rd", "Recursion desired", UINT, 2, 1, .bits = 1),
    [DNS_RA] = WIRE_FIXED("ra", "Recursion available", UINT, 3, 1, .shift = 7),
    [DNS_AD] = WIRE_FIXED("ad", "Authentic data", UINT, 3, 1, .shift = 5, .bits = 1),
    [DNS_CD] = WIRE_FIXED("cd", "Checking disabled", UINT, 3, 1, .shift = 4, .bits = 1),
    [DNS_RCODE] = WIRE_FIXED("rcode", "Result", UINT, 3, 1, .bits = 4, .words = rcodes, .word_too = true),
    [DNS_QDCOUNT] = WIRE_FIXED("qdcount", "Questions", UINT, 4, 2),
    [DNS_ANCOUNT] = WIRE_FIXED("ancount", "Answers", UINT, 6, 2),
    [DNS_NSCOUNT] = WIRE_FIXED("nscount", "Authorities", UINT, 8, 2),
    [DNS_ARCOUNT] = WIRE_FIXED("arcount", "Additionals", UINT, 10, 2),
    [DNS_LENGTH] = WIRE_MOVING("length", "Length", UINT),
    [DNS_QUESTIONS] = WIRE_MOVING("questions", "Questions", LIST),
    [DNS_ANSWERS] = WIRE_MOVING("answers", "Answers", LIST),
    [DNS_AUTHORITIES] = WIRE_MOVING("authorities", "Authorities", LIST),
    [DNS_ADDITIONALS] = WIRE_MOVING("additionals", "Additionals", LIST),
    [DNS_RECORD] = WIRE_MOVING(NULL, "Record", GROUP),
    [DNS_NAME] = WIRE_MOVING("name", "Name", NAME),
    [DNS_TYPE] = WIRE_MOVING("type", "Type", UINT, .words = types, .word_too = true),
    [DNS_CLASS] = WIRE_MOVING("class", "Class", UINT),
    [DNS_TTL] = WIRE_MOVING("ttl", "Time to live", UINT),
    [DNS_RDLENGTH] = WIRE_MOVING("rdlength", "Data length", UINT),
    [DNS_A] = WIRE_MOVING("address", "Address", IP4),
    [DNS_AAAA] = WIRE_MOVING("address", "Address", IP6),
    [DNS_NSDNAME] = WIRE_MOVING("nsdname", "Name server", NAME),
    [DNS_CNAME] = WIRE_MOVING("cname", "Canonical name", NAME),
    [DNS_PTRDNAME] = WIRE_MOVING("ptrdname", "Pointer", NAME),
    [DNS_TARGET] = WIRE_MOVING("target", "Target", NAME),
    [DNS_MNAME] = WIRE_MOVING("mname", "Primary server", NAME),
    [DNS_RNAME] = WIRE_MOVING("rname", "Mailbox", NAME),
    [DNS_SERIAL] = WIRE_MOVING("serial", "Serial", UINT),
    [DNS_REFRESH] = WIRE_MOVING("refresh", "Refresh", UINT),
    [DNS_RETRY] = WIRE_MOVING("retry", "Retry", UINT),
    [DNS_EXPIRE] = WIRE_MOVING("expire", "Expire", UINT),
    [DNS_MINIMUM] = WIRE_MOVING("minimum", "Minimum", UINT),
    [DNS_PREFERENCE] = WIRE_MOVING("preference", "Preference", UINT),
    [DNS_EXCHANGE] = WIRE_MOVING("exchange", "Exchange", NAME),
    [DNS_PRIORITY] = WIRE_MOVING("priority", "Priority", UINT),
    [DNS_WEIGHT] = WIRE_MOVING("weight", "Weight", UINT),
    [DNS_PORT] = WIRE_MOVING("port", "Port", UINT),
    [DNS_TXT] = WIRE_MOVING("txt", "Text", LIST),
    [DNS_STRING] = WIRE_MOVING("string", "String", TEXT),
    [DNS_UDP_SIZE] = WIRE_MOVING("udp_size", "UDP size", UINT),
    [DNS_EXTENDED_RCODE] = WIRE_MOVING("extended_rcode", "Extended result", UINT),
    [DNS_EDNS_VERSION] = WIRE_MOVING("edns_version", "EDNS version", UINT),
    [DNS_DO] = WIRE_MOVING("do", "DNSSEC OK", UINT),
    [DNS_RDATA] = WIRE_MOVING("rdata", "Data", BYTES),
};

/* What the data of a record is made of: rows, and the size of each; 0 is a name. */
static const struct layout {
    uint16_t type;
    struct {
        uint8_t row, size;
    } fields[7];
} layouts[] = {
    {1, {{DNS_A, 4}}},
    {2, {{DNS_NSDNAME, 0}}},
    {5, {{DNS_CNAME, 0}}},
    {6,
     {{DNS_MNAME, 0},
      {DNS_RNAME, 0},
      {DNS_SERIAL, 4},
      {DNS_REFRESH, 4},
      {DNS_RETRY, 4},
      {DNS_EXPIRE, 4},
      {DNS_MINIMUM, 4}}},
    {12, {{DNS_PTRDNAME, 0}}},
    {15, {{DNS_PREFERENCE, 2}, {DNS_EXCHANGE, 0}}},
    {28, {{DNS_AAAA, 16}}},
    {33, {{DNS_PRIORITY, 2}, {DNS_WEIGHT, 2}, {DNS_PORT, 2}, {DNS_TARGET, 0}}},
    {39, {{DNS_TARGET, 0}}},
    {64, {{DNS_PRIORITY, 2}, {DNS_TARGET, 0}}},
    {65, {{DNS_PRIORITY, 2}, {DNS_TARGET, 0}}},
};

/* Takes a name and adds it as a field; false where it is wrong or not all there. */
static bool name(struct wire *w, struct view *view, unsigned row, unsigned depth) {
    struct wire_name parts;
    uint32_t off = view->pos, base = w->layer->off;
    if (!wire_name(view, base, &parts)) {
        if (!view->short_)
            wire_malformed(w, "bad name");
        return false;
    }
    wire_item(w, row, depth, off, view->pos - off, base);
    return true;
}

static bool number(struct wire *w, struct view *view, uint8_t row, uint8_t size) {
    uint32_t off = view->pos;
    const uint8_t *bytes = view_bytes(view, size);
    if (!bytes)
        return false;
    uint64_t num = 0;
    if (size == 2)
        num = be16(bytes);
    else if (size == 4)
        num = be32(bytes);
    wire_item(w, row, 2, off, size, num);
    return true;
}

static void strings(struct wire *w, struct view *data) {
    wire_item(w, DNS_TXT, 2, data->pos, view_left(data), 0);
    while (view_left(data) > 0) {
        uint8_t size = view_u8(data);
        if (view_bytes(data, size))
            wire_item(w, DNS_STRING, 3, data->pos - size, size, 0);
    }
}

/* Data of types that are not known, and what is left of the others', is shown as bytes. */
static void rdata(struct wire *w, uint16_t type, struct view *data) {
    if (type == TYPE_TXT) {
        strings(w, data);
    } else {
        const struct layout *layout = NULL;
        for (size_t i = 0; i < ARRAY_LEN(layouts); i++)
            if (layouts[i].type == type)
                layout = &layouts[i];
        for (size_t i = 0; layout && i < ARRAY_LEN(layout->fields) && layout->fields[i].row; i++) {
            uint8_t row = layout->fields[i].row, size = layout->fields[i].size;
            if (!(size ? number(w, data, row, size) : name(w, data, row, 2)))
                break;
        }
    }
    if (data->short_)
        wire_short(w, data);
    else if (view_left(data) > 0)
        wire_item(w, DNS_RDATA, 2, data->pos, view_left(data), 0);
}

/* EDNS puts a record's class and TTL to other uses. */
static void class_and_ttl(struct wire *w, uint16_t type, uint16_t class, uint32_t ttl, uint32_t off) {
    if (type == TYPE_OPT) {
        wire_item(w, DNS_UDP_SIZE, 2, off, 2, class);
        wire_item(w, DNS_EXTENDED_RCODE, 2, off + 2, 1, ttl >> 24);
        wire_item(w, DNS_EDNS_VERSION, 2, off + 3, 1, ttl >> 16 & 0xff);
        wire_item(w, DNS_DO, 2, off + 4, 2, ttl >> 15 & 1);
    } else {
        wire_item(w, DNS_CLASS, 2, off, 2, class);
        wire_item(w, DNS_TTL, 2, off + 2, 4, ttl);
    }
}

/* One question or record; false where reading cannot go on. */
static bool record(struct wire *w, bool is_question) {
    struct view *view = &w->view;
    wire_item(w, DNS_RECORD, 1, view->pos, 0, 0);
    if (!name(w, view, DNS_NAME, 2))
        return false;
    uint16_t type = view_be16(view), class = view_be16(view);
    if (view->short_)
        return false;
    wire_item(w, DNS_TYPE, 2, view->pos - 4, 2, type);
    if (is_question) {
        wire_item(w, DNS_CLASS, 2, view->pos - 2, 2, class);
        return true;
    }
    uint32_t ttl = view_be32(view);
    uint16_t rdlength = view_be16(view);
    if (view->short_)
        return false;
    class_and_ttl(w, type, class, ttl, view->pos - 8);
    wire_num(w, DNS_RDLENGTH, 2, 2, rdlength);
    struct view data = view_part(view, rdlength);
    rdata(w, type, &data);
    return !view->short_;
}

static const struct wire_dissector *message(struct wire *w, const struct wire_dissector *self) {
    const uint8_t *h = wire_header(w, self, DNS_SIZE);
    if (!h)
        return NULL;
    bool goes_on = true;
    for (unsigned section = 0; goes_on && section < 4; section++) {
        uint16_t count = be16(h + 4 + section * 2);
        if (count > 0)
            wire_item(w, DNS_QUESTIONS + section, 0, w->view.pos, 0, 0);
        for (uint16_t i = 0; goes_on && i < count; i++)
            goes_on = w->tree->item_count < EYE_ITEM_MAX && record(w, section == 0);
    }
    if (w->tree->item_count == EYE_ITEM_MAX)
        wire_full(w);
    wire_extend(w);
    if (w->view.short_)
        wire_short(w, &w->view);
    return NULL;
}

static const struct wire_dissector *udp_dissect(struct wire *w) {
    return message(w, &wire_dns);
}

/* The middle of a message that began in an earlier segment has no length in front: what cannot be one is left
 * alone. */
static const struct wire_dissector *tcp_dissect(struct wire *w) {
    uint16_t length = view_be16(&w->view);
    if (length < DNS_SIZE || view_left(&w->view) < DNS_SIZE || be16(w->view.data + w->view.pos + 4) > 1)
        return NULL;
    view_limit(&w->view, length);
    message(w, &wire_dns_tcp);
    wire_item(w, DNS_LENGTH, 0, w->layer->off - 2, 2, length);
    return NULL;
}

static const struct wire_bind udp_binds[] = {
    {WIRE_UDP_PORT, 53}, {WIRE_UDP_PORT, 5353}, {WIRE_UDP_PORT, 5355}};
static const struct wire_bind tcp_binds[] = {{WIRE_TCP_PORT, 53}};

const struct wire_dissector wire_dns = {
    .name = "dns",
    .title = "DNS",
    .proto = EYE_PROTO_DNS,
    .dissect = udp_dissect,
    WIRE_ROWS(rows),
    WIRE_BINDS(udp_binds),
};

const struct wire_dissector wire_dns_tcp = {
    .name = "dns",
    .title = "DNS",
    .proto = EYE_PROTO_DNS,
    .dissect = tcp_dissect,
    WIRE_ROWS(rows),
    WIRE_BINDS(tcp_binds),
};
