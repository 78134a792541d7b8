/* SPDX-License-Identifier: MIT */
/* floor.c - the patterns on the floor: order 0 only */
#include "subjects/floor_pair.h"
#include "subjects/subjects.h"

#define SUBJECT_LOCALS		   (void)0
#define SUBJECT_ALLOC(order)	   ((void)(order), floor_alloc())
#define SUBJECT_FREE(block, order) ((void)(order), floor_free(block))

#include "harness/patterns.inc.h"

static void *floor_order_alloc(unsigned order)
{
	return order == 0 ? floor_alloc() : NULL;
}

static void floor_order_free(void *block, unsigned order)
{
	(void)order;
	floor_free(block);
}

const struct subject subject_floor = {
	.name = "floor",
	.order_max = 0,
	.setup = floor_setup,
	.patterns = SUBJECT_PATTERNS,
	.alloc = floor_order_alloc,
	.free = floor_order_free,
};
