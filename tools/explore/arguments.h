/* SPDX-License-Identifier: MIT */
/* arguments.h - the parsed command line of quire-explore */
#ifndef QUIRE_EXPLORE_ARGUMENTS_H
#define QUIRE_EXPLORE_ARGUMENTS_H

#include "machine/sim/explore.h"

/* All scenarios, by file and line; NULL ends the list. */
const struct sim_test *const *all_tests(void);

struct arguments {
	struct explore_request request; /* from the command line; test is filled in for each */
	bool said_scheduler, said_cpus, said_model, said_tlb, said_seed, said_watch;
	unsigned watch;
	const char *html;
	const char *replay;
	bool scaling_table, figures_table;
	bool listed;	/* names only */
	bool patched;	/* something is about a changed core, or a scenario from outside */
	bool outside;	/* the latter */
	uint64_t total; /* executions of the whole set; 0: as --runs and --seconds say */
};

extern const char *const action_words[ACTION_KINDS_NR + 1];
extern const char *const model_words[]; /* by enum sim_model */

/* Ends the program with status 2. */
_Noreturn void wrong(const char *what, const char *value);
/* '-' and '_' are the same in names. */
bool same_name(const char *a, const char *b);
/* Ends the program, naming the nearest, if there is none. */
const struct sim_test *find_test(const char *name);
void parse_arguments(struct arguments *args, int argc, char **argv);

#endif
