/* SPDX-License-Identifier: MIT */
/* command.h - the subcommands of quire(1) */
#ifndef QUIRE_TOOL_COMMAND_H
#define QUIRE_TOOL_COMMAND_H

enum exit_status {
	EXIT_OK = 0,
	EXIT_FOUND = 1,	    /* what was to be checked is wrong, or the system refused something */
	EXIT_USAGE = 2,	    /* wrong arguments, or an input file that is refused */
	EXIT_UNWRITTEN = 3, /* some output could not be written: output.h */
};

struct command {
	const char *name;
	const char *summary; /* one line */
	/* @argv[0] is the subcommand's name. */
	enum exit_status (*run)(int argc, char **argv);
};

extern const struct command command_conf;
extern const struct command command_doctor;
extern const struct command command_explore;
extern const struct command command_record;
extern const struct command command_replay;
extern const struct command command_run;
extern const struct command command_stats;
extern const struct command command_top;

/* The word of a NULL-terminated list that is nearest to @word by single-letter changes. */
const char *command_nearest(const char *word, const char *const *words);

#endif
