/* test_name_resolve.c: the resolver. No case here asks a name server. */
#include <netdb.h>

#include <sockeye/addr.h>

#include "base/base.h"
#include "tap.h"

/* Literals as getaddrinfo(3) takes them, and the addresses that they are. */
static void test_literals(void) {
    static const struct {
        const char *host, *port, *want;
    } rows[] = {
        {"192.0.2.244", NULL, "192.0.2.244:0"},
        {"2001:db8:f00d::1:d", NULL, "[2001:db8:f00d::1:d]:0"},
        {"fe80::1%lo", "80", "[fe80::1%lo]:80"},
        {"fe80::1%4000000000", NULL, "[fe80::1%4000000000]:0"},
        {"::ffff:192.0.2.128", "65535", "[::ffff:192.0.2.128]:65535"},
        {"::192.0.2.128", NULL, "[::192.0.2.128]:0"},
        {"0xc000027b", NULL, "192.0.2.123:0"},
        {"0XC000027B", NULL, "192.0.2.123:0"},
        {"3221226198", NULL, "192.0.2.214:0"},
        {"0300.0.2.0173", NULL, "192.0.2.123:0"},
        {"0xc0.0x00.0x02.0x7b", NULL, "192.0.2.123:0"},
        {"030000001173", NULL, "192.0.2.123:0"},
        {"127.1", NULL, "127.0.0.1:0"},
        {"192.0.635", NULL, "192.0.2.123:0"},
        {"4294967295", NULL, "255.255.255.255:0"},
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        for (int numeric = 0; numeric <= 1; numeric++) {
            struct eye_addrs addrs = {0};
            struct eye_err err = {0};
            struct eye_resolve_opts opts = {.numeric = numeric};
            char text[EYE_ADDR_TEXT_MAX];
            tap_case("resolve '%s'%s", rows[i].host, numeric ? " as a literal" : "");
            int r = eye_resolve(rows[i].host, rows[i].port, &opts, &addrs, &err);
            if (!CHECK_INT(r, 0) || !CHECK_INT(addrs.count, 1)) {
                CHECK_STR(err.text, "");
                continue;
            }
            eye_addr_format(&addrs.list[0], text, sizeof(text));
            CHECK_STR(text, rows[i].want);
            CHECK(addrs.canonical == NULL);
            eye_addrs_done(&addrs);
            CHECK(addrs.list == NULL && addrs.count == 0);
        }
    }
}

static void test_refused(void) {
    static const struct {
        const char *host, *port;
        int family, code;
        const char *words, *cause;
    } rows[] = {
        {"10.0.0.256", NULL, 0, EYE_EAI_BASE + EAI_NONAME, "10.0.0.256: name or service not known",
         "this reads as an IPv4 address, but is none: a part is too large or there are too many"},
        {"1.2.3.4.5", NULL, 0, EYE_EAI_BASE + EAI_NONAME, "1.2.3.4.5: name or service not known",
         "this reads as an IPv4 address, but is none: a part is too large or there are too many"},
        {"4294967296", NULL, 0, EYE_EAI_BASE + EAI_NONAME, "4294967296: name or service not known",
         "this reads as an IPv4 address, but is none: a part is too large or there are too many"},
        {"0x100000000", NULL, 0, EYE_EAI_BASE + EAI_NONAME, "0x100000000: name or service not known",
         "this reads as an IPv4 address, but is none: a part is too large or there are too many"},
        {"fe80::1%no-such-if", NULL, 0, EYE_EAI_BASE + EAI_NONAME,
         "fe80::1%no-such-if: name or service not known", "this host has no interface 'no-such-if'"},
        {"1::2::3", NULL, 0, EYE_EAI_BASE + EAI_NONAME, "1::2::3: name or service not known", ""},
        {"192.0.2.1", NULL, 6, EYE_EAI_BASE + EAI_ADDRFAMILY,
         "192.0.2.1: address family for hostname not supported", ""},
        {"192.0.2.1", "no-such-service", 0, EYE_EAI_BASE + EAI_SERVICE,
         "192.0.2.1: servname not supported for ai_socktype",
         "no service 'no-such-service' is known here (services(5))"},
        {"", NULL, 0, EYE_ESYNTAX, "empty name", ""},
        {"192.0.2.1", "65536", 0, EYE_ESYNTAX, "'65536' is no port: a number up to 65535 or a service's name",
         ""},
        {"192.0.2.1", "-1", 0, EYE_ESYNTAX, "'-1' is no port: a number up to 65535 or a service's name", ""},
        {"192.0.2.1", " 80", 0, EYE_ESYNTAX, "' 80' is no port: a number up to 65535 or a service's name",
         ""},
        {"192.0.2.1", "", 0, EYE_ESYNTAX, "'' is no port: a number up to 65535 or a service's name", ""},
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct eye_addrs addrs = {.count = 4711};
        struct eye_err err = {0};
        struct eye_resolve_opts opts = {.family = rows[i].family};
        tap_case("refuse '%s' port '%s'", rows[i].host, rows[i].port ? rows[i].port : "none");
        CHECK_INT(eye_resolve(rows[i].host, rows[i].port, &opts, &addrs, &err), rows[i].code);
        CHECK_INT(err.code, rows[i].code);
        CHECK_STR(err.text, rows[i].words);
        CHECK_STR(err.cause, rows[i].cause);
        bool port_is_wrong = rows[i].code == EYE_ESYNTAX && rows[i].port;
        CHECK_INT(err.fail, port_is_wrong ? EYE_FAIL_USAGE : EYE_FAIL_RESOLVE);
        CHECK_INT(addrs.count, 4711);
    }

    tap_case("a name is no literal");
    struct eye_addrs addrs;
    struct eye_err err;
    CHECK_INT(eye_resolve("localhost", NULL, &(struct eye_resolve_opts){.numeric = true}, &addrs, &err),
              EYE_EAI_BASE + EAI_NONAME);
}

/* Fills a name of size bytes with labels of at most label bytes. */
static void name_fill(char *name, size_t size, size_t label) {
    for (size_t i = 0; i < size; i++)
        name[i] = i % (label + 1) == label ? '.' : 'a';
    name[size] = '\0';
}

/* As literals, so that names that pass the check are refused by the resolver without asking anybody. */
static void test_long_names(void) {
    static const struct {
        size_t size, label;
        bool dot; /* the root's dot behind it */
        int code;
        const char *words;
    } rows[] = {
        {63, 63, false, EYE_EAI_BASE + EAI_NONAME, NULL},
        {64, 64, false, EYE_ESYNTAX,
         "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa...: a label of 64 bytes, at most 63 are possible"},
        {300, 300, false, EYE_ESYNTAX,
         "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa...: a label of 300 bytes, at most 63 are possible"},
        {253, 63, false, EYE_EAI_BASE + EAI_NONAME, NULL},
        {253, 63, true, EYE_EAI_BASE + EAI_NONAME, NULL},
        {254, 49, false, EYE_ESYNTAX,
         "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa...: a name of 254 bytes, at most 253 are possible"},
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        char name[512];
        struct eye_addrs addrs;
        struct eye_err err;
        name_fill(name, rows[i].size, rows[i].label);
        if (rows[i].dot)
            strcat(name, ".");
        tap_case("a name of %zu bytes in labels of %zu%s", rows[i].size, rows[i].label,
                 rows[i].dot ? " and the root" : "");
        CHECK_INT(eye_resolve(name, NULL, &(struct eye_resolve_opts){.numeric = true}, &addrs, &err),
                  rows[i].code);
        CHECK_INT(err.fail, EYE_FAIL_RESOLVE);
        if (rows[i].words)
            CHECK_STR(err.text, rows[i].words);
    }
}

static bool addrs_hold(const struct eye_addrs *addrs, const char *want) {
    for (size_t i = 0; i < addrs->count; i++) {
        char text[EYE_ADDR_TEXT_MAX];
        eye_addr_format(&addrs->list[i], text, sizeof(text));
        if (strcmp(text, want) == 0)
            return true;
    }
    return false;
}

static void test_no_host(void) {
    struct eye_addrs addrs;
    tap_case("no host: the loopback addresses");
    if (CHECK_INT(eye_resolve(NULL, "80", NULL, &addrs, NULL), 0)) {
        CHECK_INT(addrs.count, 2);
        CHECK(addrs_hold(&addrs, "127.0.0.1:80"));
        CHECK(addrs_hold(&addrs, "[::1]:80"));
        eye_addrs_done(&addrs);
    }
    tap_case("no host, passive: the unspecified addresses");
    if (CHECK_INT(eye_resolve(NULL, NULL, &(struct eye_resolve_opts){.passive = true}, &addrs, NULL), 0)) {
        CHECK(addrs_hold(&addrs, "0.0.0.0:0"));
        CHECK(addrs_hold(&addrs, "[::]:0"));
        eye_addrs_done(&addrs);
    }
    tap_case("one family, over UDP");
    struct eye_resolve_opts opts = {.family = 4, .protocol = IPPROTO_UDP};
    if (CHECK_INT(eye_resolve(NULL, "80", &opts, &addrs, NULL), 0)) {
        CHECK_INT(addrs.count, 1);
        CHECK(addrs_hold(&addrs, "127.0.0.1:80"));
        eye_addrs_done(&addrs);
    }
}

static void test_names(void) {
    struct eye_addrs addrs;

    tap_case("localhost, with its canonical name");
    struct eye_resolve_opts canonical = {.canonical = true};
    if (CHECK_INT(eye_resolve("localhost", "80", &canonical, &addrs, NULL), 0)) {
        CHECK(addrs_hold(&addrs, "127.0.0.1:80") || addrs_hold(&addrs, "[::1]:80"));
        CHECK(addrs.canonical && addrs.canonical[0]);
        eye_addrs_done(&addrs);
        CHECK(addrs.canonical == NULL);
    }

    tap_case("a service's name");
    if (getservbyname("http", "tcp")) {
        if (CHECK_INT(eye_resolve("192.0.2.1", "http", NULL, &addrs, NULL), 0)) {
            CHECK(addrs_hold(&addrs, "192.0.2.1:80"));
            eye_addrs_done(&addrs);
        }
    } else {
        tap_skip("this host knows no services (services(5))");
    }
}

int main(void) {
    test_literals();
    test_refused();
    test_long_names();
    test_no_host();
    test_names();
    return tap_done();
}
