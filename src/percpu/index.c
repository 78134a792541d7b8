/* SPDX-License-Identifier: MIT */
/*
 * percpu/index.c - finding chunks with a suitable hole
 *
 * Placement needs the lowest chunk with a hole, or a run of free pages, of a given size.  For
 * each size there is a set of the chunks that have one: one bit per chunk, and two levels above
 * with one bit for each word that is not zero.  So a search takes three steps, however many
 * chunks there are; each step reads the sets of that size and of all larger sizes.
 *
 *   Sizes are powers of two here.  A hole in the set of the request's own power may be too small, and any
 *   hole may be misaligned: such chunks are searched too, but at most CHUNKS_MAX of them.  A hole of
 *   size and alignment together always fits.
 *
 * A node is one word of each set.  Nodes are stored in the order in which they are first needed,
 * so the committed memory grows with the number of chunks: 15 bytes per chunk.
 *
 * Everything here is under the lock.  percpu_verify() checks that the sets agree with the chunks'
 * masks (P14).
 */
#include "percpu/index.h"

#define LEVELS 3u

_Static_assert((uint64_t)64 * 64 * 64 >= (uint64_t)1 << 16, "chunks_max: space.c");

/* A node's number: the top node is 0, then each middle node is followed by the 64 nodes below
 * it. */
static size_t node_number(unsigned level, uint32_t i)
{
	if (level == LEVELS - 1)
		return 0;
	return level == 1 ? 1 + (size_t)i * 65 : 2 + (size_t)(i / 64) * 65 + i % 64;
}

static uint64_t *node_of(const struct percpu *pc, unsigned level, uint32_t i)
{
	return pc->index + node_number(level, i) * SETS_NR;
}

/* Bytes of the index for @chunks chunks. */
size_t index_bytes(uint32_t chunks)
{
	return (node_number(0, (chunks - 1) / 64) + 1) * SETS_NR * sizeof(uint64_t);
}

static uint64_t any_of(const uint64_t *node, struct sets sets)
{
	uint64_t any = 0;

	for (uint32_t i = sets.first; i <= sets.last; i++)
		any |= node[i];
	return any;
}

uint32_t index_next_locked(const struct percpu *pc, struct sets sets, uint32_t from)
{
	uint32_t i = from; /* at each level: counted in units of 64^level chunks */
	unsigned level = 0;
	uint64_t any;

	DCHECK(lock_is_held(&pc->lock));
	for (;; level++, i = i / 64 + 1) { /* up, until a set bit follows the start */
		if (level == LEVELS || (uint64_t)i << 6 * level >= pc->chunks_end)
			return NONE;
		any = any_of(node_of(pc, level, i / 64), sets) & ~(uint64_t)0 << i % 64;
		if (any != 0)
			break;
	}
	i = (i & ~63u) + bit_lowest(any);
	while (level-- != 0) /* and down to the first chunk there */
		i = i * 64 + bit_lowest(any_of(node_of(pc, level, i), sets));
	return i;
}

static void put(struct percpu *pc, uint32_t set, uint32_t chunk, bool member)
{
	uint32_t i = chunk;

	for (unsigned level = 0; level < LEVELS; level++, i /= 64) {
		uint64_t *word = &node_of(pc, level, i / 64)[set], was = *word;

		*word = member ? was | (uint64_t)1 << i % 64 : was & ~((uint64_t)1 << i % 64);
		if ((was != 0) == (*word != 0))
			return; /* nothing changes above */
	}
}

/* ---- what a chunk's masks say ---- */

static bool has_hole(const struct percpu_chunk *chunk, uint32_t kind, uint32_t slot)
{
	return (chunk->by_longest[slot] & chunk->kind[kind]) != 0;
}

/* The chunk's state if allocations search it, else CHUNK_NONE. */
static uint8_t searched_as(const struct percpu_chunk *chunk)
{
	return chunk->state == CHUNK_TO_DEPOPULATE ? CHUNK_NONE : chunk->state;
}

/* Log2 of the longest run of set bits, plus one.  0 -> 0; 0b0110 -> 2; all -> 7. */
static uint8_t runs_size(uint64_t bits)
{
	uint8_t n = 0;

	for (uint32_t i = 1; bits != 0; i *= 2, n++)
		bits &= i < 64 ? bits >> i : 0;
	return n;
}

static void put_holes(struct percpu *pc, uint32_t chunk, bool sidelined, bool member)
{
	const struct percpu_chunk *c = &pc->chunk[chunk];

	for (uint32_t kind = 0; kind < HOLE_KINDS; kind++)
		for (uint32_t slot = 0; slot < SLOTS_PAGE_NR; slot++)
			if (has_hole(c, kind, slot))
				put(pc, sets_of_holes(sidelined, kind, slot).first, chunk, member);
}

/* To call when a page of that kind gained or lost a longest run of that size. */
void index_hole_locked(struct percpu *pc, uint32_t chunk, uint32_t kind, uint32_t slot)
{
	const struct percpu_chunk *c = &pc->chunk[chunk];

	DCHECK(lock_is_held(&pc->lock));
	if (c->searched_as != CHUNK_NONE)
		put(pc, sets_of_holes(c->searched_as == CHUNK_SIDELINED, kind, slot).first, chunk,
		    has_hole(c, kind, slot));
}

void index_fours_locked(struct percpu *pc, uint32_t chunk)
{
	const struct percpu_chunk *c = &pc->chunk[chunk];

	DCHECK(lock_is_held(&pc->lock));
	put(pc, SET_FOURS, chunk, c->searched_as != CHUNK_NONE && c->fours != 0);
}

void index_gone_locked(struct percpu *pc, uint32_t chunk, bool gone)
{
	DCHECK(lock_is_held(&pc->lock));
	put(pc, SET_GONE, chunk, gone);
}

static void set_run(struct percpu *pc, uint32_t chunk, uint8_t state, enum free_pages which,
		    uint8_t size)
{
	struct percpu_chunk *c = &pc->chunk[chunk];

	if (state == c->searched_as && size == c->run[which])
		return;
	if (c->searched_as != CHUNK_NONE && c->run[which] != 0)
		put(pc, sets_of_runs(c->searched_as, which, c->run[which] - 1u).first, chunk,
		    false);
	if (state != CHUNK_NONE && size != 0)
		put(pc, sets_of_runs(state, which, size - 1u).first, chunk, true);
	c->run[which] = size;
}

/* To call when the chunk's state has changed, or the set of its free or populated pages. */
void index_chunk_locked(struct percpu *pc, uint32_t chunk)
{
	struct percpu_chunk *c = &pc->chunk[chunk];
	uint8_t state = searched_as(c), was = c->searched_as;

	DCHECK(lock_is_held(&pc->lock));
	for (enum free_pages which = 0; which < FREE_PAGES_NR; which++)
		set_run(pc, chunk, state, which, runs_size(chunk_pages(c, which)));
	if (state == was)
		return;
	c->searched_as = state;
	pc->gains++;
	index_fours_locked(pc, chunk);
	if (was != CHUNK_NONE)
		put_holes(pc, chunk, was == CHUNK_SIDELINED, false);
	if (state != CHUNK_NONE)
		put_holes(pc, chunk, state == CHUNK_SIDELINED, true);
}

/* ---- P14 ---- */

/* True if the chunk's masks say that it belongs in that set. */
static bool belongs(const struct percpu *pc, uint32_t chunk, uint32_t set)
{
	const struct percpu_chunk *c = &pc->chunk[chunk];
	uint32_t row;
	uint8_t state;

	if (chunk >= pc->chunks_end)
		return false;
	state = searched_as(c);
	if (set == SET_GONE)
		return c->state == CHUNK_NONE;
	if (set == SET_FOURS)
		return state != CHUNK_NONE && c->fours != 0;
	if (set < SET_FOURS) {
		row = set / SLOTS_PAGE_NR;
		return state != CHUNK_NONE &&
		       (state == CHUNK_SIDELINED) == (row / HOLE_KINDS != 0) &&
		       has_hole(c, row % HOLE_KINDS, set % SLOTS_PAGE_NR);
	}
	row = (set - SET_RUNS) / RUNS_NR;
	return state == CHUNK_ACTIVE + row / FREE_PAGES_NR &&
	       runs_size(chunk_pages(c, row % FREE_PAGES_NR)) == (set - SET_RUNS) % RUNS_NR + 1;
}

static bool is_set_sound(const struct percpu *pc, uint32_t set)
{
	uint64_t middle = 0, top = 0, word;

	for (uint32_t i = 0; i < pc->chunks_end; i += 64) {
		word = 0;
		for (uint32_t bit = 0; bit < 64; bit++)
			word |= (uint64_t)belongs(pc, i + bit, set) << bit;
		if (node_of(pc, 0, i / 64)[set] != word)
			return false;
		middle = (i / 64 % 64 == 0 ? 0 : middle) | (uint64_t)(word != 0) << i / 64 % 64;
		top |= (uint64_t)(word != 0) << i / 64 / 64;
		if ((i / 64 % 64 == 63 || i + 64 >= pc->chunks_end) &&
		    node_of(pc, 1, i / 64 / 64)[set] != middle)
			return false;
	}
	return pc->chunks_end == 0 || node_of(pc, 2, 0)[set] == top;
}

bool index_is_sound_locked(const struct percpu *pc)
{
	bool sound = true;

	DCHECK(lock_is_held(&pc->lock));
	for (uint32_t set = 0; set < SETS_NR; set++)
		sound = sound && is_set_sound(pc, set);
	return sound;
}
