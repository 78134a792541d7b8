/* SPDX-License-Identifier: MIT */
/* report_pages.c - the table of a replay of pages */
#include "replay/report_text.h"

/* ---- allocations ----------------------------------------------------------------------------- */

static uint64_t sum_of(const uint64_t *values)
{
	uint64_t sum = 0;

	for (unsigned type = 0; type < OCCUPANCY_TYPES_NR; type++)
		sum += values[type];
	return sum;
}

static void print_allocation_row(FILE *file, const char *label, const uint64_t *by_type)
{
	fprintf(file, "    %-26s", label);
	for (unsigned type = 0; type < OCCUPANCY_TYPES_NR; type++)
		fprintf(file, "%13s", number_grouped(by_type[type]).text);
	fprintf(file, "%13s\n", number_grouped(sum_of(by_type)).text);
}

static void print_allocations(const struct outcome *outcome, FILE *file)
{
	const struct plan *plan = outcome->plan;
	uint64_t all[OCCUPANCY_TYPES_NR] = { 0 };
	char label[48];

	fprintf(file, "\n  %-28s%13s%13s%13s%13s\n", "Allocations", "unmovable", "movable",
		"reclaimable", "all");
	for (unsigned order = 0; order < PLAN_ORDERS_NR; order++) {
		const uint64_t *by_type = plan->totals.allocs[order];

		if (sum_of(by_type) == 0)
			continue;
		snprintf(label, sizeof(label), "order %-2u  %10s", order,
			 number_bytes((uint64_t)1 << (order + plan->page_shift)).text);
		print_allocation_row(file, label, by_type);
		for (unsigned type = 0; type < OCCUPANCY_TYPES_NR; type++)
			all[type] += by_type[type];
	}
	print_allocation_row(file, "all orders", all);
	fprintf(file, "    Live pages: at most %s (%s), %s (%s) at the end; %s splits\n",
		number_grouped(plan->totals.live_pages_peak).text,
		number_bytes(plan->totals.live_pages_peak << plan->page_shift).text,
		number_grouped(plan->totals.live_pages).text,
		number_bytes(plan->totals.live_pages << plan->page_shift).text,
		number_grouped(plan->totals.splits_nr).text);
}

/* ---- marks ----------------------------------------------------------------------------------- */

static void print_occupancy(const struct outcome *outcome, FILE *file, const char *mark,
			    const char *who, const struct occupancy_summary *summary)
{
	uint64_t best = outcome_blocks_at_best(outcome, summary->live_pages);

	fprintf(file, "    %-15.15s %-7s%10s%9s%9s", mark, who,
		number_grouped(summary->live_pages).text, number_grouped(best).text,
		number_grouped(summary->blocks_pinned).text);
	for (unsigned type = 0; type < OCCUPANCY_TYPES_NR; type++)
		fprintf(file, "%11s", number_grouped(summary->blocks_of_type[type]).text);
	fprintf(file, "%9s\n", number_grouped(summary->blocks_mixed).text);
}

static void print_marks(const struct outcome *outcome, FILE *file)
{
	const struct plan *plan = outcome->plan;

	fprintf(file, "\n  %-25s%10s%9s   2 MiB blocks that hold live pages, by type:\n",
		"At each mark", "live", "blocks");
	fprintf(file, "  %-25s%10s%9s%9s%11s%11s%11s%9s\n", "", "pages", "at best", "in all",
		"unmovable", "movable", "reclaim.", "mixed");
	for (uint32_t i = 0; i < plan->marks_nr; i++) {
		print_occupancy(outcome, file, plan->marks[i].name, "kernel",
				&plan->marks[i].kernel.occupancy);
		print_occupancy(outcome, file, "", "Quire", &outcome->checked.marks[i].occupancy);
	}
}

/* ---- how it was served ----------------------------------------------------------------------- */

static void print_served(FILE *file, const char *label, struct served served)
{
	fprintf(file, "    %-20s%13s%13s%13s%13s\n", label, number_grouped(served.total).text,
		number_percent(served.stacks, served.total).text,
		number_percent(served.lists, served.total).text,
		number_percent(served.buddy, served.total).text);
}

static void print_service(const struct outcome *outcome, FILE *file)
{
	const struct quire_page_stat *stat = &outcome->checked.stat;

	fprintf(file, "\n  %-22s%13s%13s%13s%13s\n", "Served by", "calls", "stacks", "lists",
		"buddy");
	print_served(file, "allocations", outcome_served_allocs(outcome));
	print_served(file, "frees", outcome_served_frees(outcome));
	if (!outcome->threads)
		fprintf(file, "    (stacks belong to running CPUs: they serve with --threads)\n");
	fprintf(file, "\n  Zone lock  taken %s times: %.2f per 1,000 operations\n",
		number_grouped(stat->zone_lock_acquisitions).text,
		outcome_zone_locks_per_1000(outcome));
	fprintf(file, "  Drains     %s\n", number_grouped(stat->drains).text);
	report_time(outcome, file);
}

void report_pages(const struct outcome *outcome, FILE *file)
{
	print_allocations(outcome, file);
	print_marks(outcome, file);
	print_service(outcome, file);
	report_checked(outcome, file);
}
