/* The host's name, its canonical name, and the addresses of it and of localhost.
 *
 * gethostname(2) asks the kernel; what the name means only the resolver knows, and it may know several
 * addresses of both families, or none. */
#include <stdio.h>
#include <unistd.h>

#include <sockeye/sockeye.h>

static int print_addresses(const char *name) {
    const struct eye_resolve_opts opts = {.canonical = true};
    struct eye_addrs addrs;
    struct eye_err err;

    if (eye_resolve(name, NULL, &opts, &addrs, &err) < 0) {
        fprintf(stderr, "%s\n", err.text);
        return 1;
    }
    printf("%s is %s\n", name, addrs.canonical);
    for (size_t i = 0; i < addrs.count; i++) {
        char text[EYE_ADDR_TEXT_MAX];
        eye_addr_format_host(&addrs.list[i], text, sizeof text);
        printf("    %s\n", text);
    }
    eye_addrs_done(&addrs);
    return 0;
}

int main(void) {
    char name[256] = ""; /* POSIX lets a name have 255 bytes */

    if (gethostname(name, sizeof name - 1) < 0) {
        perror("gethostname");
        return 1;
    }
    int status = print_addresses(name);
    return print_addresses("localhost") || status;
}
