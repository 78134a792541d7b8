/* SPDX-License-Identifier: MIT */
/*
 * stress.c - time and peak memory of programs in the classic shapes
 *
 * Method  stress/, each sample in a process of its own with the library preloaded, contenders in turn.
 * Read    Milliseconds of wall time; with --keep, of CPU time, which other processes change less.  Peak of
 *         resident memory in MiB.  The means are geometric, over the shapes, of the ratios to
 *         mimalloc in the same round.
 * Refused What the library refused, or objects whose content changed.
 */
#include "harness/measure.h"
#include "malloc/means.h"

#define LEFT_OUT   (BIT(CONTENDER_GUARDED) | BIT(CONTENDER_FLOOR) | BIT(CONTENDER_MMAP))
#define MIB_OF_KIB (1.0 / 1024)

enum {
	STRESS_WALL,
	STRESS_CPU,
	STRESS_PEAK,
	STRESS_VALUES
};

static const char *const shapes[][2] = {
	{ "larson", "server: random ones replaced, handed to the next thread" },
	{ "producer", "messages made by one thread, freed by another" },
	{ "small", "small objects that die young" },
	{ "scratch", "cache lines, shared passively" },
	{ "thrash", "cache lines, shared actively" },
	{ "exchange", "batches exchanged among four threads" },
	{ "ladder", "buffers that grow and shrink" },
	{ "sizes", "16 B to 64 KiB, random ones replaced" },
	{ "threads", "short threads that leave objects" },
	{ "queue", "bursts, a window of requests, answers" },
	{ "tree", "random trees" },
	{ "strings", "strings and a table of words" },
};

#define SHAPES_NR (sizeof(shapes) / sizeof(shapes[0]))

void bench_stress(const struct options *options)
{
	static struct table tables[SHAPES_NR];
	struct means time = { .nr = 0 }, peak = { .nr = 0 };
	unsigned time_value = options->keep ? STRESS_CPU : STRESS_WALL;
	bool there[CONTENDERS_NR];

	malloc_contenders();
	contenders_probe(there);
	table_head(options->keep ? "stress: ms of CPU time" : "stress: ms", LEFT_OUT, FLOOR_NONE);
	for (size_t i = 0; i < SHAPES_NR; i++) {
		const struct ask ask = { .argv = { "stress", shapes[i][0] },
					 .left_out = LEFT_OUT,
					 .values_nr = STRESS_VALUES,
					 .memory_bytes = (size_t)256 << 20 };
		struct line line = { .value = time_value,
				     .peer_max = 1.15,
				     .wanted = "at most 1.15 of the best peer" };

		snprintf(line.name, sizeof(line.name), "stress/%s/time", shapes[i][0]);
		snprintf(line.what, sizeof(line.what), "%s: %s", shapes[i][0], shapes[i][1]);
		if (!row_chosen(options, line.name))
			continue;
		measure(options, &ask, there, &tables[i]);
		line_print(options, &line, &tables[i]);
		means_add(&time, &tables[i], time_value);
		means_add(&peak, &tables[i], STRESS_PEAK);
	}
	table_head("stress: MiB at the peak", LEFT_OUT, FLOOR_NONE);
	for (size_t i = 0; i < SHAPES_NR; i++) {
		struct line line = { .value = STRESS_PEAK, .scale = MIB_OF_KIB };

		snprintf(line.name, sizeof(line.name), "stress/%s/peak", shapes[i][0]);
		snprintf(line.what, sizeof(line.what), "%s", shapes[i][0]);
		if (tables[i].reps != 0)
			line_print(options, &line, &tables[i]);
	}
	table_head("stress: geometric means, of mimalloc", LEFT_OUT, FLOOR_NONE);
	means_print(options, &time, "stress: time", 0.93);
	means_print(options, &peak, "stress: peak", 0.6);
}
