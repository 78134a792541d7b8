/* SPDX-License-Identifier: MIT */
/*
 * malloc/coarse.c - classes that open when their sizes have earned it
 *
 * A class costs a slab, of 64 or of 256 KiB, and a page for its first block, however few blocks it has.  A program that
 * uses a few blocks of each of sixty sizes would pay for sixty.  So at first only some classes are open (table.c), and
 * serve the sizes of those below them, too.
 *
 * Words
 *   open       said of a class that stands in the table.  The others are closed, and have no slab
 *   host       of a closed class: the open one above it, which serves its sizes
 *   grown      of a closed class: what slabs of its hosts take that were made for blocks of its sizes
 *
 * What opens a class.  Its host has no object left and would grow for a block of its sizes, and
 *   1. it has grown for them by as much as a slab of the class takes; or
 *   2. it holds HOST_RECORDS: then all closed classes below it open, whoever asked.
 *
 * Bounds.  What a block loses is less than the step between two classes that are open at first: a third of the host's
 * block, and half of it above 4 KiB, where what is lost are mostly pages that nobody writes.  By 1, if blocks of all sizes
 * come as they may, those of a closed class take no more of the host than a slab of its own would: so the class costs
 * twice that slab at most, and no slab at all before it is earned.  By 2 this is bounded, too, for a program whose
 * blocks of a closed class always come when the host has just grown for others: by a third of HOST_RECORDS, 341 KiB, for
 * each of the 12 hosts up to 4 KiB, and by half of it, 512 KiB, for each of the 3 above.  That makes 5.5 MiB, in a program
 * that holds 15 MiB in these hosts; the first slabs of the 91 classes that are closed at first would take 13.8 MiB.
 *
 * Opening writes the table from the start of the host's stretch up to the class's own size, as learn.c does.  So closed classes
 * that are smaller get a smaller host.  Nothing closes.  Blocks of the host stay what they are: a free finds their class
 * by their page.  The class itself is made by its first slow path, as those that are open at first.
 *
 * All is done under slabs->mutex, which learn.c writes under and fork takes.  A handler that interrupted a holder of a
 * lock does not come here (alloc.c).
 */
#include "malloc/coarse.h"

#include "base/check.h"
#include "machine/atomic.h"
#include "slab/class.h"
#include "slab/slab.h"

/* A host that holds as much, 1 MiB, serves its own sizes only.  What opens then costs a slab for each class that is used: at
 * most seven of 64 KiB below a host of up to 1 KiB, less than half of what that holds; twelve of 256 above 4 KiB, where
 * few programs use each step. */
#define HOST_RECORDS 16u

void malloc_coarse_begin(struct malloc_coarse *coarse, struct slabs *s, uint8_t *class_of)
{
	coarse->slabs = s;
	coarse->class_of = class_of;
}

bool malloc_coarse_is_used_up(const struct malloc_coarse *coarse, unsigned class)
{
	const struct slab_class *c = &coarse->slabs->class[class];

	/* Hints.  A class that is not made has none of both, but its page is not touched for that. */
	return !load_relaxed(&coarse->slabs->ready[class]) ||
	       (load_relaxed(&c->free_nr) == 0 && load_relaxed(&c->barn.nr) == 0);
}

/* ---- what has been earned ---- */

static size_t own_place(unsigned class)
{
	return malloc_table_bytes(class) / MALLOC_ALIGN;
}

static unsigned slab_records(unsigned class)
{
	return class_slab_bytes(malloc_table_bytes(class)) >> SLAB_SHIFT;
}

static bool is_host(const struct malloc_coarse *coarse, unsigned host, unsigned closed)
{
	/* A hint, unless slabs->mutex is held. */
	return load_relaxed(&coarse->class_of[own_place(closed)]) == host;
}

/* @host would grow for blocks of @closed. */
static bool has_earned(const struct malloc_coarse *coarse, unsigned host, unsigned closed)
{
	return closed < host &&
	       load_relaxed(&coarse->grown[closed]) >= slab_records(closed); /* a hint */
}

/* True if @class is host of others, and holds so much that it is to be none. */
static bool is_large(const struct malloc_coarse *coarse, unsigned class)
{
	const struct slabs *s = coarse->slabs;

	return class > 1 && is_host(coarse, class, class - 1) &&
	       load_relaxed(&s->ready[class]) && /* a hint, as what it spares */
	       load_relaxed(&s->class[class].slabs_nr) * slab_records(class) >= HOST_RECORDS;
}

/* ---- opening ---- */

/* The smallest first, since each one takes the places of all that are closed below it.  Another thread may have been
 * faster, or learnt a size. */
static void open_locked(struct malloc_coarse *coarse, unsigned host, unsigned from, unsigned to)
{
	DCHECK(mutex_is_held(&coarse->slabs->mutex));
	for (unsigned class = from; class <= to; class ++)
		if (is_host(coarse, host, class))
			malloc_table_open(coarse->class_of, own_place(class), class);
}

unsigned malloc_coarse_grows(struct malloc_coarse *coarse, unsigned class, size_t place)
{
	unsigned from, to, exact = malloc_table_class(place);

	/* A class that was learnt fits better than any of these; and the class of an aligned block may be above that of its size. */
	if (class > MALLOC_CLASSES_NR ||
	    load_relaxed(&coarse->class_of[place]) != class) /* a hint */
		return class;
	if (is_large(coarse, class)) {
		from = malloc_table_class(malloc_table_first(coarse->class_of, own_place(class)));
		to = class - 1;
	} else {
		from = to = has_earned(coarse, class, exact) ? exact : 0;
	}
	if (from == 0)
		return class;
	mutex_acquire(&coarse->slabs->mutex);
	open_locked(coarse, class, from, to);
	mutex_release(&coarse->slabs->mutex);
	/* Pairs with the release of whoever wrote it: a class that was learnt is ready. */
	return load_acquire(&coarse->class_of[place]);
}

void malloc_coarse_grown(struct malloc_coarse *coarse, unsigned class, size_t place)
{
	unsigned exact = malloc_table_class(place), grown;

	if (class > MALLOC_CLASSES_NR || exact >= class ||
	    load_relaxed(&coarse->class_of[place]) != class) /* a hint */
		return;
	/* Hints: two may note one growth. */
	grown = load_relaxed(&coarse->grown[exact]) + slab_records(class);
	store_relaxed(&coarse->grown[exact], (uint8_t)(grown < UINT8_MAX ? grown : UINT8_MAX));
}
