/* SPDX-License-Identifier: MIT */
/*
 * vmap/ram_purge.c - retiring blocks, and removing stale aliases
 *
 * A block is fragmented if no page of it is in use although it still has room: its owner has
 * moved on to other blocks, or is idle.  It is retired as if it had been used up.  The test
 * without a lock is a hint; the compare-and-swap decides, since the owner may map pages in
 * between (R25).
 *
 * quire_vm_unmap_aliases() visits every block in the table, including full ones, which are on no
 * list (R23), and unmaps pages that are dirty and not flushed.  All of this runs under
 * purge_mutex.
 */
#include "vmap/ram.h"

#include "base/check.h"
#include "machine/atomic.h"
#include "machine/lock.h"
#include "machine/mem.h"
#include "pool/pool.h"
#include "vmap/cpu.h"
#include "vmap/frames.h"
#include "vmap/layout.h"
#include "vmap/mapped.h"
#include "vmap/vmap.h"

#define PURGE_RANGES	 1024u
#define BLOCK_RANGES_MAX (RAM_BLOCK_MAX / 2) /* every second page */

/* The block in a slot of the table, or NULL. */
static struct ram_block *block_in(struct ram *ram, uint32_t slot, uint32_t *index)
{
	*index = load_acquire(&ram->table[slot]) - 1; /* pairs with publish_block() */
	return *index != POOL_NONE ? ram_block(ram, *index) : NULL;
}

/* ---- fragmented blocks ---- */

static bool retire_fragmented(const struct ram *ram, struct ram_block *block)
{
	uint32_t state = load_relaxed(&block->state);

	/* Pairs with give(): its callers have finished with the record. */
	do
		if (!ram_is_fragmented(ram, state))
			return false;
	while (!cas_acquire(&block->state, &state, ram->block_pages << RAM_DIRTY_SHIFT));
	return true;
}

static void unlist(struct vmap *v, struct ram *ram, uint32_t index)
{
	lock_token token;
	struct vmap_cpu *cpu = cpu_lock(v, load_relaxed(&ram_block(ram, index)->cpu), &token);

	ram_unlist_locked(v, ram, index);
	lock_release(&cpu->door.lock, token);
}

void ram_purge_fragmented(struct vmap *v, bool force)
{
	struct ram *ram = load_relaxed(&v->ram); /* block_in() orders; so in the loop */

	CHECK(mutex_is_held(&v->purge_mutex));
	for (uint32_t slot = 0; ram != NULL && slot < load_relaxed(&ram->slots_end); slot++) {
		uint32_t index, state;
		struct ram_block *block = block_in(ram, slot, &index);

		if (block == NULL)
			continue;
		CHECK(load_relaxed(&block->cpu) < v->stacks.cpu.all_slots_nr);
		state = load_relaxed(&block->state);
		if (!ram_is_fragmented(ram, state) ||
		    (!force && ram_room(state) >= ram->block_pages / 4) ||
		    !retire_fragmented(ram, block))
			continue;
		unlist(v, ram, index);
		frames_give(v, block->range);
	}
}

void ram_retire(struct vmap *v, uint32_t index)
{
	struct ram *ram = v->ram;
	struct ram_block *block = ram_block(ram, index);
	uint32_t slot = range_at(v, block->range)->start / ram->block_pages;

	CHECK(mutex_is_held(&v->purge_mutex));
	CHECK_VALUES(ram_dirty(load_relaxed(&block->state)) == ram->block_pages, index,
		     load_relaxed(&block->state));
	store_relaxed(&ram->table[slot], 0); /* nobody has a place in it */
	fetch_sub_relaxed(&ram->blocks_nr, 1);
	pool_free(&ram->pool, index);
}

/* ---- aliases ---- */

static uint64_t unflushed(const struct ram_block *block, uint32_t word)
{
	return load_acquire(&block->dirty[word]) & ~block->flushed[word]; /* pairs with give() */
}

/* Adds the runs of pages in one word to a gather. */
static void add_runs(const struct vmap *v, struct gather *gather, char *addr, uint64_t bits)
{
	while (bits != 0) {
		unsigned from = (unsigned)__builtin_ctzll(bits);
		uint64_t rest = ~(bits >> from);
		unsigned n = rest != 0 ? (unsigned)__builtin_ctzll(rest) : 64;

		gather_unmap_frames(gather, addr + ((size_t)from << v->page_shift),
				    (size_t)n << v->page_shift);
		bits &= n == 64 ? 0 : ~(((UINT64_C(1) << n) - 1) << from);
	}
}

/* Adds a block's dirty pages to a gather, and marks them flushed. */
static void add_block(const struct vmap *v, struct gather *gather, struct ram_block *block)
{
	char *addr = range_addr(v, range_at(v, block->range));

	for (uint32_t word = 0; word < RAM_WORDS; word++) {
		uint64_t bits = unflushed(block, word);

		add_runs(v, gather, addr + ((size_t)word * 64 << v->page_shift), bits);
		block->flushed[word] |= bits;
	}
}

/* Marks pages that the system refused as not flushed, so that they are tried again. */
static void finish(struct vmap *v, struct ram *ram, struct gather *gather)
{
	gather_finish(gather);
	for (unsigned i = 0; i < gather->ranges_nr; i++) {
		const struct mem_range *range = &gather->ranges[i];
		uint32_t page = page_at(v, range->addr);

		if (range->error == 0)
			mapped_forget(v, page, (uint32_t)(range->bytes >> v->page_shift));
		for (size_t n = 0; range->error != 0 && n < range->bytes >> v->page_shift; n++) {
			uint32_t index, at = (page + (uint32_t)n) % ram->block_pages;
			struct ram_block *block =
				block_in(ram, (page + (uint32_t)n) / ram->block_pages, &index);

			block->flushed[at / 64] &= ~(UINT64_C(1) << at % 64);
		}
	}
	gather_begin(gather, v->ranges, PURGE_RANGES);
	gather_lend(gather, v->vector, PURGE_RANGES);
}

void ram_unmap_aliases_locked(struct vmap *v)
{
	struct ram *ram = load_relaxed(&v->ram); /* block_in() orders; so in the loop */
	struct gather gather;

	CHECK(mutex_is_held(&v->purge_mutex));
	if (ram == NULL)
		return;
	gather_begin(&gather, v->ranges, PURGE_RANGES);
	gather_lend(&gather, v->vector, PURGE_RANGES);
	for (uint32_t slot = 0; slot < load_relaxed(&ram->slots_end); slot++) {
		uint32_t index;
		struct ram_block *block = block_in(ram, slot, &index);

		if (block == NULL)
			continue;
		if (gather.ranges_nr > PURGE_RANGES - BLOCK_RANGES_MAX)
			finish(v, ram, &gather);
		add_block(v, &gather, block);
	}
	if (gather.ranges_nr != 0)
		fetch_add_relaxed(&v->flushes, 1);
	finish(v, ram, &gather);
}

void ram_unmap_aliases(struct vmap *v)
{
	mutex_acquire(&v->purge_mutex);
	ram_unmap_aliases_locked(v);
	mutex_release(&v->purge_mutex);
}

/* ---- the rest ---- */

size_t ram_shrink(struct vmap *v)
{
	struct ram *ram = load_acquire(&v->ram); /* pairs with its making */

	return ram != NULL ? pool_shrink(&ram->pool) : 0;
}

uint64_t ram_blocks(struct vmap *v)
{
	const struct ram *ram = load_relaxed(&v->ram); /* a count of its own */

	return ram != NULL ? load_relaxed(&ram->blocks_nr) : 0;
}

/* Checks V7 for one block, including how often its list names the block. */
static bool block_is_right(struct vmap *v, struct ram *ram, uint32_t index)
{
	struct ram_block *block = ram_block(ram, index);
	uint32_t state = load_relaxed(&block->state), dirty = 0, listed = 0, steps = 0;

	if (ram_room(state) + ram_dirty(state) > ram->block_pages ||
	    load_relaxed(&block->cpu) >= v->stacks.cpu.all_slots_nr)
		return false;
	for (uint32_t word = 0; word < RAM_WORDS; word++) {
		uint64_t bits = load_relaxed(&block->dirty[word]);

		for (; bits != 0; bits &= bits - 1)
			dirty++;
		if ((block->flushed[word] & ~load_relaxed(&block->dirty[word])) != 0)
			return false;
	}
	for (uint32_t link = v->cpu[block->cpu].room; link != 0 && steps++ <= ram->slots_nr;
	     link = ram_block(ram, link - 1)->next)
		listed += link == index + 1;
	/* A retired block counts pages as dirty that were never handed out. */
	return steps <= ram->slots_nr && listed == (ram_room(state) != 0) &&
	       (dirty == ram_dirty(state) ||
		(dirty < ram_dirty(state) && ram_dirty(state) == ram->block_pages));
}

int ram_verify(struct vmap *v)
{
	struct ram *ram = load_acquire(&v->ram); /* pairs with its making */
	int label = 0;

	for (uint32_t slot = 0; ram != NULL && label == 0 && slot < ram->slots_end; slot++) {
		uint32_t index;

		if (block_in(ram, slot, &index) != NULL && !block_is_right(v, ram, index))
			label = 7;
	}
	if (ram != NULL && label == 0 && pool_verify(&ram->pool) != 0)
		label = 10;
	return label;
}
