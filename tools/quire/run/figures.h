/* SPDX-License-Identifier: MIT */
/*
 * figures.h - the figures of a run, collected while it goes on
 *
 * The program's own are in its part whatever happens.  Children's parts are looked at with each sample: what
 * one that has ended wrote is added to the figures, and its part can be taken by the next.  The peak of several
 * processes is the largest sum that a sample saw, and at least the largest peak of one of them.
 */
#ifndef QUIRE_TOOL_RUN_FIGURES_H
#define QUIRE_TOOL_RUN_FIGURES_H

#include <stdbool.h>
#include <stdint.h>

#include "run/child.h"
#include "run/identity.h"
#include "run/preload.h"

struct rows {
	int64_t bytes; /* of all rows */
	int64_t row_bytes[REPORT_ROWS_NR];
};

struct figures {
	struct rows used; /* now, or when the program ended */
	struct rows peak;
	uint64_t calls_nr, slow_nr, given_back_bytes;
	uint64_t resident_bytes; /* at the last sample */
	uint64_t resident_peak_bytes;
	uint64_t processes_nr; /* that began to count */
	uint64_t uncounted_nr; /* that found no part */
	uint64_t images_nr;    /* of the program's own process: 0 if the library never came alive */
	bool became_another;   /* and it was not in what the process was at last */
	uint32_t class_bytes[REPORT_CLASSES_NR];
};

struct collector {
	const struct preload *preload;
	pid_t pid; /* of the program */
	uint64_t
		own_bytes; /* resident in this process when it forked: in the child's peak as wait4() tells it */
	struct identity identity;
	struct figures ended; /* sums of children that have ended, and peaks */
};

void collector_begin(struct collector *collector, const struct preload *preload);
/* For child_watch(), which must have begun by then: @arg is the collector. */
void collector_sample(void *arg, uint64_t now_ns);
/* After the program's end. */
void collector_end(struct collector *collector, const struct child_end *end,
		   struct figures *figures);

#endif
