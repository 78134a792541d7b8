/* SPDX-License-Identifier: MIT */
/* page/stat.c - statistics of an instance, as numbers */
#include "page/stat.h"

#include <quire/page.h>

#include "base/errno.h"
#include "base/sized.h"
#include "instance/worker.h"
#include "machine/atomic.h"
#include "machine/lock.h"
#include "machine/mem.h"
#include "page/block.h"
#include "page/count.h"
#include "page/depot.h"
#include "page/free.h"
#include "page/layout.h"
#include "page/limit.h"
#include "page/nested.h"
#include "page/page.h"
#include "page/pages.h"
#include "page/pcp.h"
#include "page/stacks.h"
#include "page/state.h"
#include "page/zone.h"

/* What was committed stays but for struct pages of offline blocks, where they fill system pages. */
static uint64_t zone_metadata_bytes(const struct pages *p, const struct zone *zone)
{
	uint64_t pages_bytes = (uint64_t)block_pages(p) * sizeof(struct page);
	uint64_t gone = pages_bytes % mem_page_bytes() == 0 ? zone->offline.nr : 0;

	return zone->blocks_touched * (sizeof(struct pageblock) + 1 + (uint64_t)block_pages(p)) +
	       (zone->blocks_touched - gone) * pages_bytes;
}

static void add_zone(struct pages *p, struct zone *zone, struct quire_page_stat *stat)
{
	lock_token token = lock_acquire(&zone->lock);

	stat->online_pages += zone->online_pages;
	stat->free_pages += zone->free_pages + zone->reporting_pages;
	stat->reported_pages += zone->zero_pages;
	stat->metadata_bytes += zone_metadata_bytes(p, zone);
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
static void add_pcp(struct pages *p, const struct pcp *pcp, struct quire_page_stat *stat)
{
	if (!load_relaxed(&pcp->door.ready))
		return;
	stat->cached_pages += load_relaxed(&pcp->count) + pcp_stacks_pages(p, pcp);
	stat->list_allocs += load_relaxed(&pcp->list_allocs);
	stat->list_frees += load_relaxed(&pcp->list_frees);
	stat->refills += load_relaxed(&pcp->refills);
	stat->spills += load_relaxed(&pcp->spills);
}

/* What takes a walk.  In a child of fork, runs that say CACHED or DEFERRED but that nothing holds were in the hands of another
 * thread of the parent, which had just popped them or was about to push them; the child's own threads may have some, too,
 * while they run. */
static void add_states(struct pages *p, struct quire_page_stat *stat)
{
	struct page_count count;

	page_count_states(p, &count);
	stat->allocated_pages = count.allocated;
	stat->deferred_pages = count.deferred;
	stat->sparse_blocks = count.sparse_blocks;
	stat->sparse_used_pages = count.sparse_used;
	stat->sparse_rest_pages = count.sparse_rest;
	stat->pinned_pages = count.pinned;
	if (!p->q.forked)
		return;
	stat->deferred_pages = 0;
	stat->fork_lost_pages = count.deferred;
	if (count.cached > stat->cached_pages)
		stat->fork_lost_pages += count.cached - stat->cached_pages;
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

void page_stat_collect(struct pages *p, struct quire_page_stat *stat)
{
	uint64_t idle;

	*stat = (struct quire_page_stat){ .struct_bytes = sizeof(*stat),
					  .page_shift = p->page_shift,
					  .pageblock_order = p->pageblock_order,
					  .zones_nr = p->zones_nr,
					  .limit_pages = load_relaxed(&p->q.limit_pages) };
	for (unsigned i = 0; i < p->zones_nr; i++)
		add_zone(p, &p->zone[i], stat);
	for (size_t i = 0; i < (size_t)p->zones_nr * p->stacks.cpu.all_slots_nr; i++)
		add_pcp(p, &p->pcp[i], stat);
	stat->cached_pages += nested_pages(p);
	idle = stat->free_pages + stat->cached_pages;
	stat->allocated_pages = stat->online_pages > idle ? stat->online_pages - idle : 0;
	stat->drains = load_relaxed(&p->drains);
	stat->deferred_frees = load_relaxed(&p->deferred_total);
	stat->refusals = load_relaxed(&p->refusals);
}

int quire_page_stat_read(const struct quire *q, struct quire_page_stat *stat)
{
	struct pages *p;
	struct quire_page_stat now;

	if (q->dead)
		return -EOWNERDEAD;
	p = pages_of(worker_exclude_begin(q));
	limit_learn(p);
	if (p->q.forked) /* what is still deferred then is on no list */
		page_take_deferred(p);
	page_stat_collect(p, &now);
	add_mappings(&now);
	add_states(p, &now);
	worker_exclude_end(&p->q);
	return sized_fill(stat, &now, sizeof(now));
}
