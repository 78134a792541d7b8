/* SPDX-License-Identifier: MIT */
/*
 * large_floor.c - one warm block for every request of a thread
 *
 * Untouched, it is the harness alone, to be taken off; written, it is what writing costs when no
 * page is ever new.  Of 4 KiB pages, as an allocator may have to use.
 */
#include <sys/mman.h>
#include "vmap/large.h"

#define WARM_BYTES ((size_t)64 << 20)

static __thread char *warm;

static __attribute__((noinline)) char *warm_make(void)
{
	char *block = mmap(NULL, WARM_BYTES, PROT_READ | PROT_WRITE,
			   MAP_PRIVATE | MAP_ANONYMOUS | MAP_POPULATE, -1, 0);

	warm = block == MAP_FAILED ? NULL : block;
	return warm;
}

static __attribute__((noinline)) void *large_floor_alloc(size_t bytes)
{
	(void)bytes;
	return warm ? warm : warm_make();
}

static __attribute__((noinline)) void large_floor_free(void *block, size_t bytes)
{
	__asm__ volatile("" : : "r"(block), "r"(bytes) : "memory");
}

#define LARGE_ALLOC(bytes)	 large_floor_alloc(bytes)
#define LARGE_FREE(block, bytes) large_floor_free(block, bytes)

#include "vmap/large_patterns.inc.h"

static const char *large_floor_setup(const char *options)
{
	(void)options;
	return NULL;
}

const struct large_subject large_floor = {
	.name = "floor",
	.setup = large_floor_setup,
	.patterns = LARGE_PATTERNS,
	.alloc = large_floor_alloc,
	.free = large_floor_free,
};
