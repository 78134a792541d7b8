/* SPDX-License-Identifier: MIT */
/*
 * malloc/class.c - malloc's classes as they are now, by size
 *
 * The table has each class in one stretch of places, up to that of its own size, and the stretches have rising sizes.
 * So the class above another is in the place that follows the other's size.  While the table is written (malloc_table_open()), some
 * places of the new class's stretch still have the class above it, and both are right.
 */
#include "malloc/heap.h"

#include <quire/quire.h>

#include "base/check.h"
#include "machine/atomic.h"
#include "slab/class.h"
#include "slab/slab.h"

static unsigned class_in(size_t place)
{
	/* Pairs with malloc_table_open(): a class that was learnt and stands in the table is ready. */
	return load_acquire(&malloc_heap.class_of[place]);
}

unsigned malloc_class_for(size_t bytes)
{
	DCHECK(bytes <= MALLOC_SMALL_MAX);
	return class_in(table_place(bytes));
}

uint32_t malloc_class_bytes(unsigned class)
{
	return class <= MALLOC_CLASSES_NR ? malloc_table_bytes(class)
					  : malloc_heap.slabs->class[class].size;
}

unsigned malloc_class_above(unsigned class)
{
	size_t place = 1;

	if (class != 0)
		place += malloc_class_bytes(class) / MALLOC_ALIGN;
	return place < TABLE_ENTRIES ? class_in(place) : 0;
}

bool malloc_class_made(unsigned class, unsigned flags)
{
	struct slabs *s = malloc_heap.slabs;

	/* Pairs with class_make(). */
	return load_acquire(&s->ready[class]) ||
	       ((flags & QUIRE_NOLOCK) == 0 &&
		class_make(s, class, malloc_class_bytes(class)) == 0);
}

unsigned malloc_class_aligned(unsigned class, size_t align)
{
	while (malloc_class_bytes(class) % align != 0)
		class = malloc_class_above(class);
	return class;
}
