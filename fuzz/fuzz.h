/* fuzz.h: what the fuzz targets share (libFuzzer, llvm.org/docs/LibFuzzer.html). */
#ifndef FUZZ_H
#define FUZZ_H

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <sockeye/err.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* As assert(3), but in every build. */
#define MUST(expr)                                                                                           \
    do {                                                                                                     \
        if (!(expr)) {                                                                                       \
            fprintf(stderr, "%s:%d: must hold: %s\n", __FILE__, __LINE__, #expr);                            \
            abort();                                                                                         \
        }                                                                                                    \
    } while (0)

/* The input as a string of just its size, so that a read past its end shows. */
static inline char *fuzz_text(const uint8_t *data, size_t size) {
    const uint8_t *end = memchr(data, '\0', size);
    size_t len = end ? (size_t)(end - data) : size;
    char *text =
        malloc(len + 1); /* strndup(3) is taken for a read past the end where strings are checked strictly */
    MUST(text);
    memcpy(text, data, len);
    text[len] = '\0';
    return text;
}

static inline bool fuzz_is_line(const char *text) {
    for (; *text; text++)
        if ((unsigned char)*text < ' ' || *text == 0x7f)
            return false;
    return true;
}

static inline void fuzz_check_err(int code, const struct eye_err *err, const char *text) {
    MUST(err->code == code && code < 0);
    MUST(err->column <= strlen(text));
    MUST(err->text[0] && fuzz_is_line(err->text) && fuzz_is_line(err->cause));
    MUST(err->fail > EYE_FAIL_OTHER && err->fail < EYE_FAIL_MAX);
}

#endif
