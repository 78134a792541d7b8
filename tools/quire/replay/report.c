/* SPDX-License-Identifier: MIT */
/*
 * report.c - the result of a replay as a table for people
 *
 * Numbers are grouped by thousands and right-aligned under their headings; no line is longer than
 * 100 columns.
 */
#include "replay/report_text.h"

#include <inttypes.h>
#include <string.h>

/* The columns of a line after its indent of two, so that it fits into 100 columns. */
#define LINE_COLUMNS 97

struct number number_grouped(uint64_t value)
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

struct number number_bytes(uint64_t bytes)
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

struct number number_percent(uint64_t part, uint64_t whole)
{
	struct number number;

	snprintf(number.text, sizeof(number.text), "%.2f %%",
		 whole > 0 ? 100.0 * (double)part / (double)whole : 0.0);
	return number;
}

struct number number_mib(uint64_t bytes)
{
	struct number number;

	snprintf(number.text, sizeof(number.text), "%.1f", (double)bytes / (1 << 20));
	return number;
}

struct number number_ratio(uint64_t part, uint64_t whole)
{
	struct number number = { .text = "-" };

	if (whole > 0)
		snprintf(number.text, sizeof(number.text), "%.1f", (double)part / (double)whole);
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

void report_heading(const struct outcome *outcome, FILE *file)
{
	const struct plan *plan = outcome->plan;

	fprintf(file, "%s\n", plan->name);
	print_wrapped(file, plan->workload);
	fprintf(file, "\n  Recorded  on %.*s, %u CPUs, %.1f s\n", kernel_text_length(plan->kernel),
		plan->kernel, plan->cpus_nr, plan->seconds);
	if (plan->lost_nr > 0)
		fprintf(file, "  Lost      %s events while it was recorded: it has gaps\n",
			number_grouped(plan->lost_nr).text);
	if (strcmp(plan->workload, "program") == 0 && plan->kind != KATR_SLAB)
		fprintf(file, "  Recorded  of a program: the kernel's figures are not in it, and 0 "
			      "below\n");
	if (outcome->threads)
		fprintf(file,
			"  Replayed  by one pinned thread a recorded CPU, by the public calls\n");
	else if (plan->kind == KATR_PAGE)
		fprintf(file,
			"  Replayed  by one thread that acts for each CPU, in recorded order\n");
	else
		fprintf(file,
			"  Replayed  by one thread for all CPUs, in recorded order and by the "
			"recorded clock\n");
}

/* ---- objects --------------------------------------------------------------------------------- */

void report_sizes(const struct outcome *outcome, FILE *file, const char *what)
{
	const struct plan_totals *totals = &outcome->plan->totals;

	fprintf(file, "\n  %-28s%13s\n", what, "allocations");
	for (unsigned i = 0; i < PLAN_SIZES_NR; i += 2) {
		uint64_t nr = totals->sizes[i] + (i > 0 ? totals->sizes[i - 1] : 0);

		if (nr > 0)
			fprintf(file, "    up to %10s%23s\n", number_bytes((uint64_t)1 << i).text,
				number_grouped(nr).text);
	}
	fprintf(file, "    %-26s%13s\n", "all sizes", number_grouped(totals->allocs_nr).text);
	fprintf(file, "    Live: at most %s (%s), %s (%s) at the end\n",
		number_grouped(totals->live_blocks_peak).text,
		number_bytes(totals->live_bytes_peak).text,
		number_grouped(totals->live_blocks).text, number_bytes(totals->live_bytes).text);
}

/* ---- the last lines -------------------------------------------------------------------------- */

void report_time(const struct outcome *outcome, FILE *file)
{
	fprintf(file,
		"  Time       %.1f ns per operation: the allocator's calls alone, nothing filled\n",
		outcome->ns_per_operation);
	fprintf(file,
		"             (median of %u passes; %.1f ns of the replay's own loop taken off)\n",
		outcome->timing_passes, outcome->loop_ns_per_operation);
}

void report_checked(const struct outcome *outcome, FILE *file)
{
	if (outcome->checked.blocks_checked == 0) {
		fprintf(file, "\n  Checked: no block's content; nothing was filled.\n");
		return;
	}
	fprintf(file,
		"\n  Checked: %s blocks, %s, each filled with its own pattern: all intact when "
		"freed.\n",
		number_grouped(outcome->checked.blocks_checked).text,
		number_bytes(outcome->checked.bytes_checked).text);
}

void report_print(const struct outcome *outcome, FILE *file)
{
	report_heading(outcome, file);
	if (outcome->plan->kind == KATR_PAGE)
		report_pages(outcome, file);
	else if (outcome->plan->kind == KATR_VMAP)
		report_vmap(outcome, file);
	else if (outcome->plan->kind == KATR_SLAB)
		report_slab(outcome, file);
	else
		report_percpu(outcome, file);
}
