/* SPDX-License-Identifier: MIT */
/* quire.c - one instance, called as a program would call it */
#include <quire/page.h>
#include <quire/vmap.h>
#include "harness/subject.h"

static struct quire *instance;

#define PAGE_LOCALS		struct quire *const q = instance
#define PAGE_ALLOC(order)	quire_alloc_pages(q, order, 0)
#define PAGE_FREE(block, order) quire_free_pages(q, block, order)

#include "page/patterns.inc.h"

#define AREA_ALLOC(bytes)	quire_vmalloc(instance, bytes, 0)
#define AREA_FREE(block, bytes) ((void)(bytes), quire_vfree(instance, block))

#include "vmap/patterns.inc.h"

static const char *quire_setup(const char *options)
{
	struct quire_options parsed = QUIRE_OPTIONS_INIT();
	char error[256];

	if (quire_options_parse(options, &parsed, error, sizeof(error)) != 0)
		return "quire_options_parse() was refused";
	return quire_create(&parsed, &instance) == 0 ? NULL : "quire_create() was refused";
}

static void *quire_page_alloc(unsigned order)
{
	return quire_alloc_pages(instance, order, 0);
}

static void quire_page_free(void *block, unsigned order)
{
	quire_free_pages(instance, block, order);
}

static void *quire_area_alloc(size_t bytes)
{
	return quire_vmalloc(instance, bytes, 0);
}

static void quire_area_free(void *block, size_t bytes)
{
	(void)bytes;
	quire_vfree(instance, block);
}

static void quire_ask_release(void)
{
	quire_release(instance);
}

static uint64_t quire_purges(void)
{
	struct quire_vmap_stat stat = QUIRE_VMAP_STAT_INIT;

	return quire_vmap_stat_read(instance, &stat) == 0 ? stat.purges : 0;
}

static uint64_t quire_flushes(void)
{
	struct quire_vmap_stat stat = QUIRE_VMAP_STAT_INIT;

	return quire_vmap_stat_read(instance, &stat) == 0 ? stat.flushes : 0;
}

const struct subject subject_quire = {
	.name = "quire",
	.setup = quire_setup,
	.order_max = QUIRE_ORDER_MAX,
	.page_patterns = PAGE_PATTERNS,
	.page_alloc = quire_page_alloc,
	.page_free = quire_page_free,
	.area_patterns = AREA_PATTERNS,
	.alloc = quire_area_alloc,
	.free = quire_area_free,
	.release = quire_ask_release,
	.purges = quire_purges,
	.flushes = quire_flushes,
};
