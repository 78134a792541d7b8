/* SPDX-License-Identifier: MIT */
/*
 * slab/sheaf_verify.c - C8: what is on sheaves and in barns
 *
 * Each entry must be an object of its class that is in use as far as its slab knows, and there may be one entry of it.
 * The walk sets the object's bit in its slab's map, so an entry whose bit is set already is free, or is there twice.
 * A second walk clears the bits again.  No other thread uses the instance.
 */
#include "slab/sheaf.h"

#include "base/check.h"
#include "machine/atomic.h"
#include "machine/lock.h"
#include "slab/objects.h"
#include "slab/record.h"

#define LABEL_SHEAVES 408

/* The word and the bit of an entry; NULL if it is no object of the class. */
static uint64_t *find_bit(struct slabs *s, unsigned class, uint32_t entry, uint64_t *bit)
{
	const struct slab_class *c = &s->class[class];
	uint32_t record = entry / RECORD_ENTRIES & ~(slab_records(s, c) - 1);
	uint32_t inside = (entry - record * RECORD_ENTRIES) << ENTRY_SHIFT;
	uint32_t number = object_number(c, inside);

	if (record >= s->near_records || number * c->size != inside || number >= c->per_slab ||
	    (s->byte[entry >> s->entry_shift] & (BYTE_EMPTYING - 1)) != class)
		return NULL;
	*bit = (uint64_t)1 << number % 64;
	return &slab_at(s, record)->map[number / 64];
}

/* Sets the bits of all entries, or clears them.  False if one is not as it should be. */
static bool walk_entries(struct slabs *s, unsigned class, const uint32_t *entries, unsigned n,
			 bool set)
{
	for (unsigned i = 0; i < n; i++) {
		uint64_t bit, *word = find_bit(s, class, entries[i], &bit);

		if (word == NULL || ((*word & bit) != 0) == set)
			return false;
		*word ^= bit;
	}
	return true;
}

static bool walk(struct slabs *s, unsigned class, bool set)
{
	struct barn *barn = &s->class[class].barn;
	lock_token token = lock_acquire(&barn->lock);
	bool sound = walk_entries(s, class, barn->entry, barn->nr, set);

	lock_release(&barn->lock, token);
	for (unsigned slot = 0; sound && slot < s->stacks.cpu.slots_nr; slot++) {
		struct stacks_door *door = &s->cpu[slot].door;

		token = lock_acquire(&door->lock);
		sound = walk_entries(s, class, stacks_entries(&s->stacks, door, class),
				     stacks_held(&s->stacks, door, class), set);
		lock_release(&door->lock, token);
	}
	return sound;
}

int sheaves_verify(struct slabs *s)
{
	for (unsigned class = 1; class < CLASSES_MAX; class ++) {
		if (!load_acquire(&s->class[class].ready)) /* pairs with class.c's release */
			continue;
		if (!walk(s, class, true) || !walk(s, class, false))
			return LABEL_SHEAVES;
	}
	return 0;
}
