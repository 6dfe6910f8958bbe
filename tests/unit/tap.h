/* tap.h: a printer of the Test Anything Protocol for one program of tests.
 *
 *     tap_case("a name for %s", what);     begins a case, and ends the one before
 *     CHECK(expression);                   any number of these; the case goes on after a failure
 *     CHECK_INT(got, want);  CHECK_STR(got, want);
 *     tap_skip("why it cannot run here");  the case counts as skipped, by name and with the reason
 *     return tap_done();                   the plan, and main's exit status
 *
 * Each case is one line, "ok N - name" or "not ok N - name"; what failed goes to standard error.
 * The CHECK macros give whether they held, so that a case can stop where it makes no sense to go on. For
 * one thread. */
#ifndef TAP_H
#define TAP_H

#include <inttypes.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

static struct {
    char name[256], skip[256];
    bool open, failed;
    unsigned count, failures;
} tap;

static inline void tap_end(void) {
    if (!tap.open)
        return;
    tap.open = false;
    tap.failures += tap.failed;
    printf("%sok %u - %s%s%s\n", tap.failed ? "not " : "", ++tap.count, tap.name,
           tap.skip[0] ? " # SKIP " : "", tap.skip);
}

__attribute__((format(printf, 1, 2))) static inline void tap_case(const char *fmt, ...) {
    tap_end();
    /* A line at a time, so that a child of fork(2) inherits no half-written output. */
    setvbuf(stdout, NULL, _IOLBF, 0);
    va_list args;
    va_start(args, fmt);
    vsnprintf(tap.name, sizeof(tap.name), fmt, args);
    va_end(args);
    /* '#' would begin a directive, a control character another line. */
    for (char *c = tap.name; *c; c++)
        if (*c == '#' || (unsigned char)*c < ' ')
            *c = '?';
    tap.skip[0] = '\0';
    tap.failed = false;
    tap.open = true;
}

__attribute__((format(printf, 1, 2))) static inline void tap_skip(const char *fmt, ...) {
    va_list args;
    va_start(args, fmt);
    vsnprintf(tap.skip, sizeof(tap.skip), fmt, args);
    va_end(args);
}

__attribute__((format(printf, 4, 5))) static inline bool tap_check(bool held, const char *file, int line,
                                                                   const char *fmt, ...) {
    if (held)
        return true;
    tap.failed = true;
    fprintf(stderr, "# %s:%d: ", file, line);
    va_list args;
    va_start(args, fmt);
    vfprintf(stderr, fmt, args);
    va_end(args);
    fputc('\n', stderr);
    return false;
}

static inline bool tap_check_int(intmax_t got, intmax_t want, const char *file, int line, const char *what) {
    return tap_check(got == want, file, line, "%s is %" PRIdMAX ", not %" PRIdMAX, what, got, want);
}

static inline bool tap_check_str(const char *got, const char *want, const char *file, int line,
                                 const char *what) {
    bool held = got && want ? strcmp(got, want) == 0 : got == want;
    return tap_check(held, file, line, "%s is \"%s\", not \"%s\"", what, got ? got : "(null)",
                     want ? want : "(null)");
}

#define CHECK(expr)          tap_check((expr), __FILE__, __LINE__, "%s", #expr)
#define CHECK_INT(got, want) tap_check_int((intmax_t)(got), (intmax_t)(want), __FILE__, __LINE__, #got)
#define CHECK_STR(got, want) tap_check_str((got), (want), __FILE__, __LINE__, #got)

static inline int tap_done(void) {
    tap_end();
    printf("1..%u\n", tap.count);
    return tap.failures > 0;
}

#endif
