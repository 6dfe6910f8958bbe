/* doctor.c: `sockeye doctor [MECHANISM...]`: what this host allows, and what this build is. Asked for
 * mechanisms by name, it says by its exit status whether all of them are usable. */
#include <gnu/libc-version.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/utsname.h>

#include <sockeye/doctor.h>
#include <sockeye/tls.h>

#include "commands.h"
#include "json.h"
#include "output.h"

#define MECHANISM_MAX 256

static void print_row(const char *area, const char *name, const char *status, const char *detail) {
    printf("%-8s %-20s %-8s %s\n", area, name, status, detail);
}

static void print_mechanism(const struct eye_mechanism *m) {
    print_row(m->area, m->name, eye_status_name(m->status), m->detail[0] ? m->detail : m->since);
    if (m->status == EYE_USABLE)
        return;
    if (m->error)
        printf("    error: %s\n", eye_strerror(m->error));
    if (m->cause[0])
        printf("    likely cause: %s\n", m->cause);
    if (m->instead[0])
        printf("    used instead: %s\n", m->instead);
}

static void optional(struct json *json, const char *key, const char *text) {
    if (text[0])
        json_string(json, key, text);
}

static void json_mechanism(const struct eye_mechanism *m) {
    struct json json = {.file = stdout};
    json_begin(&json);
    json_string(&json, "area", m->area);
    json_string(&json, "name", m->name);
    json_string(&json, "status", eye_status_name(m->status));
    optional(&json, "since", m->since);
    if (m->error) {
        json_int(&json, "errno", -(int64_t)m->error);
        json_string(&json, "error", eye_strerror(m->error));
    }
    optional(&json, "detail", m->detail);
    optional(&json, "cause", m->cause);
    optional(&json, "instead", m->instead);
    json_end(&json);
}

/* The ciphers of tls endpoints, for ciphers= and suites=. */
static void json_ciphers(void) {
    struct eye_tls_cipher cipher;
    for (size_t i = 0; eye_tls_cipher(i, &cipher); i++) {
        struct json json = {.file = stdout};
        json_begin(&json);
        json_string(&json, "area", "cipher");
        json_uint(&json, "id", cipher.id);
        json_string(&json, "name", cipher.name);
        json_string(&json, "protocol", cipher.protocol);
        json_string(&json, "description", cipher.description);
        json_int(&json, "strength_bits", cipher.strength_bits);
        json_int(&json, "alg_bits", cipher.alg_bits);
        json_end(&json);
    }
}

/* What was built, and what it runs on. */
static void build_facts(bool as_json) {
    struct utsname system = {0};
    char kernel[sizeof system.sysname + sizeof system.release + 1];
    uname(&system);
    snprintf(kernel, sizeof kernel, "%s %s", system.sysname, system.release);
    const struct {
        const char *name, *detail;
    } facts[] = {
        {"version", SOCKEYE_VERSION},
#ifdef __clang__
        {"compiler", "clang " __clang_version__},
#else
        {"compiler", "gcc " __VERSION__},
#endif
        {"libc", gnu_get_libc_version()},
        {"kernel", kernel},
        {"machine", system.machine},
        {"byte order", __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__ ? "little-endian" : "big-endian"},
    };
    for (size_t i = 0; i < sizeof facts / sizeof facts[0]; i++) {
        if (as_json) {
            struct json json = {.file = stdout};
            json_begin(&json);
            json_string(&json, "area", "build");
            json_string(&json, "name", facts[i].name);
            json_string(&json, "detail", facts[i].detail);
            json_end(&json);
        } else {
            print_row("build", facts[i].name, "", facts[i].detail);
        }
    }
}

/* "epoll" or "engine/epoll" */
static bool has_name(const struct eye_mechanism *m, const char *word) {
    size_t size = strlen(m->area);
    return strcmp(m->name, word) == 0 ||
           (strncmp(m->area, word, size) == 0 && word[size] == '/' && strcmp(m->name, word + size + 1) == 0);
}

static int unknown_mechanism(const char *word) {
    const char *names[MECHANISM_MAX + 1] = {NULL}, *near;
    struct eye_mechanism m;
    struct eye_err err;
    char hint[96];
    for (size_t i = 0; i < MECHANISM_MAX && eye_doctor(i, &m); i++)
        names[i] = m.name;
    near = meant(word, strlen(word), names);
    snprintf(hint, sizeof hint, "did you mean '%s'?", near ? near : "");
    usage_error(&err, near ? hint : NULL, "unknown mechanism '%s'", word);
    return report(&err);
}

static int doctor_one(const char *word, void (*print)(const struct eye_mechanism *m)) {
    struct eye_mechanism m;
    for (size_t i = 0; eye_doctor(i, &m); i++) {
        if (has_name(&m, word)) {
            print(&m);
            return m.status == EYE_USABLE ? STATUS_OK : STATUS_UNAVAILABLE;
        }
    }
    return unknown_mechanism(word);
}

static int doctor_run(const void *options, struct arguments arguments) {
    const struct common *common = options;
    void (*print)(const struct eye_mechanism *m) = common->json ? json_mechanism : print_mechanism;
    struct eye_mechanism m;
    int status = STATUS_OK;

    for (size_t i = 0; i < arguments.count; i++) {
        int one = doctor_one(arguments.list[i], print);
        status = one ? one : status;
    }
    if (arguments.count > 0)
        return status;
    build_facts(common->json);
    for (size_t i = 0; eye_doctor(i, &m); i++)
        print(&m);
    if (common->json)
        json_ciphers();
    return STATUS_OK;
}

const struct command doctor_command = {
    .name = "doctor",
    .summary = "what this host allows, and what is used where it does not",
    .arguments = "[MECHANISM...]",
    .about = "Tries each mechanism on this host and prints whether it is usable, denied or\n"
             "absent, with the likely cause and what is used instead. With MECHANISM, 'epoll'\n"
             "or 'engine/epoll', tries that one only and ends with exit status 8 if it is not\n"
             "usable.",
    .see_also = "*sockeye*(1), *sockeye-tour*(1)",
    .options = (const struct option_row *const[]){&option_json, &option_help, NULL},
    .defaults = &common_defaults,
    .options_size = sizeof common_defaults,
    .arguments_max = SIZE_MAX,
    .run = doctor_run,
};
