/* SPDX-License-Identifier: MIT */
/* vmap/range.h - one range of the span: addresses that are free, in use or cached (vmap.h has its
 * life) */
#ifndef VMAP_RANGE_H
#define VMAP_RANGE_H

#include <stdbool.h>
#include <stdint.h>

#include "machine/atomic.h"
#include "pool/pool.h"

#define RANGE_NONE POOL_NONE

enum range_state {
	RANGE_FREE = 1,
	RANGE_BUSY,
	RANGE_CACHED,
	RANGE_LAZY,
	RANGE_POOLED,
	RANGE_PURGED,
};

#define RANGE_GUARD   0x01u /* the page after the usable ones is a guard; no page before it is */
#define RANGE_GUARDED 0x02u /* any of its pages may be a guard */
#define RANGE_DIRTY   0x04u /* FREE: the system refused to take its memory; reads anything */
#define RANGE_LEFT    (RANGE_GUARDED | RANGE_DIRTY) /* FREE: left over by refusals of the system */
#define RANGE_BLACK   0x08u			    /* its colour in a tree */

/*
 * One range; a record of the pool, one cache line.  Keys: (o) its owner, which is the thread that
 * allocated it, the holder of the stack or list that it is on, or the holder of purge_mutex; (s)
 * under `lock`.
 */
struct range {
	uint32_t start;	 /* (o)(s) first page */
	uint32_t pages;	 /* (o)(s) including the guard page */
	uint32_t backed; /* (o)(s) pages charged */
	uint8_t state;	 /* atomic, relaxed */
	uint8_t flags;	 /* (o)(s) */
	uint8_t kind;	 /* (o) enum quire_vmap_kind */
	uint8_t class;	 /* (o) or CLASS_NONE */
	union {
		uint64_t asked_bytes; /* (o) BUSY, CACHED */
		struct {
			uint32_t older, newer; /* (s) POOLED */
		} age;
	};
	uint32_t left, right, parent; /* (s) FREE, POOLED */
	uint32_t largest;	      /* (s) pages of the largest range in its subtree */
	uint32_t next;		      /* (o) in the lazy list or a chain */
	uint32_t stamp_ms;	      /* (s) POOLED: when it was pooled */
	uint32_t uses;		      /* (o) times it was handed out */
	uint32_t owner;	 /* (o) the block (ram.h) whose addresses these are, or RANGE_NONE */
	uint32_t usable; /* (o) pages that its user may access; the sum, if ranges were merged */
	uint32_t mark;	 /* atomic; BUSY, kind ALLOC: malloc's own (malloc/hardened.c) */
};
_Static_assert(sizeof(struct range) == 64, "a range is one cache line");

/* The owner writes the state; threads that check a pointer read it without a lock, so it is
 * relaxed. */
static inline unsigned range_state(const struct range *range)
{
	return load_relaxed(&range->state);
}

static inline void range_set_state(struct range *range, enum range_state state)
{
	store_relaxed(&range->state, (uint8_t)state);
}

/* The owner writes it; count_ranges_locked() reads it. */
static inline void range_count_use(struct range *range)
{
	store_relaxed(&range->uses, range->uses + 1);
}

static inline uint32_t range_end(const struct range *range)
{
	return range->start + range->pages;
}

#endif
