/* SPDX-License-Identifier: MIT */
/* instance/relief.h - what the worker does when memory is short: relief.c */
#ifndef INSTANCE_RELIEF_H
#define INSTANCE_RELIEF_H

#include <stdint.h>

struct quire;

/* What the modules say of their memory. */
struct relief {
	uint64_t held_bytes;	/* of the system's memory, in use or not */
	uint64_t lacking_bytes; /* that should be available below the limit, and are not */
	uint64_t
		exceeding_bytes; /* held beyond what the system permits, after it lowered a limit */
};

/* The worker's, with no lock held, before its visit.  May call the program's shrinkers. */
void relief_run(struct quire *q, uint64_t now_ns);

#endif
