/* SPDX-License-Identifier: MIT */
/* json_vmap.c - a replay of areas, as JSON */
#include "replay/json_text.h"

static void put_stat(FILE *file, const struct object_stat *objects)
{
	const struct quire_vmap_stat *stat = &objects->vmap;
	const struct json_pair pairs[] = {
		{ "busy_areas", stat->busy_areas },
		{ "busy_bytes", stat->busy_bytes },
		{ "cached_areas", stat->cached_areas },
		{ "cached_bytes", stat->cached_bytes },
		{ "lazy_areas", stat->lazy_areas },
		{ "lazy_bytes", stat->lazy_bytes },
		{ "allocs", stat->allocs },
		{ "frees", stat->frees },
		{ "reused", stat->reused },
		{ "reused_without_system_call", outcome_served_without_call(stat) },
		{ "purges", stat->purges },
		{ "purged_areas", stat->purged_areas },
		{ "purged_ranges", stat->purged_ranges },
		{ "purged_bytes", stat->purged_bytes },
		{ "flushes", stat->flushes },
		{ "flushes_avoided", outcome_flushes_avoided(stat) },
		{ "free_ranges", stat->free_ranges },
		{ "free_bytes", stat->free_bytes },
		{ "largest_free_bytes", stat->largest_free_bytes },
		{ "guards_installed", stat->guards_installed },
		{ "metadata_bytes", stat->metadata_bytes },
	};

	json_put_pairs(file, pairs, PAIRS_NR(pairs));
}

static void put_kernel(FILE *file, const struct plan_kernel_vmap *kernel)
{
	const struct json_pair pairs[] = {
		{ "busy_areas", kernel->busy_areas },	  { "busy_bytes", kernel->busy_bytes },
		{ "lazy_areas", kernel->lazy_areas },	  { "lazy_bytes", kernel->lazy_bytes },
		{ "used_kB", kernel->used_kB },		  { "purges", kernel->purges },
		{ "purged_areas", kernel->purged_areas },
	};

	json_put_pairs(file, pairs, PAIRS_NR(pairs));
}

static void put_mark(FILE *file, const struct outcome *outcome, uint32_t index)
{
	const struct plan_mark *mark = &outcome->plan->marks[index];

	fprintf(file, "\"live_bytes\": %llu,\n          \"kernel\": ",
		(unsigned long long)mark->live_bytes);
	put_kernel(file, &mark->kernel.vmap);
	fprintf(file, ",\n          \"quire\": ");
	put_stat(file, &outcome->checked.marks[index].objects);
}

void json_put_vmap(FILE *file, const struct outcome *outcome)
{
	json_put_objects(file, outcome, put_stat, put_mark);
}
