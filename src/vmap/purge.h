/* SPDX-License-Identifier: MIT */
/* vmap/purge.h - purging freed areas, many in one gather */
#ifndef VMAP_PURGE_H
#define VMAP_PURGE_H

#include <stdbool.h>
#include <stdint.h>

struct range;
struct vmap;

#define EVERYTHING_MS UINT32_MAX /* as before_ms: whatever the age */
/*
 * Purges all lazy ranges.  Also purges pooled ranges that were pooled at @before_ms or earlier,
 * oldest first, until at most @keep_pages are pooled.  Returns the number of pages, or 0 at once
 * if another purge is in flight: a caller that must wait for it calls resort_try().
 */
uint64_t purge_run(struct vmap *v, uint32_t before_ms, uint64_t keep_pages);
/* The same with the number of pages in *@pages.  False if another purge is in flight: nothing was purged. */
bool purge_try(struct vmap *v, uint32_t before_ms, uint64_t keep_pages, uint64_t *pages);
/* Pages of purged areas, as quire/vmap.h counts them. */
struct purged {
	uint64_t area_pages;  /* of areas with memory of their own */
	uint64_t alias_pages; /* of mappings of other pages */
};
/* Purges everything that is lazy or pooled.  Requires purge_mutex. */
struct purged purge_everything(struct vmap *v);
/* Adds a chain of freed areas to the pooled ranges. */
void purge_pool_chain(struct vmap *v, uint32_t chain);
/* Moves up to @most lazy areas back to the pooled ranges, unless a purge is in flight.  Returns how
 * many. */
unsigned purge_rescue(struct vmap *v, unsigned most);

/* Sorts a chain by address.  Returns its head. */
uint32_t purge_sort(struct vmap *v, uint32_t chain);
/* Returns the ranges of a sorted chain before @end. */
void purge_return(struct vmap *v, uint32_t chain, uint32_t end);

/* What a probe says of a purge: how many areas, and between which pages they lay. */
struct purge_extent {
	uint32_t low, high; /* .low begins as UINT32_MAX */
	uint64_t areas;
};
void purge_extend(struct purge_extent *extent, const struct range *r);
/* Passes the probe, if there were any areas. */
void purge_say(const struct vmap *v, const struct purge_extent *extent);

#endif
