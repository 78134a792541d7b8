/* SPDX-License-Identifier: MIT */
/* sizes.c - two threads replace random objects of 16 bytes to 64 KiB, 64 MiB of which are live */
#include "malloc/sizes.h"
#include "malloc/stress/shape.h"

#define SLOTS_NR    4000u
#define REPLACED_NR 4000000u
#define DOUBLINGS   12u

static void *thread_main(void *arg)
{
	static char *objects[SHAPE_THREADS][SLOTS_NR];
	static size_t sizes[SHAPE_THREADS][SLOTS_NR];
	uintptr_t self = (uintptr_t)arg;
	uint64_t random = self + 1;

	for (unsigned i = 0; i < REPLACED_NR; i++) {
		unsigned at = random_below(&random, SLOTS_NR);
		size_t bytes = size_random(&random, DOUBLINGS);

		if (objects[self][at])
			shape_check(objects[self][at], sizes[self][at], at);
		free(objects[self][at]);
		objects[self][at] = shape_alloc(bytes);
		sizes[self][at] = bytes;
		shape_mark(objects[self][at], bytes, at);
	}
	for (unsigned i = 0; i < SLOTS_NR; i++)
		free(objects[self][i]);
	return NULL;
}

void shape_sizes(void)
{
	shape_start(SHAPE_THREADS, thread_main);
}
