/* SPDX-License-Identifier: MIT */
/*
 * mmap.c - the system itself: one mapping per block
 *
 * It is a reference point, not an equal peer: blocks above one page are not aligned to their size.
 */
#include <sys/mman.h>
#include "harness/subject.h"

#define MMAP_PAGE_BYTES ((size_t)4096)

static void *mmap_alloc(size_t bytes)
{
	void *block = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	return block == MAP_FAILED ? NULL : block;
}

static void mmap_free(void *block, size_t bytes)
{
	munmap(block, bytes);
}

static void *mmap_page_alloc(unsigned order)
{
	return mmap_alloc(MMAP_PAGE_BYTES << order);
}

static void mmap_page_free(void *block, unsigned order)
{
	mmap_free(block, MMAP_PAGE_BYTES << order);
}

#define PAGE_LOCALS		(void)0
#define PAGE_ALLOC(order)	mmap_page_alloc(order)
#define PAGE_FREE(block, order) mmap_page_free(block, order)

#include "page/patterns.inc.h"

#define AREA_ALLOC(bytes)	mmap_alloc(bytes)
#define AREA_FREE(block, bytes) mmap_free(block, bytes)

#include "vmap/patterns.inc.h"

static const char *mmap_setup(const char *options)
{
	(void)options;
	return NULL;
}

const struct subject subject_mmap = {
	.name = "mmap",
	.setup = mmap_setup,
	.order_max = 9,
	.page_patterns = PAGE_PATTERNS,
	.page_alloc = mmap_page_alloc,
	.page_free = mmap_page_free,
	.area_patterns = AREA_PATTERNS,
	.alloc = mmap_alloc,
	.free = mmap_free,
};
