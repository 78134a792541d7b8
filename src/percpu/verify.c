/* SPDX-License-Identifier: MIT */
/*
 * percpu/verify.c - P1..P14 of an instance that no other thread is using
 *
 * percpu.h states the rules.  One thing is not checked: a longest run may be understated, which can
 * cause a missed fit, but never a wrong one.
 */
#include "percpu/percpu.h"
#include "percpu/index.h"
#include "percpu/map.h"
#include "percpu/object.h"

#define FAIL(n) (300 + (n))

static bool has_word(const struct percpu *pc, uint32_t page, uint32_t i)
{
	return (map_words(pc, page_map(pc, &pc->page[page]))[i / 64] >> i % 64 & 1) != 0;
}

static uint32_t count_used(const struct percpu *pc, uint32_t page, uint32_t words)
{
	uint32_t n = 0;

	for (uint32_t i = 0; i < words && page_has_map(&pc->page[page]); i++)
		n += bits_count(map_words(pc, page_map(pc, &pc->page[page]))[i]);
	return n;
}

static bool is_fours(const struct percpu *pc, uint32_t page)
{
	return pc->page[page].kind == KIND_FOURS;
}

/* ---- one page ---- */

/* True if an object that began in the page before may continue in this one. */
static bool goes_on(const struct percpu *pc, uint32_t page)
{
	return page_offset(pc, page) != 0 && page_has_map(&pc->page[page - 1]) &&
	       !is_fours(pc, page - 1) && has_word(pc, page - 1, page_granules(pc) - 1);
}

static int verify_bits(const struct percpu *pc, uint32_t page)
{
	for (uint32_t i = 0; i < page_granules(pc); i++) {
		bool used = has_word(pc, page, i);
		bool start = has_word(pc, page, map_half(pc) * 64 + i);
		bool before = i == 0 ? goes_on(pc, page) : has_word(pc, page, i - 1);

		if (start && !used)
			return FAIL(2);
		if (used && !start && !before)
			return FAIL(2);
	}
	return 0;
}

static int verify_page(const struct percpu *pc, uint32_t page)
{
	const struct percpu_page *p = &pc->page[page];
	uint32_t words = map_half(pc) << is_fours(pc, page);
	uint32_t all = page_granules(pc) << is_fours(pc, page), map = page_map(pc, p);

	if (p->kind >= KINDS_NR || (p->kind == KIND_CLOSED && map != NONE))
		return FAIL(6);
	if ((p->kind < STREAMS_NR && map == NONE) || (p->kind == KIND_FREE && map != NONE))
		return FAIL(7);
	if (map == NONE)
		return p->longest != 0 ? FAIL(3) : 0;
	if (map >= pc->maps_nr || pc->map_page[map] != page || p->words != page_words(pc, p, map))
		return FAIL(5);
	if (count_used(pc, page, words) + p->free_nr != all)
		return FAIL(1);
	if (p->free_nr == all)
		return FAIL(3);
	if (is_fours(pc, page))
		return p->longest != 0 ? FAIL(6) : 0;
	if (p->longest > map_longest(pc, page, UINT32_MAX))
		return FAIL(3);
	return verify_bits(pc, page);
}

/* ---- one chunk ---- */

static uint64_t mask_of_kind(const struct percpu *pc, uint32_t chunk, uint8_t kind)
{
	uint64_t mask = 0;

	for (uint32_t i = 0; i < unit_pages(pc); i++)
		if (pc->page[page_number(pc, chunk, i)].kind == kind)
			mask |= (uint64_t)1 << i;
	return mask;
}

static int verify_masks(const struct percpu *pc, uint32_t chunk)
{
	const struct percpu_chunk *c = &pc->chunk[chunk];
	uint64_t by_longest[SLOTS_PAGE_NR] = { 0 };

	for (uint32_t i = 0; i < unit_pages(pc); i++) {
		uint32_t longest = pc->page[page_number(pc, chunk, i)].longest;

		if (longest != 0)
			by_longest[bit_highest(longest)] |= (uint64_t)1 << i;
	}
	if (memcmp(by_longest, c->by_longest, sizeof(by_longest)) != 0)
		return FAIL(4);
	for (uint8_t kind = 0; kind < STREAMS_NR; kind++)
		if (mask_of_kind(pc, chunk, kind) != c->kind[kind])
			return FAIL(6);
	if (mask_of_kind(pc, chunk, KIND_FREE) != c->free)
		return FAIL(7);
	return c->free_run != bits_run(c->free) ? FAIL(4) : 0;
}

static int verify_counts(const struct percpu *pc, uint32_t chunk)
{
	const struct percpu_chunk *c = &pc->chunk[chunk];
	uint32_t free_granules = 0, objects = 0;

	for (uint32_t i = 0; i < unit_pages(pc); i++) {
		uint32_t page = page_number(pc, chunk, i);
		const struct percpu_page *p = &pc->page[page];

		if (is_fours(pc, page))
			objects += count_used(pc, page, 2 * map_half(pc));
		else if (page_has_map(p))
			objects += count_used(pc, page, 2 * map_half(pc)) -
				   count_used(pc, page, map_half(pc));
		if (page_has_map(p) && (c->populated >> i & 1) == 0)
			return FAIL(9);
		if (p->kind != KIND_CLOSED && !is_fours(pc, page))
			free_granules += p->free_nr;
	}
	return free_granules != c->free_granules || objects != c->objects_nr ? FAIL(1) : 0;
}

/* True if a sidelined chunk has empty pages, although the worker has checked it twice (P8). */
static bool hides_pages(const struct percpu_chunk *chunk)
{
	return chunk->state == CHUNK_SIDELINED && (chunk->populated & chunk->free) != 0;
}

static int verify_life(const struct percpu *pc, uint32_t chunk)
{
	const struct percpu_chunk *c = &pc->chunk[chunk];
	bool isolated = c->state == CHUNK_SIDELINED || c->state == CHUNK_TO_DEPOPULATE;

	if (c->list != chunk_list_of(c) || c->isolated != isolated)
		return FAIL(12);
	if (!c->immutable && (c->state == CHUNK_FREE) != (c->objects_nr == 0) &&
	    c->state != CHUNK_TO_DEPOPULATE)
		return FAIL(12);
	return hides_pages(c) ? FAIL(8) : 0;
}

static int verify_chunk(const struct percpu *pc, uint32_t chunk)
{
	int label = 0;

	for (uint32_t i = 0; i < unit_pages(pc) && label == 0; i++)
		label = verify_page(pc, page_number(pc, chunk, i));
	if (label == 0)
		label = verify_masks(pc, chunk);
	if (label == 0)
		label = verify_counts(pc, chunk);
	return label != 0 ? label : verify_life(pc, chunk);
}

/* ---- all ---- */

static int verify_list(const struct percpu *pc, uint32_t list, uint32_t *listed)
{
	uint32_t n = 0, prev = NONE;

	for (uint32_t i = pc->list[list].head; i != NONE; i = pc->chunk[i].next) {
		if (i >= pc->chunks_end || pc->chunk[i].list != list || pc->chunk[i].prev != prev ||
		    ++n > pc->chunks_nr)
			return FAIL(12);
		prev = i;
	}
	*listed += n;
	return n != pc->list[list].nr || pc->list[list].tail != prev ? FAIL(12) : 0;
}

static int verify_lists(const struct percpu *pc)
{
	uint32_t listed = 0;
	int label = 0;

	for (uint32_t list = 0; list < CHUNK_LISTS_NR && label == 0; list++)
		label = verify_list(pc, list, &listed);
	return label != 0 ? label : listed != pc->chunks_nr ? FAIL(12) : 0;
}

/* The number of pages that callers that may not wait can rely on. */
static uint32_t count_reserve(const struct percpu *pc)
{
	uint32_t empty = 0;

	for (uint32_t i = 0; i < pc->chunks_end; i++)
		if (pc->chunk[i].state != CHUNK_NONE && !pc->chunk[i].isolated)
			empty += chunk_empty(&pc->chunk[i]);
	return empty;
}

void percpu_recount_locked(const struct percpu *pc)
{
	uint32_t empty = count_reserve(pc);

	DCHECK(lock_is_held(&pc->lock));
	for (uint32_t i = pc->list[LIST_SIDELINED].head; i != NONE; i = pc->chunk[i].next)
		CHECK_VALUES(!hides_pages(&pc->chunk[i]), i, pc->chunk[i].populated); /* P8 */
	CHECK_VALUES(empty == pc->empty_pages, empty, pc->empty_pages);		      /* P10 */
}

static int verify_sums(const struct percpu *pc)
{
	uint64_t populated = 0;
	uint32_t maps = 0;

	for (uint32_t i = 0; i < pc->chunks_end; i++) {
		const struct percpu_chunk *c = &pc->chunk[i];

		if (c->state == CHUNK_NONE)
			continue;
		populated += bits_count(c->populated);
		for (uint32_t page = 0; page < unit_pages(pc); page++)
			maps += page_has_map(&pc->page[page_number(pc, i, page)]);
	}
	if (maps != pc->maps_nr || pc->maps_nr > pc->maps_ready)
		return FAIL(5);
	if (count_reserve(pc) != pc->empty_pages)
		return FAIL(10);
	return populated != pc->populated_pages || populated > pc->maps_ready ? FAIL(11) : 0;
}

int percpu_verify(struct percpu *pc)
{
	lock_token token = lock_acquire(&pc->lock);
	int label = verify_lists(pc);

	for (uint32_t i = 0; i < pc->chunks_end && label == 0; i++)
		if (pc->chunk[i].state != CHUNK_NONE)
			label = verify_chunk(pc, i);
	if (label == 0)
		label = verify_sums(pc);
	if (label == 0 && !index_is_sound_locked(pc))
		label = FAIL(14);
	lock_release(&pc->lock, token); /* not percpu_unlock(), which would stop */
	if (label == 0 && !cache_is_sound(pc))
		label = FAIL(13);
	return label;
}
