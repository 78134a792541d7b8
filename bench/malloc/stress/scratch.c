/* SPDX-License-Identifier: MIT */
/*
 * scratch.c - passive false sharing
 *
 * The main thread allocates one small object for each thread; a thread frees its own, and then allocates
 * objects of that size, writes them again and again, and frees them.  A library that hands out the
 * neighbours of the first ones has threads share cache lines.
 */
#include "malloc/stress/shape.h"

#define BYTES	   8u
#define OBJECTS_NR 60000u
#define WRITES_NR  10000u

static char *first[SHAPE_THREADS];

static void *thread_main(void *arg)
{
	free(first[(uintptr_t)arg]);
	for (unsigned i = 0; i < OBJECTS_NR; i++) {
		volatile char *object = shape_alloc(BYTES);

		for (unsigned write = 0; write < WRITES_NR; write++)
			object[write % BYTES] = (char)(object[write % BYTES] + 1);
		free((void *)(uintptr_t)object);
	}
	return NULL;
}

void shape_scratch(void)
{
	for (unsigned i = 0; i < SHAPE_THREADS; i++)
		first[i] = shape_alloc(BYTES);
	shape_start(SHAPE_THREADS, thread_main);
}
