/* SPDX-License-Identifier: MIT */
/*
 * left.c - how much memory do idle threads and scattered survivors hold, and what do they cost?
 *
 * Method  threads_child.c, scatter_child.c and large_child.c, each sample in a process of its own with the
 *         library preloaded, contenders in turn.  Before each, as much memory is touched as it needs.
 * Read    MiB over the beginning of the process; ns of CPU time a pair, harness included.
 * Refused What was refused an allocation.
 * Not     Memory that comes back with time: see malloc_freed.
 */
#include "harness/measure.h"

#define MIB_OF_KIB (1.0 / 1024)
#define LEFT_OUT   (BIT(CONTENDER_GUARDED) | BIT(CONTENDER_FLOOR) | BIT(CONTENDER_MMAP))

/* ---- 200 threads ---- */

static void threads_ask(const struct options *options, const bool *there)
{
	static struct table table;
	const struct ask ask = { .argv = { "threads" },
				 .left_out = LEFT_OUT,
				 .values_nr = 2,
				 .memory_bytes = (size_t)512 << 20 };
	struct line ns = { .name = "threads/ns",
			   .what = "200 threads in turn, 2 MiB live each: ns a pair",
			   .value = 0,
			   .unit = "ns",
			   .max = 20,
			   .wanted = "at most 20" };
	struct line left = { .name = "threads/left",
			     .what = "200 threads in turn, 2 MiB live each: MiB left",
			     .value = 1,
			     .scale = MIB_OF_KIB,
			     .unit = "MiB",
			     .max = 6,
			     .wanted = "at most 6" };

	if (!row_chosen(options, "threads"))
		return;
	measure(options, &ask, there, &table);
	line_print(options, &ns, &table);
	line_print(options, &left, &table);
}

/* ---- scattered survivors ---- */

/* Of the reply; the last two are computed from it. */
enum {
	SCATTER_NS,
	SCATTER_PEAK,
	SCATTER_THINNED,
	SCATTER_CHURNED,
	SCATTER_LIVE,
	SCATTER_PAGES,
	SCATTER_OF_PAGES, /* after freeing, of 1.2 times the survivors' pages and 8 MiB */
	SCATTER_OF_LIVE,  /* after replacing, of the live bytes */
	SCATTER_VALUES = SCATTER_OF_PAGES,
};

static void scatter_ratios(struct table *table)
{
	for (unsigned who = 0; who < CONTENDERS_NR; who++)
		for (unsigned rep = 0; rep < table->reps; rep++) {
			double *values = table->values[who][rep];

			if (values[SCATTER_NS] < 0)
				continue;
			values[SCATTER_OF_PAGES] =
				values[SCATTER_THINNED] / (1.2 * values[SCATTER_PAGES] + 8 * 1024);
			values[SCATTER_OF_LIVE] = values[SCATTER_CHURNED] / values[SCATTER_LIVE];
		}
}

static void scatter_ask(const struct options *options, const bool *there)
{
	static struct table table;
	const struct ask ask = { .argv = { "scatter", options->quick ? "1000000" : "8000000" },
				 .left_out = LEFT_OUT,
				 .values_nr = SCATTER_VALUES,
				 .memory_bytes = (size_t)512 << 20 };
	const struct line lines[] = {
		{ .name = "scatter/thinned",
		  .what = "300 MiB, a random 90 % freed, then trim: MiB",
		  .value = SCATTER_THINNED,
		  .scale = MIB_OF_KIB },
		{ .name = "scatter/of_pages",
		  .what = "the same, of 1.2 times the survivors' pages and 8 MiB",
		  .value = SCATTER_OF_PAGES,
		  .max = 1,
		  .wanted = "at most 1" },
		{ .name = "scatter/ns",
		  .what = "survivors replaced by other sizes: ns each",
		  .value = SCATTER_NS,
		  .unit = "ns",
		  .max = 30,
		  .wanted = "at most 30" },
		{ .name = "scatter/churned",
		  .what = "after that and trim: MiB",
		  .value = SCATTER_CHURNED,
		  .scale = MIB_OF_KIB },
		{ .name = "scatter/of_live",
		  .what = "the same, of what is live",
		  .value = SCATTER_OF_LIVE,
		  .max = 1.4,
		  .wanted = "at most 1.4" },
	};

	if (!row_chosen(options, "scatter"))
		return;
	measure(options, &ask, there, &table);
	scatter_ratios(&table);
	for (size_t i = 0; i < sizeof(lines) / sizeof(lines[0]); i++)
		line_print(options, &lines[i], &table);
}

void bench_malloc_left(const struct options *options)
{
	bool there[CONTENDERS_NR];

	malloc_contenders();
	contenders_probe(there);
	table_head("threads and survivors", LEFT_OUT, FLOOR_NONE);
	threads_ask(options, there);
	scatter_ask(options, there);
}

/* ---- large blocks ---- */

void bench_malloc_large(const struct options *options)
{
	static struct table table;
	static const struct {
		const char *argument;
		struct line peak;
		struct line ms;
	} kinds[] = {
		{ "realloc",
		  { .name = "large/realloc/peak",
		    .what = "a block that grows to 512 MiB by a quarter: MiB at the peak",
		    .max = 512 * 1.05,
		    .wanted = "at most 538" },
		  { .name = "large/realloc/ms", .what = "the same: ms of CPU time" } },
		{ "calloc",
		  { .name = "large/calloc/peak",
		    .what = "calloc() of 1 GiB, untouched: MiB at the peak",
		    .max = 1,
		    .wanted = "at most 1" },
		  { .name = "large/calloc/ms", .what = "the same: ms of CPU time" } },
	};
	bool there[CONTENDERS_NR];

	malloc_contenders();
	contenders_probe(there);
	table_head("large blocks", LEFT_OUT, FLOOR_NONE);
	for (unsigned i = 0; i < 2; i++) {
		const struct ask ask = { .argv = { "large", kinds[i].argument },
					 .left_out = LEFT_OUT,
					 .values_nr = 2,
					 .memory_bytes = (size_t)1 << 30 };
		struct line peak = kinds[i].peak, ms = kinds[i].ms;

		if (!row_chosen(options, peak.name))
			continue;
		peak.value = 1;
		peak.scale = MIB_OF_KIB;
		peak.unit = "MiB";
		measure(options, &ask, there, &table);
		line_print(options, &peak, &table);
		line_print(options, &ms, &table);
	}
}
