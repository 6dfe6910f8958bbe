/* tls.c: TLS records, RFC 8446 section 5 and RFC 5246 section 6, and of a ClientHello what a server learns
 * from it before anything is encrypted: the name (RFC 6066) and the protocols (RFC 7301) that are asked for.
 *
 * Any port may have it: a segment that begins with a record is recognised by its five bytes. Segments are not
 * put together: a record that goes on in the next one is read as far as it is here, and no name is made up
 * for what follows. */
#include "wire/wire.h"

enum { RECORD_SIZE = 5, RECORD_MAX = 16384 + 2048 };

enum {
    TLS_RECORDS,
    TLS_RECORD,
    TLS_TYPE,
    TLS_VERSION,
    TLS_LEN,
    TLS_LEVEL,
    TLS_DESCRIPTION,
    TLS_HANDSHAKES,
    TLS_HANDSHAKE,
    TLS_HANDSHAKE_TYPE,
    TLS_HANDSHAKE_LEN,
    TLS_CLIENT_VERSION,
    TLS_SERVER_VERSION,
    TLS_CIPHER_SUITE,
    TLS_SNI,
    TLS_ALPN,
    TLS_PROTOCOL,
    TLS_SELECTED,
};

enum { CHANGE_CIPHER = 20, ALERT = 21, HANDSHAKE = 22, DATA = 23 };
enum { CLIENT_HELLO = 1, SERVER_HELLO = 2 };
enum { EXTENSION_SNI = 0, EXTENSION_ALPN = 16, EXTENSION_VERSIONS = 43 };

static const struct wire_word types[] = {{CHANGE_CIPHER, "change cipher spec"},
                                         {ALERT, "alert"},
                                         {HANDSHAKE, "handshake"},
                                         {DATA, "application data"},
                                         {0, NULL}};

static const struct wire_word handshakes[] = {{0, "hello request"},           {CLIENT_HELLO, "client hello"},
                                              {SERVER_HELLO, "server hello"}, {4, "new session ticket"},
                                              {8, "encrypted extensions"},    {11, "certificate"},
                                              {12, "server key exchange"},    {13, "certificate request"},
                                              {14, "server hello done"},      {15, "certificate verify"},
                                              {16, "client key exchange"},    {20, "finished"},
                                              {22, "certificate status"},     {0, NULL}};

static const struct wire_word versions[] = {{0x300, "SSL 3.0"}, {0x301, "TLS 1.0"}, {0x302, "TLS 1.1"},
                                            {0x303, "TLS 1.2"}, {0x304, "TLS 1.3"}, {0, NULL}};

static const struct wire_word levels[] = {{1, "warning"}, {2, "fatal"}, {0, NULL}};

static const struct wire_word alerts[] = {{0, "close notify"},
                                          {10, "unexpected message"},
                                          {20, "bad record mac"},
                                          {22, "record overflow"},
                                          {40, "handshake failure"},
                                          {42, "bad certificate"},
                                          {43, "unsupported certificate"},
                                          {44, "certificate revoked"},
                                          {45, "certificate expired"},
                                          {46, "certificate unknown"},
                                          {47, "illegal parameter"},
                                          {48, "unknown ca"},
                                          {49, "access denied"},
                                          {50, "decode error"},
                                          {51, "decrypt error"},
                                          {70, "protocol version"},
                                          {71, "insufficient security"},
                                          {80, "internal error"},
                                          {86, "inappropriate fallback"},
                                          {90, "user canceled"},
                                          {109, "missing extension"},
                                          {110, "unsupported extension"},
                                          {112, "unrecognized name"},
                                          {116, "certificate required"},
                                          {120, "no application protocol"},
                                          {0, NULL}};

static const struct wire_row rows[] = {
    [TLS_RECORDS] = WIRE_MOVING("records", "Records", LIST),
    [TLS_RECORD] = WIRE_MOVING(NULL, "Record", GROUP),
    [TLS_TYPE] = WIRE_MOVING("type", "Type", UINT, .words = types, .word_too = true),
    [TLS_VERSION] = WIRE_MOVING("version", "Version", UINT, .words = versions),
    [TLS_LEN] = WIRE_MOVING("len", "Length", UINT),
    [TLS_LEVEL] = WIRE_MOVING("level", "Level", UINT, .words = levels, .word_too = true),
    [TLS_DESCRIPTION] = WIRE_MOVING("description", "Description", UINT, .words = alerts, .word_too = true),
    [TLS_HANDSHAKES] = WIRE_MOVING("handshakes", "Handshake messages", LIST),
    [TLS_HANDSHAKE] = WIRE_MOVING(NULL, "Handshake message", GROUP),
    [TLS_HANDSHAKE_TYPE] = WIRE_MOVING("type", "Type", UINT, .words = handshakes, .word_too = true),
    [TLS_HANDSHAKE_LEN] = WIRE_MOVING("len", "Length", UINT),
    [TLS_CLIENT_VERSION] = WIRE_MOVING("version", "Version", UINT, .words = versions),
    [TLS_SERVER_VERSION] = WIRE_MOVING("version", "Version", UINT, .words = versions),
    [TLS_CIPHER_SUITE] = WIRE_MOVING("cipher_suite", "Cipher suite", UINT),
    [TLS_SNI] = WIRE_MOVING("sni", "Server name", TEXT),
    [TLS_ALPN] = WIRE_MOVING("alpn", "Protocols", LIST),
    [TLS_PROTOCOL] = WIRE_MOVING("protocol", "Protocol", TEXT),
    [TLS_SELECTED] = WIRE_MOVING("selected_version", "Selected version", UINT, .words = versions),
};

/* What the first hello says; these fields stand behind the records. */
struct hello {
    struct view sni, alpn; /* data NULL: none */
    uint32_t selected_off;
    uint16_t selected;
};

static bool is_record(const uint8_t *h) {
    uint16_t len = be16(h + 3);
    return h[0] >= CHANGE_CIPHER && h[0] <= DATA && h[1] == 3 && h[2] <= 4 && len > 0 && len <= RECORD_MAX;
}

static bool guess(const uint8_t *data, uint32_t size) {
    return size >= RECORD_SIZE && is_record(data);
}

static struct view sized_part(struct view *view, int size_bytes) {
    return view_part(view, size_bytes == 1 ? view_u8(view) : view_be16(view));
}

static void extension(uint16_t type, struct view *value, bool is_client, struct hello *hello) {
    if (type == EXTENSION_SNI && is_client && !hello->sni.data) {
        struct view names = sized_part(value, 2);
        uint8_t name_type = view_u8(&names);
        struct view name = sized_part(&names, 2);
        if (name_type == 0 && !names.short_ && view_left(&name) > 0)
            hello->sni = name;
    } else if (type == EXTENSION_ALPN && !hello->alpn.data) {
        struct view protocols = sized_part(value, 2);
        if (!value->short_)
            hello->alpn = protocols;
    } else if (type == EXTENSION_VERSIONS && !is_client) {
        hello->selected_off = value->pos;
        hello->selected = view_be16(value);
    }
}

/* A ClientHello or a ServerHello, from its version on. */
static void hello_read(struct wire *w, struct view *body, bool is_client, struct hello *hello) {
    uint32_t off = body->pos;
    uint16_t version = view_be16(body);
    view_bytes(body, 32); /* random */
    sized_part(body, 1);  /* session */
    if (body->short_)
        return;
    wire_item(w, is_client ? TLS_CLIENT_VERSION : TLS_SERVER_VERSION, 4, off, 2, version);
    if (is_client) {
        sized_part(body, 2); /* cipher suites */
        sized_part(body, 1); /* compression */
    } else {
        off = body->pos;
        uint16_t suite = view_be16(body);
        view_u8(body);
        if (!body->short_)
            wire_item(w, TLS_CIPHER_SUITE, 4, off, 2, suite);
    }
    struct view extensions = sized_part(body, 2);
    while (view_left(&extensions) > 0) {
        uint16_t type = view_be16(&extensions);
        struct view value = sized_part(&extensions, 2);
        extension(type, &value, is_client, hello);
    }
}

/* Handshake messages of a record. Encrypted ones look like nothing: what has not a type and a length that fit
 * is not one. */
static void handshake(struct wire *w, struct view *record, struct hello *hello) {
    bool is_first = true;
    for (int i = 0; i < WIRE_OPTIONS_MAX && view_left(record) >= 4; i++) {
        uint32_t off = record->pos;
        uint8_t type = view_u8(record);
        uint32_t len = view_be24(record);
        bool fits = len <= view_left_whole(record) || type == CLIENT_HELLO || type == 11;
        if (!wire_word_of(handshakes, type) || !fits)
            return;
        if (is_first)
            wire_item(w, TLS_HANDSHAKES, 2, off, 0, 0);
        is_first = false;
        struct view body = view_part(record, len);
        wire_item(w, TLS_HANDSHAKE, 3, off, 4, 0);
        wire_item(w, TLS_HANDSHAKE_TYPE, 4, off, 1, type);
        wire_item(w, TLS_HANDSHAKE_LEN, 4, off + 1, 3, len);
        if (type == CLIENT_HELLO || type == SERVER_HELLO)
            hello_read(w, &body, type == CLIENT_HELLO, hello);
    }
}

static void record(struct wire *w, struct hello *hello) {
    uint32_t off = w->view.pos;
    uint8_t type = view_u8(&w->view);
    uint16_t version = view_be16(&w->view), len = view_be16(&w->view);
    struct view body = view_part(&w->view, len);
    wire_item(w, TLS_RECORD, 1, off, RECORD_SIZE, 0);
    wire_item(w, TLS_TYPE, 2, off, 1, type);
    wire_item(w, TLS_VERSION, 2, off + 1, 2, version);
    wire_item(w, TLS_LEN, 2, off + 3, 2, len);
    if (type == ALERT && len == 2 && view_left(&body) == 2) {
        wire_read(w, &body, TLS_LEVEL, 2, 1);
        wire_read(w, &body, TLS_DESCRIPTION, 2, 1);
    } else if (type == HANDSHAKE) {
        handshake(w, &body, hello);
    }
}

static void hello_show(struct wire *w, struct hello *hello) {
    if (hello->sni.data)
        wire_item(w, TLS_SNI, 0, hello->sni.pos, view_left(&hello->sni), 0);
    if (hello->alpn.data) {
        wire_item(w, TLS_ALPN, 0, hello->alpn.pos, view_left(&hello->alpn), 0);
        for (int i = 0; i < WIRE_OPTIONS_MAX && view_left(&hello->alpn) > 0; i++) {
            struct view protocol = sized_part(&hello->alpn, 1);
            if (!hello->alpn.short_)
                wire_item(w, TLS_PROTOCOL, 1, protocol.pos, view_left(&protocol), 0);
        }
    }
    if (hello->selected)
        wire_item(w, TLS_SELECTED, 0, hello->selected_off, 2, hello->selected);
}

static const struct wire_dissector *dissect(struct wire *w) {
    struct hello hello = {0};
    if (!wire_header(w, &wire_tls, 0))
        return NULL;
    wire_item(w, TLS_RECORDS, 0, w->view.pos, 0, 0);
    for (int i = 0; view_left(&w->view) >= RECORD_SIZE && is_record(w->view.data + w->view.pos); i++) {
        if (i == WIRE_OPTIONS_MAX) {
            wire_malformed(w, "more than 64 records");
            break;
        }
        record(w, &hello);
    }
    hello_show(w, &hello);
    wire_extend(w);
    if (w->view.short_)
        wire_short(w, &w->view);
    return NULL;
}

const struct wire_dissector wire_tls = {
    .name = "tls",
    .title = "TLS",
    .proto = EYE_PROTO_TLS,
    .dissect = dissect,
    .guess = guess,
    WIRE_ROWS(rows),
};
