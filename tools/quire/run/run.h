/* SPDX-License-Identifier: MIT */
/* run.h - the parts of quire run */
#ifndef QUIRE_TOOL_RUN_RUN_H
#define QUIRE_TOOL_RUN_RUN_H

#include <stdbool.h>

#include "common/command.h"
#include "run/history.h"

struct run_options {
	bool execs;    /* --exec: replaces this program */
	bool children; /* --children: of the program run on Quire, too */
	bool compares; /* --compare: once without Quire, once with it */
	unsigned others_nr;
	const char *others[OTHERS_MAX]; /* --with: as each is in LD_PRELOAD */
	const char *json;		/* a file, or NULL */
	const char *svg;		/* a file, or NULL; with compares */
	const char *profile;		/* a file, or NULL */
	const char *conf;		/* QUIRE_CONF, or NULL: as it is */
	char **arguments;		/* of the program, its name first, NULL last */
};

extern const struct option_row run_rows[];
/* False: the command ends with *@status. */
bool run_parse(struct run_options *options, int argc, char **argv, enum exit_status *status);

/* What says that the preloaded library never came alive, as env(1) has it of itself. */
#define EXIT_NOT_ALIVE 125

#endif
