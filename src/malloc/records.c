/* SPDX-License-Identifier: MIT */
/*
 * malloc/records.c - what debug:on knows of each block
 *
 * Two arrays: one with a record for each 32 bytes of the pages' addresses, one with a record for each page of the areas'.
 * Blocks that are in use have a record each: with red zones (debug.c) two addresses that users have are at least 32
 * bytes apart, in whatever classes, since 16 bytes of red zone are behind the one block and in front of the other.
 * So a lookup is one load, no lock is needed, and nothing has to be put right after a fork.
 *
 * A record outlives its block: until another block has it, it tells a second free who was first.
 */
#include "malloc/records.h"

#include "base/check.h"
#include "base/errno.h"
#include "instance/instance.h"
#include "machine/atomic.h"
#include "machine/mem.h"
#include "malloc/heap.h"
#include "malloc/sparse.h"
#include "slab/slab.h"
#include "vmap/vmap.h"

/* Of pages' addresses: two blocks of 16-byte red zones are at least so far apart. */
#define UNIT_SHIFT 5

static struct sparse of_pages; /* (c) once the heap is ready */
/* Atomic: where the array of areas' records begins; NULL until the first area has one.  One word says all of it: fork copies page after
 * page while other threads store, so a child could find a pointer and not what it points to. */
static char *of_areas;

/* ---- words ---- */

struct record_facts record_read(uint64_t word)
{
	return (struct record_facts){
		.state = (enum record_state)(word & 3),
		.odd = (word >> 2 & 1) != 0,
		.align_shift = (uint8_t)(word >> 3 & 63),
		.generation = (uint8_t)(word >> 9 & (GENERATIONS - 1)),
		.bytes = (size_t)(word >> 16),
	};
}

uint64_t record_word(struct record_facts facts)
{
	return (uint64_t)facts.state | (uint64_t)facts.odd << 2 | (uint64_t)facts.align_shift << 3 |
	       (uint64_t)facts.generation << 9 | (uint64_t)facts.bytes << 16;
}

/* ---- where ---- */

int records_init(void)
{
	store_relaxed(&of_areas, NULL); /* nobody has a record yet */
	return sparse_init(&of_pages,
			   (malloc_heap.slabs->span_bytes >> UNIT_SHIFT) * sizeof(struct record),
			   "quire-debug");
}

static size_t areas_bytes(const struct vmap *v)
{
	return (v->span_bytes >> v->page_shift) * sizeof(struct record);
}

/*
 * The areas' addresses are known when there is an area.  Threads that have the first areas at the same time each make an
 * array, and so does a handler that interrupts the making; the first one to be stored is used, and the others are
 * released.  So nobody waits, and a child of fork never finds an array half made.
 */
static struct sparse make_of_areas(const struct vmap *v)
{
	struct sparse mine;
	char *stored = NULL;

	if (sparse_init(&mine, areas_bytes(v), "quire-debug") != 0) {
		stored = load_acquire(&of_areas); /* pairs with the swap: another's may be there */
		return sparse_at(stored, areas_bytes(v));
	}
	if (cas_acq_rel(&of_areas, &stored, (char *)mine.ready)) /* pairs with areas_array() */
		return mine;
	sparse_fini(&mine);
	return sparse_at(stored, areas_bytes(v));
}

/* Without base: there is none, and with @make the system refused one. */
static struct sparse areas_array(const struct vmap *v, bool make)
{
	char *start = load_acquire(&of_areas); /* pairs with make_of_areas() */

	return start == NULL && make ? make_of_areas(v) : sparse_at(start, areas_bytes(v));
}

/* Where the record of an address is. */
struct place {
	struct sparse array; /* without base: it has none */
	size_t offset;
};

static struct place place_of(const void *block, bool make)
{
	size_t offset = (uintptr_t)block - (uintptr_t)malloc_heap.slabs->base;
	struct vmap *v;

	if (offset < malloc_heap.slabs->span_bytes)
		return (struct place){ of_pages, (offset >> UNIT_SHIFT) * sizeof(struct record) };
	v = load_acquire(&malloc_heap.q->vmap); /* pairs with vmap_get() */
	if (v == NULL || (uintptr_t)block - (uintptr_t)v->base >= v->span_bytes)
		return (struct place){ .offset = 0 };
	offset = (uintptr_t)block - (uintptr_t)v->base;
	return (struct place){ areas_array(v, make),
			       (offset >> v->page_shift) * sizeof(struct record) };
}

struct record *records_at(const void *block)
{
	struct place place = place_of(block, false);

	if (place.array.base == NULL ||
	    !sparse_is_ready(&place.array, place.offset / SPARSE_PART_BYTES))
		return NULL;
	return (struct record *)(void *)(place.array.base + place.offset);
}

struct record *records_make(const void *block)
{
	struct place place = place_of(block, true);

	if (place.array.base == NULL ||
	    !sparse_touch(&place.array, place.offset, sizeof(struct record)))
		return NULL;
	return (struct record *)(void *)(place.array.base + place.offset);
}

/* ---- all ---- */

static void each_of(const struct sparse *array,
		    void (*call)(const struct record *record, void *arg), void *arg)
{
	for (size_t part = 0; part < sparse_parts(array); part++) {
		const struct record *record =
			(const void *)(array->base + part * SPARSE_PART_BYTES);

		if (!sparse_is_ready(array, part))
			continue;
		for (size_t i = 0; i < SPARSE_PART_BYTES / sizeof(*record); i++)
			call(&record[i], arg);
	}
}

void records_each(void (*call)(const struct record *record, void *arg), void *arg)
{
	const struct vmap *v = load_acquire(&malloc_heap.q->vmap); /* pairs with vmap_get() */
	struct sparse areas = { .base = NULL };

	if (v != NULL)
		areas = areas_array(v, false);
	each_of(&of_pages, call, arg);
	if (areas.base != NULL)
		each_of(&areas, call, arg);
}
