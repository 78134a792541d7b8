/* SPDX-License-Identifier: MIT */
/*
 * vmap_stress.h - what tests of areas with several threads share: areas that carry a name
 *
 * Whoever is given an area writes its name and the epoch of the moment into every page of it, and
 * looks for both before freeing it.  Two owners of one address see each other's name; memory that a
 * late purge took from under its new owner (V5) reads zero.  Nothing here uses cmocka, so it may run
 * on any thread and in signal handlers: failures are counted.
 */
#ifndef VMAP_STRESS_H
#define VMAP_STRESS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <quire/vmap.h>

#define VSTRESS_SLOTS 64u

struct vstress_area {
	void *addr;
	size_t bytes;
	uint64_t name;
};

/* One owner: a thread, or a handler on a thread.  Used by nobody else until it has ended. */
struct vstress_owner {
	struct quire *q;
	uint64_t random;
	uint64_t name;	   /* of the newest area: owner in the upper half, epoch in the lower */
	unsigned flags;	   /* for every allocation */
	unsigned slots_nr; /* at most VSTRESS_SLOTS; 0 means all */
	size_t bytes_most; /* 0 means 256 KiB */
	bool only_frees_and_allocs; /* no quire_vrealloc() */
	struct vstress_area areas[VSTRESS_SLOTS];
	uint64_t allocs, refused;
	uint64_t broken;   /* areas that did not hold their name */
	uint64_t not_zero; /* areas that were to read zero */
};

void vstress_begin(struct vstress_owner *owner, struct quire *q, unsigned number);
/* Allocates into an empty slot; frees or resizes what a full one holds. */
void vstress_step(struct vstress_owner *owner);
/* Frees whatever is held. */
void vstress_end(struct vstress_owner *owner);
/* A number below @end. */
unsigned vstress_random(uint64_t *state, unsigned end);
/* Writes a name into each page, or looks for it. */
void vstress_write(const struct vstress_area *area, size_t page_bytes);
bool vstress_holds(const struct vstress_area *area, size_t page_bytes);

/* After all owners have ended: the rules hold, nothing is in use, everything goes back.  Uses
 * cmocka. */
void vstress_assert_conserved(struct quire *q);

#endif
