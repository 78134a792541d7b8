/* SPDX-License-Identifier: MIT */
/* record_instance.c WHAT - a program for record_program_test: calls on instances of its own, of each kind so many */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <quire/page.h>
#include <quire/percpu.h>
#include <quire/quire.h>
#include <quire/slab.h>
#include <quire/vmap.h>

static struct quire *make(enum quire_backing backing)
{
	struct quire_options options =
		QUIRE_OPTIONS_INIT(.limit_bytes = 64u << 20, .backing = backing);
	struct quire *q = NULL;

	if (quire_create(&options, &q) != 0)
		exit(3);
	return q;
}

static void *want(void *addr)
{
	if (addr == NULL)
		exit(4);
	return addr;
}

/* 4 blocks of order 3, 1 of order 2 that is split, 3 pages of which one is freed by the way of many, and 5 pages as one. */
static int pages(void)
{
	struct quire *q = make(QUIRE_BACKING_DEFAULT);
	void *many[3] = { NULL, NULL, NULL };
	char *split, *five;

	for (unsigned i = 0; i < 4; i++)
		quire_free_pages(q, want(quire_alloc_pages(q, 3, QUIRE_MOVABLE)), 3);
	split = want(quire_alloc_pages(q, 2, 0));
	quire_split_pages(q, split, 2);
	for (unsigned i = 0; i < 4; i++)
		quire_free_pages(q, split + i * quire_page_bytes(q), 0);
	if (quire_alloc_pages_bulk(q, many, 3, 0) != 3)
		return 5;
	quire_free_pages_bulk(q, many, 1);
	five = want(quire_alloc_pages_exact(q, 5 * quire_page_bytes(q), 0));
	quire_free_pages_exact(q, five, 5 * quire_page_bytes(q));
	return quire_alloc_pages(q, QUIRE_ORDER_MAX + 1, 0) != NULL;
}

static int areas(void)
{
	struct quire_vmalloc_options options = QUIRE_VMALLOC_OPTIONS_INIT(.align_bytes = 65536);
	struct quire *q = make(QUIRE_BACKING_MEMFD);
	void *pages[2] = { want(quire_alloc_pages(q, 0, 0)), want(quire_alloc_pages(q, 0, 0)) };
	void *area = want(quire_vmalloc(q, 20000, 0)), *mapping;

	area = want(quire_vrealloc(q, area, 3000000, 0));
	quire_vfree(q, area);
	quire_vfree(q, want(quire_vzalloc(q, 20000, 0)));
	quire_vfree(q, want(quire_vmalloc_with(q, 20000, &options)));
	quire_kvfree(q, want(quire_kvmalloc(q, 20000, 0)));
	mapping = want(quire_vmap(q, pages, 2, 0));
	quire_vunmap(q, mapping);
	mapping = want(quire_vm_map_ram(q, pages, 2, 0));
	quire_vm_unmap_ram(q, mapping, 2);
	return quire_vmalloc(q, (size_t)1 << 40, 0) != NULL;
}

static int objects(void)
{
	const struct quire_cache_options options =
		QUIRE_CACHE_OPTIONS_INIT(.name = "of this test", .size = 1056);
	struct quire_percpu_request request = QUIRE_PERCPU_REQUEST_INIT(.bytes = 40);
	struct quire *q = make(QUIRE_BACKING_DEFAULT);
	struct quire_cache *cache = NULL;
	void *many[8], *reserved;

	if (quire_cache_create(q, &options, &cache) != 0 ||
	    quire_cache_alloc_bulk(cache, 0, 8, many) != 8)
		return 5;
	quire_cache_free_bulk(cache, 8, many);
	quire_cache_free(cache, want(quire_cache_alloc(cache, QUIRE_ZERO)));
	if (quire_alloc_percpu_bulk(q, &request, many, 8) != 8)
		return 6;
	quire_free_percpu_bulk(q, many, 8);
	quire_free_percpu(q, want(quire_alloc_percpu(q, 64, 64, QUIRE_ATOMIC)));
	reserved = want(quire_alloc_reserved_percpu(q, 16, 16));
	quire_free_percpu(q, reserved);
	return 0;
}

/* Two instances at a time; the second has 5 pages when it ends, of which one is freed before. */
static int instances(void)
{
	struct quire *first = make(QUIRE_BACKING_DEFAULT), *second = make(QUIRE_BACKING_DEFAULT);
	void *page = want(quire_alloc_pages(first, 0, 0));

	for (unsigned i = 0; i < 4; i++)
		want(quire_alloc_pages(second, 0, 0));
	quire_free_pages(second, want(quire_alloc_pages(second, 0, 0)), 0);
	quire_destroy(second);
	return page == NULL;
}

int main(int argc, char **argv)
{
	const char *what = argc == 2 ? argv[1] : "";

	if (strcmp(what, "pages") == 0)
		return pages();
	if (strcmp(what, "areas") == 0)
		return areas();
	if (strcmp(what, "objects") == 0)
		return objects();
	return strcmp(what, "instances") == 0 ? instances() : 2;
}
