/* SPDX-License-Identifier: MIT */
/* larson.c - a server: threads replace random objects, and hand all of them to their successors */
#include "malloc/stress/shape.h"

#define SLOTS_NR    5000u
#define LINES_NR    4u /* of succession */
#define LIVES_NR    80u
#define REPLACED_NR 120000u
#define SIZE_LEAST  16u
#define SIZE_MOST   1000u

struct line {
	uint64_t random;
	char *objects[SLOTS_NR];
	size_t sizes[SLOTS_NR];
};

static struct line lines[LINES_NR];

static void *server_main(void *arg)
{
	struct line *line = &lines[(uintptr_t)arg];

	for (unsigned i = 0; i < REPLACED_NR; i++) {
		unsigned at = random_below(&line->random, SLOTS_NR);
		size_t bytes = SIZE_LEAST + random_below(&line->random, SIZE_MOST - SIZE_LEAST);

		if (line->objects[at])
			shape_check(line->objects[at], line->sizes[at], at);
		free(line->objects[at]);
		line->objects[at] = shape_alloc(bytes);
		line->sizes[at] = bytes;
		shape_mark(line->objects[at], bytes, at);
	}
	return NULL;
}

void shape_larson(void)
{
	for (unsigned i = 0; i < LINES_NR; i++)
		lines[i].random = i + 1;
	for (unsigned life = 0; life < LIVES_NR; life++)
		shape_start(LINES_NR, server_main);
}
