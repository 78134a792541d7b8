/* SPDX-License-Identifier: MIT */
/* percpu/index.h - finding chunks with a suitable hole: index.c */
#ifndef PERCPU_INDEX_H
#define PERCPU_INDEX_H

#include "percpu/percpu.h"

/* Sets of chunks.  Sets that differ only in the last dimension are adjacent, smallest first, so
 * "this size or more" is a range of sets. */
enum {
	SET_HOLES, /* by sidelined or not, kind (big or small), log2 of the hole */
	HOLE_KINDS = KIND_SMALL + 1,
	SET_FOURS =
		SET_HOLES + 2 * HOLE_KINDS * (int)SLOTS_PAGE_NR, /* room for an object of 4 bytes */
	SET_RUNS, /* by state, enum free_pages, log2 of the run of pages */
	SET_GONE = SET_RUNS +
		   3 * FREE_PAGES_NR * (int)RUNS_NR, /* below chunks_end, but there is none */
	SETS_NR,
};

/* The most chunks and pages that a search examines although their holes may not fit.  After that it
 * considers only holes that certainly fit.  On the recordings a limit of 8 pages does as well as
 * none. */
#define CHUNKS_MAX 32u
#define PAGES_MAX  32u

struct sets {
	uint32_t first, last;
};

/* Chunks with a hole of 2^@slot granules or more in a page of that kind. */
static inline struct sets sets_of_holes(bool sidelined, uint32_t kind, uint32_t slot)
{
	uint32_t row = SET_HOLES + ((sidelined ? HOLE_KINDS : 0) + kind) * SLOTS_PAGE_NR;

	return (struct sets){ row + slot, row + SLOTS_PAGE_NR - 1 };
}

/* Chunks of that state with 2^@log2 or more free pages in a row. */
static inline struct sets sets_of_runs(enum chunk_state state, enum free_pages which, uint32_t log2)
{
	uint32_t row = SET_RUNS + ((state - CHUNK_ACTIVE) * FREE_PAGES_NR + which) * RUNS_NR;

	return (struct sets){ row + log2, row + RUNS_NR - 1 };
}

size_t index_bytes(uint32_t chunks);
/* The lowest chunk from @from on that is in one of the sets, or NONE. */
uint32_t index_next_locked(const struct percpu *pc, struct sets sets, uint32_t from);
void index_chunk_locked(struct percpu *pc, uint32_t chunk);
void index_hole_locked(struct percpu *pc, uint32_t chunk, uint32_t kind, uint32_t slot);
void index_fours_locked(struct percpu *pc, uint32_t chunk);
void index_gone_locked(struct percpu *pc, uint32_t chunk, bool gone);
bool index_is_sound_locked(const struct percpu *pc);

#endif
