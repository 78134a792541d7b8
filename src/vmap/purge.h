/* SPDX-License-Identifier: MIT */
/* vmap/purge.h - taking the memory of freed areas away, in one gather for many */
#ifndef VMAP_PURGE_H
#define VMAP_PURGE_H

#include <stdbool.h>
#include <stdint.h>

struct vmap;

#define EVERYTHING_MS UINT32_MAX /* no age at all: everything */
/*
 * Purges what is lazy, and the oldest pooled ranges that came at @before_ms or earlier, while more
 * than @keep_pages are pooled.  @wait: also for a purge in flight.  Returns pages.
 */
uint64_t purge_run(struct vmap *v, uint32_t before_ms, uint64_t keep_pages, bool wait);
/* Pages of areas that were purged, as quire/vmap.h counts them. */
struct purged {
	uint64_t area_pages;  /* that had memory */
	uint64_t alias_pages; /* behind which stood somebody's pages */
};
/* Under purge_mutex: all that is lazy or pooled. */
struct purged purge_everything(struct vmap *v);
/* Puts a chain of freed areas (CACHED) among the pooled ranges. */
void purge_pool_chain(struct vmap *v, uint32_t chain);
/* Takes lazy areas back among the pooled ranges, if no purge is at work.  Returns how many. */
unsigned purge_rescue(struct vmap *v, unsigned most);

/* The chain by address. */
uint32_t purge_sort(struct vmap *v, uint32_t chain);
/* Returns the ranges of a sorted chain before @end. */
void purge_return(struct vmap *v, uint32_t chain, uint32_t end);

#endif
