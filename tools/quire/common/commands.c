/* SPDX-License-Identifier: MIT */
#include "common/command.h"

#include <errno.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#define COMMANDS_MAX 32

const struct command *const commands[] = {
	&command_run,
	&command_stats,
	&command_top,
	&command_conf,
	&command_doctor,
	&command_record,
	&command_replay,
	&command_report,
	&command_symbolize,
	&command_explore,
	&command_ktest,
	&command_help,
	NULL,
};

const struct command *command_find(const char *name)
{
	for (const struct command *const *command = commands; *command != NULL; command++)
		if (strcmp((*command)->name, name) == 0)
			return *command;
	return NULL;
}

enum exit_status command_refuse(const char *name)
{
	const char *names[COMMANDS_MAX + 1] = { NULL };

	for (unsigned i = 0; i < COMMANDS_MAX && commands[i] != NULL; i++)
		names[i] = commands[i]->name;
	fprintf(stderr, "quire: there is no command '%s'; the nearest is '%s'\n", name,
		command_nearest(name, names));
	return EXIT_USAGE;
}

enum exit_status command_no_memory(const char *name)
{
	fprintf(stderr, "quire %s: %s\n", name, strerror(ENOMEM));
	return EXIT_FOUND;
}

void commands_help(FILE *file)
{
	fprintf(file, "quire - memory allocators after Linux's: programs, recordings and checks\n\n"
		      "usage: quire COMMAND [OPTION...] [ARGUMENT...]\n"
		      "       quire --help | --version\n\n"
		      "commands:\n");
	for (const struct command *const *c = commands; *c != NULL; c++)
		fprintf(file, "  %-10s %s\n", (*c)->name, (*c)->summary);
	fprintf(file, "\n`quire COMMAND --help` says more about one, `quire help COMMAND` all.\n");
}
