/* SPDX-License-Identifier: MIT */
/* shells.c - completions for bash and zsh */
#include "tables.h"

#include <stddef.h>
#include <string.h>

/* What stands behind an option whose value is called so: a file's name, or something that only the user knows. */
static bool is_file(const struct option_row *row)
{
	static const char *const files[] = { "FILE", "FILE.c", "OUT", "SPOOL", "DIR" };

	for (size_t i = 0; row->value != NULL && i < sizeof(files) / sizeof(files[0]); i++)
		if (strcmp(row->value, files[i]) == 0)
			return true;
	return false;
}

static void print_names(FILE *file, const struct command *command)
{
	for (const struct option_row *row = command->options; row->name != NULL; row++)
		fprintf(file, "%s%s ", option_dashes(row), row->name);
	fprintf(file, "--help");
}

/* What bash offers behind an option with a value: files, or nothing if it is another value than a file's. */
static void print_bash_values(FILE *file, const struct command *command, bool files)
{
	unsigned nr = 0;

	for (const struct option_row *row = command->options; row->name != NULL; row++)
		if (row->value != NULL && is_file(row) == files)
			fprintf(file, "%s%s%s", nr++ > 0 ? "|" : "\t\t[[ $before == @(",
				option_dashes(row), row->name);
	if (nr > 0)
		fprintf(file, ") ]] && %s\n", files ? "_quire_files && return" : "return");
}

static void print_bash_command(FILE *file, const struct command *command)
{
	fprintf(file, "\t%s)\n", command->name);
	print_bash_values(file, command, false);
	print_bash_values(file, command, true);
	if (command->runs_program)
		fprintf(file, "\t\t_quire_program && return\n");
	if (command->takes_command)
		fprintf(file, "\t\t[[ $word != -* ]] && _quire_commands && return\n");
	fprintf(file, "\t\toptions='");
	print_names(file, command);
	fprintf(file, "'\n\t\t;;\n");
}

void print_bash(FILE *file)
{
	fprintf(file, "# quire's completion for bash, made of its tables of options\n"
		      "_quire_files() {\n"
		      "\tcompopt -o filenames\n"
		      "\tCOMPREPLY=($(compgen -f -- \"$word\"))\n"
		      "}\n"
		      "\n"
		      "# Behind the first word that is no option: the program's name, then files.\n"
		      "_quire_program() {\n"
		      "\tlocal i\n"
		      "\tfor ((i = 2; i < COMP_CWORD; i++)); do\n"
		      "\t\tif [[ ${COMP_WORDS[i]} == -- ]]; then\n"
		      "\t\t\tif ((i + 1 == COMP_CWORD)); then\n"
		      "\t\t\t\tCOMPREPLY=($(compgen -c -- \"$word\"))\n"
		      "\t\t\telse\n"
		      "\t\t\t\t_quire_files\n"
		      "\t\t\tfi\n"
		      "\t\t\treturn 0\n"
		      "\t\tfi\n"
		      "\tdone\n"
		      "\treturn 1\n"
		      "}\n"
		      "\n"
		      "_quire_commands() {\n"
		      "\tCOMPREPLY=($(compgen -W '");
	for (const struct command *const *command = commands; *command != NULL; command++)
		fprintf(file, "%s ", (*command)->name);
	fprintf(file, "' -- \"$word\"))\n"
		      "}\n"
		      "\n"
		      "_quire() {\n"
		      "\tlocal word=${COMP_WORDS[COMP_CWORD]} before=${COMP_WORDS[COMP_CWORD - 1]} "
		      "options=\n"
		      "\tCOMPREPLY=()\n"
		      "\tif ((COMP_CWORD == 1)); then\n"
		      "\t\t_quire_commands\n"
		      "\t\t[[ $word == -* ]] && "
		      "COMPREPLY=($(compgen -W '--help --version' -- \"$word\"))\n"
		      "\t\treturn\n"
		      "\tfi\n"
		      "\tcase ${COMP_WORDS[1]} in\n");
	for (const struct command *const *command = commands; *command != NULL; command++)
		print_bash_command(file, *command);
	fprintf(file, "\tesac\n"
		      "\tif [[ $word == -* ]]; then\n"
		      "\t\tCOMPREPLY=($(compgen -W \"$options\" -- \"$word\"))\n"
		      "\telse\n"
		      "\t\t_quire_files\n"
		      "\tfi\n"
		      "}\n"
		      "\n"
		      "shopt -q extglob || shopt -s extglob\n"
		      "complete -F _quire quire\n");
}

/* @text in single quotes of a shell, within brackets or after a colon of zsh's _arguments: one line. */
static void print_zsh_text(FILE *file, const char *text)
{
	for (; *text != '\0'; text++) {
		if (*text == '\n')
			fputc(' ', file);
		else if (*text == '\'')
			fputs("'\\''", file);
		else if (strchr("[]:\\", *text) != NULL)
			fprintf(file, "\\%c", *text);
		else
			fputc(*text, file);
	}
}

static void print_zsh_command(FILE *file, const struct command *command)
{
	fprintf(file, "\t%s)\n\t\t_arguments \\\n", command->name);
	for (const struct option_row *row = command->options; row->name != NULL; row++) {
		fprintf(file, "\t\t\t'%s%s[", option_dashes(row), row->name);
		print_zsh_text(file, row->help);
		fputc(']', file);
		if (row->value != NULL) {
			fputc(':', file);
			print_zsh_text(file, row->value);
			fprintf(file, ":%s", is_file(row) ? "_files" : "");
		}
		fprintf(file, "' \\\n");
	}
	fprintf(file, "\t\t\t'--help[what it does]' \\\n\t\t\t'%s'\n\t\t;;\n",
		command->runs_program	 ? "*::program:_normal"
		: command->takes_command ? "1:command:{_describe command commands}"
					 : "*:file:_files");
}

void print_zsh(FILE *file)
{
	fprintf(file, "#compdef quire\n"
		      "# quire's completion for zsh, made of its tables of options\n"
		      "_quire() {\n"
		      "\tlocal context state state_descr line\n"
		      "\ttypeset -A opt_args\n"
		      "\tlocal -a commands=(\n");
	for (const struct command *const *command = commands; *command != NULL; command++) {
		fprintf(file, "\t\t'%s:", (*command)->name);
		print_zsh_text(file, (*command)->summary);
		fprintf(file, "'\n");
	}
	fprintf(file, "\t)\n"
		      "\t_arguments -C '--help[the commands]' '--version[its number]' \\\n"
		      "\t\t'1:command:{_describe command commands}' '*::argument:->argument'\n"
		      "\t[[ $state == argument ]] || return\n"
		      "\tcase $line[1] in\n");
	for (const struct command *const *command = commands; *command != NULL; command++)
		print_zsh_command(file, *command);
	fprintf(file, "\tesac\n"
		      "}\n"
		      "\n"
		      "_quire \"$@\"\n");
}
