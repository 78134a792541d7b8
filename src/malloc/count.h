/* SPDX-License-Identifier: MIT */
/* malloc/count.h - what the heap holds: count.c */
#ifndef MALLOC_COUNT_H
#define MALLOC_COUNT_H

#include <stdint.h>

/* Exact while no other thread allocates or frees. */
struct malloc_count {
	uint64_t blocks;     /* in use */
	uint64_t bytes;	     /* in them */
	uint64_t free_bytes; /* in others, that can be handed out without asking the system */
};

/* Of a class; of all; of large blocks.  Zero while there is no heap. */
void malloc_count_class(unsigned class, struct malloc_count *count);
void malloc_count_small(struct malloc_count *count);
void malloc_count_large(struct malloc_count *count);
/* Bytes of pages that the system has given for small blocks, slabs' rests and free pages included, but not large
 * blocks that are runs of pages; and of those, in free pages. */
uint64_t malloc_page_bytes(uint64_t *free_bytes);

#endif
