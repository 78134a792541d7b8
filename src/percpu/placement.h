/* SPDX-License-Identifier: MIT */
/*
 * percpu/placement.h - choosing where to put an object
 *
 * There are two placements, packed.c and linux.c; placement.c has their common part.  All functions
 * require lock.
 */
#ifndef PERCPU_PLACEMENT_H
#define PERCPU_PLACEMENT_H

#include "percpu/place.h"

/*
 * What an allocation asks for, and what an attempt may do.  percpu_request_make() fills in the
 * first part once; attempts copy it and set the second part.
 */
struct percpu_request {
	uint32_t n;	/* granules; 1 for fours */
	uint32_t align; /* granules */
	uint8_t kind;	/* enum kind of the pages that it may use */
	bool fours;	/* an object of 4 bytes */
	unsigned flags; /* QUIRE_NOLOCK is added in a handler that interrupted a holder of locks */

	bool populated_only;
	bool may_use_reserve; /* of empty pages: balance.h */
	bool everywhere;      /* before refusing, examine everything that may have room */
	uint32_t charged;     /* pages to populate that are already charged */
};

/* Where it was put. */
struct placed {
	struct place place;
	bool fresh;	  /* reads zero */
	bool seen;	  /* reads zero in units whose bit in `written` is clear */
	uint32_t missing; /* if refused: pages to populate; 0: a chunk is missing */
};

static inline size_t request_bytes(const struct percpu_request *request)
{
	return request->fours ? 4 : (size_t)request->n << GRANULE_SHIFT;
}

/* The two placements.  Return 0; -EAGAIN if something must be created first (grow_want_locked());
 * or -ENOMEM if the charge was refused for those of placed->missing pages that are not charged
 * yet. */
int placement_packed_locked(struct percpu *pc, const struct percpu_request *request,
			    struct placed *placed);
int placement_linux_locked(struct percpu *pc, const struct percpu_request *request,
			   struct placed *placed);

/* Places it at @place, where there is room; charges and populates the pages first. */
int placement_at_locked(struct percpu *pc, struct place place, const struct percpu_request *request,
			struct placed *placed);
/* Places it at the beginning of a run of free pages. */
int placement_new_locked(struct percpu *pc, const struct percpu_request *request,
			 struct placed *placed);
/* Places an object of 4 bytes. */
int placement_fours_locked(struct percpu *pc, const struct percpu_request *request,
			   struct placed *placed);

/* True if a search everywhere has failed for a request that was as easy to place, and no room has
 * appeared since. */
bool placement_is_missed_locked(const struct percpu *pc, const struct percpu_request *request);
/* Notes that a search everywhere has failed. */
void placement_missed_locked(struct percpu *pc, const struct percpu_request *request);

#endif
