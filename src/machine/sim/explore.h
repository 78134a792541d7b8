/* SPDX-License-Identifier: MIT */
/* explore.h - one scenario under many schedules: what quire-explore asks of the machine */
#ifndef MACHINE_SIM_EXPLORE_H
#define MACHINE_SIM_EXPLORE_H

#include <stdio.h>
#include "machine/sim/internal.h"

struct explore_request {
	const struct sim_test *test;
	enum strategy strategy;
	unsigned depth; /* PCT's depth, or the preemption bound */
	struct sim_options options;
	uint64_t runs;	/* 0: no bound */
	double seconds; /* 0: no bound */
	bool count_distinct;
	bool progress;
	bool quiet; /* prints nothing unless something is found */
	bool brief; /* a finding is not shrunk */
	const struct deviation *replay;
	unsigned replay_nr;
};

#define PLATEAU_MARKS 8
struct explore_result {
	uint64_t runs, steps;
	double seconds;
	double cpu_seconds; /* for rates, so that other processes do not matter */
	bool complete;	    /* every schedule up to the bound was run */
	uint64_t distinct;
	uint64_t mark_runs[PLATEAU_MARKS], mark_distinct[PLATEAU_MARKS];
	unsigned marks_nr;
	double pct_bound;
	struct failure failure;	 /* that of the shrunk schedule */
	const char *not_entered; /* a function that the scenario names; NULL: none */
	uint64_t failing_run;
	uint64_t failing_seed;
	unsigned deviations_before;
	uint32_t switches_before;
	uint32_t switches;
	struct deviation deviations[DEVIATIONS_MAX];
	unsigned deviations_nr;
};

/* The options that a scenario requests; the command line may change some. */
struct sim_options explore_options(const struct sim_test *test);
void explore(const struct explore_request *request, struct explore_result *result);
/* Runs the result's schedule once more and keeps its events for the report. */
void explore_trace(struct explore_result *result);

/* report.c */
void report_columns(const struct explore_result *result, FILE *html, const char *title);

#endif
