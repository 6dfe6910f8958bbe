/* test_wire_dissect.c: what a tree says of packets that are whole, and that are cut. The packets are those of
 * the golden captures, as the fuzzer's corpus has them (argv[1]); what their fields hold is compared in
 * tests/e2e/test_dissect.py. */
#include <arpa/inet.h>
#include <dirent.h>
#include <errno.h>
#include <stdlib.h>

#include "../../fuzz/packet.h"
#include "tap.h"
#include "wire/wire.h"

/* A segment with time stamps from the sheet's port to port 8000, with "hi". */
static const uint8_t segment[] = {
    0x02, 0,    0,    0,    0,    1,    0x02, 0,    0,  0,  0,  2,   0x08, 0,    /* Ethernet */
    0x45, 0,    0,    54,   0,    1,    0x40, 0,    64, 6,  38, 178, 10,   2,    /* IPv4 */
    0,    1,    10,   9,    0,    2,                                             /* */
    0x95, 0xd0, 0x1f, 0x40, 0xad, 0x51, 0x7f, 0x37, 0,  0,  0,  1,   0x80, 0x18, /* TCP */
    1,    0x56, 0,    0,    0,    0,    1,    1,    8,  10, 0,  0,   0,    7,    /* */
    0,    0,    0,    9,    'h',  'i',
};

static struct eye_tree tree;

static struct eye_packet packet_of(const uint8_t *data, uint32_t size) {
    return (struct eye_packet){.data = data, .caplen = size, .len = size, .link = EYE_LINK_ETHERNET};
}

static void check_field(const struct eye_packet *packet, const char *path, const char *want) {
    struct eye_field field;
    char text[256] = "(none)";
    if (eye_tree_find(&tree, packet, path, &field) == 0)
        eye_field_text(packet, &field, text, sizeof(text));
    tap_check(strcmp(text, want) == 0, __FILE__, __LINE__, "%s is %s, not %s", path, text, want);
}

static void test_segment(void) {
    struct eye_packet packet = packet_of(segment, sizeof(segment));
    static const char *const rows[][2] = {
        {"eth.dst", "02:00:00:00:00:01"},
        {"eth.type", "2048"},
        {"ip.version", "4"},
        {"ip.hdr_len", "20"},
        {"ip.df", "1"},
        {"ip.src", "10.2.0.1"},
        {"tcp.src_port", "38352"},
        {"tcp.seq", "2907799351"},
        {"tcp.hdr_len", "32"},
        {"tcp.flags_text", "P."},
        {"tcp.window", "342"},
        {"tcp.checksum_ok", "(none)"},
        {"payload.text", "hi"},
        {"payload.len", "2"},
        {"udp.len", "(none)"},
        {"ip.nothing", "(none)"},
        {"ip", "(none)"},
    };
    tap_case("fields by their paths");
    CHECK_INT(eye_dissect(&packet, 0, &tree), 4);
    CHECK(!tree.malformed && !tree.truncated);
    for (size_t i = 0; i < ARRAY_LEN(rows); i++)
        check_field(&packet, rows[i][0], rows[i][1]);
}

/* The kernel leaves the sum of the pseudo-header where a card is to finish the checksum. */
static void test_sums(void) {
    uint8_t copy[sizeof(segment)];
    struct eye_packet packet = packet_of(copy, sizeof(copy));
    static const struct {
        uint16_t checksum;
        const char *want;
    } rows[] = {
        {0x173c, "right"}, {0x173d, "wrong"}, {0x1436, "unfinished: left to the network card (offload)"}};
    memcpy(copy, segment, sizeof(copy));
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        tap_case("a checksum that is %s", rows[i].want);
        copy[50] = (uint8_t)(rows[i].checksum >> 8);
        copy[51] = (uint8_t)rows[i].checksum;
        eye_dissect(&packet, EYE_DISSECT_VERIFY, &tree);
        check_field(&packet, "tcp.checksum_ok", rows[i].want);
    }
    tap_case("a checksum of which not all was captured");
    packet.caplen--;
    eye_dissect(&packet, EYE_DISSECT_VERIFY, &tree);
    check_field(&packet, "tcp.checksum_ok", "(none)");
}

static void test_tag_beside(void) {
    struct eye_packet packet = packet_of(segment, sizeof(segment));
    tap_case("a tag that the kernel took out");
    packet.vlan = EYE_VLAN_TAG | 3 << 13 | 5;
    CHECK_INT(eye_dissect(&packet, 0, &tree), 5);
    check_field(&packet, "vlan.id", "5");
    check_field(&packet, "vlan.priority", "3");
    check_field(&packet, "eth.type", "2048");
    check_field(&packet, "ip.src", "10.2.0.1");
}

static void test_addresses(void) {
    static const char *const texts[] = {"::",
                                        "::1",
                                        "1::",
                                        "fe80::1:0:0:1",
                                        "2001:db8:0:1:1:1:1:1",
                                        "::ffff:192.0.2.1",
                                        "::192.0.2.1",
                                        "1:0:0:2::3",
                                        "::2:0:0:1:0",
                                        "ff02::fb",
                                        "::ffff:0:1:2",
                                        "1:2:3:4:5:6:7:8",
                                        "0:1::"};
    tap_case("IPv6 addresses as inet_ntop(3) writes them");
    for (size_t i = 0; i < ARRAY_LEN(texts); i++) {
        struct in6_addr addr;
        char got[64], want[64];
        CHECK_INT(inet_pton(AF_INET6, texts[i], &addr), 1);
        *wire_put_ip6(got, addr.s6_addr) = '\0';
        inet_ntop(AF_INET6, &addr, want, sizeof(want));
        CHECK_STR(got, want);
    }
    uint32_t state = 1;
    for (int i = 0; i < 20000; i++) {
        uint8_t bytes[16];
        char got[64], want[64];
        for (int b = 0; b < 16; b++) {
            state = state * 1664525 + 1013904223;
            bytes[b] = state >> 29 ? 0 : (uint8_t)(state >> 16);
        }
        *wire_put_ip6(got, bytes) = '\0';
        inet_ntop(AF_INET6, bytes, want, sizeof(want));
        if (!CHECK_STR(got, want))
            break;
    }
}

/* Every field that a tree gives, as text. */
static size_t fields_text(const struct eye_packet *packet, char *out, size_t size) {
    struct eye_cursor cursor = {0};
    struct eye_field field;
    size_t len = 0;
    while (eye_tree_next(&tree, packet, &cursor, &field))
        if (len < size / 2)
            len += eye_field_text(packet, &field, out + len, size - len);
    return len;
}

/* A packet that was captured up to that byte: what is missing is marked, and not taken for the sender's
 * fault; without a mark nothing is missing. */
static void check_cut(struct eye_packet packet, unsigned flags, uint32_t cut, const char *name) {
    static char whole[1 << 16], text[1 << 16];
    eye_dissect(&packet, flags, &tree);
    bool was_malformed = tree.malformed != NULL;
    size_t whole_len = fields_text(&packet, whole, sizeof(whole));

    packet.caplen = cut;
    eye_dissect(&packet, flags, &tree);
    size_t len = fields_text(&packet, text, sizeof(text));
    if (!tree.truncated && !was_malformed)
        tap_check(len == whole_len && memcmp(text, whole, len) == 0, __FILE__, __LINE__,
                  "%s: nothing is marked at byte %u, but fields are missing", name, cut);
    tap_check(was_malformed || !tree.malformed, __FILE__, __LINE__,
              "%s: cut at byte %u is taken for %s in %s", name, cut, tree.malformed, tree.malformed_where);
}

static void check_cuts(const char *folder, const char *name) {
    char path[1024];
    uint8_t data[2048];
    snprintf(path, sizeof(path), "%s/%s", folder, name);
    FILE *file = fopen(path, "rb");
    if (!CHECK(file))
        return;
    size_t size = fread(data, 1, sizeof(data), file);
    fclose(file);
    struct eye_packet packet;
    unsigned flags;
    if (!fuzz_packet(data, size, &packet, &flags) || data[1] != 0)
        return;
    for (uint32_t cut = 0; cut < packet.caplen; cut++)
        check_cut(packet, flags, cut, name);
}

static void test_cuts(const char *path) {
    tap_case("every golden packet, captured up to every byte");
    DIR *folder = opendir(path);
    if (!CHECK(folder))
        return;
    for (const struct dirent *entry; (entry = readdir(folder)) != NULL;)
        if (entry->d_name[0] != '.')
            check_cuts(path, entry->d_name);
    closedir(folder);
}

int main(int argc, char **argv) {
    test_segment();
    test_sums();
    test_tag_beside();
    test_addresses();
    if (CHECK(argc == 2))
        test_cuts(argv[1]);
    return tap_done();
}
