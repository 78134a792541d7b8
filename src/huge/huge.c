/* SPDX-License-Identifier: MIT */
/* huge/huge.c - advice about huge pages by block, within the budget of mappings: see huge.h */
#include "huge/huge.h"

#include "base/check.h"
#include "machine/atomic.h"
#include "machine/lock.h"
#include "machine/mem.h"

void huge_init(struct huge_map *map, struct mutex *mutex, char *base, uint8_t *kind,
	       uint32_t blocks_nr)
{
	*map = (struct huge_map){
		.mutex = mutex, .base = base, .kind = kind, .blocks_nr = blocks_nr
	};
	mem_advise_huge(base, (size_t)blocks_nr << HUGE_SHIFT, false);
}

void huge_fini(struct huge_map *map)
{
	if (map->edges != 0)
		mem_mappings_give(MAPPINGS_ADVICE, map->edges);
	map->edges = 0;
}

/* Kinds that are one mapping: PLAIN, WISHED and FULL are the same to the system, UNUSED and UNCOUNTED to
 * the counts, so that a block may go from one to the other without the mutex. */
static enum huge_kind advice_of(const struct huge_map *map, uint32_t block)
{
	enum huge_kind kind = huge_kind(map, block);

	return kind == HUGE_WISHED || kind == HUGE_FULL ? HUGE_PLAIN
	       : kind == HUGE_UNCOUNTED			? HUGE_UNUSED
							: kind;
}

/* Neighbours that differ, at or inside the bounds of [first, end). */
static uint32_t edges_of(const struct huge_map *map, uint32_t first, uint32_t end)
{
	uint32_t edges = 0;

	for (uint32_t i = first != 0 ? first : 1; i <= end && i < map->blocks_nr; i++)
		edges += advice_of(map, i - 1) != advice_of(map, i);
	return edges;
}

/* The same, once all of [first, end) is @advice. */
static uint32_t edges_then(const struct huge_map *map, uint32_t first, uint32_t end,
			   enum huge_kind advice)
{
	uint32_t edges = first != 0 && advice_of(map, first - 1) != advice;

	return edges + (end < map->blocks_nr && advice_of(map, end) != advice);
}

/* Takes the mappings that a change needs, or gives back what it frees.  False: they are refused. */
static bool count_edges(struct huge_map *map, uint32_t before, uint32_t after)
{
	if (after > before && !mem_mappings_take(MAPPINGS_ADVICE, after - before))
		return false;
	if (after < before)
		mem_mappings_give(MAPPINGS_ADVICE, before - after);
	map->edges += after - before;
	return true;
}

/* The same for a change that is made whether the budget permits it or not. */
static void force_edges(struct huge_map *map, uint32_t before, uint32_t after)
{
	if (after <= before) {
		count_edges(map, before, after);
		return;
	}
	mem_mappings_add(MAPPINGS_ADVICE, after - before);
	map->edges += after - before;
}

static void set_kinds(struct huge_map *map, uint32_t first, uint32_t end, enum huge_kind kind)
{
	for (uint32_t i = first; i < end; i++)
		store_relaxed(&map->kind[i], (uint8_t)kind); /* without the mutex, a hint */
}

static void advise(const struct huge_map *map, uint32_t first, uint32_t end, bool huge)
{
	mem_advise_huge(huge_addr(map, first), (size_t)(end - first) << HUGE_SHIFT, huge);
}

static void check_range(const struct huge_map *map, uint32_t first, uint32_t end)
{
	CHECK(mutex_is_held(map->mutex));
	CHECK_VALUES(first < end && end <= map->blocks_nr, first, end);
}

static bool any_is(const struct huge_map *map, uint32_t first, uint32_t end, enum huge_kind kind)
{
	for (uint32_t i = first; i < end; i++)
		if (huge_kind(map, i) == kind)
			return true;
	return false;
}

/*
 * The system joins mappings that were written to only if they came of one mapping.  So a block begins
 * as a part of the mapping before it, whatever it becomes then.  Where that has no advice, committing
 * has joined them, since the reservation was advised against huge pages.
 */
void huge_usable(struct huge_map *map, uint32_t first, uint32_t end, bool advise_them)
{
	enum huge_kind kind = advise_them ? HUGE_ADVISED : HUGE_PLAIN;
	uint32_t edges, then;
	bool joins;

	check_range(map, first, end);
	joins = first != 0 && huge_kind(map, first - 1) == HUGE_ADVISED;
	edges = edges_of(map, first, end);
	then = edges_then(map, first, end, kind);
	if (joins || advise_them)
		advise(map, first, end, true);
	if (!advise_them && (joins || any_is(map, first, end, HUGE_ADVISED)))
		advise(map, first, end, false);
	force_edges(map, edges, then);
	set_kinds(map, first, end, kind);
}

void huge_usable_uncounted(struct huge_map *map, uint32_t first, uint32_t end, bool advise_them)
{
	CHECK_VALUES(first < end && end <= map->blocks_nr, first, end);
	if (advise_them)
		advise(map, first, end, true);
	set_kinds(map, first, end, HUGE_UNCOUNTED);
}

void huge_count(struct huge_map *map, uint32_t first, uint32_t end, bool advise_them)
{
	for (uint32_t run = first; first < end; first = run + 1) {
		for (run = first; run < end && huge_kind(map, run) == HUGE_UNCOUNTED; run++)
			;
		if (run > first)
			huge_usable(map, first, run, advise_them);
	}
}

static bool all_are(const struct huge_map *map, uint32_t first, uint32_t end, enum huge_kind kind)
{
	for (uint32_t i = first; i < end; i++)
		if (huge_kind(map, i) != kind)
			return false;
	return true;
}

/* No huge page can stand behind any of them. */
static bool all_are_plain(const struct huge_map *map, uint32_t first, uint32_t end)
{
	for (uint32_t i = first; i < end; i++)
		if (huge_kind(map, i) != HUGE_PLAIN && huge_kind(map, i) != HUGE_FULL)
			return false;
	return true;
}

void huge_allow(struct huge_map *map, uint32_t first, uint32_t end)
{
	check_range(map, first, end);
	if (all_are(map, first, end, HUGE_ADVISED))
		return;
	while (first != 0 && huge_kind(map, first - 1) == HUGE_WISHED)
		first--;
	while (end < map->blocks_nr && huge_kind(map, end) == HUGE_WISHED)
		end++;
	if (!count_edges(map, edges_of(map, first, end),
			 edges_then(map, first, end, HUGE_ADVISED))) {
		for (uint32_t i = first; i < end; i++)
			if (huge_kind(map, i) == HUGE_PLAIN || huge_kind(map, i) == HUGE_FULL)
				set_kinds(map, i, i + 1, HUGE_WISHED);
		return;
	}
	advise(map, first, end, true);
	set_kinds(map, first, end, HUGE_ADVISED);
}

/* Denies up to the nearer end of the advised blocks around, which needs no mapping. */
static void deny_to_edge(struct huge_map *map, uint32_t first, uint32_t end)
{
	uint32_t low = first, high = end;

	while (low != 0 && huge_kind(map, low - 1) == HUGE_ADVISED && high < map->blocks_nr &&
	       huge_kind(map, high) == HUGE_ADVISED) {
		low--;
		high++;
	}
	if (low != 0 && huge_kind(map, low - 1) == HUGE_ADVISED)
		low = first;
	else
		high = end;
	/* One more, once for each end of what is committed. */
	force_edges(map, edges_of(map, low, high), edges_then(map, low, high, HUGE_PLAIN));
	advise(map, low, high, false);
	set_kinds(map, low, first, HUGE_WISHED);
	set_kinds(map, first, end, HUGE_PLAIN);
	set_kinds(map, end, high, HUGE_WISHED);
}

bool huge_deny(struct huge_map *map, uint32_t first, uint32_t end)
{
	check_range(map, first, end);
	if (all_are_plain(map, first, end))
		return false;
	if (count_edges(map, edges_of(map, first, end), edges_then(map, first, end, HUGE_PLAIN))) {
		advise(map, first, end, false);
		set_kinds(map, first, end, HUGE_PLAIN);
	} else {
		deny_to_edge(map, first, end);
	}
	return true;
}

void huge_settle(struct huge_map *map, uint32_t first, uint32_t end, bool advise_them)
{
	enum huge_kind kind = advise_them ? HUGE_ADVISED : HUGE_PLAIN;
	uint32_t edges, then;

	check_range(map, first, end);
	edges = edges_of(map, first, end);
	then = edges_then(map, first, end, kind);
	if (then >= edges)
		return;
	count_edges(map, edges, then);
	advise(map, first, end, advise_them);
	set_kinds(map, first, end, kind);
}

void huge_note_full(struct huge_map *map, uint32_t block, bool full)
{
	check_range(map, block, block + 1);
	CHECK_VALUES(huge_kind(map, block) == HUGE_PLAIN || huge_kind(map, block) == HUGE_FULL,
		     huge_kind(map, block), block);
	set_kinds(map, block, block + 1, full ? HUGE_FULL : HUGE_PLAIN);
}
