/* SPDX-License-Identifier: MIT */
/* slab/stat.c - what a cache holds, and a text in the shape of /proc/slabinfo */
#include <quire/quire.h>
#include <quire/slab.h>

#include "base/check.h"
#include "base/sized.h"
#include "base/text.h"
#include "instance/instance.h"
#include "instance/worker.h"
#include "machine/atomic.h"
#include "machine/lock.h"
#include "slab/cache.h"
#include "slab/hardened.h"
#include "slab/meta.h"
#include "slab/objects.h"
#include "slab/sheaf.h"

static uint64_t difference(uint64_t a, uint64_t b)
{
	return a > b ? a - b : 0;
}

static void collect(struct slabs *s, unsigned class, struct quire_cache_stat *stat)
{
	const struct slab_class *c = &s->class[class];
	struct objects_count count;

	*stat = (struct quire_cache_stat){
		.struct_bytes = sizeof(*stat),
		.caches = load_relaxed(&c->caches_nr), /* a gauge */
		.slot_bytes = c->size,
		.slab_objects = c->per_slab,
		.slab_bytes = (uint64_t)1 << (c->order + s->page_shift),
		.cached = sheaves_count(s, class) + hardened_waiting(s, class),
	};
	objects_count(s, class, &count);
	stat->objects = count.objects;
	stat->slabs = count.slabs;
	stat->emptying_slabs = count.emptying;
	/* What is on its way between the two counts may be in both. */
	stat->used = difference(count.objects, count.free + stat->cached);
}

int quire_cache_stat_read(const struct quire_cache *cache, struct quire_cache_stat *stat)
{
	struct slabs *s = cache->slabs;
	struct quire *quiet = worker_exclude_begin(s->q);
	struct quire_cache_stat now;

	sheaf_take_deferred(s);
	collect(s, cache->class, &now);
	worker_exclude_end(quiet);
	return sized_fill(stat, &now, sizeof(now));
}

static void add_class(struct slabs *s, unsigned class, struct quire_slab_stat *sum)
{
	struct quire_cache_stat one;

	collect(s, class, &one);
	sum->classes += one.slabs != 0;
	sum->slabs += one.slabs;
	sum->slab_bytes += one.slabs * one.slab_bytes;
	sum->emptying_slabs += one.emptying_slabs;
	sum->objects += one.objects;
	sum->used += one.used;
	sum->used_bytes += one.used * one.slot_bytes;
	sum->cached += one.cached;
	sum->cached_bytes += one.cached * one.slot_bytes;
	if (s->class[class].per_slab > RECORD_BITS)
		sum->metadata_bytes += one.slabs * MAP_WORDS * sizeof(uint64_t);
	sum->free_bytes += difference(one.objects, one.used + one.cached) * one.slot_bytes;
}

static void collect_all(struct slabs *s, struct quire_slab_stat *sum)
{
	sheaf_take_deferred(s);
	mutex_acquire(&s->mutex); /* a class that ends may get another size */
	for (unsigned class = 1; class < CLASSES_MAX; class ++)
		if (s->ready[class])
			add_class(s, class, sum);
	mutex_release(&s->mutex);
	for (unsigned slot = 0; slot < s->lean->slots_open; slot++) {
		/* Hints: they are written under the slot's lock. */
		sum->refills += load_relaxed(&s->cpu[slot].refills);
		sum->spills += load_relaxed(&s->cpu[slot].spills);
	}
	sum->metadata_bytes += slabs_meta_bytes(s);
}

int quire_slab_stat_read(const struct quire *q, struct quire_slab_stat *stat)
{
	struct quire_slab_stat now = { .struct_bytes = sizeof(now) };
	struct quire *quiet = worker_exclude_begin(q);
	struct slabs *s = load_acquire(&quiet->slabs); /* pairs with slabs_get() */

	if (s != NULL && !q->dead)
		collect_all(s, &now);
	worker_exclude_end(quiet);
	return sized_fill(stat, &now, sizeof(now));
}

/* ---- text ---- */

static void put_number(struct text *text, uint64_t value)
{
	text_put(text, " ");
	text_put_u64_width(text, value, 6);
}

/* Sizes as Linux has them: of an object, not of a slot.  The tunables are what a sheaf keeps at most, and what it grows to by
 * refills alone. */
static void put_row(struct text *text, struct slabs *s, unsigned class, const char *name,
		    uint32_t size)
{
	const struct slab_class *c = &s->class[class];
	struct quire_cache_stat stat;

	collect(s, class, &stat);
	text_put_width(text, name, 17);
	put_number(text, stat.used);
	put_number(text, stat.objects);
	put_number(text, size);
	put_number(text, c->per_slab);
	put_number(text, stat.slab_bytes >> s->page_shift);
	text_put(text, " : tunables");
	put_number(text, c->sheaf_most);
	put_number(text, c->sheaf_first);
	put_number(text, stat.caches);
	text_put(text, " : slabdata");
	put_number(text, stat.slabs - stat.emptying_slabs);
	put_number(text, stat.slabs);
	put_number(text, stat.cached);
	text_put(text, "\n");
}

/* Classes without a cache are malloc's. */
static void put_rows_locked(struct text *text, struct slabs *s)
{
	uint64_t named[CLASS_WORDS] = { 0 };

	DCHECK(mutex_is_held(&s->mutex));
	for (uint32_t i = s->caches_head; i != POOL_NONE;) {
		const struct quire_cache *cache = pool_record(&s->caches, i);

		put_row(text, s, cache->class, cache->name, cache->size);
		named[cache->class / 64] |= (uint64_t)1 << cache->class % 64;
		i = cache->next;
	}
	for (unsigned class = 1; class < CLASSES_MAX; class ++) {
		char name[32];
		struct text label;

		if (!s->ready[class] || (named[class / 64] >> class % 64 & 1) != 0)
			continue;
		text_init(&label, name, sizeof(name));
		text_put(&label, "malloc-");
		text_put_u64(&label, s->class[class].size);
		put_row(text, s, class, name, s->class[class].size);
	}
}

size_t quire_text_slabinfo(const struct quire *q, char *buffer, size_t bytes)
{
	struct quire *quiet = worker_exclude_begin(q);
	struct slabs *s = load_acquire(&quiet->slabs); /* pairs with slabs_get() */
	struct text text;

	text_init(&text, buffer, bytes);
	text_put(&text, "slabinfo - version: 2.1\n"
			"# name            <active_objs> <num_objs> <objsize> <objperslab> "
			"<pagesperslab> : tunables <limit> <batchcount> <sharedfactor> : slabdata "
			"<active_slabs> <num_slabs> <sharedavail>\n");
	if (s != NULL && !q->dead) {
		mutex_acquire(&s->mutex);
		put_rows_locked(&text, s);
		mutex_release(&s->mutex);
	}
	worker_exclude_end(quiet);
	return text.bytes;
}
