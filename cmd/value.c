#include "value.h"

#include <arpa/inet.h>
#include <ctype.h>
#include <endian.h>
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <sockeye/addr.h>

#include "options.h"

#define IPV4_BYTES 4
#define IPV6_BYTES 16
#define MAC_BYTES  6

static const uint8_t mapped_prefix[12] = {[10] = 0xff, [11] = 0xff}; /* RFC 4291, 2.5.5.2 */

static uint64_t big_endian(const uint8_t *bytes, size_t size) {
    uint64_t number = 0;
    for (size_t i = 0; i < size; i++)
        number = number << 8 | bytes[i];
    return number;
}

/* ---- readers: 0, EYE_ESYNTAX for what is not theirs, or -ERANGE ---- */

static int hex_digit(char c) {
    if (c >= '0' && c <= '9')
        return c - '0';
    c = (char)(c | 0x20);
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* Reads size bytes of two hex digits each, with separator after every `group` of them (0: none). */
static int read_hex(const char *text, char separator, size_t group, uint8_t *bytes, size_t size) {
    for (size_t i = 0; i < size; i++) {
        if (group > 0 && i > 0 && i % group == 0 && *text++ != separator)
            return EYE_ESYNTAX;
        int high = hex_digit(text[0]), low = high < 0 ? -1 : hex_digit(text[1]);
        if (low < 0)
            return EYE_ESYNTAX;
        bytes[i] = (uint8_t)(high << 4 | low);
        text += 2;
    }
    return *text ? EYE_ESYNTAX : 0;
}

static int read_mac(const char *text, struct value *value) {
    static const struct {
        char separator;
        size_t group;
    } spellings[] = {{':', 1}, {'-', 1}, {'.', 1}, {'.', 2}, {0, 0}};
    for (size_t i = 0; i < sizeof spellings / sizeof spellings[0]; i++) {
        if (read_hex(text, spellings[i].separator, spellings[i].group, value->bytes, MAC_BYTES) == 0) {
            value->kind = VALUE_MAC;
            value->number = big_endian(value->bytes, MAC_BYTES);
            return 0;
        }
    }
    return EYE_ESYNTAX;
}

/* Twelve digits without separators may be a number as well: they are tried last, as bytes. */
static int read_spelt_mac(const char *text, struct value *value) {
    return strpbrk(text, ":-.") ? read_mac(text, value) : EYE_ESYNTAX;
}

static int read_ipv4(const char *text, struct value *value) {
    if (inet_pton(AF_INET, text, value->bytes) != 1)
        return EYE_ESYNTAX;
    value->kind = VALUE_IPV4;
    value->number = big_endian(value->bytes, IPV4_BYTES);
    return 0;
}

static int read_ipv6(const char *text, struct value *value) {
    if (inet_pton(AF_INET6, text, value->bytes) != 1)
        return EYE_ESYNTAX;
    value->kind = VALUE_IPV6;
    return 0;
}

static int read_int(const char *text, struct value *value) {
    bool hex = text[0] == '0' && (text[1] | 0x20) == 'x';
    const char *digits = hex ? text + 2 : text;
    const char *allowed = hex ? "0123456789abcdefABCDEF" : "0123456789";

    if (!*digits || digits[strspn(digits, allowed)] || (!hex && digits[0] == '0' && digits[1]))
        return EYE_ESYNTAX;
    errno = 0;
    value->number = strtoull(digits, NULL, hex ? 16 : 10);
    if (errno == ERANGE)
        return -ERANGE;
    value->kind = VALUE_INT;
    return 0;
}

static int read_bytes(const char *text, struct value *value) {
    static const struct {
        enum value_kind kind;
        size_t size;
    } sizes[] = {{VALUE_IPV4, IPV4_BYTES}, {VALUE_MAC, MAC_BYTES}, {VALUE_IPV6, IPV6_BYTES}};
    for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
        if (read_hex(text, 0, 0, value->bytes, sizes[i].size) == 0) {
            value->kind = sizes[i].kind;
            value->number = sizes[i].size <= 8 ? big_endian(value->bytes, sizes[i].size) : 0;
            return 0;
        }
    }
    return EYE_ESYNTAX;
}

const char *const value_from_names[] = {"ipv4", "ipv6", "mac", "int", "hex", NULL};

/* In the order of value_from_names, which begins with the kinds in theirs. */
static const struct {
    int (*read)(const char *text, struct value *value);
    const char *wants;
} readers[] = {
    {read_ipv4, "an IPv4 address: 127.0.0.1"},
    {read_ipv6, "an IPv6 address: 2001:db8::1"},
    {read_mac, "a MAC address: 00:11:32:3c:c3:0b"},
    {read_int, "an integer, decimal without leading zeros or hexadecimal: 0x7f"},
    {read_bytes, "bytes as 8, 12 or 32 hex digits: IPv4, MAC or IPv6"},
};
_Static_assert(sizeof readers / sizeof readers[0] + 1 == sizeof value_from_names / sizeof value_from_names[0],
               "a reader for every name");

static int too_large(const char *text, struct eye_err *reterr) {
    usage_error(reterr, NULL, "'%s' does not fit in 64 bits", text);
    return -ERANGE;
}

static const char *hint(const char *text) {
    struct eye_addr addr;
    if (text[0] == '-' && text[1 + strspn(text + 1, "0123456789")] == '\0')
        return "integers here have no sign";
    if (strchr(text, '%'))
        return "a zone is no part of an address's bytes: leave it out";
    if (eye_addr_parse(text, &addr, NULL) >= 0 && addr.u.sa.sa_family != AF_UNIX)
        return "give the address alone, without brackets and port";
    return NULL;
}

int value_parse(const char *text, const char *from, struct value *ret_value, struct eye_err *reterr) {
    static int (*const detectors[])(const char *, struct value *) = {read_spelt_mac, read_ipv4, read_ipv6,
                                                                     read_int, read_bytes};
    struct value value = {0};

    for (size_t i = 0; from && value_from_names[i]; i++) {
        if (strcmp(from, value_from_names[i]) != 0)
            continue;
        int r = readers[i].read(text, &value);
        if (r == -ERANGE)
            return too_large(text, reterr);
        if (r < 0)
            return usage_error(reterr, hint(text), "'%s' is not %s", text, readers[i].wants);
        *ret_value = value;
        return 0;
    }
    for (size_t i = 0; i < sizeof detectors / sizeof detectors[0]; i++) {
        int r = detectors[i](text, &value);
        if (r == -ERANGE)
            return too_large(text, reterr);
        if (r == 0) {
            *ret_value = value;
            return 0;
        }
    }
    return usage_error(reterr, hint(text), "'%s' is no address, MAC address or integer", text);
}

const char *value_kind_text(enum value_kind kind) {
    static const char *const texts[] = {
        [VALUE_IPV4] = "an IPv4 address",
        [VALUE_IPV6] = "an IPv6 address",
        [VALUE_MAC] = "a MAC address",
        [VALUE_INT] = "an integer",
    };
    _Static_assert(sizeof texts / sizeof texts[0] == VALUE_KIND_MAX, "a text for every kind");
    return texts[kind];
}

/* ---- forms ---- */

/* The four bytes of what is, maps or counts as an IPv4 address. */
static int as_ipv4(const struct value *value, uint8_t ret_bytes[IPV4_BYTES]) {
    const uint8_t *from = value->bytes;
    uint32_t order;

    if (value->kind == VALUE_MAC)
        return -ENOENT;
    if (value->kind == VALUE_IPV6) {
        if (memcmp(from, mapped_prefix, sizeof mapped_prefix) != 0)
            return -ENOENT;
        from += sizeof mapped_prefix;
    }
    if (value->kind == VALUE_INT) {
        if (value->number > UINT32_MAX)
            return -ERANGE;
        order = htobe32((uint32_t)value->number);
        from = (const uint8_t *)&order;
    }
    memcpy(ret_bytes, from, IPV4_BYTES);
    return 0;
}

static int dotted(const struct value *value, char *out, size_t size) {
    uint8_t b[IPV4_BYTES];
    int r = as_ipv4(value, b);
    if (r < 0)
        return r;
    snprintf(out, size, "%u.%u.%u.%u", b[0], b[1], b[2], b[3]);
    return 0;
}

static int mapped(const struct value *value, char *out, size_t size) {
    char text[INET_ADDRSTRLEN];
    int r = dotted(value, text, sizeof text);
    if (r < 0)
        return r;
    snprintf(out, size, "::ffff:%s", text);
    return 0;
}

/* Every byte as two hex digits, with separator after every `group` of them (0: none). */
static void write_hex(const uint8_t *bytes, size_t count, char separator, size_t group, char *out,
                      size_t size) {
    size_t used = 0;
    for (size_t i = 0; i < count && used < size; i++) {
        if (group > 0 && i > 0 && i % group == 0)
            out[used++] = separator;
        snprintf(out + used, size - used, "%02x", bytes[i]);
        used += 2;
    }
}

static int mac_form(const struct value *value, char separator, size_t group, char *out, size_t size) {
    if (value->kind != VALUE_MAC)
        return -ENOENT;
    write_hex(value->bytes, MAC_BYTES, separator, group, out, size);
    return 0;
}

static int colon(const struct value *value, char *out, size_t size) {
    struct eye_addr addr = {.len = sizeof addr.u.in6, .u.in6.sin6_family = AF_INET6};
    if (value->kind != VALUE_IPV6)
        return mac_form(value, ':', 1, out, size);
    memcpy(&addr.u.in6.sin6_addr, value->bytes, IPV6_BYTES);
    return eye_addr_format_host(&addr, out, size) < 0 ? -ENOENT : 0;
}

static int dash(const struct value *value, char *out, size_t size) {
    return mac_form(value, '-', 1, out, size);
}

static int dot(const struct value *value, char *out, size_t size) {
    return mac_form(value, '.', 2, out, size);
}

static int bare(const struct value *value, char *out, size_t size) {
    return mac_form(value, 0, 0, out, size);
}

static int hex(const struct value *value, char *out, size_t size) {
    if (value->kind == VALUE_MAC)
        return -ENOENT;
    if (value->kind == VALUE_INT)
        snprintf(out, size, "0x%" PRIx64, value->number);
    else
        write_hex(value->bytes, value->kind == VALUE_IPV4 ? IPV4_BYTES : IPV6_BYTES, 0, 0, out, size);
    return 0;
}

static int dec(const struct value *value, char *out, size_t size) {
    char digits[40]; /* 2^128 has 39 */
    size_t at = sizeof digits - 1;
    unsigned __int128 number = value->number;

    if (value->kind == VALUE_IPV6)
        number = (unsigned __int128)big_endian(value->bytes, 8) << 64 | big_endian(value->bytes + 8, 8);
    digits[at] = '\0';
    do {
        digits[--at] = (char)('0' + (int)(number % 10));
        number /= 10;
    } while (number > 0);
    snprintf(out, size, "%s", digits + at);
    return 0;
}

/* What a host reads that takes network order for its own. */
static int net(const struct value *value, unsigned bits, char *out, size_t size) {
    uint64_t swapped;
    if (value->kind != VALUE_INT && !(value->kind == VALUE_IPV4 && bits == 32))
        return -ENOENT;
    if (bits < 64 && value->number >> bits)
        return -ERANGE;
    if (bits == 16)
        swapped = htobe16((uint16_t)value->number);
    else if (bits == 32)
        swapped = htobe32((uint32_t)value->number);
    else
        swapped = htobe64(value->number);
    snprintf(out, size, "%" PRIu64, swapped);
    return 0;
}

static int net16(const struct value *value, char *out, size_t size) {
    return net(value, 16, out, size);
}

static int net32(const struct value *value, char *out, size_t size) {
    return net(value, 32, out, size);
}

static int net64(const struct value *value, char *out, size_t size) {
    return net(value, 64, out, size);
}

/* The name under which DNS keeps the address's name: RFC 1035, 3.5 and RFC 3596, 2.5. */
static int ptr(const struct value *value, char *out, size_t size) {
    uint8_t b[IPV4_BYTES];
    int r;
    if (value->kind == VALUE_IPV6) {
        size_t used = 0;
        for (size_t i = IPV6_BYTES; i-- > 0; used += 4)
            snprintf(out + used, size - used, "%x.%x.", value->bytes[i] & 15u, value->bytes[i] >> 4);
        snprintf(out + used, size - used, "ip6.arpa");
        return 0;
    }
    r = as_ipv4(value, b);
    if (r < 0)
        return r;
    snprintf(out, size, "%u.%u.%u.%u.in-addr.arpa", b[3], b[2], b[1], b[0]);
    return 0;
}

const char *const value_form_names[] = {"dotted", "colon", "dash",  "dot",    "bare", "hex", "dec",
                                        "net16",  "net32", "net64", "mapped", "ptr",  NULL};

/* In the order of value_form_names. */
static const struct {
    int (*format)(const struct value *value, char *out, size_t size);
    unsigned bits;
    bool number, swapped;
} forms[] = {
    {dotted, 32, false, false}, {colon, 0, false, false}, {dash, 0, false, false},    {dot, 0, false, false},
    {bare, 0, false, false},    {hex, 0, false, false},   {dec, 0, true, false},      {net16, 16, true, true},
    {net32, 32, true, true},    {net64, 64, true, true},  {mapped, 32, false, false}, {ptr, 32, false, false},
};
_Static_assert(sizeof forms / sizeof forms[0] + 1 == sizeof value_form_names / sizeof value_form_names[0],
               "a row for every form");

int value_format(const struct value *value, size_t form, char *out, size_t size) {
    return forms[form].format(value, out, size);
}

bool value_form_is_number(size_t form) {
    return forms[form].number;
}

unsigned value_form_bits(size_t form) {
    return forms[form].bits;
}

bool value_form_is_swapped(size_t form) {
    return forms[form].swapped;
}
