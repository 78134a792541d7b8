/* SPDX-License-Identifier: MIT */
/* malloc/count.h - what the heap holds: count.c */
#ifndef MALLOC_COUNT_H
#define MALLOC_COUNT_H

#include <stdint.h>

struct figure_values;

/* Exact while no other thread allocates or frees. */
struct malloc_count {
	uint64_t blocks;     /* in use */
	uint64_t bytes;	     /* in them */
	uint64_t free_bytes; /* in others, that can be handed out without asking the system */
};

/* Of a class.  Zero while there is no heap. */
void malloc_count_class(unsigned class, struct malloc_count *count);
/* Of all small blocks, and of large ones, from the figures of slabs and of areas, and from what malloc has elsewhere: large
 * blocks that are runs of pages, and blocks of the sample. */
void malloc_count_small(const struct figure_values *values, struct malloc_count *count);
void malloc_count_large(const struct figure_values *values, struct malloc_count *count);
/* Bytes of pages that the system has given for small blocks, slabs' rests and free pages included, but not large
 * blocks that are runs of pages; and of those, in free pages. */
uint64_t malloc_page_bytes(const struct figure_values *values, uint64_t *free_bytes);

#endif
