/* SPDX-License-Identifier: MIT */
/*
 * vmap/vmap.h - areas: their words, the life of a range, the locks, struct vmap
 *
 * Words
 *   span     the addresses reserved for areas; a page of it is named by its number
 *   range    a run of the span's pages with one record.  Ranges partition the span (V1)
 *   area     a range in use
 *   usable   the pages that an area's user may access: as many as were requested.  A guard page follows
 *            them; pages that a class or a region adds lie beyond the guard
 *   class    areas of one size: every size up to 8 pages, then four sizes per octave
 *   backed   said of pages that count against the instance's limit; they may have memory
 *   lazy     said of a freed range on the lock-free list, which waits to be rescued or purged; counted
 *            in lazy_pages (V4)
 *   pooled   said of a freed range in the tree `pooled`: merged with its freed neighbours, with its
 *            memory, and dated.  An allocation of any size may take it or a part of it
 *   purge    take the memory of freed ranges away with one flush, and make their addresses free
 *   section  2 MiB of the span, committed as a whole
 *   claim    sections that one caller is committing; other callers may commit other sections meanwhile
 *   slot     a CPU as an instance numbers it (machine/stack.h); door: its lock, and the stacks that the
 *            lock's holder may close (stacks/stacks.h)
 *   rescue   move lazy ranges to the pooled ranges, to be used again, instead of purging them
 *
 * Life of a range.  Its state says where it is:
 *
 *   from      when                                          to        under
 *   -         the span is reserved, a range is split        FREE      lock
 *   FREE      an allocation finds nothing cached            BUSY      lock
 *   BUSY      freed: on this CPU's stack or list            CACHED    sequence; the CPU's lock
 *   BUSY      freed: no room there, in a handler, cache:off LAZY      lock-free push
 *   CACHED    popped by an allocation of its class          BUSY      sequence; the CPU's lock
 *   CACHED    spilled, drained                              LAZY      lock-free push; or
 *                                                           POOLED    lock
 *   LAZY      rescued; merges with pooled neighbours        POOLED    purge_mutex, lock
 *   POOLED    an allocation fits; the rest stays POOLED     BUSY      lock
 *   POOLED    old, or more than may stay                    PURGED    purge_mutex, lock
 *   LAZY      spliced off by a purge                        PURGED    purge_mutex
 *   PURGED    the gather has finished; merges               FREE      lock
 *
 * Reuse from CACHED and POOLED needs no flush, since the addresses keep their memory.  No CPU can
 * access memory through FREE addresses: the gather's finish guarantees that (V5).
 *
 * Locks: purge_mutex, commit_mutex (waiting); a CPU's lock, `lock` (spinning), in this order.
 *
 * Headers, from the structures upwards; each .c includes those that it uses
 *   range.h, class.h                 one range; sizes
 *   tree.h, heads.h, records.h       ranges by address; the range that a page is in; spare records
 *   vmap.h, layout.h                 struct vmap; converting addresses, pages and ranges
 *   request.h, space.h               requests; taking ranges of addresses, and returning them
 *   meta.h, claim.h, commit.h        metadata of the span; claims of sections; committing them
 *   guarded.h, mapped.h, dense.h     where guards stand; the budget of mappings; huge pages
 *   cpu.h, lazy.h                    where freed areas are cached
 *   purge.h, decay.h, resort.h       purging: how, when, and before a call is refused
 *   alloc.h, free.h, frames.h, ram.h                the paths, as other paths call them
 *   verify.h                         the rules
 */
#ifndef VMAP_VMAP_H
#define VMAP_VMAP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <quire/vmap.h>

#include "huge/huge.h"
#include "instance/module.h"
#include "machine/lock.h"
#include "machine/mem.h"
#include "pool/pool.h"
#include "stacks/stacks.h"
#include "vmap/claim.h"
#include "vmap/class.h"
#include "vmap/dense.h"
#include "vmap/heads.h"
#include "vmap/tree.h"

struct quire;
struct ram;
struct vmap_cpu;

/* Keys: (c) constant; (s) under lock; (m) under purge_mutex; (r) as (s), read without as a hint. */
struct vmap {
	/* Fast paths. */
	uint8_t push_allowed;  /* (c) 1; 0 with cache:off.  First, so its address is the struct's */
	char *base;	       /* (c) */
	size_t span_bytes;     /* (c) */
	uint32_t *map;	       /* by page: range that begins there; 0: none.  Written under lock */
	size_t fast_bytes_end; /* atomic: sizes below take the fast path: fast_bytes_most, or 0 */
	size_t fast_bytes_most; /* (c) sizes below it have a class; 0 without caches */
	uint8_t page_shift;	/* (c) */
	uint8_t guard_pages;	/* (c) 0 or 1 */
	bool cache;		/* (c) */
	bool guard_freed;	/* (c) guard:freed */
	uint8_t common_class;	/* atomic, relaxed: a hint for quire_vfree(), which explains it */
	size_t pages_nr;	/* (c) span_pages, as quire_vfree() compares it */
	struct pool pool;
	struct stacks stacks; /* (c) */

	struct quire *q; /* (c) */
	struct quire_module module;
	struct vmap_cpu *cpu; /* (c) by slot; reservation of them and of the stacks */
	char *meta;	      /* (c) reservation of map, heads, sections */
	size_t meta_bytes;
	struct stacks_class stack_class[CLASSES_NR]; /* (c) of stacks */
	size_t cpu_bytes;
	uint32_t span_pages;		       /* (c) */
	uint32_t region_start[REGIONS_NR + 1]; /* (c) pages */
	uint32_t block_pages;		       /* (c) of 2 MiB */
	size_t align_bytes;	/* (c) of base: the largest alignment that a caller may request */
	bool huge;		/* (c) thp is not off */
	bool always;		/* (c) thp:on */
	struct huge_map advice; /* under huge_mutex; its kinds are `section` */
	struct dense dense[REGIONS_NR]; /* under huge_mutex */
	enum quire_purge policy;	/* (c) */

	struct lock lock; /* RANK_VMAP_SPACE */
	lock_token kept;
	struct range_tree free, pooled; /* (s) */
	uint32_t oldest, newest;	/* (s) pooled, by age */
	uint64_t *heads
		[HEADS_LEVELS]; /* (s) bit a page where a range that is not FREE begins; summaries */
	uint32_t spares;	/* (s) spare records, linked by `next` */
	uint32_t spares_nr;	/* (s) */
	uint32_t
		strays; /* atomic: records that handlers could not return, linked likewise: records.c */
	uint64_t charged_pages; /* (r) V9: backed pages of all ranges */
	uint64_t charged_high;	/* (r) the most that it ever was */
	uint64_t retired_uses;	/* (s) uses of records that were returned */
	uint64_t tree_allocs, tree_compares, tree_operations; /* (s) */
	uint64_t slow_allocs, slow_refills;		      /* (s) */

	uint32_t lazy;		  /* atomic: head of the lock-free list */
	uint32_t lazy_frames;	  /* atomic: another such list, for ranges of frames */
	uint64_t lazy_pages;	  /* atomic: V4 */
	uint64_t lazy_areas;	  /* atomic, relaxed */
	uint64_t lazy_max_pages;  /* atomic, relaxed: follows the number of CPUs at visits */
	uint64_t live_high_pages; /* atomic, relaxed: recent peak of backed pages in use */

	struct mutex purge_mutex;
	uint32_t purging;	   /* atomic: purge:counter, number of purges in flight */
	struct mem_range *ranges;  /* (m) for one gather */
	struct mem_vector *vector; /* (m) likewise */
	bool forking; /* atomic, relaxed: a fork is in progress; nothing is taken off lazy, lazy_frames, strays */
	uint32_t fork_lazy;	   /* (m) head of lazy when a fork began */
	uint32_t fork_lazy_frames; /* (m) and of lazy_frames */
	uint32_t look_section;	   /* (m) next to be looked at by dense_collapse() */
	uint32_t looked_ms;	   /* the worker's: the last time */
	uint32_t ticked_ms;	   /* the worker's: latest turn */
	uint32_t busy_ms;	   /* the worker's: latest turn that had work */
	bool kicked;		   /* atomic, relaxed: the worker will come */
	uint64_t purges, flushes;  /* atomic, relaxed: with purge:counter, purges overlap */
	uint64_t purged_areas, purged_ranges, purged_pages; /* (s), read relaxed */
	uint64_t areas_per_hold_max;
	uint64_t purge_waits, refusals, refusals_spurious, guards_installed; /* atomic, relaxed */

	struct mutex commit_mutex; /* RANK_VMAP_COMMIT */
	uint64_t *mapped;	   /* mapped.c: two bits a page; atomic */
	uint64_t *guarded;	   /* guarded.c: a bit a page; atomic */
	uint64_t mapped_guards,
		mapped_frames;		    /* atomic, relaxed: taken from the process's budget */
	struct claim claims[1 + CLAIMS_NR]; /* the first is for the holder of commit_mutex */
	uint8_t *step_ready;		    /* meta.c; atomic */
	uint32_t sections_ready;	    /* atomic, relaxed */
	uint8_t *section;    /* by section: enum huge_kind; atomic.  Claimers make sections ready */
	bool uncounted;	     /* atomic: some sections' advice has not been counted */
	uint64_t block_maps; /* atomic, relaxed */
	struct ram *ram;     /* atomic: blocks of quire_vm_map_ram(); NULL until first used */
};

/* Returns the instance's areas, created at the first call, for a request of @bytes, or NULL with *@error set. */
struct vmap *vmap_get(struct quire *q, size_t bytes, unsigned flags, int *error);
/* The sizes of span and lazy_max, as they are or would be when the areas are created. */
size_t vmap_span_bytes(const struct quire *q);
uint64_t vmap_lazy_bytes(const struct quire *q);
struct vmap *vmap_of(struct quire_module *module);

#endif
