/* SPDX-License-Identifier: MIT */
/* malloc/count.c - what the heap holds, in the words of malloc() and its kin, from the table of figures */
#include "malloc/count.h"

#include "machine/atomic.h"
#include "malloc/heap.h"
#include "malloc/sampled.h"
#include "slab/hardened.h"
#include "slab/objects.h"
#include "slab/sheaf.h"
#include "slab/slab.h"
#include "stat/figures.h"

void malloc_count_class(unsigned class, struct malloc_count *count)
{
	struct objects_count objects;
	struct slabs *s;
	uint64_t idle;

	*count = (struct malloc_count){ .blocks = 0 };
	if (!malloc_is_ready())
		return;
	s = malloc_heap.slabs;
	if (!load_acquire(&s->ready[class])) /* pairs with class_make() */
		return;
	objects_count(s, class, &objects);
	idle = objects.free + sheaves_count(s, class) + hardened_waiting(s, class);
	if (idle > objects.objects)
		idle = objects.objects;
	count->blocks = objects.objects - idle;
	count->bytes = count->blocks * malloc_class_bytes(class);
	count->free_bytes = idle * malloc_class_bytes(class);
}

void malloc_count_small(const struct figure_values *values, struct malloc_count *count)
{
	*count = (struct malloc_count){
		.blocks = values->slab.used,
		.bytes = values->slab.used_bytes,
		.free_bytes = values->slab.cached_bytes + values->slab.free_bytes,
	};
	if (load_acquire(&malloc_heap.layer) == &malloc_sampled) /* pairs with publish() */
		sampled_count(&count->blocks, &count->bytes);
}

void malloc_count_large(const struct figure_values *values, struct malloc_count *count)
{
	*count = (struct malloc_count){
		.blocks = values->vmap.busy_areas + load_relaxed(&malloc_heap.run_blocks),
		.bytes = values->vmap.busy_bytes + load_relaxed(&malloc_heap.run_bytes),
		.free_bytes = values->vmap.cached_bytes + values->vmap.lazy_bytes,
	};
}

uint64_t malloc_page_bytes(const struct figure_values *values, uint64_t *free_bytes)
{
	const struct quire_page_stat *page = &values->page;
	uint64_t run_bytes = load_relaxed(&malloc_heap.run_bytes); /* a figure */
	uint64_t idle = page->free_pages + page->cached_pages, bytes;

	idle = idle > page->reported_pages ? idle - page->reported_pages : 0;
	*free_bytes = idle << page->page_shift;
	bytes = (page->allocated_pages + idle) << page->page_shift;
	return bytes > run_bytes ? bytes - run_bytes : 0;
}
