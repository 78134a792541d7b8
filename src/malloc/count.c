/* SPDX-License-Identifier: MIT */
/* malloc/count.c - what the heap holds */
#include "malloc/count.h"

#include <quire/page.h>
#include <quire/quire.h>
#include <quire/vmap.h>

#include "machine/atomic.h"
#include "malloc/heap.h"
#include "malloc/sampled.h"
#include "slab/hardened.h"
#include "slab/objects.h"
#include "slab/sheaf.h"
#include "slab/slab.h"

void malloc_count_class(unsigned class, struct malloc_count *count)
{
	struct slabs *s = malloc_heap.slabs;
	struct objects_count objects;
	uint64_t idle;

	*count = (struct malloc_count){ .blocks = 0 };
	if (s == NULL || !load_acquire(&s->ready[class])) /* pairs with class_make() */
		return;
	objects_count(s, class, &objects);
	idle = objects.free + sheaves_count(s, class) + hardened_waiting(s, class);
	if (idle > objects.objects)
		idle = objects.objects;
	count->blocks = objects.objects - idle;
	count->bytes = count->blocks * malloc_class_bytes(class);
	count->free_bytes = idle * malloc_class_bytes(class);
}

void malloc_count_small(struct malloc_count *count)
{
	struct malloc_count one;

	*count = (struct malloc_count){ .blocks = 0 };
	for (unsigned class = malloc_class_above(0); class != 0;
	     class = malloc_class_above(class)) {
		malloc_count_class(class, &one);
		count->blocks += one.blocks;
		count->bytes += one.bytes;
		count->free_bytes += one.free_bytes;
	}
	if (load_acquire(&malloc_heap.layer) == &malloc_sampled) /* pairs with publish() */
		sampled_count(&count->blocks, &count->bytes);
}

void malloc_count_large(struct malloc_count *count)
{
	struct quire_vmap_stat stat = QUIRE_VMAP_STAT_INIT;

	*count = (struct malloc_count){ .blocks = 0 };
	if (malloc_heap.q == NULL || quire_vmap_stat_read(malloc_heap.q, &stat) != 0)
		return;
	count->blocks = stat.busy_areas + load_relaxed(&malloc_heap.run_blocks);
	count->bytes = stat.busy_bytes + load_relaxed(&malloc_heap.run_bytes);
	count->free_bytes = stat.cached_bytes + stat.lazy_bytes;
}

uint64_t malloc_page_bytes(uint64_t *free_bytes)
{
	struct quire_page_stat stat = QUIRE_PAGE_STAT_INIT;
	uint64_t idle, bytes, run_bytes = load_relaxed(&malloc_heap.run_bytes); /* a figure */

	*free_bytes = 0;
	if (malloc_heap.q == NULL || quire_page_stat_read(malloc_heap.q, &stat) != 0)
		return 0;
	idle = stat.free_pages + stat.cached_pages;
	idle = idle > stat.reported_pages ? idle - stat.reported_pages : 0;
	*free_bytes = idle << stat.page_shift;
	bytes = (stat.allocated_pages + idle) << stat.page_shift;
	return bytes > run_bytes ? bytes - run_bytes : 0;
}
