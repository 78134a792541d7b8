/* SPDX-License-Identifier: MIT */
/* manual.c - parts of manual pages, as scdoc(5) wants them */
#include "tables.h"

#include <string.h>

/* scdoc takes these for marks, and a dot that begins a line for a list's. */
static void print_text(FILE *file, const char *text, const char *line_end)
{
	for (; *text != '\0'; text++) {
		if (*text == '\n') {
			fputs(line_end, file);
			continue;
		}
		if (strchr("\\*_#~`|[]<>", *text) != NULL)
			fputc('\\', file);
		fputc(*text, file);
	}
	fputc('\n', file);
}

void print_synopsis(FILE *file, const struct command *command)
{
	print_text(file, command->synopsis, "++\n");
}

void print_options(FILE *file, const struct command *command)
{
	for (const struct option_row *row = command->options; row->name != NULL; row++) {
		fprintf(file, "*%s%s*", option_dashes(row), row->name);
		if (row->value != NULL) {
			fprintf(file, " ");
			print_text(file, row->value, " ");
		} else {
			fputc('\n', file);
		}
		fputc('\t', file);
		print_text(file, row->help, "\n\t");
		fputc('\n', file);
	}
	fprintf(file, "*--help*\n\tPrints what this page says of options.\n");
}

void print_statuses(FILE *file, const struct command *command)
{
	print_text(file, command->exit_statuses, "\n");
}
