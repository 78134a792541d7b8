/* SPDX-License-Identifier: MIT */
/* sides.h - two outcomes of one plan, A's and B's, figure by figure */
#ifndef QUIRE_TOOL_SIDES_H
#define QUIRE_TOOL_SIDES_H

#include <stdbool.h>

#include "replay/outcome.h"

/* One of a kind of allocation; less of it is better, or it only explains another. */
struct side_figure {
	const char *name;
	double (*of)(const struct outcome *outcome);
};

struct side_mark_figure {
	const char *name;
	double (*of)(const struct outcome *outcome, uint32_t mark);
};

/* Each list ends with a name that is NULL. */
const struct side_figure *side_figures(enum katr_kind kind);
const struct side_mark_figure *side_mark_figures(enum katr_kind kind);

#endif
