/* http.c: the start line of an HTTP/1 message, RFC 9112 sections 3 and 4. Any port may have it: a segment
 * that begins with one is recognised by its first bytes. Header fields and bodies are payload. */
#include "wire/wire.h"

enum { HTTP_METHOD, HTTP_TARGET, HTTP_VERSION, HTTP_STATUS, HTTP_REASON };

static const struct wire_row rows[] = {
    [HTTP_METHOD] = WIRE_MOVING("method", "Method", TEXT),
    [HTTP_TARGET] = WIRE_MOVING("target", "Target", TEXT),
    [HTTP_VERSION] = WIRE_MOVING("version", "Version", TEXT),
    [HTTP_STATUS] = WIRE_MOVING("status", "Status", UINT),
    [HTTP_REASON] = WIRE_MOVING("reason", "Reason", TEXT),
};

static const char *const methods[] = {"GET ",   "POST ",    "HEAD ",  "PUT ",    "DELETE ",  "OPTIONS ",
                                      "PATCH ", "CONNECT ", "TRACE ", "NOTIFY ", "M-SEARCH "};

static bool begins(const uint8_t *data, uint32_t size, const char *text) {
    size_t len = strlen(text);
    return size >= len && memcmp(data, text, len) == 0;
}

static bool guess(const uint8_t *data, uint32_t size) {
    if (begins(data, size, "HTTP/1."))
        return true;
    for (size_t i = 0; i < ARRAY_LEN(methods); i++)
        if (data[0] == (uint8_t)methods[i][0] && begins(data, size, methods[i]))
            return true;
    return false;
}

/* Takes a word and the space behind it. */
static void word(struct wire *w, unsigned row, uint32_t end) {
    uint32_t begin = w->view.pos;
    const uint8_t *space = memchr(w->view.data + begin, ' ', end - begin);
    uint32_t size = space ? (uint32_t)(space - w->view.data) - begin : end - begin;
    wire_item(w, row, 0, begin, size, 0);
    view_bytes(&w->view, space ? size + 1 : size);
}

static void status(struct wire *w, uint32_t end) {
    const uint8_t *digits = w->view.data + w->view.pos;
    if (end - w->view.pos < 3)
        return;
    unsigned num = 0;
    for (int i = 0; i < 3; i++) {
        if (!ascii_is_digit((char)digits[i]))
            return;
        num = num * 10 + (digits[i] - '0');
    }
    wire_item(w, HTTP_STATUS, 0, w->view.pos, 3, num);
    view_bytes(&w->view, end - w->view.pos > 3 ? 4 : 3);
    wire_item(w, HTTP_REASON, 0, w->view.pos, end - w->view.pos, 0);
}

static const struct wire_dissector *dissect(struct wire *w) {
    struct view message = w->view;
    const uint8_t *begin = message.data + message.pos;
    const uint8_t *newline = memchr(begin, '\n', view_left(&message));
    uint32_t end = newline ? (uint32_t)(newline - message.data) : message.end;
    if (newline && newline > begin && newline[-1] == '\r')
        end--;
    bool is_status = begins(begin, view_left(&message), "HTTP/1.");
    if (!wire_header(w, &wire_http, 0))
        return NULL;
    word(w, is_status ? HTTP_VERSION : HTTP_METHOD, end);
    if (is_status) {
        status(w, end);
    } else {
        word(w, HTTP_TARGET, end);
        if (w->view.pos < end)
            word(w, HTTP_VERSION, end);
    }
    w->view.pos = newline ? (uint32_t)(newline - message.data) + 1 : message.end;
    wire_extend(w);
    return NULL;
}

const struct wire_dissector wire_http = {
    .name = "http",
    .title = "HTTP",
    .proto = EYE_PROTO_HTTP,
    .dissect = dissect,
    .guess = guess,
    WIRE_ROWS(rows),
};
