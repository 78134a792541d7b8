/* SPDX-License-Identifier: MIT */
/* huge/look.h - looking at how much of memory is written, and making huge pages of what is */
#ifndef HUGE_LOOK_H
#define HUGE_LOOK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct huge_map;

/* Of the pages that were looked at, how many were written. */
struct huge_sample {
	uint64_t written, seen; /* nothing is seen if the system cannot tell */
};

/* Looks at @pages of @page_bytes from @addr on; of many, at stretches that are spread evenly.  One system call. */
struct huge_sample huge_sample(const char *addr, uint32_t pages, size_t page_bytes);

/* In one visit of the worker: 16 looks take 80 us, and 4 huge pages 1.6 ms, for which a caller that gives
 * memory back may have to wait. */
#define HUGE_LOOKS_MAX	   16u
#define HUGE_COLLAPSES_MAX 4u

struct huge_visit {
	unsigned looks, collapsed;
};

/* False if the visit is not worth its while, since the system gives no huge pages. */
bool huge_visit_begin(struct huge_visit *visit);
static inline bool huge_visit_is_over(const struct huge_visit *visit)
{
	return visit->looks >= HUGE_LOOKS_MAX || visit->collapsed >= HUGE_COLLAPSES_MAX;
}
/* Looks at how much of a block is written, and makes it a huge page if that was much at two looks.  No
 * part of the block is given back meanwhile.  Takes the map's mutex for the look alone.  Three system calls,
 * and one of 0.4 ms for a huge page; none if the block has the advice. */
void huge_look(struct huge_map *map, uint32_t block, struct huge_visit *visit);

#endif
