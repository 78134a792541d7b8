/* SPDX-License-Identifier: MIT */
/*
 * quire-tables WHAT - what is made of the commands' tables while the project is built
 *
 *   bash, zsh          completions for a shell
 *
 * and, in the words of scdoc(5), of manual pages:
 *
 *   summary COMMAND    a command in a line
 *   synopsis COMMAND   its SYNOPSIS
 *   about COMMAND      what its --help says before the options
 *   options COMMAND    its OPTIONS
 *   statuses COMMAND   its EXIT STATUS
 *   commands           all commands
 *   keys               the options of an instance
 *   figures MODULE     the figures of page, vmap, percpu or slab
 */
#include <stdio.h>
#include <string.h>

#include "tables.h"

static const struct {
	const char *what;
	void (*print)(FILE *file);
} of_all[] = {
	{ "bash", print_bash },
	{ "zsh", print_zsh },
	{ "commands", print_commands },
	{ "keys", print_keys },
};

static const struct {
	const char *what;
	void (*print)(FILE *file, const struct command *command);
} of_one[] = {
	{ "summary", print_summary }, { "synopsis", print_synopsis }, { "about", print_about },
	{ "options", print_options }, { "statuses", print_statuses },
};

#define ROWS(table) (sizeof(table) / sizeof((table)[0]))

/* False: there is nothing that is called so. */
static bool print_of_all(const char *what)
{
	for (unsigned i = 0; i < ROWS(of_all); i++)
		if (strcmp(of_all[i].what, what) == 0)
			return of_all[i].print(stdout), true;
	return false;
}

/* False: there is nothing that is called so of a command or module of this name. */
static bool print_of_one(const char *what, const char *name)
{
	const struct command *command = command_find(name);

	if (strcmp(what, "figures") == 0)
		return print_figures(stdout, name);
	for (unsigned i = 0; command != NULL && i < ROWS(of_one); i++)
		if (strcmp(of_one[i].what, what) == 0)
			return of_one[i].print(stdout, command), true;
	return false;
}

int main(int argc, char **argv)
{
	bool is_known = argc == 2   ? print_of_all(argv[1])
			: argc == 3 ? print_of_one(argv[1], argv[2])
				    : false;

	if (!is_known) {
		fprintf(stderr,
			"quire-tables: bash, zsh, commands or keys; summary, synopsis, about, "
			"options or statuses and a command; figures and a module\n");
		return 2;
	}
	return fflush(stdout) == 0 && !ferror(stdout) ? 0 : 3;
}
