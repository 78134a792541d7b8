/* SPDX-License-Identifier: MIT */
/* vmap/stat.c - statistics of areas, as numbers, as a walk, and as text */
#include <quire/vmap.h>

#include "base/check.h"
#include "base/errno.h"
#include "base/sized.h"
#include "base/text.h"
#include "instance/instance.h"
#include "instance/worker.h"
#include "machine/atomic.h"
#include "machine/lock.h"
#include "pool/pool.h"
#include "vmap/heads.h"
#include "vmap/layout.h"
#include "vmap/ram.h"
#include "vmap/range.h"
#include "vmap/stat.h"
#include "vmap/vmap.h"

/* ---- walking ---- */

/* Fills in the busy range at or after @page, as a walk shows it.  Returns the page from which to
 * continue, or 0 at the end. */
static uint32_t next_area(struct vmap *v, uint32_t page, struct quire_vmap_area *area)
{
	lock_token token = lock_acquire(&v->lock);
	uint32_t next = 0;

	area->addr = NULL;
	while (page < v->span_pages) {
		const struct range *r;

		page = heads_next_locked(v, page);
		if (page == RANGE_NONE)
			break;
		r = range_at(v, v->map[page]);
		next = page = range_end(r);
		if (range_state(r) != RANGE_BUSY)
			continue;
		*area = (struct quire_vmap_area){ .struct_bytes = sizeof(*area),
						  .addr = range_addr(v, r),
						  .bytes = (size_t)load_relaxed(&r->usable)
							   << v->page_shift,
						  .asked_bytes = load_relaxed(&r->asked_bytes),
						  .kind = r->kind };
		break;
	}
	lock_release(&v->lock, token);
	return next;
}

size_t quire_vmap_walk(const struct quire *q,
		       bool (*visit)(const struct quire_vmap_area *area, void *arg), void *arg)
{
	struct vmap *v = q->dead ? NULL : load_acquire(&q->vmap);
	uint32_t page = 0;
	size_t visited = 0;

	while (v != NULL) {
		struct quire_vmap_area area;

		page = next_area(v, page, &area);
		if (area.addr == NULL)
			break;
		visited++;
		if (!visit(&area, arg))
			break;
	}
	return visited;
}

/* ---- vmallocinfo ---- */

struct info {
	struct vmap *v;
	struct text text;
	bool first; /* only what there is room for */
};

static bool put_area(const struct quire_vmap_area *area, void *arg)
{
	static const char *const kinds[] = { "?", "vmalloc", "vmap", "vm_map_ram" };
	struct info *info = arg;
	size_t page = (size_t)1 << info->v->page_shift;
	size_t guard = info->v->guard_pages * page;

	text_put_hex(&info->text, (uintptr_t)area->addr);
	text_put(&info->text, "-");
	text_put_hex(&info->text, (uintptr_t)area->addr + area->bytes + guard);
	text_put_u64_width(&info->text, area->bytes + guard, 8);
	text_put(&info->text, " pages=");
	text_put_u64(&info->text, area->bytes / page);
	text_put(&info->text, " asked=");
	text_put_u64(&info->text, area->asked_bytes);
	text_put(&info->text, " ");
	text_put(&info->text, kinds[area->kind < 4 ? area->kind : 0]);
	text_put(&info->text, "\n");
	return !info->first || info->text.bytes < info->text.room_bytes;
}

static size_t put_areas(const struct quire *q, char *buffer, size_t bytes, bool first)
{
	struct info info = { .v = load_acquire(&q->vmap), .first = first };

	text_init(&info.text, buffer, bytes);
	quire_vmap_walk(q, put_area, &info);
	return info.text.bytes;
}

size_t quire_text_vmallocinfo(const struct quire *q, char *buffer, size_t bytes)
{
	return put_areas(q, buffer, bytes, false);
}

size_t vmap_text_first_areas(const struct quire *q, char *buffer, size_t bytes)
{
	return put_areas(q, buffer, bytes, true);
}

/* ---- numbers ---- */

/* Lazy ranges have counters of their own, since a purge may be holding some of them. */
static void count_range(const struct vmap *v, const struct range *r, struct quire_vmap_stat *stat)
{
	uint64_t bytes = (uint64_t)load_relaxed(&r->usable) << v->page_shift;

	switch (range_state(r)) {
	case RANGE_BUSY:
		stat->busy_areas++;
		stat->busy_bytes += bytes;
		break;
	case RANGE_CACHED:
	case RANGE_POOLED:
		stat->cached_areas++;
		stat->cached_bytes += bytes;
		break;
	default:
		break;
	}
}

static void count_ranges_locked(struct vmap *v, struct quire_vmap_stat *stat)
{
	CHECK(lock_is_held(&v->lock));
	stat->allocs = v->retired_uses;
	for (uint32_t page = 0; page < v->span_pages;) {
		const struct range *r;

		page = heads_next_locked(v, page);
		if (page == RANGE_NONE)
			break;
		r = range_at(v, v->map[page]);
		stat->allocs += load_relaxed(&r->uses);
		count_range(v, r, stat);
		page = range_end(r);
	}
	stat->free_bytes = v->free.pages << v->page_shift;
	stat->free_ranges = v->free.nr;
	if (v->free.root != RANGE_NONE)
		stat->largest_free_bytes = (uint64_t)range_at(v, v->free.root)->largest
					   << v->page_shift;
	stat->tree_allocs = v->tree_allocs;
	stat->tree_compares = v->tree_compares;
	stat->tree_operations = v->tree_operations;
}

static void count_work(struct vmap *v, struct quire_vmap_stat *stat)
{
	stat->lazy_areas = load_relaxed(&v->lazy_areas);
	stat->lazy_bytes = load_relaxed(&v->lazy_pages) << v->page_shift;
	stat->lazy_max_bytes = load_relaxed(&v->lazy_max_pages) << v->page_shift;
	stat->purges = load_relaxed(&v->purges);
	stat->purged_areas = load_relaxed(&v->purged_areas);
	stat->purged_ranges = load_relaxed(&v->purged_ranges);
	stat->purged_bytes = load_relaxed(&v->purged_pages) << v->page_shift;
	stat->flushes = load_relaxed(&v->flushes);
	stat->purge_waits = load_relaxed(&v->purge_waits);
	stat->refusals = load_relaxed(&v->refusals);
	stat->refusals_spurious = load_relaxed(&v->refusals_spurious);
	stat->areas_per_hold_max = load_relaxed(&v->areas_per_hold_max);
	stat->vmap_block_maps = load_relaxed(&v->block_maps);
	stat->guards_installed = load_relaxed(&v->guards_installed);
}

static void collect(struct vmap *v, struct quire_vmap_stat *stat)
{
	lock_token token;

	stat->span_bytes = v->span_bytes;
	worker_exclude_begin(v->q);
	token = lock_acquire(&v->lock);
	count_ranges_locked(v, stat);
	lock_release(&v->lock, token);
	stat->vmap_blocks = ram_blocks(v);
	count_work(v, stat);
	stat->frees = stat->allocs - stat->busy_areas;
	stat->reused = stat->allocs > stat->tree_allocs ? stat->allocs - stat->tree_allocs : 0;
	stat->metadata_bytes = pool_bytes(&v->pool) + sizeof(*v);
	worker_exclude_end(v->q);
}

int quire_vmap_stat_read(const struct quire *q, struct quire_vmap_stat *stat)
{
	struct quire_vmap_stat now = { .page_shift = q->page_shift };
	struct vmap *v = load_acquire(&q->vmap);

	if (q->dead)
		return -EOWNERDEAD;
	if (v != NULL)
		collect(v, &now);
	return sized_fill(stat, &now, sizeof(now));
}
