/* test_name_addr.c: numeric addresses from text and to text. */
#include <arpa/inet.h>
#include <errno.h>
#include <net/if.h>
#include <stdlib.h>

#include <sockeye/addr.h>

#include "base/base.h"
#include "tap.h"

/* Texts, what they are written as with a port, and the host alone. */
static void test_good(void) {
    static const struct {
        const char *text, *full, *host;
    } rows[] = {
        {"192.0.2.244", "192.0.2.244:0", "192.0.2.244"},
        {"192.0.2.1:80", "192.0.2.1:80", "192.0.2.1"},
        {"255.255.255.255:65535", "255.255.255.255:65535", "255.255.255.255"},
        {"0.0.0.0:0", "0.0.0.0:0", "0.0.0.0"},
        {":80", "[::]:80", "::"},
        {"::", "[::]:0", "::"},
        {"::1", "[::1]:0", "::1"},
        {"[::1]", "[::1]:0", "::1"},
        {"[::1]:5566", "[::1]:5566", "::1"},
        {"2001:db8:f00d::1:d", "[2001:db8:f00d::1:d]:0", "2001:db8:f00d::1:d"},
        {"::ffff:192.0.2.128", "[::ffff:192.0.2.128]:0", "::ffff:192.0.2.128"},
        {"::ffff:c000:280", "[::ffff:192.0.2.128]:0", "::ffff:192.0.2.128"},
        {"[::192.0.2.128]:1", "[::192.0.2.128]:1", "::192.0.2.128"},
        {"fe80::1%lo", "[fe80::1%lo]:0", "fe80::1%lo"},
        {"[fe80::1%lo]:80", "[fe80::1%lo]:80", "fe80::1%lo"},
        {"fe80::1%4000000000", "[fe80::1%4000000000]:0", "fe80::1%4000000000"},
        {"fe80::1%0", "[fe80::1]:0", "fe80::1"},
        /* RFC 5952, 4.1: no leading zeros. */
        {"2001:0db8::0001", "[2001:db8::1]:0", "2001:db8::1"},
        /* 4.2.1: shorten as much as possible. */
        {"2001:db8:0:0:0:0:2:1", "[2001:db8::2:1]:0", "2001:db8::2:1"},
        {"2001:db8::0:1", "[2001:db8::1]:0", "2001:db8::1"},
        /* 4.2.2: one group of zeros is no reason. */
        {"2001:db8::1:1:1:1:1", "[2001:db8:0:1:1:1:1:1]:0", "2001:db8:0:1:1:1:1:1"},
        /* 4.2.3: the longest run, and the first of two. */
        {"2001:0:0:1:0:0:0:1", "[2001:0:0:1::1]:0", "2001:0:0:1::1"},
        {"2001:db8:0:0:1:0:0:1", "[2001:db8::1:0:0:1]:0", "2001:db8::1:0:0:1"},
        /* 4.3: lower case. */
        {"2001:DB8::AaAa", "[2001:db8::aaaa]:0", "2001:db8::aaaa"},
        /* 5: well-known prefixes of embedded IPv4. */
        {"0:0:0:0:0:FFFF:192.0.2.1", "[::ffff:192.0.2.1]:0", "::ffff:192.0.2.1"},
        {"1:2:3:4:5:6:7:8", "[1:2:3:4:5:6:7:8]:0", "1:2:3:4:5:6:7:8"},
        {"ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", "[ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff]:0",
         "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff"},
        {"/run/a.sock", "/run/a.sock", "/run/a.sock"},
        {"./a,b:c", "./a,b:c", "./a,b:c"},
        {"../a", "../a", "../a"},
        {"@abstract", "@abstract", "@abstract"},
        {"@@", "@@", "@@"},
        {"/tab\tand\x1b[0m\\", "/tab\\tand\\x1b[0m\\\\", "/tab\\tand\\x1b[0m\\\\"},
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct eye_addr addr;
        struct eye_err err = {0};
        char text[EYE_ADDR_TEXT_MAX];
        tap_case("parse and format '%s'", rows[i].text);
        if (!CHECK_INT(eye_addr_parse(rows[i].text, &addr, &err), 0)) {
            CHECK_STR(err.text, "");
            continue;
        }
        CHECK_INT(eye_addr_format(&addr, text, sizeof(text)), strlen(rows[i].full));
        CHECK_STR(text, rows[i].full);
        CHECK_INT(eye_addr_format_host(&addr, text, sizeof(text)), strlen(rows[i].host));
        CHECK_STR(text, rows[i].host);
    }
}

static void test_bad(void) {
    static const struct {
        const char *text;
        int code;
        size_t column;
        const char *words;
    } rows[] = {
        {"", EYE_ESYNTAX, 0, "empty address in ''"},
        {"10.0.0.256", EYE_ESYNTAX, 0, "no numeric address in '10.0.0.256'"},
        {"010.0.0.1", EYE_ESYNTAX, 0, "no numeric address in '010.0.0.1'"},
        {"127.1", EYE_ESYNTAX, 0, "no numeric address in '127.1'"},
        {"0xc000027b", EYE_ESYNTAX, 0, "no numeric address in '0xc000027b'"},
        {"3221226198", EYE_ESYNTAX, 0, "no numeric address in '3221226198'"},
        {"localhost:80", EYE_ESYNTAX, 0, "no numeric address in 'localhost:80'"},
        {"1.2.3.4 :80", EYE_ESYNTAX, 0, "no numeric address in '1.2.3.4 :80'"},
        {"1.2.3.4:", EYE_ESYNTAX, 8, "no port number in '1.2.3.4:'"},
        {"1.2.3.4:http", EYE_ESYNTAX, 8, "no port number in '1.2.3.4:http'"},
        {"1.2.3.4:65536", EYE_ESYNTAX, 8, "port above 65535 in '1.2.3.4:65536'"},
        {"1.2.3.4:-1", EYE_ESYNTAX, 8, "no port number in '1.2.3.4:-1'"},
        {"1.2.3.4%lo", EYE_ESYNTAX, 0, "no numeric address in '1.2.3.4%lo'"},
        {":", EYE_ESYNTAX, 1, "no port number in ':'"},
        {"[::1", EYE_ESYNTAX, 4, "no ']' in '[::1'"},
        {"[]:80", EYE_ESYNTAX, 1, "no IPv6 address in '[]:80'"},
        {"[1.2.3.4]:80", EYE_ESYNTAX, 1, "no IPv6 address in '[1.2.3.4]:80'"},
        {"[::1]80", EYE_ESYNTAX, 5, "neither end nor port after ']' in '[::1]80'"},
        {"[::1]:", EYE_ESYNTAX, 6, "no port number in '[::1]:'"},
        {"[::1]:99999999999999999999", EYE_ESYNTAX, 6, "port above 65535 in '[::1]:99999999999999999999'"},
        {"1::2::3", EYE_ESYNTAX, 0, "no IPv6 address in '1::2::3'"},
        {"12345::", EYE_ESYNTAX, 0, "no IPv6 address in '12345::'"},
        {"1:2:3:4:5:6:7:8:9", EYE_ESYNTAX, 0, "no IPv6 address in '1:2:3:4:5:6:7:8:9'"},
        {"::ffff:192.0.2.256", EYE_ESYNTAX, 0, "no IPv6 address in '::ffff:192.0.2.256'"},
        {"fe80::1%", EYE_ESYNTAX, 8, "empty zone in 'fe80::1%'"},
        {"fe80::1%no-such-if", -ENODEV, 8, "no interface 'no-such-if' for the zone in 'fe80::1%no-such-if'"},
        {"[fe80::1%no-such-if]:80", -ENODEV, 9,
         "no interface 'no-such-if' for the zone in '[fe80::1%no-such-if]:80'"},
        {"fe80::1%4294967296", -ENODEV, 8, "no interface '4294967296' for the zone in 'fe80::1%4294967296'"},
        {"@", EYE_ESYNTAX, 0, "empty abstract name in '@'"},
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct eye_addr addr = {.len = 4711};
        struct eye_err err = {0};
        tap_case("refuse '%s'", rows[i].text);
        CHECK_INT(eye_addr_parse(rows[i].text, &addr, &err), rows[i].code);
        CHECK_INT(err.code, rows[i].code);
        CHECK_INT(err.fail, rows[i].code == -ENODEV ? EYE_FAIL_RESOLVE : EYE_FAIL_USAGE);
        CHECK_INT(err.column, rows[i].column);
        CHECK_STR(err.text, rows[i].words);
        CHECK_INT(addr.len, 4711);
        CHECK_INT(eye_addr_parse(rows[i].text, &addr, NULL), rows[i].code);
    }
}

static void test_zone(void) {
    struct eye_addr addr;
    unsigned lo = if_nametoindex("lo");
    char text[64];

    tap_case("a zone by name is the interface's index");
    if (CHECK(lo > 0) && CHECK_INT(eye_addr_parse("[fe80::1%lo]:80", &addr, NULL), 0)) {
        CHECK_INT(addr.u.in6.sin6_scope_id, lo);
        CHECK_INT(addr.len, sizeof(struct sockaddr_in6));
        CHECK_INT(eye_addr_port(&addr), 80);
    }
    tap_case("a zone by number is written by name");
    snprintf(text, sizeof(text), "fe80::1%%%u", lo);
    if (CHECK_INT(eye_addr_parse(text, &addr, NULL), 0)) {
        CHECK_INT(addr.u.in6.sin6_scope_id, lo);
        eye_addr_format_host(&addr, text, sizeof(text));
        CHECK_STR(text, "fe80::1%lo");
    }
}

static void test_unix(void) {
    char text[120] = "/";
    struct eye_addr addr;
    struct eye_err err;
    memset(text + 1, 'a', sizeof(text) - 1);

    tap_case("a path of 107 bytes fits, with its NUL");
    text[107] = '\0';
    CHECK_INT(eye_addr_parse(text, &addr, NULL), 0);
    CHECK_INT(addr.len, sizeof(struct sockaddr_un));
    CHECK_STR(addr.u.un.sun_path, text);

    tap_case("a path of 108 bytes does not");
    text[107] = 'a';
    text[108] = '\0';
    CHECK_INT(eye_addr_parse(text, &addr, &err), EYE_ESYNTAX);
    CHECK(strstr(err.text, "path of 108 bytes, where at most 107 fit") == err.text);

    tap_case("an abstract name of 107 bytes fits, without a NUL behind it");
    text[0] = '@';
    CHECK_INT(eye_addr_parse(text, &addr, NULL), 0);
    CHECK_INT(addr.len, sizeof(struct sockaddr_un));
    CHECK_INT(addr.u.un.sun_path[0], '\0');
    CHECK_INT(addr.u.un.sun_path[107], 'a');

    tap_case("an abstract name of 108 bytes does not");
    text[108] = 'a';
    text[109] = '\0';
    CHECK_INT(eye_addr_parse(text, &addr, &err), EYE_ESYNTAX);
    CHECK(strstr(err.text, "abstract name of 108 bytes, where at most 107 fit") == err.text);

    tap_case("the length of a short abstract name counts no NUL");
    CHECK_INT(eye_addr_parse("@ab", &addr, NULL), 0);
    CHECK_INT(addr.len, offsetof(struct sockaddr_un, sun_path) + 3);
}

/* Addresses that no text gives but the kernel may. */
static void test_format(void) {
    struct eye_addr addr;
    char text[EYE_ADDR_TEXT_MAX];
    const size_t head = offsetof(struct sockaddr_un, sun_path);

    tap_case("an unnamed Unix socket");
    addr = (struct eye_addr){.len = (socklen_t)head, .u.un.sun_family = AF_UNIX};
    eye_addr_format(&addr, text, sizeof(text));
    CHECK_STR(text, "unix");

    tap_case("an abstract name with a NUL and no UTF-8");
    memcpy(addr.u.un.sun_path, "\0a\0b\xff", 5);
    addr.len = (socklen_t)head + 5;
    eye_addr_format(&addr, text, sizeof(text));
    CHECK_STR(text, "@a\\x00b\\xff");

    tap_case("a relative path is written so that it reads as one");
    memcpy(addr.u.un.sun_path, "a.sock", 7);
    addr.len = (socklen_t)head + 7;
    eye_addr_format(&addr, text, sizeof(text));
    CHECK_STR(text, "./a.sock");
    memcpy(addr.u.un.sun_path, "@.sock", 7);
    eye_addr_format(&addr, text, sizeof(text));
    CHECK_STR(text, "./@.sock");

    tap_case("the longest text fits");
    memset(addr.u.un.sun_path, '\x1b', sizeof(addr.u.un.sun_path));
    addr.len = sizeof(struct sockaddr_un);
    CHECK_INT(eye_addr_format(&addr, text, sizeof(text)), 2 + 4 * 108);
    addr.u.un.sun_path[0] = '\0';
    CHECK_INT(eye_addr_format(&addr, text, sizeof(text)), 1 + 4 * 107);

    tap_case("a buffer that is too small stays as it is");
    CHECK_INT(eye_addr_parse("[2001:db8::1]:80", &addr, NULL), 0);
    memset(text, 'X', sizeof(text));
    CHECK_INT(eye_addr_format(&addr, text, 16), -ENOSPC);
    CHECK_INT(text[0], 'X');
    CHECK_INT(eye_addr_format(&addr, text, 17), 16);
    CHECK_STR(text, "[2001:db8::1]:80");
    CHECK_INT(eye_addr_format_host(&addr, text, 11), -ENOSPC);
    CHECK_INT(eye_addr_format_host(&addr, text, 12), 11);

    tap_case("another family");
    addr.u.sa.sa_family = AF_APPLETALK;
    CHECK_INT(eye_addr_format(&addr, text, sizeof(text)), -EAFNOSUPPORT);
    CHECK_INT(eye_addr_format_host(&addr, text, sizeof(text)), -EAFNOSUPPORT);
    CHECK_INT(eye_addr_port(&addr), 0);
}

int main(void) {
    test_good();
    test_bad();
    test_zone();
    test_unix();
    test_format();
    return tap_done();
}
