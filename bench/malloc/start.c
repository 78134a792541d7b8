/* SPDX-License-Identifier: MIT */
/*
 * start.c - what does a preloaded library cost a short program, and may a handler call it?
 *
 * Method  "ls /" is started again and again by launch_child.c, with and without the library; a sample is the
 *         median start.  The handler is that of handler_child.c.
 * Read    CPU time of the process and its peak of resident memory, over those with glibc in the same
 *         round.  Handlers: how often they were served, per thousand.
 * Refused A library with which the process hung, died, or found objects changed.
 */
#include "harness/measure.h"

#define LEFT_OUT (BIT(CONTENDER_GUARDED) | BIT(CONTENDER_FLOOR) | BIT(CONTENDER_MMAP))

enum {
	LAUNCH_WALL_MS,
	LAUNCH_CPU_US,
	LAUNCH_PEAK_KIB,
	LAUNCH_VALUES
};

/* Turns each value into what it is over glibc's of the same round, which is left as it is. */
static void subtract_glibc(struct table *table, unsigned value)
{
	for (unsigned who = 0; who < CONTENDERS_NR; who++)
		for (unsigned rep = 0; rep < table->reps; rep++) {
			double glibc = table->values[CONTENDER_GLIBC][rep][value];
			double *at = &table->values[who][rep][value];

			if (who == CONTENDER_GLIBC || *at < 0)
				continue;
			*at = glibc >= 0 && *at > glibc ? *at - glibc : glibc >= 0 ? 0 : -1;
		}
}

void bench_malloc_start(const struct options *options)
{
	static struct table table;
	const struct ask ask = { .argv = { "launch", "/", options->quick ? "51" : "201",
					   "exec ls /" },
				 .left_out = LEFT_OUT,
				 .values_nr = LAUNCH_VALUES,
				 .launches = true };
	const struct line us = { .name = "start/us",
				 .what = "us of CPU time over glibc (whose own is all of it)",
				 .value = LAUNCH_CPU_US,
				 .unit = "us",
				 .max = 200,
				 .wanted = "at most 200" };
	const struct line kib = { .name = "start/kB",
				  .what = "kB at the peak over glibc (whose own is all of it)",
				  .value = LAUNCH_PEAK_KIB,
				  .unit = "kB",
				  .max = 300,
				  .wanted = "at most 300" };
	bool there[CONTENDERS_NR];

	malloc_contenders();
	contenders_probe(there);
	table_head("ls / with the library preloaded", LEFT_OUT, FLOOR_NONE);
	measure(options, &ask, there, &table);
	subtract_glibc(&table, LAUNCH_CPU_US);
	subtract_glibc(&table, LAUNCH_PEAK_KIB);
	line_print(options, &us, &table);
	line_print(options, &kib, &table);
}

enum {
	HANDLED_NR,
	REFUSED_NR,
	HANDLER_MS,
	HANDLER_VALUES,
	REFUSED_SHARE = HANDLER_VALUES, /* computed: per thousand */
};

void bench_malloc_handler(const struct options *options)
{
	static struct table table;
	const struct ask ask = { .argv = { "handler", options->quick ? "5000" : "60000" },
				 .left_out = LEFT_OUT,
				 .values_nr = HANDLER_VALUES,
				 .reps = 1 };
	const struct line handled = { .name = "handler/runs",
				      .what = "thousands of handlers run",
				      .value = HANDLED_NR,
				      .scale = 0.001 };
	const struct line refused = { .name = "handler/refused",
				      .what = "of a thousand, refused an object",
				      .value = REFUSED_SHARE,
				      .max = 1,
				      .wanted = "at most 1, and no hang" };
	bool there[CONTENDERS_NR];

	malloc_contenders();
	contenders_probe(there);
	table_head("malloc() in a 10 kHz handler, two busy threads", LEFT_OUT, FLOOR_NONE);
	measure(options, &ask, there, &table);
	for (unsigned who = 0; who < CONTENDERS_NR; who++)
		if (table.values[who][0][HANDLED_NR] > 0)
			table.values[who][0][REFUSED_SHARE] = 1000 *
							      table.values[who][0][REFUSED_NR] /
							      table.values[who][0][HANDLED_NR];
	line_print(options, &handled, &table);
	line_print(options, &refused, &table);
}
