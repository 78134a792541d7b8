/* SPDX-License-Identifier: MIT */
/* counterexample.h - a finding to read: on a terminal, and as a page */
#ifndef QUIRE_EXPLORE_COUNTEREXAMPLE_H
#define QUIRE_EXPLORE_COUNTEREXAMPLE_H

#include "steps.h"

#define LANES_MAX 8u /* tasks that get a column; others share the last one */

struct counterexample {
	const struct explore_result *result;
	const char *scenario;
	char claim[1024];	      /* its comment; "" if that is not to be had */
	const struct race_rule *race; /* NULL: none */
	const char *meaning;	      /* of the detector; NULL: none */
	const char *invariant;	      /* NULL: none */
	char invariant_label[8];
	struct steps steps;
	uint8_t lane[TASKS_MAX];
	uint8_t task_of[LANES_MAX];
	unsigned lanes_nr;
};

/*
 * Prints the finding, in at most 40 lines of at most 100 columns together with the command that repeats it; into
 * @html, unless it is NULL, the whole of it.  @option is the option that changed the core, or NULL.  Without debug
 * information it is what report_columns() prints.
 */
void counterexample_report(const struct explore_result *result, const struct sim_test *test,
			   const char *option, FILE *html);

/* page.c */
void page_write(struct counterexample *c, FILE *out);

#endif
