/* SPDX-License-Identifier: MIT */
/*
 * stress.h - what tests with several threads share: blocks that carry their owner's name
 *
 * Whoever is given a block writes its name into every page of it, and looks for it before freeing
 * it.  If a page was handed out twice, the second owner's name is found by the first.  Nothing here
 * uses cmocka, so it may run on any thread and in signal handlers: failures are counted.
 */
#ifndef STRESS_H
#define STRESS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <quire/page.h>

/* Most blocks that one owner holds at a time. */
#define STRESS_SLOTS 128u

struct stress_block {
	void *addr;
	unsigned order;
	uint64_t name;
};

/* One owner: a thread, or a handler on a thread.  Used by nobody else until it has ended. */
struct stress_owner {
	struct quire *q;
	uint64_t random;
	uint64_t name;	    /* of the newest block: owner in the upper half, count in the lower */
	unsigned flags;	    /* for every allocation, beside a random lifetime class */
	unsigned order_max; /* orders above 3 are asked for once in 64 times */
	unsigned slots_nr;  /* at most STRESS_SLOTS; 0 means all */
	struct stress_block blocks[STRESS_SLOTS];
	uint64_t allocs, refused, broken;
};

void stress_begin(struct stress_owner *owner, struct quire *q, unsigned number);
/* Frees a random block if the slot that was drawn holds one; otherwise allocates one into it. */
void stress_step(struct stress_owner *owner);
/* Frees whatever is held. */
void stress_end(struct stress_owner *owner);
/* A number below @end. */
unsigned stress_random(uint64_t *state, unsigned end);
/* An address that the owner holds, or NULL. */
void *stress_any(const struct stress_owner *owner, uint64_t *random);

/* After all owners have ended: the rules hold, nothing is allocated, and what is online is free or
 * cached.  Uses cmocka. */
void stress_assert_conserved(struct quire *q);

#endif
