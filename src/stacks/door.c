/* SPDX-License-Identifier: MIT */
/* stacks/door.c - closing and opening a slot's stacks, their first use, and fork (S1..S5, S7) */
#include "stacks/internal.h"

#include "base/check.h"
#include "base/errno.h"

void stacks_door_init(struct stacks_door *door, enum lock_rank rank, unsigned slot, unsigned first,
		      unsigned end)
{
	*door = (struct stacks_door){
		.slot = (uint16_t)slot,
		.first = (uint16_t)first,
		.end = (uint16_t)end,
	};
	lock_init(&door->lock, rank);
}

/* Refuses every sequence that begins from now on; a fence ends those under way (S3). */
void stacks_close_locked(const struct stacks *s, struct stacks_door *door)
{
	DCHECK(lock_is_held(&door->lock));
	if (door->closed_nr++ != 0 || !door->usable)
		return;
	for (unsigned i = door->first; i < door->end; i++)
		stacks_bound(stacks_header(s, door, i), UINT32_MAX, 0);
}

void stacks_open_locked(const struct stacks *s, struct stacks_door *door)
{
	DCHECK(lock_is_held(&door->lock));
	CHECK(door->closed_nr != 0);
	if (--door->closed_nr != 0 || !door->usable)
		return;
	for (unsigned i = door->first; i < door->end; i++) {
		struct stack_header *header = stacks_header(s, door, i);
		uint32_t low = s->class[i].low;

		if (header->top < low)			  /* for the first time */
			store_relaxed(&header->top, low); /* pairs with stacks_held() */
		stacks_bound(header, low, low + header->keeps);
	}
}

void stacks_fence_slot(const struct stacks *s, unsigned slot)
{
	if (stacks_has(s, slot))
		stack_fence_slot(&s->cpu, slot);
}

void stacks_fence_all(const struct stacks *s)
{
	if (s->cpu.slots_nr != 0)
		stack_fence_all(&s->cpu, s->isolated);
}

/* ---- first use ---- */

static void set_ready_locked(const struct stacks *s, struct stacks_door *door)
{
	DCHECK(lock_is_held(&door->lock));
	CHECK(!door->ready && door->closed_nr == 0);
	store_relaxed(&door->ready, true);
	if (lock_is_lent(&door->lock)) /* the end of the fork opens all that is ready (S7) */
		stacks_close_locked(s, door);
}

int stacks_begin_unopened_locked(const struct stacks *s, struct stacks_door *door)
{
	DCHECK(lock_is_held(&door->lock));
	if (stacks_has(s, door->slot)) {
		if (!s->committed && stacks_commit(s, door->slot) != 0)
			return -ENOMEM;
		store_relaxed(&door->usable, true);
	}
	set_ready_locked(s, door);
	return 0;
}

void stacks_begin_bare_locked(const struct stacks *s, struct stacks_door *door)
{
	DCHECK(lock_is_held(&door->lock));
	set_ready_locked(s, door);
}

static int begin_locked(const struct stacks *s, struct stacks_door *door, bool alone)
{
	int error = stacks_begin_unopened_locked(s, door);

	DCHECK(lock_is_held(&door->lock));
	if (error)
		return error;
	stacks_close_locked(s, door);
	if (!alone)
		stacks_fence_slot(s, door->slot);
	stacks_open_locked(s, door);
	return 0;
}

int stacks_begin_locked(const struct stacks *s, struct stacks_door *door)
{
	DCHECK(lock_is_held(&door->lock));
	return begin_locked(s, door, false);
}

int stacks_begin_alone_locked(const struct stacks *s, struct stacks_door *door)
{
	DCHECK(lock_is_held(&door->lock));
	return begin_locked(s, door, true);
}

/* ---- fork ---- */

void stacks_fork_prepare(const struct stacks *s, struct stacks_door *door)
{
	door->kept = lock_acquire_ordered(&door->lock);
	if (door->ready)
		stacks_close_locked(s, door);
}

void stacks_fork_drop_closers_locked(struct stacks_door *door, unsigned n)
{
	DCHECK(lock_is_held(&door->lock));
	CHECK_VALUES(n <= door->closed_nr, n, door->closed_nr);
	door->closed_nr = (uint16_t)(door->closed_nr - n);
}

void stacks_fork_done(const struct stacks *s, struct stacks_door *door, bool child)
{
	if (child)
		stacks_cool_locked(s, door);
	if (door->ready)
		stacks_open_locked(s, door);
	lock_release(&door->lock, door->kept);
}
