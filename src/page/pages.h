/* SPDX-License-Identifier: MIT */
/* page/pages.h - struct pages: an instance's pages, and with them the instance itself */
#ifndef PAGE_PAGES_H
#define PAGE_PAGES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "huge/huge.h"
#include "instance/instance.h"
#include "instance/module.h"
#include "instance/shrinker.h"
#include "machine/lock.h"
#include "page/advice.h"
#include "page/block.h"
#include "page/nested.h"
#include "page/page.h"
#include "page/state.h"
#include "page/zone.h"
#include "stacks/stacks.h"

struct pcp;
struct giveback;

/* A purge of 1 MiB costs 30 us, the faults of as many pages 100 us or more. */
#define PEAK_STEP_BYTES ((uint64_t)1 << 20)

/* Keys: (c) constant once made; `under` and `atomic` as each says. */
struct pages {
	struct quire q; /* what all modules share: pages_of() costs nothing */

	/* Read by every fast path; constant. */
	char *base __attribute__((aligned(64)));
	uint8_t *state;	    /* by frame */
	uint8_t *tag;	    /* by block */
	size_t fast_frames; /* of the span; 0 if pages are not of FAST_PAGE_SHIFT */
	uint32_t
		fast_flags_end; /* atomic: flags below it take zone 0's stacks at once: 3; 0 with more
				  * zones, with other pages, or while every allocation looks */
	struct stacks stacks;	/* classes by zone, order and type: stacks.c */

	size_t span_bytes;	 /* of addresses from base */
	uintptr_t page_mask;	 /* of an offset's bits inside its page */
	uint8_t page_shift;	 /* (c) */
	uint8_t pageblock_order; /* (c) */
	uint8_t zones_nr;	 /* (c) */
	uint8_t fast_flags_most; /* (c) fast_flags_end while none does */
	struct page *page;	 /* end of an array that grows downwards: page_of() */
	struct pageblock *block; /* by block */
	struct pcp *pcp;	 /* by zone, then by slot */
	uint32_t blocks_nr;
	uint32_t zone_blocks; /* blocks in each zone */
	char *meta; /* reservation of page, pcps, depots, stacks, tag, block and state; frames follow */
	size_t meta_bytes; /* without the frames */
	size_t reserved_bytes;
	uint32_t state_blocks; /* (c) whose state bytes and struct pages were committed at first */

	struct mutex pcp_disable_mutex;
	struct holders pcp_disabled; /* under pcp_disable_mutex */
	struct mutex giveback_mutex;
	struct mutex grow_mutex;
	struct huge_map huge;		/* under q.huge_mutex */
	struct page_witness witness;	/* likewise */
	uint32_t look_zone, look_block; /* under giveback_mutex: next to be looked at by advice.c */
	uint32_t deferred;		/* atomic: head frame of the lock-free list */
	/* For nested calls; atomic: head frames.  nested.c */
	uint32_t spares[SPARE_ORDERS_NR][SPARES_NR];
	uint32_t fork_spares[SPARE_ORDERS_NR][SPARES_NR]; /* the fork's, while it lays them aside */
	bool owes;   /* atomic, relaxed: a zone exceeds its used_high by a step: alloc.c */
	bool ceding; /* atomic: a caller has other modules make up for it */
	bool spares_wanted, spares_used; /* atomic, relaxed */
	bool forking; /* atomic, relaxed: a fork is in progress: deferred frees stay on the list, and no spares are filled */
	uint64_t deferred_total, refusals, drains; /* atomic, relaxed */
	struct giveback *giveback_room;		   /* (c) giveback.c's, under giveback_mutex */
	uint64_t giveback_due_ns; /* atomic: the worker's next visit to the pages, or WORK_IDLE */
	uint64_t decay_ns;
	/* The limit of an instance that was given none: limit.c. */
	uint64_t learn_pages; /* (c) it is learnt before there are more */
	bool limit_known;     /* atomic: it was given, or learnt */
	struct mutex limit_mutex;
	uint64_t limit_read_ns; /* atomic: when it was last read; 0: never */
	uint64_t
		limit_told_pages; /* atomic, relaxed: what the system said then; zones may have more in use */
	uint32_t limit_raises; /* atomic: how often it was raised */
	uint64_t cpus_read_ns; /* under visit_mutex: when q.cpus_bound was last counted; 0: never */
	uint32_t limit_source; /* atomic, relaxed: enum mem_limit_source */
	uint64_t
		worth_pages; /* (c) with memory behind, from which on there is a worker: giveback.c */
	uint64_t
		fresh_pages; /* atomic, relaxed: of allocated ones, such as nobody can have written */
	uint32_t epoch;	     /* atomic, relaxed: ticks of the worker */
	uint64_t active_seen;
	struct stacks_class stack_class[ZONES_MAX * STACK_CLASSES_NR]; /* (c) of stacks */
	struct quire_module module;
	struct shrinkers shrinkers;  /* instance/shrinker.c's */
	struct zone zone[ZONES_MAX]; /* last: a small program touches the first one only */
};

static inline struct pages *pages_of(struct quire *q)
{
	return (struct pages *)(void *)q;
}

static inline const struct pages *pages_of_const(const struct quire *q)
{
	return (const struct pages *)(const void *)q;
}

#endif
