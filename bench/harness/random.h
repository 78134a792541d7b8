/* SPDX-License-Identifier: MIT */
/* random.h - a generator so fast that its next step overlaps with the measured operation */
#ifndef BENCH_RANDOM_H
#define BENCH_RANDOM_H

#include <stdint.h>

/* Knuth's linear congruential generator; the upper half is good enough to choose a victim. */
static inline uint32_t random_below(uint64_t *state, uint32_t bound)
{
	*state = *state * 6364136223846793005u + 1442695040888963407u;
	return (uint32_t)(((*state >> 32) * bound) >> 32);
}

#endif
