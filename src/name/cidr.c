/* cidr.c: blocks of addresses, and which addresses they hold (RFC 4632, RFC 4291).
 *
 * An IPv4-mapped IPv6 address (::ffff:0:0/96) is how an IPv4 peer looks on a socket for both families. So
 * block and address are both brought to IPv4 first where they are mapped, and a rule holds however either
 * is spelt. It follows that ::/0 holds every IPv6 peer and no IPv4 one.
 *
 * Bits that are set behind the prefix are refused: whoever writes 192.0.2.7/24 may mean the block or the
 * host, and a rule that guards something should not be guessed. */
#include <arpa/inet.h>
#include <errno.h>
#include <string.h>

#include "name/name.h"

static const uint8_t mapped_prefix[12] = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff};

static int bad(const char *text, size_t column, struct eye_err *reterr, const char *what) {
    int r = err_set(reterr, EYE_ESYNTAX, EYE_FAIL_USAGE, "%s in '%s'", what, text);
    err_column(reterr, column);
    return r;
}

/* Clears what is behind the prefix; tells whether anything was there. */
static bool host_bits_clear(uint8_t *bytes, size_t size, unsigned bits) {
    bool any = false;
    unsigned keep = 0xff00 >> bits % 8 & 0xff; /* of the first byte, and nothing of the rest */
    for (size_t i = bits / 8; i < size; i++, keep = 0) {
        any |= (bytes[i] & ~keep) != 0;
        bytes[i] = (uint8_t)(bytes[i] & keep);
    }
    return any;
}

int eye_cidr_parse(const char *text, struct eye_cidr *ret_cidr, struct eye_err *reterr) {
    struct eye_cidr cidr = {0};
    const char *slash = strchr(text, '/');
    size_t host_size = slash ? (size_t)(slash - text) : strlen(text);
    struct in6_addr in6;
    struct in_addr in;

    if (name_read_ipv4(text, host_size, &in)) {
        cidr.family = 4;
        memcpy(cidr.bytes, &in, sizeof(in));
    } else if (name_read_ipv6(text, host_size, &in6)) {
        cidr.family = 6;
        memcpy(cidr.bytes, &in6, sizeof(in6));
    } else {
        return bad(text, 0, reterr, "no address");
    }

    size_t size = cidr.family == 4 ? sizeof(in) : sizeof(in6);
    uint64_t bits = size * 8;
    if (slash) {
        const char *digits = slash + 1;
        int r = text_parse_uint(digits, strlen(digits), size * 8, &bits);
        if (r < 0 || (digits[0] == '0' && digits[1] != '\0'))
            return bad(text, host_size + 1, reterr,
                       r != -ERANGE       ? "no prefix length"
                       : cidr.family == 4 ? "prefix length above 32"
                                          : "prefix length above 128");
    }
    cidr.bits = (uint8_t)bits;
    if (host_bits_clear(cidr.bytes, size, cidr.bits)) {
        char block[INET6_ADDRSTRLEN];
        inet_ntop(cidr.family == 4 ? AF_INET : AF_INET6, cidr.bytes, block, sizeof(block));
        bad(text, 0, reterr, "bits set behind the prefix");
        err_cause(reterr, "did you mean the block '%s/%u' or the host '%.*s'?", block, cidr.bits,
                  (int)host_size, text);
        return EYE_ESYNTAX;
    }
    if (cidr.family == 6 && cidr.bits >= 96 &&
        memcmp(cidr.bytes, mapped_prefix, sizeof(mapped_prefix)) == 0) {
        cidr.family = 4;
        cidr.bits = (uint8_t)(cidr.bits - 96);
        memmove(cidr.bytes, cidr.bytes + sizeof(mapped_prefix), sizeof(in));
        memset(cidr.bytes + sizeof(in), 0, sizeof(cidr.bytes) - sizeof(in));
    }
    *ret_cidr = cidr;
    return 0;
}

/* The bytes that a block is compared with, and of which family they are; NULL for no internet address. */
static const uint8_t *addr_bytes(const struct eye_addr *addr, uint8_t *ret_family) {
    if (addr->u.sa.sa_family == AF_INET) {
        *ret_family = 4;
        return (const uint8_t *)&addr->u.in.sin_addr;
    }
    if (addr->u.sa.sa_family != AF_INET6)
        return NULL;
    const uint8_t *bytes = addr->u.in6.sin6_addr.s6_addr;
    bool mapped = memcmp(bytes, mapped_prefix, sizeof(mapped_prefix)) == 0;
    *ret_family = mapped ? 4 : 6;
    return mapped ? bytes + sizeof(mapped_prefix) : bytes;
}

bool eye_cidr_holds(const struct eye_cidr *cidr, const struct eye_addr *addr) {
    uint8_t family;
    const uint8_t *bytes = addr_bytes(addr, &family);
    if (!bytes || family != cidr->family)
        return false;
    size_t whole = cidr->bits / 8;
    if (memcmp(bytes, cidr->bytes, whole) != 0)
        return false;
    unsigned rest = cidr->bits % 8;
    return rest == 0 || (bytes[whole] ^ cidr->bytes[whole]) >> (8 - rest) == 0;
}
