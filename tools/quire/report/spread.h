/* SPDX-License-Identifier: MIT */
/*
 * spread.h - how values are spread: sizes, lifetimes, latencies
 *
 * Eight counters for each power of two, each with the largest value that it counted: a percentile is never below the true
 * one, and above it by at most an eighth.
 */
#ifndef QUIRE_TOOL_REPORT_SPREAD_H
#define QUIRE_TOOL_REPORT_SPREAD_H

#include <stdint.h>

#define SPREAD_STEPS	8u
#define SPREAD_COUNTERS (64u * SPREAD_STEPS)

struct spread {
	uint64_t nr;
	uint64_t max;
	uint64_t counters[SPREAD_COUNTERS];
	uint64_t largest[SPREAD_COUNTERS];
};

void spread_add(struct spread *spread, uint64_t value);
/* A value that was counted, and that @share of all are at most.  0 if there are none. */
uint64_t spread_at(const struct spread *spread, double share);
/* How many are in [2^power, 2^(power + 1)); 0 and 1 count as 1. */
uint64_t spread_of_power(const struct spread *spread, unsigned power);

#endif
