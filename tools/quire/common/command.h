/* SPDX-License-Identifier: MIT */
/* command.h - the subcommands of quire(1) */
#ifndef QUIRE_TOOL_COMMAND_H
#define QUIRE_TOOL_COMMAND_H

#include <stdbool.h>
#include <stdio.h>

enum exit_status {
	EXIT_OK = 0,
	EXIT_FOUND = 1, /* what was to be checked is wrong, or the system refused something */
	EXIT_USAGE = 2, /* wrong arguments, or an input file that is refused */
	EXIT_UNWRITTEN =
		3, /* some output could not be written (output.h), or events are missing from it */
};

/* One option of a table that ends with a name of NULL. */
struct option_row {
	const char *name;  /* "json" is --json, a single letter such as "n" is -n, and --n */
	const char *value; /* what --help calls its value, "FILE"; NULL: it takes none */
	const char *help;  /* lines, separated by '\n' */
};

/* Texts are lines of at most 80 columns, separated by '\n', the last without one. */
struct command {
	const char *name;
	const char *summary;		  /* one line */
	const char *synopsis;		  /* "quire NAME [--json] FILE", a line each */
	const char *about;		  /* or NULL */
	const struct option_row *options; /* --help is in none */
	const char *exit_statuses;	  /* "Exit status: ..." */
	bool runs_program;  /* its arguments are a program, and that one's arguments */
	bool takes_command; /* its argument is the name of a command */
	/* @argv[0] is the subcommand's name. */
	enum exit_status (*run)(int argc, char **argv);
};

extern const struct command command_conf;
extern const struct command command_doctor;
extern const struct command command_explore;
extern const struct command command_help;
extern const struct command command_ktest;
extern const struct command command_record;
extern const struct command command_replay;
extern const struct command command_report;
extern const struct command command_run;
extern const struct command command_stats;
extern const struct command command_symbolize;
extern const struct command command_top;

/* All of them, in the order of --help; NULL ends the list. */
extern const struct command *const commands[];

/* NULL if there is none of this name. */
const struct command *command_find(const char *name);
/* Says that there is none of this name, and which is the nearest. */
enum exit_status command_refuse(const char *name);
/* Says that a command has no memory for its state. */
enum exit_status command_no_memory(const char *name);
/* What `quire --help` prints. */
void commands_help(FILE *file);

/* The word of a NULL-terminated list that is nearest to @word by single-letter changes. */
const char *command_nearest(const char *word, const char *const *words);

#endif
