/* SPDX-License-Identifier: MIT */
/* vmap/dense.h - which addresses get huge pages */
#ifndef VMAP_DENSE_H
#define VMAP_DENSE_H

#include <stdbool.h>
#include <stdint.h>

struct range;
struct vmap_request;
struct vmap;

/* Regions of the span for areas by size, so that huge pages are used where they pay. */
enum region {
	REGION_SMALL,  /* below 64 KiB: no huge pages */
	REGION_MIDDLE, /* below 2 MiB: several areas share a huge page */
	REGION_LARGE,  /* aligned to 2 MiB */
	REGIONS_NR,
};

/* What is known about how densely a region's areas are written: dense.c. */
struct dense {
	uint32_t witness_start, witness_pages; /* still to be examined; 0 pages: no witness */
	uint32_t interval, until_probe;	       /* huge runs from one witness to the next */
	uint32_t turn;			       /* of a run's blocks: which is the witness */
	bool was_dense;			       /* atomic, relaxed */
};

/* Advises huge pages for the blocks that only this fresh range uses, as huge_decide() says. */
void dense_advise(struct vmap *v, const struct range *range, const struct vmap_request *request);
/* Advises huge pages for the blocks of a range that is used again with its memory, and which has them for
 * itself, as huge_decide() says. */
void dense_reuse(struct vmap *v, const struct range *range, unsigned flags);
/* Pages [from, end) are free.  Those of their blocks in which nobody has a page are settled as
 * huge_whole_went() says. */
void dense_went(struct vmap *v, uint32_t from, uint32_t end);
/* Examines the witnesses before a purge removes the evidence. */
void dense_look(struct vmap *v);
/* True if @range, which has grown from @old_pages pages, of which @old_usable were usable, into another
 * section, was densely written.  Also false if that does not matter. */
bool dense_is_full(struct vmap *v, const struct range *range, uint32_t old_pages,
		   uint32_t old_usable);
/* If no area is in use or cached: gives the whole span the same advice, which merges its
 * mappings. */
void dense_settle(struct vmap *v);

/* The worker's: looks at some sections without huge pages, and makes those huge that were found written
 * twice.  Requires purge_mutex. */
void dense_collapse(struct vmap *v);

#endif
