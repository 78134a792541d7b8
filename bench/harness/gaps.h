/* SPDX-License-Identifier: MIT */
/* gaps.h - a histogram of times between operations: sixteen steps of at most 6 % per doubling */
#ifndef BENCH_GAPS_H
#define BENCH_GAPS_H

#include <stdint.h>

#define GAP_STEPS 16u

struct gaps {
	uint64_t nr;
	uint64_t counts[GAP_STEPS * 61];
};

static inline unsigned gap_index(uint64_t ns)
{
	unsigned doublings;

	if (ns < GAP_STEPS)
		return (unsigned)ns;
	doublings = 63 - (unsigned)__builtin_clzll(ns);
	return (doublings - 3) * GAP_STEPS + (unsigned)(ns >> (doublings - 4) & (GAP_STEPS - 1));
}

static inline uint64_t gap_floor(unsigned index)
{
	unsigned doublings = index / GAP_STEPS + 3;

	if (index < GAP_STEPS)
		return index;
	return (GAP_STEPS | (uint64_t)(index & (GAP_STEPS - 1))) << (doublings - 4);
}

static inline void gaps_add(struct gaps *gaps, uint64_t ns)
{
	gaps->counts[gap_index(ns)]++;
	gaps->nr++;
}

/* The longest gap, leaving out the longest 1/@one_in of all gaps. */
static inline uint64_t gaps_top(const struct gaps *gaps, uint64_t one_in)
{
	uint64_t above = 0;

	for (unsigned i = GAP_STEPS * 61; i-- > 0;) {
		above += gaps->counts[i];
		if (above > gaps->nr / one_in)
			return gap_floor(i);
	}
	return 0;
}

#endif
