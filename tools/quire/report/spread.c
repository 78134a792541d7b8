/* SPDX-License-Identifier: MIT */
#include "report/spread.h"

/* 1 -> 0, 8 -> 24, 9 -> 25, 16 -> 32. */
static unsigned counter_of(uint64_t value)
{
	unsigned power = value > 1 ? 63 - (unsigned)__builtin_clzll(value) : 0;
	uint64_t above = value > 1 ? value - ((uint64_t)1 << power) : 0;
	/* The three bits behind the first. */
	unsigned step = (unsigned)(power >= 3 ? above >> (power - 3) : above << (3 - power));

	return power * SPREAD_STEPS + step;
}

void spread_add(struct spread *spread, uint64_t value)
{
	unsigned counter = counter_of(value);

	spread->counters[counter]++;
	spread->nr++;
	if (value > spread->largest[counter])
		spread->largest[counter] = value;
	if (value > spread->max)
		spread->max = value;
}

uint64_t spread_at(const struct spread *spread, double share)
{
	/* Most shares, such as 0.29, have no exact double: a value more must not be asked for because of that. */
	double wanted = share * (double)spread->nr * (1 - 1e-12);
	uint64_t seen = 0;

	for (unsigned i = 0; i < SPREAD_COUNTERS; i++) {
		seen += spread->counters[i];
		if (spread->counters[i] != 0 && (double)seen >= wanted)
			return spread->largest[i];
	}
	return spread->max;
}

uint64_t spread_of_power(const struct spread *spread, unsigned power)
{
	uint64_t nr = 0;

	for (unsigned i = 0; i < SPREAD_STEPS; i++)
		nr += spread->counters[power * SPREAD_STEPS + i];
	return nr;
}
