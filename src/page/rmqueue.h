/* SPDX-License-Identifier: MIT */
/* page/rmqueue.h - taking runs from the buddy, by a list of attempts */
#ifndef PAGE_RMQUEUE_H
#define PAGE_RMQUEUE_H

#include <stdint.h>

struct pages;
struct zone;

/*
 * Fills @frames with up to @n runs (state CACHED) without growing, stealing or waiting: for a
 * refill under a pcp lock.  Zero: nothing of the kind without more effort.
 */
unsigned rmqueue_bulk(struct pages *p, struct zone *zone, unsigned order, unsigned type,
		      unsigned flags, uint32_t *frames, unsigned n);
/* One run (state CACHED) from the wanted zone, then from the others, growing each and at last mixing
 * types; FRAME_NONE. */
uint32_t rmqueue_direct(struct pages *p, unsigned order, unsigned flags);

#endif
