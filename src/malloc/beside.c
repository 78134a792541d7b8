/* SPDX-License-Identifier: MIT */
/* malloc/beside.c - arrays of what is known of blocks, by their addresses */
#include "malloc/beside.h"

#include "base/check.h"
#include "base/errno.h"
#include "instance/instance.h"
#include "machine/atomic.h"
#include "machine/mem.h"
#include "malloc/heap.h"
#include "slab/slab.h"
#include "vmap/vmap.h"

int beside_init(struct beside *beside, unsigned unit_shift, size_t element_bytes, const char *name)
{
	beside->unit_shift = unit_shift;
	beside->element_bytes = element_bytes;
	beside->name = name;
	store_relaxed(&beside->of_areas, NULL); /* nobody has an element yet */
	return sparse_init(&beside->of_pages,
			   (malloc_heap.slabs->span_bytes >> unit_shift) * element_bytes, name);
}

static size_t areas_bytes(const struct beside *beside, const struct vmap *v)
{
	return (v->span_bytes >> v->page_shift) * beside->element_bytes;
}

/*
 * The areas' addresses are known when there is an area.  Threads that have the first areas at the same time each make an
 * array, and so does a handler that interrupts the making; the first one to be stored is used, and the others are
 * released.  So nobody waits, and a child of fork never finds an array half made.
 */
static struct sparse make_of_areas(struct beside *beside, const struct vmap *v)
{
	size_t bytes = areas_bytes(beside, v);
	struct sparse mine;
	char *stored = NULL;

	if (sparse_init(&mine, bytes, beside->name) != 0) {
		stored = load_acquire(
			&beside->of_areas); /* pairs with the swap: another's may be there */
		return sparse_at(stored, bytes);
	}
	/* Pairs with areas_array(). */
	if (cas_acq_rel(&beside->of_areas, &stored, (char *)mine.ready))
		return mine;
	sparse_fini(&mine);
	return sparse_at(stored, bytes);
}

/* Without base: there is none, and with @make the system refused one. */
static struct sparse areas_array(struct beside *beside, const struct vmap *v, bool make)
{
	char *start = load_acquire(&beside->of_areas); /* pairs with make_of_areas() */

	return start == NULL && make ? make_of_areas(beside, v)
				     : sparse_at(start, areas_bytes(beside, v));
}

/* Where the element of an address is. */
struct place {
	struct sparse array; /* without base: it has none */
	size_t offset;
};

static struct place place_of(struct beside *beside, const void *addr, bool make)
{
	size_t offset = (uintptr_t)addr - (uintptr_t)malloc_heap.slabs->base;
	struct vmap *v;

	if (offset < malloc_heap.slabs->span_bytes)
		return (struct place){ beside->of_pages,
				       (offset >> beside->unit_shift) * beside->element_bytes };
	v = load_acquire(&malloc_heap.q->vmap); /* pairs with vmap_get() */
	if (v == NULL || (uintptr_t)addr - (uintptr_t)v->base >= v->span_bytes)
		return (struct place){ .offset = 0 };
	offset = (uintptr_t)addr - (uintptr_t)v->base;
	return (struct place){ areas_array(beside, v, make),
			       (offset >> v->page_shift) * beside->element_bytes };
}

void *beside_at(struct beside *beside, const void *addr)
{
	struct place place = place_of(beside, addr, false);

	if (place.array.base == NULL ||
	    !sparse_is_ready(&place.array, place.offset / SPARSE_PART_BYTES))
		return NULL;
	return place.array.base + place.offset;
}

void *beside_make(struct beside *beside, const void *addr)
{
	struct place place = place_of(beside, addr, true);

	if (place.array.base == NULL ||
	    !sparse_touch(&place.array, place.offset, beside->element_bytes))
		return NULL;
	return place.array.base + place.offset;
}

static void each_of(const struct beside *beside, const struct sparse *array,
		    void (*call)(const void *element, void *arg), void *arg)
{
	for (size_t part = 0; part < sparse_parts(array); part++) {
		const char *start = array->base + part * SPARSE_PART_BYTES;

		if (!sparse_is_ready(array, part))
			continue;
		for (size_t at = 0; at < SPARSE_PART_BYTES; at += beside->element_bytes)
			call(start + at, arg);
	}
}

void beside_each(struct beside *beside, void (*call)(const void *element, void *arg), void *arg)
{
	const struct vmap *v = load_acquire(&malloc_heap.q->vmap); /* pairs with vmap_get() */
	struct sparse areas = { .base = NULL };

	if (v != NULL)
		areas = areas_array(beside, v, false);
	each_of(beside, &beside->of_pages, call, arg);
	if (areas.base != NULL)
		each_of(beside, &areas, call, arg);
}
