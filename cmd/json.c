#include "json.h"

#include <inttypes.h>
#include <math.h>
#include <string.h>

static void put(struct json *json, const char *data, size_t size) {
    if (json->file) {
        fwrite(data, 1, size, json->file);
    } else if (size <= json->size - json->used) {
        memcpy(json->buf + json->used, data, size);
        json->used += size;
    } else {
        json->cut = true;
    }
}

static void put_text(struct json *json, const char *text) {
    put(json, text, strlen(text));
}

/* The code point at the front of text and, in ret_size, its bytes; or -1 and 1 for a byte that is not
 * UTF-8 (RFC 3629: no overlong forms, no surrogates, nothing above U+10FFFF). */
static int32_t decode(const char *text, size_t size, size_t *ret_size) {
    static const struct {
        uint8_t mask, lead;
        int32_t least;
    } form[] = {{0x80, 0x00, 0}, {0xe0, 0xc0, 0x80}, {0xf0, 0xe0, 0x800}, {0xf8, 0xf0, 0x10000}};
    const uint8_t *bytes = (const uint8_t *)text;

    *ret_size = 1;
    for (size_t extra = 0; extra < sizeof form / sizeof form[0]; extra++) {
        if ((bytes[0] & form[extra].mask) != form[extra].lead)
            continue;
        if (size <= extra)
            return -1;
        int32_t point = bytes[0] & ~form[extra].mask & 0xff;
        for (size_t i = 1; i <= extra; i++) {
            if ((bytes[i] & 0xc0) != 0x80)
                return -1;
            point = point << 6 | (bytes[i] & 0x3f);
        }
        if (point < form[extra].least || point > 0x10ffff || (point >= 0xd800 && point <= 0xdfff))
            return -1;
        *ret_size = extra + 1;
        return point;
    }
    return -1;
}

/* Whether a terminal might act on it, or a reader be misled by it. */
static bool is_control(int32_t point) {
    static const int32_t ranges[][2] = {
        {0, 0x1f}, {0x7f, 0x9f}, {0x61c, 0x61c}, {0x200e, 0x200f}, {0x2028, 0x202e}, {0x2066, 0x2069},
    };
    for (size_t i = 0; i < sizeof ranges / sizeof ranges[0]; i++) {
        if (point >= ranges[i][0] && point <= ranges[i][1])
            return true;
    }
    return false;
}

static void put_string(struct json *json, const char *text, size_t size) {
    size_t limit = json->string_max > 0 && size > json->string_max ? json->string_max : size;
    size_t n;

    put(json, "\"", 1);
    for (size_t at = 0; at < limit; at += n) {
        int32_t point = decode(text + at, size - at, &n);
        char hex[8];
        if (point < 0) {
            put_text(json, "\\ufffd");
        } else if (point == '"' || point == '\\') {
            put(json, "\\", 1);
            put(json, text + at, 1);
        } else if (is_control(point)) {
            snprintf(hex, sizeof hex, "\\u%04x", (unsigned)point & 0xffff);
            put_text(json, hex);
        } else {
            put(json, text + at, n);
        }
    }
    put_text(json, limit < size ? "...\"" : "\"");
}

static void put_key(struct json *json, const char *key) {
    if (json->comma)
        put(json, ",", 1);
    json->comma = true;
    if (key) {
        put_string(json, key, strlen(key));
        put(json, ":", 1);
    }
}

void json_begin(struct json *json) {
    json->comma = false;
    put(json, "{", 1);
    json_int(json, "v", 1);
}

void json_end(struct json *json) {
    put(json, "}\n", 2);
}

void json_bytes(struct json *json, const char *key, const char *text, size_t size) {
    put_key(json, key);
    put_string(json, text, size);
}

void json_string(struct json *json, const char *key, const char *text) {
    if (text) {
        json_bytes(json, key, text, strlen(text));
    } else {
        put_key(json, key);
        put_text(json, "null");
    }
}

void json_int(struct json *json, const char *key, int64_t value) {
    char digits[24];
    put_key(json, key);
    snprintf(digits, sizeof digits, "%" PRId64, value);
    put_text(json, digits);
}

void json_uint(struct json *json, const char *key, uint64_t value) {
    char digits[24];
    put_key(json, key);
    snprintf(digits, sizeof digits, "%" PRIu64, value);
    put_text(json, digits);
}

void json_real(struct json *json, const char *key, double value, int decimals) {
    char digits[344]; /* DBL_MAX has 309 digits before the point */
    put_key(json, key);
    snprintf(digits, sizeof digits, "%.*f", decimals, value);
    put_text(json, isfinite(value) ? digits : "null");
}

void json_bool(struct json *json, const char *key, bool value) {
    put_key(json, key);
    put_text(json, value ? "true" : "false");
}

void json_open(struct json *json, const char *key, char bracket) {
    put_key(json, key);
    put(json, &bracket, 1);
    json->comma = false;
}

void json_close(struct json *json, char bracket) {
    put(json, &bracket, 1);
    json->comma = true;
}
