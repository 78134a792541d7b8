/* SPDX-License-Identifier: MIT */
#include "replay/outcome.h"

/* Calls served by a stack are not counted, since a counter would cost more than the pop: they are
 * the rest. */
static struct served served_of(uint64_t total, uint64_t lists, uint64_t buddy)
{
	struct served served = { .total = total, .lists = lists, .buddy = buddy };

	if (lists + buddy < total)
		served.stacks = total - lists - buddy;
	return served;
}

struct served outcome_served_allocs(const struct outcome *outcome)
{
	const struct quire_page_stat *stat = &outcome->checked.stat;

	return served_of(outcome->plan->totals.allocs_nr, stat->list_allocs, stat->buddy_allocs);
}

struct served outcome_served_frees(const struct outcome *outcome)
{
	const struct quire_page_stat *stat = &outcome->checked.stat;

	return served_of(outcome->plan->totals.frees_nr, stat->list_frees, stat->buddy_frees);
}

double outcome_zone_locks_per_1000(const struct outcome *outcome)
{
	return 1000.0 * (double)outcome->checked.stat.zone_lock_acquisitions /
	       (double)plan_operations(outcome->plan);
}

uint64_t outcome_blocks_at_best(const struct outcome *outcome, uint64_t pages)
{
	uint64_t block_pages = (uint64_t)1 << (21 - outcome->plan->page_shift);

	return (pages + block_pages - 1) / block_pages;
}

uint64_t outcome_flushes_avoided(const struct quire_vmap_stat *stat)
{
	return stat->frees > stat->flushes ? stat->frees - stat->flushes : 0;
}

uint64_t outcome_live_kB(const struct plan *plan, const struct plan_mark *mark)
{
	return mark->live_bytes * plan->cpus_nr / 1024;
}

/* 2.07 MiB a chunk, as recorded: 2,101,248 bytes of pointers and about 75 KiB. */
uint64_t outcome_kernel_metadata_kB(const struct plan_kernel_percpu *kernel)
{
	return kernel->chunks * (2101248 / 1024 + 75);
}

void outcome_fini(struct outcome *outcome)
{
	engine_result_fini(&outcome->checked);
	engine_result_fini(&outcome->kept);
}

uint64_t outcome_served_without_call(const struct quire_vmap_stat *stat)
{
	uint64_t installed = stat->guards_installed;

	return installed < stat->allocs - stat->reused ? stat->reused
	       : installed < stat->allocs	       ? stat->allocs - installed
						       : 0;
}
