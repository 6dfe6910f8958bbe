#include "output.h"

#include <fcntl.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <wchar.h>

static const struct status_row statuses[] = {
    [EYE_FAIL_OTHER] = {STATUS_OTHER, "failed, for a reason not below"},
    [EYE_FAIL_USAGE] = {STATUS_USAGE, "wrong usage"},
    [EYE_FAIL_RESOLVE] = {STATUS_RESOLVE, "a name did not resolve"},
    [EYE_FAIL_CONNECT] = {STATUS_CONNECT, "could not connect, listen or bind"},
    [EYE_FAIL_HANDSHAKE] = {STATUS_HANDSHAKE, "the TLS handshake failed"},
    [EYE_FAIL_AUTHENTIC] = {STATUS_AUTHENTIC, "not authentic: something did not verify"},
    [EYE_FAIL_TRUNCATED] = {STATUS_TRUNCATED, "truncated: a stream was reset or ended before its end"},
    [EYE_FAIL_UNAVAILABLE] = {STATUS_UNAVAILABLE, "not available on this host"},
    [EYE_FAIL_DEADLINE] = {STATUS_DEADLINE, "a deadline that the user or a default set has passed"},
};
_Static_assert(sizeof statuses / sizeof statuses[0] == EYE_FAIL_MAX, "a status for every failure");

static const char *command_name;

const struct status_row *status_of(enum eye_fail fail) {
    return &statuses[fail];
}

/* A standard descriptor that was closed would be the number of the first socket, and an error line
 * would go to a peer: /dev/null takes its place, opened the wrong way round, so that using it fails
 * with EBADF as it would have done. */
static void hold(int fd, int flags) {
    if (fcntl(fd, F_GETFD) < 0)
        (void)!open("/dev/null", flags | O_NOCTTY);
}

void output_begin(void) {
    hold(STDIN_FILENO, O_WRONLY);
    hold(STDOUT_FILENO, O_RDONLY);
    hold(STDERR_FILENO, O_RDONLY);
    /* A line is one write, so that lines of several processes do not mix. */
    setvbuf(stderr, NULL, _IOLBF, BUFSIZ);
}

void output_name(const char *command) {
    command_name = command;
}

int output_end(int status) {
    if (fflush(stdout) != 0)
        report_code(-errno, "standard output");
    else if (ferror(stdout))
        notice("standard output: not all of the answer could be written");
    else
        return status;
    return status ? status : STATUS_OTHER;
}

static void prefix(void) {
    fputs("sockeye: ", stderr);
    if (command_name)
        fprintf(stderr, "%s: ", command_name);
}

void notice(const char *fmt, ...) {
    va_list args;
    va_start(args, fmt);
    prefix();
    vfprintf(stderr, fmt, args);
    fputc('\n', stderr);
    va_end(args);
}

/* The columns that UTF-8 text takes on a terminal. */
static size_t columns(const char *text) {
    size_t width = 0, size = strlen(text);
    mbstate_t state = {0};
    while (size > 0) {
        wchar_t wide;
        size_t n = mbrtowc(&wide, text, size, &state);
        if (n == 0 || n > size) /* what is no character of this locale: a column a byte */
            return width + size;
        int w = wcwidth(wide);
        width += w > 0 ? (size_t)w : 0;
        text += n;
        size -= n;
    }
    return width;
}

/* Every byte takes at most four when it is escaped. */
static char *escaped(const char *text, size_t size) {
    char *out = malloc(size * 4 + 1);
    if (out)
        eye_escape(text, size, out, size * 4 + 1);
    return out;
}

static void caret(const char *text, size_t column) {
    size_t size = strlen(text);
    char *line = escaped(text, size), *before = escaped(text, column < size ? column : size);
    if (line && before)
        fprintf(stderr, "  %s\n  %*s^\n", line, (int)columns(before), "");
    free(before);
    free(line);
}

int report_in(const struct eye_err *err, const char *text) {
    notice("%s", err->text);
    if (text && err->column != EYE_NO_COLUMN)
        caret(text, err->column);
    if (err->cause[0])
        fprintf(stderr, "  %s%s\n", err->fail == EYE_FAIL_USAGE ? "" : "likely cause: ", err->cause);
    return statuses[err->fail].status;
}

int report(const struct eye_err *err) {
    return report_in(err, NULL);
}

int report_code(int code, const char *what) {
    struct eye_err err = {.code = code, .column = EYE_NO_COLUMN};
    char text[128];
    eye_escape(what, strlen(what), text, sizeof text);
    snprintf(err.text, sizeof err.text, "%s: %s", text, eye_strerror(code));
    return report(&err);
}
