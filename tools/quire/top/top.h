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
#define HISTORY_NR	60u /* seconds */

enum top_view {
	VIEW_MAIN,
	VIEW_SIZES, /* slabs by size of object */
	VIEW_ORDERS,
	VIEW_CPUS,
	VIEW_BLOCKS, /* maps of pageblocks and of per-CPU chunks */
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
	struct seen first; /* of the same program */
	bool has_before;
	double seconds;		 /* between the two */
	uint64_t resident_bytes; /* now; 0: cannot be told */
	uint64_t used_bytes;	 /* now */
	/* The most of each second; the last is used[(used_nr - 1) % HISTORY_NR], in which the last look was. */
	uint64_t used[HISTORY_NR];
	unsigned used_nr;
	uint64_t second;
	uint64_t given_back;	   /* since the first look */
	uint64_t given_back_at_ns; /* when the last of it was seen; 0: never */
	double given_back_ago;	   /* seconds from then to the last look */
};

struct top_screen {
	unsigned lines, columns; /* asked for */
	unsigned skip; /* lines of the view that are left out above, below the first of all */
	bool utf8;
	unsigned body; /* lines that the view has, but for the first of all */
	unsigned used; /* lines that are filled */
	char line[TOP_LINES_MAX][TOP_COLUMNS_MAX * 4]; /* UTF-8, at most @columns wide */
	bool is_bold[TOP_LINES_MAX];
};

/* Says that memory in use rises and does not fall back, and what of it rose most; a line each, returns how many. */
#define GROWTH_LINES_MAX 2u
unsigned top_growth(const struct top_state *state, char lines[GROWTH_LINES_MAX][160]);
/* Looks again.  0, or seen_find()'s error; the state is then as it was. */
int top_look(const struct seen_wanted *wanted, struct top_state *state);
/* Fills the screen. */
void top_draw(const struct top_state *state, enum top_view view, struct top_screen *screen);
/* One line of JSON: the process, when it wrote them, and its figures. */
void top_print_json(const struct top_state *state);
/* Looks again, and again some times if its page cannot be read, as while the process becomes another program. */
int top_look_patiently(const struct top_options *options, struct top_state *state);
/* The terminal's loop.  0, seen_find()'s error if the process was lost, or -ENOTTY, having said so, if it cannot draw on this terminal. */
int top_terminal(const struct top_options *options, struct top_state *state);

#endif
