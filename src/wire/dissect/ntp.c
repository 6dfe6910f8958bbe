/* ntp.c: NTP, RFC 5905 section 7.3. Messages of control and private modes (6 and 7) have another form: all
 * but their first byte is left as payload. */
#include "wire/wire.h"

enum { NTP_SIZE = 48, MODE_CONTROL = 6 };

static const struct wire_word modes[] = {
    {1, "symmetric active"}, {2, "symmetric passive"}, {3, "client"},  {4, "server"},
    {5, "broadcast"},        {6, "control"},           {7, "private"}, {0, NULL}};

static const struct wire_row rows[] = {
    WIRE_FIXED("leap", "Leap indicator", UINT, 0, 1, .shift = 6),
    WIRE_FIXED("version", "Version", UINT, 0, 1, .shift = 3, .bits = 3),
    WIRE_FIXED("mode", "Mode", UINT, 0, 1, .bits = 3, .words = modes),
    WIRE_FIXED("stratum", "Stratum", UINT, 1, 1),
    WIRE_FIXED("poll", "Poll exponent", INT, 2, 1),
    WIRE_FIXED("precision", "Precision exponent", INT, 3, 1),
    WIRE_FIXED("root_delay", "Root delay", UINT, 4, 4),
    WIRE_FIXED("root_dispersion", "Root dispersion", UINT, 8, 4),
    WIRE_FIXED("reference_id", "Reference", BYTES, 12, 4),
    WIRE_FIXED("reference", "Reference time", TIME, 16, 8),
    WIRE_FIXED("origin", "Origin time", TIME, 24, 8),
    WIRE_FIXED("receive", "Receive time", TIME, 32, 8),
    WIRE_FIXED("transmit", "Transmit time", TIME, 40, 8),
};

static const struct wire_dissector *dissect(struct wire *w) {
    bool is_control = (w->view.data[w->view.pos] & 7) >= MODE_CONTROL;
    wire_header(w, &wire_ntp, is_control ? 1 : NTP_SIZE);
    return NULL;
}

static const struct wire_bind binds[] = {{WIRE_UDP_PORT, 123}};

const struct wire_dissector wire_ntp = {
    .name = "ntp",
    .title = "NTP",
    .proto = EYE_PROTO_NTP,
    .dissect = dissect,
    WIRE_ROWS(rows),
    WIRE_BINDS(binds),
};
