#include "commands.h"

#include <stdlib.h>
#include <string.h>

#include "help.h"
#include "output.h"

/* In the order of the overview: names, serving and joining, files, this host, help. */
const struct command *const commands[] = {
    &host_command,    &resolve_command,
    &convert_command, &echo_command,
    &connect_command, &listen_command,
    &relay_command,   &pair_command,
    &sniff_command,   &send_command,
    &recv_command,    &copy_command,
    &hash_command,    &cipher_command,
    &encrypt_command, &decrypt_command,
    &keygen_command,  &bench_command,
    &doctor_command,  &tour_command,
    &help_command,    NULL,
};

#define COMMAND_COUNT (sizeof commands / sizeof commands[0])

const struct command *command_find(const char *name) {
    for (const struct command *const *command = commands; *command; command++) {
        if (strcmp((*command)->name, name) == 0)
            return *command;
    }
    return NULL;
}

const char *command_meant(const char *word) {
    const char *names[COMMAND_COUNT] = {NULL};
    for (size_t i = 0; commands[i]; i++)
        names[i] = commands[i]->name;
    return meant(word, strlen(word), names);
}

static int run_with(const struct command *command, int argc, char **argv, void *options) {
    struct eye_err err;
    int count = options_parse(command->options, argc, argv, options, &err);
    size_t given;

    if (count < 0)
        return report(&err);
    if (((const struct common *)options)->help) {
        help_print(command);
        return STATUS_OK;
    }
    given = (size_t)count;
    if (given < command->arguments_min)
        usage_error(&err, NULL, "too few arguments: sockeye %s [OPTION...] %s", command->name,
                    command->arguments);
    else if (given > command->arguments_max)
        usage_error(&err, NULL, "too many arguments, from '%s' on", argv[command->arguments_max]);
    else
        return command->run(options, (struct arguments){argv, given});
    return report(&err);
}

int command_run(const struct command *command, int argc, char **argv) {
    void *options = malloc(command->options_size);
    int status;

    output_name(command->name);
    if (!options)
        return report_code(-ENOMEM, "options");
    memcpy(options, command->defaults, command->options_size);
    status = run_with(command, argc - 1, argv + 1, options);
    free(options);
    return status;
}
