/* SPDX-License-Identifier: MIT */
/* page/stat.c - statistics of an instance, as numbers */
#include "page/stat.h"

#include <quire/page.h>

#include "base/errno.h"
#include "base/sized.h"
#include "machine/atomic.h"
#include "machine/lock.h"
#include "machine/mem.h"
#include "page/block.h"
#include "page/depot.h"
#include "page/instance.h"
#include "page/layout.h"
#include "page/module.h"
#include "page/nested.h"
#include "page/page.h"
#include "page/pcp.h"
#include "page/stacks.h"
#include "page/state.h"
#include "page/zone.h"

/* What was committed stays but for struct pages of offline blocks, where they fill system pages. */
static uint64_t zone_metadata_bytes(const struct quire *q, const struct zone *zone)
{
	uint64_t pages_bytes = (uint64_t)block_pages(q) * sizeof(struct page);
	uint64_t gone = pages_bytes % mem_page_bytes() == 0 ? zone->offline.nr : 0;

	return zone->blocks_touched * (sizeof(struct pageblock) + 1 + (uint64_t)block_pages(q)) +
	       (zone->blocks_touched - gone) * pages_bytes;
}

static void add_zone(struct quire *q, struct zone *zone, struct quire_page_stat *stat)
{
	lock_token token = lock_acquire(&zone->lock);

	stat->online_pages += zone->online_pages;
	stat->free_pages += zone->free_pages + zone->reporting_pages;
	stat->reported_pages += zone->zero_pages;
	stat->metadata_bytes += zone_metadata_bytes(q, zone);
	stat->zone_lock_acquisitions += zone->lock_acquisitions;
	stat->buddy_allocs += load_relaxed(&zone->buddy_allocs);
	stat->buddy_frees += zone->buddy_frees;
	stat->fallback_claims += zone->claims;
	stat->fallback_steals += zone->steals;
	stat->emptying_frees += zone->emptying_frees;
	stat->reports += zone->reports;
	stat->reported_total_pages += zone->reported_total;
	stat->reused_pages += zone->reused;
	lock_release(&zone->lock, token);
	stat->cached_pages += depot_pages(&zone->depot);
	stat->depot_moves += load_relaxed(&zone->depot.moved_entries);
}

/* Hints: a pcp's counters are written under its lock, which is not worth taking here. */
static void add_pcp(struct quire *q, const struct pcp *pcp, struct quire_page_stat *stat)
{
	if (!load_relaxed(&pcp->door.ready))
		return;
	stat->cached_pages += load_relaxed(&pcp->count) + pcp_stacks_pages(q, pcp);
	stat->list_allocs += load_relaxed(&pcp->list_allocs);
	stat->list_frees += load_relaxed(&pcp->list_frees);
	stat->refills += load_relaxed(&pcp->refills);
	stat->spills += load_relaxed(&pcp->spills);
}

/*
 * In a child of fork: runs that say CACHED but that nothing holds, since another thread of the
 * parent had just popped them or was about to push them.  The child's own threads may have some in
 * their hands too while they run.  Walks every state byte.
 */
static uint64_t lost_pages(struct quire *q, uint64_t held_pages)
{
	uint64_t cached = 0;

	for (unsigned i = 0; i < q->zones_nr; i++) {
		/* A hint: state bytes beyond it read zero. */
		uint32_t blocks = load_relaxed(&q->zone[i].blocks_touched);
		uint32_t first = block_frame(q, q->zone[i].block_first);

		for (uint32_t f = first; f < first + (blocks << q->block_order); f++) {
			unsigned state = load_relaxed(&q->state[f]);

			if ((state & STATE_KIND) == STATE_CACHED)
				cached += (uint64_t)1 << (state & STATE_ORDER);
		}
	}
	return cached > held_pages ? cached - held_pages : 0;
}

static void add_mappings(struct quire_page_stat *stat)
{
	struct mem_mappings_stat mappings;

	mem_mappings_read(&mappings);
	stat->mappings_max = mappings.max;
	for (unsigned i = 0; i < MAPPINGS_KINDS_NR; i++) {
		stat->mappings += mappings.used[i];
		stat->mappings_refused += mappings.refused[i];
	}
}

void page_stat_collect(struct quire *q, struct quire_page_stat *stat)
{
	uint64_t idle;

	*stat = (struct quire_page_stat){ .struct_bytes = sizeof(*stat),
					  .page_shift = q->page_shift,
					  .pageblock_order = q->block_order,
					  .zones_nr = q->zones_nr,
					  .limit_pages = q->limit_pages };
	for (unsigned i = 0; i < q->zones_nr; i++)
		add_zone(q, &q->zone[i], stat);
	for (size_t i = 0; i < (size_t)q->zones_nr * q->stacks.cpu.doors_nr; i++)
		add_pcp(q, &q->pcp[i], stat);
	stat->cached_pages += nested_pages(q);
	idle = stat->free_pages + stat->cached_pages;
	stat->allocated_pages = stat->online_pages > idle ? stat->online_pages - idle : 0;
	stat->drains = load_relaxed(&q->drains);
	stat->deferred_frees = load_relaxed(&q->deferred_total);
	stat->refusals = load_relaxed(&q->refusals);
}

int quire_page_stat_read(struct quire *q, struct quire_page_stat *stat)
{
	struct quire_page_stat now;

	if (q->dead)
		return -EOWNERDEAD;
	worker_still_begin(q);
	page_stat_collect(q, &now);
	add_mappings(&now);
	if (q->forked)
		now.fork_lost_pages = lost_pages(q, now.cached_pages);
	worker_still_end(q);
	return sized_fill(stat, &now, sizeof(now));
}
