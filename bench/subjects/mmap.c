/* SPDX-License-Identifier: MIT */
/*
 * mmap.c - the system itself: one mapping a block
 *
 * An anchor, not a peer of equal service: blocks above one page are not aligned to their size.
 */
#include <sys/mman.h>
#include "subjects/subjects.h"

#define MMAP_PAGE_BYTES ((size_t)4096)

static void *mmap_alloc(unsigned order)
{
	void *block = mmap(NULL, MMAP_PAGE_BYTES << order, PROT_READ | PROT_WRITE,
			   MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	return block == MAP_FAILED ? NULL : block;
}

static void mmap_free(void *block, unsigned order)
{
	munmap(block, MMAP_PAGE_BYTES << order);
}

#define SUBJECT_LOCALS		   (void)0
#define SUBJECT_ALLOC(order)	   mmap_alloc(order)
#define SUBJECT_FREE(block, order) mmap_free(block, order)

#include "harness/patterns.inc.h"

static const char *mmap_setup(void)
{
	return NULL;
}

const struct subject subject_mmap = {
	.name = "mmap",
	.order_max = 9,
	.setup = mmap_setup,
	.patterns = SUBJECT_PATTERNS,
	.alloc = mmap_alloc,
	.free = mmap_free,
};
