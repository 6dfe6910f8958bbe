/* Family and socket address from a string: names, and literals in every form that getaddrinfo(3) takes.
 * What does not resolve is told with the resolver's reason, and the others are printed all the same. */
#include <stdio.h>

#include <sockeye/sockeye.h>

static void print(const struct eye_addr *addr) {
    char text[EYE_ADDR_TEXT_MAX];

    eye_addr_format_host(addr, text, sizeof text);
    if (addr->u.sa.sa_family == AF_INET6)
        printf("AF_INET6 %s, scope id %u\n", text, addr->u.in6.sin6_scope_id);
    else
        printf("AF_INET %s\n", text);
}

int main(int argc, char **argv) {
    int status = 0;

    for (int i = 1; i < argc; i++) {
        struct eye_addrs addrs;
        struct eye_err err;

        if (eye_resolve(argv[i], NULL, NULL, &addrs, &err) < 0) {
            fflush(stdout); /* so that the two outputs keep their order where they are one file */
            fprintf(stderr, "invalid: %s\n", err.text);
            status = 3;
            continue;
        }
        for (size_t j = 0; j < addrs.count; j++)
            print(&addrs.list[j]);
        eye_addrs_done(&addrs);
    }
    return status;
}
