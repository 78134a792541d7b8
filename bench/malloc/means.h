/* SPDX-License-Identifier: MIT */
/* means.h - geometric means, over several tables, of each contender's values relative to mimalloc's */
#ifndef BENCH_MALLOC_MEANS_H
#define BENCH_MALLOC_MEANS_H

#include "harness/measure.h"

struct means {
	unsigned nr; /* of tables */
	double logs[CONTENDERS_NR];
	unsigned logs_nr[CONTENDERS_NR]; /* a contender that was refused in one table has no mean */
};

/* Adds the logarithms of the medians of the rounds' ratios. */
void means_add(struct means *means, const struct table *table, unsigned value);
/* A line of the table that was begun last; Quire's mean is to be at most @max. */
void means_print(const struct options *options, const struct means *means, const char *what,
		 double max);

#endif
