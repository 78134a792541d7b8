/* SPDX-License-Identifier: MIT */
/* malloc/countdown.c - how allocations are counted down to the next one that a layer samples */
#include "malloc/countdown.h"

#include "machine/clock.h"
#include "slab/slab.h"

_Static_assert(CLASSES_MAX <= COUNTDOWN_CLASS, "no class has the header of the countdown");

struct malloc_countdown malloc_countdown;

void countdown_begin(void)
{
	store_relaxed(&malloc_countdown.random, clock_now_ns() | 1);
}

uint64_t countdown_random(void)
{
	uint64_t x = load_relaxed(&malloc_countdown.random);

	x ^= x << 13;
	x ^= x >> 7;
	x ^= x << 17;
	store_relaxed(&malloc_countdown.random, x);
	return x;
}

/* Where the current CPU counts; all together without sequences, and while the CPU's region is not written yet. */
static uint32_t *countdown_here(void)
{
	const struct lean_stacks *lean = &malloc_heap.lean;
	unsigned slot;

	if (lean->slots_open == 0)
		return &malloc_countdown.left;
	slot = lean_slot(lean);
	if (!load_relaxed(&malloc_heap.slabs->cpu[slot].ready)) /* for good; committed before */
		return &malloc_countdown.left;
	return &lean_header(lean, slot, COUNTDOWN_CLASS)->top;
}

/* What an allocation counts. */
static uint32_t step_of(size_t bytes)
{
	size_t counted = bytes & load_relaxed(&malloc_countdown.mask); /* constant while on */

	return (counted < UINT32_MAX ? (uint32_t)counted : UINT32_MAX - 1) + 1;
}

bool countdown_due(size_t bytes, uint32_t (*draw)(void))
{
	uint32_t *left = countdown_here(), step = step_of(bytes);
	uint32_t before = load_relaxed(left);

	if (before == 0) /* nobody has counted here yet */
		before = draw();
	if (before > step) {
		store_relaxed(left, before - step);
		return false;
	}
	store_relaxed(left, draw());
	return true;
}
