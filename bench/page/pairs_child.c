/* SPDX-License-Identifier: MIT */
/* pairs_child.c - a process that measures a pattern of pages; see patterns.inc.h */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "harness/random.h"
#include "harness/subject.h"

const char *const pattern_names[PATTERNS_NR] = {
	[PATTERN_LIFO] = "lifo",   [PATTERN_FIFO] = "fifo",	[PATTERN_RAND] = "rand",
	[PATTERN_CHURN] = "churn", [PATTERN_REMOTE] = "remote",
};

uint16_t shuffles[SHUFFLES_NR][BULK_BLOCKS];

void shuffles_make(void)
{
	uint64_t random = 1;

	for (unsigned s = 0; s < SHUFFLES_NR; s++) {
		for (unsigned i = 0; i < BULK_BLOCKS; i++)
			shuffles[s][i] = (uint16_t)i;
		for (unsigned i = BULK_BLOCKS - 1; i > 0; i--) {
			unsigned other = random_below(&random, i + 1);
			uint16_t swapped = shuffles[s][i];

			shuffles[s][i] = shuffles[s][other];
			shuffles[s][other] = swapped;
		}
	}
}

int page_pairs(const struct subject *subject, char **arguments)
{
	static struct run run; /* workers read it until the process ends */
	const char *refused = subject->pages_setup ? subject->pages_setup() : NULL;

	run.order = (unsigned)atoi(arguments[1]);
	run.threads_nr = (unsigned)atoi(arguments[2]);
	run.touch = (unsigned)atoi(arguments[3]);
	run.measure_ms = (unsigned)atoi(arguments[4]);
	if (refused)
		return printf("refused %s\n", refused), 0;
	if (run.order > subject->order_max)
		return puts("refused this order is not offered"), 0;
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
