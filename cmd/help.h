/* help.h: `sockeye help`, and what packagers make of the same tables: the manual pages' option sections
 * and the completions. */
#ifndef CMD_HELP_H
#define CMD_HELP_H

#include <stdio.h>

#include "commands.h"

/* The table of commands, for `sockeye --help` and for a command line without any. */
void help_overview(FILE *file);

/* A command's usage, options and endpoints, for `sockeye COMMAND --help`. */
void help_print(const struct command *command);

/* A page of the manual that stands beside the commands' own: "endpoint", with the options that
 * endpoints take. */
#define HELP_ENDPOINT "endpoint"
void help_endpoint_print(void);

/* The schemes of an option's bits, "tcp, unix". Returns buf. */
const char *help_schemes(unsigned schemes, char *buf, size_t size);

/* The generated sections in scdoc(5): exit statuses, a command's options, the endpoints' options. */
void manual_statuses(void);
void manual_options(const struct command *command);
void manual_endpoint_options(void);

/* All commands' completions for a shell. */
void complete_bash(void);
void complete_zsh(void);
void complete_fish(void);

#endif
