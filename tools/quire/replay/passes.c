/* SPDX-License-Identifier: MIT */
#include "replay/passes.h"

#include <stdio.h>
#include <stdlib.h>

/* Odd numbers, for the median: one pass that the system disturbed does not count.  A long pass is not disturbed for its
 * most part. */
#define TIMING_PASSES_MAX 5u

static unsigned passes_nr_of(const struct plan *plan)
{
	uint64_t operations = plan_operations(plan);

	return operations < 2500000 ? TIMING_PASSES_MAX : operations < 10000000 ? 3 : 1;
}

#define ENGINES_MAX 2

struct engine passes_engine(const struct replay_request *request, const struct plan *plan,
			    const char *conf, struct progress *progress)
{
	return (struct engine){
		.plan = plan,
		.target = request->threads ? &target_public : &target_by_number,
		.object_target = object_target_of(plan->kind),
		.conf = conf[0] != '\0' ? conf : NULL,
		.threads = request->threads,
		.checks = true,
		.is_unfilled = request->is_unfilled,
		.progress = progress,
	};
}

static int compare_doubles(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return (x > y) - (x < y);
}

static double ns_of(const struct engine *engine, const struct engine_result *result)
{
	return (double)result->busy_ns / (double)plan_operations(engine->plan);
}

/* Nanoseconds an operation of one pass that fills nothing; negative: @error is filled. */
static double time_pass(struct engine *engine, char *error, size_t error_bytes)
{
	struct engine_result result;
	int failed = engine_run(engine, &result);
	double ns = ns_of(engine, &result);

	snprintf(error, error_bytes, "%s", result.error);
	engine_result_fini(&result);
	return failed ? -1 : ns;
}

/* Times of several passes, an engine each. */
struct times {
	double ns[ENGINES_MAX][TIMING_PASSES_MAX];
	unsigned passes_nr; /* so far */
};

/* Adds passes until there are @wanted_nr. */
static int time_in_turns(struct engine *engines, unsigned nr, struct times *times,
			 unsigned wanted_nr, char *error, size_t error_bytes)
{
	for (; times->passes_nr < wanted_nr; times->passes_nr++) {
		for (unsigned turn = 0; turn < nr; turn++) {
			/* The engine that came last comes first next time. */
			unsigned i = times->passes_nr % 2 == 0 ? turn : nr - 1 - turn;
			double ns = time_pass(&engines[i], error, error_bytes);

			if (ns < 0)
				return -1;
			times->ns[i][times->passes_nr] = ns;
		}
	}
	return 0;
}

static double median(struct times *times, unsigned engine)
{
	qsort(times->ns[engine], times->passes_nr, sizeof(times->ns[engine][0]), compare_doubles);
	return times->ns[engine][times->passes_nr / 2];
}

int passes_time(struct engine *engines, struct outcome *outcomes, unsigned nr, char *error,
		size_t error_bytes)
{
	unsigned passes_nr = passes_nr_of(engines[0].plan);
	struct times all = { .passes_nr = 0 }, loop = { .passes_nr = 0 };

	/* A first pass that filled nothing tells the time as well. */
	if (engines[0].is_unfilled) {
		for (unsigned i = 0; i < nr; i++)
			all.ns[i][0] = ns_of(&engines[i], &outcomes[i].checked);
		all.passes_nr = 1;
	}
	for (unsigned i = 0; i < nr; i++)
		engines[i].checks = false;
	if (time_in_turns(engines, nr, &all, passes_nr, error, error_bytes) != 0)
		return -1;
	for (unsigned i = 0; i < nr; i++) {
		engines[i].target = &target_nothing;
		engines[i].object_target = &object_target_nothing;
	}
	if (time_in_turns(engines, nr, &loop, passes_nr, error, error_bytes) != 0)
		return -1;
	for (unsigned i = 0; i < nr; i++) {
		double all_ns = median(&all, i), loop_ns = median(&loop, i);

		outcomes[i].timing_passes = passes_nr;
		outcomes[i].loop_ns_per_operation = loop_ns;
		outcomes[i].ns_per_operation = all_ns > loop_ns ? all_ns - loop_ns : 0;
	}
	return 0;
}
