/* SPDX-License-Identifier: MIT */
/* help.c - quire help: a command's manual page, or what its --help prints where there is no page or no man(1) */
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "common/arguments.h"
#include "common/command.h"
#include "common/output.h"

#define PAGE_BYTES 64

/* True if man(1) would show a page of this name.  Some systems have a man(1) that only says that it is missing. */
static bool has_page(const char *page)
{
	char find[PAGE_BYTES + 32];
	FILE *place;
	int first;

	snprintf(find, sizeof(find), "man -w %s 2>/dev/null", page);
	place = popen(find, "r");
	if (place == NULL)
		return false;
	first = getc(place);
	pclose(place);
	return first == '/';
}

/* Returns if there is no such page. */
static void become_man(const char *page)
{
	if (!has_page(page))
		return;
	output_before_exec();
	execlp("man", "man", page, (char *)NULL);
	output_init();
}

static bool take(void *context, unsigned option, const char *value)
{
	(void)context, (void)option, (void)value; /* it has none */
	return false;
}

static enum exit_status help_run(int argc, char **argv)
{
	const struct command *command;
	char page[PAGE_BYTES], help[] = "--help";
	enum exit_status status;

	if (!arguments_take(&command_help, argc, argv, take, NULL, &status))
		return status;
	if (argv[optind] == NULL) {
		become_man("quire");
		commands_help(stdout);
		return EXIT_OK;
	}
	if (argv[optind + 1] != NULL) {
		fprintf(stderr, "quire help: one command at a time, so not '%s'\n",
			argv[optind + 1]);
		return EXIT_USAGE;
	}
	command = command_find(argv[optind]);
	if (command == NULL)
		return command_refuse(argv[optind]);
	snprintf(page, sizeof(page), "quire-%s", command->name);
	become_man(page);
	return command->run(2, (char *[]){ argv[optind], help, NULL });
}

static const struct option_row rows[] = {
	{ .name = NULL },
};

const struct command command_help = {
	.name = "help",
	.summary = "the manual page of a command",
	.synopsis = "quire help [COMMAND]",
	.about = "Shows the manual page of a command, by man; where there is no page or no man,\n"
		 "what its --help prints.  Without COMMAND: quire's own page.",
	.options = rows,
	.exit_statuses = "Exit status: 0, or man's; 2 wrong arguments, or no such command; 3 some\n"
			 "output could not be written.",
	.takes_command = true,
	.run = help_run,
};
