/* test_name_units.c: durations and sizes. */
#include <errno.h>

#include <sockeye/endpoint.h>

#include "base/base.h"
#include "tap.h"

struct row {
    const char *text;
    int code;
    int64_t value;
};

static void check(const char *what, int (*parse)(const char *, int64_t *), const struct row *rows,
                  size_t count) {
    for (size_t i = 0; i < count; i++) {
        int64_t value = -4711;
        tap_case("%s '%s'", what, rows[i].text);
        CHECK_INT(parse(rows[i].text, &value), rows[i].code);
        CHECK_INT(value, rows[i].code ? -4711 : rows[i].value);
    }
}

int main(void) {
    static const struct row durations[] = {
        {"250ms", 0, 250 * NS_PER_MS},
        {"5s", 0, 5 * NS_PER_S},
        {"2m", 0, 120 * NS_PER_S},
        {"0s", 0, 0},
        {"9223372036s", 0, INT64_C(9223372036) * NS_PER_S},
        {"9223372037s", -ERANGE, 0},
        {"99999999999999999999ms", -ERANGE, 0},
        {"", EYE_ESYNTAX, 0},
        {"5", EYE_ESYNTAX, 0},
        {"s", EYE_ESYNTAX, 0},
        {"-5s", EYE_ESYNTAX, 0},
        {"+5s", EYE_ESYNTAX, 0},
        {"5 s", EYE_ESYNTAX, 0},
        {"5s ", EYE_ESYNTAX, 0},
        {"1.5s", EYE_ESYNTAX, 0},
        {"5S", EYE_ESYNTAX, 0},
        {"5sm", EYE_ESYNTAX, 0},
    };
    static const struct row sizes[] = {
        {"0", 0, 0},
        {"65536", 0, 65536},
        {"64k", 0, 64000},
        {"10M", 0, 10000000},
        {"1G", 0, 1000000000},
        {"64KiB", 0, 65536},
        {"1MiB", 0, 1048576},
        {"2GiB", 0, INT64_C(2147483648)},
        {"9223372036854775807", 0, INT64_MAX},
        {"9223372036854775808", -ERANGE, 0},
        {"8589934591GiB", 0, INT64_C(8589934591) << 30},
        {"8589934592GiB", -ERANGE, 0},
        {"", EYE_ESYNTAX, 0},
        {"k", EYE_ESYNTAX, 0},
        {"-1", EYE_ESYNTAX, 0},
        {"1K", EYE_ESYNTAX, 0},
        {"1kib", EYE_ESYNTAX, 0},
        {"1B", EYE_ESYNTAX, 0},
        {"1 k", EYE_ESYNTAX, 0},
        {"0x10", EYE_ESYNTAX, 0},
    };
    check("duration", eye_parse_duration, durations, ARRAY_LEN(durations));
    check("size", eye_parse_size, sizes, ARRAY_LEN(sizes));
    return tap_done();
}
