/* An address as text and as bytes, both ways, for IPv4 and IPv6. */
#include <stdio.h>
#include <string.h>

#include <sockeye/sockeye.h>

/* The bytes of an address, in network order: returns their number, or 0 where it has none. */
static size_t bytes_of(const struct eye_addr *addr, const void **ret_bytes) {
    switch (addr->u.sa.sa_family) {
    case AF_INET:
        *ret_bytes = &addr->u.in.sin_addr;
        return sizeof addr->u.in.sin_addr;
    case AF_INET6:
        *ret_bytes = &addr->u.in6.sin6_addr;
        return sizeof addr->u.in6.sin6_addr;
    default:
        return 0;
    }
}

static void print_from_bytes(const void *bytes, size_t size) {
    struct eye_addr addr = {.len = sizeof addr.u.in, .u.in = {.sin_family = AF_INET}};
    char text[EYE_ADDR_TEXT_MAX];

    if (size == sizeof addr.u.in6.sin6_addr) {
        addr = (struct eye_addr){.len = sizeof addr.u.in6, .u.in6 = {.sin6_family = AF_INET6}};
        memcpy(&addr.u.in6.sin6_addr, bytes, size);
    } else {
        memcpy(&addr.u.in.sin_addr, bytes, size);
    }
    eye_addr_format_host(&addr, text, sizeof text);
    printf(" = %s\n", text);
}

int main(int argc, char **argv) {
    for (int i = 1; i < argc; i++) {
        const void *bytes;
        struct eye_addr addr;
        struct eye_err err;

        if (eye_addr_parse(argv[i], &addr, &err) < 0) {
            fprintf(stderr, "%s\n", err.text);
            return 1;
        }
        size_t size = bytes_of(&addr, &bytes);
        if (size == 0) {
            fprintf(stderr, "%s: not an internet address\n", argv[i]);
            return 1;
        }
        printf("%s = ", argv[i]);
        for (size_t j = 0; j < size; j++)
            printf("%02x", ((const uint8_t *)bytes)[j]);
        print_from_bytes(bytes, size);
    }
    return 0;
}
