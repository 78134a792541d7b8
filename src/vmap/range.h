/* SPDX-License-Identifier: MIT */
/* vmap/range.h - one range of the span: a free, used or cached area (vmap.h has its life) */
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

#define RANGE_GUARD                                                                                \
	0x01u /* the page after the usable ones is a guard, none of those before it is */
#define RANGE_GUARDED 0x02u /* guard pages may stand anywhere in it */
#define RANGE_DIRTY   0x04u /* free: the system refused to take its memory, it reads anything */
#define RANGE_LEFT    (RANGE_GUARDED | RANGE_DIRTY) /* free: what the system would not take away */
#define RANGE_BLACK   0x08u			    /* tree */

/*
 * One range; a record of the pool, one cache line.  Keys: (o) its owner: who allocated it, who holds
 * the stack or list it is on, or purge_mutex; (s) under `lock`.
 */
struct range {
	uint32_t start;	 /* (o)(s) first page */
	uint32_t pages;	 /* (o)(s) the guard page included */
	uint32_t backed; /* (o)(s) pages charged */
	uint8_t state;	 /* atomic, relaxed */
	uint8_t flags;	 /* (o)(s) */
	uint8_t kind;	 /* (o) enum quire_vmap_kind */
	uint8_t class;	 /* (o) CLASS_NONE if it is of no class */
	union {
		uint64_t asked_bytes; /* (o) BUSY, CACHED */
		struct {
			uint32_t older, newer; /* (s) POOLED */
		} age;
	};
	uint32_t left, right, parent; /* (s) FREE, POOLED */
	uint32_t largest;	      /* (s) pages of the largest range in its subtree */
	uint32_t next;		      /* (o) lazy list; chains in hand */
	uint32_t stamp_ms;	      /* (s) POOLED: when it came */
	uint32_t uses;		      /* (o) times it was handed out */
	uint32_t owner;		      /* (o) what it belongs to, for kinds other than ALLOC */
	uint32_t usable; /* (o) pages that its user sees; of ranges that were merged, the sum */
	uint32_t spare;
};
_Static_assert(sizeof(struct range) == 64, "a range is one cache line");

/* The state is written by its owner, and looked at by whoever checks a pointer: relaxed. */
static inline unsigned range_state(const struct range *range)
{
	return load_relaxed(&range->state);
}

static inline void range_set_state(struct range *range, enum range_state state)
{
	store_relaxed(&range->state, (uint8_t)state);
}

/* Its owner's; looked at by count_ranges_locked(). */
static inline void range_count_use(struct range *range)
{
	store_relaxed(&range->uses, range->uses + 1);
}

static inline uint32_t range_end(const struct range *range)
{
	return range->start + range->pages;
}

#endif
