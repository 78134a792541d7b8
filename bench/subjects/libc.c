/* SPDX-License-Identifier: MIT */
/*
 * libc.c - aligned_alloc(), malloc() and free() of this process
 *
 * They are glibc's, or those of a preloaded library.  Areas come from malloc(), which is the
 * shorter path in each library; areas are aligned anyway.  The file is compiled with -fno-builtin,
 * since a compiler that knows these functions may remove the pair.
 */
#include <stdlib.h>
#include "harness/subject.h"

#define PAGE_LOCALS		const size_t block_bytes = LIBC_PAGE_BYTES << w->run->order
#define PAGE_ALLOC(order)	((void)(order), aligned_alloc(LIBC_PAGE_BYTES, block_bytes))
#define PAGE_FREE(block, order) ((void)block_bytes, (void)(order), free(block))

#define LIBC_PAGE_BYTES ((size_t)4096)

#include "page/patterns.inc.h"

#define AREA_ALLOC(bytes)	malloc(bytes)
#define AREA_FREE(block, bytes) ((void)(bytes), free(block))

#include "vmap/patterns.inc.h"

static const char *libc_setup(const char *options)
{
	(void)options;
	return NULL;
}

static void *libc_page_alloc(unsigned order)
{
	return aligned_alloc(LIBC_PAGE_BYTES, LIBC_PAGE_BYTES << order);
}

static void libc_page_free(void *block, unsigned order)
{
	(void)order;
	free(block);
}

static void *libc_alloc(size_t bytes)
{
	return malloc(bytes);
}

static void libc_free(void *block, size_t bytes)
{
	(void)bytes;
	free(block);
}

const struct subject subject_libc = {
	.name = "libc",
	.setup = libc_setup,
	.order_max = 9,
	.page_patterns = PAGE_PATTERNS,
	.page_alloc = libc_page_alloc,
	.page_free = libc_page_free,
	.area_patterns = AREA_PATTERNS,
	.alloc = libc_alloc,
	.free = libc_free,
	.release = libc_release,
};
