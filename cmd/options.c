#include "options.h"

#include <assert.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#define NAMES_MAX 64

const char *const engine_choices[] = {"auto",  "thread", "select",   "poll",
                                      "epoll", "kqueue", "io_uring", NULL};

const struct common common_defaults = COMMON_DEFAULTS;

const struct option_row option_help = {
    "help", 'h', OPTION_FLAG, NULL, "show this help and end", .offset = offsetof(struct common, help)};
const struct option_row option_json = {"json",
                                       0,
                                       OPTION_FLAG,
                                       NULL,
                                       "print the answer as JSON, one object a line",
                                       .offset = offsetof(struct common, json)};
const struct option_row option_quiet = {"quiet",
                                        'q',
                                        OPTION_FLAG,
                                        NULL,
                                        "print no notices, and no error lines of single peers",
                                        .offset = offsetof(struct common, quiet)};
const struct option_row option_verbose = {"verbose",
                                          'v',
                                          OPTION_FLAG,
                                          NULL,
                                          "tell on standard error what happens to each connection",
                                          .offset = offsetof(struct common, verbose)};
const struct option_row option_events = {"events",
                                         0,
                                         OPTION_STRING,
                                         "FD|PATH",
                                         "write the life of each connection there, as JSON lines",
                                         .offset = offsetof(struct common, events),
                                         .completes = COMPLETE_FILE};
const struct option_row option_engine = {"engine",
                                         0,
                                         OPTION_STRING,
                                         "auto|thread|select|poll|epoll|kqueue|io_uring",
                                         "how the kernel is asked what is ready; auto unless said",
                                         .offset = offsetof(struct common, engine),
                                         .choices = engine_choices};
const struct option_row option_grace = {"grace",
                                        0,
                                        OPTION_DURATION,
                                        "DURATION",
                                        "on SIGTERM and SIGINT, give peers so long to finish; 5s unless said",
                                        .offset = offsetof(struct common, grace_ns)};
const struct option_row option_eof = {"eof",
                                      0,
                                      OPTION_EOF,
                                      "half|close|wait=DURATION",
                                      "what the end of standard input does: pass it on and await the answer "
                                      "(half, unless said), end both ways, or pass it on and end when "
                                      "nothing has come for so long",
                                      .offset = offsetof(struct common, eof)};
const struct option_row option_crlf = {"crlf",
                                       0,
                                       OPTION_FLAG,
                                       NULL,
                                       "send CR LF for each LF that has no CR before it",
                                       .offset = offsetof(struct common, crlf)};
const struct option_row option_trace = {"trace",
                                        0,
                                        OPTION_OPTIONAL,
                                        "FILE",
                                        "write what passes, both ways, as a hex dump to standard error or "
                                        "FILE",
                                        .offset = offsetof(struct common, trace),
                                        .completes = COMPLETE_FILE};

const struct option_row option_crew = {"threads",
                                       0,
                                       OPTION_INTEGER,
                                       "N",
                                       "serve on N threads, each with a loop of its own",
                                       .offset = offsetof(struct common, threads)};

int usage_error(struct eye_err *reterr, const char *hint, const char *fmt, ...) {
    char text[512];
    va_list args;
    va_start(args, fmt);
    vsnprintf(text, sizeof text, fmt, args);
    va_end(args);
    if (reterr) {
        *reterr = (struct eye_err){.code = EYE_ESYNTAX, .fail = EYE_FAIL_USAGE, .column = EYE_NO_COLUMN};
        eye_escape(text, strlen(text), reterr->text, sizeof reterr->text);
        if (hint)
            snprintf(reterr->cause, sizeof reterr->cause, "%s", hint);
    }
    return EYE_ESYNTAX;
}

const char *meant(const char *word, size_t size, const char *const *names) {
    const char *begins = NULL;
    size_t count = 0;
    for (const char *const *name = names; size > 0 && *name; name++) {
        if (strncmp(*name, word, size) == 0) {
            begins = *name;
            count++;
        }
    }
    return count == 1 ? begins : eye_nearest(word, size, names);
}

/* ---- the kinds: how each reads its value ---- */

static int flag_read(const struct option_row *row, const char *text, void *field) {
    (void)row;
    (void)text;
    *(bool *)field = true;
    return 0;
}

static int string_read(const struct option_row *row, const char *text, void *field) {
    (void)row;
    *(const char **)field = text;
    return 0;
}

static int optional_read(const struct option_row *row, const char *text, void *field) {
    (void)row;
    *(const char **)field = text ? text : "";
    return 0;
}

static int choice_read(const struct option_row *row, const char *text, void *field) {
    for (const char *const *choice = row->choices; *choice; choice++) {
        if (strcmp(*choice, text) == 0) {
            *(const char **)field = *choice;
            return 0;
        }
    }
    return EYE_ESYNTAX;
}

static int duration_read(const struct option_row *row, const char *text, void *field) {
    (void)row;
    return eye_parse_duration(text, field);
}

static int natural_read(const struct option_row *row, const char *text, void *field) {
    int64_t value = 0;
    (void)row;
    if (!*text)
        return EYE_ESYNTAX;
    for (; *text >= '0' && *text <= '9'; text++) {
        if (value > (INT64_MAX - 9) / 10)
            return EYE_ESYNTAX;
        value = value * 10 + (*text - '0');
    }
    if (*text)
        return EYE_ESYNTAX;
    *(int64_t *)field = value;
    return 0;
}

static int integer_read(const struct option_row *row, const char *text, void *field) {
    int64_t value;
    if (natural_read(row, text, &value) < 0 || value == 0)
        return EYE_ESYNTAX;
    *(int64_t *)field = value;
    return 0;
}

static int size_read(const struct option_row *row, const char *text, void *field) {
    int64_t bytes;
    (void)row;
    if (eye_parse_size(text, &bytes) < 0 || bytes == 0)
        return EYE_ESYNTAX;
    *(int64_t *)field = bytes;
    return 0;
}

static int eof_read(const struct option_row *row, const char *text, void *field) {
    struct eof_choice *eof = field;
    int64_t wait_ns;
    (void)row;
    if (strcmp(text, "half") == 0)
        *eof = (struct eof_choice){.eof = EYE_EOF_HALF};
    else if (strcmp(text, "close") == 0)
        *eof = (struct eof_choice){.eof = EYE_EOF_CLOSE};
    else if (strncmp(text, "wait=", 5) == 0 && eye_parse_duration(text + 5, &wait_ns) == 0)
        *eof = (struct eof_choice){.eof = EYE_EOF_WAIT, .wait_ns = wait_ns};
    else
        return EYE_ESYNTAX;
    return 0;
}

static const struct {
    const char *name;
    int (*read)(const struct option_row *row, const char *text, void *field);
    const char *wants; /* what an error says that it should be; NULL: the placeholder does */
} kinds[] = {
    [OPTION_FLAG] = {"flag", flag_read, NULL},
    [OPTION_STRING] = {"string", string_read, NULL},
    [OPTION_OPTIONAL] = {"optional", optional_read, NULL},
    [OPTION_CHOICE] = {"choice", choice_read, NULL},
    [OPTION_DURATION] = {"duration", duration_read, "a duration: 250ms, 5s, 2m"},
    [OPTION_INTEGER] = {"integer", integer_read, "a number from 1 on"},
    [OPTION_NATURAL] = {"natural", natural_read, "a number from 0 on"},
    [OPTION_SIZE] = {"size", size_read, "a size: 64k, 10M, 1GiB"},
    [OPTION_EOF] = {"eof", eof_read, NULL},
};
_Static_assert(sizeof kinds / sizeof kinds[0] == OPTION_KIND_MAX, "a row for every kind");

const char *option_kind_name(enum option_kind kind) {
    return kinds[kind].name;
}

const char *option_synopsis(const struct option_row *row, char *buf, size_t size) {
    const char *format = row->kind == OPTION_OPTIONAL ? "--%s[=%s]" : row->value ? "--%s=%s" : "--%s";
    snprintf(buf, size, format, row->name, row->value);
    return buf;
}

/* ---- the parser ---- */

struct parser {
    const struct option_row *const *table;
    int argc, next; /* next: the first of argv that is still to be read */
    char **argv;
    char *options;
    struct eye_err *reterr;
};

static int value_error(const struct parser *p, const struct option_row *row, const char *value) {
    assert(value); /* reading a flag does not fail */
    const char *wants = kinds[row->kind].wants ? kinds[row->kind].wants : row->value;
    const char *near = row->choices ? meant(value, strlen(value), row->choices) : NULL;
    char hint[96];
    snprintf(hint, sizeof hint, "did you mean '%s'?", near ? near : "");
    return usage_error(p->reterr, near ? hint : NULL, "--%s takes %s, not '%s'", row->name, wants, value);
}

/* Takes an option with its value, or NULL where none stands beside it: then it is the next of argv. */
static int take(struct parser *p, const struct option_row *row, const char *value) {
    bool wants = row->kind != OPTION_FLAG && row->kind != OPTION_OPTIONAL;
    if (row->kind == OPTION_FLAG && value)
        return usage_error(p->reterr, NULL, "--%s takes no value", row->name);
    if (wants && !value && p->next < p->argc)
        value = p->argv[p->next++];
    else if ((wants && !value) || (row->kind == OPTION_OPTIONAL && value && !*value))
        return usage_error(p->reterr, NULL, "--%s needs a value: %s", row->name, row->value);
    if (kinds[row->kind].read(row, value, p->options + row->offset) < 0)
        return value_error(p, row, value);
    return 0;
}

static int take_long(struct parser *p, const char *word) {
    const char *equals = strchr(word, '=');
    size_t size = equals ? (size_t)(equals - word) : strlen(word), count = 0;
    const char *names[NAMES_MAX] = {NULL}, *near;
    char hint[96];

    for (const struct option_row *const *row = p->table; *row; row++) {
        if (strlen((*row)->name) == size && memcmp((*row)->name, word, size) == 0)
            return take(p, *row, equals ? equals + 1 : NULL);
        assert(count < NAMES_MAX - 1);
        names[count++] = (*row)->name;
    }
    near = meant(word, size, names);
    snprintf(hint, sizeof hint, "did you mean '--%s'?", near ? near : "");
    return usage_error(p->reterr, near ? hint : NULL, "unknown option '--%.*s'", (int)size, word);
}

static int take_letters(struct parser *p, const char *letters) {
    while (*letters) {
        const struct option_row *const *row = p->table;
        const char *value = NULL;
        while (*row && (*row)->letter != *letters)
            row++;
        if (!*row)
            return usage_error(p->reterr, NULL, "unknown option '-%s'", letters);
        letters++;
        if ((*row)->kind != OPTION_FLAG && *letters) {
            value = letters;
            letters = "";
        }
        int r = take(p, *row, value);
        if (r < 0)
            return r;
    }
    return 0;
}

int options_parse(const struct option_row *const *table, int argc, char **argv, void *options,
                  struct eye_err *reterr) {
    struct parser p = {.table = table, .argc = argc, .argv = argv, .options = options, .reterr = reterr};
    bool ended = false;
    int count = 0;

    while (p.next < argc) {
        char *word = argv[p.next++];
        int r = 0;
        if (ended || word[0] != '-' || word[1] == '\0')
            argv[count++] = word;
        else if (strcmp(word, "--") == 0)
            ended = true;
        else if (word[1] == '-')
            r = take_long(&p, word + 2);
        else
            r = take_letters(&p, word + 1);
        if (r < 0)
            return r;
    }
    return count;
}
