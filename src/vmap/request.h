/* SPDX-License-Identifier: MIT */
/* vmap/request.h - a request for an area, and the work left to do before the area is used */
#ifndef VMAP_REQUEST_H
#define VMAP_REQUEST_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct claim;
struct vmap;

struct vmap_request {
	uint32_t usable;      /* pages that the caller asked for */
	uint32_t pages;	      /* pages with memory: as many, or rounded up to a class */
	uint32_t total;	      /* pages with the guard, rounded as the region requires */
	uint32_t align;	      /* preferred alignment in pages, a power of two */
	uint32_t align_least; /* required alignment */
	uint32_t low, high;   /* the area must lie in pages [low, high) */
	uint8_t class;
	uint8_t kind;
	bool anywhere;	   /* low and high are only a preference */
	bool frames;	   /* frames will be mapped there, so nothing is charged */
	bool class_looked; /* this CPU's areas of the class were looked at in vain */
	bool cached; /* only with memory that is charged, unless nothing pooled could serve it */
	bool merged; /* what this CPU and the lazy list held was pooled */
	unsigned flags;
	uint64_t asked_bytes;
	/* Set by the answer: what is left to do before use. */
	bool fresh; /* the range has no memory yet, so it reads zero */
	bool guard_due, unguard_due;
	bool empty_due;	     /* pages after the guard have memory that is not charged any more */
	uint32_t unguarded;  /* pages at its beginning that have no guard even if unguard_due */
	uint32_t kept;	     /* pages at its beginning that were in use before */
	bool grown_and_full; /* an area grows that is densely written */
	/* After -EAGAIN: pages whose metadata must be made ready first. */
	uint32_t unready_first, unready_end;
	/* Sections that a caller that may not wait must commit, claimed together with the
	 * addresses. */
	struct claim *claim;
	bool move_due; /* the guard is still after @old_usable pages */
	uint32_t old_usable;
};

/* Pages that @bytes need; 0 for 0. */
uint32_t vmap_asked_pages(const struct vmap *v, uint64_t bytes);
/* Fills in a request for an area of @bytes, in the region for its size.  Returns 0, -EINVAL for bad
 * flags or a size of 0, or -ENOSPC if the span is smaller. */
int vmap_request_make(const struct vmap *v, struct vmap_request *request, size_t bytes,
		      unsigned flags);

#endif
