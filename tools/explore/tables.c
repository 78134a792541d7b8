/* SPDX-License-Identifier: MIT */
/* tables.c - how paths scale with CPUs, figures of each scenario, and runs up to a total */
#include "tables.h"

#include <stdio.h>
#include <string.h>

#include "common/output.h"

/* ---- scaling
 * ---------------------------------------------------------------------------------- */

static const unsigned scaling_cpus[] = { 1, 2, 4, 8, 16, 32, 64, 256, 1024 };
#define SCALING_NR (sizeof(scaling_cpus) / sizeof(scaling_cpus[0]))

static void show_number(const char *before, double number)
{
	printf(number < 100 ? "%s%.3g" : "%s%.0f", before, number);
}

/* "locks / lines moved" of one operation.  False: the path broke a rule. */
static bool scaling_cell(const struct arguments *args, const struct sim_test *test, unsigned cpus)
{
	struct explore_request request = request_for(args, test);
	double ops;

	request.options.cpus_nr = cpus;
	explore(&request, &outcome);
	if (outcome.failure.found) {
		printf(" %s: %s\n", outcome.failure.rule, outcome.failure.text);
		return false;
	}
	ops = sim_counted.ops != 0 ? (double)sim_counted.ops : 1;
	show_number(" ", (double)sim_counted.locks / ops);
	show_number(" / ", (double)sim_counted.transfers / ops);
	printf(" |");
	return !test->scaling_free || sim_counted.locks + sim_counted.transfers == 0;
}

bool scaling_table(const struct arguments *args)
{
	bool fine = true;

	printf("| Path |");
	for (unsigned i = 0; i < SCALING_NR; i++)
		printf(" %u |", scaling_cpus[i]);
	printf("\n|---|");
	for (unsigned i = 0; i < SCALING_NR; i++)
		printf("---|");
	printf("\n");
	for (const struct sim_test *const *t = all_tests(); *t != NULL; t++) {
		if ((*t)->scaling == NULL)
			continue;
		printf("| %s |", (*t)->scaling);
		for (unsigned i = 0; i < SCALING_NR; i++)
			fine = scaling_cell(args, *t, scaling_cpus[i]) && fine;
		printf("\n");
		(void)output_flush("quire explore");
	}
	return fine;
}

/* ---- figures
 * ---------------------------------------------------------------------------------- */

#define FIGURES_RUNS	200000u
#define FIGURES_EXHAUST 50000u /* schedules that an exhaustive run may take */

/* Runs all schedules of up to two preemptions, or a number of executions by random and pct. */
static bool figures_of(const struct arguments *args, const struct sim_test *test)
{
	struct explore_request request = request_for(args, test);

	request.strategy = STRATEGY_ALL;
	request.depth = test->preempt_max > 2 ? test->preempt_max : 2;
	request.runs = FIGURES_EXHAUST;
	if (!run_request(args, &request))
		return false;
	if (outcome.complete || outcome.failure.found)
		return true;
	request.strategy = STRATEGY_MIX;
	request.runs = FIGURES_RUNS;
	return run_request(args, &request);
}

bool figures_table(const struct arguments *args)
{
	bool fine = true;

	for (const struct sim_test *const *t = all_tests(); *t != NULL; t++)
		if ((*t)->scaling == NULL) {
			fine = figures_of(args, *t) && fine;
			(void)output_flush("quire explore");
		}
	return fine;
}

/* ---- a total
 * ------------------------------------------------------------------------------------ */

#define TOTAL_TURN 20000u

/* Runs the whole set in turns, each with seeds of its own, up to the wanted number of
 * executions. */
bool total_runs(const struct arguments *args)
{
	uint64_t total = 0;
	bool fine = true;

	for (unsigned turn = 0; fine && total < args->total; turn++) {
		uint64_t before = total;

		for (const struct sim_test *const *t = all_tests(); fine && *t != NULL; t++) {
			struct explore_request request = request_for(args, *t);

			if ((*t)->expect != NULL || (*t)->scaling != NULL)
				continue;
			request.options.seed += (uint64_t)turn * TOTAL_TURN;
			request.runs = TOTAL_TURN;
			if (turn != 0)
				request.strategy = STRATEGY_MIX;
			request.quiet = true;
			fine = run_request(args, &request);
			total += outcome.runs;
		}
		printf("turn %u: %llu executions, %llu in all\n", turn + 1,
		       (unsigned long long)(total - before), (unsigned long long)total);
		(void)output_flush("quire explore");
	}
	return fine;
}
