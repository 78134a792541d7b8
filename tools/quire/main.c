/* SPDX-License-Identifier: MIT */
/* main.c - quire(1): picks the subcommand */
#include <stdio.h>
#include <string.h>

#include <quire/quire.h>

#include "common/command.h"
#include "common/output.h"

int main(int argc, char **argv)
{
	const struct command *command;

	output_init();
	if (argc < 2) {
		commands_help(stderr);
		return EXIT_USAGE;
	}
	if (strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "-h") == 0) {
		commands_help(stdout);
		return output_exit("quire", EXIT_OK);
	}
	if (strcmp(argv[1], "--version") == 0) {
		printf("quire %d.%d.%d\n", QUIRE_VERSION_MAJOR, QUIRE_VERSION_MINOR,
		       QUIRE_VERSION_PATCH);
		return output_exit("quire", EXIT_OK);
	}
	command = command_find(argv[1]);
	if (command == NULL)
		return (int)command_refuse(argv[1]);
	return output_exit("quire", (int)command->run(argc - 1, argv + 1));
}
