/* SPDX-License-Identifier: MIT */
/*
 * tree.c - does finding room slow down when a million areas are live?
 *
 * Method  One thread allocates n areas of 1..16 pages and does not touch them.  Then it replaces a random
 *         one by another of random size: 2 n times to shuffle the free ranges, and REPLACED times
 *         measured.  n is 1,000 and 1,000,000, each in an instance of its own.  A second run with
 *         cache:off, where each area comes from the tree, reads the tree's own count of visited nodes.
 * Read    ns per replacement; nodes visited per operation of the tree, divided by log2 n.
 * Refused A sample from which other processes took time; fewer than TREE_OPERATIONS_MIN counted
 *         operations.
 * Not     Writing the memory; several threads.
 */
#include <math.h>
#include <stdlib.h>
#include <quire/vmap.h>
#include "harness/bench.h"
#include "harness/span.h"
#include "vmap/areas.h"
#include "harness/pin.h"
#include "harness/proc.h"
#include "harness/random.h"

#define MANY		    1000000u
#define FEW		    1000u
#define AREA_PAGES_MAX	    16u
#define SHUFFLE_MIN	    20000u
#define REPLACED	    200000u
#define TREE_OPERATIONS_MIN 1000u
#define REPS_HERE	    5u
#define STOLEN_MAX	    0.02
/* Twice the size of a million areas of 8.5 pages with their guards and of lazily freed areas. */
#define LIMIT_BYTES	    ((uint64_t)96 << 30)

struct tree_sample {
	double ns;
	double compares; /* nodes visited for one operation; below zero: too few operations */
	double stolen;
};

static void *areas[MANY];
static uint64_t random_state;

static void *area_take(struct quire *q)
{
	return quire_vmalloc(q, (1 + random_below(&random_state, AREA_PAGES_MAX)) * AREA_PAGE, 0);
}

/* False if an allocation was refused. */
static bool areas_replace(struct quire *q, unsigned live, unsigned nr)
{
	for (unsigned i = 0; i < nr; i++) {
		void **victim = &areas[random_below(&random_state, live)];

		quire_vfree(q, *victim);
		*victim = area_take(q);
		if (!*victim)
			return false;
	}
	return true;
}

static bool tree_measure(struct quire *q, unsigned live, struct tree_sample *sample)
{
	struct quire_vmap_stat before = QUIRE_VMAP_STAT_INIT, after = before;
	unsigned shuffle = 2 * live < SHUFFLE_MIN ? SHUFFLE_MIN : 2 * live;
	uint64_t operations;
	struct span span;
	bool served = true;

	random_state = live;
	for (unsigned i = 0; i < live && served; i++) {
		areas[i] = area_take(q);
		served = areas[i] != NULL;
	}
	if (!served || !areas_replace(q, live, shuffle))
		return false;
	quire_vmap_stat_read(q, &before);
	span_begin(&span, -1);
	served = areas_replace(q, live, REPLACED);
	span_end(&span, -1);
	quire_vmap_stat_read(q, &after);
	operations = after.tree_operations - before.tree_operations;
	sample->ns = (double)span.wall_ns / REPLACED;
	sample->stolen = span_stolen(&span);
	sample->compares = -1;
	if (operations >= TREE_OPERATIONS_MIN)
		sample->compares =
			(double)(after.tree_compares - before.tree_compares) / (double)operations;
	return served;
}

/* NULL, or why not. */
static const char *tree_sample(enum quire_guard guard, enum quire_switch cache, unsigned live,
			       struct tree_sample *sample)
{
	const struct quire_options options =
		QUIRE_OPTIONS_INIT(.limit_bytes = LIMIT_BYTES, .guard = guard, .cache = cache);
	struct quire *q;
	bool served;

	if (quire_create(&options, &q) != 0)
		return "quire_create() was refused";
	served = tree_measure(q, live, sample);
	quire_destroy(q);
	return served ? NULL : "an allocation was refused";
}

struct tree_case {
	const char *what;
	enum quire_guard guard;
	enum quire_switch cache;
};

struct tree_outcome {
	double ns[2][REPS_MAX];
	double ratio[REPS_MAX];
	double compares[REPS_MAX];
	unsigned nr;
	unsigned compares_nr;
	const char *refused;
};

static void case_measure(const struct options *options, const struct tree_case *c,
			 struct tree_outcome *outcome)
{
	unsigned reps = options->reps < REPS_HERE ? options->reps : REPS_HERE;

	for (unsigned rep = 0; rep < reps; rep++) {
		struct tree_sample few, many;
		const char *reason = tree_sample(c->guard, c->cache, FEW, &few);

		if (!reason)
			reason = tree_sample(c->guard, c->cache, MANY, &many);
		if (!reason && !options->keep &&
		    (few.stolen > STOLEN_MAX || many.stolen > STOLEN_MAX))
			reason = "time was taken by others";
		outcome->refused = reason ? reason : outcome->refused;
		/* The counts do not depend on time. */
		if ((!reason || reason[0] == 't') && many.compares >= 0)
			outcome->compares[outcome->compares_nr++] = many.compares / log2(MANY);
		if (reason)
			continue;
		outcome->ns[0][outcome->nr] = few.ns;
		outcome->ns[1][outcome->nr] = many.ns;
		outcome->ratio[outcome->nr++] = many.ns / few.ns;
	}
}

static void case_report(const struct options *options, const struct tree_case *c,
			const struct tree_outcome *outcome)
{
	bool judged = c->guard == QUIRE_GUARD_OFF && c->cache == QUIRE_ON;
	char what[96], note[96], few[32], many[32];

	snprintf(what, sizeof(what), "%s: 1,000,000 live against 1,000", c->what);
	if (outcome->nr == 0) {
		report_refused(options, what, outcome->refused ? outcome->refused : "no sample");
	} else {
		snprintf(note, sizeof(note), "%s ns against %s",
			 report_number(spread_of(outcome->ns[1], outcome->nr).median, many,
				       sizeof(many)),
			 report_number(spread_of(outcome->ns[0], outcome->nr).median, few,
				       sizeof(few)));
		report_figure(
			options,
			&(struct figure){ .what = what,
					  .value = spread_of(outcome->ratio, outcome->nr).median,
					  .unit = "times",
					  .note = note },
			judged ? &target_tree_ratio : &target_none);
	}
	snprintf(what, sizeof(what), "%s: nodes visited by a tree operation", c->what);
	if (outcome->compares_nr > 0)
		report_figure(
			options,
			&(struct figure){
				.what = what,
				.value = spread_of(outcome->compares, outcome->compares_nr).median,
				.unit = "log2 n" },
			&target_tree_compares);
	else if (c->cache == QUIRE_OFF)
		report_refused(options, what, "too few operations of the tree");
}

void bench_tree(const struct options *options)
{
	static const struct tree_case cases[] = {
		{ "guard:off", QUIRE_GUARD_OFF, QUIRE_ON },
		{ "guard:on", QUIRE_GUARD_ON, QUIRE_ON },
		{ "guard:off, cache:off", QUIRE_GUARD_OFF, QUIRE_OFF },
	};

	report_figures_begin("a random area of 1..16 pages replaced");
	pin_self(pin_cpu(0));
	for (unsigned i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct tree_outcome outcome = { .nr = 0 };

		case_measure(options, &cases[i], &outcome);
		case_report(options, &cases[i], &outcome);
	}
}
