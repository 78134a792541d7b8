/* SPDX-License-Identifier: MIT */
/*
 * percpu/chunk.h - a chunk and its pages: the list that it is on, and which pages are free or
 * populated
 *
 * Keys (for the locks see percpu.h): (l) under lock; (lm) under lock, and to decrease it also under
 * alloc_mutex; (c) constant; (r) written under lock, load_relaxed() without it gives a hint.
 *
 * A chunk is identified by its number.  A page is identified by its number across all chunks
 * (page_number()), or in masks by its offset in the chunk.
 */
#ifndef PERCPU_CHUNK_H
#define PERCPU_CHUNK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "percpu/bits.h"

struct percpu;

#define UNIT_PAGES_MAX 64u
#define SLOTS_PAGE_NR  14u /* by longest run in a page: 1 granule is 0, 4,096 is 12 */

/* What a page is used for. */
enum kind {
	KIND_BIG,      /* objects of 64 bytes and more */
	KIND_SMALL,    /* smaller objects, except those of 4 bytes */
	KIND_FOURS,    /* objects of 4 bytes; the map has one bit per half granule */
	KIND_STATIC,   /* first chunk: variables of programs */
	KIND_RESERVED, /* first chunk: variables of libraries loaded later */
	KIND_FREE,     /* no object */
	KIND_CLOSED,   /* first chunk, after its areas: never used */
	KINDS_NR,
};
#define STREAMS_NR 3u /* KIND_BIG, KIND_SMALL, KIND_FOURS */

/* Whether the free granules of a page read zero in every unit whose bit in `written` is clear:
 * sparse.c. */
enum page_seen {
	PAGE_NOT_SEEN, /* not known: an object was freed since the last look */
	PAGE_PENDING,  /* a look is in progress */
	PAGE_SEEN,     /* yes */
};

/* One page offset of a chunk.  All (l), except `cached`. */
struct percpu_page {
	uint32_t words;	  /* (r) position of its map in units of 64 bytes, and WORDS_HIDDEN (map.h);
			     NONE: no object, no map */
	uint16_t free_nr; /* free granules, or halves in a page of fours */
	uint16_t longest; /* longest free run in granules; 0 while a stream fills it: P3 */
	uint16_t fresh;	  /* granules from here on are unused since the page was populated */
	uint8_t kind;
	uint8_t seen; /* enum page_seen */
	/* Atomic, relaxed: not 0 if the object of whole pages that begins here is on a stack.  Its copies
	 * need not be touched for a mark. */
	uint8_t cached;
};

enum chunk_state {
	CHUNK_NONE,
	CHUNK_ACTIVE,
	CHUNK_SIDELINED,
	CHUNK_FREE,
	CHUNK_TO_DEPOPULATE,
};

/* Lists: those of ACTIVE chunks by largest hole (none; 1 granule ..; 1 free page ..), then the
 * others. */
#define LIST_PAGES	   (SLOTS_PAGE_NR + 1u)
#define LIST_SIDELINED	   (LIST_PAGES + 7u)
#define LIST_FREE	   (LIST_SIDELINED + 1u)
#define LIST_TO_DEPOPULATE (LIST_FREE + 1u)
#define CHUNK_LISTS_NR	   (LIST_TO_DEPOPULATE + 1u)

struct chunk_list {
	uint32_t head, tail, nr;
};

/* Which free pages are meant. */
enum free_pages {
	FREE_POPULATED,
	FREE_UNPOPULATED,
	FREE_ANY,
	FREE_PAGES_NR,
};
#define RUNS_NR 7u /* log2 of a run of pages: 0..6 */

struct percpu_chunk {
	uint32_t prev, next;		    /* (l) in its list; NONE */
	uint64_t populated;		    /* (lm) pages that are populated */
	uint64_t free;			    /* (l) pages without an object */
	uint64_t kind[STREAMS_NR];	    /* (l) pages of these kinds */
	uint64_t by_longest[SLOTS_PAGE_NR]; /* (l) pages whose longest run has that log2 */
	uint32_t objects_nr;		    /* (l) */
	uint32_t free_granules;		    /* (l) */
	uint8_t state;			    /* (l); existence (lm) */
	uint8_t list;			    /* (l) */
	uint64_t fours;			    /* (l) pages of fours with room */
	uint8_t free_run;		    /* (l) longest run of free pages */
	uint8_t searched_as;		    /* (l) its state in the index; CHUNK_NONE: not there */
	uint8_t run[FREE_PAGES_NR];	    /* (l) log2 of longest runs, plus one */
	bool isolated;			    /* (l) */
	bool immutable;			    /* (c) the first chunk */
	uint64_t emptied_ns;		    /* (l) last time a page became empty */
	/* The deferred bitmap may have bits for this chunk.  Atomic and written without the lock,
	 * so it is not among the bytes that are copied and cleared under the lock. */
	uint32_t deferred;
};
#define CHUNK_LOCKED_BYTES offsetof(struct percpu_chunk, deferred)

/* True if allocations search it for room. */
static inline bool chunk_is_usable(const struct percpu_chunk *chunk)
{
	return chunk->state != CHUNK_NONE && chunk->state != CHUNK_TO_DEPOPULATE;
}

static inline uint64_t chunk_pages(const struct percpu_chunk *chunk, enum free_pages which)
{
	if (which == FREE_ANY)
		return chunk->free;
	return chunk->free & (which == FREE_POPULATED ? chunk->populated : ~chunk->populated);
}

/* The number of populated and free pages. */
uint32_t chunk_empty(const struct percpu_chunk *chunk);

/* ---- existence: the table is in chunk.c ---- */

/* The lowest number without a chunk. */
uint32_t chunk_next_number_locked(const struct percpu *pc);
/* Creates that chunk, unless it is no longer the next one.  Takes lock.  Returns 0, -ENOMEM or
 * -ENOSPC. */
int chunk_create(struct percpu *pc, uint32_t chunk, unsigned flags);
/* Destroys a chunk that is TO_DEPOPULATE and has neither objects nor populated pages.  Requires
 * alloc_mutex; takes lock. */
void chunk_destroy(struct percpu *pc, uint32_t chunk);
/* Turns chunk 0 into the first chunk, with @populated_nr pages for its areas. */
void chunk_first(struct percpu *pc, uint32_t populated_nr);

/* ---- lists and states ---- */

/* The list where a chunk of its state and largest hole belongs (P12). */
uint32_t chunk_list_of(const struct percpu_chunk *chunk);
void list_move_locked(struct percpu *pc, uint32_t chunk, uint32_t list, bool at_tail);
/* To call when the chunk's largest hole may have changed. */
void chunk_relocate_locked(struct percpu *pc, uint32_t chunk);
/* To call when a page has become free, or is no longer free. */
void chunk_update_free_locked(struct percpu *pc, uint32_t chunk);
/* Makes it TO_DEPOPULATE: searches skip it, and its empty pages no longer count in the reserve. */
void chunk_isolate_locked(struct percpu *pc, uint32_t chunk);
/* Makes it ACTIVE or FREE again; its empty pages count in the reserve. */
void chunk_reintegrate_locked(struct percpu *pc, uint32_t chunk);
/* Makes a chunk that is TO_DEPOPULATE and has no empty page SIDELINED. */
void chunk_sideline_locked(struct percpu *pc, uint32_t chunk);
/* To call after an object was put into the chunk. */
void chunk_after_alloc_locked(struct percpu *pc, uint32_t chunk);
/* To call after an object was freed.  Returns true if the worker has something to do. */
bool chunk_after_free_locked(struct percpu *pc, uint32_t chunk);

#endif
