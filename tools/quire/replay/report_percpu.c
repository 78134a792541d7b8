/* SPDX-License-Identifier: MIT */
/* report_percpu.c - the table of a replay of per-CPU objects */
#include "replay/report_text.h"

#include <inttypes.h>

static const struct quire_percpu_stat *stat_at(const struct engine_result *result, uint32_t mark)
{
	return &result->marks[mark].objects.percpu;
}

/* ---- the headline ---------------------------------------------------------------------------- */

static void print_populated(const struct outcome *outcome, FILE *file, uint32_t index)
{
	const struct plan_mark *mark = &outcome->plan->marks[index];
	const struct plan_kernel_percpu *kernel = &mark->kernel.percpu;
	const struct quire_percpu_stat *stat = stat_at(&outcome->checked, index);

	fprintf(file, "    %-17.17s%9s%9s%9s%11s", mark->name,
		number_grouped(outcome_live_kB(outcome->plan, mark)).text,
		number_grouped(kernel->populated_kB).text, number_grouped(stat->populated_kB).text,
		number_percent(stat->populated_kB, kernel->populated_kB).text);
	if (outcome->has_kept)
		fprintf(file, "%9s",
			number_grouped(stat_at(&outcome->kept, index)->populated_kB).text);
	else
		fprintf(file, "%9s", "-");
	fprintf(file, "%10s%9s%9s\n", number_grouped(outcome_kernel_metadata_kB(kernel)).text,
		number_grouped(stat->metadata_bytes / 1024).text,
		number_percent(stat->metadata_bytes / 1024, stat->populated_kB).text);
}

static void print_headline(const struct outcome *outcome, FILE *file)
{
	fprintf(file, "\n  %-19s%9s%9s%9s%11s%9s%10s%9s%9s\n", "Populated, kB", "live", "kernel",
		"Quire", "of the", "without", "metadata", "Quire", "of popu-");
	fprintf(file, "  %-19s%9s%9s%9s%11s%9s%10s%9s%9s\n", "", "data", "", "", "kernel",
		"depopul.", "kernel", "", "lated");
	for (uint32_t i = 0; i < outcome->plan->marks_nr; i++)
		print_populated(outcome, file, i);
	fprintf(file, "    The kernel's figure is as recorded (Percpu): 1.5 to 2.7 MB of objects "
		      "older than "
		      "the\n    recording are in it.  Metadata is in no figure but its own; the "
		      "kernel's is "
		      "2.07 MiB a chunk.\n");
}

/* ---- chunks ---------------------------------------------------------------------------------- */

static void print_pair(FILE *file, uint64_t kernel, uint64_t quire)
{
	fprintf(file, "%9s%7s", number_grouped(kernel).text, number_grouped(quire).text);
}

static void print_chunks(const struct outcome *outcome, FILE *file)
{
	fprintf(file, "\n  %-19s%9s%7s%9s%7s%9s%7s%10s%11s%9s\n", "Chunks", "there:", "",
		"created:", "", "destr.:", "", "isolated", "sidelined", "reinte-");
	fprintf(file, "  %-19s%9s%7s%9s%7s%9s%7s%10s%11s%9s\n", "", "kernel", "Quire", "kernel",
		"Quire", "kernel", "Quire", "Quire", "Quire", "grated");
	for (uint32_t i = 0; i < outcome->plan->marks_nr; i++) {
		const struct plan_mark *mark = &outcome->plan->marks[i];
		const struct quire_percpu_stat *stat = stat_at(&outcome->checked, i);

		fprintf(file, "    %-17.17s", mark->name);
		print_pair(file, mark->kernel.percpu.chunks, stat->chunks);
		print_pair(file, mark->kernel.percpu.chunks_created, stat->chunks_created);
		print_pair(file, mark->kernel.percpu.chunks_destroyed, stat->chunks_destroyed);
		fprintf(file, "%10s%11s%9s\n", number_grouped(stat->chunks_isolated).text,
			number_grouped(stat->chunks_sidelined).text,
			number_grouped(stat->chunks_reintegrated).text);
	}
}

static void print_service(const struct outcome *outcome, FILE *file)
{
	const struct quire_percpu_stat *stat = &outcome->checked.objects.percpu;

	fprintf(file, "\n  Flushes    %s: %s pages per flush; %s pages populated, %s given back\n",
		number_grouped(stat->flushes).text,
		number_ratio(stat->flushed_pages, stat->flushes).text,
		number_grouped(stat->pages_populated).text,
		number_grouped(stat->pages_depopulated).text);
	fprintf(file, "  Refused    %s, %s of them to callers that may not wait; the kernel %s\n",
		number_grouped(stat->refusals).text, number_grouped(stat->atomic_refusals).text,
		number_grouped(outcome->plan->totals.fails_nr).text);
	report_time(outcome, file);
}

void report_percpu(const struct outcome *outcome, FILE *file)
{
	report_sizes(outcome, file, "Objects by size on one CPU");
	print_headline(outcome, file);
	print_chunks(outcome, file);
	print_service(outcome, file);
	report_checked(outcome, file);
}
