/* SPDX-License-Identifier: MIT */
/* large_quire.c - the patterns on areas, as a program would call */
#include <quire/vmap.h>
#include "vmap/large.h"

static struct quire *instance;

#define LARGE_ALLOC(bytes)	 quire_vmalloc(instance, bytes, 0)
#define LARGE_FREE(block, bytes) ((void)(bytes), quire_vfree(instance, block))

#include "vmap/large_patterns.inc.h"

/* @options as in QUIRE_CONF. */
static const char *large_quire_setup(const char *options)
{
	struct quire_options parsed = { .limit_bytes = 0 };
	char error[256];

	if (quire_options_parse(options, &parsed, error, sizeof(error)) != 0)
		return "quire_options_parse() was refused";
	return quire_create(&parsed, &instance) == 0 ? NULL : "quire_create() was refused";
}

static void *large_quire_alloc(size_t bytes)
{
	return quire_vmalloc(instance, bytes, 0);
}

static void large_quire_free(void *block, size_t bytes)
{
	(void)bytes;
	quire_vfree(instance, block);
}

static void large_quire_release(void)
{
	quire_release(instance);
}

static uint64_t large_quire_purges(void)
{
	struct quire_vmap_stat stat = { .version = QUIRE_VMAP_STAT_VERSION };

	return quire_vmap_stat_read(instance, &stat) == 0 ? stat.purges : 0;
}

static uint64_t large_quire_flushes(void)
{
	struct quire_vmap_stat stat = { .version = QUIRE_VMAP_STAT_VERSION };

	return quire_vmap_stat_read(instance, &stat) == 0 ? stat.flushes : 0;
}

const struct large_subject large_quire = {
	.name = "quire",
	.setup = large_quire_setup,
	.patterns = LARGE_PATTERNS,
	.alloc = large_quire_alloc,
	.free = large_quire_free,
	.release = large_quire_release,
	.purges = large_quire_purges,
	.flushes = large_quire_flushes,
};
