/* SPDX-License-Identifier: MIT */
/* vmap/options.c - the options of areas */
#include "instance/options.h"

#include "instance/instance.h"
#include "vmap/kind.h"
#include "vmap/vmap.h"

/* Least: one pageblock.  Most: page numbers of an area fit into 32 bits. */
#define SPAN_BYTES_MIN ((uint64_t)2 << 20)
#define SPAN_BYTES_MAX OPTION_BYTES_MAX

static const char *const guard_words[] = { "on", "off", "freed", NULL };
static const uint32_t guard_numbers[] = { QUIRE_GUARD_ON, QUIRE_GUARD_OFF, QUIRE_GUARD_FREED };
static const char *const purge_words[] = { "splice", "counter", "lock", NULL };

/* A program may have compiled one enum's constant into the other's field. */
_Static_assert(QUIRE_GUARD_ON == (int)QUIRE_ON && QUIRE_GUARD_OFF == (int)QUIRE_OFF &&
		       QUIRE_GUARD_FREED > (int)QUIRE_AUTO,
	       "of the numbers of guard and thp, only those of the same meaning are the same");
_Static_assert(QUIRE_PURGE_LOCK == 3, "purge_words is in this order");

static const struct option_key keys[] = {
	{ .name = "vmap_span",
	  .kind = OPTION_SIZE,
	  .offset = OPTION_FIELD(vmap_span_bytes),
	  .min = SPAN_BYTES_MIN,
	  .max = SPAN_BYTES_MAX,
	  .takes = "a size from 2m to below 16t",
	  .by_default = "4 times the limit",
	  .does = "addresses for areas" },
	{ .name = "lazy_max",
	  .kind = OPTION_SIZE,
	  .offset = OPTION_FIELD(lazy_max_bytes),
	  .min = 4096,
	  .max = SPAN_BYTES_MAX,
	  .takes = "a size from 4k to below 16t",
	  .by_default = "32m x (log2(CPUs) + 1)",
	  .does = "freed areas kept before a purge is due" },
	{ .name = "guard",
	  .kind = OPTION_WORD,
	  .offset = OPTION_FIELD(guard),
	  .words = guard_words,
	  .numbers = guard_numbers,
	  .takes = "on, off or freed",
	  .by_default = "on",
	  .does = "an inaccessible page after every area; freed: freed areas are inaccessible "
		  "too" },
	{ .name = "purge",
	  .kind = OPTION_WORD,
	  .offset = OPTION_FIELD(purge),
	  .words = purge_words,
	  .takes = "splice, counter or lock",
	  .by_default = "splice",
	  .does = "how concurrent purges are serialized; the last two exist for comparison" },
};

static void used(const struct quire *q, struct options_used *used)
{
	const struct quire_options *given = &q->options;
	struct quire_options *options = &used->options;

	options->vmap_span_bytes = vmap_span_bytes(q);
	options->lazy_max_bytes = vmap_lazy_bytes(q);
	options->guard = given->guard != QUIRE_GUARD_DEFAULT ? given->guard : QUIRE_GUARD_ON;
	options->purge = given->purge != QUIRE_PURGE_DEFAULT ? given->purge : QUIRE_PURGE_SPLICE;
}

static const struct option_table table = {
	.keys = keys,
	.keys_nr = sizeof(keys) / sizeof(keys[0]),
	.used = used,
};

const struct module_kind vmap_kind = { .options = &table };
