/* SPDX-License-Identifier: MIT */
/* stacks/keep.c - how much a class keeps, what it holds, and taking that out (S3, S6) */
#include "stacks/internal.h"

#include "base/check.h"

unsigned stacks_keeps_locked(const struct stacks *s, const struct stacks_door *door, unsigned index)
{
	DCHECK(lock_is_held(&door->lock));
	return door->usable ? stacks_header(s, door, index)->keeps : 0;
}

/* As many entries as weigh what the other classes leave of the cap, but not more than the room. */
static uint32_t keeps_most_locked(const struct stacks *s, const struct stacks_door *door,
				  unsigned index, uint32_t keeps)
{
	const struct stacks_class *class = &s->class[index];
	uint32_t others = door->keeps_weight - keeps * class->weight, left;

	DCHECK(lock_is_held(&door->lock));
	if (s->cap == 0)
		return class->room;
	left = (s->cap - others) / class->weight;
	return left < class->room ? left : class->room;
}

unsigned stacks_set_keeps_locked(const struct stacks *s, struct stacks_door *door, unsigned index,
				 unsigned n)
{
	struct stack_header *header;
	uint32_t low = s->class[index].low, most;

	DCHECK(lock_is_held(&door->lock));
	CHECK(index >= door->first && index < door->end);
	if (!door->usable) {
		if (n != 0)
			store_relaxed(&door->warm, true); /* read as a hint */
		return 0;
	}
	header = stacks_header(s, door, index);
	most = keeps_most_locked(s, door, index, header->keeps);
	if (n > most)
		n = most;
	door->keeps_weight += (n - header->keeps) * s->class[index].weight;
	header->keeps = n;
	store_relaxed(&door->warm, door->keeps_weight != 0); /* read as a hint */
	if (door->closed_nr == 0)
		stacks_bound(header, low, low + n);
	return n;
}

unsigned stacks_grow_locked(const struct stacks *s, struct stacks_door *door, unsigned index,
			    unsigned first, unsigned most)
{
	unsigned keeps = stacks_keeps_locked(s, door, index);
	unsigned more = keeps != 0 ? keeps * 2 : first;

	DCHECK(lock_is_held(&door->lock));
	return stacks_set_keeps_locked(s, door, index, more < most ? more : most);
}

void stacks_cool_locked(const struct stacks *s, struct stacks_door *door)
{
	DCHECK(lock_is_held(&door->lock));
	for (unsigned i = door->first; i < door->end; i++)
		stacks_set_keeps_locked(s, door, i, 0);
	store_relaxed(&door->warm, false); /* read as a hint */
}

unsigned stacks_held(const struct stacks *s, const struct stacks_door *door, unsigned index)
{
	uint32_t low = s->class[index].low, top;

	if (!load_relaxed(&door->usable)) /* a hint: it holds nothing before */
		return 0;
	top = load_relaxed(&stacks_header(s, door, index)->top); /* pairs with the commits */
	return top > low ? top - low : 0;
}

const uint32_t *stacks_entries(const struct stacks *s, const struct stacks_door *door,
			       unsigned index)
{
	return stacks_first_entry(s, door, index);
}

/* Writes an entry without changing it, and does not overwrite what a sequence pushes meanwhile.  A thread
 * that takes entries out holds the lock. */
void stacks_touch_locked(const struct stacks *s, struct stacks_door *door, unsigned index)
{
	uint32_t *entry = stacks_first_entry(s, door, index);
	uint32_t found;

	DCHECK(lock_is_held(&door->lock));
	if (!door->usable)
		return;
	found = load_relaxed(entry);
	(void)cas_relaxed(entry, &found, found);
}

unsigned stacks_take_locked(const struct stacks *s, const struct stacks_door *door, unsigned index,
			    unsigned most, const uint32_t **entries)
{
	unsigned held = stacks_held(s, door, index), n = held < most ? held : most;

	DCHECK(lock_is_held(&door->lock));
	CHECK(door->closed_nr != 0);
	if (n != 0) /* the closer's, but stacks_held() may look: relaxed */
		store_relaxed(&stacks_header(s, door, index)->top, s->class[index].low + held - n);
	*entries = stacks_entries(s, door, index) + held - n;
	return n;
}
