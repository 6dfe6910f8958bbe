/* endpoint.h: what the two halves of the endpoint parser share. */
#ifndef SOCKEYE_NAME_ENDPOINT_H
#define SOCKEYE_NAME_ENDPOINT_H

#include <sockeye/endpoint.h>

#include "base/base.h"

#define OPTIONS_MAX 64

/* A text that is being read. All places are byte offsets in it. */
struct parse {
    const char *text;
    struct eye_endpoint *endpoint; /* filled in on the way */
    struct eye_err *reterr;
    uint64_t seen;          /* bits: the options that were said, by their row */
    size_t at[OPTIONS_MAX]; /* and where */
};

/* Fails at a place: the text of the error is what is said here, and the whole endpoint. */
int parse_bad(const struct parse *parse, size_t at, const char *fmt, ...) PRINTF_LIKE(3, 4);

/* A piece of the text as a string of its own; NULL with the error set where memory is short. */
char *parse_copy(const struct parse *parse, size_t at, size_t size);
int parse_no_memory(const struct parse *parse);

struct option;

/* The option of that name, of whatever scheme, or NULL. */
const struct option *option_find(const char *name, size_t size);

/* Fails since the text at a place begins with no option's name. */
int option_unknown(const struct parse *parse, size_t at);

/* Reads the options between two places, one or more, separated by commas. */
int options_read(struct parse *parse, size_t at, size_t end);

/* Fails where an option was said that a scheme has, and that one does not have on which it stands: of TLS,
 * which stands on tcp or unix. */
int options_check(const struct parse *parse, enum eye_scheme stands_on);

#endif
