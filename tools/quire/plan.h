/* SPDX-License-Identifier: MIT */
/*
 * plan.h - what a replay has to do, read from a trace once and for all
 *
 * A trace is read, and refused if anything is wrong with it, before the first block is allocated.
 * What a replay needs of it is kept in arrays, so that the passes over it measure the allocator
 * and not the decoding.
 *
 * Words
 *   step      one thing to do: an allocation, a free, a split, a mark
 *   block     one id of the trace: what is allocated, or made by a split
 *   root      the block that was allocated: of itself, or of the split that made a piece
 *   batch     frees that the kernel did in one folio batch, so they go through the bulk free
 */
#ifndef QUIRE_TOOL_PLAN_H
#define QUIRE_TOOL_PLAN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "occupancy.h"

#define PLAN_ORDERS_NR 11

enum plan_op {
	PLAN_ALLOC,
	PLAN_FREE,
	PLAN_FREE_BATCHED, /* order 0 only: larger blocks of a batch are freed one by one */
	PLAN_SPLIT,
	PLAN_MARK,
};

struct plan_step {
	uint32_t id;	 /* MARK: its index */
	uint32_t pieces; /* SPLIT: first id of the pieces */
	uint16_t cpu;
	uint8_t op;
	uint8_t order; /* SPLIT: of each piece */
	uint8_t flags; /* ALLOC: QUIRE_* */
	/* The batch is given back after this step: the CPU's next record in the trace, of any kind,
	 * is not a batched free of a page, or a mark comes first. */
	bool ends_batch;
};

struct plan_block {
	uint32_t root;
	uint16_t root_page; /* where in its root a piece begins */
	uint8_t order;
	uint8_t type; /* enum occupancy_type */
};

/* What the kernel itself had at a mark. */
struct plan_kernel {
	struct occupancy_summary occupancy; /* of the traced pages */
	uint64_t free_pages;		    /* in the buddies of all zones, from its own sample */
	uint64_t cached_pages;		    /* on the per-CPU lists */
	uint64_t blocks_taken;		    /* from the buddy under the zone lock, so far */
	uint64_t blocks_given;		    /* from per-CPU lists to the buddy, so far */
};

struct plan_mark {
	char name[64];
	double seconds;
	uint32_t ids_nr; /* given so far */
	uint64_t live_blocks;
	struct plan_kernel kernel;
};

struct plan_totals {
	uint64_t allocs[PLAN_ORDERS_NR][OCCUPANCY_TYPES_NR];
	uint64_t allocs_nr;
	uint64_t frees_nr;	   /* batched ones included */
	uint64_t frees_batched_nr; /* as recorded, of any order */
	uint64_t splits_nr;
	uint64_t fails_nr; /* refused by the kernel; not replayed */
	uint64_t live_blocks;
	uint64_t live_blocks_peak;
	uint64_t live_pages;
	uint64_t live_pages_peak;
	uint64_t records_nr; /* of the whole trace, END included */
	uint64_t ids_nr;
};

struct plan {
	const char *path;
	char name[64];
	char workload[256];
	char kernel[64];
	double seconds;
	unsigned page_shift;
	unsigned cpus_nr;
	struct plan_totals totals;

	struct plan_step *steps;
	size_t steps_nr, steps_room;
	struct plan_block *blocks; /* by id; those of other kinds are zero */
	uint32_t blocks_nr, blocks_room;
	struct plan_mark *marks;
	uint32_t marks_nr;
};

/* Reads a trace's page allocations: 0, or -1 with one line in @error.  Pair: plan_fini(). */
int plan_read(struct plan *plan, const char *path, char *error, size_t error_bytes);
void plan_fini(struct plan *plan);

static inline uint64_t plan_operations(const struct plan *plan)
{
	return plan->totals.allocs_nr + plan->totals.frees_nr + plan->totals.splits_nr;
}

#endif
