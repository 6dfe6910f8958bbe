/* test_name_cidr.c: blocks of addresses and what they hold. */
#include <sockeye/addr.h>

#include "base/base.h"
#include "tap.h"

static void test_holds(void) {
    static const struct {
        const char *block, *addr;
        bool holds;
    } rows[] = {
        {"192.0.2.0/24", "192.0.2.0", true},
        {"192.0.2.0/24", "192.0.2.255", true},
        {"192.0.2.0/24", "192.0.3.0", false},
        {"192.0.2.0/24", "::ffff:192.0.2.9", true},
        {"192.0.2.0/24", "::ffff:192.0.3.9", false},
        {"192.0.2.0/24", "::192.0.2.9", false},
        {"192.0.2.0/24", "/path", false},
        {"192.0.2.128/25", "192.0.2.128", true},
        {"192.0.2.128/25", "192.0.2.127", false},
        {"192.0.2.4/31", "192.0.2.5", true},
        {"192.0.2.4/31", "192.0.2.6", false},
        {"192.0.2.7", "192.0.2.7", true},
        {"192.0.2.7/32", "192.0.2.6", false},
        {"0.0.0.0/0", "255.255.255.255", true},
        {"0.0.0.0/0", "::ffff:1.2.3.4", true},
        {"0.0.0.0/0", "::1", false},
        {"128.0.0.0/1", "127.255.255.255", false},
        {"128.0.0.0/1", "128.0.0.0", true},
        {"2001:db8::/32", "2001:db8:ffff::1", true},
        {"2001:db8::/32", "2001:db9::", false},
        {"2001:db8::/33", "2001:db8:8000::", false},
        {"fe80::/10", "febf::1%1", true},
        {"fe80::/10", "fec0::1", false},
        {"::1", "::1", true},
        {"::1/128", "::2", false},
        {"::/0", "2001:db8::1", true},
        {"::/0", "192.0.2.1", false},
        {"::/0", "::ffff:192.0.2.1", false},
        {"::ffff:192.0.2.0/120", "192.0.2.200", true},
        {"::ffff:192.0.2.0/120", "::ffff:192.0.2.200", true},
        {"::ffff:192.0.2.0/120", "192.0.3.1", false},
        {"::ffff:0:0/96", "10.1.2.3", true},
        {"::ffff:0:0/96", "::1", false},
        {"::ffff:192.0.2.7", "192.0.2.7", true},
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct eye_cidr cidr;
        struct eye_addr addr;
        tap_case("%s holds %s%s", rows[i].block, rows[i].holds ? "" : "not ", rows[i].addr);
        if (CHECK_INT(eye_cidr_parse(rows[i].block, &cidr, NULL), 0) &&
            CHECK_INT(eye_addr_parse(rows[i].addr, &addr, NULL), 0))
            CHECK_INT(eye_cidr_holds(&cidr, &addr), rows[i].holds);
    }

    struct eye_cidr cidr;
    tap_case("a mapped block is kept as the IPv4 block");
    CHECK_INT(eye_cidr_parse("::ffff:192.0.2.0/120", &cidr, NULL), 0);
    CHECK_INT(cidr.family, 4);
    CHECK_INT(cidr.bits, 24);
    CHECK(memcmp(cidr.bytes, "\xc0\x00\x02\0\0\0\0\0\0\0\0\0\0\0\0", 16) == 0);
}

static void test_bad(void) {
    static const struct {
        const char *text;
        size_t column;
        const char *words, *cause;
    } rows[] = {
        {"", 0, "no address in ''", ""},
        {"/8", 0, "no address in '/8'", ""},
        {"host/8", 0, "no address in 'host/8'", ""},
        {"10.0.0/8", 0, "no address in '10.0.0/8'", ""},
        {"fe80::1%lo", 0, "no address in 'fe80::1%lo'", ""},
        {"[::1]/128", 0, "no address in '[::1]/128'", ""},
        {"10.0.0.0/", 9, "no prefix length in '10.0.0.0/'", ""},
        {"10.0.0.0/x", 9, "no prefix length in '10.0.0.0/x'", ""},
        {"10.0.0.0/-1", 9, "no prefix length in '10.0.0.0/-1'", ""},
        {"10.0.0.0/08", 9, "no prefix length in '10.0.0.0/08'", ""},
        {"10.0.0.0/8/8", 9, "no prefix length in '10.0.0.0/8/8'", ""},
        {"10.0.0.0/33", 9, "prefix length above 32 in '10.0.0.0/33'", ""},
        {"10.0.0.0/255.0.0.0", 9, "no prefix length in '10.0.0.0/255.0.0.0'", ""},
        {"::/129", 3, "prefix length above 128 in '::/129'", ""},
        {"::/18446744073709551744", 3, "prefix length above 128 in '::/18446744073709551744'", ""},
        {"192.0.2.7/24", 0, "bits set behind the prefix in '192.0.2.7/24'",
         "did you mean the block '192.0.2.0/24' or the host '192.0.2.7'?"},
        {"192.0.2.1/31", 0, "bits set behind the prefix in '192.0.2.1/31'",
         "did you mean the block '192.0.2.0/31' or the host '192.0.2.1'?"},
        {"1.0.0.0/0", 0, "bits set behind the prefix in '1.0.0.0/0'",
         "did you mean the block '0.0.0.0/0' or the host '1.0.0.0'?"},
        {"2001:db8::1/64", 0, "bits set behind the prefix in '2001:db8::1/64'",
         "did you mean the block '2001:db8::/64' or the host '2001:db8::1'?"},
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct eye_cidr cidr = {.bits = 47};
        struct eye_err err = {0};
        tap_case("refuse '%s'", rows[i].text);
        CHECK_INT(eye_cidr_parse(rows[i].text, &cidr, &err), EYE_ESYNTAX);
        CHECK_INT(err.code, EYE_ESYNTAX);
        CHECK_INT(err.fail, EYE_FAIL_USAGE);
        CHECK_INT(err.column, rows[i].column);
        CHECK_STR(err.text, rows[i].words);
        CHECK_STR(err.cause, rows[i].cause);
        CHECK_INT(cidr.bits, 47);
    }
}

int main(void) {
    test_holds();
    test_bad();
    return tap_done();
}
