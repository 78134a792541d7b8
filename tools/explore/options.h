/* SPDX-License-Identifier: MIT */
/* options.h - the command line of `quire explore`, for the explorer and for the command that starts it */
#ifndef QUIRE_EXPLORE_OPTIONS_H
#define QUIRE_EXPLORE_OPTIONS_H

#include "common/command.h"

enum explore_option {
	EXPLORE_SCHEDULER,
	EXPLORE_RUNS,
	EXPLORE_SECONDS,
	EXPLORE_SEED,
	EXPLORE_CPUS,
	EXPLORE_MODEL,
	EXPLORE_TLB,
	EXPLORE_WATCH,
	EXPLORE_SCENARIO,
	EXPLORE_PATCH,
	EXPLORE_MUTANT,
	EXPLORE_REPLAY,
	EXPLORE_HTML,
	EXPLORE_MUTANTS,
	EXPLORE_SCALING,
	EXPLORE_FIGURES,
	EXPLORE_TOTAL,
	EXPLORE_UNTIL_FOUND,
	EXPLORE_LIST,
	EXPLORE_LIST_MUTANTS,
};

extern const struct option_row explore_rows[];
#define EXPLORE_SYNOPSIS "quire explore [OPTION...] [SCENARIO...]"
#define EXPLORE_STATUSES                                                                           \
	"Exit status: 0; 1 a finding; 2 wrong arguments; 3 output could not be written."

#endif
