/* SPDX-License-Identifier: MIT */
/*
 * percpu/percpu.h - per-CPU memory's structures and the names its files share
 *
 * Words
 *   unit       one CPU's copy of a chunk, UNIT pages long
 *   chunk      the same stretch of addresses on every CPU, QUIRE_PERCPU_STRIDE apart
 *   window     one stride on every CPU: the chunks whose units lie in it side by side
 *   granule    8 bytes of a unit: what maps count in.  Objects of 4 bytes share pages of their own,
 *              whose map has a bit for each half.
 *   object     one live allocation: the same granules in every unit
 *   populated  said of a page offset: it is charged, and may be written in every unit
 *   free       said of a page offset: no object touches it
 *   empty      populated and free
 *   isolated   said of a chunk: its empty pages are no reserve, they are on their way out
 *   stream     a page that objects of one kind are put into in the order of time
 *
 * Life of a chunk: chunk.c.  Placement: packed.c, linux.c.  What is behind: populate.c.
 *
 * Locks
 *   alloc_mutex   RANK_PERCPU_ALLOC: what is given back: pages, chunks, maps.  May wait.  Callers that may
 *                 wait also grow under it, one at a time; nothing depends on that (grow.c).
 *   cpu->lock     RANK_PERCPU_CPU: the door of one CPU's stacks
 *   lock          RANK_PERCPU: lists, maps, counters, charges of pages.  Nothing waits under it.
 * Chunks come, pages are populated and arrays grow under lock alone.  Chunks go, pages are depopulated
 * and maps become fewer only under both.  Keys below: (m) under alloc_mutex; (l) under lock; (lm) under
 * lock, and under both where it becomes less; (c) constant; (r) written under lock, load_relaxed()
 * without it gives a hint.
 *
 * Invariants, by percpu_verify(), true whenever lock is free:
 *   P1   a chunk's objects and free granules are its pages', and those equal what their maps say
 *   P2   an object's first granule has its boundary bit, the others have none; free ones have none
 *   P3   a page's longest run is never overstated; a page with a map has an object
 *   P4   a chunk's masks by longest run agree with its pages'; its run of free pages is exact
 *   P5   each map belongs to one page, and maps are dense: as many as pages that need one; its
 *        place is published to frees that take no lock, except for pages of 4-byte objects
 *   P6   a page's kind says what its map counts: objects of 4 bytes are on such pages only
 *   P7   a page is in the chunk's free mask exactly if it has no object
 *   P8   a sidelined chunk has no empty page: the worker looked twice
 *   P9   every object lies in populated pages
 *   P10  empty_pages is the sum over chunks that are not isolated
 *   P11  populated_pages is the sum over chunks; maps are ready for so many
 *   P12  a chunk is on the list that its state and its largest hole say
 *   P13  an offset on a stack is one object of that size, marked
 *   P14  the index says of each chunk what its masks say
 */
#ifndef PERCPU_PERCPU_H
#define PERCPU_PERCPU_H

#include <quire/percpu.h>

#include "machine/clock.h"
#include "machine/mem.h"
#include "page/page.h"
#include "percpu/variable.h"

#define GRANULE_SHIFT  3
#define UNIT_PAGES_MAX 64u
#define MAP_WORDS      16u /* 64-bit: 8 of used granules and 8 of boundaries for pages of 4 KiB */
#define SLOTS_PAGE_NR  14u /* by longest run in a page: 1 granule is 0, 4,096 is 12 */
#define NONE	       UINT32_MAX

/* Linux's reserve for callers that cannot wait: an object of at most a page can straddle two, and a
 * pass should cover two such requests. */
#define EMPTY_LOW  2u
#define EMPTY_HIGH 4u

/* With more units than that a look at every copy is worth avoiding: below, what it could save is
 * seven pages for each that is written. */
#define DENSE_UNITS 8u

/* The first chunk's areas, in bytes: for variables of programs, of libraries loaded later, and what
 * is populated from the start for anybody. */
#define STATIC_BYTES   (16u << 10)
#define RESERVED_BYTES (8u << 10)
#define DYNAMIC_BYTES  (28u << 10)

enum kind {
	KIND_BIG,    /* 64 bytes and more */
	KIND_SMALL,  /* less */
	KIND_FOURS,  /* of 4 bytes: the map has one bit a half granule */
	KIND_STATIC, /* first chunk: variables */
	KIND_RESERVED,
	KIND_FREE,   /* no object */
	KIND_CLOSED, /* behind the first chunk's areas */
	KINDS_NR,
};
#define STREAMS_NR 3u

/* One page offset of a chunk.  All (l). */
struct percpu_page {
	uint32_t words;	  /* (r) where its map begins, in units of 64 bytes, and WORDS_HIDDEN;
			     NONE: no object, no map */
	uint16_t free_nr; /* granules; halves in a page of fours */
	uint16_t longest; /* granules; 0 while a stream fills it: P3 */
	uint16_t fresh;	  /* granules from here on were not used since it was populated */
	uint8_t kind;
	uint8_t seen; /* enum page_seen */
};

/* Frees without the lock pass such a map by: it is no map of granules, or not yet.  A map is a multiple
 * of 128 bytes, so the bit is free, and it is set in NONE. */
#define WORDS_HIDDEN 1u

/* What is free in a page reads zero where no bit of written says otherwise: sparse.c. */
enum page_seen {
	PAGE_NOT_SEEN, /* an object was freed since */
	PAGE_PENDING,  /* somebody looks */
	PAGE_SEEN,
};

/* Words 0..7: granule is used; 8..15: an object begins.  In a page of fours all 16: half is used.
 * Larger pages have more, which follow: map_words. */
struct percpu_map {
	uint64_t word[MAP_WORDS];
};

enum chunk_state {
	CHUNK_NONE,
	CHUNK_ACTIVE,
	CHUNK_SIDELINED,
	CHUNK_FREE,
	CHUNK_TO_DEPOPULATE,
};

/* Lists: ACTIVE by largest hole: none, 1 granule.., 1 free page..; then the others. */
#define LIST_PAGES	   (SLOTS_PAGE_NR + 1u)
#define LIST_SIDELINED	   (LIST_PAGES + 7u)
#define LIST_FREE	   (LIST_SIDELINED + 1u)
#define LIST_TO_DEPOPULATE (LIST_FREE + 1u)
#define CHUNK_LISTS_NR	   (LIST_TO_DEPOPULATE + 1u)

/* Free pages, by whether they are populated. */
enum which {
	POPULATED,
	UNPOPULATED,
	ANY,
	WHICH_NR,
};
#define RUNS_NR 7u /* log2 of a run of pages: 0..6 */

struct percpu_chunk {
	uint32_t prev, next;		    /* (l) in its list; NONE */
	uint64_t populated;		    /* (lm) page offsets */
	uint64_t free;			    /* (l) pages without an object */
	uint64_t kind[STREAMS_NR];	    /* (l) pages of these kinds */
	uint64_t by_longest[SLOTS_PAGE_NR]; /* (l) pages whose longest run has that log2 */
	uint32_t objects_nr;		    /* (l) */
	uint32_t free_granules;		    /* (l) */
	uint8_t state;			    /* (l); existence (lm) */
	uint8_t list;			    /* (l) */
	uint64_t fours;			    /* (l) pages of fours with room */
	uint8_t free_run;		    /* (l) longest run of free pages */
	uint8_t searched_as;		    /* (l) index.c: state, or CHUNK_NONE: not */
	uint8_t run[WHICH_NR];		    /* (l) log2 of longest runs, plus one */
	bool isolated;			    /* (l) */
	bool immutable;			    /* (c) the first */
	uint64_t emptied_ns;		    /* (l) last time a page became empty */
	/* Atomic, written without the lock and so out of what is copied and cleared under it: the
	 * deferred bitmap may have bits. */
	uint32_t deferred;
};
#define CHUNK_LOCKED_BYTES offsetof(struct percpu_chunk, deferred)

struct chunk_list {
	uint32_t head, tail, nr;
};

/* Where objects of a kind go, in the order of time. */
struct stream {
	uint32_t page; /* NONE */
	uint32_t fill; /* granules */
};

/* One CPU's cached offsets and the door of its stacks. */
#define CACHE_CLASSES_NR 64u /* 8..512 bytes, by granules */
#define CACHE_ENTRIES	 64u
#define LINE_GRANULES	 8u
struct percpu_cpu {
	struct lock lock; /* RANK_PERCPU_CPU */
	lock_token kept;
	bool ready;
	bool closed;
	bool open; /* atomic, relaxed: some stack of it takes objects */
	uint32_t tops_seen;
	uint8_t high[CACHE_CLASSES_NR];
	uint8_t lines[CACHE_CLASSES_NR]; /* atomic, relaxed: see cache_wants_line() */
} __attribute__((aligned(64)));

/* Learning which sizes come and go in turns. */
struct learn {
	bool freed;	/* the latest slow call was a free */
	uint8_t score;	/* 0..SCORE_MAX */
	uint8_t warm;	/* atomic, relaxed: frees go to the stacks */
	uint8_t opened; /* atomic, relaxed: some stack was open for it at some time */
};
#define SCORE_MAX  16u
#define SCORE_WARM 8u

/* A reserved array that is committed as it grows. */
struct grown {
	char *base;
	size_t ready_bytes; /* (l), only grows; load_acquire() without it: so much is usable */
	size_t span_bytes;
	const char *name;
};

/* A search everywhere that found nothing, and what gains was then. */
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
	bool sparse, asks_for_popped;	/* (c) units are many: sparse.c; and a look takes memory */
	bool popped_is_odd; /* atomic: that, or every allocation looks: finish_popped() */
	uint8_t without;    /* (c) enum quire_placement_rule */
	uint32_t units;	    /* (c) */
	uint32_t home;	    /* (c) the CPU whose copy of a cached object has a mark */
	uint32_t half_words, granule_mask; /* (c) of a map; of a page */
	size_t home_bytes;		   /* (c) from CPU 0's copy to home's */
	uint64_t secret;		   /* (c) what marks are made of; above every address */
	uint32_t chunks_max;		   /* (c) */
	struct percpu_chunk *chunk;	   /* (c) by number */
	struct percpu_page *page;	   /* (c) by chunk and page offset */
	char *maps;			   /* (c) */
	uint32_t *map_page;		   /* (c) by map: its page */
	uint64_t *written;		   /* (c) by chunk and unit, atomic: pages, sparse.c */
	uint32_t *deferred;		   /* (c) bit per half granule, by chunk */
	uint64_t *index;		   /* (c) nodes; their words are (l): index.c */
	struct cpu_stacks stacks;
	struct percpu_cpu *cpu; /* (c) doors */

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
	bool maps_leaving;	      /* (lm) what is behind those above is on its way out */
	struct stream stream[STREAMS_NR]; /* (l) */
	uint64_t used[STREAMS_NR];	  /* (l) granules in objects of that kind */
	uint64_t holes[STREAMS_NR];	  /* (l) free granules of pages of that kind */
	uint64_t looks;			  /* (l) of placement, at a chunk or a page of it */
	uint64_t gains;			  /* (l) times that room appeared */
	struct missed missed;		  /* (l) */
	uint64_t tick_ns;		  /* (l) the worker's latest visit */
	uint32_t empty_pages;		  /* (r) P10 */
	uint64_t populated_pages;	  /* (lm) P11 */
	bool atomic_failed;		  /* (l) */
	bool looking;			  /* (l) somebody's look is for all */
	struct chunk_list list[CHUNK_LISTS_NR];
	struct learn learn[CACHE_CLASSES_NR];
	uint32_t opened;	       /* atomic, relaxed: some learn[].opened may be set */
	uint32_t deferred_nr;	       /* atomic: bits that were set and not yet taken */
	uint64_t due_ns;	       /* atomic: the worker's next visit, or WORK_IDLE */
	uint64_t balanced_ns;	       /* atomic, relaxed: its latest visit */
	struct quire_percpu_stat stat; /* (l) counters */
	uint64_t refusals, atomic_refusals, deferred_total, drains, flushes; /* atomic, relaxed */
	uint8_t open; /* (c) 0: what every push finds as it expects */
	struct quire_module module;
};

/* What an allocation asks for, in granules; fours: n is 1 and fours is set. */
struct request {
	uint32_t n;
	uint32_t align; /* granules */
	uint8_t kind;
	bool fours;
	bool populated_only;
	bool may_use_reserve;
	bool everywhere; /* rather than a refusal, look at all that may have room */
	unsigned flags;
};

/* Where it was put. */
struct placed {
	uint32_t chunk;
	uint32_t at;	  /* granule in the unit; half granules for fours */
	bool fresh;	  /* reads zero */
	bool seen;	  /* reads zero where no bit of written says otherwise */
	uint32_t missing; /* if refused: pages that must be populated for it; 0: a chunk */
};

/* What must be made before another attempt: grow.c. */
struct want {
	uint32_t chunk; /* the chunk of that number, or NONE */
	uint64_t maps;	/* so many */
};

/* verify.c: stops if P8 or P10 is broken.  O(chunks). */
void percpu_recount_locked(const struct percpu *pc);

/* Drops lock.  Debug builds ask first whether the two rules hold that callers who may not wait live
 * by: nothing empty is hidden in a sidelined chunk (P8), and the reserve is what is said (P10). */
static inline void percpu_unlock(struct percpu *pc, lock_token token)
{
	if (QUIRE_DEBUG)
		percpu_recount_locked(pc);
	lock_release(&pc->lock, token);
}

/* ---- space.c: addresses, numbers, arrays ---- */
int space_init(struct percpu *pc);
void space_fini(struct percpu *pc);
size_t space_charged_pages(const struct percpu *pc);
int charge_try(struct percpu *pc, uint64_t pages, unsigned flags);
/* Make the first @bytes of an array, or a chunk's units, usable.  No lock is needed.  0 or -ENOMEM. */
int grown_to(struct percpu *pc, struct grown *grown, size_t bytes, unsigned flags);
int units_ready(struct percpu *pc, uint32_t chunk);

static inline uint32_t unit_pages(const struct percpu *pc)
{
	return 1u << pc->pages_shift;
}

static inline uint32_t page_granules(const struct percpu *pc)
{
	return 1u << pc->page_granules_shift;
}

static inline uint32_t page_number(const struct percpu *pc, uint32_t chunk, uint32_t page)
{
	return chunk << pc->pages_shift | page;
}

/* CPU 0's copy of a byte of a chunk's unit. */
static inline char *unit_addr(const struct percpu *pc, uint32_t chunk, uint32_t byte)
{
	uint64_t linear = ((uint64_t)chunk << pc->unit_shift) + byte;

	return pc->base + (linear >> 20 << pc->window_shift) + (linear & ((1u << 20) - 1));
}

/* The linear byte of an address of CPU 0's copies, or UINT64_MAX if it is none. */
static inline uint64_t addr_linear(const struct percpu *pc, const void *ptr)
{
	uintptr_t offset = (uintptr_t)ptr - (uintptr_t)pc->base;
	uintptr_t inside = offset & (((uintptr_t)1 << pc->window_shift) - 1);

	if (UNLIKELY(offset >= pc->span_bytes || inside >> 20 != 0))
		return UINT64_MAX;
	return (uint64_t)(offset >> pc->window_shift) << 20 | inside;
}

/* Whether placement follows a rule: packed.c. */
static inline bool has_rule(const struct percpu *pc, enum quire_placement_rule rule)
{
	return pc->without != (uint8_t)rule;
}

/* ---- area.c: objects put into chunks and taken out ---- */
void area_take_locked(struct percpu *pc, uint32_t chunk, const struct request *request, uint32_t at,
		      struct placed *placed);
uint32_t area_free_locked(struct percpu *pc, uint32_t chunk, uint32_t at, bool half);
void page_entered_locked(struct percpu *pc, uint32_t page);
void page_left_locked(struct percpu *pc, uint32_t page);
bool area_has_object_locked(const struct percpu *pc, uint64_t linear);
uint32_t area_bytes_locked(const struct percpu *pc, uint64_t linear);

/* ---- packed.c, linux.c: where an object goes.  0; -EAGAIN: grow_want_locked(); -ENOMEM: the charge for
 * placed->missing pages, of which @charged are paid for, was refused ---- */
int packed_place_locked(struct percpu *pc, const struct request *request, uint32_t charged,
			struct placed *placed);
int linux_place_locked(struct percpu *pc, const struct request *request, uint32_t charged,
		       struct placed *placed);
int place_run_locked(struct percpu *pc, uint32_t chunk, uint32_t at, const struct request *request,
		     uint32_t charged, struct placed *placed);
int place_new_locked(struct percpu *pc, const struct request *request, uint32_t charged,
		     struct placed *placed);
bool place_is_missed_locked(const struct percpu *pc, const struct request *request);
void place_missed_locked(struct percpu *pc, const struct request *request);
int place_fours_locked(struct percpu *pc, const struct request *request, uint32_t charged,
		       struct placed *placed);

/* ---- chunk.c: the life of a chunk ---- */
uint32_t chunk_next_number_locked(const struct percpu *pc);
int chunk_create(struct percpu *pc, uint32_t chunk, unsigned flags);
void chunk_destroy(struct percpu *pc, uint32_t chunk);
void chunk_first(struct percpu *pc, uint32_t populated_nr);
void chunk_relocate_locked(struct percpu *pc, uint32_t chunk);
void chunk_update_free_locked(struct percpu *pc, uint32_t chunk);
void chunk_after_alloc_locked(struct percpu *pc, uint32_t chunk);
bool chunk_after_free_locked(struct percpu *pc, uint32_t chunk);
void chunk_isolate_locked(struct percpu *pc, uint32_t chunk);
void chunk_reintegrate_locked(struct percpu *pc, uint32_t chunk);
void chunk_sideline_locked(struct percpu *pc, uint32_t chunk);
uint32_t chunk_empty(const struct percpu_chunk *chunk);
uint32_t chunk_list_of(const struct percpu *pc, const struct percpu_chunk *chunk);
void list_move_locked(struct percpu *pc, uint32_t chunk, uint32_t list, bool at_tail);
static inline bool chunk_is_usable(const struct percpu_chunk *chunk)
{
	return chunk->state != CHUNK_NONE && chunk->state != CHUNK_TO_DEPOPULATE;
}
uint32_t bits_count(uint64_t bits);
uint32_t bits_run(uint64_t bits);
static inline uint32_t bit_lowest(uint64_t bits)
{
	return (uint32_t)__builtin_ctzll(bits);
}

static inline uint32_t bit_highest(uint64_t bits)
{
	return 63u - (uint32_t)__builtin_clzll(bits);
}

static inline uint64_t chunk_pages(const struct percpu_chunk *chunk, enum which which)
{
	if (which == ANY)
		return chunk->free;
	return chunk->free & (which == POPULATED ? chunk->populated : ~chunk->populated);
}

/* ---- populate.c ---- */
void populate_locked(struct percpu *pc, uint32_t chunk, uint64_t pages);
int populate_try_locked(struct percpu *pc, uint32_t chunk, uint64_t pages, uint32_t charged,
			unsigned flags);
/* Gives back the empty pages of an isolated chunk.  Returns page offsets that went. */
size_t depopulate(struct percpu *pc, uint32_t chunk, bool all, bool *bare);
int maps_ready_for(struct percpu *pc, uint64_t pages, unsigned flags);
size_t maps_trim(struct percpu *pc, bool all);

/* ---- grow.c ---- */
/* What an allocation lacks that was not placed: @missing pages' maps, or for 0 a chunk. */
struct want grow_want_locked(const struct percpu *pc, uint32_t missing);
/* Makes it.  0: it is there, or somebody was faster: look again.  -ENOMEM, -ENOSPC; -EAGAIN: @flags forbid
 * what it takes. */
int grow_make(struct percpu *pc, const struct want *want, unsigned flags);
/* The same by the holder of alloc_mutex. */
int grow_make_held(struct percpu *pc, const struct want *want);

/* ---- balance.c: what the worker does ---- */
size_t balance(struct percpu *pc, bool all);
uint64_t balance_tick(struct quire_module *module, uint64_t now_ns);
size_t balance_shrink(struct quire_module *module);
size_t balance_all(struct percpu *pc);
void balance_kick(struct percpu *pc, uint64_t due_ns);

/* ---- cache.c: offsets on per-CPU stacks ---- */
int cache_init(struct percpu *pc);
void cache_fini(struct percpu *pc);
void cache_learn_alloc_locked(struct percpu *pc, uint32_t granules);
void cache_learn_free_locked(struct percpu *pc, uint32_t granules);
void cache_warm(struct percpu *pc, uint32_t granules);
bool cache_wants_line(struct percpu *pc, uint32_t granules, uint32_t align);
void cache_had_line(struct percpu *pc, uint32_t granules);
size_t cache_drain(struct percpu *pc, bool idle_only);
bool cache_holds(struct percpu *pc, uint64_t linear);
uint64_t cache_count(struct percpu *pc);
bool cache_is_open(const struct percpu *pc);
bool cache_is_sound(struct percpu *pc);
void cache_close_all(struct percpu *pc);
void cache_open_all(struct percpu *pc, bool child);
bool cache_has_mark_locked(const struct percpu *pc, uint64_t linear, uint32_t granules);

/* What the home CPU's copy of a cached object begins with; never 0.  @ptr: CPU 0's copy. */
static inline uint64_t cache_mark(const struct percpu *pc, const void *ptr)
{
	return (uintptr_t)ptr ^ pc->secret;
}

/* ---- alloc.c, free.c ---- */
int percpu_request_make(const struct percpu *pc, size_t bytes, size_t align, unsigned flags,
			struct request *request);
void percpu_take_deferred(struct percpu *pc);
void percpu_zero_copy(char *copy, size_t bytes);

/* ---- sparse.c: clearing where memory is ---- */
void sparse_populate_locked(struct percpu *pc, uint32_t chunk, uint64_t pages);
void sparse_zero(struct percpu *pc, uint64_t linear, size_t bytes, bool seen, bool for_all);

/* ---- instance.c ---- */
/* Makes it at first use, or waits for who does.  NULL if refused, or if @flags forbid even to commit. */
struct percpu *percpu_of(struct quire *q, unsigned flags);
/* NULL if it was never used. */
static inline struct percpu *percpu_if_any(struct quire *q)
{
	return load_acquire(&q->percpu); /* pairs with percpu_of() */
}
int percpu_verify(struct percpu *pc);
void percpu_stat_collect(struct percpu *pc, struct quire_percpu_stat *stat);

#endif
