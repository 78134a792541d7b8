/* SPDX-License-Identifier: MIT */
/* frames.c - the machine's memory, in frames of 4 KiB */
#include "machine/bare/frames.h"

#include "base/check.h"
#include "base/mem.h"
#include "machine/bare/spin.h"

static struct {
	struct spin spin;
	uint32_t first, nr;
	uint32_t free; /* the first of a chain of all that are free */
	size_t charged_nr;
	uint32_t *next;	  /* of each: the next in its chain */
	uint32_t *counts; /* atomic */
} pool;

/* The tables take the first of the memory. */
void frames_begin(uintptr_t start, uintptr_t end)
{
	size_t nr = (end - start) >> FRAME_SHIFT;
	size_t table_bytes = nr * sizeof(uint32_t);

	pool.next = (uint32_t *)start;
	pool.counts = (uint32_t *)(start + table_bytes);
	start = (start + 2 * table_bytes + FRAME_BYTES - 1) & ~(FRAME_BYTES - 1);
	pool.first = (uint32_t)(start >> FRAME_SHIFT);
	pool.nr = (uint32_t)((end - start) >> FRAME_SHIFT);
	pool.free = FRAMES_END;
	for (uint32_t i = pool.nr; i-- != 0;) {
		pool.counts[i] = 0;
		pool.next[i] = pool.free;
		pool.free = pool.first + i;
	}
}

size_t frames_nr(void)
{
	return pool.nr;
}

bool frames_charge(size_t nr)
{
	uint64_t flags = spin_acquire(&pool.spin);
	bool fits = nr <= pool.nr - pool.charged_nr;

	if (fits)
		pool.charged_nr += nr;
	spin_release(&pool.spin, flags);
	return fits;
}

void frames_uncharge(size_t nr)
{
	uint64_t flags = spin_acquire(&pool.spin);

	CHECK_VALUES(nr <= pool.charged_nr, nr, pool.charged_nr);
	pool.charged_nr -= nr;
	spin_release(&pool.spin, flags);
}

uint32_t frame_take(void)
{
	uint64_t flags = spin_acquire(&pool.spin);
	uint32_t frame = pool.free;

	CHECK_VALUES(frame != FRAMES_END, pool.charged_nr, pool.nr);
	pool.free = pool.next[frame - pool.first];
	spin_release(&pool.spin, flags);
	CHECK_VALUES(pool.counts[frame - pool.first] == 0, frame, pool.counts[frame - pool.first]);
	pool.counts[frame - pool.first] = 1;
	memset(frame_address(frame), 0, FRAME_BYTES);
	return frame;
}

void frame_count_again(uint32_t frame)
{
	fetch_add_relaxed(&pool.counts[frame - pool.first], UINT32_C(1));
}

void frame_drop(uint32_t frame, frame_chain *chain)
{
	if (fetch_sub_acq_rel(&pool.counts[frame - pool.first], UINT32_C(1)) != 1)
		return;
	pool.next[frame - pool.first] = *chain;
	*chain = frame;
}

void frames_put(frame_chain chain)
{
	uint64_t flags = spin_acquire(&pool.spin);

	while (chain != FRAMES_END) {
		uint32_t next = pool.next[chain - pool.first];

		pool.next[chain - pool.first] = pool.free;
		pool.free = chain;
		chain = next;
	}
	spin_release(&pool.spin, flags);
}
