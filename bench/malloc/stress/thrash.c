/* SPDX-License-Identifier: MIT */
/* thrash.c - active false sharing: threads that begin together allocate, write and free small objects,
 * a few at a time */
#include "malloc/stress/shape.h"

#define BYTES	  8u
#define HELD_NR	  4u
#define ROUNDS_NR 150000u
#define WRITES_NR 3000u

static void *thread_main(void *arg)
{
	(void)arg;
	for (unsigned i = 0; i < ROUNDS_NR; i++) {
		volatile char *held[HELD_NR];

		for (unsigned h = 0; h < HELD_NR; h++) {
			held[h] = shape_alloc(BYTES);
			*held[h] = 0;
		}
		for (unsigned write = 0; write < WRITES_NR; write++) {
			volatile char *object = held[write % HELD_NR];

			object[write % BYTES] = (char)(object[write % BYTES] + 1);
		}
		for (unsigned h = 0; h < HELD_NR; h++)
			free((void *)(uintptr_t)held[h]);
	}
	return NULL;
}

void shape_thrash(void)
{
	shape_start(SHAPE_THREADS, thread_main);
}
