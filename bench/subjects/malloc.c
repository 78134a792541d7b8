/* SPDX-License-Identifier: MIT */
/* malloc.c - malloc() and free() of this process for objects of one size: glibc's, or a preloaded
 * library's */
#include <stdlib.h>
#include "malloc/command.h"

#define PAGE_LOCALS		const size_t object_bytes = w->run->bytes
#define PAGE_ALLOC(order)	((void)(order), malloc(object_bytes))
#define PAGE_FREE(block, order) ((void)object_bytes, (void)(order), free(block))

#include "page/patterns.inc.h"

static void *object_alloc(size_t bytes)
{
	return malloc(bytes);
}

static void object_free(void *object, size_t bytes)
{
	(void)bytes;
	free(object);
}

const struct subject subject_malloc = {
	.name = "malloc",
	.page_patterns = PAGE_PATTERNS,
	.alloc = object_alloc,
	.free = object_free,
	.release = libc_release,
};
