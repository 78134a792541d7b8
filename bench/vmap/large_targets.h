/* SPDX-License-Identifier: MIT */
/* large_targets.h - the figures of large memory that are wanted; targets.c has the others */
#ifndef BENCH_LARGE_TARGETS_H
#define BENCH_LARGE_TARGETS_H

#include "vmap/large.h"

/* Of the question "large". */
struct large_row {
	enum large_pattern pattern;
	size_t bytes;
	unsigned threads_nr;
	unsigned written;
	double net_max;
	double flat_max;
	double peer_max;
	const char *wanted;
};

extern const struct large_row large_rows[];
extern const unsigned large_rows_nr;

/* Of the question "replace". */
struct large_ops_row {
	size_t bytes;
	const char *first_nr;
	const char *steady_nr;
	double first_peer_max;
	double steady_peer_max;
	double worst_peer_max;
	const char *wanted[3];
};

extern const struct large_ops_row large_ops_rows[];
extern const unsigned large_ops_rows_nr;

#define LARGE_HALF_MIB_MAX    262.0
#define LARGE_HALF_NS_MAX     100.0
#define LARGE_TAIL_US_MAX     60.0
#define LARGE_TLB_MAX	      2.0
#define LARGE_RELEASE_MIB_MAX 8.0

#endif
