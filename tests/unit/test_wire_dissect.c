/* test_wire_dissect.c: the road through a packet. */
#include <errno.h>
#include <netinet/in.h>

#include "tap.h"
#include "wire/wire.h"

/* A segment with time stamps to port 8000 of ::, with "hi". */
static const uint8_t segment[] = {
    0x02, 0,    0,    0,    0,    1,    0x02, 0,    0,  0, 0,    2,    0x08, 0, /* Ethernet */
    0x45, 0,    0,    54,   0,    1,    0x40, 0,    64, 6, 0xab, 0x34, 10,   2,
    0,    1,    10,   9,    0,    2, /* IPv4 */
    0x95, 0xd0, 0x1f, 0x40, 0xad, 0x51, 0x7f, 0x37, 0,  0, 0,    1,    0x80, 0x18,
    1,    0x56, 0,    0,    0,    0, /* TCP */
    1,    1,    8,    10,   0,    0,    0,    7,    0,  0, 0,    9,    'h',  'i',
};

static struct eye_packet packet_of(const uint8_t *data, uint32_t size) {
    return (struct eye_packet){.data = data, .caplen = size, .len = size, .link = EYE_LINK_ETHERNET};
}

static void check_field(const struct eye_tree *tree, const struct eye_packet *packet, const char *path,
                        const char *want) {
    struct eye_field field;
    char text[256] = "(none)";
    if (eye_tree_find(tree, packet, path, &field) == 0)
        eye_field_text(packet, &field, text, sizeof(text));
    tap_check(strcmp(text, want) == 0, __FILE__, __LINE__, "%s is %s, not %s", path, text, want);
}

static void test_segment(void) {
    static struct eye_tree tree;
    struct eye_packet packet = packet_of(segment, sizeof(segment));
    static const char *const rows[][2] = {
        {"eth.dst", "02:00:00:00:00:01"},
        {"eth.type", "2048"},
        {"ip.version", "4"},
        {"ip.hdr_len", "20"},
        {"ip.df", "1"},
        {"ip.src", "10.2.0.1"},
        {"ip.checksum_ok", "wrong"},
        {"tcp.src_port", "38352"},
        {"tcp.seq", "2907799351"},
        {"tcp.hdr_len", "32"},
        {"tcp.flags_text", "P."},
        {"tcp.window", "342"},
        {"payload.text", "hi"},
        {"payload.len", "2"},
        {"udp.len", "(none)"},
        {"ip.nothing", "(none)"},
        {"ip", "(none)"},
    };
    tap_case("fields of a segment");
    CHECK_INT(eye_dissect(&packet, 0, &tree), 4);
    CHECK(!tree.malformed && !tree.truncated);
    for (size_t i = 0; i < ARRAY_LEN(rows); i++)
        check_field(&tree, &packet, rows[i][0], rows[i][1]);
}

int main(void) {
    test_segment();
    return tap_done();
}
