/* SPDX-License-Identifier: MIT */
/* page/depot.h - one zone's store of frames between the stacks of all CPUs and the buddy */
#ifndef PAGE_DEPOT_H
#define PAGE_DEPOT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "machine/lock.h"
#include "page/state.h"

struct page_request;
struct pages;
struct zone;

#define DEPOT_ORDERS_NR 5

/* Entries of a depot: two full stacks' halves for each of two CPUs, for order 0; half as many pages
 * an order more, since large runs parked here are holes torn into blocks. */
#define DEPOT_ENTRIES(order) (2048u >> 2 * (order))
#define DEPOT_ENTRIES_NR     (2048u + 512u + 128u + 32u + 8u)

/* Most entries moved between a stack and a depot, a list or the buddy in one go: 1 KiB on the C stack. */
#define MOVE_MAX 256u

/*
 * Arrays of entries by order and type.  What one CPU spills another refills from with one copy,
 * without a merge, a split or a list walk.  Any thread may drain it.  All fields under its lock.
 */
struct depot {
	struct lock lock; /* RANK_DEPOT */
	lock_token kept;  /* over fork */
	uint32_t *entries;
	uint16_t held[DEPOT_ORDERS_NR][TYPES_NR];
	uint32_t moves; /* for the worker: idle if unchanged */
	uint32_t moves_seen;
	bool disabled;
	uint64_t moved_entries;
};

/* @entries: room for DEPOT_ENTRIES_NR of each type. */
void depot_init(struct depot *depot, uint32_t *entries);
/* Takes in up to @n entries (state CACHED) from the start of @frames; returns how many: none if the
 * depot's lock is held, or if it does not keep the order. */
unsigned depot_put(struct zone *zone, unsigned order, unsigned type, const uint32_t *frames,
		   unsigned n);
/* The same for one run (state CACHED) whose CPU's lock is taken: the next such call takes it out again, and
 * nothing is merged and split between.  False also without sequences, when no stack refills from depots,
 * and if the run's block is special.  The block's tag is read under the depot's lock, so whoever marks a block and
 * then drains the depot finds the run there, or it was refused. */
bool depot_put_one(struct pages *p, uint32_t frame, unsigned order);
/* Gives out up to @n of the newest entries; returns how many: none if the lock is held. */
unsigned depot_take(struct zone *zone, unsigned order, unsigned type, uint32_t *frames, unsigned n);
/* One entry for a caller whose CPU's lock is taken.  FRAME_NONE if there is none, and to a caller with
 * QUIRE_NOLOCK, which has spares of its own. */
uint32_t depot_take_one(struct pages *p, const struct page_request *request);
/*
 * Empties the depot into the buddy, a bounded number of entries a hold.  The lock is held until
 * they are there, so a caller that finds the depot empty finds them in the buddy.  Returns pages.
 */
size_t depot_drain(struct pages *p, struct zone *zone);
/* Pages in the depot: exact under its lock, a hint otherwise. */
uint64_t depot_pages(const struct depot *depot);

#endif
