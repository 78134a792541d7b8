/* SPDX-License-Identifier: MIT */
/* stacks/internal.h - one header, found and bounded */
#ifndef STACKS_INTERNAL_H
#define STACKS_INTERNAL_H

#include "base/check.h"
#include "machine/atomic.h"
#include "stacks/stacks.h"

/* Commits one slot's region for reading and writing.  Returns 0 or -ENOMEM. */
int stacks_commit(const struct stacks *s, unsigned slot);

static inline struct stack_header *stacks_header(const struct stacks *s,
						 const struct stacks_door *door, unsigned index)
{
	DCHECK(index >= door->first && index < door->end);
	return stack_header(&s->cpu, door->slot, s->class[index].header);
}

/* The class's first entry. */
static inline uint32_t *stacks_first_entry(const struct stacks *s, const struct stacks_door *door,
					   unsigned index)
{
	DCHECK(index >= door->first && index < door->end);
	return stack_entries(&s->cpu, door->slot) + s->class[index].low;
}

/* Stores both bounds as one word, after everything that came before (S4): pairs with the loads inside
 * the sequences, which read a bound before top. */
static inline void stacks_bound(struct stack_header *header, uint32_t low, uint32_t high)
{
	union {
		struct {
			uint32_t low, high;
		} part;
		uint64_t whole;
	} bounds = { .part = { .low = low, .high = high } };

	store_release((uint64_t *)(void *)&header->low, bounds.whole);
}

#endif
