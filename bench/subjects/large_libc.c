/* SPDX-License-Identifier: MIT */
/*
 * large_libc.c - whatever serves malloc() and free() in this process
 *
 * malloc(), not aligned_alloc(): it is each library's shorter way, and an area is aligned anyway.
 * Compiled with -fno-builtin, as libc.c is.
 */
#include <stdlib.h>
#include "vmap/large.h"
#include "subjects/subjects.h"

#define LARGE_ALLOC(bytes)	 malloc(bytes)
#define LARGE_FREE(block, bytes) ((void)(bytes), free(block))

#include "vmap/large_patterns.inc.h"

static const char *large_libc_setup(const char *options)
{
	(void)options;
	return NULL;
}

static void *large_libc_alloc(size_t bytes)
{
	return malloc(bytes);
}

static void large_libc_free(void *block, size_t bytes)
{
	(void)bytes;
	free(block);
}

static void large_libc_release(void)
{
	subject_libc.release();
}

const struct large_subject large_libc = {
	.name = "libc",
	.setup = large_libc_setup,
	.patterns = LARGE_PATTERNS,
	.alloc = large_libc_alloc,
	.free = large_libc_free,
	.release = large_libc_release,
};
