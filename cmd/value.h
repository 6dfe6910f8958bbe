/* value.h: an address, a MAC or an integer in all its forms.
 *
 * What a text is: six pairs of hex digits with `:`, `-` or `.` between them, or three groups of four
 * with `.`, are a MAC address (IEEE 802, EUI-48); what inet_pton(3) takes is IPv4 or IPv6; digits alone,
 * or 0x and hex digits, are an integer of at most 64 bits, decimal ones without a leading zero, since
 * that would be octal elsewhere; 8, 12 or 32 hex digits are the bytes of IPv4, a MAC or IPv6. They are
 * tried in this order, so 10000001 is a decimal number and 0a000001 is bytes; where that is not what is
 * meant, the kind can be said. */
#ifndef CMD_VALUE_H
#define CMD_VALUE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <sockeye/err.h>

enum value_kind { VALUE_IPV4, VALUE_IPV6, VALUE_MAC, VALUE_INT, VALUE_KIND_MAX };

struct value {
    enum value_kind kind;
    uint8_t bytes[16]; /* of an address or MAC, as on the wire; none for an integer */
    uint64_t number;   /* all but IPv6 */
};

/* Reads a text; from is one of value_from_names, or NULL to detect the kind. */
int value_parse(const char *text, const char *from, struct value *ret_value, struct eye_err *reterr);

/* "ipv4", "ipv6", "mac", "int": the names of the kinds, and "hex"; ended by NULL. */
extern const char *const value_from_names[];
/* "dotted", ...; ended by NULL. */
extern const char *const value_form_names[];

/* "an IPv4 address" */
const char *value_kind_text(enum value_kind kind);

#define VALUE_TEXT_MAX 80 /* a reverse name of IPv6 is 72 characters */

/* Writes form number `form`: 0, -ENOENT where this kind has no such form, or -ERANGE where the number
 * does not fit. */
int value_format(const struct value *value, size_t form, char *out, size_t size);

/* Whether the form is a number, and then how many bits it has, or 0 for as many as it takes. */
bool value_form_is_number(size_t form);
unsigned value_form_bits(size_t form);

/* Whether the form depends on the order of bytes in the host's memory. */
bool value_form_is_swapped(size_t form);

#endif
