/* SPDX-License-Identifier: MIT */
/* json_vmap.c - a replay of areas, as JSON */
#include "replay/json_text.h"

#define PAIRS_NR(pairs) (sizeof(pairs) / sizeof((pairs)[0]))

static void put_stat(FILE *file, const struct quire_vmap_stat *stat)
{
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

	fprintf(file, "        {");
	json_put_mark(file, mark);
	fprintf(file, "\"live_bytes\": %llu,\n          \"kernel\": ",
		(unsigned long long)mark->live_bytes);
	put_kernel(file, &mark->kernel.vmap);
	fprintf(file, ",\n          \"quire\": ");
	put_stat(file, &outcome->checked.marks[index].objects.vmap);
	fprintf(file, "}%s\n", index + 1 < outcome->plan->marks_nr ? "," : "");
}

void json_put_vmap(FILE *file, const struct outcome *outcome)
{
	static const char indent[] = "        ";

	fprintf(file, "      \"totals\": {\n");
	json_put_object_totals(file, indent, outcome->plan);
	fprintf(file, "%s\"quire\": ", indent);
	put_stat(file, &outcome->checked.objects.vmap);
	fprintf(file, ",\n");
	json_put_checked(file, indent, outcome);
	fprintf(file, "      },\n      \"marks\": [\n");
	for (uint32_t i = 0; i < outcome->plan->marks_nr; i++)
		put_mark(file, outcome, i);
	fprintf(file, "      ]");
}
