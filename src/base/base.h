/* base.h: small things that every floor uses. */
#ifndef SOCKEYE_BASE_H
#define SOCKEYE_BASE_H

#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <unistd.h>

#include <sockeye/err.h>

#define ARRAY_LEN(a) (sizeof(a) / sizeof((a)[0]))
#define MIN(a, b)    ((a) < (b) ? (a) : (b))
#define MAX(a, b)    ((a) > (b) ? (a) : (b))

#define PRINTF_LIKE(fmt, args) __attribute__((format(printf, fmt, args)))

#define NS_PER_S  INT64_C(1000000000)
#define NS_PER_MS INT64_C(1000000)

/* A descriptor that is closed when its scope ends, unless it was given away: fd = -1. */
static inline void auto_fd_close(const int *fd) {
    if (*fd >= 0)
        close(*fd);
}
#define AUTO_FD __attribute__((cleanup(auto_fd_close), unused))

/* Fills in reterr (NULL is fine) and returns code, so that a failure is one line at its place:
 *     return err_set(reterr, -ENOENT, EYE_FAIL_CONNECT, "%s: %s", path, eye_strerror(-ENOENT));
 * The text is escaped as eye_escape does, so that names from outside may stand in it. */
int err_set(struct eye_err *reterr, int code, enum eye_fail fail, const char *fmt, ...) PRINTF_LIKE(4, 5);

/* Adds the likely cause, or the place in a parsed text, to an error that was set. */
void err_cause(struct eye_err *reterr, const char *fmt, ...) PRINTF_LIKE(2, 3);
void err_column(struct eye_err *reterr, size_t column);

/* Letters and digits of ASCII, whatever the locale is. */
static inline bool ascii_is_digit(char c) {
    return c >= '0' && c <= '9';
}
static inline char ascii_lower(char c) {
    if (c >= 'A' && c <= 'Z')
        return (char)(c - 'A' + 'a');
    return c;
}
static inline bool ascii_is_alpha(char c) {
    return ascii_lower(c) >= 'a' && ascii_lower(c) <= 'z';
}

/* Decodes the character of UTF-8 at text, of which size bytes are left; gives its length, or 0 where none
 * begins. */
size_t text_utf8(const unsigned char *text, size_t size, uint32_t *ret_point);

/* Whether a character may not reach a terminal as it stands. */
bool text_is_unsafe(uint32_t point);

/* Reads size bytes that are decimal digits and nothing else. Returns 0; EYE_ESYNTAX for anything else,
 * the empty text too; -ERANGE for a number above max. */
int text_parse_uint(const char *text, size_t size, uint64_t max, uint64_t *ret_value);

#endif
