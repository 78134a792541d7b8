/* SPDX-License-Identifier: MIT */
/*
 * steps.h - the events of a failing run that explain it, each with its source line and its variable
 *
 * Words
 *   turn    what one task does until another one continues
 *   step    an event that is worth a line
 *   broken  the place whose rule is broken, as far as it is known
 */
#ifndef QUIRE_EXPLORE_STEPS_H
#define QUIRE_EXPLORE_STEPS_H

#include "broken.h"
#include "names.h"

struct step {
	const struct event *event;
	struct place place;
	int score;	  /* the higher, the more it explains */
	bool is_shown;	  /* among the few that a terminal gets */
	bool is_end;	  /* the access that failed, before it was made */
	bool is_broken;	  /* touches the place that broke */
	char what[192];	  /* "pcp[0].count_pages 7 -> 3" */
	char locals[128]; /* "pages = 4" */
};

struct steps {
	struct step *step; /* in the order of the run */
	unsigned nr;
	const void *broken; /* NULL: not known */
	unsigned broken_bytes;
	char broken_name[NAME_MAX_BYTES];
};

/* Finds the steps of the trace; false without memory.  Pair: steps_free(). */
bool steps_find(struct steps *steps, const struct explore_result *result);
void steps_free(struct steps *steps);
/* Marks the best @nr as shown, and no others; fewer if the rest explains little, unless @all. */
void steps_show(struct steps *steps, unsigned nr, bool all);
/* Fills in place, what and locals. */
void steps_describe(struct step *step);
/* The place that tells a reader most: no inline function of machine/ or base/. */
struct place steps_place(uintptr_t pc);
/* Does an access touch [@addr, @addr + @bytes)? */
bool steps_touches(const struct event *event, const void *addr, size_t bytes);
/* Is @step of another turn than @before?  NULL: nothing was before. */
bool steps_new_turn(const struct step *before, const struct step *step);
/* "drain_hold < page_drain < drains_all": the function of an event and its callers. */
void steps_callers(const struct event *event, char *text, size_t room);

#endif
