/* SPDX-License-Identifier: MIT */
/*
 * release.c - how much memory does a program keep that has freed everything and sleeps?
 *
 * Method  release_child.c, each in a process and memory cgroup of its own, either asked to give memory
 *         back or left alone.  All sleep at the same time, since a sleeping process disturbs no other.
 * Read    MiB beyond what is live.  Pages: the cgroup's charge is judged, and resident memory is printed
 *         beside it; with huge pages, resident memory can fall while the charge does not.  Both include
 *         the program itself, about 2 MiB.  Areas: resident memory is judged, the charge is printed
 *         beside it.  Without a cgroup (not root) resident memory is judged, and the line says so.
 * Refused A run whose peak does not exceed its beginning by the memory that it allocated.
 * Not     How fast the memory is faulted in again.
 */
#include <string.h>
#include "harness/measure.h"

#define KIB_TO_MIB     (1.0 / 1024)
#define LEFT_MIB_MAX   8.0
/* Of the reply. */
#define VALUE_LIVE     0u
#define VALUE_USAGE    5u
#define VALUE_RSS      6u
#define RELEASE_VALUES 7u

struct kind {
	const char *name; /* of the rows */
	const char *title;
	const char *argument; /* to the child */
	double taken_kib;
	bool judge_group; /* the cgroup's usage, where there is one; else resident memory */
	unsigned reps;
};

static const struct kind kind_pages = {
	.name = "release",
	.title = "MiB left, 16 threads took 300 MiB in blocks of order 0..3 and freed all",
	.argument = "pages",
	.taken_kib = 300 * 1024,
	.judge_group = true,
	.reps = 1,
};

static const struct kind kind_areas = {
	.name = "areas",
	.title = "MiB beyond the live, 4 threads took and freed 256 MiB of up to 4 MiB",
	.argument = "areas",
	.taken_kib = 256 * 1024,
	.reps = 3,
};

static const struct kind kind_objects = {
	.name = "freed",
	.title = "MiB left, 16 threads took 300 MiB in objects of 16 B to 8 KiB and freed all",
	.argument = "objects",
	.taken_kib = 300 * 1024,
	.judge_group = true,
	.reps = 1,
};

/* Subtracts the live memory. */
static void subtract_live(struct table *table)
{
	for (unsigned who = 0; who < CONTENDERS_NR; who++)
		for (unsigned rep = 0; rep < table->reps; rep++) {
			double *values = table->values[who][rep];

			for (unsigned i = VALUE_USAGE; i <= VALUE_RSS && values[i] >= 0; i++)
				values[i] = values[i] > values[VALUE_LIVE]
						    ? values[i] - values[VALUE_LIVE]
						    : 0;
		}
}

static void lines_print(const struct options *options, const struct kind *kind, const char *how,
			const struct table *table)
{
	bool group_first = kind->judge_group && table->has_group;

	for (unsigned i = 0; i < 2; i++) {
		bool group = group_first == (i == 0);
		struct line line = { .value = group ? VALUE_USAGE : VALUE_RSS,
				     .scale = KIB_TO_MIB };

		if (group && !table->has_group)
			continue;
		if (i == 0) {
			line.max = LEFT_MIB_MAX;
			line.wanted = kind->judge_group && !group ? "at most 8 (no cgroup: RSS)"
								  : "at most 8";
		}
		snprintf(line.name, sizeof(line.name), "%s/%s/%u", kind->name, how, i);
		snprintf(line.what, sizeof(line.what), "%s: %s", how, group ? "cgroup" : "RSS");
		line_print(options, &line, table);
	}
}

static void release_ask(const struct options *options, const struct kind *kind, const bool *there,
			unsigned left_out)
{
	static const char *const ways[][2] = {
		{ "ask", "1 s after it was asked" },
		{ "idle", "after 10 s of nothing at all" },
	};
	static struct table table;

	for (unsigned i = 0; i < 2; i++) {
		struct ask ask = { .argv = { "release", kind->argument, ways[i][0] },
				   .left_out = left_out,
				   .values_nr = RELEASE_VALUES,
				   .reps = kind->reps,
				   .together = true };
		char name[64];

		snprintf(name, sizeof(name), "%s/%s", kind->name, ways[i][1]);
		if (!row_chosen(options, name))
			continue;
		measure(options, &ask, there, &table);
		peak_reject(&table, 2, 4, kind->taken_kib);
		subtract_live(&table);
		lines_print(options, kind, ways[i][1], &table);
	}
}

void bench_release(const struct options *options)
{
	unsigned left_out = BIT(CONTENDER_GUARDED) | BIT(CONTENDER_FLOOR) | BIT(CONTENDER_MMAP);
	bool there[CONTENDERS_NR];

	contenders_probe(there);
	table_head(kind_pages.title, left_out, FLOOR_NONE);
	release_ask(options, &kind_pages, there, left_out);
}

void bench_areas(const struct options *options)
{
	bool there[CONTENDERS_NR];

	contenders_probe(there);
	table_head(kind_areas.title, BIT(CONTENDER_FLOOR), FLOOR_NONE);
	release_ask(options, &kind_areas, there, BIT(CONTENDER_FLOOR));
}

void bench_malloc_freed(const struct options *options)
{
	unsigned left_out = BIT(CONTENDER_GUARDED) | BIT(CONTENDER_FLOOR) | BIT(CONTENDER_MMAP);
	bool there[CONTENDERS_NR];

	malloc_contenders();
	contenders_probe(there);
	table_head(kind_objects.title, left_out, FLOOR_NONE);
	release_ask(options, &kind_objects, there, left_out);
}
