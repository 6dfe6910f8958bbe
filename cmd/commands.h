/* commands.h: the table of commands. A command is one file that defines one of these rows, and the
 * row's place in the table of commands.c. */
#ifndef CMD_COMMANDS_H
#define CMD_COMMANDS_H

#include "options.h"

struct arguments {
    char **list;
    size_t count;
};

struct command {
    const char *name;
    const char *summary;   /* one phrase */
    const char *arguments; /* as the usage line gives them: "ENDPOINT..." */
    const char *about;     /* a paragraph or two, lines of at most 78 characters */
    const char *see_also;  /* "sockeye-echo(1), nc(1)" */

    const struct option_row *const *options; /* ended by NULL */
    const void *defaults;                    /* the struct of options before any was read */
    size_t options_size;                     /* the size of that struct; it begins with struct common */

    size_t arguments_min, arguments_max;
    enum complete completes; /* what the arguments are */

    int (*run)(const void *options, struct arguments arguments); /* returns the exit status */
};

/* Ended by NULL. */
extern const struct command *const commands[];

const struct command *command_find(const char *name);

/* What a word that names no command might have meant, or NULL. */
const char *command_meant(const char *word);

/* Reads argv, which begins with the command's name, and runs it. Returns the exit status. */
int command_run(const struct command *command, int argc, char **argv);

extern const struct command host_command, resolve_command, convert_command, echo_command, connect_command,
    listen_command, relay_command, pair_command, sniff_command, copy_command, send_command, recv_command,
    bench_command, doctor_command, tour_command, help_command, hash_command, cipher_command, encrypt_command,
    decrypt_command, keygen_command;

#endif
