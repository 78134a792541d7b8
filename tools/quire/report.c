/* SPDX-License-Identifier: MIT */
/*
 * report.c - what a replay found, as a table for people
 *
 * Numbers are grouped by thousands and stand right-aligned under their headings; no line is longer
 * than 100 columns.
 */
#include "outcome.h"

#include <inttypes.h>
#include <string.h>

/* What a line may hold beside its indent of two, so that it fits into 100 columns. */
#define LINE_COLUMNS 97

struct number {
	char text[32];
};

/* 7 -> "7", 1234 -> "1,234", 1234567 -> "1,234,567". */
static struct number grouped(uint64_t value)
{
	char digits[24];
	int digits_nr = snprintf(digits, sizeof(digits), "%" PRIu64, value);
	struct number number = { .text = "" };
	size_t at = 0;

	for (int i = 0; i < digits_nr; i++) {
		if (i > 0 && (digits_nr - i) % 3 == 0)
			number.text[at++] = ',';
		number.text[at++] = digits[i];
	}
	return number;
}

/* 4096 -> "4.0 KiB". */
static struct number bytes_text(uint64_t bytes)
{
	static const char *const units[] = { "bytes", "KiB", "MiB", "GiB", "TiB" };
	struct number number;
	double value = (double)bytes;
	unsigned unit = 0;

	while (value >= 1024 && unit < 4) {
		value /= 1024;
		unit++;
	}
	snprintf(number.text, sizeof(number.text), unit == 0 ? "%.0f %s" : "%.1f %s", value,
		 units[unit]);
	return number;
}

static struct number percent_text(uint64_t part, uint64_t whole)
{
	struct number number;

	snprintf(number.text, sizeof(number.text), "%.2f %%",
		 whole > 0 ? 100.0 * (double)part / (double)whole : 0.0);
	return number;
}

/* ---- heading --------------------------------------------------------------------------------- */

/* Name and release: the rest of the kernel's line says how it was built. */
static int kernel_text_length(const char *kernel)
{
	size_t length = strcspn(kernel, "#");

	while (length > 0 && kernel[length - 1] == ' ')
		length--;
	return (int)length;
}

/* The text in lines of at most LINE_COLUMNS, broken at spaces and indented. */
static void print_wrapped(FILE *file, const char *text)
{
	while (*text != '\0') {
		size_t length = strnlen(text, LINE_COLUMNS - 1);
		size_t whole = length;

		while (text[length] != '\0' && whole > 0 && text[whole] != ' ')
			whole--;
		if (whole > 0)
			length = whole;
		fprintf(file, "  %.*s\n", (int)length, text);
		text += length;
		text += strspn(text, " ");
	}
}

static void print_heading(const struct outcome *outcome, FILE *file)
{
	const struct plan *plan = outcome->plan;

	fprintf(file, "%s\n", plan->name);
	print_wrapped(file, plan->workload);
	fprintf(file, "\n  Recorded  on %.*s, %u CPUs, %.1f s\n", kernel_text_length(plan->kernel),
		plan->kernel, plan->cpus_nr, plan->seconds);
	if (outcome->threads)
		fprintf(file,
			"  Replayed  by one pinned thread a recorded CPU, by the public calls\n");
	else
		fprintf(file,
			"  Replayed  by one thread that acts for each CPU, in recorded order\n");
}

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
		fprintf(file, "%13s", grouped(by_type[type]).text);
	fprintf(file, "%13s\n", grouped(sum_of(by_type)).text);
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
			 bytes_text((uint64_t)1 << (order + plan->page_shift)).text);
		print_allocation_row(file, label, by_type);
		for (unsigned type = 0; type < OCCUPANCY_TYPES_NR; type++)
			all[type] += by_type[type];
	}
	print_allocation_row(file, "all orders", all);
	fprintf(file, "    Live pages: at most %s (%s), %s (%s) at the end; %s splits\n",
		grouped(plan->totals.live_pages_peak).text,
		bytes_text(plan->totals.live_pages_peak << plan->page_shift).text,
		grouped(plan->totals.live_pages).text,
		bytes_text(plan->totals.live_pages << plan->page_shift).text,
		grouped(plan->totals.splits_nr).text);
}

/* ---- marks ----------------------------------------------------------------------------------- */

static void print_occupancy(const struct outcome *outcome, FILE *file, const char *mark,
			    const char *who, const struct occupancy_summary *summary)
{
	uint64_t best = outcome_blocks_at_best(outcome, summary->live_pages);

	fprintf(file, "    %-15.15s %-7s%10s%9s%9s", mark, who, grouped(summary->live_pages).text,
		grouped(best).text, grouped(summary->blocks_pinned).text);
	for (unsigned type = 0; type < OCCUPANCY_TYPES_NR; type++)
		fprintf(file, "%11s", grouped(summary->blocks_of_type[type]).text);
	fprintf(file, "%9s\n", grouped(summary->blocks_mixed).text);
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
	fprintf(file, "    %-20s%13s%13s%13s%13s\n", label, grouped(served.total).text,
		percent_text(served.stacks, served.total).text,
		percent_text(served.lists, served.total).text,
		percent_text(served.buddy, served.total).text);
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
		grouped(stat->zone_lock_acquisitions).text, outcome_zone_locks_per_1000(outcome));
	fprintf(file, "  Drains     %s\n", grouped(stat->drains).text);
	fprintf(file,
		"  Time       %.1f ns per operation: the allocator's calls alone, nothing filled\n",
		outcome->ns_per_operation);
	fprintf(file,
		"             (median of %u passes; %.1f ns of the replay's own loop taken off)\n",
		outcome->timing_passes, outcome->loop_ns_per_operation);
}

void report_print(const struct outcome *outcome, FILE *file)
{
	print_heading(outcome, file);
	print_allocations(outcome, file);
	print_marks(outcome, file);
	print_service(outcome, file);
	fprintf(file,
		"\n  Checked: %s blocks, %s, each filled with its own pattern: all intact when "
		"freed.\n",
		grouped(outcome->checked.blocks_checked).text,
		bytes_text(outcome->checked.bytes_checked).text);
}
