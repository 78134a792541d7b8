/* SPDX-License-Identifier: MIT */
/*
 * page/page.h - the page allocator's structures and the names its files share
 *
 * Words
 *   frame      index of a page in the instance's reservation: (addr - base) >> page_shift
 *   block      here a pageblock: 2 MiB of frames with one migratetype; also the unit that is
 *              committed (a section), given back and taken offline
 *   head       first frame of a free or allocated run of 2^order frames; only heads have a state
 *   whole      said of a block none of whose pages is in use; it is on a zone's whole lists
 *   partial    said of a block with free and used pages; it is in one of a zone's bins
 *   bin        partial blocks with one row (type), one fullness and one largest free order
 *   emptying   said of a block that gets no new users, so that it may become whole
 *
 * Life of a page.  The state byte of its head says where it is (B5):
 *
 *   from        when                                    to          under
 *   -           its section is committed                BUDDY       zone lock
 *   BUDDY       a refill or a direct allocation         CACHED or   zone lock
 *                                                       ALLOCATED
 *   CACHED      a stack pops it, a list gives it        ALLOCATED   sequence; pcp lock
 *   ALLOCATED   freed: on a stack, a list, a depot      CACHED      sequence; pcp lock
 *   ALLOCATED   freed: its block is special, or no lock BUDDY       zone lock
 *   ALLOCATED   freed in a handler and no lock was had  DEFERRED    lock-free push
 *   DEFERRED    the next ordinary slow path             BUDDY       zone lock
 *   CACHED      spill, drain                            BUDDY       zone lock
 *   BUDDY       its memory is being given back          REPORTING   zone lock
 *   REPORTING   the gather has finished                 BUDDY       zone lock
 *   BUDDY       its block is taken offline              OFFLINE     zone lock
 *
 * Locks: visit_mutex, pcp_disable_mutex, giveback_mutex, grow_mutex, huge_mutex (waiting); pcp->door.lock, depot->lock,
 * zone->lock (spinning), in this order.  docs/locking.md has the table.
 */
#ifndef PAGE_PAGE_H
#define PAGE_PAGE_H

#include <limits.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <quire/page.h>
#include <quire/quire.h>

#include "base/check.h"
#include "base/errno.h"
#include "base/mem.h"
#include "machine/atomic.h"
#include "machine/lock.h"
#include "machine/process.h"
#include "machine/stack.h"
#include "machine/work.h"
#include "page/grow.h"
#include "instance/holders.h"
#include "page/huge.h"
#include "page/module.h"
#include "page/state.h"
#include "stacks/stacks.h"

/* Its caller waits for nobody, but may make system calls that commit memory. */
#define FLAGS_NO_MUTEX (QUIRE_NOWAIT | QUIRE_ATOMIC)
/* Nor does it with QUIRE_NOLOCK, which only tries and commits nothing. */
#define FLAGS_NO_WAIT  (FLAGS_NO_MUTEX | QUIRE_NOLOCK)

#define FRAME_NONE UINT32_MAX
#define BLOCK_NONE UINT32_MAX
#define ZONES_MAX  8

/* Pageblocks are 2 MiB: order 9, 7, 5 for pages of 4, 16, 64 KiB. */
#define BLOCK_SHIFT	 21
#define BLOCK_ORDER_MAX	 9
/* Orders from a block's up to the largest: at most 5..10 for 64 KiB pages. */
#define WHOLE_ORDERS_MAX 6

/* Stacks exist for orders 0..4 and the block order; lists for 0..3 and the block order. */
#define STACK_ORDERS_NR	 6
#define LIST_ORDERS_NR	 5
#define LISTS_NR	 (LIST_ORDERS_NR * TYPES_NR)
#define STACK_CLASSES_NR (STACK_ORDERS_NR * TYPES_NR) /* of one zone */
#define DEPOT_ORDERS_NR	 5

/* Entries of a depot: two full stacks' halves for each of two CPUs, for order 0; half as many pages
 * an order more, since large runs parked here are holes torn into blocks. */
#define DEPOT_ENTRIES(order) (2048u >> 2 * (order))
#define DEPOT_ENTRIES_NR     (2048u + 512u + 128u + 32u + 8u)

/* Runs of orders 0..3 kept for handlers that can take no lock: a few of each, 120 pages in all. */
#define SPARE_ORDERS_NR 4u
#define SPARES_NR	8u

/* Most entries moved between a stack and what is behind it in one go: 1 KiB on the C stack. */
#define MOVE_MAX 256u

/* Linux's bound: one hold of a lock moves at most batch << 5 pages. */
#define BATCH_SCALE_MAX 5

/* Bins: rows say who may allocate from a block. */
enum row {
	ROW_TYPE = 0,	  /* 0..2: ordinary, by type */
	ROW_EMPTYING = 3, /* 3..5: by type; only when nothing ordinary fits */
	ROW_HIGHATOMIC = 6,
	ROW_ISOLATE = 7,
	ROWS_NR = 8,
};
#define BUCKETS_NR 20 /* by free pages, two an octave: 0 is the fullest, 512 is 18 */

/* 8 bytes that belong to the page's owner: the allocator while it is free. */
struct page {
	uint32_t prev, next;
};

/*
 * One pageblock.  All fields under the zone's lock.
 *   links      prev, next: in its bin, its whole list, or the offline list
 *   free[o]    newest free head of order o, as an offset in the block; OFFSET_NONE
 *   orders     bit o is set when free[o] is not OFFSET_NONE
 *   free_pages pages on those lists; the whole size when the block is whole
 *   epoch      worker's epoch when it became whole or a part of it was reported
 */
#define OFFSET_NONE UINT16_MAX
#define BIN_NONE    UINT16_MAX
struct block {
	uint32_t prev, next;
	uint16_t free_pages;
	uint16_t orders;
	uint16_t bin;
	uint16_t binned_pages; /* free_pages as its bin's row counts them */
	uint16_t free[BLOCK_ORDER_MAX];
	uint32_t epoch;
	bool online;
	bool whole;    /* head of, or inside, a whole run */
	bool reported; /* its memory, or that of runs in it, went back (not: never used) */
};

struct block_list {
	uint32_t head, tail; /* block indexes */
	uint32_t nr;
};

/*
 * One zone's stock of full hands: arrays of entries by order and type, between the CPUs' stacks
 * and the buddy.  What one CPU spills another refills from with one copy, without a merge, a split
 * or a list walk.  Anybody may drain it.  All fields under its lock.
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

/*
 * One CPU's lists in one zone, and the door of its stacks.  Keys: (l) under lock; (r) written
 * under lock, load_relaxed() gives a hint; (c) constant once ready.
 */
struct pcp {
	struct stacks_door door; /* RANK_PCP: protects the lists, too */
	uint32_t count;		 /* (r) pages on the lists: B2 */
	uint32_t high;		 /* (l) spill at or above */
	uint32_t batch;		 /* (l) pages moved at a time */
	uint32_t free_count;	 /* (l) pages freed in a row, for tuning */
	uint8_t zone;		 /* (c) */
	uint8_t home;		 /* (c) the zone that is this CPU's node's */
	uint8_t alloc_factor;	 /* (l) 0..BATCH_SCALE_MAX */
	uint16_t draining_nr;	 /* (l) drains in progress, which keep the stacks closed: a child of
				 * fork has none */
	uint32_t activity;	 /* (l) slow paths taken */
	uint32_t activity_seen;	 /* (l) the worker's */
	uint64_t list_allocs, list_frees; /* (r) */
	uint64_t refills, spills;	  /* (r) */
	uint32_t lists[LISTS_NR];	  /* (l) head frames */
	uint32_t tops_seen;		  /* (l) the worker's: sum of tops at its last visit */
} __attribute__((aligned(64)));

/* Key: all under lock; (r) as above. */
struct zone {
	struct lock lock; /* RANK_ZONE */
	lock_token kept;  /* over fork */
	uint8_t index;
	bool below_high;	 /* (r) available pages under the high watermark */
	uint32_t block_first;	 /* (c) */
	uint32_t blocks_nr;	 /* (c) */
	uint32_t blocks_touched; /* (r) blocks [0, touched) were handed out to growers */
	uint32_t blocks_growing; /* in steps, or on their way offline: neither online nor listed */
	struct grow_step steps[GROWERS_MAX];
	struct block_list offline;
	uint64_t managed_pages;			/* (c) limit of this zone */
	uint64_t online_pages;			/* (r) */
	uint64_t free_pages;			/* (r) B4: sum of nr_free << order */
	uint64_t isolated_pages;		/* of those, in isolated blocks */
	uint64_t zero_pages;			/* of those, with no memory behind */
	uint64_t reporting_pages;		/* out of the lists while a gather runs */
	uint64_t charged_pages;			/* (r) of the limit, used by other modules */
	uint64_t mark_min, mark_low, mark_high; /* (c) */
	uint32_t pcp_batch, pcp_high_min, pcp_high_max; /* (c) */
	uint32_t highatomic_blocks;
	uint32_t nr_free[QUIRE_ORDERS][ROWS_NR];
	uint32_t bins[ROWS_NR][BUCKETS_NR][BLOCK_ORDER_MAX]; /* head block */
	uint16_t bin_orders[ROWS_NR][BUCKETS_NR];	     /* bit o: that bin is not empty */
	uint32_t row_blocks[ROWS_NR];			     /* partial blocks in the row */
	uint64_t row_free[ROWS_NR];			     /* their free pages */
	uint32_t bucket_blocks[ROWS_NR][BUCKETS_NR];
	struct block_list whole[WHOLE_ORDERS_MAX][ROWS_NR];
	uint32_t choose_due; /* operations until emptying is chosen again */
	uint64_t lock_acquisitions, buddy_allocs, buddy_frees, claims, steals, emptying_frees;
	uint64_t reports, reported_total, reused, reused_epoch, reported_epoch;
	struct depot depot;
} __attribute__((aligned(64)));

struct vmap;
struct percpu;

struct quire {
	/* Read by every fast path; constant. */
	char *base;
	uint8_t *state;	     /* by frame */
	uint8_t *tag;	     /* by block */
	size_t span_bytes;   /* of addresses from base */
	uintptr_t page_mask; /* of an offset's bits inside its page */
	uint8_t page_shift;
	uint8_t block_order;
	uint8_t zones_nr;
	uint8_t fast_flags_end; /* atomic: flags below it take zone 0's stacks at once: 3; 0 with more
				 * zones, or while every allocation looks */
	struct stacks stacks;	/* classes by zone, order and type: stacks.c */

	struct page *page;   /* by frame */
	struct block *block; /* by block */
	struct pcp *pcp;     /* doors_nr a zone */
	uint32_t blocks_nr;
	uint32_t zone_blocks; /* blocks in each zone */
	uint64_t limit_pages; /* (c) handed out at most, charges included: sum of the zones' */
	char *meta;	      /* reservation of state, page, tag and block */
	size_t meta_bytes;
	bool thp, report;
	bool shared;		 /* (c) backing:memfd: frames that can be mapped again */
	bool annotated;		 /* (c) a tool is told what becomes of memory: annotate.h */
	uint64_t *isolated_cpus; /* bit a CPU; NULL if none */
	uint64_t isolated_words[SLOTS_MAX / 64];

	struct mutex pcp_disable_mutex;
	struct holders pcp_disabled; /* under pcp_disable_mutex */
	uint64_t *cpu_meta;	     /* one mapping: pcps, stacks, depots */
	size_t cpu_meta_bytes;
	struct mutex visit_mutex, giveback_mutex;
	struct mutex grow_mutex;
	struct mutex huge_mutex;
	struct huge_map huge; /* under huge_mutex */
	uint32_t deferred;    /* atomic: head frame of the lock-free list */
	/* For nested calls; atomic: head frames.  nested.c */
	uint32_t spares[SPARE_ORDERS_NR][SPARES_NR];
	bool spares_wanted, spares_used;	   /* atomic, relaxed */
	uint64_t deferred_total, refusals, drains; /* atomic, relaxed */
	struct work work;
	struct mutex worker_mutex;
	struct holders worker_stopped; /* under worker_mutex */
	bool looks;		 /* atomic: allocations look whether something is due: worker.c */
	uint8_t fast_flags_most; /* (c) fast_flags_end while none does */
	struct giveback *giveback_room; /* (c) giveback.c's, under giveback_mutex */
	uint64_t giveback_due_ns; /* atomic: the worker's next visit to the pages, or WORK_IDLE */
	uint64_t decay_ns, decay_base_ns;
	uint32_t epoch; /* atomic, relaxed: ticks of the worker */
	uint64_t active_seen;
	bool forked; /* a child: pages in other threads' hands are lost */
	bool dead;   /* a child, and the frames stayed with the parent: every call is refused */
	struct process_member member;
	struct mutex modules_mutex;
	struct quire_module *modules; /* atomic: head; grows under modules_mutex */
	struct quire_options options; /* (c) as given, for modules that are made later */
	struct vmap *vmap;	      /* atomic: NULL until first used; vmap/ makes it */
	struct percpu *percpu;	      /* atomic: likewise */
	struct stacks_class stack_class[ZONES_MAX * STACK_CLASSES_NR]; /* (c) of stacks */
	struct zone zone[ZONES_MAX];
};

/* ---- addresses and their parts ---- */

static inline uint32_t page_frame(const struct quire *q, const void *addr)
{
	return (uint32_t)(((uintptr_t)addr - (uintptr_t)q->base) >> q->page_shift);
}

static inline void *page_addr(const struct quire *q, uint32_t frame)
{
	return q->base + ((size_t)frame << q->page_shift);
}

/*
 * A head's state byte.  It belongs to whoever holds the run; but a neighbour that merges looks at
 * it under the zone lock to see that it is not BUDDY, so both are relaxed accesses: the answer that
 * matters, BUDDY, is only written under that lock.
 */
static inline unsigned page_state(const struct quire *q, uint32_t frame)
{
	return load_relaxed(&q->state[frame]);
}

static inline void page_set_state(struct quire *q, uint32_t frame, unsigned state)
{
	store_relaxed(&q->state[frame], (uint8_t)state);
}

static inline uint32_t page_block(const struct quire *q, uint32_t frame)
{
	return frame >> q->block_order;
}

static inline uint32_t block_frame(const struct quire *q, uint32_t block)
{
	return block << q->block_order;
}

static inline uint32_t block_pages(const struct quire *q)
{
	return 1u << q->block_order;
}

/* Orders from a block's up to the largest. */
static inline unsigned whole_orders(const struct quire *q)
{
	return QUIRE_ORDER_MAX + 1u - q->block_order;
}

static inline struct zone *tag_zone(struct quire *q, uint8_t tag)
{
	return &q->zone[tag >> TAG_ZONE_SHIFT & (ZONES_MAX - 1)];
}

static inline struct zone *page_zone(struct quire *q, uint32_t frame)
{
	return tag_zone(q, load_relaxed(&q->tag[page_block(q, frame)]));
}

static inline struct pcp *page_pcp(struct quire *q, unsigned zone, unsigned slot)
{
	return &q->pcp[(size_t)zone * q->stacks.cpu.doors_nr + slot];
}

/* Index of an order among those that stacks keep, 0..STACK_ORDERS_NR - 1; STACK_ORDERS_NR if they
 * do not keep it.  The same for lists. */
static inline unsigned stack_order_index(const struct quire *q, unsigned order)
{
	if (order < STACK_ORDERS_NR - 1)
		return order;
	return order == q->block_order ? STACK_ORDERS_NR - 1 : STACK_ORDERS_NR;
}

static inline unsigned list_order_index(const struct quire *q, unsigned order)
{
	if (order < LIST_ORDERS_NR - 1)
		return order;
	return order == q->block_order ? LIST_ORDERS_NR - 1 : LIST_ORDERS_NR;
}

static inline bool stack_keeps(const struct quire *q, unsigned order)
{
	return stack_order_index(q, order) < STACK_ORDERS_NR;
}

static inline bool list_keeps(const struct quire *q, unsigned order)
{
	return list_order_index(q, order) < LIST_ORDERS_NR;
}

/* The zone that a thread on the current CPU takes from first. */
static inline unsigned page_home_zone(struct quire *q)
{
	if (LIKELY(q->zones_nr == 1))
		return 0;
	return page_pcp(q, 0, (unsigned)stack_slot(&q->stacks.cpu))->home;
}

/* ---- block.c: bins and lists inside a block ---- */
unsigned block_row(uint8_t tag);
unsigned block_bucket(unsigned free_pages);
void zone_count_run_locked(struct zone *zone, unsigned row, unsigned order, unsigned zero,
			   bool arrives);
void block_free_add_locked(struct quire *q, struct zone *zone, uint32_t frame, unsigned order,
			   unsigned zero);
void block_free_take_locked(struct quire *q, struct zone *zone, uint32_t frame, unsigned order);
void block_rebin_locked(struct quire *q, struct zone *zone, uint32_t block);
void block_unbin_locked(struct quire *q, struct zone *zone, uint32_t block);
void block_set_tag_locked(struct quire *q, struct zone *zone, uint32_t block, uint8_t tag);
uint32_t block_fullest_locked(const struct zone *zone, unsigned row, unsigned order);
uint32_t block_emptiest_locked(const struct zone *zone, unsigned row, unsigned order);
void block_list_push(struct quire *q, struct block_list *list, uint32_t block, bool at_tail);
void block_list_take(struct quire *q, struct block_list *list, uint32_t block);

/* ---- buddy.c ---- */
void buddy_free_locked(struct quire *q, struct zone *zone, uint32_t frame, unsigned order,
		       unsigned zero);
unsigned buddy_take_partial_locked(struct quire *q, struct zone *zone, unsigned row, unsigned order,
				   uint32_t *frames, unsigned n);
uint32_t buddy_take_whole_locked(struct quire *q, struct zone *zone, unsigned row, unsigned order);
void buddy_whole_add_locked(struct quire *q, struct zone *zone, uint32_t frame, unsigned order,
			    unsigned zero);
void buddy_whole_remove_locked(struct quire *q, struct zone *zone, uint32_t frame, unsigned order);
void buddy_break_locked(struct quire *q, struct zone *zone, uint32_t frame);

/* ---- rmqueue.c: where a block comes from, as a list of attempts ---- */
unsigned rmqueue_bulk(struct quire *q, struct zone *zone, unsigned order, unsigned type,
		      unsigned flags, uint32_t *frames, unsigned n);
uint32_t rmqueue_direct(struct quire *q, unsigned order, unsigned flags);

/* ---- emptying.c ---- */
void emptying_choose_locked(struct quire *q, struct zone *zone);

/* ---- zone.c: watermarks, growing ---- */
void zone_init(struct quire *q, unsigned index, uint32_t block_first, uint32_t blocks_nr);
bool zone_lock_for(struct zone *zone, unsigned flags, lock_token *token);
void zone_unlock(struct zone *zone, lock_token token);
uint64_t zone_available_locked(const struct quire *q, const struct zone *zone);
uint64_t zone_mark(const struct zone *zone, unsigned flags);
bool zone_has_room_locked(const struct quire *q, const struct zone *zone, unsigned flags,
			  uint64_t pages);

#include "page/pcp.h"

/* ---- alloc.c, free.c ---- */
uint32_t page_alloc_frame(struct quire *q, unsigned order, unsigned flags);
void *page_alloc_on(struct quire *q, unsigned slot, unsigned order, unsigned flags);
void page_free_on(struct quire *q, unsigned slot, void *addr, unsigned order);
void page_free_bulk_on(struct quire *q, unsigned slot, size_t count, void **pages);
void page_split_to(struct quire *q, void *addr, unsigned order, unsigned new_order);
/* quire_alloc_pages() for a caller that may do without: NULL with *@error, and errno as it was. */
void *page_alloc_run(struct quire *q, unsigned order, unsigned flags, int *error);
void *page_finish_alloc(struct quire *q, uint32_t frame, unsigned order, unsigned flags);
/* Checks that @addr heads an allocated block of @order, or stops with the rule broken. */
uint32_t page_check_free(struct quire *q, const void *addr, unsigned order, const char *function);
void page_free_frame(struct quire *q, uint32_t frame, unsigned order);
void page_free_direct(struct quire *q, uint32_t frame);
void page_take_deferred(struct quire *q);
uint32_t page_take_deferred_one(struct quire *q, unsigned order);
unsigned page_flags_type(unsigned flags);
unsigned page_stack_class(struct quire *q, unsigned order, unsigned flags);
bool page_flags_valid(const struct quire *q, unsigned order, unsigned flags);

/* ---- nested.c ---- */
uint32_t nested_alloc(struct quire *q, unsigned zone, unsigned order, unsigned flags);
void nested_init(struct quire *q);
void nested_fill(struct quire *q);
size_t nested_drain(struct quire *q);
uint64_t nested_pages(struct quire *q);

/* ---- drain.c ---- */
size_t drain_slots(struct quire *q, unsigned first, unsigned end);
size_t drain_everything(struct quire *q);
size_t drain_idle(struct quire *q);
/* Drained once with everything switched off meanwhile, so that nothing comes back behind it. */
void drain_disabled(struct quire *q);
void drain_disabled_locked(struct quire *q);
/* In a child of fork, with no lock held: what other threads had switched off is on. */
void drain_fork_child(struct quire *q);
uint32_t drain_and_take(struct quire *q, unsigned order, unsigned flags);
/* Benches and tests: hold one CPU's lock with its stacks closed, so that its users are refused. */
struct pcp *page_pcp_hold(struct quire *q, unsigned slot);
void page_pcp_unhold(struct quire *q, struct pcp *pcp);

/* ---- stat.c ---- */
/* All but what takes a walk: fork_lost_pages. */
void page_stat_collect(struct quire *q, struct quire_page_stat *stat);

/* ---- isolate.c, giveback.c ---- */
struct gather;
/* Blocks of which nothing is in use, and nothing is behind, may have huge pages again. */
void page_allow_huge(struct quire *q, uint32_t first, uint32_t end);
void page_unback(const struct quire *q, struct gather *gather, void *addr, size_t bytes);
size_t offline_whole_blocks(struct quire *q);
size_t giveback_all(struct quire *q);
size_t giveback_room_bytes(void);
uint64_t giveback_tick(struct quire *q, uint64_t now_ns);
bool giveback_nothing_left(struct quire *q);
uint64_t giveback_visit(struct quire *q, uint64_t now_ns);
void giveback_kick(struct quire *q);
/* Waits until no memory is on its way back. */
void giveback_wait(struct quire *q);

/* ---- worker.c ---- */
/* What is due, at @q's worker's request: returns when it wants to be called again. */
uint64_t worker_run(void *q, uint64_t now_ns);
/* In a child of fork, with no lock held: what other threads had stopped may start. */
void worker_fork_child(struct quire *q);
void worker_follow(struct quire *q);

/* ---- verify.c ---- */
int page_verify(struct quire *q);

#endif
