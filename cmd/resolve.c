/* resolve.c: `sockeye resolve NAME...`: names and literals to family and socket address, as
 * getaddrinfo(3) sees them. What does not resolve goes to standard error with the resolver's own
 * reason; the others are printed all the same. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "commands.h"
#include "json.h"
#include "output.h"

struct resolve_options {
    struct common common;
    const char *family, *port;
};

static void print_json(const char *name, const struct eye_addr *addr, const char *text) {
    struct json json = {.file = stdout};
    bool v6 = addr->u.sa.sa_family == AF_INET6;
    json_begin(&json);
    json_string(&json, "name", name);
    json_string(&json, "family", v6 ? "inet6" : "inet");
    json_string(&json, "address", text);
    json_uint(&json, "port", eye_addr_port(addr));
    if (v6)
        json_uint(&json, "scope_id", addr->u.in6.sin6_scope_id);
    json_end(&json);
}

static void print_columns(const char *name, const struct eye_addr *addr, const char *text) {
    bool v6 = addr->u.sa.sa_family == AF_INET6;
    char escaped[1024];
    eye_escape(name, strlen(name), escaped, sizeof escaped);
    printf("%s  %-8s  %s  port %u", escaped, v6 ? "AF_INET6" : "AF_INET", text, eye_addr_port(addr));
    if (v6)
        printf("  scope_id %u", addr->u.in6.sin6_scope_id);
    putchar('\n');
}

static int resolve_one(const struct resolve_options *options, const char *name) {
    const struct eye_resolve_opts opts = {.family = options->family ? atoi(options->family) : 0};
    struct eye_addrs addrs;
    struct eye_err err;

    if (eye_resolve(name, options->port, &opts, &addrs, &err) < 0)
        return report(&err);
    for (size_t i = 0; i < addrs.count; i++) {
        char text[EYE_ADDR_TEXT_MAX];
        eye_addr_format_host(&addrs.list[i], text, sizeof text);
        (options->common.json ? print_json : print_columns)(name, &addrs.list[i], text);
    }
    eye_addrs_done(&addrs);
    return STATUS_OK;
}

static int resolve_run(const void *options, struct arguments arguments) {
    int status = STATUS_OK;
    for (size_t i = 0; i < arguments.count; i++) {
        int one = resolve_one(options, arguments.list[i]);
        status = one ? one : status;
    }
    return status;
}

static const struct option_row option_family = {"family",
                                                0,
                                                OPTION_CHOICE,
                                                "4|6",
                                                "IPv4 addresses only, or IPv6 addresses only",
                                                .offset = offsetof(struct resolve_options, family),
                                                .choices = (const char *const[]){"4", "6", NULL}};
static const struct option_row option_port = {"port",
                                              0,
                                              OPTION_STRING,
                                              "PORT",
                                              "the port to put in, a number or a service's name",
                                              .offset = offsetof(struct resolve_options, port)};

const struct command resolve_command = {
    .name = "resolve",
    .summary = "names and literals to family and socket address",
    .arguments = "NAME...",
    .about = "Resolves each NAME as programs do that call getaddrinfo(3), and prints a line\n"
             "for each socket address, in the order in which they are to be tried. Literals\n"
             "may be of any form that getaddrinfo takes: 0xc000027b is 192.0.2.123.",
    .see_also = "*sockeye-convert*(1), *getaddrinfo*(3), *getent*(1)",
    .options =
        (const struct option_row *const[]){&option_family, &option_port, &option_json, &option_help, NULL},
    .defaults = &(const struct resolve_options){.common = COMMON_DEFAULTS},
    .options_size = sizeof(struct resolve_options),
    .arguments_min = 1,
    .arguments_max = SIZE_MAX,
    .run = resolve_run,
};
