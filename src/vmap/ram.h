/* SPDX-License-Identifier: MIT */
/*
 * vmap/ram.h - blocks of addresses for small, short-lived mappings
 *
 * Words
 *   block     1,024 pages of addresses (fewer in a small span), aligned to their size, with one owner
 *   owner     the CPU that serves mappings from it
 *   place     2^order pages of a block, mapped together
 *   dirty     said of pages that were mapped and unmapped.  They are not used again in the block's
 *             life, so unmapping needs no flush
 *   flushed   said of dirty pages whose aliases were removed already
 *   room      pages that were never used; a block without room is on no CPU's list
 *
 * Life of a block:
 *
 *   from     when                                             to        under
 *   -        an owner finds no room                           OPEN      the CPU's lock
 *   OPEN     its last page is handed out                      FULL      the CPU's lock
 *   OPEN     all that was handed out is dirty (fragmented)    RETIRED   compare-and-swap
 *   FULL     its last page becomes dirty                      RETIRED   fetch-and-add
 *   RETIRED  its range is purged                              -         purge_mutex
 *
 * One word holds both counts, pages with room and dirty pages, so each step is one transition of a
 * value, and the step that brings dirty to the full size publishes the range.  So ending a mapping
 * takes no lock and is legal in a signal handler.  A record lives until its range is purged, so the
 * holder of purge_mutex may read any block in the table.
 */
#ifndef VMAP_RAM_H
#define VMAP_RAM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "pool/pool.h"

struct vmap;

#define RAM_PLACE_MAX	64u   /* pages: BITS_PER_LONG, as in Linux */
#define RAM_BLOCK_MAX	1024u /* pages */
#define RAM_BLOCK_MIN	128u
#define RAM_WORDS	(RAM_BLOCK_MAX / 64)
#define RAM_CPU_NONE	UINT32_MAX
#define RAM_ROOM_LOOKS	16u /* blocks looked at before a new one is made */
#define RAM_DIRTY_SHIFT 16
#define RAM_DIRTY_ONE	(1u << RAM_DIRTY_SHIFT)

/* A record of 512 bytes.  Keys: (c) constant once published; (l) the owner's lock; (m)
 * purge_mutex. */
struct ram_block {
	uint32_t state;		     /* atomic: room, and dirty pages above RAM_DIRTY_SHIFT */
	uint32_t range;		     /* (c) */
	uint32_t cpu;		     /* (c) atomic: its owner; RAM_CPU_NONE before */
	uint32_t next;		     /* (l) on the owner's list: index + 1 */
	uint64_t starts[RAM_WORDS];  /* (l), read without: a place begins here */
	uint64_t dirty[RAM_WORDS];   /* atomic */
	uint64_t flushed[RAM_WORDS]; /* (m) */
	bool listed;		     /* (l) */
};
_Static_assert(sizeof(struct ram_block) <= 512, "a block's record");

/* Made when first used. */
struct ram {
	struct pool pool;
	size_t bytes;	      /* (c) of this and the table */
	uint32_t block_pages; /* (c) */
	uint32_t slots_nr;    /* (c) */
	uint32_t slots_end;   /* atomic: no slot at or above it was ever used */
	uint32_t blocks_nr;   /* atomic, relaxed */
	uint32_t table[];     /* atomic: by slot of block_pages: index + 1; 0: no block there */
};

static inline struct ram_block *ram_block(const struct ram *ram, uint32_t index)
{
	return pool_record(&ram->pool, index);
}

static inline uint32_t ram_room(uint32_t state)
{
	return state & (RAM_DIRTY_ONE - 1);
}

static inline uint32_t ram_dirty(uint32_t state)
{
	return state >> RAM_DIRTY_SHIFT;
}

/* Nobody uses a page of it, and it is not retired: 24 room, 1000 dirty -> yes; 0, 1024 -> no. */
static inline bool ram_is_fragmented(const struct ram *ram, uint32_t state)
{
	return ram_room(state) + ram_dirty(state) == ram->block_pages && ram_room(state) != 0;
}

/* Takes a block off its owner's list. */
void ram_unlist_locked(struct vmap *v, struct ram *ram, uint32_t index);

/* The instance goes, and every block with it. */
void ram_fini(struct vmap *v);
/* Under purge_mutex: a block's range is about to be free. */
void ram_retire(struct vmap *v, uint32_t index);
/* Under purge_mutex: retires fragmented blocks; without @force, by Linux's rule, only those that
 * are at least three quarters used up. */
void ram_purge_fragmented(struct vmap *v, bool force);
/* Unmaps what dirty pages still show. */
void ram_unmap_aliases(struct vmap *v);
void ram_unmap_aliases_locked(struct vmap *v); /* under purge_mutex */
/* Gives records back.  Returns bytes. */
size_t ram_shrink(struct vmap *v);
/* Blocks that there are. */
uint64_t ram_blocks(struct vmap *v);
int ram_verify(struct vmap *v);

#endif
