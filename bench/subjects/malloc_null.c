/* SPDX-License-Identifier: MIT */
/*
 * malloc_null.c - the harness of malloc.c alone: its functions do nothing
 *
 * They are in a shared library too, since a call across libraries costs more than most
 * allocations.
 */
#include "malloc/command.h"
#include "malloc/null.h"

#define PAGE_LOCALS		const size_t object_bytes = w->run->bytes
#define PAGE_ALLOC(order)	((void)(order), bench_null_malloc(object_bytes))
#define PAGE_FREE(block, order) ((void)object_bytes, (void)(order), bench_null_free(block))

#include "page/patterns.inc.h"

const struct subject subject_null = {
	.name = "null",
	.page_patterns = PAGE_PATTERNS,
};
