/* format_time.c: a packet's time as text.
 *
 * Packets come many to a second, and what a second looks like costs more than all the rest of a line
 * (localtime_r(3) takes a lock). So each thread keeps the last one. */
#include <time.h>

#include "wire/format.h"

enum { MICROSECONDS = 6 };

/* The second that a time lies in, and how far: also before 1970. */
static int64_t split(int64_t time_ns, uint32_t *ret_ns) {
    int64_t second = time_ns / NS_PER_S, ns = time_ns % NS_PER_S;
    if (ns < 0) {
        second--;
        ns += NS_PER_S;
    }
    *ret_ns = (uint32_t)ns;
    return second;
}

static char *put_fraction(char *pos, uint32_t ns, unsigned digits) {
    *pos++ = '.';
    return wire_put_digits(pos, digits == MICROSECONDS ? ns / 1000 : ns, digits);
}

/* "2026-11-24T13:03:05" or, of a second in this host's zone, "2026-11-24 14:03:05". */
enum { SECOND_SIZE = 19, DATE_SIZE = 11 };

struct second {
    bool known;
    int64_t at;
    char text[SECOND_SIZE + 1];
};

static const char *second_text(struct second *last, int64_t second, bool utc) {
    if (last->known && last->at == second)
        return last->text;
    struct tm tm = {0};
    time_t at = (time_t)second;
    if (utc)
        gmtime_r(&at, &tm);
    else
        localtime_r(&at, &tm);
    last->known = true;
    last->at = second;
    /* 64 bits of nanoseconds reach from 1677 to 2262: the year has four digits. */
    char *pos = wire_put_digits(last->text, (uint32_t)(tm.tm_year + 1900), 4);
    *pos++ = '-';
    pos = wire_put_digits(pos, (uint32_t)(tm.tm_mon + 1), 2);
    *pos++ = '-';
    pos = wire_put_digits(pos, (uint32_t)tm.tm_mday, 2);
    *pos++ = utc ? 'T' : ' ';
    pos = wire_put_digits(pos, (uint32_t)tm.tm_hour, 2);
    *pos++ = ':';
    pos = wire_put_digits(pos, (uint32_t)tm.tm_min, 2);
    *pos++ = ':';
    wire_put_digits(pos, (uint32_t)tm.tm_sec, 2);
    return last->text;
}

char *format_time_utc(char *pos, int64_t time_ns, unsigned digits) {
    static _Thread_local struct second last;
    uint32_t ns;
    int64_t second = split(time_ns, &ns);
    memcpy(pos, second_text(&last, second, true), SECOND_SIZE);
    pos = put_fraction(pos + SECOND_SIZE, ns, digits);
    *pos++ = 'Z';
    return pos;
}

static char *put_local(char *pos, int64_t time_ns, size_t skip) {
    static _Thread_local struct second last;
    uint32_t ns;
    int64_t second = split(time_ns, &ns);
    memcpy(pos, second_text(&last, second, false) + skip, SECOND_SIZE - skip);
    return put_fraction(pos + SECOND_SIZE - skip, ns, MICROSECONDS);
}

static char *put_seconds(char *pos, int64_t time_ns) {
    uint64_t ns = time_ns < 0 ? 0 - (uint64_t)time_ns : (uint64_t)time_ns;
    if (time_ns < 0)
        *pos++ = '-';
    pos = wire_put_uint(pos, ns / NS_PER_S);
    return put_fraction(pos, (uint32_t)(ns % NS_PER_S), MICROSECONDS);
}

/* At most FORMAT_TIME_MAX bytes. */
char *format_time_line(char *pos, const struct eye_look *look, int64_t time_ns) {
    int64_t since_ns;
    switch (look->clock) {
    case EYE_CLOCK_DAY:
        return put_local(pos, time_ns, DATE_SIZE);
    case EYE_CLOCK_DATE:
        return put_local(pos, time_ns, 0);
    case EYE_CLOCK_UTC:
        return format_time_utc(pos, time_ns, MICROSECONDS);
    case EYE_CLOCK_UNIX:
        return put_seconds(pos, time_ns);
    case EYE_CLOCK_SINCE:
        if (__builtin_sub_overflow(time_ns, look->since_ns, &since_ns))
            since_ns = 0;
        if (since_ns >= 0)
            *pos++ = '+';
        return put_seconds(pos, since_ns);
    case EYE_CLOCK_NONE:
    case EYE_CLOCK_MAX:
        break;
    }
    return pos;
}
