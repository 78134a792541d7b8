/* SPDX-License-Identifier: MIT */
/* targets.h - wanted figures for large blocks */
#ifndef BENCH_VMAP_TARGETS_H
#define BENCH_VMAP_TARGETS_H

#include "harness/runner.h"

/* Of the question "large". */
struct area_row {
	enum area_pattern pattern;
	size_t bytes;
	unsigned threads_nr;
	unsigned written;
	unsigned first_nr; /* pairs after the fill; 0: after a warm-up */
	double net_max;
	double flat_max;
	double peer_max;
	const char *wanted;
};

extern const struct area_row area_rows[];
extern const unsigned area_rows_nr;

/* Of the question "replace". */
struct replace_row {
	size_t bytes;
	const char *first_nr;
	const char *steady_nr;
	double first_peer_max;
	double steady_peer_max;
	double worst_peer_max;
	const char *wanted[3];
};

extern const struct replace_row replace_rows[];
extern const unsigned replace_rows_nr;

/* Of the question "sparse". */
struct sparse_row {
	size_t bytes;
	const char *first_nr;
	const char *nr;
	unsigned written;
	unsigned reps;
	double peer_max;
	double mib_max;
	const char *wanted[2];
};

extern const struct sparse_row sparse_rows[];
extern const unsigned sparse_rows_nr;

#define AREAS_HALF_MIB_MAX 262.0
#define AREAS_HALF_NS_MAX  100.0
#define AREAS_TAIL_US_MAX  60.0
#define AREAS_TLB_MAX	   2.0

#endif
