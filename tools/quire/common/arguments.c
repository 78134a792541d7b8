/* SPDX-License-Identifier: MIT */
#include "common/arguments.h"

#include <getopt.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#define OPTIONS_MAX 40

/* Below getopt_long()'s values of options that are one letter. */
#define OPTION_HELP  256
#define OPTION_FIRST 257

/* A command's table as getopt_long() has it. */
struct scan {
	struct option known[OPTIONS_MAX + 2]; /* --help and the end */
	char letters[2 * OPTIONS_MAX + 3];
};

const char *option_dashes(const struct option_row *row)
{
	return row->name[1] == '\0' ? "-" : "--";
}

static void scan_make(struct scan *scan, const struct command *command)
{
	char *letter = scan->letters;
	unsigned known = 0;

	/* "+": the first word that is no option is the program, also without "--"; ":": nothing is printed. */
	if (command->runs_program)
		*letter++ = '+';
	*letter++ = ':';
	for (int i = 0; i < OPTIONS_MAX && command->options[i].name != NULL; i++) {
		const struct option_row *row = &command->options[i];

		if (row->name[1] == '\0') {
			*letter++ = row->name[0];
			if (row->value != NULL)
				*letter++ = ':';
		}
		/* "--a" is taken for "-a". */
		scan->known[known++] = (struct option){
			.name = row->name,
			.has_arg = row->value != NULL ? required_argument : no_argument,
			.val = OPTION_FIRST + i,
		};
	}
	*letter = '\0';
	scan->known[known++] =
		(struct option){ .name = "help", .has_arg = no_argument, .val = OPTION_HELP };
	scan->known[known] = (struct option){ .name = NULL };
}

/* The index of an option that is @letter. */
static unsigned letter_index(const struct command *command, int letter)
{
	unsigned i = 0;

	while (command->options[i].name[1] != '\0' || command->options[i].name[0] != letter)
		i++;
	return i;
}

/* Says that @argument is wrong, and which option is nearest. */
static void refuse(const struct command *command, const char *argument)
{
	const char *names[OPTIONS_MAX + 2] = { NULL };
	char dashed[OPTIONS_MAX][32], name[32];
	unsigned nr = 0;

	for (; nr < OPTIONS_MAX && command->options[nr].name != NULL; nr++) {
		snprintf(dashed[nr], sizeof(dashed[nr]), "%s%s",
			 option_dashes(&command->options[nr]), command->options[nr].name);
		names[nr] = dashed[nr];
	}
	names[nr] = "--help";
	snprintf(name, sizeof(name), "%.*s", (int)strcspn(argument, "="), argument);
	fprintf(stderr, "quire %s: wrong use of '%s'; the nearest option is '%s'\n", command->name,
		argument, command_nearest(name, names));
}

/*
 * Whether an option is known and has its value; said if not.  @next is behind the last word that getopt_long() took.  "--" is no
 * value, since a program begins there: `--json -- ls` would write a file of that name.
 */
static bool is_right(const struct command *command, int option, char *const *next)
{
	bool lacks_value = option == ':';
	char letter[] = "-?";

	if (option == '?') {
		/* Of several letters in one word, the word is not taken yet. */
		letter[1] = optopt > 0 && optopt < OPTION_HELP ? (char)optopt : '\0';
		refuse(command, letter[1] != '\0' ? letter : next[-1]);
		return false;
	}
	if (!lacks_value && optarg == next[-1] && strcmp(optarg, "--") == 0) {
		lacks_value = true;
		next--;
	}
	if (lacks_value)
		fprintf(stderr, "quire %s: '%s' needs a value\n", command->name, next[-1]);
	return !lacks_value;
}

bool arguments_take(const struct command *command, int argc, char **argv, take_option_fn take,
		    void *context, enum exit_status *status)
{
	struct scan scan;
	int option;

	scan_make(&scan, command);
	*status = EXIT_USAGE;
	optind = 0; /* forget an earlier scan: glibc's word for it */
	opterr = 0;
	while ((option = getopt_long(argc, argv, scan.letters, scan.known, NULL)) != -1) {
		if (option == OPTION_HELP) {
			arguments_help(stdout, command);
			*status = EXIT_OK;
			return false;
		}
		if (!is_right(command, option, argv + optind) ||
		    !take(context,
			  option >= OPTION_FIRST ? (unsigned)(option - OPTION_FIRST)
						 : letter_index(command, option),
			  optarg))
			return false;
	}
	return true;
}

/* ---- what --help prints ---- */

static int row_bytes(const struct option_row *row)
{
	return (int)(strlen(option_dashes(row)) + strlen(row->name) +
		     (row->value != NULL ? 1 + strlen(row->value) : 0));
}

/* @text's lines, each but the first behind @indent blanks. */
static void print_lines(FILE *file, const char *text, int indent)
{
	for (const char *end; (end = strchr(text, '\n')) != NULL; text = end + 1)
		fprintf(file, "%.*s\n%*s", (int)(end - text), text, indent, "");
	fprintf(file, "%s\n", text);
}

void arguments_help(FILE *file, const struct command *command)
{
	int widest = 0;

	for (const struct option_row *row = command->options; row->name != NULL; row++)
		if (row_bytes(row) > widest)
			widest = row_bytes(row);
	fprintf(file, "usage: ");
	print_lines(file, command->synopsis, (int)strlen("usage: "));
	if (command->about != NULL)
		fprintf(file, "\n%s\n", command->about);
	fprintf(file, "\n");
	for (const struct option_row *row = command->options; row->name != NULL; row++) {
		fprintf(file, "  %s%s%s%s%*s", option_dashes(row), row->name,
			row->value != NULL ? " " : "", row->value != NULL ? row->value : "",
			widest + 2 - row_bytes(row), "");
		print_lines(file, row->help, widest + 4);
	}
	fprintf(file, "\n%s\n", command->exit_statuses);
}

/* ---- what commands share beside options ---- */

uint32_t argument_number(const char *text)
{
	char *end;
	unsigned long value = strtoul(text, &end, 10);

	return text[0] >= '0' && text[0] <= '9' && *end == '\0' && value <= INT32_MAX
		       ? (uint32_t)value
		       : 0;
}

bool argument_pid(const char *command, char *const *words, uint32_t *pid)
{
	if (words[0] == NULL)
		return true;
	*pid = argument_number(words[0]);
	if (*pid == 0)
		fprintf(stderr, "quire %s: '%s' is no process number\n", command, words[0]);
	else if (words[1] != NULL)
		fprintf(stderr, "quire %s: one process at a time, so not '%s'\n", command,
			words[1]);
	return *pid != 0 && words[1] == NULL;
}
