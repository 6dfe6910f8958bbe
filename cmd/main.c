/* main.c: `sockeye COMMAND ...`, and what stands in a command's place. */
#include <locale.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>

#include "commands.h"
#include "help.h"
#include "output.h"

static int run(int argc, char **argv) {
    const struct command *command;
    const char *near;
    char hint[96];
    struct eye_err err;

    if (argc < 2) {
        help_overview(stderr);
        return STATUS_USAGE;
    }
    if (strcmp(argv[1], "--version") == 0) {
        printf("sockeye %s\n", SOCKEYE_VERSION);
        return STATUS_OK;
    }
    if (strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "-h") == 0) {
        help_overview(stdout);
        return STATUS_OK;
    }
    command = command_find(argv[1]);
    if (command)
        return command_run(command, argc - 1, argv + 1);
    near = command_meant(argv[1]);
    snprintf(hint, sizeof hint, "did you mean '%s'?", near ? near : "");
    usage_error(&err, near ? hint : "see 'sockeye help'", "unknown command '%s'", argv[1]);
    return report(&err);
}

int main(int argc, char **argv) {
    /* What is written is UTF-8 whatever the locale says; the caret's column needs its widths. */
    setlocale(LC_CTYPE, "C.UTF-8");
    /* A reader that left is an error of the write that meets it, with a line and a status. */
    signal(SIGPIPE, SIG_IGN);
    /* And so is a file's greatest size (setrlimit(2)). */
    signal(SIGXFSZ, SIG_IGN);
    /* Where whoever started us ignores SIGCHLD, so would we, and no command's status could be had (wait(2)).
     */
    signal(SIGCHLD, SIG_DFL);
    output_begin();
    return output_end(run(argc, argv));
}
