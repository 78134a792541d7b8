/* SPDX-License-Identifier: MIT */
/* report_slab.c - the table of a replay of kmalloc() or malloc() */
#include "replay/report_text.h"

static void print_mark(FILE *file, const char *name, uint64_t blocks, uint64_t asked_bytes,
		       const struct object_stat *stat)
{
	const struct quire_slab_stat *slab = &stat->slab;
	uint64_t held_bytes = slab->slab_bytes + stat->large_bytes;

	fprintf(file, "    %-15.15s%12s%9s%9s%9s%9s%9s%11s\n", name, number_grouped(blocks).text,
		number_mib(asked_bytes).text, number_mib(slab->slab_bytes).text,
		number_mib(slab->cached_bytes).text, number_mib(slab->free_bytes).text,
		number_mib(stat->large_bytes).text,
		number_percent(held_bytes > asked_bytes ? held_bytes - asked_bytes : 0, asked_bytes)
			.text);
}

static void print_marks(const struct outcome *outcome, FILE *file)
{
	const struct plan *plan = outcome->plan;

	fprintf(file, "\n  %-17s%12s%9s%9s%9s%9s%9s%11s\n", "At each mark", "blocks", "asked",
		"slabs", "cached", "free in", "larger", "more than");
	fprintf(file, "  %-17s%12s%9s%9s%9s%9s%9s%11s\n", "", "", "for MiB", "MiB", "MiB", "slabs",
		"MiB", "asked for");
	for (uint32_t i = 0; i < plan->marks_nr; i++)
		print_mark(file, plan->marks[i].name, plan->marks[i].live_blocks,
			   plan->marks[i].live_bytes, &outcome->checked.marks[i].objects);
	print_mark(file, "the end", plan->totals.live_blocks, plan->totals.live_bytes,
		   &outcome->checked.objects);
	fprintf(file,
		"    Cached: on sheaves and between them and slabs.  Larger: above 32 KiB, not in "
		"slabs.\n    The kernel's own caches are not in the recording.\n");
}

void report_slab(const struct outcome *outcome, FILE *file)
{
	const struct quire_slab_stat *slab = &outcome->checked.objects.slab;

	report_sizes(outcome, file, "Blocks by size");
	print_marks(outcome, file);
	if (outcome->threads)
		fprintf(file, "\n  Sheaves    refilled %s times, spilled %s times\n",
			number_grouped(slab->refills).text, number_grouped(slab->spills).text);
	else
		fprintf(file, "\n  Sheaves    none: one thread for all CPUs has no sequences\n");
	report_time(outcome, file);
	report_checked(outcome, file);
}
