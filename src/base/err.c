/* err.c: filling in struct eye_err, and the words for codes.
 *
 * The system's words come from strerrordesc_np(3), which is thread-safe and does not depend on the
 * locale, and the resolver's from gai_strerror(3). Both begin with a capital letter, which reads badly
 * after "name: ", so they are copied once, the first time that anybody asks, and begin with a small one
 * there unless an acronym does. A text that is filled in may hold names from outside: it is escaped as a
 * whole. The arguments may lie in the error that is being filled in. */
#include <netdb.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>

#include "base/base.h"

enum {
    ERRNO_MAX = 256,
    EAI_MAX = 128, /* glibc: -1 to -12, and -100 to -105 */
    WORDS_MAX = 64,
};

static char errno_words[ERRNO_MAX][WORDS_MAX];
static char eai_words[EAI_MAX][WORDS_MAX];

static const struct {
    int code;
    const char *words;
} own_words[] = {
    {EYE_ESYNTAX, "syntax error"},
    {EYE_EUNAVAILABLE, "not available on this host"},
    {EYE_EDEADLINE, "deadline passed"},
    {EYE_ETRUNCATED, "truncated"},
    {EYE_EDENIED, "address denied"},
    {EYE_EFDSETSIZE, "descriptor number too high for select"},
    {EYE_EHANDSHAKE, "the TLS protocol was broken"},
    {EYE_EAUTHENTIC, "not authentic"},
};

/* The alerts of TLS, RFC 8446, 6, and those of 1.2 (RFC 5246, 7.2) that peers may still send. */
static const struct {
    int alert;
    const char *words;
} alert_words[] = {
    {0, "the peer's alert: close notify"},
    {10, "the peer's alert: unexpected message"},
    {20, "the peer's alert: bad record MAC"},
    {22, "the peer's alert: record overflow"},
    {40, "the peer's alert: handshake failure"},
    {42, "the peer's alert: bad certificate"},
    {43, "the peer's alert: unsupported certificate"},
    {44, "the peer's alert: certificate revoked"},
    {45, "the peer's alert: certificate expired"},
    {46, "the peer's alert: certificate unknown"},
    {47, "the peer's alert: illegal parameter"},
    {48, "the peer's alert: unknown issuer (unknown ca)"},
    {49, "the peer's alert: access denied"},
    {50, "the peer's alert: decode error"},
    {51, "the peer's alert: decrypt error"},
    {70, "the peer's alert: protocol version"},
    {71, "the peer's alert: insufficient security"},
    {80, "the peer's alert: internal error"},
    {86, "the peer's alert: inappropriate fallback"},
    {90, "the peer's alert: user cancelled"},
    {100, "the peer's alert: no renegotiation"},
    {109, "the peer's alert: missing extension"},
    {110, "the peer's alert: unsupported extension"},
    {112, "the peer's alert: unrecognized name"},
    {113, "the peer's alert: bad certificate status response"},
    {115, "the peer's alert: unknown PSK identity"},
    {116, "the peer's alert: certificate required"},
    {120, "the peer's alert: no application protocol"},
};

static const char *alert_find(int alert) {
    for (size_t i = 0; i < ARRAY_LEN(alert_words); i++)
        if (alert_words[i].alert == alert)
            return alert_words[i].words;
    return "the peer's alert: one without a name";
}

static void words_copy(char *out, const char *words) {
    snprintf(out, WORDS_MAX, "%s", words);
    if (out[1] == ascii_lower(out[1]))
        out[0] = ascii_lower(out[0]);
}

static void words_fill(void) {
    for (int i = 0; i < ERRNO_MAX; i++) {
        const char *words = strerrordesc_np(i);
        if (words)
            words_copy(errno_words[i], words);
    }
    for (int i = 1; i < EAI_MAX; i++)
        words_copy(eai_words[i], gai_strerror(-i));
}

const char *eye_strerror(int code) {
    static pthread_once_t filled = PTHREAD_ONCE_INIT;
    pthread_once(&filled, words_fill);

    const char *words = "";
    if (code <= 0 && code > -ERRNO_MAX)
        words = errno_words[-code];
    else if (code <= EYE_EALERT_BASE && code > EYE_EALERT_BASE - 256)
        words = alert_find(EYE_EALERT_BASE - code);
    else if (code < EYE_EAI_BASE && code > EYE_EAI_BASE - EAI_MAX)
        words = eai_words[EYE_EAI_BASE - code];
    for (size_t i = 0; i < ARRAY_LEN(own_words); i++)
        if (own_words[i].code == code)
            words = own_words[i].words;
    return words[0] ? words : "unknown error";
}

/* Longer than any field of an error, so that a text too long for the field shows as cut. */
enum { LINE_MAX_BYTES = 1024 };

PRINTF_LIKE(3, 0)
static void line_write(char *out, size_t out_size, const char *fmt, va_list args) {
    char line[LINE_MAX_BYTES];
    int len = vsnprintf(line, sizeof(line), fmt, args);
    eye_escape(line, len < 0 ? 0 : MIN((size_t)len, sizeof(line) - 1), out, out_size);
}

int err_set(struct eye_err *reterr, int code, enum eye_fail fail, const char *fmt, ...) {
    if (!reterr)
        return code;
    va_list args;
    va_start(args, fmt);
    line_write(reterr->text, sizeof(reterr->text), fmt, args);
    va_end(args);
    reterr->code = code;
    reterr->fail = fail;
    reterr->column = EYE_NO_COLUMN;
    reterr->cause[0] = '\0';
    return code;
}

void err_cause(struct eye_err *reterr, const char *fmt, ...) {
    if (!reterr)
        return;
    va_list args;
    va_start(args, fmt);
    line_write(reterr->cause, sizeof(reterr->cause), fmt, args);
    va_end(args);
}

void err_column(struct eye_err *reterr, size_t column) {
    if (reterr)
        reterr->column = column;
}
