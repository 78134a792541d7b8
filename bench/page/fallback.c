/* SPDX-License-Identifier: MIT */
/*
 * fallback.c - what does a pair cost when the lock of the CPU's lists is taken?
 *
 * Method  quire-bench-inner (inner_main.c): one thread holds the lock of the CPU on which another
 *         allocates and frees single pages.
 * Read    ns per pair: two operations, each of which tries a lock, fails, and goes to the depot or,
 *         if that has nothing or no room, to the buddy.
 * Refused Pairs that neither served; a sample from which other processes took time.
 * Not     Contention for the depot's or the zone's lock.
 */
#include <string.h>
#include "harness/bench.h"

void bench_fallback(const struct options *options)
{
	static const char what[] = "trylock refused: a pair";
	const struct child_order order = { .program = "quire-bench-inner", .argv = { "fallback" } };
	char reply[256] = "", refused[256] = "it did not run";
	double ns[REPS_MAX];
	unsigned nr = 0;

	report_figures_begin("fallback");
	for (unsigned rep = 0; rep < options->reps; rep++) {
		if (!child_run(&order, reply, sizeof(reply)))
			continue;
		if (sscanf(reply, "ok %lf", &ns[nr]) == 1)
			nr++;
		else if (strncmp(reply, "refused ", 8) == 0)
			strcpy(refused, reply + 8);
	}
	if (nr == 0)
		report_refused(options, what, refused);
	else
		report_figure(options,
			      &(struct figure){ .what = what,
						.value = spread_of(ns, nr).median,
						.unit = "ns" },
			      &target_fallback_ns);
}
