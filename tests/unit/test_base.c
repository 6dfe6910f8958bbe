/* test_base.c: words for codes, filled-in errors, escapes, nearest names, plain numbers. */
#include <errno.h>
#include <netdb.h>
#include <pthread.h>

#include "base/base.h"
#include "tap.h"

static void test_strerror(void) {
    static const struct {
        int code;
        const char *words;
    } rows[] = {
        {0, "success"},
        {-ECONNREFUSED, "connection refused"},
        {-ENOENT, "no such file or directory"},
        {-EIO, "input/output error"},
        {EYE_ESYNTAX, "syntax error"},
        {EYE_EUNAVAILABLE, "not available on this host"},
        {EYE_EDEADLINE, "deadline passed"},
        {EYE_ETRUNCATED, "truncated"},
        {EYE_EDENIED, "address denied"},
        {EYE_EFDSETSIZE, "descriptor number too high for select"},
        {EYE_EAI_BASE + EAI_NONAME, "name or service not known"},
        {EYE_EAI_BASE + EAI_AGAIN, "temporary failure in name resolution"},
        {EYE_EAI_BASE, "unknown error"},
        {EYE_EAI_BASE - 99, "unknown error"},
        {EYE_EAUTHENTIC, "not authentic"},
        {EYE_EALERT_BASE - 116, "the peer's alert: certificate required"},
        {EYE_EALERT_BASE - 255, "the peer's alert: one without a name"},
        {EYE_EALERT_BASE - 256, "unknown error"},
        {-5099, "unknown error"},
        {-255, "unknown error"},
        {-100000, "unknown error"},
        {42, "unknown error"},
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        tap_case("strerror %d", rows[i].code);
        CHECK_STR(eye_strerror(rows[i].code), rows[i].words);
    }
}

static void test_err(void) {
    struct eye_err err;

    tap_case("err_set fills in every field");
    memset(&err, 0x55, sizeof(err));
    CHECK_INT(err_set(&err, -ENOENT, EYE_FAIL_CONNECT, "%s: %d", "name\n", 7), -ENOENT);
    CHECK_INT(err.code, -ENOENT);
    CHECK_INT(err.fail, EYE_FAIL_CONNECT);
    CHECK(err.column == EYE_NO_COLUMN);
    CHECK_STR(err.text, "name\\n: 7");
    CHECK_STR(err.cause, "");

    tap_case("err_cause and err_column add to it");
    err_cause(&err, "did you mean '%s'?", "x\x1b");
    err_column(&err, 3);
    CHECK_STR(err.text, "name\\n: 7");
    CHECK_STR(err.cause, "did you mean 'x\\x1b'?");
    CHECK_INT(err.column, 3);

    tap_case("err_set takes its own text as an argument");
    err_set(&err, -EIO, EYE_FAIL_OTHER, "inner");
    err_set(&err, -EIO, EYE_FAIL_OTHER, "outer: %s", err.text);
    CHECK_STR(err.text, "outer: inner");

    tap_case("err_set without an error to fill in");
    CHECK_INT(err_set(NULL, -EIO, EYE_FAIL_OTHER, "%s", ""), -EIO);
    err_cause(NULL, "%s", "");
    err_column(NULL, 1);

    tap_case("a long text is cut and shows it");
    char name[3000];
    memset(name, 'a', sizeof(name) - 1);
    name[sizeof(name) - 1] = '\0';
    err_set(&err, -EIO, EYE_FAIL_OTHER, "%s", name);
    CHECK_INT(strlen(err.text), sizeof(err.text) - 1);
    CHECK_STR(err.text + sizeof(err.text) - 5, "a...");
}

static void test_escape(void) {
    static const struct {
        const char *name, *text;
        size_t size;
        const char *safe;
    } rows[] = {
#define ROW(name, text, safe) {name, text, sizeof(text) - 1, safe}
        ROW("nothing", "", ""),
        ROW("plain ASCII", "plain ~ text", "plain ~ text"),
        ROW("backslash", "a\\n", "a\\\\n"),
        ROW("line ends and tab", "a\r\n\tb", "a\\r\\n\\tb"),
        ROW("NUL in the middle", "a\0b", "a\\x00b"),
        ROW("escape sequence", "\x1b[31m", "\\x1b[31m"),
        ROW("DEL", "\x7f", "\\x7f"),
        ROW("C1: NEL, CSI", "\xc2\x85\xc2\x9b", "\\u{0085}\\u{009b}"),
        ROW("U+00A0 is no control", "\xc2\xa0", "\xc2\xa0"),
        ROW("two, three and four bytes", "\xc3\xa9\xe4\xb8\xad\xf0\x9f\x90\x9f",
            "\xc3\xa9\xe4\xb8\xad\xf0\x9f\x90\x9f"),
        ROW("Arabic letter mark", "\xd8\x9c", "\\u{061c}"),
        ROW("left-to-right and right-to-left mark", "\xe2\x80\x8e\xe2\x80\x8f", "\\u{200e}\\u{200f}"),
        ROW("embeddings and overrides", "\xe2\x80\xaa\xe2\x80\xab\xe2\x80\xac\xe2\x80\xad\xe2\x80\xae",
            "\\u{202a}\\u{202b}\\u{202c}\\u{202d}\\u{202e}"),
        ROW("isolates", "\xe2\x81\xa6\xe2\x81\xa7\xe2\x81\xa8\xe2\x81\xa9",
            "\\u{2066}\\u{2067}\\u{2068}\\u{2069}"),
        ROW("line and paragraph separator", "\xe2\x80\xa8\xe2\x80\xa9", "\\u{2028}\\u{2029}"),
        ROW("their neighbours", "\xe2\x80\x8d\xe2\x80\x90\xe2\x80\xa7\xe2\x80\xaf\xe2\x81\xa5\xe2\x81\xaa",
            "\xe2\x80\x8d\xe2\x80\x90\xe2\x80\xa7\xe2\x80\xaf\xe2\x81\xa5\xe2\x81\xaa"),
        ROW("continuation alone", "\x80\xbf", "\\x80\\xbf"),
        ROW("overlong two", "\xc0\x80", "\\xc0\\x80"),
        ROW("overlong three", "\xe0\x9f\xbf", "\\xe0\\x9f\\xbf"),
        ROW("overlong four", "\xf0\x8f\xbf\xbf", "\\xf0\\x8f\\xbf\\xbf"),
        ROW("surrogate", "\xed\xa0\x80", "\\xed\\xa0\\x80"),
        ROW("above U+10FFFF", "\xf4\x90\x80\x80", "\\xf4\\x90\\x80\\x80"),
        ROW("no lead byte", "\xff\xfe", "\\xff\\xfe"),
        ROW("cut characters", "\xc3|\xe4\xb8|\xf0\x9f\x90", "\\xc3|\\xe4\\xb8|\\xf0\\x9f\\x90"),
#undef ROW
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        char out[64];
        tap_case("escape: %s", rows[i].name);
        CHECK_INT(eye_escape(rows[i].text, rows[i].size, out, sizeof(out)), strlen(rows[i].safe));
        CHECK_STR(out, rows[i].safe);
    }

    /* What fits a room of so many bytes, NUL included. */
    static const struct {
        const char *text;
        size_t room;
        const char *safe;
    } cuts[] = {
        {"abcdef", 7, "abcdef"},
        {"abcdef", 6, "ab..."},
        {"abcdef", 5, "a..."},
        {"abcdef", 4, "..."},
        {"abcdef", 3, ".."},
        {"abcdef", 2, "."},
        {"abcdef", 1, ""},
        {"", 1, ""},
        {"a\x1b\x1b", 10, "a\\x1b\\x1b"},
        {"a\x1b\x1b", 9, "a\\x1b..."},
        {"a\x1b\x1b", 8, "a..."},
        {"\xe4\xb8\xad\xe4\xb8\xad\xe4\xb8\xad", 10, "\xe4\xb8\xad\xe4\xb8\xad\xe4\xb8\xad"},
        {"\xe4\xb8\xad\xe4\xb8\xad\xe4\xb8\xad", 9, "\xe4\xb8\xad..."},
        {"\xe4\xb8\xad\xe4\xb8\xad\xe4\xb8\xad", 6, "..."},
    };
    for (size_t i = 0; i < ARRAY_LEN(cuts); i++) {
        char out[16];
        memset(out, 'X', sizeof(out));
        tap_case("escape: row %zu cut to %zu bytes", i, cuts[i].room);
        CHECK_INT(eye_escape(cuts[i].text, strlen(cuts[i].text), out, cuts[i].room), strlen(cuts[i].safe));
        CHECK_STR(out, cuts[i].safe);
        CHECK_INT(out[cuts[i].room], 'X');
    }
    tap_case("escape: no room at all");
    CHECK_INT(eye_escape("a", 1, NULL, 0), 0);
}

static void test_nearest(void) {
    static const char *const names[] = {"tcp", "unix", "stdio", "nodelay", "keepalive", "v6only", NULL};
    static const struct {
        const char *word, *nearest;
    } rows[] = {
        {"tcp", "tcp"},
        {"tpc", "tcp"},
        {"TCP", "tcp"},
        {"tc", "tcp"},
        {"tccp", "tcp"},
        {"unxi", "unix"},
        {"unx", "unix"},
        {"nodelai", "nodelay"},
        {"keepalvie", "keepalive"},
        {"ipv6only", "v6only"},
        {"no-delay", "nodelay"},
        {"", NULL},
        {"t", NULL},
        {"http", NULL},
        {"host", NULL},
        {"localhost", NULL},
        {"completely-different-and-far-too-long-a-word", NULL},
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        tap_case("nearest to '%s'", rows[i].word);
        CHECK_STR(eye_nearest(rows[i].word, strlen(rows[i].word), names), rows[i].nearest);
    }
    tap_case("nearest looks at size bytes only");
    CHECK_STR(eye_nearest("tpc:host:80", 3, names), "tcp");
    tap_case("nearest prefers the nearer name, and the first of two");
    static const char *const close[] = {"abcde", "abcdx", "abcdef", NULL};
    CHECK_STR(eye_nearest("abcdx", 5, close), "abcdx");
    CHECK_STR(eye_nearest("abcdy", 5, close), "abcde");
}

static void test_parse_uint(void) {
    static const struct {
        const char *text;
        uint64_t max;
        int code;
        uint64_t value;
    } rows[] = {
        {"0", 0, 0, 0},
        {"65535", 65535, 0, 65535},
        {"65536", 65535, -ERANGE, 0},
        {"0000000000000000000000000080", 65535, 0, 80},
        {"18446744073709551615", UINT64_MAX, 0, UINT64_MAX},
        {"18446744073709551616", UINT64_MAX, -ERANGE, 0},
        {"99999999999999999999999999", UINT64_MAX, -ERANGE, 0},
        {"99999999999999999999999999x", UINT64_MAX, EYE_ESYNTAX, 0},
        {"", 9, EYE_ESYNTAX, 0},
        {"-1", 9, EYE_ESYNTAX, 0},
        {"+1", 9, EYE_ESYNTAX, 0},
        {" 1", 9, EYE_ESYNTAX, 0},
        {"1 ", 9, EYE_ESYNTAX, 0},
        {"0x1", 9, EYE_ESYNTAX, 0},
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        uint64_t value = 4711;
        tap_case("text_parse_uint '%s'", rows[i].text);
        CHECK_INT(text_parse_uint(rows[i].text, strlen(rows[i].text), rows[i].max, &value), rows[i].code);
        CHECK(value == (rows[i].code ? 4711 : rows[i].value));
    }
}

int main(void) {
    test_strerror();
    test_err();
    test_escape();
    test_nearest();
    test_parse_uint();
    return tap_done();
}
