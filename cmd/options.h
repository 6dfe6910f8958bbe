/* options.h: one table of options for each command.
 *
 * The table's rows feed the parser, `--help`, the manual pages' option sections and the completions of
 * bash, zsh and fish, so that none of them can say what another does not.
 *
 * The parser is our own and not getopt_long(3), which takes abbreviations and cannot be told not to: a
 * script that says --ev today must not mean something else once --every exists. Otherwise it reads what
 * getopt_long reads: `--name=value`, `--name value`, `-x value`, `-xvalue`, bundled letters, options
 * between the arguments, and `--` for their end. Of an option that is said twice the last counts. */
#ifndef CMD_OPTIONS_H
#define CMD_OPTIONS_H

#include <stdbool.h>

#include <sockeye/flow.h>

enum option_kind {
    OPTION_FLAG,     /* bool; takes no value */
    OPTION_STRING,   /* const char *; choices, where there are any, are what completions offer */
    OPTION_OPTIONAL, /* const char *; "" where it is said without a value, which =VALUE alone can give */
    OPTION_CHOICE,   /* const char *; one of choices, and nothing else */
    OPTION_DURATION, /* int64_t, nanoseconds */
    OPTION_INTEGER,  /* int64_t, from 1 on */
    OPTION_NATURAL,  /* int64_t, from 0 on */
    OPTION_SIZE,     /* int64_t, bytes, from 1 on */
    OPTION_EOF,      /* struct eof_choice */
    OPTION_KIND_MAX
};

/* What a value names, for the completions. */
enum complete { COMPLETE_NOTHING, COMPLETE_FILE, COMPLETE_ENDPOINT, COMPLETE_COMMAND };

struct option_row {
    const char *name; /* without the dashes */
    char letter;      /* or 0 */
    enum option_kind kind;
    const char *value;          /* the placeholder in help texts, or NULL for a flag */
    const char *help;           /* a sentence; no full stop where it is one phrase */
    size_t offset;              /* of the field in the command's struct of options */
    const char *const *choices; /* ended by NULL, or NULL */
    enum complete completes;
};

struct eof_choice {
    enum eye_eof eof;
    int64_t wait_ns;
};

/* What several commands take. A command's own struct of options begins with it, so that a shared row's
 * offset holds in each of them. */
struct common {
    bool help;
    bool json;
    bool quiet;
    bool verbose;
    const char *events;
    const char *engine;
    int64_t grace_ns;
    struct eof_choice eof;
    bool crlf;
    int64_t threads;   /* 0: one */
    const char *trace; /* a file, "" for standard error, or NULL */
};

#define GRACE_DEFAULT_NS (5 * INT64_C(1000000000))
#define COMMON_DEFAULTS                                                                                      \
    { .engine = "auto", .grace_ns = GRACE_DEFAULT_NS }

extern const struct common common_defaults;

/* The engines, ended by NULL. */
extern const char *const engine_choices[];

/* The shared rows. */
extern const struct option_row option_help, option_json, option_quiet, option_verbose, option_events,
    option_engine, option_grace, option_eof, option_crlf, option_trace, option_crew;

/* Reads argv (without the command's name) by a table that NULL ends: fills in the struct of options,
 * and moves the arguments to the front of argv in their order. Returns their number, or EYE_ESYNTAX. */
int options_parse(const struct option_row *const *table, int argc, char **argv, void *options,
                  struct eye_err *reterr);

/* "--name=VALUE", "--name[=VALUE]", or "--name". Returns buf. */
const char *option_synopsis(const struct option_row *row, char *buf, size_t size);

/* The kind's name, as `help --format=json` gives it. */
const char *option_kind_name(enum option_kind kind);

/* Finds the name that was meant: the only one that begins so, else the nearest; or NULL. */
const char *meant(const char *word, size_t size, const char *const *names);

/* Fills in an error of usage: text is escaped, hint may be NULL. Returns EYE_ESYNTAX. */
int usage_error(struct eye_err *reterr, const char *hint, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));

#endif
