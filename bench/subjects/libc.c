/* SPDX-License-Identifier: MIT */
/*
 * libc.c - whatever serves aligned_alloc() and free() in this process
 *
 * glibc's, or that of a preloaded library.  Compiled with -fno-builtin: a compiler that knows
 * what aligned_alloc does may leave the pair out.
 */
#include <dlfcn.h>
#include <stdlib.h>
#include "subjects/subjects.h"

#define SUBJECT_LOCALS		   const size_t block_bytes = LIBC_PAGE_BYTES << w->run->order
#define SUBJECT_ALLOC(order)	   ((void)(order), aligned_alloc(LIBC_PAGE_BYTES, block_bytes))
#define SUBJECT_FREE(block, order) ((void)block_bytes, (void)(order), free(block))

#define LIBC_PAGE_BYTES ((size_t)4096)

#include "harness/patterns.inc.h"

static const char *libc_setup(void)
{
	return NULL;
}

static void *libc_alloc(unsigned order)
{
	return aligned_alloc(LIBC_PAGE_BYTES, LIBC_PAGE_BYTES << order);
}

static void libc_free(void *block, unsigned order)
{
	(void)order;
	free(block);
}

/* POSIX gives dlsym's result as an object pointer. */
static void *libc_symbol(const char *name)
{
	return dlsym(RTLD_DEFAULT, name);
}

/* Each library's own way to be asked; those that are not loaded have no such symbol. */
static void libc_release(void)
{
	int (*mallctl)(const char *, void *, size_t *, void *, size_t);
	void (*tcmalloc)(void);
	void (*mimalloc)(bool);
	int (*glibc)(size_t);

	*(void **)&mallctl = libc_symbol("mallctl");
	*(void **)&tcmalloc = libc_symbol("MallocExtension_ReleaseFreeMemory");
	*(void **)&mimalloc = libc_symbol("mi_collect");
	*(void **)&glibc = libc_symbol("malloc_trim");
	if (mallctl) {
		mallctl("thread.tcache.flush", NULL, NULL, NULL, 0);
		mallctl("arena.4096.purge", NULL, NULL, NULL, 0); /* 4096: all arenas */
	}
	if (tcmalloc)
		tcmalloc();
	if (mimalloc)
		mimalloc(true);
	if (glibc)
		glibc(0);
}

const struct subject subject_libc = {
	.name = "libc",
	.order_max = 9,
	.setup = libc_setup,
	.patterns = SUBJECT_PATTERNS,
	.alloc = libc_alloc,
	.free = libc_free,
	.release = libc_release,
};
