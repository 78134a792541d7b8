/* SPDX-License-Identifier: MIT */
/*
 * large_table.h - one question put to all who take part, and the lines of a table from it
 *
 * Words
 *   ask    what a child of large.h is told
 *   value  a number of its reply; below zero: it was not measured
 *   table  the values of all, by round
 */
#ifndef BENCH_LARGE_TABLE_H
#define BENCH_LARGE_TABLE_H

#include "harness/bench.h"

#define LARGE_NR      8u
#define LARGE_VALUES  10u
#define LARGE_QUIRE   0u /* guard:off, as the peers have none */
#define LARGE_GUARDED 1u
#define LARGE_FLOOR   2u

struct large_contender {
	const struct contender *as;
	const char *options; /* Quire's; NULL: not Quire */
	const char *options_cache_off;
};

extern const struct large_contender large_contenders[LARGE_NR];

struct large_ask {
	const char *argv[6]; /* the command */
	bool cache_off;	     /* Quire's option: every free is lazy */
	unsigned stolen_at;  /* which value is the share taken by others */
	unsigned values_nr;
	unsigned reps;	     /* 0: as the options say */
	size_t memory_bytes; /* touched before each sample, so that the host has it ready */
	bool together; /* all at once, in memory cgroups: the command takes LOCK and USAGE too */
	bool no_floor;
	bool keep; /* no sample is refused for time that was taken */
};

struct large_table {
	unsigned reps;
	bool has_group; /* usage is the cgroup's */
	double values[LARGE_NR][REPS_MAX][LARGE_VALUES];
	char refused[LARGE_NR][96]; /* the last reason */
};

/* One figure of all: a line.  Limits of 0 are not asked. */
struct large_line {
	char name[64]; /* in the CSV */
	char what[96];
	unsigned value;
	double scale;	  /* the value is multiplied by it; 0: 1 */
	double max;	  /* of Quire */
	double net_max;	  /* of Quire less the floor in the same round */
	double peer_max;  /* of Quire to the best peer in the same round */
	double flat_max;  /* of net, to flat_base */
	double flat_base; /* net of one thread; 0: it was not measured */
	const char *wanted;
	const char *note; /* NULL, or why there is no verdict */
};

void large_probe(bool *there);
void large_measure(const struct options *options, const struct large_ask *ask, const bool *there,
		   struct large_table *table);
struct spread large_spread(const struct large_table *table, unsigned who, unsigned value);
void large_head(const char *title);
/* Prints the line and its verdict; returns net, 0 if it was not measured. */
double large_print(const struct options *options, const struct large_line *line,
		   const struct large_table *table);
/* True if --rows chooses @name. */
bool large_chosen(const struct options *options, const char *name);
/* "64 KiB", "16 MiB" */
const char *large_size_text(size_t bytes, char *text, size_t text_bytes);

#endif
