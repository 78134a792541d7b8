/* SPDX-License-Identifier: MIT */
/*
 * percpu/placement.h - where an object goes
 *
 * There are two placements, packed.c and linux.c; placement.c has what they share.  All is under lock.
 */
#ifndef PERCPU_PLACEMENT_H
#define PERCPU_PLACEMENT_H

#include "percpu/place.h"

/*
 * What an allocation asks for, and what an attempt may do for it.  The first part is made once, by
 * percpu_request_make(); attempts copy it and set the second.
 */
struct percpu_request {
	uint32_t n;	/* granules; 1 for fours */
	uint32_t align; /* granules */
	uint8_t kind;	/* enum kind: of the pages that it goes into */
	bool fours;	/* an object of 4 bytes */
	unsigned flags; /* QUIRE_NOLOCK is added in a handler that interrupted a holder of locks */

	bool populated_only;
	bool may_use_reserve; /* of empty pages: balance.h */
	bool everywhere;      /* rather than a refusal, look at all that may have room */
	uint32_t charged;     /* of the pages that are populated for it, so many are paid for */
};

/* Where it was put. */
struct placed {
	struct place place;
	bool fresh;	  /* reads zero */
	bool seen;	  /* reads zero where no bit of written says otherwise */
	uint32_t missing; /* if refused: pages that must be populated for it; 0: a chunk */
};

static inline size_t request_bytes(const struct percpu_request *request)
{
	return request->fours ? 4 : (size_t)request->n << GRANULE_SHIFT;
}

/* The two placements.  0; -EAGAIN: grow_want_locked(); -ENOMEM: the charge for placed->missing pages but
 * those that are paid for was refused. */
int placement_packed_locked(struct percpu *pc, const struct percpu_request *request,
			    struct placed *placed);
int placement_linux_locked(struct percpu *pc, const struct percpu_request *request,
			   struct placed *placed);

/* Where there is room; its pages are charged and populated first. */
int placement_at_locked(struct percpu *pc, struct place place, const struct percpu_request *request,
			struct placed *placed);
/* At the beginning of free pages. */
int placement_new_locked(struct percpu *pc, const struct percpu_request *request,
			 struct placed *placed);
/* An object of 4 bytes. */
int placement_fours_locked(struct percpu *pc, const struct percpu_request *request,
			   struct placed *placed);

/* Has a search everywhere missed what is as easy to place, and no room appeared since? */
bool placement_is_missed_locked(const struct percpu *pc, const struct percpu_request *request);
/* A search everywhere was in vain. */
void placement_missed_locked(struct percpu *pc, const struct percpu_request *request);

#endif
