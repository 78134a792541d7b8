/* SPDX-License-Identifier: MIT */
/*
 * top.h - `quire top`: an observed process, live
 *
 * A view is lines of text, made from two looks at the page of a process. The terminal shows them, and so
 * does --batch, so that what people see is what tests read.
 */
#ifndef QUIRE_TOOL_TOP_H
#define QUIRE_TOOL_TOP_H

#include <stdbool.h>
#include <stdint.h>

#include "stats/seen.h"

#define TOP_COLUMNS_MIN 80
#define TOP_LINES_MIN	24
#define TOP_COLUMNS_MAX 256
#define TOP_LINES_MAX	128
#define HISTORY_NR	60u /* looks: a minute, at one a second */

enum top_view {
	VIEW_MAIN,
	VIEW_SIZES, /* slabs by size of object */
	VIEW_ORDERS,
	VIEW_CPUS,
	VIEW_AREAS,
	VIEW_FIGURES,
	VIEW_HELP,
	VIEWS_NR,
};

struct top_options {
	struct seen_wanted wanted;
	bool batch, json;
	unsigned looks; /* 0: until stopped */
	double delay_seconds;
};

/* What was seen of the process so far. */
struct top_state {
	struct seen now, before;
	bool has_before;
	double seconds;		 /* between the two */
	uint64_t resident_bytes; /* now; 0: cannot be told */
	uint64_t used[HISTORY_NR];
	unsigned used_nr;      /* of all looks; the last is used[(used_nr - 1) % HISTORY_NR] */
	uint64_t given_back;   /* since the first look */
	double given_back_ago; /* seconds since anything was; below 0: never */
};

struct top_screen {
	unsigned lines, columns; /* asked for */
	bool utf8;
	unsigned used;				       /* lines that are filled */
	char line[TOP_LINES_MAX][TOP_COLUMNS_MAX * 4]; /* UTF-8, at most @columns wide */
	bool is_bold[TOP_LINES_MAX];
};

/* Looks again.  0, or seen_find()'s error; the state is then as it was. */
int top_look(const struct seen_wanted *wanted, struct top_state *state);
/* Fills the screen. */
void top_draw(const struct top_state *state, enum top_view view, struct top_screen *screen);
/* One line of JSON: time of the look, rates, figures. */
void top_print_json(const struct top_state *state);
/* The terminal's loop: exit status 0, or 1 if the process was lost. */
int top_terminal(const struct top_options *options, struct top_state *state);

#endif
