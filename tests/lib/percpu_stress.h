/* SPDX-License-Identifier: MIT */
/*
 * percpu_stress.h - what tests of per-CPU memory with several threads share: objects that carry a
 * number
 *
 * Whoever is given an object looks whether it reads zero, writes its number into the first and last
 * word of each copy, and looks for it before freeing it.  Two owners of one object see each other's
 * number; pages taken from under an object read zero.  Nothing here but the last uses cmocka, so it
 * may run on any thread and in signal handlers: failures are counted.
 */
#ifndef PERCPU_STRESS_H
#define PERCPU_STRESS_H

#include <stddef.h>
#include <stdint.h>

#include <quire/percpu.h>

#define PSTRESS_SLOTS 64u

struct pstress_object {
	uint32_t *ptr;
	size_t bytes;
	uint32_t number;
};

/* One owner: a thread, or a handler on a thread.  Used by nobody else until it has ended. */
struct pstress_owner {
	struct quire *q;
	uint64_t random;
	unsigned flags;	   /* for every allocation */
	unsigned slots_nr; /* at most PSTRESS_SLOTS; 0 means all */
	struct pstress_object objects[PSTRESS_SLOTS];
	uint64_t allocs, refused;
	uint64_t broken;   /* copies that did not hold their number */
	uint64_t not_zero; /* copies that were to read zero */
};

void pstress_begin(struct pstress_owner *owner, struct quire *q, unsigned number);
/* Allocates into an empty slot; frees what a full one holds. */
void pstress_step(struct pstress_owner *owner);
/* Frees whatever is held. */
void pstress_end(struct pstress_owner *owner);

/* After all owners have ended: the rules hold, nothing is in use, and all but the first chunk goes. */
void pstress_assert_conserved(struct quire *q);

#endif
