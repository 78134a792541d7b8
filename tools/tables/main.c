/* SPDX-License-Identifier: MIT */
/*
 * quire-tables WHAT - what is made of the commands' tables while the project is built
 *
 *   bash, zsh          completions for a shell
 *   synopsis COMMAND   the SYNOPSIS of a command's manual page, for scdoc
 *   options COMMAND    its OPTIONS
 *   statuses COMMAND   its EXIT STATUS
 */
#include <stdio.h>
#include <string.h>

#include "tables.h"

static const struct command *find(const char *name)
{
	for (const struct command *const *command = commands; *command != NULL; command++)
		if (strcmp((*command)->name, name) == 0)
			return *command;
	return NULL;
}

int main(int argc, char **argv)
{
	const struct command *command = argc == 3 ? find(argv[2]) : NULL;
	const char *what = argc > 1 ? argv[1] : "";

	if (argc == 2 && strcmp(what, "bash") == 0)
		print_bash(stdout);
	else if (argc == 2 && strcmp(what, "zsh") == 0)
		print_zsh(stdout);
	else if (command != NULL && strcmp(what, "synopsis") == 0)
		print_synopsis(stdout, command);
	else if (command != NULL && strcmp(what, "options") == 0)
		print_options(stdout, command);
	else if (command != NULL && strcmp(what, "statuses") == 0)
		print_statuses(stdout, command);
	else
		return fprintf(stderr, "quire-tables: bash, zsh, or synopsis, options or statuses "
				       "and a command\n"),
		       2;
	return fflush(stdout) == 0 && !ferror(stdout) ? 0 : 3;
}
