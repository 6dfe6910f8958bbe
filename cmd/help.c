#include "help.h"

#include <stdlib.h>
#include <string.h>

#include "json.h"
#include "output.h"

#define WIDTH        79
#define OPTION_WIDTH 26 /* where the texts of options begin */

/* Prints words, from column `at` on, and breaks lines before WIDTH; further lines begin at indent. */
static void wrap(FILE *file, const char *text, int at, int indent) {
    while (*text) {
        int n = (int)strcspn(text, " ");
        if (at > indent && at + 1 + n > WIDTH) {
            fprintf(file, "\n%*s", indent, "");
            at = indent;
        } else if (at > indent) {
            fputc(' ', file);
            at++;
        }
        fprintf(file, "%.*s", n, text);
        at += n;
        text += n + (text[n] == ' ');
    }
    fputc('\n', file);
}

/* A term, and its text beside it, or below where the term is too long. */
static void entry(FILE *file, const char *term, const char *text, int indent) {
    int n = fprintf(file, "%s", term);
    if (n >= indent) {
        fputc('\n', file);
        n = 0;
    }
    fprintf(file, "%*s", indent - n, "");
    wrap(file, text, indent, indent);
}

void help_overview(FILE *file) {
    char term[64];
    fputs("usage: sockeye COMMAND [OPTION...] ARGUMENT...\n"
          "       sockeye help [COMMAND]\n"
          "       sockeye --version\n"
          "\n"
          "Names endpoints, serves them, connects to them, and joins any two.\n"
          "\n"
          "Commands:\n",
          file);
    for (const struct command *const *command = commands; *command; command++) {
        snprintf(term, sizeof term, "  %s", (*command)->name);
        entry(file, term, (*command)->summary, 12);
    }
    fputs("\nEndpoints are written like tcp:HOST:PORT, unix:PATH or stdio: see\n"
          "'sockeye help endpoint'. The manual begins at sockeye(1).\n",
          file);
}

void help_print(const struct command *command) {
    printf("usage: sockeye %s [OPTION...]%s%s\n\n%s\n\nOptions:\n", command->name,
           command->arguments[0] ? " " : "", command->arguments, command->about);
    for (const struct option_row *const *row = command->options; *row; row++) {
        char term[96], letter[] = "  -x, ", synopsis[80];
        letter[3] = (*row)->letter;
        snprintf(term, sizeof term, "%s%s", (*row)->letter ? letter : "      ",
                 option_synopsis(*row, synopsis, sizeof synopsis));
        entry(stdout, term, (*row)->help, OPTION_WIDTH);
    }
    if (command->completes == COMPLETE_ENDPOINT)
        puts("\nHow endpoints are written, and their options: 'sockeye help endpoint'.");
    printf("\nThe manual: sockeye-%s(1).\n", command->name);
}

const char *help_schemes(unsigned schemes, char *buf, size_t size) {
    size_t used = 0;
    const char *name;
    buf[0] = '\0';
    for (size_t i = 0; (name = eye_scheme_name(i)) && used < size; i++) {
        if (schemes & 1u << i)
            used += (size_t)snprintf(buf + used, size - used, "%s%s", used ? ", " : "", name);
    }
    return buf;
}

void help_endpoint_print(void) {
    struct eye_option_row row;
    fputs("An endpoint is written [SCHEME[,OPTION...]:[//]]TARGET[,OPTION[=VALUE]]...\n"
          "\n"
          "  tcp:HOST:PORT           the default scheme; [V6]:PORT, :PORT for this host, and\n"
          "                          for servers PORT alone; port 0 picks one\n"
          "  unix:PATH, unix:@NAME   also /PATH, ./PATH and @NAME; @ is the abstract space\n"
          "  exec:COMMAND            a command, run by the shell\n"
          "  stdio, or -             standard input and output\n"
          "  fd:NUMBER               an inherited descriptor, connected or listening\n"
          "  file:PATH               a file, device or FIFO\n"
          "\n"
          "Options stand after the target, with commas. A command takes them before the\n"
          "colon, and so does a path that holds commas: exec,pty:grep a,b and\n"
          "unix,mode=0660:/run/a,b. In their values %XX is a byte.\n"
          "\n"
          "Options:\n",
          stdout);
    for (size_t i = 0; eye_endpoint_option(i, &row); i++) {
        char term[96], text[256], schemes[64];
        snprintf(term, sizeof term, "  %s%s%s", row.name, row.value ? "=" : "", row.value ? row.value : "");
        snprintf(text, sizeof text, "%s (%s)", row.help, help_schemes(row.schemes, schemes, sizeof schemes));
        entry(stdout, term, text, OPTION_WIDTH);
    }
    puts("\nThe manual: sockeye-endpoint(7).");
}

/* ---- JSON ---- */

static void json_option(struct json *json, const struct option_row *row) {
    json_open(json, NULL, '{');
    json_string(json, "name", row->name);
    if (row->letter)
        json_bytes(json, "letter", &row->letter, 1);
    json_string(json, "kind", option_kind_name(row->kind));
    json_string(json, "value", row->value);
    json_string(json, "help", row->help);
    if (row->choices) {
        json_open(json, "choices", '[');
        for (const char *const *choice = row->choices; *choice; choice++)
            json_string(json, NULL, *choice);
        json_close(json, ']');
    }
    json_close(json, '}');
}

static void json_command(const struct command *command) {
    struct json json = {.file = stdout};
    json_begin(&json);
    json_string(&json, "command", command->name);
    json_string(&json, "summary", command->summary);
    json_string(&json, "arguments", command->arguments);
    json_open(&json, "options", '[');
    for (const struct option_row *const *row = command->options; *row; row++)
        json_option(&json, *row);
    json_close(&json, ']');
    json_end(&json);
}

static void json_statuses(void) {
    struct json json = {.file = stdout};
    json_begin(&json);
    json_open(&json, "exit_statuses", '[');
    for (enum eye_fail fail = 0; fail < EYE_FAIL_MAX; fail++) {
        json_open(&json, NULL, '{');
        json_int(&json, "status", status_of(fail)->status);
        json_string(&json, "meaning", status_of(fail)->meaning);
        json_close(&json, '}');
    }
    json_close(&json, ']');
    json_end(&json);
}

static void json_endpoint(void) {
    struct json json = {.file = stdout};
    struct eye_option_row row;
    char schemes[64];
    json_begin(&json);
    json_open(&json, "endpoint_options", '[');
    for (size_t i = 0; eye_endpoint_option(i, &row); i++) {
        json_open(&json, NULL, '{');
        json_string(&json, "name", row.name);
        json_string(&json, "value", row.value);
        json_string(&json, "help", row.help);
        json_string(&json, "schemes", help_schemes(row.schemes, schemes, sizeof schemes));
        json_close(&json, '}');
    }
    json_close(&json, ']');
    json_end(&json);
}

/* ---- the command ---- */

struct help_options {
    struct common common;
    const char *format;
};

static void overview(void) {
    help_overview(stdout);
}

static void json_all(void) {
    for (const struct command *const *command = commands; *command; command++)
        json_command(*command);
    json_endpoint();
    json_statuses();
}

static const char *const format_names[] = {"text", "json", "scd", "bash", "zsh", "fish", NULL};

/* In the order of format_names: what is printed without a word, of a command, of the endpoints; NULL:
 * nothing. */
static const struct {
    void (*all)(void);
    void (*one)(const struct command *command);
    void (*endpoint)(void);
} formats[] = {
    {overview, help_print, help_endpoint_print},
    {json_all, json_command, json_endpoint},
    {manual_statuses, manual_options, manual_endpoint_options},
    {complete_bash, NULL, NULL},
    {complete_zsh, NULL, NULL},
    {complete_fish, NULL, NULL},
};
_Static_assert(sizeof formats / sizeof formats[0] + 1 == sizeof format_names / sizeof format_names[0],
               "a row for every format");

static int help_unknown(const char *word) {
    const char *near = command_meant(word);
    char hint[96];
    struct eye_err err;
    snprintf(hint, sizeof hint, "did you mean '%s'?", near ? near : "");
    usage_error(&err, near ? hint : NULL, "unknown command '%s'", word);
    return report(&err);
}

static int help_run(const void *options, struct arguments arguments) {
    const struct help_options *help = options;
    const char *word = arguments.count > 0 ? arguments.list[0] : NULL;
    const struct command *command = word ? command_find(word) : NULL;
    bool endpoint = word && strcmp(word, HELP_ENDPOINT) == 0;
    struct eye_err err;
    size_t i = 0;

    if (word && !command && !endpoint)
        return help_unknown(word);
    while (strcmp(format_names[i], help->format) != 0)
        i++;
    if (command && formats[i].one)
        formats[i].one(command);
    else if (endpoint && formats[i].endpoint)
        formats[i].endpoint();
    else if (!word)
        formats[i].all();
    else {
        usage_error(&err, NULL, "format %s is for all commands at once", help->format);
        return report(&err);
    }
    return STATUS_OK;
}

static const struct option_row option_format = {
    "format",
    0,
    OPTION_CHOICE,
    "text|json|scd|bash|zsh|fish",
    "for packagers and tests: the tables as JSON, a manual page's option section (scd), or completions",
    .offset = offsetof(struct help_options, format),
    .choices = format_names};

const struct command help_command = {
    .name = "help",
    .summary = "what a command does, and its options",
    .arguments = "[COMMAND]",
    .about = "Prints the table of commands; with COMMAND, its usage and options; with\n"
             "'endpoint', how endpoints are written and which options they take.",
    .see_also = "*sockeye*(1), *sockeye-endpoint*(7)",
    .options = (const struct option_row *const[]){&option_format, &option_help, NULL},
    .defaults = &(const struct help_options){.common = COMMON_DEFAULTS, .format = "text"},
    .options_size = sizeof(struct help_options),
    .arguments_max = 1,
    .completes = COMPLETE_COMMAND,
    .run = help_run,
};
