/* fuzz_addr.c: any text as an address and as a block.
 *
 * What is read must be written, and what is written must read as the same address; a block must hold the
 * address that it begins with; and an error must be one safe line with its place inside the text. */
#include <sockeye/addr.h>

#include "fuzz.h"

static void check_addr(const char *text) {
    struct eye_addr addr, again;
    struct eye_err err;
    char out[EYE_ADDR_TEXT_MAX], out_again[EYE_ADDR_TEXT_MAX];

    int r = eye_addr_parse(text, &addr, &err);
    if (r < 0) {
        fuzz_check_err(r, &err, text);
        return;
    }
    MUST(eye_addr_format(&addr, out, sizeof(out)) == (int)strlen(out));
    MUST(fuzz_is_line(out));
    /* What had to be escaped does not read back. */
    if (strchr(out, '\\'))
        return;
    MUST(eye_addr_parse(out, &again, NULL) == 0);
    MUST(addr.len == again.len && memcmp(&addr.u, &again.u, addr.len) == 0);
    MUST(eye_addr_format(&again, out_again, sizeof(out_again)) >= 0 && strcmp(out, out_again) == 0);
    MUST(eye_addr_format_host(&addr, out, sizeof(out)) == (int)strlen(out));
}

static void check_cidr(const char *text) {
    struct eye_cidr cidr;
    struct eye_err err;

    int r = eye_cidr_parse(text, &cidr, &err);
    if (r < 0) {
        fuzz_check_err(r, &err, text);
        return;
    }
    struct eye_addr first = {0};
    if (cidr.family == 4) {
        first.u.in.sin_family = AF_INET;
        memcpy(&first.u.in.sin_addr, cidr.bytes, 4);
    } else {
        MUST(cidr.family == 6);
        first.u.in6.sin6_family = AF_INET6;
        memcpy(&first.u.in6.sin6_addr, cidr.bytes, 16);
    }
    MUST(cidr.bits <= (cidr.family == 4 ? 32 : 128));
    MUST(eye_cidr_holds(&cidr, &first));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    char *text = fuzz_text(data, size);
    check_addr(text);
    check_cidr(text);
    free(text);
    return 0;
}
