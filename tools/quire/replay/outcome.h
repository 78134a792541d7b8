/* SPDX-License-Identifier: MIT */
/*
 * outcome.h - the result of replaying one trace, and its two output formats
 */
#ifndef QUIRE_TOOL_OUTCOME_H
#define QUIRE_TOOL_OUTCOME_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#include "replay/engine.h"
#include "replay/plan.h"

struct outcome {
	const struct plan *plan;
	bool is_further; /* of the trace before: a further kind that it holds */
	bool threads;
	struct engine_result checked; /* of the checking pass */
	struct engine_result kept;    /* percpu: of one with depopulate:off */
	bool has_kept;
	double ns_per_operation; /* of the timing passes, the loop's own taken off */
	double loop_ns_per_operation;
	unsigned timing_passes;
};

void outcome_fini(struct outcome *outcome);

/* Calls by what served them: total = stacks + lists + buddy. */
struct served {
	uint64_t total;
	uint64_t stacks;
	uint64_t lists; /* and the depot */
	uint64_t buddy;
};

struct served outcome_served_allocs(const struct outcome *outcome);
struct served outcome_served_frees(const struct outcome *outcome);
double outcome_zone_locks_per_1000(const struct outcome *outcome);
/* Against one flush for each free. */
uint64_t outcome_flushes_avoided(const struct quire_vmap_stat *stat);
/* Kilobytes on all recorded CPUs of the objects that live at a mark. */
uint64_t outcome_live_kB(const struct plan *plan, const struct plan_mark *mark);
/* Linux: an array of pointers, bitmaps and hints beside each chunk (traces/EVENTS.md). */
uint64_t outcome_kernel_metadata_kB(const struct plan_kernel_percpu *kernel);
/*
 * Allocations that made no system call.  One from the tree of free ranges installs its guard
 * page, if there are guards; so may one that was reused, and then it does not count.
 */
uint64_t outcome_served_without_call(const struct quire_vmap_stat *stat);
/* The fewest blocks that can hold @pages. */
uint64_t outcome_blocks_at_best(const struct outcome *outcome, uint64_t pages);

/* report.c: for people, at most 100 columns. */
void report_print(const struct outcome *outcome, FILE *file);
/* json.c: one file for all traces, by way of a temporary one.  0 or a negative errno. */
int json_write(const char *path, const struct outcome *outcomes, unsigned outcomes_nr);

#endif
