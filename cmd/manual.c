/* manual.c: the option sections of the manual pages, in scdoc(5), from the tables that the parser reads
 * by, and the table of exit statuses. docs/man/page.sh puts them in the place of a line @TABLE@. */
#include <stdio.h>
#include <string.h>

#include "help.h"
#include "output.h"

/* Text with nothing in it that scdoc would take for a mark. */
static void plain(const char *text) {
    for (; *text; text++) {
        if (strchr("*_\\#`|", *text))
            putchar('\\');
        putchar(*text);
    }
}

static void term(const char *dashes, const char *name, const char *value, bool optional) {
    printf("*%s", dashes);
    plain(name);
    putchar('*');
    if (value) {
        printf("%s=_", optional ? "[" : "");
        plain(value);
        printf("_%s", optional ? "]" : "");
    }
}

/* A phrase becomes a sentence. */
static void sentence(const char *text) {
    char first = text[0];
    if (first >= 'a' && first <= 'z')
        first = (char)(first - 'a' + 'A');
    printf("\t%c", first);
    plain(text + 1);
}

static void status(const char *number, const char *meaning) {
    printf("*%s*\n", number);
    sentence(meaning);
    fputs(".\n\n", stdout);
}

void manual_statuses(void) {
    char number[8];
    status("0", "done, whole");
    for (enum eye_fail fail = 0; fail < EYE_FAIL_MAX; fail++) {
        snprintf(number, sizeof number, "%d", status_of(fail)->status);
        status(number, status_of(fail)->meaning);
    }
    status("128+N", "ended by signal N, after an orderly end");
}

void manual_options(const struct command *command) {
    for (const struct option_row *const *row = command->options; *row; row++) {
        if ((*row)->letter)
            printf("*-%c*, ", (*row)->letter);
        term("--", (*row)->name, (*row)->value, (*row)->kind == OPTION_OPTIONAL);
        putchar('\n');
        sentence((*row)->help);
        fputs(".\n\n", stdout);
    }
}

void manual_endpoint_options(void) {
    struct eye_option_row row;
    char schemes[64];
    for (size_t i = 0; eye_endpoint_option(i, &row); i++) {
        term("", row.name, row.value, false);
        printf(" (%s)\n", help_schemes(row.schemes, schemes, sizeof schemes));
        sentence(row.help);
        fputs(".\n\n", stdout);
    }
}
