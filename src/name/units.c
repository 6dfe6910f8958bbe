/* units.c: durations and sizes, a whole number and its unit.
 *
 * A duration without a unit is refused, since whether seconds or milliseconds were meant shows only when it
 * is too late. Sizes follow the units of IEC 80000-13 and SI: k, M, G are powers of 1000; KiB, MiB, GiB of
 * 1024. */
#include <errno.h>
#include <string.h>

#include <sockeye/endpoint.h>

#include "base/base.h"

struct unit {
    const char *name;
    int64_t factor;
};

static int unit_parse(const char *text, const struct unit *units, size_t unit_count, int64_t *ret_value) {
    size_t digits = 0;
    while (ascii_is_digit(text[digits]))
        digits++;
    for (size_t i = 0; i < unit_count; i++) {
        if (strcmp(text + digits, units[i].name) != 0)
            continue;
        uint64_t number;
        int r = text_parse_uint(text, digits, (uint64_t)(INT64_MAX / units[i].factor), &number);
        if (r < 0)
            return r;
        *ret_value = (int64_t)number * units[i].factor;
        return 0;
    }
    return EYE_ESYNTAX;
}

int eye_parse_duration(const char *text, int64_t *ret_ns) {
    static const struct unit units[] = {{"ms", NS_PER_MS}, {"s", NS_PER_S}, {"m", 60 * NS_PER_S}};
    return unit_parse(text, units, ARRAY_LEN(units), ret_ns);
}

int eye_parse_size(const char *text, int64_t *ret_bytes) {
    static const struct unit units[] = {
        {"", 1},       {"k", 1000},      {"M", 1000000},   {"G", 1000000000},
        {"KiB", 1024}, {"MiB", 1 << 20}, {"GiB", 1 << 30},
    };
    return unit_parse(text, units, ARRAY_LEN(units), ret_bytes);
}
