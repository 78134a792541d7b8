/* SPDX-License-Identifier: MIT */
/*
 * measure.h - putting one question to all contenders, and printing the lines of its table
 *
 * Each sample is taken in a process of its own (subject.h), so that no subject is affected by the
 * caches, the address space or the free lists of another.  Contenders take turns: each round has
 * one sample of each, and starts with another contender than the round before.
 *
 * Words
 *   ask    the command for such a process
 *   value  a number of its reply; a negative number means that it was not measured
 *   table  the values of all contenders, by round
 *   line   one figure for all contenders: medians of a value, ratios within a round, and the verdict
 */
#ifndef BENCH_MEASURE_H
#define BENCH_MEASURE_H

#include "harness/bench.h"

#define VALUES_NR 10u

#define BIT(who) (1u << (who))

struct ask {
	const char *argv[8]; /* the command */
	const char *options; /* Quire's, beside guard:on or guard:off; or NULL */
	unsigned left_out;   /* BIT() of each contender to leave out */
	bool has_stolen;     /* values[0] is the share of time that other processes took */
	unsigned values_nr;
	unsigned reps;	     /* 0: as the options say */
	size_t memory_bytes; /* touched before each sample, so that the host provides it */
	bool together; /* all at once, in memory cgroups: the command takes LOCK and USAGE too */
	bool launches; /* the command takes LIBRARY too, for the program that it starts, and is not
			  preloaded itself */
};

struct table {
	unsigned reps;
	bool has_group; /* usage comes from the cgroup */
	double values[CONTENDERS_NR][REPS_MAX][VALUES_NR];
	char refused[CONTENDERS_NR][96]; /* the last reason */
};

/* A limit of 0 is not checked. */
struct line {
	char name[64]; /* in the CSV */
	char what[96];
	unsigned value;
	double scale;	  /* the value is multiplied by it; 0: 1 */
	double max;	  /* of Quire */
	double net_max;	  /* of Quire less the floor in the same round */
	double floor_max; /* of Quire to the floor in the same round */
	double peer_max;  /* of Quire to the best peer in the same round */
	bool is_net;	  /* peer_max is of both, less the floor in the same round */
	double flat_max;  /* of net, to flat_base */
	double flat_base; /* net of one thread; 0: it was not measured */
	const char *unit; /* of max in a verdict; NULL: none */
	const char *wanted;
	const char *note; /* NULL, or why there is no verdict */
};

/* Contents of the extra column. */
enum floor_column {
	FLOOR_NONE,
	FLOOR_NET,   /* Quire less the floor, where the line has net_max */
	FLOOR_RATIO, /* Quire to the floor */
};

void measure(const struct options *options, const struct ask *ask, const bool *there,
	     struct table *table);
/* Refuses samples whose value @peak is not @kib above value @begin, since they wrote too little. */
void peak_reject(struct table *table, unsigned begin, unsigned peak, double kib);
struct spread table_spread(const struct table *table, unsigned who, unsigned value);
/* Begins a table with a column for each contender whose BIT() is not in @left_out.  Lines follow by
 * line_print(). */
void table_head(const char *title, unsigned left_out, enum floor_column floor);
/* Prints the line and its verdict; returns net, 0 if it was not measured. */
double line_print(const struct options *options, const struct line *line,
		  const struct table *table);
/* True if --rows chooses @name. */
bool row_chosen(const struct options *options, const char *name);
/* "64 KiB", "16 MiB" */
const char *size_text(size_t bytes, char *text, size_t text_bytes);

#endif
