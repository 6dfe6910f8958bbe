/* convert.c: `sockeye convert VALUE...`: an address, a MAC or an integer in every form, or with --to in
 * exactly one. What the forms are, and how a text's kind is told: value.h. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "commands.h"
#include "json.h"
#include "output.h"
#include "value.h"

struct convert_options {
    struct common common;
    const char *from, *to;
};

/* IEEE 802-2014, 8.2.2: the two lowest bits of a MAC's first byte. */
static const char *mac_cast(const struct value *value) {
    return value->bytes[0] & 1 ? "group" : "unicast";
}

static const char *mac_admin(const struct value *value) {
    return value->bytes[0] & 2 ? "local" : "universal";
}

static void print_table(const char *text, const struct value *value) {
    char escaped[1024];
    eye_escape(text, strlen(text), escaped, sizeof escaped);
    printf("%s is %s", escaped, value_kind_text(value->kind));
    if (value->kind == VALUE_MAC)
        printf(", %s, %s", mac_cast(value), mac_admin(value));
    putchar('\n');
    for (size_t form = 0; value_form_names[form]; form++) {
        char out[VALUE_TEXT_MAX];
        int r = value_format(value, form, out, sizeof out);
        if (r == 0)
            printf("  %-7s %s", value_form_names[form], out);
        else if (r == -ERANGE)
            printf("  %-7s (does not fit in %u bits)", value_form_names[form], value_form_bits(form));
        else
            continue;
        if (r == 0 && value_form_is_swapped(form))
            printf("  (%" PRIu64 " on a big-endian host)", value->number);
        putchar('\n');
    }
}

/* An IPv6 address as a number is wider than JSON's readers take, and stays a string. */
static void json_form(struct json *json, const struct value *value, size_t form, const char *out) {
    if (out && value_form_is_number(form) && value->kind != VALUE_IPV6)
        json_uint(json, value_form_names[form], strtoull(out, NULL, 10));
    else
        json_string(json, value_form_names[form], out);
}

static void print_json(const char *text, const struct value *value) {
    struct json json = {.file = stdout};
    json_begin(&json);
    json_string(&json, "value", text);
    json_string(&json, "kind", value_from_names[value->kind]);
    if (value->kind == VALUE_MAC) {
        json_string(&json, "cast", mac_cast(value));
        json_string(&json, "admin", mac_admin(value));
    }
    for (size_t form = 0; value_form_names[form]; form++) {
        char out[VALUE_TEXT_MAX];
        int r = value_format(value, form, out, sizeof out);
        if (r != -ENOENT)
            json_form(&json, value, form, r == 0 ? out : NULL);
    }
    if (value->kind == VALUE_INT || value->kind == VALUE_IPV4) {
        json_open(&json, "big_endian", '{');
        for (size_t form = 0; value_form_names[form]; form++) {
            char out[VALUE_TEXT_MAX];
            if (value_form_is_swapped(form) && value_format(value, form, out, sizeof out) == 0)
                json_uint(&json, value_form_names[form], value->number);
        }
        json_close(&json, '}');
    }
    json_end(&json);
}

static int no_such_form(const char *text, const struct value *value, size_t form, int code) {
    char hint[128] = "its forms:", out[VALUE_TEXT_MAX];
    struct eye_err err;
    if (code == -ERANGE) {
        usage_error(&err, NULL, "'%s' has no %s form: it does not fit in %u bits", text,
                    value_form_names[form], value_form_bits(form));
        return report(&err);
    }
    for (size_t i = 0; value_form_names[i]; i++) {
        size_t used = strlen(hint);
        if (value_format(value, i, out, sizeof out) == 0)
            snprintf(hint + used, sizeof hint - used, " %s", value_form_names[i]);
    }
    usage_error(&err, hint, "'%s' is %s, which has no %s form", text, value_kind_text(value->kind),
                value_form_names[form]);
    return report(&err);
}

static int print_form(const struct convert_options *options, const char *text, const struct value *value) {
    char out[VALUE_TEXT_MAX];
    size_t form = 0;
    int r;

    while (strcmp(value_form_names[form], options->to) != 0)
        form++;
    r = value_format(value, form, out, sizeof out);
    if (r < 0)
        return no_such_form(text, value, form, r);
    if (options->common.json) {
        struct json json = {.file = stdout};
        json_begin(&json);
        json_string(&json, "value", text);
        json_form(&json, value, form, out);
        json_end(&json);
    } else {
        puts(out);
    }
    return STATUS_OK;
}

static int convert_one(const struct convert_options *options, const char *text) {
    struct value value;
    struct eye_err err;

    if (value_parse(text, options->from, &value, &err) < 0)
        return report(&err);
    if (options->to)
        return print_form(options, text, &value);
    (options->common.json ? print_json : print_table)(text, &value);
    return STATUS_OK;
}

static int convert_run(const void *options, struct arguments arguments) {
    int status = STATUS_OK;
    for (size_t i = 0; i < arguments.count; i++) {
        int one = convert_one(options, arguments.list[i]);
        status = one ? one : status;
    }
    return status;
}

static const struct option_row option_from = {"from",
                                              0,
                                              OPTION_CHOICE,
                                              "ipv4|ipv6|mac|int|hex",
                                              "what VALUE is, where its text could be several things",
                                              .offset = offsetof(struct convert_options, from),
                                              .choices = value_from_names};
static const struct option_row option_to = {
    "to",
    0,
    OPTION_CHOICE,
    "FORM",
    "print this form only: dotted, hex, dec, net16, net32, net64, mapped, ptr; colon (IPv6 too), dash, dot, "
    "bare of a MAC",
    .offset = offsetof(struct convert_options, to),
    .choices = value_form_names};

const struct command convert_command = {
    .name = "convert",
    .summary = "an address, MAC or integer in every form",
    .arguments = "VALUE...",
    .about = "Prints every form of each VALUE: text, hex bytes, decimal, the number that the\n"
             "host reads when its bytes are in network order, IPv4-mapped, and the reverse\n"
             "name. Digits alone are a decimal integer, unless they begin with 0; 8, 12 or\n"
             "32 hex digits are the bytes of IPv4, a MAC or IPv6. --from says otherwise.",
    .see_also = "*sockeye-resolve*(1), *inet_pton*(3), *byteorder*(3)",
    .options = (const struct option_row *const[]){&option_from, &option_to, &option_json, &option_help, NULL},
    .defaults = &(const struct convert_options){.common = COMMON_DEFAULTS},
    .options_size = sizeof(struct convert_options),
    .arguments_min = 1,
    .arguments_max = SIZE_MAX,
    .run = convert_run,
};
