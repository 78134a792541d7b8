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

/* A walk over the entries of a class, and how it went. */
struct walk {
	struct slabs *s;
	unsigned class;
	bool set;	 /* bits, or clear them again */
	uint64_t most;	 /* entries to go to */
	uint64_t done;	 /* entries whose bits were changed */
	bool is_unsound; /* stopped at one whose bit was set, or that is no object of the class */
};

static void walk_entries(struct walk *walk, const uint32_t *entries, unsigned n)
{
	for (unsigned i = 0; i < n && !walk->is_unsound && walk->done < walk->most; i++) {
		uint64_t bit = 0, *word = find_bit(walk->s, walk->class, entries[i], &bit);

		walk->is_unsound = word == NULL || ((*word & bit) != 0) == walk->set;
		if (walk->is_unsound)
			return;
		*word ^= bit;
		walk->done++;
	}
}

static void walk_class(struct walk *walk)
{
	struct slabs *s = walk->s;
	struct barn *barn = &s->class[walk->class].barn;
	lock_token token = lock_acquire(&barn->lock);

	walk_entries(walk, barn->entry, barn->nr);
	lock_release(&barn->lock, token);
	for (unsigned slot = 0; slot < s->stacks.cpu.slots_nr; slot++) {
		struct stacks_door *door = &s->cpu[slot].door;

		token = lock_acquire(&door->lock);
		walk_entries(walk, stacks_entries(&s->stacks, door, walk->class),
			     stacks_held(&s->stacks, door, walk->class));
		lock_release(&door->lock, token);
	}
}

/* The second walk clears as many bits as the first one set, in the same order. */
static bool is_sound(struct slabs *s, unsigned class)
{
	struct walk sets = { .s = s, .class = class, .set = true, .most = UINT64_MAX };
	struct walk clears = { .s = s, .class = class };

	walk_class(&sets);
	clears.most = sets.done;
	walk_class(&clears);
	return !sets.is_unsound;
}

int sheaves_verify(struct slabs *s)
{
	for (unsigned class = 1; class < CLASSES_MAX; class ++)
		if (load_acquire(&s->class[class].ready) && /* pairs with class.c's release */
		    !is_sound(s, class))
			return LABEL_SHEAVES;
	return 0;
}
