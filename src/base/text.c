/* text.c: text that is safe to show, and numbers that are nothing but a number.
 *
 * eye_escape reads UTF-8 (RFC 3629: no overlong forms, no surrogates, nothing above U+10FFFF) and lets
 * through what a terminal shows as it stands. What could steer the terminal or reorder what is read is
 * written as an escape: C0, DEL and C1 (ECMA-48), the bidirectional controls of UAX #9 and the line and
 * paragraph separators. Bytes that are not UTF-8 stand as \xHH. */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/base.h"

size_t text_utf8(const unsigned char *text, size_t size, uint32_t *ret_point) {
    static const struct {
        unsigned char mask, lead;
        uint32_t min;
    } forms[] = {{0x80, 0x00, 0}, {0xe0, 0xc0, 0x80}, {0xf0, 0xe0, 0x800}, {0xf8, 0xf0, 0x10000}};

    for (size_t extra = 0; extra < ARRAY_LEN(forms); extra++) {
        if ((text[0] & forms[extra].mask) != forms[extra].lead)
            continue;
        if (extra >= size)
            return 0;
        uint32_t point = (uint32_t)(text[0] & ~forms[extra].mask);
        for (size_t i = 1; i <= extra; i++) {
            if ((text[i] & 0xc0) != 0x80)
                return 0;
            point = point << 6 | (text[i] & 0x3f);
        }
        if (point < forms[extra].min || point > 0x10ffff || (point >= 0xd800 && point <= 0xdfff))
            return 0;
        *ret_point = point;
        return extra + 1;
    }
    return 0;
}

bool text_is_unsafe(uint32_t point) {
    static const struct {
        uint32_t first, last;
    } unsafe[] = {
        {0x00, 0x1f}, {0x7f, 0x9f}, {0x061c, 0x061c}, {0x200e, 0x200f}, {0x2028, 0x202e}, {0x2066, 0x2069},
    };
    for (size_t i = 0; i < ARRAY_LEN(unsafe); i++)
        if (point >= unsafe[i].first && point <= unsafe[i].last)
            return true;
    return false;
}

/* The longest form of one character, \u{HHHH}, and its NUL. */
enum { UNIT_MAX = 9 };

/* Writes the safe form of the character at text, and tells how many bytes of text it was made of. */
static size_t unit_write(const unsigned char *text, size_t size, char out[UNIT_MAX], size_t *ret_used) {
    static const char letters[][2] = {{'\n', 'n'}, {'\r', 'r'}, {'\t', 't'}, {'\\', '\\'}};
    uint32_t point = 0;
    size_t used = text_utf8(text, size, &point);

    *ret_used = used ? used : 1;
    for (size_t i = 0; i < ARRAY_LEN(letters); i++)
        if (*text == (unsigned char)letters[i][0])
            return (size_t)snprintf(out, UNIT_MAX, "\\%c", letters[i][1]);
    if (!used || (used == 1 && text_is_unsafe(point)))
        return (size_t)snprintf(out, UNIT_MAX, "\\x%02x", *text);
    if (text_is_unsafe(point))
        return (size_t)snprintf(out, UNIT_MAX, "\\u{%04x}", point & 0xffff);
    memcpy(out, text, used);
    return used;
}

size_t eye_escape(const char *text, size_t size, char *out, size_t out_size) {
    static const char dots[] = "...";
    if (out_size == 0)
        return 0;

    size_t room = out_size - 1, len = 0, cut = 0;
    for (size_t i = 0, used; i < size; i += used) {
        char unit[UNIT_MAX];
        size_t unit_len = unit_write((const unsigned char *)text + i, size - i, unit, &used);
        if (unit_len > room - len) {
            size_t dots_len = MIN(sizeof(dots) - 1, room);
            memcpy(out + cut, dots, dots_len);
            len = cut + dots_len;
            break;
        }
        memcpy(out + len, unit, unit_len);
        len += unit_len;
        if (len + sizeof(dots) - 1 <= room)
            cut = len;
    }
    out[len] = '\0';
    return len;
}

int text_parse_uint(const char *text, size_t size, uint64_t max, uint64_t *ret_value) {
    uint64_t value = 0;
    bool over = false;
    if (size == 0)
        return EYE_ESYNTAX;
    for (size_t i = 0; i < size; i++) {
        if (!ascii_is_digit(text[i]))
            return EYE_ESYNTAX;
        if (__builtin_mul_overflow(value, 10, &value) ||
            __builtin_add_overflow(value, (uint64_t)(text[i] - '0'), &value))
            over = true;
    }
    if (over || value > max)
        return -ERANGE;
    *ret_value = value;
    return 0;
}
