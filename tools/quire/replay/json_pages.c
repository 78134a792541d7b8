/* SPDX-License-Identifier: MIT */
/* json_pages.c - a replay of pages, as JSON */
#include "replay/json_text.h"

#include <inttypes.h>

static const char *const type_keys[OCCUPANCY_TYPES_NR] = { "unmovable", "movable", "reclaimable" };

/* ---- totals ---------------------------------------------------------------------------------- */

static void put_allocs(FILE *file, const struct plan *plan)
{
	fprintf(file, "        \"allocs_by_order_and_type\": [\n");
	for (unsigned order = 0; order < PLAN_ORDERS_NR; order++) {
		fprintf(file, "          {\"order\": %u", order);
		for (unsigned type = 0; type < OCCUPANCY_TYPES_NR; type++)
			fprintf(file, ", \"%s\": %" PRIu64, type_keys[type],
				plan->totals.allocs[order][type]);
		fprintf(file, "}%s\n", order + 1 < PLAN_ORDERS_NR ? "," : "");
	}
	fprintf(file, "        ],\n");
}

static void put_served(FILE *file, const char *key, struct served served)
{
	fprintf(file,
		"        \"%s\": {\"total\": %" PRIu64 ", \"stacks\": %" PRIu64
		", \"lists\": %" PRIu64 ", \"buddy\": %" PRIu64 "},\n",
		key, served.total, served.stacks, served.lists, served.buddy);
}

static void put_stat(FILE *file, const struct quire_page_stat *stat)
{
	static const char indent[] = "        ";

	json_put_u64(file, indent, "zone_lock_acquisitions", stat->zone_lock_acquisitions);
	json_put_u64(file, indent, "drains", stat->drains);
	json_put_u64(file, indent, "refills", stat->refills);
	json_put_u64(file, indent, "spills", stat->spills);
	json_put_u64(file, indent, "depot_moves", stat->depot_moves);
	json_put_u64(file, indent, "fallback_claims", stat->fallback_claims);
	json_put_u64(file, indent, "fallback_steals", stat->fallback_steals);
	json_put_u64(file, indent, "emptying_frees", stat->emptying_frees);
	json_put_u64(file, indent, "metadata_bytes", stat->metadata_bytes);
}

static void put_totals(FILE *file, const struct outcome *outcome)
{
	const struct plan_totals *totals = &outcome->plan->totals;
	static const char indent[] = "        ";

	fprintf(file, "      \"totals\": {\n");
	json_put_u64(file, indent, "records", totals->records_nr);
	json_put_u64(file, indent, "ids", totals->ids_nr);
	json_put_u64(file, indent, "operations", plan_operations(outcome->plan));
	json_put_u64(file, indent, "allocs", totals->allocs_nr);
	json_put_u64(file, indent, "frees", totals->frees_nr);
	json_put_u64(file, indent, "frees_batched", totals->frees_batched_nr);
	json_put_u64(file, indent, "splits", totals->splits_nr);
	json_put_u64(file, indent, "kernel_fails", totals->fails_nr);
	put_allocs(file, outcome->plan);
	json_put_u64(file, indent, "peak_pages", totals->live_pages_peak);
	json_put_u64(file, indent, "final_pages", totals->live_pages);
	json_put_u64(file, indent, "peak_blocks", totals->live_blocks_peak);
	json_put_u64(file, indent, "final_blocks", totals->live_blocks);
	put_served(file, "served_allocs", outcome_served_allocs(outcome));
	put_served(file, "served_frees", outcome_served_frees(outcome));
	put_stat(file, &outcome->checked.stat);
	fprintf(file, "        \"zone_locks_per_1000_operations\": %.4f,\n",
		outcome_zone_locks_per_1000(outcome));
	json_put_checked(file, indent, outcome);
	fprintf(file, "      },\n");
}

/* ---- marks ----------------------------------------------------------------------------------- */

static void put_side(FILE *file, const char *side, const struct occupancy_summary *summary,
		     uint64_t free_pages, uint64_t cached_pages)
{
	fprintf(file, "          \"%s\": {\"live_pages\": %" PRIu64 ", \"blocks_pinned\": %" PRIu64,
		side, summary->live_pages, summary->blocks_pinned);
	for (unsigned type = 0; type < OCCUPANCY_TYPES_NR; type++)
		fprintf(file, ", \"blocks_%s\": %" PRIu64, type_keys[type],
			summary->blocks_of_type[type]);
	fprintf(file,
		", \"blocks_mixed\": %" PRIu64 ", \"free_pages\": %" PRIu64
		", \"cached_pages\": %" PRIu64 "}",
		summary->blocks_mixed, free_pages, cached_pages);
}

static void put_mark(FILE *file, const struct outcome *outcome, uint32_t index)
{
	const struct plan_mark *mark = &outcome->plan->marks[index];
	const struct engine_mark *measured = &outcome->checked.marks[index];

	fprintf(file, "\"blocks_at_best\": %" PRIu64 ",\n",
		outcome_blocks_at_best(outcome, mark->kernel.occupancy.live_pages));
	put_side(file, "kernel", &mark->kernel.occupancy, mark->kernel.free_pages,
		 mark->kernel.cached_pages);
	fprintf(file, ",\n");
	put_side(file, "quire", &measured->occupancy, measured->stat.free_pages,
		 measured->stat.cached_pages);
}

void json_put_pages(FILE *file, const struct outcome *outcome)
{
	put_totals(file, outcome);
	json_put_marks(file, outcome, put_mark);
}
