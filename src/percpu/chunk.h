/* SPDX-License-Identifier: MIT */
/*
 * percpu/chunk.h - a chunk and its pages: which list it is on, which pages are free or populated
 *
 * Keys, of the locks in percpu.h: (l) under lock; (lm) under lock, and under alloc_mutex too where it
 * becomes less; (c) constant; (r) written under lock, and load_relaxed() without it gives a hint.
 *
 * Chunks are named by their number.  A page is named by its number through all chunks
 * (page_number()), or, in masks, by its offset in the chunk.
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

/* What a page is for. */
enum kind {
	KIND_BIG,    /* objects of 64 bytes and more */
	KIND_SMALL,  /* less */
	KIND_FOURS,  /* of 4 bytes: the map has one bit a half granule */
	KIND_STATIC, /* first chunk: the area of variables */
	KIND_RESERVED,
	KIND_FREE,   /* no object */
	KIND_CLOSED, /* after the first chunk's areas: never used */
	KINDS_NR,
};
#define STREAMS_NR 3u /* KIND_BIG, KIND_SMALL, KIND_FOURS */

/* What is free in a page reads zero where no bit of written says otherwise: sparse.c. */
enum page_seen {
	PAGE_NOT_SEEN, /* an object was freed since */
	PAGE_PENDING,  /* somebody looks */
	PAGE_SEEN,
};

/* One page offset of a chunk.  All (l). */
struct percpu_page {
	uint32_t words; /* (r) where its map begins, in units of 64 bytes, and WORDS_HIDDEN (map.h);
			     NONE: no object, no map */
	uint16_t free_nr; /* granules; halves in a page of fours */
	uint16_t longest; /* granules; 0 while a stream fills it: P3 */
	uint16_t fresh;	  /* granules from here on were not used since it was populated */
	uint8_t kind;
	uint8_t seen; /* enum page_seen */
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

struct chunk_list {
	uint32_t head, tail, nr;
};

/* Free pages, by whether they are populated. */
enum chunk_which {
	POPULATED,
	UNPOPULATED,
	ANY,
	CHUNK_WHICH_NR,
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
	uint8_t run[CHUNK_WHICH_NR];	    /* (l) log2 of longest runs, plus one */
	bool isolated;			    /* (l) */
	bool immutable;			    /* (c) the first */
	uint64_t emptied_ns;		    /* (l) last time a page became empty */
	/* Atomic, written without the lock and so out of what is copied and cleared under it: the
	 * deferred bitmap may have bits. */
	uint32_t deferred;
};
#define CHUNK_LOCKED_BYTES offsetof(struct percpu_chunk, deferred)

/* Is it looked at for room? */
static inline bool chunk_is_usable(const struct percpu_chunk *chunk)
{
	return chunk->state != CHUNK_NONE && chunk->state != CHUNK_TO_DEPOPULATE;
}

static inline uint64_t chunk_pages(const struct percpu_chunk *chunk, enum chunk_which which)
{
	if (which == ANY)
		return chunk->free;
	return chunk->free & (which == POPULATED ? chunk->populated : ~chunk->populated);
}

/* How many pages are populated and free. */
uint32_t chunk_empty(const struct percpu_chunk *chunk);

/* ---- existence: the table is in chunk.c ---- */

/* The lowest number that has no chunk. */
uint32_t chunk_next_number_locked(const struct percpu *pc);
/* Makes that chunk, unless it is no longer the next.  Takes lock.  0, -ENOMEM, -ENOSPC. */
int chunk_create(struct percpu *pc, uint32_t chunk, unsigned flags);
/* It is TO_DEPOPULATE, and has neither an object nor a populated page.  Under alloc_mutex; takes lock. */
void chunk_destroy(struct percpu *pc, uint32_t chunk);
/* Makes chunk 0 the first one, with @populated_nr pages for its areas. */
void chunk_first(struct percpu *pc, uint32_t populated_nr);

/* ---- lists and states ---- */

/* The list that its state and its largest hole ask for (P12). */
uint32_t chunk_list_of(const struct percpu *pc, const struct percpu_chunk *chunk);
void list_move_locked(struct percpu *pc, uint32_t chunk, uint32_t list, bool at_tail);
/* After its largest hole may have changed. */
void chunk_relocate_locked(struct percpu *pc, uint32_t chunk);
/* After a page became free, or is no longer free. */
void chunk_update_free_locked(struct percpu *pc, uint32_t chunk);
/* To TO_DEPOPULATE: no search finds it, and its empty pages are no reserve any more. */
void chunk_isolate_locked(struct percpu *pc, uint32_t chunk);
/* Back to ACTIVE or FREE, with the empty pages that it has. */
void chunk_reintegrate_locked(struct percpu *pc, uint32_t chunk);
/* From TO_DEPOPULATE, when nothing of it is empty. */
void chunk_sideline_locked(struct percpu *pc, uint32_t chunk);
/* After an object was put into it. */
void chunk_after_alloc_locked(struct percpu *pc, uint32_t chunk);
/* After one was freed.  Returns whether the worker has something to do. */
bool chunk_after_free_locked(struct percpu *pc, uint32_t chunk);

#endif
