/* SPDX-License-Identifier: MIT */
/* main.c - quire(1): picks the subcommand */
#include <stdio.h>
#include <string.h>

#include <quire/quire.h>

#include "common/command.h"
#include "common/output.h"

#define COMMANDS_MAX 32

static void print_help(FILE *file)
{
	fprintf(file, "quire - memory allocators after Linux's: programs, recordings and checks\n\n"
		      "usage: quire COMMAND [OPTION...] [ARGUMENT...]\n"
		      "       quire --help | --version\n\n"
		      "commands:\n");
	for (const struct command *const *c = commands; *c != NULL; c++)
		fprintf(file, "  %-10s %s\n", (*c)->name, (*c)->summary);
	fprintf(file, "\n`quire COMMAND --help` says more about one.\n");
}

static enum exit_status refuse_command(const char *name)
{
	const char *names[COMMANDS_MAX + 1] = { NULL };

	for (unsigned i = 0; i < COMMANDS_MAX && commands[i] != NULL; i++)
		names[i] = commands[i]->name;
	fprintf(stderr, "quire: there is no command '%s'; the nearest is '%s'\n", name,
		command_nearest(name, names));
	return EXIT_USAGE;
}

int main(int argc, char **argv)
{
	output_init();
	if (argc < 2) {
		print_help(stderr);
		return EXIT_USAGE;
	}
	if (strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "-h") == 0) {
		print_help(stdout);
		return output_exit("quire", EXIT_OK);
	}
	if (strcmp(argv[1], "--version") == 0) {
		printf("quire %d.%d.%d\n", QUIRE_VERSION_MAJOR, QUIRE_VERSION_MINOR,
		       QUIRE_VERSION_PATCH);
		return output_exit("quire", EXIT_OK);
	}
	for (const struct command *const *c = commands; *c != NULL; c++)
		if (strcmp(argv[1], (*c)->name) == 0)
			return output_exit("quire", (int)(*c)->run(argc - 1, argv + 1));
	return (int)refuse_command(argv[1]);
}
