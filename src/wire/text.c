/* text.c: the value of any field as text. */
#include <stdio.h>
#include <time.h>

#include "wire/wire.h"

/* The longest of what is put without a check: an address of IPv6. */
enum { PUT_MAX = 64 };

static const char *sum_word(uint64_t sum) {
    static const char *const words[] = {
        [EYE_SUM_UNKNOWN] = "unknown",
        [EYE_SUM_OK] = "right",
        [EYE_SUM_BAD] = "wrong",
        [EYE_SUM_UNFINISHED] = "unfinished: left to the network card (offload)",
        [EYE_SUM_NONE] = "none",
    };
    return words[sum];
}

/* NTP counts seconds since 1900 and wraps in 2036: below the middle of the count it is the next era. */
static size_t time_text(uint64_t stamp, char *buf, size_t size) {
    uint64_t seconds = stamp >> 32, nanos = (stamp & UINT32_MAX) * (uint64_t)NS_PER_S >> 32;
    uint64_t unix_epoch = UINT64_C(2208988800), era = UINT64_C(1) << 32;
    time_t when = (time_t)(seconds < era / 2 ? seconds + era - unix_epoch : seconds - unix_epoch);
    struct tm tm;
    if (!gmtime_r(&when, &tm))
        return 0;
    char text[PUT_MAX];
    size_t len = strftime(text, sizeof(text), "%Y-%m-%dT%H:%M:%S", &tm);
    return (size_t)snprintf(buf, size, "%.*s.%09uZ", (int)len, text, (unsigned)nanos);
}

static size_t copy(char *buf, size_t size, const char *text, size_t len) {
    len = MIN(len, size - 1);
    memcpy(buf, text, len);
    buf[len] = '\0';
    return len;
}

size_t eye_field_text(const struct eye_packet *packet, const struct eye_field *field, char *buf,
                      size_t size) {
    const uint8_t *data = packet->data + field->off;
    char text[PUT_MAX], *end = text;

    if (size == 0)
        return 0;
    uint32_t fits = (uint32_t)MIN((size_t)field->len, (size - 1) / 2);
    switch ((enum eye_kind)field->kind) {
    case EYE_KIND_UINT:
    case EYE_KIND_BOOL:
        end = wire_put_uint(text, field->num);
        break;
    case EYE_KIND_INT:
        end = wire_put_int(text, (int64_t)field->num);
        break;
    case EYE_KIND_MAC:
        end = wire_put_mac(text, data, MIN(field->len, UINT32_C(20)));
        break;
    case EYE_KIND_IP4:
        end = wire_put_ip4(text, data);
        break;
    case EYE_KIND_IP6:
        end = wire_put_ip6(text, data);
        break;
    case EYE_KIND_FLAGS:
        end = wire_put_tcp_flags(text, (uint16_t)field->num);
        break;
    case EYE_KIND_BYTES:
        end = wire_put_hex(buf, data, fits);
        *end = '\0';
        return (size_t)(end - buf);
    case EYE_KIND_TEXT:
        return eye_escape((const char *)data, field->len, buf, size);
    case EYE_KIND_NAME: {
        size_t len = wire_name_text(packet, field, buf, size);
        buf[len] = '\0';
        return len;
    }
    case EYE_KIND_TIME: {
        size_t len = time_text(field->num, text, sizeof(text));
        end = text + len;
        break;
    }
    case EYE_KIND_SUM:
        return copy(buf, size, sum_word(field->num), strlen(sum_word(field->num)));
    case EYE_KIND_LIST:
    case EYE_KIND_GROUP:
        break;
    }
    return copy(buf, size, text, (size_t)(end - text));
}
