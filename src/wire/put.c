/* put.c: numbers and addresses as text, without printf(3): these are where the time of a line goes. */
#include "wire/wire.h"

/* Two digits at a time: half the divisions, and they are what this costs. */
static const char pairs[] = "00010203040506070809101112131415161718192021222324"
                            "25262728293031323334353637383940414243444546474849"
                            "50515253545556575859606162636465666768697071727374"
                            "75767778798081828384858687888990919293949596979899";

/* Of a number that is not 0: from how many bits it has (1233 / 4096 is log10(2)), and one comparison. */
static inline unsigned digits_of(uint32_t num) {
    static const uint32_t powers[] = {1,      10,      100,      1000,      10000,
                                      100000, 1000000, 10000000, 100000000, 1000000000};
    unsigned least = (32U - (unsigned)__builtin_clz(num)) * 1233 >> 12;
    return least + (num >= powers[least]);
}

char *wire_put_digits(char *out, uint32_t num, unsigned digits) {
    char *end = out + digits, *pos = end;
    for (; digits >= 2; digits -= 2, num /= 100)
        memcpy(pos -= 2, pairs + num % 100 * 2, 2);
    if (digits)
        *out = (char)('0' + num % 10);
    return end;
}

char *wire_put_uint(char *out, uint64_t num) {
    enum { PART = 1000000000 };
    if (num < 10) {
        *out = (char)('0' + num);
        return out + 1;
    }
    if (num < 100) {
        memcpy(out, pairs + num * 2, 2);
        return out + 2;
    }
    if (num < 10000) {
        unsigned high = (unsigned)num / 100, skip = num < 1000;
        memcpy(out, pairs + high * 2 + skip, 2);
        memcpy(out + 2 - skip, pairs + num % 100 * 2, 2);
        return out + 4 - skip;
    }
    if (num > UINT32_MAX) {
        out = wire_put_uint(out, num / PART);
        return wire_put_digits(out, (uint32_t)(num % PART), 9);
    }
    return wire_put_digits(out, (uint32_t)num, digits_of((uint32_t)num));
}

char *wire_put_int(char *out, int64_t num) {
    if (num < 0)
        *out++ = '-';
    return wire_put_uint(out, num < 0 ? -(uint64_t)num : (uint64_t)num);
}

static const char hex_digits[] = "0123456789abcdef";

char *wire_put_hex(char *out, const uint8_t *data, uint32_t size) {
    for (uint32_t i = 0; i < size; i++) {
        *out++ = hex_digits[data[i] >> 4];
        *out++ = hex_digits[data[i] & 0xf];
    }
    return out;
}

char *wire_put_mac(char *out, const uint8_t *data, uint32_t size) {
    for (uint32_t i = 0; i < size; i++) {
        if (i > 0)
            *out++ = ':';
        out = wire_put_hex(out, data + i, 1);
    }
    return out;
}

char *wire_put_ip4(char *out, const uint8_t data[4]) {
    for (int i = 0; i < 4; i++) {
        uint8_t byte = data[i];
        if (i > 0)
            *out++ = '.';
        if (byte < 10) {
            *out++ = (char)('0' + byte);
            continue;
        }
        if (byte >= 100)
            *out++ = (char)('0' + byte / 100);
        memcpy(out, pairs + byte % 100 * 2, 2);
        out += 2;
    }
    return out;
}

static char *put_hextet(char *out, uint16_t num) {
    for (int shift = 12; shift >= 0; shift -= 4)
        if (shift == 0 || num >> shift)
            *out++ = hex_digits[num >> shift & 0xf];
    return out;
}

/* RFC 5952: the longest run of at least two zeros becomes "::", the first of equal ones; the last 32 bits
 * stand as IPv4 where inet_ntop(3) writes them so: in ::ffff:0:0/96, and in ::/96 beyond ::ffff. */
char *wire_put_ip6(char *out, const uint8_t data[16]) {
    int begin = -1, size = 1;
    for (int i = 0; i < 8;) {
        int run = 0;
        while (i + run < 8 && be16(data + (i + run) * 2) == 0)
            run++;
        if (run > size) {
            begin = i;
            size = run;
        }
        i += run + 1;
    }
    bool is_mapped = begin == 0 && size == 5 && be16(data + 10) == 0xffff;
    bool has_ip4 = is_mapped || (begin == 0 && size == 6);
    for (int i = 0; i < (has_ip4 ? 6 : 8); i++) {
        if (i == begin) {
            *out++ = ':';
            i += size - 1;
            if (i == 7)
                *out++ = ':';
            continue;
        }
        if (i > 0)
            *out++ = ':';
        out = put_hextet(out, be16(data + i * 2));
    }
    if (!has_ip4)
        return out;
    *out++ = ':';
    return wire_put_ip4(out, data + 12);
}

char *wire_put_tcp_flags(char *out, uint16_t flags) {
    static const char letters[] = "FSRP.UEWe";
    char *begin = out;
    for (int i = 0; letters[i]; i++)
        if (flags >> i & 1)
            *out++ = letters[i];
    if (out > begin)
        return out;
    return mempcpy(out, "none", 4);
}
