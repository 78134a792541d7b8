/* SPDX-License-Identifier: MIT */
/* pairs_child.c - a process that measures a pattern of objects of one size; see page/patterns.inc.h */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "malloc/command.h"

int malloc_pairs(const struct subject *subject, char **arguments)
{
	static struct run run; /* workers read it until the process ends */

	run.bytes = strtoull(arguments[1], NULL, 10);
	run.threads_nr = (unsigned)atoi(arguments[2]);
	run.touch = (unsigned)atoi(arguments[3]);
	run.measure_ms = (unsigned)atoi(arguments[4]);
	if (run.threads_nr < 1 || run.threads_nr > WORKERS_MAX)
		return puts("refused a number of threads"), 0;
	shuffles_make();
	for (unsigned p = 0; p < PATTERNS_NR; p++) {
		run.pattern = (enum pattern)p;
		if (strcmp(arguments[0], pattern_names[p]) == 0)
			return runner_measure(subject->page_patterns[p], &run);
	}
	return puts("refused a pattern"), 0;
}
