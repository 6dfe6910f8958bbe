/* complete.c: completions for bash, zsh and fish, from the tables that the parser reads by. They offer
 * commands, options, the words that an option takes, and the schemes of endpoints. */
#include <stdio.h>
#include <string.h>

#include "help.h"

/* Prints text with each of `marks` behind its own escape. */
static void quoted(const char *text, const char *marks, const char *escape) {
    for (; *text; text++) {
        if (strchr(marks, *text))
            fputs(escape, stdout);
        putchar(*text);
    }
}

static void schemes(const char *separator) {
    const char *name;
    for (size_t i = 0; (name = eye_scheme_name(i)); i++)
        printf("%s%s%s", i ? separator : "", name, strcmp(name, "stdio") == 0 ? "" : ":");
}

static void words(const char *const *list) {
    for (const char *const *word = list; *word; word++)
        printf("%s%s", word == list ? "" : " ", *word);
}

static void command_names(void) {
    for (const struct command *const *command = commands; *command; command++)
        printf("%s%s", command == commands ? "" : " ", (*command)->name);
}

/* ---- bash ---- */

static void bash_values(const struct command *command) {
    for (const struct option_row *const *row = command->options; *row; row++) {
        if (!(*row)->value)
            continue;
        if ((*row)->kind == OPTION_OPTIONAL)
            printf("    '%s --%s=') ", command->name, (*row)->name);
        else
            printf("    '%s --%s' | '%s --%s=') ", command->name, (*row)->name, command->name, (*row)->name);
        if ((*row)->choices) {
            fputs("words='", stdout);
            words((*row)->choices);
            fputs("' ;;\n", stdout);
        } else {
            printf("words= files=%d ;;\n", (*row)->completes == COMPLETE_FILE);
        }
    }
}

static void bash_options(const struct command *command) {
    printf("    '%s') words='", command->name);
    for (const struct option_row *const *row = command->options; *row; row++) {
        if ((*row)->letter)
            printf("-%c ", (*row)->letter);
        printf("--%s ", (*row)->name);
    }
    fputs("' ;;\n", stdout);
}

static void bash_arguments(const struct command *command) {
    if (command->completes == COMPLETE_NOTHING)
        return;
    printf("    '%s') ", command->name);
    if (command->completes == COMPLETE_COMMAND) {
        fputs("words='", stdout);
        command_names();
        puts(" " HELP_ENDPOINT "' ;;");
    } else {
        fputs("words='", stdout);
        schemes(" ");
        puts("' files=1; compopt -o nospace ;;");
    }
}

void complete_bash(void) {
    fputs(
        "# Completions of sockeye for bash. Made by 'sockeye help --format=bash'.\n"
        "_sockeye() {\n"
        "    local cur=${COMP_WORDS[COMP_CWORD]} prev=${COMP_WORDS[COMP_CWORD - 1]} words= files=0 value=1\n"
        "    # bash splits words at = and :\n"
        "    if [[ $cur == = ]]; then cur= prev+==\n"
        "    elif [[ $prev == = ]]; then prev=${COMP_WORDS[COMP_CWORD - 2]}=; fi\n"
        "    if ((COMP_CWORD == 1)); then\n"
        "        COMPREPLY=($(compgen -W '",
        stdout);
    command_names();
    fputs(" --help --version' -- \"$cur\"))\n"
          "        return\n"
          "    fi\n"
          "    case \"${COMP_WORDS[1]} $prev\" in\n",
          stdout);
    for (const struct command *const *command = commands; *command; command++)
        bash_values(*command);
    fputs("    *) value=0 ;;\n"
          "    esac\n"
          "    if ((value)); then :\n"
          "    elif [[ $cur == -* ]]; then\n"
          "    case ${COMP_WORDS[1]} in\n",
          stdout);
    for (const struct command *const *command = commands; *command; command++)
        bash_options(*command);
    fputs("    esac\n"
          "    else\n"
          "    case ${COMP_WORDS[1]} in\n",
          stdout);
    for (const struct command *const *command = commands; *command; command++)
        bash_arguments(*command);
    fputs("    esac\n"
          "    fi\n"
          "    COMPREPLY=($(compgen -W \"$words\" -- \"$cur\"))\n"
          "    if ((files)); then COMPREPLY+=($(compgen -f -- \"$cur\")); fi\n"
          "}\n"
          "complete -F _sockeye sockeye\n",
          stdout);
}

/* ---- zsh ---- */

static void zsh_option(const struct option_row *row) {
    fputs("        ", stdout);
    if (row->letter)
        printf("'(-%c --%s)'{-%c,--%s}", row->letter, row->name, row->letter, row->name);
    else
        printf("'--%s%s'", row->name, row->kind == OPTION_OPTIONAL ? "=-" : row->value ? "=" : "");
    fputs("'[", stdout);
    quoted(row->help, "'", "'\\'");
    fputs("]", stdout);
    if (row->choices) {
        printf(":%s:(", row->name);
        words(row->choices);
        putchar(')');
    } else if (row->value) {
        printf("%s:%s:%s", row->kind == OPTION_OPTIONAL ? ":" : "", row->name,
               row->completes == COMPLETE_FILE ? "_files" : " ");
    }
    fputs("' \\\n", stdout);
}

static void zsh_command(const struct command *command) {
    printf("    %s)\n        _arguments -s : \\\n", command->name);
    for (const struct option_row *const *row = command->options; *row; row++)
        zsh_option(*row);
    if (command->completes == COMPLETE_ENDPOINT)
        puts("        '*:endpoint:_sockeye_endpoints' ;;");
    else if (command->completes == COMPLETE_COMMAND)
        puts("        '1:command:{ _sockeye_commands; compadd " HELP_ENDPOINT " }' ;;");
    else
        puts("        '*: : ' ;;");
}

void complete_zsh(void) {
    fputs("#compdef sockeye\n"
          "# Completions of sockeye for zsh. Made by 'sockeye help --format=zsh'.\n"
          "_sockeye_commands() {\n"
          "    local -a names=(\n",
          stdout);
    for (const struct command *const *command = commands; *command; command++) {
        printf("        '%s:", (*command)->name);
        quoted((*command)->summary, "'", "'\\'");
        fputs("'\n", stdout);
    }
    fputs("    )\n"
          "    _describe command names\n"
          "}\n"
          "_sockeye_endpoints() {\n"
          "    compadd -S '' -- ",
          stdout);
    schemes(" ");
    fputs("\n"
          "    _files\n"
          "}\n"
          "_sockeye() {\n"
          "    if ((CURRENT == 2)); then\n"
          "        _sockeye_commands\n"
          "        return\n"
          "    fi\n"
          "    shift words\n"
          "    ((CURRENT--))\n"
          "    case $words[1] in\n",
          stdout);
    for (const struct command *const *command = commands; *command; command++)
        zsh_command(*command);
    fputs("    esac\n"
          "}\n"
          "_sockeye \"$@\"\n",
          stdout);
}

/* ---- fish ---- */

static void fish_option(const struct command *command, const struct option_row *row) {
    printf("complete -c sockeye -n '__fish_seen_subcommand_from %s' -l %s", command->name, row->name);
    if (row->letter)
        printf(" -s %c", row->letter);
    if (row->choices) {
        fputs(" -x -a '", stdout);
        words(row->choices);
        putchar('\'');
    } else if (row->value) {
        fputs(row->kind == OPTION_OPTIONAL ? "" : row->completes == COMPLETE_FILE ? " -r -F" : " -x", stdout);
    }
    fputs(" -d '", stdout);
    quoted(row->help, "'\\", "\\");
    fputs("'\n", stdout);
}

void complete_fish(void) {
    fputs("# Completions of sockeye for fish. Made by 'sockeye help --format=fish'.\n"
          "complete -c sockeye -f\n",
          stdout);
    for (const struct command *const *command = commands; *command; command++) {
        printf("complete -c sockeye -n __fish_use_subcommand -a %s -d '", (*command)->name);
        quoted((*command)->summary, "'\\", "\\");
        fputs("'\n", stdout);
    }
    for (const struct command *const *command = commands; *command; command++) {
        for (const struct option_row *const *row = (*command)->options; *row; row++)
            fish_option(*command, *row);
        if ((*command)->completes == COMPLETE_ENDPOINT) {
            printf("complete -c sockeye -n '__fish_seen_subcommand_from %s' -F -a '", (*command)->name);
            schemes(" ");
            puts("'");
        } else if ((*command)->completes == COMPLETE_COMMAND) {
            printf("complete -c sockeye -n '__fish_seen_subcommand_from %s' -a '", (*command)->name);
            command_names();
            puts(" " HELP_ENDPOINT "'");
        }
    }
}
