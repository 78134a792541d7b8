/* SPDX-License-Identifier: MIT */
/* huge/look.h - looking at how much of memory is written, and making huge pages of what is */
#ifndef HUGE_LOOK_H
#define HUGE_LOOK_H

#include <stdbool.h>
#include <stdint.h>

#include "machine/mem.h"

struct huge_map;

/* Counts the pages that were written in at most HUGE_STRETCHES_MAX stretches.  False: the system cannot
 * tell. */
#define HUGE_STRETCHES_MAX 32u
bool huge_count_written(const struct mem_stretches *stretches, uint64_t *written);

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
