/* fuzz_format.c: any packet in every style, see packet.h. Each must be whole lines without a control
 * character, a line and JSON exactly one; JSON must be well-formed, and a buffer that is too small must not
 * be overrun. */
#include <ctype.h>
#include <errno.h>

#include "packet.h"

static char text[1 << 20];

/* ---- a JSON reader that only says yes or no, RFC 8259 ---- */

static const char *value(const char *at);

static const char *string(const char *at) {
    MUST(*at++ == '"');
    for (; *at != '"'; at++) {
        MUST((unsigned char)*at >= ' ');
        if (*at != '\\')
            continue;
        MUST(*++at && strchr("\"\\/bfnrtu", *at));
        for (int i = 0; *at == 'u' && i < 4; i++)
            MUST(isxdigit((unsigned char)at[1 + i]));
    }
    return at + 1;
}

/* What stands between brackets, each with a name before it or not. */
static const char *elements(const char *at, char end, bool named) {
    if (*++at == end)
        return at + 1;
    for (;; at++) {
        if (named) {
            at = string(at);
            MUST(*at++ == ':');
        }
        at = value(at);
        if (*at == end)
            return at + 1;
        MUST(*at == ',');
    }
}

static const char *value(const char *at) {
    static const char *const words[] = {"true", "false", "null"};
    if (*at == '"')
        return string(at);
    if (*at == '{')
        return elements(at, '}', true);
    if (*at == '[')
        return elements(at, ']', false);
    for (int i = 0; i < 3; i++)
        if (strncmp(at, words[i], strlen(words[i])) == 0)
            return at + strlen(words[i]);
    const char *digits = at + (*at == '-');
    MUST(isdigit((unsigned char)*digits) && (digits[0] != '0' || !isdigit((unsigned char)digits[1])));
    return digits + strspn(digits, "0123456789");
}

static void check(const struct eye_tree *tree, const struct eye_packet *packet, enum eye_style style) {
    int size = eye_tree_format(tree, packet, style, text, sizeof(text) - 1);
    MUST(size >= 0 && (size == 0 || text[size - 1] == '\n'));
    for (int i = 0; i < size; i++)
        MUST((unsigned char)text[i] >= ' ' ||
             (text[i] == '\n' && (style == EYE_STYLE_DETAIL || i == size - 1)));
    text[size] = '\0';
    if (style == EYE_STYLE_JSON)
        MUST(value(text) == text + size - 1);
    char small[100];
    int r = eye_tree_format(tree, packet, style, small, sizeof(small));
    MUST(r == -ENOSPC || (r == size && memcmp(small, text, (size_t)size) == 0));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    static struct eye_tree tree;
    struct eye_packet packet;
    unsigned flags;
    if (!fuzz_packet(data, size, &packet, &flags))
        return 0;
    eye_dissect(&packet, flags, &tree);
    for (int style = 0; style < EYE_STYLE_MAX; style++)
        check(&tree, &packet, (enum eye_style)style);
    return 0;
}
