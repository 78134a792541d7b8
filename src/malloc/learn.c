/* SPDX-License-Identifier: MIT */
/*
 * malloc/learn.c - classes for sizes that a program turns out to use most
 *
 * A program that holds hundreds of MiB in blocks of one size would lose up to a sixteenth of them to the rest of each
 * block.  When a class holds LEARN_HELD_BYTES or more, and a size that is smaller than its own accounts for
 * as much, that size gets a class of its own.
 *
 * Words
 *   place      of a size in the table: table_place()
 *   stretch    the places in which one class stands: from the size of the class below to its own
 *   cost       of a class: bytes of a slab for each object, so the rest at a slab's end counts
 *   grown      what a class's slabs were made for: a class that takes one more notes the size that was asked for.  Blocks
 *              that come and go, and leave no slab behind, are not counted so, however often they are asked for
 *
 * What is learnt.  All places of the class's stretch up to that of the new size change to the new class, so that
 * the table still has the smallest class that is large enough.  Of all sizes of the stretch the
 * one that saves most is taken: (cost before - cost after) * grown, summed over the places that change.  It must
 * save a 64th of that memory, and the more was learnt the more: there are LEARN_MAX classes,
 * and a size that is found late may be the one that matters most.
 *
 * Nothing is forgotten.  Blocks of the old class stay what they are: a free finds their class by their page.  A class
 * that is no longer used holds nothing, but its number stays taken.
 *
 * Order.  The new class is complete before it stands in the table, which is written with releases: a slow path
 * that reads it there with an acquire finds the class ready (class.c).  A fast path need not: the header of a class
 * that its CPU has not used refuses.  All is done under slabs->mutex, which fork takes: a child has
 * all of it or nothing.  A handler that interrupted a holder of a lock does not come here (alloc.c).
 */
#include "malloc/learn.h"

#include "base/check.h"
#include "machine/atomic.h"
#include "slab/class.h"
#include "slab/slab.h"

/* What a class must hold, and a size in it.  A new class costs its sheaves and what it keeps free, some 400 KiB;
 * at this size it saves 256 KiB at least, and more with each block. */
#ifndef LEARN_HELD_BYTES
#define LEARN_HELD_BYTES (16u << 20)
#endif
#define LEARN_RECORDS (LEARN_HELD_BYTES >> SLAB_SHIFT)
/* In a class that holds less than this share of it nothing is noted, so that a small process does not touch the memory. */
#define UNNOTED_SHARE 16u
#define SAVING_SHARE  64u

/* For caches five classes remain. */
_Static_assert(MALLOC_CLASSES_NR + LEARN_MAX + 5 < CLASSES_MAX, "caches have classes left");

void malloc_learn_begin(struct malloc_learn *l, struct slabs *s, uint8_t *class_of)
{
	l->slabs = s;
	l->class_of = class_of;
}

uint64_t malloc_learn_slabs(const struct malloc_learn *l, unsigned class)
{
	/* Hints.  A class that is not made has no memory yet, and none is touched. */
	return load_relaxed(&l->slabs->ready[class])
		       ? load_relaxed(&l->slabs->class[class].slabs_nr)
		       : 0;
}

/* ---- what would be saved ---- */

static uint32_t place_cost(size_t place)
{
	return class_cost((uint32_t)(place * MALLOC_ALIGN));
}

/* What a new class must save, in 64ths of a record. */
static uint64_t saving_least(const struct malloc_learn *l, uint64_t grown)
{
	uint64_t fixed = (uint64_t)LEARN_RECORDS << load_relaxed(&l->nr) / 2; /* a hint */

	return grown > fixed ? grown : fixed;
}

/* The place below @last, which is that of a class's own size, that is worth a class; 0: none is. */
static size_t best_place(const struct malloc_learn *l, size_t last)
{
	uint32_t before = place_cost(last);
	uint64_t grown = 0, best_saving = 0;
	size_t best = 0;

	for (size_t place = malloc_table_first(l->class_of, last); place < last; place++) {
		uint32_t here = load_relaxed(&l->grown[place]), cost = place_cost(place);
		uint64_t saving;

		grown += here;
		if (here == 0 || grown < LEARN_RECORDS - LEARN_RECORDS / UNNOTED_SHARE ||
		    cost >= before)
			continue;
		saving = grown * SAVING_SHARE * (before - cost) / before;
		if (saving < saving_least(l, grown) || saving <= best_saving)
			continue;
		best_saving = saving;
		best = place;
	}
	return best;
}

/* ---- learning ---- */

static void publish_locked(struct malloc_learn *l, size_t place, unsigned class)
{
	DCHECK(mutex_is_held(&l->slabs->mutex));
	malloc_table_open(l->class_of, place, class);
	for (size_t i = malloc_table_first(l->class_of, place); i <= place; i++)
		store_relaxed(&l->grown[i], 0); /* a hint */
}

static void learn_locked(struct malloc_learn *l, size_t last)
{
	DCHECK(mutex_is_held(&l->slabs->mutex));
	size_t place = best_place(l, last);
	int class;

	if (place == 0 || l->nr == LEARN_MAX)
		return;
	class = class_get_locked(l->slabs, place * MALLOC_ALIGN, MALLOC_ALIGN, CLASS_PLAIN, 0);
	store_relaxed(&l->nr, class > 0 ? l->nr + 1 : LEARN_MAX); /* read as a hint */
	if (class > 0)
		publish_locked(l, place, (unsigned)class);
}

void malloc_learn_grown(struct malloc_learn *l, unsigned class, size_t place, uint64_t slabs_nr)
{
	struct slab_class *c = &l->slabs->class[class];
	uint64_t held, grown,
		slab_records = (uint64_t)1 << (c->order + l->slabs->page_shift - SLAB_SHIFT);

	/* Hints, all of them. */
	held = malloc_learn_slabs(l, class) * slab_records;
	if (held * UNNOTED_SHARE < LEARN_RECORDS || load_relaxed(&l->nr) == LEARN_MAX ||
	    load_relaxed(&l->class_of[place]) != class)
		return;
	grown = load_relaxed(&l->grown[place]) + slabs_nr * slab_records;
	store_relaxed(&l->grown[place], (uint16_t)(grown < UINT16_MAX ? grown : UINT16_MAX));
	if (held < LEARN_RECORDS || best_place(l, c->size / MALLOC_ALIGN) == 0)
		return;
	mutex_acquire(&l->slabs->mutex);
	learn_locked(l, c->size / MALLOC_ALIGN);
	mutex_release(&l->slabs->mutex);
}
