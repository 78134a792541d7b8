/* SPDX-License-Identifier: MIT */
/*
 * floor.c - a lower bound for the cost of any allocator
 *
 * Pages: floor_pair.h, order 0 only.  Areas: every request of a thread gets the same warm block.
 * If the block is not touched, the time is that of the harness alone, to be subtracted; if it is
 * written, the time is that of writing when no page is ever new.  The block has 4 KiB pages, since
 * an allocator may have to use those.
 */
#include <sys/mman.h>
#include "harness/subject.h"
#include "subjects/floor_pair.h"

#define PAGE_LOCALS		(void)0
#define PAGE_ALLOC(order)	((void)(order), floor_alloc())
#define PAGE_FREE(block, order) ((void)(order), floor_free(block))

#include "page/patterns.inc.h"

#define WARM_BYTES ((size_t)64 << 20)

static __thread char *warm;

static __attribute__((noinline)) char *warm_make(void)
{
	char *block = mmap(NULL, WARM_BYTES, PROT_READ | PROT_WRITE,
			   MAP_PRIVATE | MAP_ANONYMOUS | MAP_POPULATE, -1, 0);

	warm = block == MAP_FAILED ? NULL : block;
	return warm;
}

static __attribute__((noinline)) void *floor_area_alloc(size_t bytes)
{
	(void)bytes;
	return warm ? warm : warm_make();
}

static __attribute__((noinline)) void floor_area_free(void *block, size_t bytes)
{
	__asm__ volatile("" : : "r"(block), "r"(bytes) : "memory");
}

#define AREA_ALLOC(bytes)	floor_area_alloc(bytes)
#define AREA_FREE(block, bytes) floor_area_free(block, bytes)

#include "vmap/patterns.inc.h"

static void *floor_page_alloc(unsigned order)
{
	return order == 0 ? floor_alloc() : NULL;
}

static void floor_page_free(void *block, unsigned order)
{
	(void)order;
	floor_free(block);
}

static const char *floor_nothing(const char *options)
{
	(void)options;
	return NULL;
}

const struct subject subject_floor = {
	.name = "floor",
	.setup = floor_nothing,
	.pages_setup = floor_setup,
	.order_max = 0,
	.page_patterns = PAGE_PATTERNS,
	.page_alloc = floor_page_alloc,
	.page_free = floor_page_free,
	.area_patterns = AREA_PATTERNS,
	.alloc = floor_area_alloc,
	.free = floor_area_free,
};
