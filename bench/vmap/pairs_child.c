/* SPDX-License-Identifier: MIT */
/* pairs_child.c - processes that measure patterns of large blocks; see areas.h */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "vmap/areas.h"
#include "harness/pin.h"
#include "harness/proc.h"
#include "harness/random.h"
#include "harness/span.h"

/* A size ratio of 16 is two to the fourth: sizes are bytes / 2^(4u), u uniform. */
#define DOUBLINGS	   4.0
/* Untouched: caches have settled by then, unless the runner's patience ends before. */
#define WARM_PAIRS	   4096u
/* Written: each of the live blocks was replaced about four times. */
#define WARM_PAIRS_WRITTEN (4u * AREAS_LIVE)

const char *const area_pattern_names[AREA_PATTERNS_NR] = {
	[AREA_PAIR] = "pair",
	[AREA_FIXED] = "fixed",
	[AREA_RANDOM] = "random",
};

size_t area_sizes[AREA_SIZES];

/* 2^-(DOUBLINGS * i / AREA_SIZES), shuffled; whole pages, at least one. */
void area_sizes_make(size_t bytes)
{
	uint64_t random = 1;

	for (unsigned i = 0; i < AREA_SIZES; i++) {
		double size = (double)bytes * exp2(-DOUBLINGS * (i + 0.5) / AREA_SIZES);
		size_t pages = (size_t)size / AREA_PAGE;

		area_sizes[i] = (pages ? pages : 1) * AREA_PAGE;
	}
	for (unsigned i = AREA_SIZES - 1; i > 0; i--) {
		unsigned other = random_below(&random, i + 1);
		size_t swapped = area_sizes[i];

		area_sizes[i] = area_sizes[other];
		area_sizes[other] = swapped;
	}
}

/* Mean and worst of @nr replacements of written blocks; false if one was refused. */
static bool ops_run(const struct subject *subject, char **blocks, size_t *sizes, unsigned nr,
		    double *mean_ns, uint64_t *worst_ns)
{
	static uint64_t random = 7;
	uint64_t begin = proc_clock_ns(CLOCK_MONOTONIC), last = begin;

	*worst_ns = 0;
	for (unsigned i = 0; i < nr; i++) {
		unsigned slot = random_below(&random, AREAS_LIVE);
		uint64_t now;

		subject->free(blocks[slot], sizes[slot]);
		sizes[slot] = area_sizes[random_below(&random, AREA_SIZES)];
		blocks[slot] = subject->alloc(sizes[slot]);
		if (!blocks[slot])
			return false;
		area_touch(blocks[slot], sizes[slot], 1);
		now = proc_clock_ns(CLOCK_MONOTONIC);
		*worst_ns = now - last > *worst_ns ? now - last : *worst_ns;
		last = now;
	}
	*mean_ns = nr ? (double)(last - begin) / nr : -1;
	return true;
}

/* Replacements counted from the fill on: what a program sees before caches have settled. */
int area_replace(const struct subject *subject, char **arguments)
{
	unsigned first_nr = (unsigned)atoi(arguments[1]), steady_nr = (unsigned)atoi(arguments[2]);
	char *blocks[AREAS_LIVE];
	size_t sizes[AREAS_LIVE];
	double first, steady;
	uint64_t worst, unused;
	struct span span;
	bool served = true;

	if (!pin_self(pin_cpu(0)))
		return puts("refused a thread cannot be pinned"), 0;
	area_sizes_make(strtoull(arguments[0], NULL, 10));
	for (unsigned i = 0; i < AREAS_LIVE && served; i++) {
		sizes[i] = area_sizes[i];
		blocks[i] = subject->alloc(sizes[i]);
		served = blocks[i] != NULL;
		if (served)
			area_touch(blocks[i], sizes[i], 1);
	}
	span_begin(&span, -1);
	served = served && ops_run(subject, blocks, sizes, first_nr, &first, &unused) &&
		 ops_run(subject, blocks, sizes, steady_nr, &steady, &worst);
	span_end(&span, -1);
	if (!served)
		return puts("refused an allocation was refused"), 0;
	printf("ok %.5f %.1f %.1f %.1f\n", span_stolen(&span), first, steady,
	       steady_nr ? (double)worst : -1);
	return 0;
}

int area_pairs(const struct subject *subject, char **arguments)
{
	static struct run run; /* workers read it until the process ends */

	run.bytes = strtoull(arguments[1], NULL, 10);
	run.threads_nr = (unsigned)atoi(arguments[2]);
	run.touch = (unsigned)atoi(arguments[3]);
	run.measure_ms = (unsigned)atoi(arguments[4]);
	run.first_pairs = strtoull(arguments[5], NULL, 10);
	run.warm_pairs = run.touch ? WARM_PAIRS_WRITTEN : WARM_PAIRS;
	if (run.threads_nr < 1 || run.threads_nr > WORKERS_MAX)
		return puts("refused a number of threads"), 0;
	area_sizes_make(run.bytes);
	for (unsigned i = 0; i < AREA_PATTERNS_NR; i++)
		if (strcmp(arguments[0], area_pattern_names[i]) == 0)
			return runner_measure(subject->area_patterns[i], &run);
	return puts("refused a pattern"), 0;
}
