/* SPDX-License-Identifier: MIT */
/* large_mmap.c - the system itself: one mapping a block */
#include <sys/mman.h>
#include "vmap/large.h"

static void *large_mmap_alloc(size_t bytes)
{
	void *block = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	return block == MAP_FAILED ? NULL : block;
}

static void large_mmap_free(void *block, size_t bytes)
{
	munmap(block, bytes);
}

#define LARGE_ALLOC(bytes)	 large_mmap_alloc(bytes)
#define LARGE_FREE(block, bytes) large_mmap_free(block, bytes)

#include "vmap/large_patterns.inc.h"

static const char *large_mmap_setup(const char *options)
{
	(void)options;
	return NULL;
}

const struct large_subject large_mmap = {
	.name = "mmap",
	.setup = large_mmap_setup,
	.patterns = LARGE_PATTERNS,
	.alloc = large_mmap_alloc,
	.free = large_mmap_free,
};
