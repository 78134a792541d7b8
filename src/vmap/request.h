/* SPDX-License-Identifier: MIT */
/* vmap/request.h - what an area is wanted like, and what its answer needs before use */
#ifndef VMAP_REQUEST_H
#define VMAP_REQUEST_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct claim;
struct vmap;

struct vmap_request {
	uint32_t usable;      /* pages asked for */
	uint32_t pages;	      /* to have memory: the same, or what the class has */
	uint32_t total;	      /* with the guard, and rounded as the region asks */
	uint32_t align;	      /* pages, a power of two: wished for */
	uint32_t align_least; /* the same: asked for */
	uint32_t low, high;   /* it lies in these pages */
	uint8_t class;
	uint8_t kind;
	bool anywhere; /* low and high are only a preference */
	bool frames;   /* what will be behind it is somebody's already: nothing is charged */
	unsigned flags;
	uint64_t asked_bytes;
	/* What the answer needs before use. */
	bool fresh; /* nothing is behind it: it reads zero */
	bool guard_due, unguard_due;
	uint32_t kept;	     /* pages at its beginning that were in use before */
	bool grown_and_full; /* it grows an area that is written */
	/* After -EAGAIN: pages whose description has to be made ready first. */
	uint32_t unready_first, unready_end;
	/* What a caller that may not wait has to commit: taken together with the addresses. */
	struct claim *claim;
	bool move_due; /* its guard stands behind @old_usable pages */
	uint32_t old_usable;
};

/* Pages that @bytes need; 0 for 0. */
uint32_t vmap_asked_pages(const struct vmap *v, uint64_t bytes);
/* A request for an area of @bytes, placed by its size: 0; -EINVAL for what the flags or the size are; -ENOSPC
 * for more than the span has. */
int vmap_request_make(const struct vmap *v, struct vmap_request *request, size_t bytes,
		      unsigned flags);

#endif
