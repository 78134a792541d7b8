/* SPDX-License-Identifier: MIT */
/*
 * percpu/placement.h - where an object goes
 *
 * There are two placements, packed.c and linux.c; placement.c has what they share.  All is under lock.
 */
#ifndef PERCPU_PLACEMENT_H
#define PERCPU_PLACEMENT_H

#include <stdbool.h>
#include <stdint.h>

struct percpu;

/* What an allocation asks for, in granules; fours: n is 1 and fours is set. */
struct percpu_request {
	uint32_t n;
	uint32_t align; /* granules */
	uint8_t kind;
	bool fours;
	bool populated_only;
	bool may_use_reserve;
	bool everywhere; /* rather than a refusal, look at all that may have room */
	unsigned flags;
};

/* Where it was put. */
struct placed {
	uint32_t chunk;
	uint32_t at;	  /* granule in the unit; half granules for fours */
	bool fresh;	  /* reads zero */
	bool seen;	  /* reads zero where no bit of written says otherwise */
	uint32_t missing; /* if refused: pages that must be populated for it; 0: a chunk */
};

/* Where objects of a kind go, in the order of time. */
struct stream {
	uint32_t page; /* NONE */
	uint32_t fill; /* granules */
};

/* A search everywhere that found nothing, and what gains was then. */
struct missed {
	uint64_t gains;
	uint32_t n, align, kind;
};

/* The two placements.  0; -EAGAIN: grow_want_locked(); -ENOMEM: the charge for placed->missing pages, of
 * which @charged are paid for, was refused. */
int placement_packed_locked(struct percpu *pc, const struct percpu_request *request,
			    uint32_t charged, struct placed *placed);
int placement_linux_locked(struct percpu *pc, const struct percpu_request *request,
			   uint32_t charged, struct placed *placed);

/* At a granule where there is room; its pages are charged and populated first. */
int placement_run_locked(struct percpu *pc, uint32_t chunk, uint32_t at,
			 const struct percpu_request *request, uint32_t charged,
			 struct placed *placed);
/* At the beginning of free pages. */
int placement_new_locked(struct percpu *pc, const struct percpu_request *request, uint32_t charged,
			 struct placed *placed);
/* An object of 4 bytes. */
int placement_fours_locked(struct percpu *pc, const struct percpu_request *request,
			   uint32_t charged, struct placed *placed);

/* Has a search everywhere missed what is as easy to place, and no room appeared since? */
bool placement_is_missed_locked(const struct percpu *pc, const struct percpu_request *request);
/* A search everywhere was in vain. */
void placement_missed_locked(struct percpu *pc, const struct percpu_request *request);

#endif
