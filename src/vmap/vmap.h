/* SPDX-License-Identifier: MIT */
/*
 * vmap/vmap.h - areas: the structures and the names that vmap's files share
 *
 * Words
 *   span     the addresses reserved for areas; a page of it is named by its number
 *   range    a run of the span's pages with one record.  Ranges partition the span (V1)
 *   area     a range in use
 *   usable   the pages that an area's user may access: as many as were requested.  A guard page follows
 *            them; pages that a class or a region adds lie beyond the guard
 *   class    areas of one size: exact to 8 pages, then four sizes an octave
 *   backed   said of pages that count against the instance's limit; they may have memory behind
 *   lazy     said of a freed range that waits for the purge; counted in lazy_pages (V4)
 *   rescue   take lazy ranges back to be used again, instead of purging them
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
 *   POOLED    an allocation fits in; what is left stays     BUSY      lock
 *   POOLED    old, or more than may stay                    PURGED    purge_mutex, lock
 *   LAZY      spliced off by a purge                        PURGED    purge_mutex
 *   PURGED    the gather has finished; merges               FREE      lock
 *
 * Reuse from CACHED and POOLED needs no flush, since the addresses keep their memory.  No CPU can
 * access memory through FREE addresses: the gather's finish guarantees that (V5).
 *
 * Locks: purge_mutex, commit_mutex (waiting); a CPU's lock, `lock` (spinning), in this order.
 */
#ifndef VMAP_VMAP_H
#define VMAP_VMAP_H

#include <quire/vmap.h>

#include "base/check.h"
#include "base/errno.h"
#include "base/mem.h"
#include "base/round.h"
#include "machine/atomic.h"
#include "machine/clock.h"
#include "machine/lock.h"
#include "machine/mem.h"
#include "machine/process.h"
#include "machine/stack.h"
#include "machine/work.h"
#include "page/alloc.h"
#include "page/block.h"
#include "page/huge.h"
#include "page/instance.h"
#include "page/layout.h"
#include "page/module.h"
#include "page/page.h"
#include "pool/pool.h"
#include "stacks/stacks.h"

#define RANGE_NONE POOL_NONE

/* Sizes: 1..8 pages, then 4 an octave up to 2^18 pages (1 GiB of 4 KiB pages). */
#define CLASSES_EXACT	8u
#define CLASSES_NR	68u
#define CLASS_PAGES_MAX (1u << 18)
#define CLASS_NONE	CLASSES_NR /* its stack's header stays zero, which refuses */

/* Six levels of 64 cover 2^36 pages: more than page numbers name. */
#define HEADS_LEVELS 6u

/* Committed at a time: sections of 2 MiB, as many as are wanted, or an eighth of what was before, up to
 * 64 MiB: one system call. */
#define SECTION_SHIFT	 21
#define SECTIONS_AT_ONCE 32u
/* Callers at a time that commit sections without waiting for who does already.  One more is refused
 * (quire/vmap.h), which takes 16 threads at once in the middle of a system call. */
#define CLAIMS_NR	 16u
#define RECORDS_AT_HAND	 16u
#define RECORDS_NEEDED	 3u

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
 * One range; a record of the pool, one cache line.  Keys: (o) its owner: who allocated it, who
 * holds the stack or list it is on, or purge_mutex; (s) under `lock`.
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

struct range_tree {
	uint32_t root;
	uint32_t nr;
	uint64_t pages;
};

/* One CPU's freed areas, and the door of its stacks. */
struct vmap_cpu {
	struct stacks_door door;      /* RANK_VMAP_CPU */
	uint32_t list[CLASSES_NR];    /* (l) without sequences: heads */
	uint16_t list_nr[CLASSES_NR]; /* (l) */
	bool prepared[CLASSES_NR];    /* (l) by cpu_make_ready(); read as a hint */
	uint32_t room;		      /* (l) blocks with room for mappings: index + 1; 0 */
	uint64_t merged_ns; /* atomic, relaxed: when this CPU last gave its areas to be merged */
} __attribute__((aligned(64)));

/* Places for areas by size, so that huge pages stand where they pay. */
enum region {
	REGION_SMALL,  /* below 64 KiB: no huge pages */
	REGION_MIDDLE, /* below 2 MiB: huge pages shared by areas */
	REGION_LARGE,  /* aligned to 2 MiB */
	REGIONS_NR,
};

/* What is known of how a region's areas are written: dense.c. */
struct dense {
	uint32_t witness_start, witness_pages; /* to be looked at; no pages: none */
	uint32_t interval, until_probe;	       /* huge runs until the next witness */
	bool was_dense;
};

/* Sections that one caller commits: claim.c. */
struct claim {
	struct mutex mutex;  /* RANK_VMAP_CLAIM; of the first, unused */
	uint32_t first, end; /* (s) equal: nobody's */
};

/* Keys: (c) constant; (s) under lock; (m) under purge_mutex; (r) as (s), read without as a hint. */
struct vmap {
	/* Fast paths. */
	char *base;	       /* (c) */
	size_t span_bytes;     /* (c) */
	uint32_t *map;	       /* by page: range that begins there; 0: none.  Written under lock */
	size_t fast_bytes_end; /* atomic: sizes below it are served fast: fast_bytes_most, or none */
	size_t fast_bytes_most; /* (c) sizes below it have a class; 0 without caches */
	uint8_t push_allowed;	/* (c) 1; 0 with cache:off */
	uint8_t page_shift;	/* (c) */
	uint8_t guard_pages;	/* (c) 0 or 1 */
	bool cache;		/* (c) */
	bool guard_freed;	/* (c) guard:freed */
	struct pool pool;
	struct stacks stacks; /* (c) */

	struct quire *q; /* (c) */
	struct quire_module module;
	struct vmap_cpu *cpu; /* (c) by slot */
	char *meta;	      /* (c) reservation of map, heads, sections */
	size_t meta_bytes;
	struct stacks_class stack_class[CLASSES_NR]; /* (c) of stacks */
	char *cpu_meta;				     /* (c) reservation of cpus and stacks */
	size_t cpu_meta_bytes;
	uint32_t span_pages;		       /* (c) */
	uint32_t region_start[REGIONS_NR + 1]; /* (c) pages */
	uint32_t block_pages;		       /* (c) of 2 MiB */
	size_t align_bytes;	/* (c) of base: the largest alignment that can be asked for */
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
	uint32_t spares;	/* (s) records at hand, by `next` */
	uint32_t spares_nr;	/* (s) */
	uint64_t charged_pages; /* (r) V9: backed pages of all ranges */
	uint64_t retired_uses;	/* (s) of records that are gone */
	uint64_t tree_allocs, tree_compares, tree_operations; /* (s) */
	uint64_t slow_allocs, slow_refills;		      /* (s) */

	uint32_t lazy;		  /* atomic: head of the lock-free list */
	uint32_t lazy_frames;	  /* atomic: another one, of ranges with frames behind them */
	uint64_t lazy_pages;	  /* atomic: V4 */
	uint64_t lazy_areas;	  /* atomic, relaxed */
	uint64_t lazy_max_pages;  /* (c) */
	uint64_t live_high_pages; /* atomic, relaxed: highest backed total in use lately */

	struct mutex purge_mutex;
	uint32_t purging;	   /* atomic: purge:counter, and who is in flight */
	struct mem_range *ranges;  /* (m) for one gather */
	struct mem_vector *vector; /* (m) likewise */
	uint32_t purged_ms;	   /* (m) when last */
	uint32_t ticked_ms;	   /* the worker's: latest turn */
	uint32_t busy_ms;	   /* the worker's: latest turn that had work */
	bool kicked;		   /* atomic, relaxed: the worker will come */
	uint64_t purges, flushes;  /* atomic, relaxed: purge:counter excludes nobody */
	uint64_t purged_areas, purged_ranges, purged_pages; /* (s), read relaxed */
	uint64_t areas_per_hold_max;
	uint64_t purge_waits, refusals, refusals_spurious, guards_installed; /* atomic, relaxed */

	struct mutex commit_mutex; /* RANK_VMAP_COMMIT */
	uint64_t *mapped;	   /* mapped.c: two bits a page; atomic */
	uint64_t mapped_guards,
		mapped_frames;		    /* atomic, relaxed: taken of the process's mappings */
	struct claim claims[1 + CLAIMS_NR]; /* the first is the holder's of commit_mutex */
	uint8_t *step_ready;		    /* meta.c; atomic */
	uint32_t sections_ready;	    /* atomic, relaxed */
	uint8_t *section; /* by section: enum huge_kind; atomic.  Made usable by who claimed it */
	bool uncounted;	  /* atomic: there are sections of that kind */
	uint64_t block_maps; /* atomic, relaxed */
	struct ram *ram;     /* atomic: blocks of quire_vm_map_ram(); NULL until first used */
};

static inline struct range *range_at(const struct vmap *v, uint32_t index)
{
	return (struct range *)(void *)(v->pool.base + (size_t)index * sizeof(struct range));
}

static inline void *range_addr(const struct vmap *v, const struct range *range)
{
	return v->base + ((size_t)range->start << v->page_shift);
}

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

static inline uint32_t page_at(const struct vmap *v, const void *addr)
{
	return (uint32_t)(((uintptr_t)addr - (uintptr_t)v->base) >> v->page_shift);
}

static inline uint32_t range_end(const struct range *range)
{
	return range->start + range->pages;
}

/* ---- class.c ---- */
/* 1 -> 0, 8 -> 7, 9 -> 8, 10 -> 8, 11 -> 9, 16 -> 11, 17 -> 12. */
static inline unsigned class_of(uint32_t pages)
{
	uint32_t below = pages - 1;
	unsigned octave;

	if (below < CLASSES_EXACT)
		return below;
	octave = 31u - (unsigned)__builtin_clz(below);
	return CLASSES_EXACT + (octave - 3) * 4 + (below >> (octave - 2)) - 4;
}
uint32_t class_pages(unsigned class);
uint32_t class_entries_max(unsigned class);

/* ---- tree.c: ranges by address, with the largest of each subtree ---- */
struct fit {
	uint32_t pages;	    /* wanted */
	uint32_t align;	    /* pages, a power of two */
	uint32_t low, high; /* the result lies in [low, high) */
	uint32_t index;	    /* found: the range */
	uint32_t start;	    /* and where in it */
};
bool tree_fit_locked(struct vmap *v, const struct range_tree *tree, struct fit *fit);
void tree_put_locked(struct vmap *v, struct range_tree *tree, uint32_t index);
void tree_take_locked(struct vmap *v, struct range_tree *tree, uint32_t index);
/* Moves a range's bounds, without passing a neighbour. */
void tree_resize_locked(struct vmap *v, struct range_tree *tree, uint32_t index, uint32_t start,
			uint32_t pages);
/* The last range that begins at or below @page; RANGE_NONE. */
uint32_t tree_floor_locked(struct vmap *v, const struct range_tree *tree, uint32_t page);
uint32_t tree_first(const struct vmap *v, const struct range_tree *tree);
uint32_t tree_next(const struct vmap *v, uint32_t index);
int tree_verify(const struct vmap *v, const struct range_tree *tree);

/* ---- heads.c: which range a page is in ---- */
size_t heads_bytes(uint32_t span_pages);
void heads_place(struct vmap *v, uint64_t *words);
void heads_set_locked(struct vmap *v, uint32_t page, uint32_t index);
void heads_clear_locked(struct vmap *v, uint32_t page);
/* First head at or after @page; RANGE_NONE. */
uint32_t heads_next_locked(struct vmap *v, uint32_t page);
/* Last head at or before @page; RANGE_NONE. */
uint32_t heads_prev_locked(struct vmap *v, uint32_t page);

/* ---- records.c ---- */
/* Takes the lock with enough records at hand, so that nothing under it can fail for want of one.
 * 0; -ENOMEM, or -EAGAIN if @flags forbid to wait for it. */
int space_lock_for(struct vmap *v, unsigned flags, lock_token *token);
uint32_t space_record_locked(struct vmap *v);
void space_retire_locked(struct vmap *v, uint32_t index);

/* ---- space.c: taking and returning ranges ---- */
struct request {
	uint32_t usable;      /* pages asked for */
	uint32_t pages;	      /* to have memory: the same, or what the class has */
	uint32_t total;	      /* with the guard, and rounded as the region asks */
	uint32_t align;	      /* pages, a power of two: wished for */
	uint32_t align_least; /* the same: asked for */
	uint32_t low, high;   /* it lies in these pages */
	uint8_t class;
	uint8_t kind;
	bool anywhere; /* low and high are only a preference */
	bool frames;   /* what will be behind it is somebody's already: nothing is charged */
	unsigned flags;
	uint64_t asked_bytes;
	/* What the answer needs before use. */
	bool fresh; /* nothing is behind it: it reads zero */
	bool guard_due, unguard_due;
	uint32_t kept;	     /* pages at its beginning that were in use before */
	bool grown_and_full; /* it grows an area that is written */
	/* After -EAGAIN: pages whose description has to be made ready first. */
	uint32_t unready_first, unready_end;
	/* What a caller that may not wait has to commit: taken together with the addresses. */
	struct claim *claim;
	bool move_due; /* its guard stands behind @old_usable pages */
	uint32_t old_usable;
};
/* A busy range, or RANGE_NONE.  *@error: -ENOSPC, -ENOMEM if the limit refused, or -EAGAIN (above). */
uint32_t space_take_pooled_locked(struct vmap *v, struct request *request);
uint32_t space_take_free_locked(struct vmap *v, struct request *request, int *error);
void space_pool_locked(struct vmap *v, uint32_t index, uint32_t stamp_ms);
void space_unpool_locked(struct vmap *v, uint32_t index);
/* Not in a tree any more -> FREE.  Returns pages to uncharge. */
uint64_t space_free_locked(struct vmap *v, uint32_t index);
/* Cuts a range that is in no tree after @pages of it; the rest is a range like it. */
uint32_t space_cut_locked(struct vmap *v, uint32_t index, uint32_t pages);
/* Joins to a range that is in no tree the one right behind it. */
void space_join_locked(struct vmap *v, uint32_t index, uint32_t behind);
/* Lengthens a busy range into what is free or pooled behind it, if all of @pages can be had. */
bool space_grow_locked(struct vmap *v, uint32_t index, uint32_t pages, struct request *request);

/* ---- meta.c: what describes the span, made usable where areas lie ---- */
int meta_reserve(struct vmap *v);
/* Can all that describes pages [first, end) be written? */
bool meta_is_ready(const struct vmap *v, uint32_t first, uint32_t end);
/* Beside whoever does the same.  0; -ENOMEM if the system refused; -EAGAIN if @flags forbid system calls. */
int meta_ready(struct vmap *v, uint32_t first, uint32_t end, unsigned flags);

/* ---- mapped.c: guards and frames within the process's budget of mappings ---- */
/* mem_guard() and mem_unguard() by page, in ranges of the caller's.  -ENOSPC: the guard would be a mapping
 * beyond the budget. */
int mapped_guard(struct vmap *v, uint32_t page, uint32_t n);
int mapped_unguard(struct vmap *v, uint32_t page, uint32_t n);
/* Takes the mappings that frames at @page will be; false if the budget has not so many. */
bool mapped_take_frames(struct vmap *v, uint32_t page, void *const *frames, size_t n);
/* Gives back what guards and frames on pages [page, page + n) were: they have been taken out, and unmapped. */
void mapped_forget(struct vmap *v, uint32_t page, uint32_t n);
/* The span is gone. */
void mapped_forget_all(struct vmap *v);

/* ---- commit.c ---- */
static inline unsigned section_page_shift(const struct vmap *v)
{
	return SECTION_SHIFT - v->page_shift;
}
static inline bool section_is_ready(const struct vmap *v, uint32_t section)
{
	return load_acquire(&v->section[section]) != HUGE_UNUSED; /* pairs with publish() */
}
/* Makes a range usable, and gives up the request's claim.  0; -ENOMEM if the system refused; -EAGAIN if
 * the flags forbid system calls. */
int vmap_commit(struct vmap *v, const struct range *range, struct request *request);
/* Counts the advice that could not be when its sections were published. */
void vmap_count_advice(struct vmap *v);
/* No huge page in the block around @page, of which a part goes.  True if there may be one now. */
bool vmap_deny_huge(struct vmap *v, uint32_t page);
/* Makes a range have @usable pages, with its guard behind them.  0, or -errno with all as it was. */
int vmap_reshape(struct vmap *v, struct range *range, uint32_t usable);
/* guard:freed: a freed range keeps no memory, and every access to it faults, as far as the system
 * lets it. */
void vmap_forbid(struct vmap *v, struct range *range);
/* Sets guards as the request says; none that would be a mapping beyond the budget.  0 or -errno. */
int vmap_prepare(struct vmap *v, struct range *range, const struct request *request);

/* ---- claim.c: who commits which sections ---- */
/* Does a caller with these flags commit by a claim of its own?  It may make system calls, and may not wait
 * for other claims: so it is also in a handler of others during a fork, for which their holders
 * wait. */
static inline bool claim_is_due(unsigned flags)
{
	if (flags & QUIRE_NOLOCK)
		return false;
	return (flags & FLAGS_NO_MUTEX) || lock_kept();
}
/* Of pages [first, end): the page behind the last that somebody else is committing; 0 if there is none. */
uint32_t claim_busy_end_locked(const struct vmap *v, uint32_t first, uint32_t end);
/* For a request that claim_is_due() for: claims what is not committed of pages that nobody is committing.
 * False: too many are at it.  claim_drop_locked(): the addresses were not had. */
bool claim_take_locked(struct vmap *v, struct request *request, uint32_t first, uint32_t end);
void claim_drop_locked(struct vmap *v, struct request *request);
/* The next run of sections, from *@first on, that the holder of commit_mutex is to commit for a range
 * which ends at @end; waits for who has claimed it.  Empty: there is none. */
struct claim *claim_next(struct vmap *v, uint32_t *first, uint32_t end, bool locked);
void claim_put(struct vmap *v, struct claim *claim);
void claim_fork_child_locked(struct vmap *v);
/* The number of sections that are ready is right, and nobody has a claim. */
bool claim_verify_locked(const struct vmap *v);

/* ---- dense.c: where huge pages stand ---- */
struct dense_question {
	bool always, grown_and_full, witness_was_dense;
	uint32_t covered_pages, block_pages; /* of the block, what the area covers */
	uint32_t until_probe;
};
enum dense_answer {
	DENSE_NOT_COVERED, /* a huge page would be mostly beyond the area */
	DENSE_UNKNOWN,	   /* nothing says that it will be written */
	DENSE_PROBE,	   /* its like were written; it is the next witness */
	DENSE_YES,	   /* from here on: huge pages */
	DENSE_ALWAYS = DENSE_YES,
	DENSE_GROWN,
	DENSE_LIKELY,
};
enum dense_answer dense_decide(const struct dense_question *ask);
/* Advises the blocks that a fresh range has alone. */
void dense_advise(struct vmap *v, const struct range *range, const struct request *request);
/* Looks at the witnesses, before what they show is purged. */
void dense_look(struct vmap *v);
/* A range that grows to @pages, and into another section, is written.  False, too, where it does not
 * matter. */
bool dense_is_full(struct vmap *v, const struct range *range, uint32_t pages);
/* If all is free: one advice for all. */
void dense_settle(struct vmap *v);

/* ---- cpu.c: one CPU's freed areas ---- */
void cpus_init_stacks(struct vmap *v);
struct vmap_cpu *cpu_current_try(struct vmap *v, lock_token *token);
/* Takes the fence and the page fault of a class's first free on this CPU here, where waiting is allowed. */
void cpu_make_ready(struct vmap *v, unsigned class, unsigned flags);
struct vmap_cpu *cpu_lock(struct vmap *v, unsigned slot, lock_token *token);
/* An area of a class in state CACHED, or RANGE_NONE. */
uint32_t cpu_take(struct vmap *v, unsigned class);
/* Puts a freed area (CACHED) where this CPU keeps its class, or hands on half of that.  False: it
 * does not keep it. */
bool cpu_put(struct vmap *v, uint32_t index);
/* What the current CPU has, to the pooled ranges; without closing its stacks. */
void cpu_pool_own(struct vmap *v);
/* Closes, pools what there is, opens; the next free there takes the slow path. */
bool cpu_drain(struct vmap *v, unsigned slot); /* did it hold any? */
void cpus_close(struct vmap *v);
void cpus_open(struct vmap *v);
uint64_t cpu_pages(struct vmap *v, unsigned slot, uint64_t *areas);

/* ---- lazy.c ---- */
void lazy_publish_chain(struct vmap *v, uint32_t chain);
uint32_t lazy_splice(struct vmap *v);
uint32_t lazy_splice_frames(struct vmap *v);
/* One that was spliced and could not be purged; it is still counted. */
void lazy_put_back(struct vmap *v, uint32_t index);
/* At most @most of the newest, for the holder of purge_mutex. */
uint32_t lazy_pop(struct vmap *v, unsigned most);
/* In a child of fork: what others had counted and not yet published is lost, and not waited for. */
void lazy_recount(struct vmap *v);
void lazy_uncount(struct vmap *v, uint64_t pages, uint64_t areas);

/* ---- purge.c ---- */
#define EVERYTHING_MS UINT32_MAX /* no age at all: everything */
/*
 * Purges what is lazy, and the oldest pooled ranges that came at @before_ms or earlier, while more
 * than @keep_pages are pooled.  @wait: also for a purge in flight.  Returns pages.
 */
uint64_t purge_run(struct vmap *v, uint32_t before_ms, uint64_t keep_pages, bool wait);
/* Pages of areas that were purged, as quire/vmap.h counts them. */
struct purged {
	uint64_t area_pages;  /* that had memory */
	uint64_t alias_pages; /* behind which stood somebody's pages */
};
/* Under purge_mutex: all that is lazy or pooled. */
struct purged purge_everything(struct vmap *v);
/* Puts a chain of freed areas (CACHED) among the pooled ranges. */
void purge_pool_chain(struct vmap *v, uint32_t chain);
/* Takes lazy areas back among the pooled ranges, if no purge is at work.  Returns how many. */
unsigned purge_rescue(struct vmap *v, unsigned most);

uint32_t purge_sort(struct vmap *v, uint32_t chain);
/* Returns the ranges of a sorted chain before @end. */
void purge_return(struct vmap *v, uint32_t chain, uint32_t end);

/* ---- resort.c: before anything is refused ---- */
/* Something that was refused and is to be tried again. */
struct resort {
	int (*attempt)(struct vmap *v, struct resort *resort); /* 0 or -errno; under purge_mutex */
	bool mappings; /* it may lack mappings: those of blocks in use are given back as well */
};
/* The attempt once all that vmap holds is purged; it waits for that.  What the attempt said last. */
int resort_try(struct vmap *v, struct resort *resort);
/* The same; and, for -ENOMEM, once more when pages and other modules have given up what they cache. */
int resort_try_all(struct vmap *v, struct resort *resort);

/* ---- frames.c: ranges behind which stand frames ---- */
/* The areas of an instance that can map frames; NULL with *@error set. */
struct vmap *frames_get(struct quire *q, void *const *pages, size_t count, unsigned flags,
			int *error);
/* Addresses for frames, with a guard page or aligned to their number; RANGE_NONE. */
uint32_t frames_take(struct vmap *v, uint32_t pages, uint32_t align, enum quire_vmap_kind kind,
		     unsigned flags, int *error);
/* Maps them at @addr, in a range of frames.  Before it refuses, what holds mappings is purged, unless
 * @flags forbid to wait.  0 or -ENOMEM, with nothing mapped. */
int frames_map(struct vmap *v, void *addr, void *const *pages, size_t count, unsigned flags);
/* Gives a busy range up; the purge takes the aliases. */
void frames_give(struct vmap *v, uint32_t index);
/* A range of frames that begins at @addr, filled; what quire_vmap() returns. */
void *frames_map_area(struct vmap *v, void *const *pages, size_t count, enum quire_vmap_kind kind,
		      unsigned flags, int *error);
/* Under purge_mutex.  Returns pages. */
uint64_t frames_purge(struct vmap *v);

/* ---- ram.c, ram_purge.c: blocks of small mappings ---- */
void ram_fini(struct vmap *v);
/* Under purge_mutex: a block's range is about to be free. */
void ram_retire(struct vmap *v, uint32_t block);
void ram_purge_fragmented(struct vmap *v, bool force);
void ram_unmap_aliases(struct vmap *v);
void ram_unmap_aliases_locked(struct vmap *v); /* under purge_mutex */
size_t ram_shrink(struct vmap *v);
uint64_t ram_blocks(struct vmap *v);
int ram_verify(struct vmap *v);

/* ---- decay.c: by time, and on demand ---- */
uint64_t decay_tick(struct quire_module *module, uint64_t now_ns);
struct purged decay_purge(struct vmap *v);
size_t decay_shrink(struct quire_module *module);
/* The worker shall come to what was freed; at once if there is more than may be. */
void decay_kick(struct vmap *v);
void decay_kick_if_over(struct vmap *v);
void decay_check_over(struct vmap *v);
uint32_t decay_now_ms(void);
uint64_t decay_budget_pages(struct vmap *v);
void decay_note_live(struct vmap *v);

/* ---- alloc.c ---- */
uint32_t vmap_asked_pages(const struct vmap *v, uint64_t bytes);
int request_make(const struct vmap *v, struct request *request, size_t bytes, unsigned flags);
/* A busy range, ready for use; RANGE_NONE with *@error set. */
uint32_t vmap_alloc_range(struct vmap *v, struct request *request, int *error);
/* quire_vmalloc() for a caller that may do without: NULL with *@error, and errno as it was. */
void *vmap_alloc_area(struct quire *q, size_t bytes, unsigned flags, int *error);

/* The same for addresses that frames will be behind. */
uint32_t vmap_alloc_addresses(struct vmap *v, struct request *request, int *error);

/* ---- free.c ---- */
/* The busy range of @kind that begins at @addr, or stops with the rule broken. */
uint32_t vmap_check_free(struct vmap *v, const void *addr, unsigned kind, const char *function);
/* Where a range (CACHED) goes that the fast path could not push. */
void vmap_free_range(struct vmap *v, uint32_t index);

/* ---- instance.c ---- */
/* The instance's areas; made at the first call.  NULL with *@error set. */
struct vmap *vmap_get(struct quire *q, unsigned flags, int *error);
struct vmap *vmap_of(struct quire_module *module);

/* ---- verify.c ---- */
int vmap_verify(struct quire_module *module);

#endif
