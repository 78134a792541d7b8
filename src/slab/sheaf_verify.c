/* SPDX-License-Identifier: MIT */
/*
 * slab/sheaf_verify.c - C8: what is on sheaves and in barns
 *
 * Each must be an object of its class that is in use as far as its slab knows, and be there once.  The walk sets the
 * object's bit in its slab's map, so one whose bit is set already is free, or is there twice.
 * A second walk clears the bits again.  No other thread uses the instance.
 */
#include "slab/sheaf.h"

#include "base/check.h"
#include "machine/atomic.h"
#include "machine/lock.h"
#include "slab/hardened.h"
#include "slab/objects.h"
#include "slab/record.h"

#define LABEL_SHEAVES 408

/* The word and the bit of an object; NULL if it is no object of the class. */
static uint64_t *find_bit(struct slabs *s, unsigned class, const void *object, uint64_t *bit)
{
	const struct slab_class *c = &s->class[class];
	size_t offset = (uintptr_t)object - (uintptr_t)s->base;
	uint32_t record = (uint32_t)(offset >> SLAB_SHIFT) & ~(slab_records(s, c) - 1);
	uint32_t inside = (uint32_t)(offset - ((size_t)record << SLAB_SHIFT));
	uint32_t number = object_number(c, inside);

	if (offset >= s->span_bytes || number * c->size != inside || number >= c->per_slab ||
	    (s->byte[offset >> s->page_shift] & (BYTE_EMPTYING - 1)) != class)
		return NULL;
	*bit = (uint64_t)1 << number % 64;
	return &slab_map(s, c, record)[number / 64];
}

/* A walk over the free objects of a class, and how it went. */
struct walk {
	struct slabs *s;
	unsigned class;
	bool set;	 /* bits, or clear them again */
	uint64_t most;	 /* objects to go to */
	uint64_t done;	 /* objects whose bits were changed */
	bool is_unsound; /* stopped at one whose bit was set, or that is no object of the class */
};

static void walk_objects(struct walk *walk, void *const *objects, unsigned n)
{
	for (unsigned i = 0; i < n && !walk->is_unsound && walk->done < walk->most; i++) {
		uint64_t bit = 0, *word = find_bit(walk->s, walk->class, objects[i], &bit);

		if (objects[i] == NULL) /* a quarantine has gaps */
			continue;
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

	walk_objects(walk, barn->object, barn->nr);
	lock_release(&barn->lock, token);
	for (unsigned array = 0; s->hardened != NULL && array < 2; array++) {
		unsigned n;
		void *const *waiters = hardened_waiters(s, walk->class, array, &n);

		walk_objects(walk, waiters, n);
	}
	for (unsigned slot = 0; slot < s->lean->slots_open; slot++) {
		struct slab_cpu *cpu = &s->cpu[slot];
		unsigned held;

		token = lock_acquire(&cpu->lock);
		held = cpu->ready ? sheaf_held(s, cpu, walk->class) : 0;
		if (held != 0)
			walk_objects(walk, sheaf_objects(s, cpu, walk->class), held);
		lock_release(&cpu->lock, token);
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
		if (load_acquire(&s->ready[class]) && /* pairs with class.c's release */
		    !is_sound(s, class))
			return LABEL_SHEAVES;
	return 0;
}
