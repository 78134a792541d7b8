/* SPDX-License-Identifier: MIT */
/* huge/policy.c - what is asked of the system for a block of 2 MiB: see policy.h */
#include "huge/policy.h"

#include "base/check.h"
#include "huge/huge.h"
#include "machine/lock.h"

enum huge_answer huge_decide(const struct huge_question *ask)
{
	if (ask->off)
		return HUGE_IS_OFF;
	if (ask->refused)
		return HUGE_REFUSED;
	if (ask->always)
		return HUGE_ALWAYS;
	if (!huge_is_dense(ask->covered_pages, ask->block_pages))
		return HUGE_NOT_COVERED;
	if (ask->populated)
		return HUGE_POPULATED;
	if (ask->grown_and_full)
		return HUGE_GROWN;
	if (ask->large)
		return HUGE_LARGE;
	if (!ask->witness_was_dense)
		return HUGE_UNKNOWN;
	return ask->until_probe == 0 ? HUGE_PROBE : HUGE_LIKELY;
}

/* The first unused block from @first on, or @end.  An unused block is as its reservation, without huge pages. */
static uint32_t used_end(const struct huge_map *map, uint32_t first, uint32_t end)
{
	while (first < end && huge_kind(map, first) != HUGE_UNUSED)
		first++;
	return first;
}

bool huge_part_goes(struct huge_map *map, uint32_t first, uint32_t end)
{
	bool denied = false;

	mutex_acquire(map->mutex);
	for (uint32_t run; first < end; first = run + 1) {
		run = used_end(map, first, end);
		if (run > first)
			denied |= huge_deny(map, first, run);
	}
	mutex_release(map->mutex);
	return denied;
}

bool huge_whole_may_change(const struct huge_map *map, uint32_t first, uint32_t end, bool advise)
{
	enum huge_kind kind = advise ? HUGE_ADVISED : huge_kind(map, first);
	uint32_t low = first != 0 && !advise ? first - 1 : first;
	uint32_t high = end < map->blocks_nr && !advise ? end + 1 : end;

	for (uint32_t i = low; i < high; i++)
		if (huge_kind(map, i) != kind)
			return true;
	return false;
}

static void settle_run(struct huge_map *map, uint32_t first, uint32_t end, bool advise)
{
	if (advise) {
		huge_allow(map, first, end);
	} else {
		huge_settle(map, first, end, true);
		huge_settle(map, first, end, false);
	}
}

void huge_whole_went(struct huge_map *map, uint32_t first, uint32_t end, bool advise)
{
	CHECK(mutex_is_held(map->mutex));
	for (uint32_t run; first < end; first = run + 1) {
		run = used_end(map, first, end);
		if (run > first)
			settle_run(map, first, run, advise);
	}
}
