/* SPDX-License-Identifier: MIT */
/* threads.c - short threads, one after the other, each of which leaves some objects to its starter */
#include "malloc/stress/shape.h"

#define THREADS_NR 12000u
#define OBJECTS_NR 400u
#define LEFT_ONE   8u /* in so many */
#define LEFT_NR	   (OBJECTS_NR / LEFT_ONE)

static char *left[2][LEFT_NR];

static void *thread_main(void *arg)
{
	char **mine = left[(uintptr_t)arg];
	char *objects[OBJECTS_NR];

	for (unsigned i = 0; i < OBJECTS_NR; i++) {
		objects[i] = shape_alloc(16 + i);
		shape_mark(objects[i], 16 + i, i);
	}
	for (unsigned i = 0; i < OBJECTS_NR; i++) {
		if (i % LEFT_ONE == 0) {
			mine[i / LEFT_ONE] = objects[i];
			continue;
		}
		shape_check(objects[i], 16 + i, i);
		free(objects[i]);
	}
	return NULL;
}

void shape_threads(void)
{
	for (unsigned round = 0; round < THREADS_NR / 2; round++) {
		shape_start(2, thread_main);
		for (unsigned i = 0; i < LEFT_NR; i++)
			for (unsigned of = 0; of < 2; of++) {
				shape_check(left[of][i], 16 + i * LEFT_ONE, i * LEFT_ONE);
				free(left[of][i]);
			}
	}
}
