/* host.c: `sockeye host`: this machine's name, its canonical name, and the addresses of it and of
 * localhost. A name that does not resolve is told, and the rest is printed all the same. */
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "commands.h"
#include "json.h"
#include "output.h"

#define HOST_NAME_SIZE 256 /* HOST_NAME_MAX of Linux is 64; POSIX allows 255 */

static void print_addresses(struct json *json, const char *label, const struct eye_addrs *addrs) {
    char text[EYE_ADDR_TEXT_MAX];
    if (json)
        json_open(json, label, '[');
    for (size_t i = 0; i < addrs->count; i++) {
        eye_addr_format_host(&addrs->list[i], text, sizeof text);
        if (json)
            json_string(json, NULL, text);
        else
            printf("%-10s %s\n", label, text);
    }
    if (json)
        json_close(json, ']');
}

static void print_name(struct json *json, const char *label, const char *name) {
    char text[HOST_NAME_SIZE * 4];
    if (json) {
        json_string(json, label, name);
    } else if (name) {
        eye_escape(name, strlen(name), text, sizeof text);
        printf("%-10s %s\n", label, text);
    }
}

static int host_run(const void *options, struct arguments arguments) {
    static const struct eye_resolve_opts with_canonical = {.canonical = true};
    const struct common *common = options;
    struct json writer = {.file = stdout}, *json = common->json ? &writer : NULL;
    struct eye_addrs own = {0}, local = {0};
    char name[HOST_NAME_SIZE] = "";
    struct eye_err err;
    int status = STATUS_OK;
    (void)arguments;

    if (gethostname(name, sizeof name - 1) < 0)
        return report_code(-errno, "gethostname");
    if (eye_resolve(name, NULL, &with_canonical, &own, &err) < 0)
        status = report(&err);
    if (eye_resolve("localhost", NULL, NULL, &local, &err) < 0)
        status = report(&err);

    if (json)
        json_begin(json);
    print_name(json, "name", name);
    print_name(json, "canonical", own.canonical);
    print_addresses(json, json ? "addresses" : "address", &own);
    print_addresses(json, "localhost", &local);
    if (json)
        json_end(json);
    eye_addrs_done(&own);
    eye_addrs_done(&local);
    return status;
}

const struct command host_command = {
    .name = "host",
    .summary = "this machine's name, canonical name and addresses",
    .arguments = "",
    .about = "Prints the host's name as the kernel has it, the canonical name that the\n"
             "resolver knows it by, its addresses, and those of localhost.",
    .see_also = "*sockeye-resolve*(1), *hostname*(1), *gethostname*(2)",
    .options = (const struct option_row *const[]){&option_json, &option_help, NULL},
    .defaults = &common_defaults,
    .options_size = sizeof common_defaults,
    .run = host_run,
};
