/* SPDX-License-Identifier: MIT */
/*
 * percpu/percpu.h - an instance's per-CPU memory: words, locks, invariants, and the one structure
 *
 * Words
 *   unit       one CPU's copy of a chunk: unit_pages() pages
 *   chunk      the same stretch of addresses on every CPU, QUIRE_PERCPU_STRIDE apart
 *   window     QUIRE_PERCPU_STRIDE bytes on every CPU: the units of several chunks side by side
 *   page       often a page offset in a chunk, which means that page of every unit.  Pages are populated,
 *              empty, or have a map in this sense
 *   place      a position in per-CPU memory, the same on every CPU (place.h)
 *   granule    8 bytes of a unit, the unit of maps.  Objects of 4 bytes share pages of their own,
 *              whose map has a bit for each half.
 *   map        two bits for each granule of a page: in use, and an object begins here
 *   object     one live allocation: the same granules in every unit
 *   area       one of three parts of the first chunk: for variables of programs, for those of libraries
 *              loaded later, and for objects
 *   populated  said of a page offset: it is charged, and may be written in every unit
 *   free       said of a page offset: no object touches it
 *   empty      populated and free
 *   reserve    EMPTY_HIGH empty pages that are left to callers that may not wait.  When fewer than
 *              EMPTY_LOW are left, the worker populates more
 *   isolated   said of a chunk: its empty pages do not count in the reserve.  Either they are being
 *              returned, or they have been, and the chunk is sidelined: it is used when active chunks have
 *              no room
 *   stream     a page that is filled with objects of one kind in the order of time
 *
 * Life of a chunk: chunk.c.  Placement: packed.c, linux.c.  Memory behind pages: populate.c.
 *
 * Locks
 *   alloc_mutex   RANK_PERCPU_ALLOC: returning pages, chunks and maps.  May wait.  Callers that may wait
 *                 also grow under it, one at a time; nothing depends on that (grow.c).
 *   cpu->door     RANK_PERCPU_CPU: the door of one CPU's stacks (stacks/stacks.h)
 *   lock          RANK_PERCPU: lists, maps, counters, charges of pages.  Nothing waits under it.
 * Creating chunks, populating pages and growing arrays needs lock alone.  Destroying chunks,
 * depopulating pages and removing maps needs both.  Keys below: (m) under alloc_mutex; (l) under
 * lock; (lm) under lock, and to decrease it under both; (c) constant; (r) written under lock,
 * load_relaxed() without it gives a hint.
 *
 * Invariants, by percpu_verify(), true whenever lock is free:
 *   P1   a chunk's objects and free granules are its pages', and those equal what their maps say
 *   P2   an object's first granule has its boundary bit; other granules and free ones have none
 *   P3   a page's longest run is never overstated; a page with a map has an object
 *   P4   a chunk's masks by longest run agree with its pages; its longest run of free pages is exact
 *   P5   each map belongs to one page, and maps are dense: as many as pages that need one; its
 *        place is published to frees that take no lock, except for pages of 4-byte objects
 *   P6   a page's kind agrees with its map: objects of 4 bytes are in pages of fours only
 *   P7   a page is in the chunk's free mask exactly if it has no object
 *   P8   a sidelined chunk has no empty page: the worker checked twice
 *   P9   every object lies in populated pages
 *   P10  empty_pages is the sum over chunks that are not isolated
 *   P11  populated_pages is the sum over chunks; that many maps are ready
 *   P12  a chunk is on the list for its state and its largest hole
 *   P13  a place on a stack is one object of that size, marked, and on no other stack
 *   P14  the index agrees with the masks of each chunk
 */
#ifndef PERCPU_PERCPU_H
#define PERCPU_PERCPU_H

#include <quire/percpu.h>

#include "base/check.h"
#include "base/errno.h"
#include "base/mem.h"
#include "base/round.h"
#include "instance/instance.h"
#include "instance/module.h"
#include "instance/worker.h"
#include "machine/atomic.h"
#include "machine/clock.h"
#include "machine/lock.h"
#include "machine/mem.h"
#include "machine/process.h"
#include "machine/stack.h"
#include "machine/work.h"
#include "page/charge.h"
#include "page/page.h"
#include "percpu/cache.h"
#include "percpu/chunk.h"
#include "percpu/space.h"
#include "percpu/variable.h"
#include "stacks/stacks.h"

#define GRANULE_SHIFT 3

/* Sizes of the first chunk's areas: for variables of programs, for those of libraries loaded later,
 * and for objects, populated from the start. */
#define STATIC_BYTES   (16u << 10)
#define RESERVED_BYTES (8u << 10)
#define DYNAMIC_BYTES  (28u << 10)

/* The page that is being filled with objects of one kind. */
struct stream {
	uint32_t page; /* NONE */
	uint32_t fill; /* its fill point, in granules */
};

/* The latest search of every hole that failed, and the value of percpu.gains then. */
struct missed {
	uint64_t gains;
	uint32_t n, align, kind;
};

struct percpu {
	struct quire *q;
	char *base;			/* (c) window 0, CPU 0 */
	size_t span_bytes;		/* (c) */
	uint8_t window_shift;		/* (c) log2 of bytes from window to window */
	uint8_t unit_shift;		/* (c) log2 of unit bytes */
	uint8_t page_shift;		/* (c) */
	uint8_t pages_shift;		/* (c) log2 of a unit's pages */
	uint8_t page_granules_shift;	/* (c) */
	uint8_t map_shift;		/* (c) log2 of a map's bytes */
	bool packed, depopulate, cache; /* (c) */
	bool sparse, asks_for_popped;	/* (c) many units: sparse.c; reading takes memory too */
	bool popped_is_odd; /* atomic: that, or every allocation looks: finish_popped() */
	uint8_t without;    /* (c) enum quire_placement_rule */
	uint32_t units;	    /* (c) */
	uint32_t home;	    /* (c) the CPU whose copy of a cached object has a mark */
	uint32_t half_words, granule_mask; /* (c) of a map; of a page */
	size_t home_bytes;		   /* (c) from CPU 0's copy to home's */
	uint64_t secret;		   /* (c) mixed into marks; larger than any address */
	uint32_t chunks_max;		   /* (c) */
	struct percpu_chunk *chunk;	   /* (c) by number */
	struct percpu_page *page;	   /* (c) by chunk and page offset */
	char *maps;			   /* (c) */
	uint32_t *map_page;		   /* (c) by map: its page */
	uint64_t *written;		   /* (c) by chunk and unit, atomic: pages, sparse.c */
	uint32_t *deferred;		   /* (c) bit per half granule, by chunk */
	uint64_t *index;		   /* (c) nodes; their words are (l): index.c */
	struct stacks stacks;		   /* (c) */
	struct stacks_class stack_class[CACHE_CLASSES_NR]; /* (c) of stacks */
	struct percpu_cpu *cpu;				   /* (c) doors */

	struct mutex alloc_mutex;
	struct grown grown_chunks, grown_pages, grown_maps, grown_owners, grown_deferred,
		grown_written, grown_index;
	uint32_t chunks_ready;	   /* atomic, only grows: numbers below it have usable units */
	uint64_t decayed_ns;	   /* (m) */
	struct mem_range *ranges;  /* (m) a gather's */
	struct mem_vector *vector; /* (m) and what it lends; as many */
	unsigned ranges_max;
	struct variables variables;		    /* (m) */
	char *arrays;				    /* (c) the reservation of all arrays */
	size_t arrays_bytes, cpu_bytes, self_bytes; /* (c) */

	struct lock lock __attribute__((aligned(64)));
	lock_token kept;
	uint32_t chunks_end;	      /* (lm) no chunk at or above */
	uint32_t pages_end;	      /* (lm) the same in pages */
	uint32_t changes;	      /* (l), read without: granules were freed, see map_clear() */
	uint32_t chunks_nr;	      /* (l) */
	uint32_t maps_nr, maps_ready; /* (l), (lm): usable */
	bool maps_leaving;	      /* (lm) memory after maps_ready is being returned */
	struct stream stream[STREAMS_NR]; /* (l) */
	uint64_t used[STREAMS_NR];	  /* (l) granules in objects of that kind */
	uint64_t holes[STREAMS_NR];	  /* (l) free granules of pages of that kind */
	uint64_t looks;			  /* (l) chunks and pages that placement examined */
	uint64_t gains;			  /* (l) counts how often room appeared */
	struct missed missed;		  /* (l) */
	uint64_t tick_ns;		  /* (l) the worker's latest visit */
	uint32_t empty_pages;		  /* (r) P10 */
	uint64_t populated_pages;	  /* (lm) P11 */
	bool atomic_failed;		  /* (l) */
	bool looking;			  /* (l) a look for all is in progress: sparse.c */
	struct chunk_list list[CHUNK_LISTS_NR];
	struct learn learn[CACHE_CLASSES_NR];
	uint32_t opened;      /* atomic, relaxed: enum opened; some learn[].opened may be so */
	uint64_t warm;	      /* atomic, relaxed: classes whose frees go to the stacks */
	uint32_t frequent;    /* atomic, relaxed: the class that was opened last; or NONE */
	uint32_t deferred_nr; /* atomic: bits that were set and not yet taken */
	uint64_t due_ns;      /* atomic: the worker's next visit, or WORK_IDLE */
	uint64_t balanced_ns; /* atomic, relaxed: its latest visit */
	struct quire_percpu_stat stat;					     /* (l) counters */
	uint64_t refusals, atomic_refusals, deferred_total, drains, flushes; /* atomic, relaxed */
	uint8_t open; /* (c) 0: the guard that every push expects */
	struct quire_module module;
};

/* In verify.c: stops the process if P8 or P10 is broken.  O(chunks). */
void percpu_recount_locked(const struct percpu *pc);

/* Drops lock.  Debug builds first check the two rules on which callers that may not wait depend: a
 * sidelined chunk has no empty page (P8), and the reserve is counted exactly (P10). */
static inline void percpu_unlock(struct percpu *pc, lock_token token)
{
	if (QUIRE_DEBUG)
		percpu_recount_locked(pc);
	lock_release(&pc->lock, token);
}

static inline uint32_t unit_pages(const struct percpu *pc)
{
	return 1u << pc->pages_shift;
}

static inline uint32_t page_granules(const struct percpu *pc)
{
	return 1u << pc->page_granules_shift;
}

/* Whether placement follows a rule: packed.c. */
static inline bool has_rule(const struct percpu *pc, enum quire_placement_rule rule)
{
	return pc->without != (uint8_t)rule;
}

/* Returns the instance's per-CPU memory.  At first use creates it, or waits for the thread that
 * does.  NULL if that is refused, or if @flags forbid even committing. */
struct percpu *percpu_of(struct quire *q, unsigned flags);
/* The number of CPUs for which it has units, or would have. */
uint32_t percpu_units(const struct quire *q);
/* The same without creating it: NULL if it was never used. */
static inline struct percpu *percpu_if_any(const struct quire *q)
{
	return load_acquire(&q->percpu); /* pairs with percpu_of() */
}

/* Returns the number of the first broken rule, or 0.  No other thread may use the instance. */
int percpu_verify(struct percpu *pc);
void percpu_stat_collect(struct percpu *pc, struct quire_percpu_stat *stat);

#endif
