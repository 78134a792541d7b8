/* SPDX-License-Identifier: MIT */
/* stats.c - medians and quartiles, which one disturbed sample hardly changes */
#include <stdlib.h>
#include <string.h>
#include "harness/bench.h"

static int double_compare(const void *a, const void *b)
{
	double x = *(const double *)a;
	double y = *(const double *)b;

	return (x > y) - (x < y);
}

/* The value at @share of the sorted values, between two neighbours if need be. */
static double quantile(const double *sorted, unsigned nr, double share)
{
	double at = share * (nr - 1);
	unsigned below = (unsigned)at;
	unsigned above = below + 1 < nr ? below + 1 : below;

	return sorted[below] + (at - below) * (sorted[above] - sorted[below]);
}

struct spread spread_of(const double *values, unsigned nr)
{
	double sorted[REPS_MAX];
	struct spread spread = { .nr = nr < REPS_MAX ? nr : REPS_MAX };

	if (spread.nr == 0)
		return spread;
	memcpy(sorted, values, spread.nr * sizeof(sorted[0]));
	qsort(sorted, spread.nr, sizeof(sorted[0]), double_compare);
	spread.median = quantile(sorted, spread.nr, 0.5);
	spread.quarter = quantile(sorted, spread.nr, 0.25);
	spread.three_quarters = quantile(sorted, spread.nr, 0.75);
	return spread;
}

double spread_relative(const struct spread *spread)
{
	return spread->median > 0 ? (spread->three_quarters - spread->quarter) / spread->median : 0;
}
