/* SPDX-License-Identifier: MIT */
/* arguments.h - command lines: a table of options, from which --help, manual pages and completions are made, too */
#ifndef QUIRE_TOOL_ARGUMENTS_H
#define QUIRE_TOOL_ARGUMENTS_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#include "common/command.h"

/* The option of this index in the command's table; @value is NULL if it takes none.  False, said: it is wrong. */
typedef bool (*take_option_fn)(void *context, unsigned option, const char *value);

/*
 * Takes @argv's options one by one.  False: the command ends with *@status, because of --help or because an option is wrong,
 * which was said.  Otherwise the first word that is no option is argv[optind].
 */
bool arguments_take(const struct command *command, int argc, char **argv, take_option_fn take,
		    void *context, enum exit_status *status);

/* What --help prints. */
void arguments_help(FILE *file, const struct command *command);
/* "json" as it is typed: "--json"; "n": "-n". */
const char *option_dashes(const struct option_row *row);

/*
 * Options of an instance, as in QUIRE_CONF: into @options.  A wrong one is wrong use: false, said of @command's @option, so
 * that it is refused before anything is read.
 */
struct quire_options;
bool argument_conf(const char *command, const char *option, const char *text,
		   struct quire_options *options);

/* A whole number from 1 to INT32_MAX, without sign; 0: it is none. */
uint32_t argument_number(const char *text);
/* What is left of a command line: no word, or a process's number, into @pid.  False, said, if it is anything else. */
bool argument_pid(const char *command, char *const *words, uint32_t *pid);

#endif
