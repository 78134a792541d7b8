/* SPDX-License-Identifier: MIT */
/* means.c - see means.h */
#include <math.h>
#include <string.h>
#include "malloc/means.h"

void means_add(struct means *means, const struct table *table, unsigned value)
{
	means->nr++;
	for (unsigned who = 0; who < CONTENDERS_NR; who++) {
		double kept[REPS_MAX];
		unsigned nr = 0;

		for (unsigned rep = 0; rep < table->reps; rep++) {
			double own = table->values[who][rep][value];
			double base = table->values[CONTENDER_MIMALLOC][rep][value];

			if (own > 0 && base > 0)
				kept[nr++] = own / base;
		}
		if (nr == 0)
			continue;
		means->logs[who] += log(spread_of(kept, nr).median);
		means->logs_nr[who]++;
	}
}

void means_print(const struct options *options, const struct means *means, const char *what,
		 double max)
{
	static struct table table;
	struct line line = { .value = 0, .max = max, .unit = "of mimalloc" };
	char wanted[48];

	memset(&table, 0, sizeof(table));
	table.reps = 1;
	for (unsigned who = 0; who < CONTENDERS_NR; who++)
		table.values[who][0][0] = means->nr > 0 && means->logs_nr[who] == means->nr
						  ? exp(means->logs[who] / means->nr)
						  : -1;
	snprintf(table.refused[CONTENDER_QUIRE], sizeof(table.refused[0]), "not in all tables");
	snprintf(line.name, sizeof(line.name), "%s", what);
	snprintf(line.what, sizeof(line.what), "%s, %u programs", what, means->nr);
	snprintf(wanted, sizeof(wanted), "at most %g of mimalloc", max);
	line.wanted = wanted;
	line_print(options, &line, &table);
}
