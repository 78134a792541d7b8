/* SPDX-License-Identifier: MIT */
/* manual.c - parts of manual pages, as scdoc(5) wants them */
#include "tables.h"

#include <string.h>

#include "instance/options.h"
#include "stat/figures.h"

/* scdoc takes these for marks. */
static void print_span(FILE *file, const char *text, const char *end)
{
	for (; text < end; text++) {
		if (strchr("\\*_#~`|[]<>+", *text) != NULL)
			fputc('\\', file);
		fputc(*text, file);
	}
}

static void print_words(FILE *file, const char *text, const char *line_end)
{
	for (const char *end; (end = strchr(text, '\n')) != NULL; text = end + 1) {
		print_span(file, text, end);
		fputs(line_end, file);
	}
	print_span(file, text, text + strlen(text));
}

/* The same as whole lines. */
static void print_text(FILE *file, const char *text, const char *line_end)
{
	print_words(file, text, line_end);
	fputc('\n', file);
}

void print_summary(FILE *file, const struct command *command)
{
	print_text(file, command->summary, " ");
}

void print_synopsis(FILE *file, const struct command *command)
{
	for (const char *line = command->synopsis, *end; *line != '\0'; line = end) {
		/* What goes on in the next line begins with blanks there. */
		line += strspn(line, " ");
		end = line + strcspn(line, "\n");
		print_span(file, line, end);
		end += *end == '\n';
		if (*end != '\0')
			fputs(*end == ' ' ? " " : "++\n", file);
	}
	fputc('\n', file);
}

void print_about(FILE *file, const struct command *command)
{
	print_text(file, command->about != NULL ? command->about : command->summary, "\n");
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

void print_commands(FILE *file)
{
	for (const struct command *const *command = commands; *command != NULL; command++) {
		fprintf(file, "*quire %s*\n\t", (*command)->name);
		print_text(file, (*command)->summary, " ");
		fprintf(file, "\n");
	}
}

void print_keys(FILE *file)
{
	const struct option_key *key;

	for (unsigned i = 0; (key = option_key_at(i)) != NULL; i++) {
		fputc('*', file);
		print_words(file, key->name, " ");
		fputs("*: ", file);
		print_text(file, key->takes, " ");
		fputc('\t', file);
		print_words(file, key->does, " ");
		fputs(". Default: ", file);
		print_text(file, key->by_default, " ");
		fputc('\n', file);
	}
}

bool print_figures(FILE *file, const char *module)
{
	bool found = false;

	for (const struct figure *figure = figures; figure < figures + figures_nr; figure++) {
		if (strcmp(figure_module(figure), module) != 0)
			continue;
		found = true;
		fputc('*', file);
		print_words(file, figure->name, " ");
		print_words(file, figure_suffix(figure), " ");
		fprintf(file, "* (%s)\n\t", figure_kind(figure));
		print_words(file, figure->meaning, " ");
		if (strcmp(figure->advice, "-") != 0) {
			fputs(". Where it is large: ", file);
			print_words(file, figure->advice, " ");
		}
		fputs("\n\n", file);
	}
	return found;
}
