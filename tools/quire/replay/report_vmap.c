/* SPDX-License-Identifier: MIT */
/* report_vmap.c - the table of a replay of areas */
#include "replay/report_text.h"

static void print_areas(FILE *file, uint64_t areas, uint64_t bytes)
{
	fprintf(file, "%8s%8s", number_grouped(areas).text, number_mib(bytes).text);
}

static void print_kernel(FILE *file, const struct plan_mark *mark)
{
	const struct plan_kernel_vmap *kernel = &mark->kernel.vmap;

	fprintf(file, "    %-15.15s %-7s", mark->name, "kernel");
	print_areas(file, kernel->busy_areas, kernel->busy_bytes);
	fprintf(file, "%8s%8s", "", "");
	print_areas(file, kernel->lazy_areas, kernel->lazy_bytes);
	fprintf(file, "%9s%11s\n", number_grouped(kernel->purges).text,
		number_grouped(kernel->purged_areas).text);
}

static void print_quire(FILE *file, const struct quire_vmap_stat *stat)
{
	fprintf(file, "    %-15s %-7s", "", "Quire");
	print_areas(file, stat->busy_areas, stat->busy_bytes);
	print_areas(file, stat->cached_areas, stat->cached_bytes);
	print_areas(file, stat->lazy_areas, stat->lazy_bytes);
	fprintf(file, "%9s%11s\n", number_grouped(stat->purges).text,
		number_grouped(stat->purged_areas).text);
}

static void print_marks(const struct outcome *outcome, FILE *file)
{
	const struct plan *plan = outcome->plan;

	fprintf(file, "\n  %-25s%16s%16s%16s%9s%11s\n", "At each mark", "in use", "kept for reuse",
		"lazy", "purges", "areas");
	fprintf(file, "  %-25s%8s%8s%8s%8s%8s%8s%9s%11s\n", "", "areas", "MiB", "areas", "MiB",
		"areas", "MiB", "", "purged");
	for (uint32_t i = 0; i < plan->marks_nr; i++) {
		print_kernel(file, &plan->marks[i]);
		print_quire(file, &outcome->checked.marks[i].objects.vmap);
	}
	fprintf(file,
		"    The kernel's areas are all it had (vmallocinfo), those older than the "
		"recording too;\n    its sizes include a guard page an area.  It keeps nothing "
		"for reuse that is still backed.\n");
}

static void print_service_row(FILE *file, const char *name, const struct quire_vmap_stat *stat)
{
	fprintf(file, "    %-15.15s%10s%10s%11s%12s%12s%11s%13s\n", name,
		number_grouped(stat->frees).text, number_grouped(stat->flushes).text,
		number_ratio(stat->purged_ranges, stat->flushes).text,
		number_grouped(outcome_flushes_avoided(stat)).text,
		number_percent(outcome_served_without_call(stat), stat->allocs).text,
		number_grouped(stat->free_ranges).text,
		number_percent(stat->largest_free_bytes, stat->free_bytes).text);
}

static void print_service(const struct outcome *outcome, FILE *file)
{
	const struct plan *plan = outcome->plan;

	fprintf(file, "\n  %-17s%10s%10s%11s%12s%12s%11s%13s\n", "Quire, so far", "frees",
		"flushes", "ranges", "flushes", "reused, no", "free", "the largest");
	fprintf(file, "  %-17s%10s%10s%11s%12s%12s%11s%13s\n", "", "", "", "per flush", "avoided",
		"system call", "ranges", "has of them");
	for (uint32_t i = 0; i < plan->marks_nr; i++)
		print_service_row(file, plan->marks[i].name,
				  &outcome->checked.marks[i].objects.vmap);
	fprintf(file,
		"    Avoided: against one flush per free.  Free ranges are of addresses.  Of %s "
		"areas "
		"that were\n    handed out again, those count as reused for which no guard page "
		"had "
		"to be installed.\n\n",
		number_grouped(outcome->checked.objects.vmap.reused).text);
	report_time(outcome, file);
}

void report_vmap(const struct outcome *outcome, FILE *file)
{
	report_sizes(outcome, file, "Areas by size");
	print_marks(outcome, file);
	print_service(outcome, file);
	report_checked(outcome, file);
}
