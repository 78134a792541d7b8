/* SPDX-License-Identifier: MIT */
/* page/rmqueue.h - taking runs from the buddy, by a list of attempts */
#ifndef PAGE_RMQUEUE_H
#define PAGE_RMQUEUE_H

#include <stdint.h>

struct page_request;
struct pages;
struct zone;

/*
 * Fills @frames with up to @n runs (state CACHED) in one hold of the zone lock, without growing the zone;
 * a refill calls it under a pcp lock.  Returns how many: 0 if the zone has no such run, or if the request
 * may only try locks and was refused.
 */
unsigned rmqueue_bulk(struct pages *p, struct zone *zone, const struct page_request *request,
		      uint32_t *frames, unsigned n);
/* Takes one run (state CACHED) from the request's zone, else from the others, unless it names its zone.  Each
 * grows if it must, and mixes types last.  Returns FRAME_NONE if none has one. */
uint32_t rmqueue_direct(struct pages *p, const struct page_request *request);

#endif
