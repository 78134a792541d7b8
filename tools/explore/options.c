/* SPDX-License-Identifier: MIT */
#include "options.h"

#include <stddef.h>

const struct option_row explore_rows[] = {
	[EXPLORE_SCHEDULER] = { "scheduler", "HOW",
				"mix, random, pct:D, all:B; or as it says itself" },
	[EXPLORE_RUNS] = { "runs", "N", "so many, of each scenario" },
	[EXPLORE_SECONDS] = { "seconds", "S", "so long, for each scenario" },
	[EXPLORE_SEED] = { "seed", "K", "of the first run; each run adds one" },
	[EXPLORE_CPUS] = { "cpus", "N", "up to 64; no fewer than the scenario has" },
	[EXPLORE_MODEL] = { "model", "NAME", "sc, tso, pso, arm (loads that are late, too)" },
	[EXPLORE_TLB] = { "tlb", "NAME", "mips, translations stay; x86, evicted often" },
	[EXPLORE_WATCH] = { "watch", "WORDS", "race,memory,plain beside its own; or none" },
	[EXPLORE_SCENARIO] = { "scenario", "FILE.c", "the scenarios of a file outside the tree" },
	[EXPLORE_PATCH] = { "patch", "FILE", "with a change to src/ or include/" },
	[EXPLORE_MUTANT] = { "mutant", "NAME", "with tests/mutants/NAME.patch" },
	[EXPLORE_REPLAY] = { "replay", "WHAT", "one schedule: a file, or as a finding prints it" },
	[EXPLORE_HTML] = { "html", "FILE", "write the first finding as a page" },
	[EXPLORE_MUTANTS] = { "mutants", NULL, "every mutant against the scenarios, as a table" },
	[EXPLORE_SCALING] = { "scaling", NULL, "locks and cache lines an operation, by CPUs" },
	[EXPLORE_FIGURES] = { "figures", NULL, "each to 2 preemptions, or 200,000 runs" },
	[EXPLORE_TOTAL] = { "total", "N", "turns of the whole set, until N runs" },
	[EXPLORE_UNTIL_FOUND] = { "until-found", NULL,
				  "end at the first finding; name only its rule" },
	[EXPLORE_LIST] = { "list", NULL, "names of scenarios, one a line" },
	[EXPLORE_LIST_MUTANTS] = { "list-mutants", NULL, "names of mutants, one a line" },
	{ .name = NULL },
};
